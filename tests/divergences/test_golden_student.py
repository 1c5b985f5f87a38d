"""Student-t guides and targets, to the digits of the reviewed figures: N4, N4', t with a diagonal scale, gamma^2.

Forward KL lives on the target: two narrow normal spikes, 100-point Gauss-Hermite on each. Its objective is the
cross-entropy -E_p log q, made by ``ForwardKL().score_surrogate`` and the family's density.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import optimize
from torch import Tensor

from pyro_symvi.distributions.bases import StudentT
from pyro_symvi.divergences import ForwardKL, ReverseKL
from pyro_symvi.families import LocationScale
from tests.divergences.quadrature import hessian, minimize, moving, panels, plane, t, trapezoid


def spikes(centre: float, sd: float, nodes: int, dim: int) -> tuple[Tensor, Tensor]:
    """Nodes and log masses of ``1/2 N(c, sd^2 I) + 1/2 N(-c, sd^2 I)``, c = (centre, ...)."""
    x, w = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(nodes))
    mass = (w / w.sum()).log()
    grid = torch.cartesian_prod(*[x] * dim).reshape(-1, dim)
    masses = torch.cartesian_prod(*[mass] * dim).reshape(-1, dim).sum(-1) - math.log(2)
    return torch.cat([centre + sd * grid, -centre + sd * grid]), torch.cat([masses, masses])


def cross_entropy(family: LocationScale, rule: tuple[Tensor, Tensor], parameters: dict[str, Tensor]) -> Tensor:
    return ForwardKL().score_surrogate(rule[1], family.log_prob(rule[0], parameters))


LINE = spikes(4.0, 0.5, 100, 1)


@pytest.mark.parametrize(
    ("k", "nu", "curvature"), [(3, 3.50986, -0.143040), (5, 3.20785, -0.144423), (30, 0.0, 0.213814)]
)
def test_n4_a_redescending_guide_of_fixed_scale(k: int, nu: float, curvature: float) -> None:
    """t_k(nu, 1): the centre is a maximum for k = 3, 5; the rule m^2 < k sigma^2 (16 against k) tells."""
    family = LocationScale(1, "student_t", "diagonal", df=float(k))

    def loss(x: Tensor) -> Tensor:
        return cross_entropy(family, LINE, {"loc": x, "scale": t(1.0)})

    assert hessian(loss, [0.0]).item() == pytest.approx(curvature, abs=1e-6)
    x, value = minimize(loss, [3.4 if nu else 0.3])
    assert x[0] == pytest.approx(nu, abs=5e-6)
    assert value <= float(loss(t(0.0)))


FREE = {
    3.0: (0.0, 4.00036), 2.0: (0.0, 3.99004), 1.5: (0.0, 3.98173), 1.05: (0.0, 3.97069), 1.0: (0.0, 3.96914),
    0.5: (3.90416, 0.73563), 0.2: (3.95061, 0.38379),
}  # fmt: skip


@pytest.mark.parametrize("k", FREE)
def test_n4_a_redescending_guide_of_free_scale(k: float) -> None:
    """From k = 1 up one optimum, the centre, from every start; below it the spikes."""
    family = LocationScale(1, "student_t", "diagonal", df=k)

    def loss(x: Tensor) -> Tensor:
        return cross_entropy(family, LINE, {"loc": x[:1], "scale": x[1:].exp()})

    nu, sigma = FREE[k]
    for start in ([0.3, 1.3], [4.0, -0.6], [-2.0, 0.5]):
        x, _ = minimize(loss, start)
        assert (abs(x[0]), math.exp(x[1])) == pytest.approx((nu, sigma), abs=6e-6)


def test_a_multivariate_t_with_a_diagonal_scale() -> None:
    """p = 1/2 N(+-(5, 5), .04 I): off-centre for k = 1.05 and 1.5, centred at k = 2. Values less log 2 pi."""
    rule = spikes(5.0, 0.2, 40, 2)

    def fits(k: float) -> list[tuple[np.ndarray, float]]:
        family = LocationScale(2, StudentT(k, spherical=True), "diagonal")

        def loss(x: Tensor) -> Tensor:
            return cross_entropy(family, rule, {"loc": x[:2], "scale": x[2:].exp()}) - math.log(2 * math.pi)

        return [minimize(loss, start) for start in ([0.0, 0.0, 1.5, 1.5], [4.9, 4.9, -0.6, -0.6])]

    centred, aside = fits(1.5)
    assert centred[1] == pytest.approx(4.702333, abs=1e-6) and aside[1] == pytest.approx(4.264427, abs=1e-6)
    assert aside[0][:2] == pytest.approx((4.97190, 4.97190), abs=6e-6)
    assert np.exp(aside[0][2:]) == pytest.approx((0.52835, 0.52835), abs=6e-6)
    assert fits(1.05)[1][0][:2] == pytest.approx((4.98714, 4.98714), abs=6e-6)
    for x, value in fits(2.0):
        assert x[:2] == pytest.approx((0.0, 0.0), abs=1e-8) and value == pytest.approx(4.605971, abs=1e-6)


def test_a_product_of_t_laws_is_another_guide() -> None:
    """The default of a diagonal scale: products, which decouple; centred at k = 1.5 where the spherical law is not."""
    rule, family = spikes(5.0, 0.2, 40, 2), LocationScale(2, "student_t", "diagonal", df=1.5)

    def loss(x: Tensor) -> Tensor:
        return cross_entropy(family, rule, {"loc": x[:2], "scale": x[2:].exp()})

    for start in ([0.5, 0.0, 1.5, 1.5], [4.9, 4.9, -0.6, -0.6]):
        assert minimize(loss, start)[0][:2] == pytest.approx((0.0, 0.0), abs=1e-8)


GAMMA = {
    1: {1: 2.6698855, 2: 1.8631967, 3: 1.5881537, 10: 1.1875749},
    2: {1: 2.0224991, 2: 1.6391890, 3: 1.4718089, 10: 1.1728952},
    100: {2: 1.019992, 4: 1.019593, 6: 1.019209, 8: 1.018841, 10: 1.018486, 20: 1.016900},
}


@pytest.mark.parametrize("dim", GAMMA)
def test_the_scale_of_a_normal_fit_to_a_t_target(dim: int) -> None:
    """Reverse KL, S = gamma^2 M. Radial rule: nodes (r, 0, ...), 20-point Gauss-Legendre panels, weight r^(d-1)."""
    radius, log_weight = panels(np.linspace(0.0, 12.0, 25) if dim <= 2 else np.linspace(5.0, 15.0, 9))
    nodes = torch.zeros(len(radius), dim, dtype=torch.float64)
    nodes[:, 0] = radius
    area = math.log(2) + dim / 2 * math.log(math.pi) - math.lgamma(dim / 2)
    rule, loc = (nodes, log_weight + area + (dim - 1) * radius.log()), torch.zeros(dim, dtype=torch.float64)
    guide = LocationScale(dim, "normal", "isotropic")
    for k, expected in GAMMA[dim].items():
        target = LocationScale(dim, "student_t", "isotropic", df=float(k))
        unit = {"loc": loc, "scale": torch.ones((), dtype=torch.float64)}
        log_p: Callable[[Tensor], Tensor] = lambda z, law=target, at=unit: law.log_prob(z, at)  # noqa: E731

        def slope(x: float, log_p: Callable[[Tensor], Tensor] = log_p) -> float:
            leaf = torch.tensor(x, dtype=torch.float64, requires_grad=True)
            value = moving(ReverseKL(), guide, log_p, rule, {"loc": loc, "scale": leaf.exp()})
            return float(torch.autograd.grad(value, leaf)[0])

        log_gamma = optimize.newton(slope, 0.01 if dim > 2 else 0.4, x1=0.012 if dim > 2 else 0.3, tol=1e-12)
        assert math.exp(2 * log_gamma) == pytest.approx(expected, abs=1e-7 if dim <= 2 else 6e-7)


def test_variances_of_a_mean_field_fit_to_a_correlated_t_target() -> None:
    """t_10 with correlation .9: S_ii = .2500999, far below 1."""
    root = torch.linalg.cholesky(torch.tensor([[1.0, 0.9], [0.9, 1.0]], dtype=torch.float64))
    target, guide = LocationScale(2, "student_t", "full", df=10.0), LocationScale(2, "normal", "diagonal")
    rule = plane(trapezoid(-9.0, 9.0, 81), trapezoid(-9.0, 9.0, 81))

    def loss(x: Tensor) -> Tensor:
        parameters = {"loc": x[:2], "scale": x[2:].exp()}
        return moving(
            ReverseKL(), guide, lambda z: target.log_prob(z, {"loc": t(0.0, 0.0), "scale": root}), rule, parameters
        )

    x, _ = minimize(loss, [0.1, 0.1, -0.7, -0.7])
    assert x[:2] == pytest.approx((0.0, 0.0), abs=1e-10)
    assert np.exp(2 * x[2:]) == pytest.approx((0.2500999, 0.2500999), abs=1e-7)
