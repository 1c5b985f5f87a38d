"""Criteria: which point of a rescaling orbit is the best one."""

from __future__ import annotations

from ._block import Block as Block
from ._block import Vector as Vector
from ._criterion import Criterion as Criterion
from ._criterion import Problem as Problem
from ._exponential_sum import ExponentialSum as ExponentialSum
from ._l2 import L2Criterion as L2Criterion
from ._l2 import L2Problem as L2Problem
from ._live import LiveGraph as LiveGraph
from ._path import PathCriterion as PathCriterion
from ._path import PathProblem as PathProblem
from ._prior import PriorCriterion as PriorCriterion
from ._range import RangeCriterion as RangeCriterion
from ._range import RangeProblem as RangeProblem
from ._read import read_criterion as read_criterion

__all__ = [
    "Block",
    "Criterion",
    "ExponentialSum",
    "L2Criterion",
    "L2Problem",
    "LiveGraph",
    "PathCriterion",
    "PathProblem",
    "PriorCriterion",
    "Problem",
    "RangeCriterion",
    "RangeProblem",
    "Vector",
    "read_criterion",
]
