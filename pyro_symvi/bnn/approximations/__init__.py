"""Approximations of a network's posterior that are no Markov chains: cheap, biased, and measured as such."""

from ._approximation import Approximation as Approximation
from ._approximation import Fitted as Fitted
from ._deep_ensemble import DeepEnsemble as DeepEnsemble
from ._deep_ensemble import FittedEnsemble as FittedEnsemble

__all__ = ["Approximation", "DeepEnsemble", "Fitted", "FittedEnsemble"]
