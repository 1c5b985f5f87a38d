"""First two moments of an activation under a normal law of any mean and variance, without draws."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from .._legendre import legendre
from ..links import ACTIVATIONS, Link

Moments = tuple[Tensor, Tensor]
NODES = 96
"""Nodes a smooth piece."""
_REACH = 9.0
"""Pieces end here, in standard deviations: the normal law leaves 2e-19 outside."""


def unit_moments(link: Link, mean: Tensor, variance: Tensor) -> Moments:
    r"""E sigma(z) and E sigma(z)^2 for z ~ N(mean, variance), entry by entry, differentiable in both.

    By formula for abs, relu, b4 and erf; otherwise by quadrature: the trapezoidal rule for links without breaks, and
    else Gauss-Legendre between the kinks and jumps, which move with mean and variance (so that the derivatives hold for
    jumps too). What is returned is of the standardised link.

    Args:
        link: The activation.
        mean: Any shape, float.
        variance: Of a shape that goes with it, positive.

    Returns:
        Two tensors of the common shape. The quadrature is right to about 1e-9 where the standard deviation is at most
        2, if the activation is analytic but at its breaks, with no singularity closer than 1.5 to the real line.
    """
    formula = _FORMULAS.get(link.raw)
    if formula is None:
        return _quadrature(link, mean, variance)
    first, second = formula(mean, variance)
    return (first - link.mean) / link.scale, (second - 2 * link.mean * first + link.mean**2) / link.scale**2


def _quadrature(link: Link, mean: Tensor, variance: Tensor) -> Moments:
    deviation = variance.sqrt()
    if link.breaks:
        edges = [torch.full_like(mean + deviation, -_REACH)]
        edges += [((b - mean) / deviation).clamp(-_REACH, _REACH) for b in link.breaks]
        edges.append(torch.full_like(edges[0], _REACH))
        node, weight = (part.to(edges[0]) for part in _legendre())
        parts = [
            _sums(link, mean, deviation, left[..., None] + (right - left)[..., None] * node,
                  (right - left)[..., None] * weight)
            for left, right in itertools.pairwise(edges)
        ]  # fmt: skip
        return sum(a for a, _ in parts), sum(b for _, b in parts)  # type: ignore[return-value]
    node, weight = (part.to(mean + deviation) for part in _trapezoid())
    return _sums(link, mean, deviation, node, weight)


def _sums(link: Link, mean: Tensor, deviation: Tensor, u: Tensor, weight: Tensor) -> Moments:
    weight = weight * torch.exp(-0.5 * u.square()) / math.sqrt(2 * math.pi)
    value = link(mean[..., None] + deviation[..., None] * u)
    return (weight * value).sum(-1), (weight * value.square()).sum(-1)


def _legendre() -> Moments:
    """On [0, 1]."""
    node, weight = legendre(NODES)
    return 0.5 * (node + 1), 0.5 * weight


def _trapezoid() -> Moments:
    """Equal steps: for a normal weight the error falls as exp(-2 pi r / step), r the distance of a singularity."""
    node = torch.linspace(-_REACH, _REACH, NODES, dtype=torch.float64)
    return node, torch.full_like(node, 2 * _REACH / (NODES - 1))


def _abs(mean: Tensor, variance: Tensor) -> Moments:
    """The folded normal law."""
    first = (2 * variance / math.pi).sqrt() * torch.exp(-0.5 * mean.square() / variance)
    return first + mean * torch.erf(mean / (2 * variance).sqrt()), mean.square() + variance


def _relu(mean: Tensor, variance: Tensor) -> Moments:
    """The rectified normal law."""
    deviation = variance.sqrt()
    ratio = mean / deviation
    above, density = torch.special.ndtr(ratio), torch.exp(-0.5 * ratio.square()) / math.sqrt(2 * math.pi)
    first = mean * above + deviation * density
    return first, mean * first + variance * above


def _b4(mean: Tensor, variance: Tensor) -> Moments:
    """E cos(w z) = cos(w mean) exp(-w^2 variance / 2), for the four frequencies of cos z - k cos 2z and its square."""
    k, c, fall = 0.25 * math.exp(1.5), torch.cos(mean), torch.exp(-0.5 * variance)
    c2 = c.square()
    one, two = c * fall, (2 * c2 - 1) * fall**4
    three, four = c * (4 * c2 - 3) * fall**9, (8 * c2 * (c2 - 1) + 1) * fall**16
    return one - k * two, 0.5 * (1 + two) - k * (one + three) + 0.5 * k**2 * (1 + four)


def _erf(mean: Tensor, variance: Tensor) -> Moments:
    """Erf(z / sqrt 2) = 2 Phi(z) - 1; the second moment is 1 - 8 T(h, a) with Owen's T (Owen 1956)."""
    h, a = mean / (1 + variance).sqrt(), (1 + 2 * variance).rsqrt()
    node, weight = (part.to(h) for part in _legendre())
    x = 1 + (a[..., None] * node).square()
    owen = a * (weight * torch.exp(-0.5 * h.square()[..., None] * x) / x).sum(-1) / (2 * math.pi)
    return torch.erf(h / math.sqrt(2)), 1 - 8 * owen


_FORMULAS: dict[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Moments]] = {
    ACTIVATIONS["abs"]: _abs,
    ACTIVATIONS["relu"]: _relu,
    ACTIVATIONS["b4"]: _b4,
    ACTIVATIONS["erf"]: _erf,
}
