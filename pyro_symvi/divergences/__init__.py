"""Divergences between a target p and a guide q, as frozen values with estimators on log-weights.

One convention throughout: the exponent alpha sits on the *target* p, D(P || Q) has the target first, and

    D_alpha(P || Q) = (1 - int p^alpha q^(1 - alpha) dz) / (alpha (1 - alpha)).

alpha -> 0 is the reverse KL(Q || P) of the usual ELBO, alpha -> 1 the forward KL(P || Q).
"""

from pyro_symvi.divergences.alpha import Alpha
from pyro_symvi.divergences.base import Divergence
from pyro_symvi.divergences.kullback_leibler import ForwardKL, ReverseKL

__all__ = ["Alpha", "Divergence", "ForwardKL", "ReverseKL"]
