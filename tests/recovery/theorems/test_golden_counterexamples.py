"""Counterexamples in numbers, recomputed by quadrature or in closed form: why a claim is refused, not only that it is.

Those of the golden table (N1 to N10, spheres, tuples, discs, swaps) are in tests/divergences/test_golden_*.py.
"""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, optimize, special
from torch import Tensor

from pyro_symvi.divergences import Alpha, ForwardKL, GaussianPair, ReverseKL
from pyro_symvi.families import LocationScale
from tests.divergences.quadrature import minimize, panels, t, trapezoid
from tests.divergences.targets import logistic


def test_2_a_disc_guide_is_free_in_one_direction() -> None:
    """p ~ exp(-max(|z1| - 5, 0) - |z2|), reverse KL: -2 log s + E max(|nu + s x| - 5, 0) + s 4/(3 pi).

    The optimal scale is 3 pi / 2, and every |nu| <= 5 - 3 pi / 2 = 0.2876 is as good.
    """
    x, log_w = panels([-1.0, -0.5, 0.0, 0.5, 1.0], 60)
    mass = (2 / math.pi * (1 - x**2).sqrt() * log_w.exp()).numpy()

    def loss(s: float, nu: float) -> float:
        excess = np.maximum(np.abs(nu + s * x.numpy()) - 5, 0)
        return -2 * math.log(s) + float(mass @ excess) + s * float(mass @ np.abs(x.numpy()))

    best = optimize.minimize_scalar(loss, bounds=(1.0, 8.0), args=(0.0,), method="bounded", options={"xatol": 1e-10})
    assert best.x == pytest.approx(3 * math.pi / 2, abs=1e-3)
    flat = [loss(3 * math.pi / 2, nu) for nu in (0.0, 0.1, -0.2, 0.2876)]
    assert max(flat) - min(flat) == 0.0
    assert loss(3 * math.pi / 2, 0.4) > flat[0] + 1e-5


def test_16_learned_degrees_of_freedom_leave_the_centre() -> None:
    """Two normals at +-4 of sd 0.05, forward KL, t_k(nu, s), all three free: k = 0.267 on one of them."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    z = np.concatenate([4 + 0.05 * nodes, -4 + 0.05 * nodes])
    mass = np.concatenate([weights, weights]) / (2 * weights.sum())

    def loss(v: np.ndarray) -> float:
        nu, s, k = v[0], math.exp(v[1]), math.exp(v[2])
        constant = special.gammaln((k + 1) / 2) - special.gammaln(k / 2) - 0.5 * math.log(k * math.pi) - math.log(s)
        return -constant + (k + 1) / 2 * float(mass @ np.log1p(((z - nu) / s) ** 2 / k))

    found = optimize.minimize(loss, [3.9, -3.0, -1.2], method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-13})
    assert (found.x[0], math.exp(found.x[1]), math.exp(found.x[2])) == pytest.approx(
        (3.99943, 0.04590, 0.26745), abs=2e-5
    )
    assert found.fun == pytest.approx(2.507524, abs=1e-6)
    gaussian = 0.5 * math.log(2 * math.pi * math.e * (16 + 0.05**2))
    assert gaussian == pytest.approx(2.805311, abs=1e-5) and found.fun < gaussian - 0.29


def lattice_optimum(shifts: tuple[float, ...], a: float) -> float:
    """Location of the optimum of (1/(1-a)) E log mean w^(1-a), draws at u + shifts mod 1, logistic target."""
    u = (np.arange(20000) + 0.5) / 20000
    noise = torch.from_numpy(np.stack([special.ndtri((u + shift) % 1.0) for shift in shifts]))

    def loss(v: Tensor) -> Tensor:
        log_w = logistic(v[0] + v[1].exp() * noise) + 0.5 * noise**2 + v[1]
        return -torch.logsumexp((1 - a) * log_w, 0).mean() / (1 - a)

    return float(minimize(loss, [0.01, 0.3])[0][0])


@pytest.mark.parametrize(("a", "expected"), [(2.0, -3.2e-4), (4.0, -1.37e-3)])
def test_33_a_lattice_that_is_not_symmetric(a: float, expected: float) -> None:
    assert lattice_optimum((0.0, 0.1, 0.3), a) == pytest.approx(expected, abs=1e-5)
    for closed in ((0.0, 0.25), (0.0, 0.2, 0.4)):
        assert abs(lattice_optimum(closed, a)) < 1e-6


@pytest.mark.parametrize(("a", "expected"), [(0.0, 0.82), (0.25, 0.27)])
def test_8_a_coupled_pair_on_a_laplace_target(a: float, expected: float) -> None:
    """The pair (xi, -xi) inside the tuple, normal guide, both parameters free."""
    noise, log_dx = trapezoid(-9.0, 9.0, 6001)
    mass = (log_dx - 0.5 * noise**2 - 0.5 * math.log(2 * math.pi)).exp()

    def loss(v: Tensor) -> Tensor:
        pair = torch.stack([noise, -noise])
        log_w = -(v[0] + v[1].exp() * pair).abs() + 0.5 * pair**2 + v[1]
        return -(mass * torch.logsumexp((1 - a) * log_w, 0)).sum() / (1 - a)

    def value(v: np.ndarray) -> float:
        return float(loss(torch.from_numpy(v)))

    found = optimize.minimize(value, np.array([1.0, 0.3]), method="Nelder-Mead", options={"xatol": 1e-8})
    assert abs(found.x[0]) == pytest.approx(expected, abs=6e-3)
    centred = optimize.minimize_scalar(lambda s: value(np.array([0.0, s])), bounds=(-2, 2), method="bounded")
    assert found.fun < centred.fun - 1e-6


def test_28_total_variation_of_a_cyclic_shift() -> None:
    """Weights exp(-0.1 j) on a cycle of 200: the bound for involutions fails, the general one holds."""
    p = np.exp(-0.1 * np.arange(200))
    p /= p.sum()
    shifted = np.roll(p, 1)
    tv, residual = 0.5 * np.abs(p - shifted).sum(), np.abs(np.log(shifted / p))
    eta = p[residual > 0.1 + 1e-9].sum()
    backward = np.roll(p, -1)
    eta = min(eta, p[np.abs(np.log(backward / p)) > 0.1 + 1e-9].sum())
    assert tv == pytest.approx(0.09516, abs=1e-5)
    assert tv > math.expm1(0.1) / 2 + eta
    assert tv <= -math.expm1(-0.1) + eta + 1e-12


def test_10_a_renyi_divergence_of_negative_order_falls() -> None:
    """p = N(0, 1), q = N(nu, 0.64), order -1: D rises with nu, R = log(1 + 2 D) / (-2) falls."""
    d, r = [], []
    for nu in (0.0, 0.5, 1.0):
        value, _ = integrate.quad(
            lambda z, nu=nu: (
                math.exp(0.5 * z**2 - (z - nu) ** 2 / 0.64) * math.sqrt(2 * math.pi) / (2 * math.pi * 0.64)
            ),
            -30,
            30,
        )
        d.append((value - 1) / 2)
        r.append(math.log(value) / -2)
        pair = GaussianPair(t(0.0), t(1.0)[None], t(nu), t(0.64)[None])
        assert float(Alpha(-1.0).exact(pair)) == pytest.approx(d[-1], rel=1e-9)
    assert d == pytest.approx([0.0359, 0.1441, 0.6180], abs=6e-5)
    assert r == pytest.approx([-0.0347, -0.1266, -0.4023], abs=6e-5)


def test_a_flat_topped_guide_is_flat_on_a_narrow_target() -> None:
    """q0 ~ exp(-max(|x| - 1, 0)), p uniform on [-0.1, 0.1], forward KL: constant for |nu| <= 0.9."""
    z = np.linspace(-0.1, 0.1, 401)

    def loss(nu: float) -> float:
        return float(np.maximum(np.abs(z - nu) - 1, 0).mean())

    assert [loss(nu) for nu in (-0.9, 0.0, 0.5, 0.9)] == [0.0] * 4
    assert loss(1.1) > 0.05


LAPLACE = LocationScale(1, "laplace", "diagonal")


@pytest.mark.parametrize("start", [0.3, -1.0, 2.5])
def test_an_even_log_concave_pair_is_centred_under_jeffreys(start: float) -> None:
    """Logistic target, Laplace guide, KL both ways: the theorem on pairs holds outside the alpha family."""
    z, log_dz = panels(list(np.linspace(-40.0, 40.0, 41)), 20)
    log_p = logistic(z)

    def loss(v: Tensor) -> Tensor:
        log_q = LAPLACE.log_prob(z[:, None], {"loc": v[:1], "scale": v[1:].exp()})
        return ((log_dz.exp()) * (log_p.exp() - log_q.exp()) * (log_p - log_q)).sum()

    found = optimize.minimize(
        lambda v: float(loss(torch.from_numpy(v))),
        np.array([start, 0.4]),
        method="Nelder-Mead",
        options={"xatol": 1e-9},
    )
    assert abs(found.x[0]) < 2e-3  # kinks of the guide move over nodes


@pytest.mark.parametrize("a", [0.0, 0.5])
def test_an_even_log_concave_pair_is_centred_with_two_independent_draws(a: float) -> None:
    """Laplace target, logistic guide, K = 2: the rule on two axes; the kink of p costs digits."""
    half, log_dx = trapezoid(-25.0, 25.0, 301)
    law = LocationScale(1, "logistic", "diagonal")
    log_base = law.log_base(half[:, None])
    mass = (log_base + log_dx).exp()

    def loss(v: Tensor) -> Tensor:
        log_w = -(v[0] + v[1].exp() * half).abs() - log_base + v[1]
        pair = torch.logaddexp((1 - a) * log_w[:, None], (1 - a) * log_w)
        return -(mass[:, None] * mass * pair).sum() / (1 - a)

    for start in (0.4,):
        found = optimize.minimize(
            lambda v: float(loss(torch.from_numpy(v))),
            np.array([start, 0.0]),
            method="Nelder-Mead",
            options={"xatol": 1e-8},
        )
        assert abs(found.x[0]) < 2e-3


def test_reverse_and_forward_kl_are_told_apart() -> None:
    """The direction of the conventions used above: KL(q || p) of narrow normals against wide ones."""
    pair = GaussianPair(t(0.0), t(4.0)[None], t(0.0), t(1.0)[None])
    reverse, forward = float(ReverseKL().exact(pair)), float(ForwardKL().exact(pair))
    assert reverse == pytest.approx(0.5 * (0.25 - 1 + math.log(4)), abs=1e-12)
    assert forward == pytest.approx(0.5 * (4 - 1 - math.log(4)), abs=1e-12)
