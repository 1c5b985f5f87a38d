"""Normal guides in the plane under reverse KL: the ring (N7), the swap target, the crescent, a threefold target."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import optimize, special
from torch import Tensor

from pyro_symvi.divergences import ReverseKL
from pyro_symvi.families import LocationScale
from tests.divergences.quadrature import hessian, minimize, moving, panels, plane, t, trapezoid

DIAGONAL, FULL = LocationScale(2, "normal", "diagonal"), LocationScale(2)


def diagonal(x: Tensor) -> dict[str, Tensor]:
    return {"loc": x[:2], "scale": x[2:].exp()}


def full(x: Tensor) -> dict[str, Tensor]:
    rows = [torch.stack([x[2].exp(), 0 * x[3]]), torch.stack([x[3], x[4].exp()])]
    return {"loc": x[:2], "scale": torch.stack(rows)}


def ring(z: Tensor) -> Tensor:
    return -2 * (z.norm(dim=-1) - 5) ** 2


def ring_log_normaliser() -> float:
    """2 pi int_0^inf r exp(-2 (r - 5)^2) dr, with error functions."""
    s = 0.5
    return math.log(
        2 * math.pi * (s * s * math.exp(-(5**2) / (2 * s * s)) + 5 * s * math.sqrt(2 * math.pi) * special.ndtr(5 / s))
    )


def test_n7_a_ring_is_elliptical_and_not_unimodal() -> None:
    """Centred: 8 sigma - 20 sqrt(pi/2) - 2/sigma = 0, KL 9.256314; off centre a circle of optima at KL 1.728594."""
    radius, log_weight = panels(np.linspace(0.0, 10.0, 21))
    rule = (torch.stack([radius, 0 * radius], -1), log_weight + (2 * math.pi * radius).log())
    isotropic = LocationScale(2, "normal", "isotropic")
    x, centred = minimize(
        lambda x: moving(ReverseKL(), isotropic, ring, rule, {"loc": t(0.0, 0.0), "scale": x.exp()[0]}), [1.0]
    )
    root = optimize.brentq(lambda s: 8 * s - 20 * math.sqrt(math.pi / 2) - 2 / s, 1.0, 5.0, xtol=1e-13)
    assert math.exp(x[0]) == pytest.approx(root, abs=1e-9) and root == pytest.approx(3.211139, abs=1e-6)
    assert centred + ring_log_normaliser() == pytest.approx(9.256314, abs=1e-6)

    grid = plane(trapezoid(-8.5, 8.5, 161), trapezoid(-8.5, 8.5, 161))
    x, aside = minimize(lambda x: moving(ReverseKL(), DIAGONAL, ring, grid, diagonal(x)), [4.7, 0.1, -0.6, 0.5])
    assert aside + ring_log_normaliser() == pytest.approx(1.728594, abs=1e-6)
    assert math.hypot(x[0], x[1]) == pytest.approx(4.72930, abs=1e-5)
    assert np.exp(x[2:]) == pytest.approx((0.525886, 1.720611), abs=1e-6)
    assert abs(x[1]) < 1e-6  # a diagonal scale fits best on an axis


def two_ridges(z: Tensor) -> Tensor:
    """1/2 N((1.5, 0), diag(36, 1)) + 1/2 N((0, 1.5), diag(1, 36)): unchanged by swapping the coordinates."""
    a, b = z[..., 0], z[..., 1]
    ridges = [((a - 1.5) / 6) ** 2 + b**2, a**2 + ((b - 1.5) / 6) ** 2]
    return (-0.5 * torch.stack(ridges)).logsumexp(0) - math.log(24 * math.pi)


def test_a_swap_symmetric_target_with_a_lopsided_optimum() -> None:
    """.473470 at nu = (1.12418, .01379), sd (5.24839, 1.14983), and its mirror image; the best symmetric fit .673930.

    1,001 x 201 nodes on +-8 sd: ridges of width 1 are five nodes wide at the largest scale.
    """
    rule = plane(trapezoid(-8.0, 8.0, 1001), trapezoid(-8.0, 8.0, 201))

    def loss(x: Tensor) -> Tensor:
        return moving(ReverseKL(), DIAGONAL, two_ridges, rule, diagonal(x))

    x, value = minimize(loss, [1.1, 0.0, 1.65, 0.14])
    assert value == pytest.approx(0.473470, abs=1e-6)
    assert x[:2] == pytest.approx((1.12418, 0.01379), abs=1e-5)
    assert np.exp(x[2:]) == pytest.approx((5.24839, 1.14983), abs=1e-5)
    assert float(np.linalg.eigvalsh(hessian(loss, x))[0]) > 0

    square = plane(trapezoid(-8.0, 8.0, 301), trapezoid(-8.0, 8.0, 301))

    def tied(y: Tensor) -> Tensor:
        return moving(ReverseKL(), DIAGONAL, two_ridges, square, diagonal(torch.stack([y[0], y[0], y[1], y[1]])))

    _, symmetric = minimize(tied, [0.2, 0.7])
    assert symmetric == pytest.approx(0.673930, abs=1e-6)


def hermite(nodes: int) -> tuple[Tensor, Tensor]:
    """Gauss-Hermite nodes, the log weights of a rule for Lebesgue measure: for smooth targets alone."""
    x, w = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(nodes))
    return x, w.log() + x**2 / 2


def covariance_of(loss: Callable[[Tensor], Tensor], start: list[float]) -> tuple[np.ndarray, Tensor]:
    x, _ = minimize(loss, start)
    scale = full(torch.from_numpy(x))["scale"]
    return x[:2], scale @ scale.mT


def test_the_crescent() -> None:
    """z1 ~ N(0, 100), z2 ~ N(.03 (z1^2 - 100), 1): nu2 = -2.5399336, S = diag(15.335548, 1)."""
    rule = plane(hermite(20), hermite(20))  # a polynomial of degree 4: exact

    def log_p(z: Tensor) -> Tensor:
        return -0.5 * (z[..., 0] / 10) ** 2 - 0.5 * (z[..., 1] - 0.03 * (z[..., 0] ** 2 - 100)) ** 2

    loc, covariance = covariance_of(
        lambda x: moving(ReverseKL(), FULL, log_p, rule, full(x)), [0.1, -1.0, 1.0, 0.1, 0.1]
    )
    assert loc == pytest.approx((0.0, -2.5399336), abs=1e-7)
    assert covariance.numpy() == pytest.approx(np.diag([15.335548, 1.0]), abs=1e-6)


def test_a_threefold_target_pins_the_correlation() -> None:
    """p = exp(-sum_j exp(1.3 u_j . A^-1 z)), three u_j at 120 degrees: S = (2 W(1/3) / 1.69) A A^T."""
    A = torch.tensor([[1.0, 0.0], [2.0, 1.0]], dtype=torch.float64)
    angles = [0.3 + 2 * math.pi * j / 3 for j in range(3)]
    directions = torch.tensor([[math.cos(a), math.sin(a)] for a in angles], dtype=torch.float64)
    rule = plane(hermite(30), hermite(30))

    def log_p(z: Tensor) -> Tensor:
        return -(1.3 * z @ torch.linalg.inv(A).mT @ directions.mT).exp().sum(-1)

    loc, covariance = covariance_of(
        lambda x: moving(ReverseKL(), FULL, log_p, rule, full(x)), [0.1, -0.1, -0.3, 0.5, -0.3]
    )
    factor = 2 * float(special.lambertw(1 / 3).real) / 1.69
    assert factor == pytest.approx(0.3048847965, abs=1e-10)
    assert loc == pytest.approx((0.0, 0.0), abs=1e-9)
    assert covariance.numpy() == pytest.approx(factor * (A @ A.mT).numpy(), abs=1e-9)
    assert float(covariance[0, 1] / (covariance[0, 0] * covariance[1, 1]).sqrt()) == pytest.approx(2 / math.sqrt(5))
