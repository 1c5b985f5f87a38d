"""Lie derivatives: how fast a model leaves equivariance near the identity, and which layers make it."""

from ._derivative import CentralDifferences as CentralDifferences
from ._derivative import Derivative as Derivative
from ._derivative import DoubleBackward as DoubleBackward
from ._derivative import ForwardMode as ForwardMode
from ._lie_error import lie_error as lie_error
from ._result import LayerTerm as LayerTerm
from ._result import LieError as LieError

__all__ = [
    "CentralDifferences",
    "Derivative",
    "DoubleBackward",
    "ForwardMode",
    "LayerTerm",
    "LieError",
    "lie_error",
]
