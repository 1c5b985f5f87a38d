"""How far a statistic can be off where the symmetry is only approximate: identities, estimates, bounds."""

from ._bound import Bound
from .combine import MeanBounds, best_bound, one_number_each
from .conditional_gaussian import (
    ConditionalGaussianMoments,
    conditional_gaussian_bound,
    conditional_gaussian_moments,
)
from .correction import CorrectedMean, corrected_mean
from .direction import DirectionBound, direction_bound
from .finite_group import finite_group_bound, group_tau2
from .identities import odd_mean, odd_mean_by_average, odd_mean_by_path, odd_terms, score_mean, score_split
from .localised import localised_bound
from .log_concave import (
    brascamp_lieb_bound,
    curvature_bound,
    fisher_bound,
    guide_curvature_bound,
    strong_concavity,
)
from .misfit import misfit_bound, misfit_limit
from .nuisance import conditional_reflection_bound, partial_curvature_bound
from .reflection import ReflectionBound, reflection_bound, tau_bound
from .regression import Regression, logistic_regression, poisson_regression, read_regression
from .sampled import binomial_limit, chain_draws_bound, independent_draws_bound
from .structural import failure_set_bound, holder_limit, structural_bound

__all__ = [
    "Bound",
    "ConditionalGaussianMoments",
    "CorrectedMean",
    "DirectionBound",
    "MeanBounds",
    "ReflectionBound",
    "Regression",
    "best_bound",
    "binomial_limit",
    "brascamp_lieb_bound",
    "chain_draws_bound",
    "conditional_gaussian_bound",
    "conditional_gaussian_moments",
    "conditional_reflection_bound",
    "corrected_mean",
    "curvature_bound",
    "direction_bound",
    "failure_set_bound",
    "finite_group_bound",
    "fisher_bound",
    "group_tau2",
    "guide_curvature_bound",
    "holder_limit",
    "independent_draws_bound",
    "localised_bound",
    "logistic_regression",
    "misfit_bound",
    "misfit_limit",
    "odd_mean",
    "odd_mean_by_average",
    "odd_mean_by_path",
    "odd_terms",
    "one_number_each",
    "partial_curvature_bound",
    "poisson_regression",
    "read_regression",
    "reflection_bound",
    "score_mean",
    "score_split",
    "strong_concavity",
    "structural_bound",
    "tau_bound",
]
