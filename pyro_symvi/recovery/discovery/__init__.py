"""Finding the symmetries of a target: proposed from structure and numerics, proved or tested, ranked."""

from .actions import Conjugated, JointRotation
from .find import find_symmetries
from .symmetries import FoundSymmetry, RefutedSymmetry, Symmetries

__all__ = [
    "Conjugated",
    "FoundSymmetry",
    "JointRotation",
    "RefutedSymmetry",
    "Symmetries",
    "find_symmetries",
]
