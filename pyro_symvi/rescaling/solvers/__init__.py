"""Solvers of the convex problems, and their common result."""

from __future__ import annotations

from collections.abc import Callable

from ._newton import newton as newton
from ._policy import policy_iteration as policy_iteration
from ._solution import Solution as Solution
from ._sweeps import coordinate as coordinate
from ._sweeps import layer as layer

SOLVERS: dict[str, Callable[..., Solution]] = {"newton": newton, "layer": layer, "coordinate": coordinate}
"""Solvers by name."""

__all__ = ["SOLVERS", "Solution", "coordinate", "layer", "newton", "policy_iteration"]
