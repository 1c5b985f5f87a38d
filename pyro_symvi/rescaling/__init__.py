"""Rescaling of ReLU networks: the symmetry, the best point of each orbit, and its use as a canonical form."""

from ._group import RescalingGroup as RescalingGroup
from .canonical import Canonicaliser as Canonicaliser
from .conditioning import Conditioning as Conditioning
from .conditioning import path_condition as path_condition
from .criteria import Criterion as Criterion
from .criteria import L2Criterion as L2Criterion
from .criteria import PathCriterion as PathCriterion

__all__ = [
    "Canonicaliser",
    "Conditioning",
    "Criterion",
    "L2Criterion",
    "PathCriterion",
    "RescalingGroup",
    "path_condition",
]
