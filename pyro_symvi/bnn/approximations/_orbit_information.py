"""How much a draw tells of the group element it was moved by: the gain of an orbit mixture, and bounds of it."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..symmetry import FiniteAction, SymmetricLayer
from ._permanents import LARGEST, log_permanent, log_permanent_bound

_PILOT = 8
"""Draws by which the best of several bounds is chosen."""


def unit_log_densities(loc: Tensor, scale: Tensor, theta: Tensor, layer: SymmetricLayer, places: Tensor) -> Tensor:
    """Log of A_jk, the density of the weights of unit k under the law of unit j: ``[n, h, h]`` for theta ``[n, dim]``.

    ``places`` ``[h, r]`` are the weights that are looked at; for odd activations A_jk is the sum over the unit's two
    signs. The law is the factorised normal of ``loc`` and ``scale`` ``[dim]``.
    """
    theta = theta.double()
    loc, scale = loc.double()[places], scale.double()[places]  # [h, r]
    values = theta[:, None, places]  # [n, 1, h, r]

    def log_density(signed: Tensor) -> Tensor:
        z = (signed - loc[:, None]) / scale[:, None]
        return (-0.5 * z.square() - scale[:, None].log() - 0.5 * math.log(2 * math.pi)).sum(-1)

    plus = log_density(values)
    return torch.logaddexp(plus, log_density(-values)) if layer.odd else plus


def layer_log_sums(log_entries: Tensor, layer: SymmetricLayer) -> Tensor:
    """Upper bounds (exact up to 16 units) of the log sum over the layer's group, ``[kinds of bound, n]``.

    Beyond 16 units there are two: one by products of sums, and one over the subgroup that permutes within blocks of
    at most 16 (its mean over the subgroup, times the order of the group, stands in for the sum: a bound of the mean log
    for draws of the law, since less is told of fewer elements).
    """
    h = log_entries.shape[-1]
    if not layer.permutable:
        return log_entries.diagonal(dim1=-2, dim2=-1).sum(-1)[None]
    if h <= LARGEST:
        return log_permanent(log_entries)[None]
    blocks = torch.arange(h).tensor_split(-(-h // LARGEST))
    within = torch.stack([log_permanent(log_entries[:, b][:, :, b]) - math.lgamma(len(b) + 1) for b in blocks])
    return torch.stack([log_permanent_bound(log_entries), within.sum(0) + math.lgamma(h + 1)])


def information_terms(loc: Tensor, scale: Tensor, theta: Tensor, action: FiniteAction) -> Tensor:
    r"""Terms ``[n]``, for draws theta of a factorised normal q, whose mean is at most I(g; g theta).

    Exact for one layer of at most 16 units. For several, by the chain rule: g_l is told by the weights into layer l
    alone once the layers before it are known, or by those out of it once the layers after are known,

    .. math:: I(g;g\theta)\ge\sum_{l<m}I(g_l;\mathrm{in}_l)+I(g_m;\mathrm{in}_m,\mathrm{out}_m)
        +\sum_{l>m}I(g_l;\mathrm{out}_l),

    with the m that is best on the first few draws. Every term is log|G_l| + log q - log sum_h q(h theta), a permanent.
    """
    layers = action.movable

    def terms(some: Tensor, m: int) -> Tensor:
        found = some.new_zeros(len(some), dtype=torch.float64)
        for i, layer in enumerate(layers):
            both = torch.cat([layer.incoming, layer.outgoing], -1)
            looked_at = layer.incoming if i < m else layer.outgoing if i > m else both
            found = found + _information(loc, scale, some, layer, looked_at)
        return found

    best = 0
    if len(layers) > 1:
        best = max(range(len(layers)), key=lambda m: float(terms(theta[:_PILOT], m).mean()))
    return terms(theta, best)


def _information(loc: Tensor, scale: Tensor, theta: Tensor, layer: SymmetricLayer, places: Tensor) -> Tensor:
    places = places.to(theta.device)
    entries = unit_log_densities(loc, scale, theta, layer, places)
    own = torch.distributions.Normal(loc.double()[places], scale.double()[places], validate_args=False)
    log_q = own.log_prob(theta.double()[:, places]).sum((-1, -2))
    bounds = layer.log_order + log_q - layer_log_sums(entries, layer)  # [kinds, n]
    return bounds[int(bounds.mean(-1).argmax())]


def contrast_terms(
    log_prob: Callable[[Tensor], Tensor],
    action: FiniteAction,
    theta: Tensor,
    elements: int,
    generator: torch.Generator | None,
) -> Tensor:
    r"""InfoNCE terms ``[n]``, :math:`\log K+\log q(\theta)-\log\{q(\theta)+\sum_{k<K}q(h_k\theta)\}`, h_k uniform.

    For theta ~ q of any kind; their mean is at most I(g; g theta), and at most log K (van den Oord et al. 2018; for
    networks Gelberg et al. 2024).
    """
    found = []
    for draw in theta:
        g = action.group.sample(elements - 1, generator=generator)
        images = torch.cat([draw[None], action.act(g.to(theta.device), draw)])
        values = log_prob(images).double()
        found.append(math.log(elements) + values[0] - values.logsumexp(0))
    return torch.stack(found)
