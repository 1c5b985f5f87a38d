"""Errors: how far a model is from equivariance, given how its output ought to transform."""

from ._accuracy import Accuracies as Accuracies
from ._accuracy import Accuracy as Accuracy
from ._accuracy import accuracy as accuracy
from ._error import equivariance_error as equivariance_error
from ._result import EquivarianceError as EquivarianceError
from ._result import EquivarianceErrors as EquivarianceErrors
from ._result import ParitySplit as ParitySplit
from ._rounding import Rounding as Rounding
from ._translations import translation_error as translation_error

__all__ = [
    "Accuracies",
    "Accuracy",
    "EquivarianceError",
    "EquivarianceErrors",
    "ParitySplit",
    "Rounding",
    "accuracy",
    "equivariance_error",
    "translation_error",
]
