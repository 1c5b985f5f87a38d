"""Approximations of a network's posterior that are no Markov chains: cheap, biased, and measured as such."""

from ._approximation import Approximation as Approximation
from ._approximation import Fitted as Fitted
from ._deep_ensemble import DeepEnsemble as DeepEnsemble
from ._deep_ensemble import FittedEnsemble as FittedEnsemble
from ._laplace import FittedLaplace as FittedLaplace
from ._laplace import Laplace as Laplace
from ._last_layer import FittedLastLayer as FittedLastLayer
from ._last_layer import LastLayerLaplace as LastLayerLaplace
from ._mean_field import Bound as Bound
from ._mean_field import FittedMeanField as FittedMeanField
from ._mean_field import MeanField as MeanField
from ._mean_field import MeanFieldStatus as MeanFieldStatus
from ._orbit_averaged import FittedOrbitAverage as FittedOrbitAverage
from ._orbit_averaged import OrbitAveraged as OrbitAveraged
from ._symmetrized import FittedSymmetrized as FittedSymmetrized
from ._symmetrized import OrbitGain as OrbitGain
from ._symmetrized import Symmetrized as Symmetrized

__all__ = [
    "Approximation",
    "Bound",
    "DeepEnsemble",
    "Fitted",
    "FittedEnsemble",
    "FittedLaplace",
    "FittedLastLayer",
    "FittedMeanField",
    "FittedOrbitAverage",
    "FittedSymmetrized",
    "Laplace",
    "LastLayerLaplace",
    "MeanField",
    "MeanFieldStatus",
    "OrbitAveraged",
    "OrbitGain",
    "Symmetrized",
]
