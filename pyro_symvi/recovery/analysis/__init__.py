"""Proofs about a log density, read from its graph: the first of the engines that supply evidence."""

from .driver import analyze, analyze_function
from .report import Analysis, Block, Symmetry

__all__ = ["Analysis", "Block", "Symmetry", "analyze", "analyze_function"]
