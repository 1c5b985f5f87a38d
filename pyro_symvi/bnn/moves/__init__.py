"""Moves along the symmetries of a network, exact and free of likelihood evaluations, between steps of a sampler."""

from ._move import Move as Move

__all__ = ["Move"]
