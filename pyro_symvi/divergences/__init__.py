"""Divergences between a target p and a guide q, as frozen values with estimators on log-weights.

One convention throughout: the exponent alpha sits on the *target* p, D(P || Q) has the target first, and

    D_alpha(P || Q) = (1 - int p^alpha q^(1 - alpha) dz) / (alpha (1 - alpha)).

alpha -> 0 is the reverse KL(Q || P) of the usual ELBO, alpha -> 1 the forward KL(P || Q).

- Values: ``ReverseKL``, ``ForwardKL``, ``Alpha`` (with converters from other people's orders), ``ChiSquare``,
  ``Hellinger``, ``Jeffreys``, ``FDivergence`` (any convex f, target normalised), ``TailAdaptive``.
- ``weights``: effective sample size, Pareto k-hat, truncated and Pareto-smoothed weights. ``estimators``: means under
  the target, the importance-weighted bound. ``generators``: functions f.
- Closed forms: ``divergence.exact(pair)`` with ``GaussianPair``, ``ExponentialFamilyPair``; ``renyi_divergence``.
"""

from pyro_symvi.divergences import estimators as estimators
from pyro_symvi.divergences import generators as generators
from pyro_symvi.divergences import weights as weights
from pyro_symvi.divergences._description import Description
from pyro_symvi.divergences.alpha import Alpha
from pyro_symvi.divergences.base import Divergence
from pyro_symvi.divergences.f_divergence import FDivergence
from pyro_symvi.divergences.kullback_leibler import ForwardKL, ReverseKL
from pyro_symvi.divergences.named import ChiSquare, Hellinger
from pyro_symvi.divergences.non_alpha import Jeffreys, NonAlpha
from pyro_symvi.divergences.pairs import ExponentialFamilyPair, GaussianPair, Pair, renyi_divergence
from pyro_symvi.divergences.tail_adaptive import TailAdaptive

__all__ = [
    "Alpha",
    "ChiSquare",
    "Description",
    "Divergence",
    "ExponentialFamilyPair",
    "FDivergence",
    "ForwardKL",
    "GaussianPair",
    "Hellinger",
    "Jeffreys",
    "NonAlpha",
    "Pair",
    "ReverseKL",
    "TailAdaptive",
    "estimators",
    "generators",
    "renyi_divergence",
    "weights",
]
