"""Powers of marginal tails, found along the ridge that a profile follows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ...density import LogDensity
from ...density._proposal import Scale, whiten

_DISTANCES = (10.0, 100.0, 1e3, 1e4)
_STEPS = 20
_DIFFERENCE = 1e-4


def marginal_power(
    density: LogDensity, main: Scale, coordinates: Sequence[int], *, generator: torch.Generator
) -> float:
    r"""The power a by which the marginal density of a linear combination of coordinates falls, :math:`m(t)\sim t^{-a}`.

    A moment of order m of the combination needs a > m + 1; the coefficients are random, so that the heaviest of the
    coordinates decides. They should belong together (one site): a maximum found for a combination of unlike
    coordinates may follow the wrong one. The marginal is Laplace's approximation on each level set of the combination,

    .. math:: \log m(t) = \max_{\ell(z)=t} \log p(z) - \tfrac12 \log\det(-H_\perp),

    at t of 10, 100, 10^3 and 10^4 scales on both sides, each maximum found by Newton's method from the last (Tierney &
    Kadane, 1986, on marginals). The slope between the two farthest t is a. Rays miss tails that follow a curve, as of
    a regression's coefficients: along every ray the density falls exponentially, yet the coefficient is Student-t.

    Returns:
        The smaller power of the two sides; infinite where the density underflows before 100 scales.
    """
    dim = density.dim
    a = torch.zeros(dim, dtype=torch.float64)
    a[torch.tensor(list(coordinates))] = torch.randn(len(coordinates), dtype=torch.float64, generator=generator)
    unit = main.root.square().sum(-1).sqrt()
    level = main.root.mT @ (a / unit)
    level = level / level.norm()
    outward = whiten(main, (unit * a)[None])[0]  # moves these coordinates only; the others follow by Newton's method
    outward = outward / (level @ outward)
    basis = torch.linalg.qr(torch.cat([level[:, None], torch.eye(dim, dtype=torch.float64)], 1)).Q[:, 1:]
    latest: dict[float, float] = {}
    for side in (1.0, -1.0):
        x, before = torch.zeros(dim, dtype=torch.float64), None
        for t in _DISTANCES:
            x, value = _profile(density, main, basis, x + (side * t - x @ level) * outward)
            if not bool(value > -torch.inf):
                break
            if before is not None:
                latest[side] = float(before - value) / math.log(10)
            before = value
    return min(latest.values(), default=math.inf)


def _profile(
    density: LogDensity, main: Scale, basis: torch.Tensor, x: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The maximum over ``x + basis y`` and Laplace's log integral over y; minus infinity where it can't be computed."""
    free = basis.shape[1]
    failed = torch.tensor(-torch.inf, dtype=torch.float64)
    value, gradient, hessian = _local(density, main, basis, x)
    lengths = torch.tensor([64.0, 16.0, 4.0, 2.0, 1.0, 0.5, 0.25, 0.1, 0.03, 0.01, 1e-3], dtype=torch.float64)
    for _ in range(_STEPS if free else 0):
        if not bool(torch.isfinite(value) & torch.isfinite(hessian).all() & torch.isfinite(gradient).all()):
            return x, failed
        curvatures, axes = torch.linalg.eigh(-hessian)
        step = axes @ (
            (axes.mT @ gradient) / curvatures.abs().clamp_min(1e-12 * float(curvatures.abs().max()) + 1e-300)
        )
        trials = x + lengths[:, None] * (basis @ step)
        values = density(main.center + trials @ main.root.mT).detach()
        values = torch.where(torch.isnan(values), -torch.inf, values)
        best = int(values.argmax())
        if not bool(values[best] > value):
            break
        gain = values[best] - value
        x = trials[best]
        value, gradient, hessian = _local(density, main, basis, x)
        if float(gain) < 1e-9 * (1 + abs(float(value))):
            break
    if not bool(torch.isfinite(value)) or not bool(torch.isfinite(hessian).all()):
        return x, failed
    if not free:
        return x, value
    return x, value - 0.5 * torch.linalg.eigvalsh(-hessian).abs().clamp_min(1e-300).log().sum()


def _local(
    density: LogDensity, main: Scale, basis: torch.Tensor, x: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Value, gradient and Hessian (central differences of gradients) along the columns of ``basis``."""
    steps = _DIFFERENCE * basis.mT
    points = torch.cat([x[None], x + steps, x - steps])
    value, gradient = density.value_and_grad(main.center + points @ main.root.mT)
    along = gradient @ main.root @ basis
    ahead, behind = along[1:].chunk(2) if len(along) > 1 else (along[1:], along[1:])
    hessian = (ahead - behind) / (2 * _DIFFERENCE)
    return value[0], along[0], (hessian + hessian.mT) / 2
