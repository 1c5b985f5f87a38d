"""Objectives that are flat, guides that find other statistics, infinite ones: N5, N6, N8, N9 and the pair of discs."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import optimize, stats
from torch import Tensor

from pyro_symvi.divergences import Alpha, ChiSquare, Divergence, ForwardKL, GaussianPair, ReverseKL
from pyro_symvi.families import LocationScale
from tests.divergences.quadrature import minimize, moving, panels, still, t, trapezoid
from tests.divergences.targets import skew_normal

LAPLACE, NORMAL = LocationScale(1, "laplace", "diagonal"), LocationScale(1, "normal", "diagonal")


def two_blocks(z: Tensor) -> Tensor:
    """Uniform on [-2, -1] and [1, 2]."""
    inside = (z[..., 0].abs() >= 1) & (z[..., 0].abs() <= 2)
    return torch.where(inside, -math.log(2), -torch.inf)


def block_rule(nu: float) -> tuple[Tensor, Tensor]:
    """A panel on each block, cut at nu where that lies inside."""
    upper = sorted({1.0, 2.0} | ({nu} if 1 < nu < 2 else set()))
    (a, log_a), (b, log_b) = panels([-2.0, -1.0]), panels(upper)
    return torch.cat([a, b])[:, None], torch.cat([log_a, log_b])


def test_n5_a_flat_forward_kl() -> None:
    """Laplace(nu, 1): KL + H(P) - log 2 = E|z - nu| = 1.5 on the whole of [-1, 1], 1.52 at 1.2."""
    for nu, expected in ((0.0, 1.5), (0.5, 1.5), (1.0, 1.5), (-0.7, 1.5), (1.2, 1.52)):
        parameters = {"loc": t(nu), "scale": t(1.0)}
        found = float(still(ForwardKL(), LAPLACE, two_blocks, block_rule(nu), parameters)) - math.log(2)
        assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("divergence", [ChiSquare(), Alpha(2.0)], ids=repr)
def test_n5_a_strict_chi_square(divergence: Divergence) -> None:
    """Laplace(nu, 4): int p^2/q from the objective, half its logarithm."""
    for nu, expected in ((0.0, 5.8351337), (1.0, 6.0184333), (-1.0, 6.0184333)):
        parameters = {"loc": t(nu), "scale": t(4.0)}
        found = math.exp(2 * float(still(divergence, LAPLACE, two_blocks, block_rule(nu), parameters)))
        assert found == pytest.approx(expected, abs=1e-7)


def test_n6_product_laplace_guides_find_medians() -> None:
    """Forward KL to a skew-normal law: zero slope at the median, by scipy, and not at the mean."""
    for a in (1.0, 3.0):
        median, mean = stats.skewnorm.ppf(0.5, a), stats.skewnorm.mean(a)
        for nu, flat in ((median, True), (mean, False)):
            z, log_weight = panels(np.concatenate([np.linspace(-10.0, nu, 21), np.linspace(nu, 10.0, 21)[1:]]))
            loc = t(nu).requires_grad_()
            loss = still(
                ForwardKL(), LAPLACE, lambda z, a=a: skew_normal(a)(z[..., 0]), (z[:, None], log_weight),
                {"loc": loc, "scale": t(0.5)},
            )  # fmt: skip
            slope = float(torch.autograd.grad(loss, loc)[0])
            assert abs(slope) < 1e-10 if flat else abs(slope) > 0.01


_half = panels([0.0, 1, 2, 3, 4, 6, 8, 10, 14, 18, 24, 30, 40], 24)
LAPLACE_BASE = (torch.cat([_half[0], -_half[0]])[:, None], torch.cat([_half[1], _half[1]]))
_line = trapezoid(-9.0, 9.0, 401)
NORMAL_BASE = (_line[0][:, None], _line[1])

N9 = {
    1.0: (0.64558, 0.58885, 0.56354, 0.56419),
    2.0: (1.04330, 0.86833, 0.70919, 0.71365),
    3.0: (1.38482, 1.06547, 0.75071, 0.75694),
    4.0: (1.68617, 1.22071, 0.76891, 0.77406),
    5.0: (1.94830, 1.34791, 0.77988, 0.78239),
}


@pytest.mark.parametrize("a", N9)
def test_n9_a_skewed_target_misses_the_mean_by_known_amounts(a: float) -> None:
    """Reverse KL by Laplace(nu, 1), N(nu, 1), N(nu, sigma^2); forward KL by a normal law finds the mean."""

    def log_p(z: Tensor) -> Tensor:
        return skew_normal(a)(z[..., 0])

    def fixed(family: LocationScale, rule: tuple[Tensor, Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda x: moving(ReverseKL(), family, log_p, rule, {"loc": x, "scale": t(1.0)})

    def free(x: Tensor) -> Tensor:
        return moving(ReverseKL(), NORMAL, log_p, NORMAL_BASE, {"loc": x[:1], "scale": x[1:].exp()})

    def forward(x: Tensor) -> Tensor:
        return still(ForwardKL(), NORMAL, log_p, NORMAL_BASE, {"loc": x[:1], "scale": x[1:].exp()})

    found = (
        minimize(fixed(LAPLACE, LAPLACE_BASE), [0.5])[0][0],
        minimize(fixed(NORMAL, NORMAL_BASE), [0.5])[0][0],
        minimize(free, [0.5, -0.2])[0][0],
        minimize(forward, [0.5, -0.2])[0][0],
    )
    assert found == pytest.approx(N9[a], abs=6e-6)
    assert found[3] == pytest.approx(stats.skewnorm.mean(a), abs=1e-10)


def discs() -> tuple[Tensor, Tensor]:
    """Uniform on two discs of radius 1 at +-(10, 10): polar rule, 30 x 64 nodes on each."""
    radius, log_weight = panels([0.0, 1.0], 30)
    angle = torch.arange(64, dtype=torch.float64) * 2 * math.pi / 64
    ring = torch.stack([radius[:, None] * angle.cos(), radius[:, None] * angle.sin()], -1).reshape(-1, 2)
    log_area = (log_weight + radius.log() + math.log(2 * math.pi / 64))[:, None].expand(-1, 64).reshape(-1)
    return torch.cat([ring + 10.0, ring - 10.0]), torch.cat([log_area, log_area])


def test_discs_a_flat_chi_square_with_free_scales() -> None:
    """Product Laplace: log int p^2/q = 6.15608023 at b = 10.02492, the same along (s, -s) up to |s| = 8 at least."""
    family, rule = LocationScale(2, "laplace", "diagonal"), discs()

    def loss(x: float, y: float, log_scale: float) -> float:
        parameters = {"loc": t(x, y), "scale": t(log_scale, log_scale).exp()}
        uniform = torch.full((len(rule[0]),), -math.log(2 * math.pi), dtype=torch.float64)
        return 2 * float(still(ChiSquare(), family, lambda z: uniform, rule, parameters))

    best = optimize.minimize_scalar(
        lambda s: loss(0.0, 0.0, s), bounds=(2.0, 2.6), method="bounded", options={"xatol": 1e-9}
    )
    assert math.exp(best.x) == pytest.approx(10.02492, abs=6e-6)
    assert best.fun == pytest.approx(6.15608023, abs=1e-8)
    for s in (-8.0, -3.0, 3.0, 8.0):
        assert loss(s, -s, best.x) == pytest.approx(best.fun, abs=1e-12)
    assert loss(9.5, -9.5, best.x) > best.fun + 1e-3 and loss(1.0, 1.0, best.x) > best.fun + 1e-3


@pytest.mark.parametrize("alpha", [1.1, 2.0, 5.0])
def test_n8_a_normal_guide_must_be_wide_enough_for_orders_above_one(alpha: float) -> None:
    """Finite if and only if sigma_q^2 > sigma_p^2 (alpha - 1) / alpha; just above, the closed form by quadrature."""
    threshold = 2.25 * (alpha - 1) / alpha
    zero = torch.zeros(1, dtype=torch.float64)

    def exact(variance: float, shift: float) -> float:
        wide, guide = (torch.full((1, 1), v, dtype=torch.float64) for v in (2.25, variance))
        return float(Alpha(alpha).exact(GaussianPair(zero, wide, zero + shift, guide)))

    assert exact(threshold * (1 - 1e-6), 0.0) == math.inf
    assert math.isfinite(exact(threshold * (1 + 1e-6), 0.0))
    rule = trapezoid(-60.0, 60.0, 8001)
    variance = 1.5 * threshold
    found = still(
        Alpha(alpha), NORMAL, lambda z: -0.5 * z[..., 0] ** 2 / 2.25 - 0.5 * math.log(2 * math.pi * 2.25),
        (rule[0][:, None], rule[1]), {"loc": t(0.3), "scale": t(math.sqrt(variance))},
    )  # fmt: skip
    assert math.expm1(alpha * (alpha - 1) * float(found)) / (alpha * (alpha - 1)) == pytest.approx(
        exact(variance, 0.3), rel=1e-9
    )
