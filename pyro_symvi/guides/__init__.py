"""Guides for Pyro models, built on the families."""

from .location_scale import AutoLocationScale

__all__ = ["AutoLocationScale"]
