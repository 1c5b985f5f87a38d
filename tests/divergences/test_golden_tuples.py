"""Importance-weighted bounds with two particles: coupling inside the tuple moves the optimum, independence does not.

``log mean_k w_k`` by ``estimators.importance_weighted_bound``, averaged over tuples by quadrature: a line for the pair
(xi, -xi), a square for two independent draws. Published losses are ``-E log sum_k w_k`` with the target's and the
guide's kernels unnormalised; the constants are put back.
"""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pyro_symvi.divergences import estimators
from pyro_symvi.families import LocationScale
from tests.divergences.quadrature import minimize, t, trapezoid
from tests.divergences.targets import logistic

FAMILY = LocationScale(1, scale="diagonal")
STUDENT = torch.distributions.StudentT(torch.tensor(5.0, dtype=torch.float64)).log_prob
TARGETS: dict[str, Callable[[Tensor], Tensor]] = {"logistic": logistic, "t_5": STUDENT}
KERNELS = {  # log of (kernel / density), of the target; sech^2(z/2) = 4 p, and (1 + z^2/5)^-3
    "logistic": math.log(4.0),
    "t_5": 0.5 * math.log(5 * math.pi) + math.lgamma(2.5) - math.lgamma(3.0),
}


def tuples(coupled: bool) -> tuple[Tensor, Tensor]:
    """Base draws ``[2, n]`` and log masses ``[n]``."""
    x, log_dx = trapezoid(-10.0, 10.0, 1201) if coupled else trapezoid(-9.0, 9.0, 181)
    log_mass = log_dx + FAMILY.log_base(x[:, None])
    if coupled:
        return torch.stack([x, -x]), log_mass
    pairs = torch.stack(torch.meshgrid(x, x, indexing="ij")).reshape(2, -1)
    return pairs, (log_mass[:, None] + log_mass).flatten()


def loss(log_p: Callable[[Tensor], Tensor], rule: tuple[Tensor, Tensor], nu: Tensor, log_sigma: Tensor) -> Tensor:
    noise, log_mass = rule
    parameters = {"loc": nu[None], "scale": log_sigma.exp()[None]}
    z = nu + log_sigma.exp() * noise
    log_weights = log_p(z) - FAMILY.log_prob(z[..., None], parameters)
    return -(log_mass.exp() * estimators.importance_weighted_bound(log_weights)).sum()


def fit(name: str, coupled: bool, start: list[float]) -> tuple[float, float, float]:
    x, value = minimize(lambda v: loss(TARGETS[name], rule, v[0], v[1]), start) if (rule := tuples(coupled)) else None
    kernels = KERNELS[name] - 0.5 * math.log(2 * math.pi) + math.log(2.0)
    return abs(float(x[0])), math.exp(x[1]), value - kernels


def normal(z: Tensor) -> Tensor:
    return -0.5 * z**2 - 0.5 * math.log(2 * math.pi)


def test_a_coupled_pair_breaks_the_symmetry_of_a_normal_target() -> None:
    """N(0, 1), scale held at 2: nu = +-1.531506; the curvature at the centre is -(s^2 - 1) of the bound."""
    rule, two = tuples(True), t(math.log(2.0))[0]
    x, _ = minimize(lambda v: loss(normal, rule, v[0], two), [1.0])
    assert x[0] == pytest.approx(1.531506, abs=1e-6)
    assert float(loss(normal, rule, t(x[0])[0], two)) < float(loss(normal, rule, t(0.0)[0], two))


@pytest.mark.parametrize(
    ("name", "expected", "centred"),
    [("logistic", (1.20446, 2.15640, -1.158296), -1.150991), ("t_5", (0.85543, 1.48691, None), None)],
)
def test_a_coupled_pair_breaks_the_symmetry(name: str, expected: tuple[float, float, float], centred: float) -> None:
    """Scale free: log-concave or not, the optimum lies off the centre, and the centre is worse."""
    nu, sigma, value = fit(name, True, [1.0, 0.7])
    middle = fit(name, True, [0.0, 0.4])
    assert (nu, sigma) == pytest.approx(expected[:2], abs=6e-6)
    assert middle[0] < 1e-9 and middle[2] > value + 5e-3
    if centred is not None:
        assert (value, middle[2]) == pytest.approx((expected[2], centred), abs=1e-6)


@pytest.mark.parametrize(
    ("name", "expected"), [("logistic", (0.0, 1.784123, -1.154466)), ("t_5", (0.0, 1.206749, -0.730068))]
)
def test_independent_draws_keep_the_symmetry(name: str, expected: tuple[float, float, float]) -> None:
    for start in ([0.4, 0.4], [1.2, 0.8]):
        assert fit(name, False, start) == pytest.approx(expected, abs=1e-6)
