"""Proofs about a log density, read from its graph: the first of the engines that supply evidence."""

from .affine_maps import InvarianceProof
from .driver import analyze, analyze_function, prove_invariance
from .findings import AffineCenter, EllipticalBlock, RotationGroup, SignedPermutation
from .report import Analysis, Block, Ellipse, Symmetry

__all__ = [
    "AffineCenter",
    "Analysis",
    "Block",
    "Ellipse",
    "EllipticalBlock",
    "InvarianceProof",
    "RotationGroup",
    "SignedPermutation",
    "Symmetry",
    "analyze",
    "analyze_function",
    "prove_invariance",
]
