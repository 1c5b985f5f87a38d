"""Canonical forms: one representative of each orbit, volumes, and the laws along an orbit."""

from ._canonicaliser import Canonicaliser as Canonicaliser

__all__ = ["Canonicaliser"]
