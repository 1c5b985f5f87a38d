"""Solvers of the convex problems, and their common result."""

from __future__ import annotations

from collections.abc import Callable

from ._newton import newton as newton
from ._solution import Solution as Solution

SOLVERS: dict[str, Callable[..., Solution]] = {"newton": newton}
"""Solvers by name."""

__all__ = ["SOLVERS", "Solution", "newton"]
