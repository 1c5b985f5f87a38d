"""Posteriors of Bayesian neural networks: samplers, what symmetry says of the weights, and checks that need no truth.

A :class:`NetworkPosterior` is the log density of the weights of a ``torch.nn`` module on flat vectors, evaluated for
many of them at once; samplers, approximations and diagnostics stand on it.
"""

from .._layout import Layout as Layout
from ._activations import Activation as Activation
from ._activations import register_activation as register_activation
from ._draws import Draws as Draws
from ._draws import independent_draws as independent_draws
from ._likelihoods import Categorical as Categorical
from ._likelihoods import GaussianNoise as GaussianNoise
from ._likelihoods import HeteroscedasticGaussian as HeteroscedasticGaussian
from ._likelihoods import LearnedGaussianNoise as LearnedGaussianNoise
from ._likelihoods import Likelihood as Likelihood
from ._posterior import NetworkPosterior as NetworkPosterior
from ._priors import FanInPrior as FanInPrior
from ._priors import FlatPrior as FlatPrior
from ._priors import LaplacePrior as LaplacePrior
from ._priors import NetworkPrior as NetworkPrior
from ._priors import NormalPrior as NormalPrior
from ._priors import WeightPrior as WeightPrior

__all__ = [
    "Activation",
    "Categorical",
    "Draws",
    "FanInPrior",
    "FlatPrior",
    "GaussianNoise",
    "HeteroscedasticGaussian",
    "LaplacePrior",
    "Layout",
    "LearnedGaussianNoise",
    "Likelihood",
    "NetworkPosterior",
    "NetworkPrior",
    "NormalPrior",
    "WeightPrior",
    "independent_draws",
    "register_activation",
]
