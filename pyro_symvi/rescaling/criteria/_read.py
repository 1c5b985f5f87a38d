"""Criteria by name."""

from __future__ import annotations

from ._criterion import Criterion
from ._l2 import L2Criterion
from ._path import PathCriterion
from ._range import RangeCriterion

_NAMED: dict[str, Criterion] = {"path": PathCriterion(), "l2": L2Criterion(), "range": RangeCriterion()}


def read_criterion(criterion: str | Criterion) -> Criterion:
    """The criterion of a name (``"path"``, ``"l2"``, ``"range"``), or the one given.

    Raises:
        ValueError: for an unknown name.
    """
    if isinstance(criterion, Criterion):
        return criterion
    if not isinstance(criterion, str) or criterion not in _NAMED:
        raise ValueError(f"expected a criterion among {sorted(_NAMED)} or a Criterion, got {criterion!r}")
    return _NAMED[criterion]
