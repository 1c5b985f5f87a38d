"""Errors: how far a model is from equivariance, given how its output ought to transform."""

from ._error import equivariance_error as equivariance_error
from ._result import EquivarianceError as EquivarianceError

__all__ = ["EquivarianceError", "equivariance_error"]
