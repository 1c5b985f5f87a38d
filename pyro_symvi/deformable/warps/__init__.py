"""Warps of images, and pairs of images that differ by one."""

from ._pairs import Pairs as Pairs

__all__ = ["Pairs"]
