"""Fits, guides and draws as ArviZ reads them, and its table of summaries with a verdict beside each number."""

from ._arviz import to_arviz
from ._summary import summary

__all__ = ["summary", "to_arviz"]
