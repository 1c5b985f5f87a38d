"""The evidence lower bound of a committee machine under a mean-field normal guide, without Monte Carlo."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from ..channels._number import positive_number
from ..links import Link
from ._moments import unit_moments

Activation = str | Callable[[Tensor], Tensor] | Link


def committee_elbo(
    loc: Tensor,
    scale: Tensor,
    x: Tensor,
    y: Tensor,
    *,
    activation: Activation,
    noise: float,
    size: int | None = None,
) -> Tensor:
    r"""ELBO in nats of `committee_machine` under independent weights w_kj ~ N(loc_kj, scale_kj^2); deterministic.

    Given the inputs, the fields z_ik = w_k . x_i are normal with mean a_ik = loc_k . x_i and variance
    v_ik = sum_j x_ij^2 scale_kj^2, independent over the units k. With f = E sigma(z) and V = Var sigma(z)
    (`unit_moments`) the bound is

    .. math::
        -\frac n2\log 2\pi\Delta - \frac1{2\Delta}\sum_i\Bigl[\bigl(y_i - p^{-1/2}\sum_k f_{ik}\bigr)^2
        + \frac1p\sum_k V_{ik}\Bigr] - \frac12\sum_{kj}\bigl[d(m_{kj}^2 + s_{kj}^2) - 1 - \log d s_{kj}^2\bigr] .

    Exact up to the quadrature of `unit_moments`, smooth in both parameters, invariant under permutations of the units,
    and for even activations under a change of sign of any ``loc[k]``. Cost O(n p d).

    Args:
        loc: Means ``[..., p, d]``.
        scale: Standard deviations ``[..., p, d]``, or what broadcasts to it; positive.
        x: Inputs ``[..., n, d]``.
        y: Outputs ``[..., n]``.
        activation: Of the units: a name, function or `Link`; standardised. A `Link` saves its quadrature at each call.
        noise: The variance Delta of y about the mean.
        size: Number of all data where x and y are a minibatch: the likelihood terms are scaled by ``size / n``.

    Returns:
        ``[...]``, the batch shape.

    Raises:
        ValueError: Shapes that do not go together, or a noise that is not positive.
    """
    _check(loc, x, y, noise)
    count = y.shape[-1]
    first, second = _fields(loc, scale, x, Link.of(activation))
    units, dim = loc.shape[-2:]
    residual = y - first.sum(-1) / math.sqrt(units)
    loss = residual.square().sum(-1) + (second - first.square()).sum((-2, -1)) / units
    likelihood = -0.5 * count * math.log(2 * math.pi * noise) - 0.5 * loss / noise
    spread = (dim * scale.square()).expand_as(loc)
    divergence = 0.5 * (dim * loc.square() + spread - 1 - spread.log()).sum((-2, -1))
    return likelihood * ((count if size is None else size) / count) - divergence


def committee_mean(loc: Tensor, scale: Tensor, x: Tensor, *, activation: Activation) -> Tensor:
    """Predictive mean ``[..., n]`` of y at inputs ``x [..., n, d]`` under the guide of `committee_elbo`.

    It is the same for all images of the guide under permutations of units (and signs, for even activations), so that of
    their orbit mixture too.
    """
    first, _ = _fields(loc, scale, x, Link.of(activation))
    return first.sum(-1) / math.sqrt(loc.shape[-2])


def _fields(loc: Tensor, scale: Tensor, x: Tensor, link: Link) -> tuple[Tensor, Tensor]:
    """Two moments of each unit at each input, ``[..., n, p]``."""
    variance = x.square() @ scale.square().expand_as(loc).mT
    return unit_moments(link, x @ loc.mT, variance)


def _check(loc: Tensor, x: Tensor, y: Tensor, noise: float) -> None:
    if loc.ndim < 2 or x.ndim < 2 or loc.shape[-1] != x.shape[-1]:
        raise ValueError(
            f"expected loc [..., p, d] and x [..., n, d], got {list(loc.shape)} and {list(x.shape)}, because each unit "
            "has one weight for each input; try loc[None] for a single unit"
        )
    if y.ndim < 1 or y.shape[-1] != x.shape[-2]:
        raise ValueError(
            f"expected y [..., {x.shape[-2]}] for x {list(x.shape)}, got {list(y.shape)}, because there is one output "
            "for each row of x; try y.squeeze(-1)"
        )
    positive_number(noise, "a noise", "it is the variance Delta; try 0.5")
    if len({loc.dtype, x.dtype, y.dtype}) > 1:
        raise ValueError(
            f"expected loc, x and y of one dtype, got {loc.dtype}, {x.dtype} and {y.dtype}, because they are "
            "multiplied; try x.to(loc) and y.to(loc)"
        )
