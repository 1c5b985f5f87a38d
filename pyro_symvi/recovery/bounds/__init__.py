"""How far a statistic can be off where the symmetry is only approximate."""

from ._bound import Bound
from .conditional_gaussian import (
    ConditionalGaussianMoments,
    conditional_gaussian_bound,
    conditional_gaussian_moments,
)
from .reflection import ReflectionBound, reflection_bound, tau_bound

__all__ = [
    "Bound",
    "ConditionalGaussianMoments",
    "ReflectionBound",
    "conditional_gaussian_bound",
    "conditional_gaussian_moments",
    "reflection_bound",
    "tau_bound",
]
