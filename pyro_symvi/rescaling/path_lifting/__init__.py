"""Paths through a network: their squared norm, and how it depends on each parameter."""

from ._squared import path_norm_squared as path_norm_squared
from ._squared import path_weights as path_weights

__all__ = ["path_norm_squared", "path_weights"]
