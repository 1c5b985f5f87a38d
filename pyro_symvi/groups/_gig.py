"""The generalised inverse Gaussian law, exact sampling included."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Number

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints


class GeneralizedInverseGaussian(Distribution):
    """Density proportional to t^(order - 1) exp(-(psi t + chi / t) / 2) on t > 0, with psi, chi > 0, each ``[*batch]``.

    With w = sqrt(psi chi): normaliser 2 K_order(w) (chi / psi)^(order / 2); log t - log(chi / psi) / 2 has the
    log-concave density exp(order y - w cosh y). Draws are exact, by rejection under a flat top and two tangent
    exponential tails (after Devroye, Statistics and Computing 24 (2014) 239). Bessel functions come from scipy;
    ``log_prob`` and the moments are not differentiable in the order.
    """

    arg_constraints = {"order": constraints.real, "psi": constraints.positive, "chi": constraints.positive}  # noqa: RUF012
    support = constraints.positive

    def __init__(self, order: Tensor | float, psi: Tensor, chi: Tensor, validate_args: bool | None = None) -> None:
        psi, chi = torch.as_tensor(psi), torch.as_tensor(chi)
        order = torch.as_tensor(order, dtype=psi.dtype, device=psi.device)
        self.order, self.psi, self.chi = torch.broadcast_tensors(order, psi, chi)
        super().__init__(self.order.shape, validate_args=validate_args)

    @property
    def concentration(self) -> Tensor:
        """W = sqrt(psi chi): large means concentrated at the balanced point sqrt(chi / psi)."""
        return (self.psi * self.chi).sqrt()

    @property
    def mean(self) -> Tensor:
        return self.moment(1.0)

    @property
    def variance(self) -> Tensor:
        return self.moment(2.0) - self.mean**2

    def moment(self, k: float) -> Tensor:
        """E t^k = (chi / psi)^(k / 2) K_{order + k}(w) / K_order(w), any real k."""
        ratio = log_bessel_k(self.order + k, self.concentration) - log_bessel_k(self.order, self.concentration)
        return ((self.chi / self.psi).log() * (k / 2) + ratio).exp()

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density at ``value`` ``[*sample, *batch]``."""
        if self._validate_args:
            self._validate_sample(value)
        normaliser = math.log(2) + log_bessel_k(self.order, self.concentration)
        normaliser = normaliser + self.order / 2 * (self.chi / self.psi).log()
        return (self.order - 1) * value.log() - (self.psi * value + self.chi / value) / 2 - normaliser

    @torch.no_grad()
    def sample(
        self, sample_shape: Sequence[int] | torch.Size = (), *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Exact draws ``[*sample_shape, *batch]``."""
        shape = torch.Size(sample_shape) + self.batch_shape
        order, w = self.order.double().expand(shape).reshape(-1), self.concentration.double().expand(shape).reshape(-1)
        y = _log_concave_draws(order, w, generator)
        scale = (self.chi / self.psi).sqrt().double().expand(shape)
        return (scale * y.reshape(shape).exp()).to(self.psi.dtype)

    def expand(self, batch_shape: Sequence[int] | torch.Size, _instance: object = None) -> GeneralizedInverseGaussian:
        """The same law with a larger batch."""
        return GeneralizedInverseGaussian(
            *(t.expand(torch.Size(batch_shape)) for t in (self.order, self.psi, self.chi))
        )


def log_bessel_k(order: Tensor, w: Tensor) -> Tensor:
    """Log of the modified Bessel function K_order(w) for real order, w > 0.

    scipy's scaled function. Where that overflows: for orders below 10 (w < 1e-30) the leading term
    Gamma(order) / 2 (2 / w)^order; beyond, the uniform expansion of Debye with three correction terms (relative
    error below 1e-7; Abramowitz and Stegun 9.7.8).
    """
    from scipy.special import kve

    nu, z = order.detach().abs().double().cpu(), w.detach().double().cpu()
    nu, z = torch.broadcast_tensors(nu, z)
    scaled = torch.as_tensor(kve(nu.numpy(), z.numpy()), dtype=torch.float64)
    direct = scaled.log() - z
    safe = nu.clamp(min=1.0)
    x = z / safe
    root = (1 + x**2).sqrt()
    p = 1 / root
    u1 = (3 * p - 5 * p**3) / 24
    u2 = (81 * p**2 - 462 * p**4 + 385 * p**6) / 1152
    u3 = (30375 * p**3 - 369603 * p**5 + 765765 * p**7 - 425425 * p**9) / 414720
    series = 1 - u1 / safe + u2 / safe**2 - u3 / safe**3
    eta = root + (x / (1 + root)).log()
    expansion = 0.5 * (math.pi / (2 * safe)).log() - safe * eta - 0.5 * root.log() + series.log()
    leading = torch.lgamma(safe) + (safe - 1) * math.log(2) - safe * z.log()
    return torch.where(torch.isfinite(direct), direct, torch.where(nu < 10, leading, expansion)).to(w)


def _log_concave_draws(order: Tensor, w: Tensor, generator: torch.Generator | None) -> Tensor:
    """One draw for each entry from the density exp(order y - w cosh y)."""
    mode = torch.asinh(order / w)

    def phi(shift: Tensor) -> Tensor:
        """Log density relative to the mode, without cancellation: order s - w (cosh(m + s) - cosh m)."""
        half = shift / 2
        return order * shift - 2 * w * torch.sinh(mode + half) * torch.sinh(half)

    def slope(shift: Tensor) -> Tensor:
        return order - w * torch.sinh(mode + shift)

    reach = [_crossing(lambda s, sign=sign: phi(sign * s), mode) for sign in (1.0, -1.0)]
    right, left = reach[0], -reach[1]
    # tails: tangents at `right` and `left`; they meet the level 0 at these points
    rate_right, rate_left = -slope(right), slope(left)
    knee_right, knee_left = right + phi(right) / rate_right, left - phi(left) / rate_left
    area_right, area_left, top = 1 / rate_right, 1 / rate_left, knee_right - knee_left
    total = area_right + area_left + top
    result, pending = torch.zeros_like(w), torch.ones_like(w, dtype=torch.bool)
    while bool(pending.any()):
        u, v, e = (
            torch.rand(w.shape, generator=generator, dtype=w.dtype, device=w.device).clamp_min(1e-300) for _ in range(3)
        )
        pick = u * total
        in_top, in_right = pick < top, pick < top + area_right
        tail = -e.log()
        candidate = torch.where(
            in_top,
            knee_left + top * v,
            torch.where(in_right, knee_right + tail / rate_right, knee_left - tail / rate_left),
        )
        envelope = torch.where(in_top, torch.zeros_like(tail), -tail)
        accept_level = torch.rand(w.shape, generator=generator, dtype=w.dtype, device=w.device).clamp_min(1e-300).log()
        good = pending & (accept_level <= phi(candidate) - envelope)
        result = torch.where(good, candidate, result)
        pending = pending & ~good
    return mode + result


def _crossing(phi: object, like: Tensor) -> Tensor:
    """A point s > 0 where the concave, decreasing phi(s) is about -1: doubling, then bisection."""
    low, high = torch.zeros_like(like), torch.full_like(like, 1e-6)
    for _ in range(80):
        short = phi(high) > -1  # type: ignore[operator]
        if not bool(short.any()):
            break
        low, high = torch.where(short, high, low), torch.where(short, 2 * high, high)
    for _ in range(30):
        middle = (low + high) / 2
        short = phi(middle) > -1  # type: ignore[operator]
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    return high


def is_normal_about_zero(prior: object) -> bool:
    """Whether the prior is an independent normal law with mean zero."""
    if not isinstance(prior, torch.distributions.Normal):
        return False
    loc = prior.loc
    return not bool(torch.any(loc != 0)) if isinstance(loc, Tensor) else isinstance(loc, Number) and loc == 0
