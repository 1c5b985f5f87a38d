"""Rescaling of ReLU networks: the symmetry, the best point of each orbit, and its use as a canonical form."""

from ._group import RescalingGroup as RescalingGroup
from .canonical import Canonicaliser as Canonicaliser
from .conditioning import Conditioning as Conditioning
from .conditioning import ConditioningReport as ConditioningReport
from .conditioning import RescaleEvery as RescaleEvery
from .conditioning import guess_input_shape as guess_input_shape
from .conditioning import path_condition as path_condition
from .conditioning import transport_ as transport_
from .criteria import Criterion as Criterion
from .criteria import L2Criterion as L2Criterion
from .criteria import PathCriterion as PathCriterion
from .criteria import PriorCriterion as PriorCriterion
from .criteria import RangeCriterion as RangeCriterion
from .guides import MeanFieldPoint as MeanFieldPoint
from .guides import best_mean_field as best_mean_field
from .guides import canonical_values as canonical_values
from .guides import improve_on_orbit_ as improve_on_orbit_
from .guides import init_to_canonical as init_to_canonical
from .guides import kl_to_prior as kl_to_prior
from .path_lifting import Paths as Paths
from .path_lifting import expected_path_weights as expected_path_weights
from .path_lifting import initial_second_moments as initial_second_moments
from .path_lifting import log_path_weights as log_path_weights
from .path_lifting import path_norm as path_norm
from .path_lifting import path_norm_squared as path_norm_squared
from .path_lifting import path_weights as path_weights
from .path_lifting import paths as paths
from .pictures import plot_conditioning as plot_conditioning
from .tracing import RescalingReport as RescalingReport
from .tracing import TracedNetwork as TracedNetwork
from .tracing import UnitBlock as UnitBlock
from .tracing import Verification as Verification

__all__ = [
    "Canonicaliser",
    "Conditioning",
    "ConditioningReport",
    "Criterion",
    "L2Criterion",
    "MeanFieldPoint",
    "PathCriterion",
    "Paths",
    "PriorCriterion",
    "RangeCriterion",
    "RescaleEvery",
    "RescalingGroup",
    "RescalingReport",
    "TracedNetwork",
    "UnitBlock",
    "Verification",
    "best_mean_field",
    "canonical_values",
    "expected_path_weights",
    "guess_input_shape",
    "improve_on_orbit_",
    "init_to_canonical",
    "initial_second_moments",
    "kl_to_prior",
    "log_path_weights",
    "path_condition",
    "path_norm",
    "path_norm_squared",
    "path_weights",
    "paths",
    "plot_conditioning",
    "transport_",
]
