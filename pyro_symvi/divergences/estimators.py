"""Estimators with importance weights, as pure functions of log-weights; particles first, log space throughout.

Estimators *of a divergence* and of its gradient are methods of the divergence (``objective``, ``score_surrogate``,
``path_surrogate``, ``leave_one_out_surrogate``). Here: means under the target, and the importance-weighted bound of the
evidence with its gradients. ``l_k = log p~(z_k) - log q(z_k)``, ``z_k ~ q``, shape ``(K, *batch)``.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from pyro_symvi.divergences._leave_one_out import leave_one_out_weights
from pyro_symvi.divergences._log_space import log_mean_exp
from pyro_symvi.divergences.base import _check_same_shape, _checked_log_weights
from pyro_symvi.divergences.kullback_leibler import ReverseKL


class Estimate(NamedTuple):
    """A mean under the target, and its standard error (a delta-method one if self-normalised); each ``batch``."""

    mean: Tensor
    standard_error: Tensor


def expectation(values: Tensor, log_weights: Tensor, log_normalizer: float | None = None) -> Estimate:
    """``E_p[h]`` from draws of the guide.

    *Plain*, with ``log_normalizer = log Z`` given: ``mean_k w_k h_k / Z``, unbiased, variance ``Var(w h / Z) / K``, not
    invariant under h -> h + c. *Self-normalised* without it: ``sum_k s_k h_k``, ``s = softmax(l)``, bias
    ``-E[w^2 (h - E_p h)] / (K Z^2)`` to first order, variance ``E[w^2 (h - E_p h)^2] / (K Z^2)``. Both are finite only
    if ``E[w^2 h^2]`` is: look at ``pareto_k(l)`` first. Truncated or smoothed log-weights may stand in for raw ones.

    Source: Owen (2013), "Monte Carlo theory, methods and examples", sections 9.1 and 9.2.

    Args:
        values: ``h(z_k)``, shape ``(K, *batch)``.
        log_weights: shape ``(K, *batch)``, K >= 2.
        log_normalizer: log Z, or None.

    >>> expectation(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 0.0])).mean
    tensor(2.)
    """
    l, values = _checked_log_weights(log_weights), _checked_log_weights(values, "values")
    if l.shape != values.shape:
        raise ValueError(
            f"expected values of the shape of log_weights {tuple(l.shape)}, got {tuple(values.shape)}, because each "
            "particle has one weight and one value; try values[:, i] for one coordinate"
        )
    particles = l.shape[0]
    if log_normalizer is not None:
        terms = (l - log_normalizer).exp() * values
        return Estimate(terms.mean(0), terms.std(0) / particles**0.5)
    s = torch.softmax(l, 0)
    mean = (s * values).sum(0)
    return Estimate(mean, (s * (values - mean)).square().sum(0).sqrt())


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    """``log mean_k w_k``: a lower bound of log Z in expectation, tighter as K grows, exact where q = p.

    Maximised over the guide by its pathwise derivative, the gradient's ratio of mean to noise *falls* as ``K^(-1/2)``;
    use :func:`doubly_reparameterized_bound`. It is no divergence of P and Q: its limit is the same for all guides.

    Source: Burda, Grosse & Salakhutdinov (2016), "Importance weighted autoencoders"; Rainforth et al. (2018), "Tighter
    variational bounds are not necessarily better".
    """
    return log_mean_exp(_checked_log_weights(log_weights))


def doubly_reparameterized_bound(path_log_weights: Tensor) -> Tensor:
    """``sum_k s_k^2 l_k``, s held constant: its gradient is unbiased for that of :func:`importance_weighted_bound`.

    ``path_log_weights`` depend on the guide's parameters through the draws alone (see ``Divergence.path_surrogate``).
    Variance zero where q = p; ratio of mean to noise grows as ``K^(1/2)``. Source: Tucker et al. (2018), equation 8.
    """
    l = _checked_log_weights(path_log_weights, "path_log_weights")
    return (torch.softmax(l.detach(), 0).square() * l).sum(0)


def leave_one_out_bound(log_weights: Tensor, log_guide: Tensor) -> Tensor:
    """The score-function gradient of :func:`importance_weighted_bound`, each particle's baseline made of the others.

    Unbiased for any guide, discrete ones too. Source: Mnih & Rezende (2016), "Variational inference for Monte Carlo
    objectives" (VIMCO), equations 7 to 10, with the geometric mean.
    """
    l, log_guide = _checked_log_weights(log_weights).detach(), _checked_log_weights(log_guide, "log_guide")
    _check_same_shape(l, log_guide)
    return (leave_one_out_weights(log_mean_exp, l) * log_guide).sum(0)


def stick_the_landing(path_log_weights: Tensor) -> Tensor:
    """``-mean_k l_k`` of path log-weights: an unbiased gradient of KL(Q || P) that vanishes where q = p.

    For this divergence alone; the same shortcut on the objectives of others is biased, and ``path_surrogate`` corrects
    it. Source: Roeder, Wu & Duvenaud (2017).
    """
    return ReverseKL().path_surrogate(path_log_weights)
