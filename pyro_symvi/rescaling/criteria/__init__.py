"""Criteria: which point of a rescaling orbit is the best one."""

from __future__ import annotations

from ._criterion import Criterion as Criterion
from ._criterion import Problem as Problem
from ._exponential_sum import ExponentialSum as ExponentialSum
from ._exponential_sum import Vector as Vector
from ._l2 import L2Criterion as L2Criterion
from ._path import PathCriterion as PathCriterion
from ._read import read_criterion as read_criterion

__all__ = ["Criterion", "ExponentialSum", "L2Criterion", "PathCriterion", "Problem", "Vector", "read_criterion"]
