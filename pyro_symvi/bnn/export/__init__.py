"""Draws of weights for ArviZ."""

from ._arviz import to_arviz as to_arviz

__all__ = ["to_arviz"]
