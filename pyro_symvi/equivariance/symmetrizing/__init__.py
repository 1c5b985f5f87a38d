"""Averaging a model over a group: its equivariant part as a module."""

from ._symmetrize import Symmetrized as Symmetrized
from ._symmetrize import symmetrize as symmetrize

__all__ = ["Symmetrized", "symmetrize"]
