"""Approximations of a network's posterior that are no Markov chains: cheap, biased, and measured as such."""

from ._approximation import Approximation as Approximation
from ._approximation import Fitted as Fitted
from ._deep_ensemble import DeepEnsemble as DeepEnsemble
from ._deep_ensemble import FittedEnsemble as FittedEnsemble
from ._last_layer import FittedLastLayer as FittedLastLayer
from ._last_layer import LastLayerLaplace as LastLayerLaplace
from ._mean_field import Bound as Bound
from ._mean_field import FittedMeanField as FittedMeanField
from ._mean_field import MeanField as MeanField
from ._mean_field import MeanFieldStatus as MeanFieldStatus
from ._symmetrized import FittedSymmetrized as FittedSymmetrized
from ._symmetrized import OrbitGain as OrbitGain
from ._symmetrized import Symmetrized as Symmetrized

__all__ = [
    "Approximation",
    "Bound",
    "DeepEnsemble",
    "Fitted",
    "FittedEnsemble",
    "FittedLastLayer",
    "FittedMeanField",
    "FittedSymmetrized",
    "LastLayerLaplace",
    "MeanField",
    "MeanFieldStatus",
    "OrbitGain",
    "Symmetrized",
]
