"""The committee of signs, without noise: a check of the method on a model of the literature."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.special import entr, ndtr

from ._constants import lowest_ratio


@lru_cache(maxsize=1)
def sign_committee_constant() -> float:
    r"""The limit of alpha_IT / p for y = sign(sum_k sign(w_k . x)) with many hidden units p: specialisation.

    With alpha of order p the mean direction sum_k w_k is known. Given it and an overlap q of each unit, the local field
    h = p^{-1/2} sum_k sign(z_k) is Gaussian by the central limit theorem, with a part that is known, of variance 1 - v,
    and a rest of variance

    .. math:: v(q) = 1 - \tfrac2\pi - \tfrac2\pi (\arcsin q - q),

    since E[sign(z) sign(z')] = (2 / pi) arcsin q at correlation q, of which the linear term is known in full. The
    output sign(h) then has the entropy H(v) = E_m H_2(Phi(m / sqrt v)), m ~ N(0, 1 - v), H_2 the entropy of a coin, and

    .. math:: \frac{\alpha_{IT}}{p} \to \inf_{0 < q < 1} \frac{-q - \log(1 - q)}{2 (H(v(0)) - H(v(q)))}

    (our derivation, by the construction of `many_units_limit`). The model, with its specialisation transition at large
    p, is that of Aubin, Maillard, Barbier, Krzakala, Macris and Zdeborova (2018), The committee machine: computational
    to statistical gaps in learning a two-layers neural network.

    Example:
        >>> round(sign_committee_constant(), 2)
        7.68
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(201)
    weights = weights / weights.sum()

    def entropy(q: np.ndarray) -> np.ndarray:
        v = 1 - 2 / math.pi - (2 / math.pi) * (np.arcsin(q) - q)
        field = nodes * np.sqrt((1 - v) / v)[..., None]
        return (entr(ndtr(field)) + entr(ndtr(-field))) @ weights

    start = entropy(np.zeros(1))[0]
    return lowest_ratio(lambda q: 2 * (start - entropy(q)), math.inf).value
