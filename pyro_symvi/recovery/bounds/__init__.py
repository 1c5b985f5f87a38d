"""How far a statistic can be off where the symmetry is only approximate."""

from ._bound import Bound
from .combine import MeanBounds, best_bound
from .conditional_gaussian import (
    ConditionalGaussianMoments,
    conditional_gaussian_bound,
    conditional_gaussian_moments,
)
from .localised import localised_bound
from .reflection import ReflectionBound, reflection_bound, tau_bound
from .regression import Regression, logistic_regression, poisson_regression, read_regression

__all__ = [
    "Bound",
    "ConditionalGaussianMoments",
    "MeanBounds",
    "ReflectionBound",
    "Regression",
    "best_bound",
    "conditional_gaussian_bound",
    "conditional_gaussian_moments",
    "localised_bound",
    "logistic_regression",
    "poisson_regression",
    "read_regression",
    "reflection_bound",
    "tau_bound",
]
