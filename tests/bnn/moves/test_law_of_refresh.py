"""The law along an orbit against scipy, quadrature, and the change of variables from the weights."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats

from pyro_symvi.bnn.moves import OrbitLaw
from pyro_symvi.bnn.moves._orbit_law import TRIES

N = 6_000


def law(drift: float, a2: float, a1: float, b2: float, b1: float, k: float = 1.0, n: int = N) -> OrbitLaw:
    return OrbitLaw(*(torch.full((n,), v, dtype=torch.float64) for v in (drift, a2, a1, b2, b1)), k)  # type: ignore[arg-type]


def draws(of: OrbitLaw, seed: int = 0) -> torch.Tensor:
    shape = (TRIES, 2, *of.a2.shape)
    return of.draws(torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def p_value(y: torch.Tensor, log_density: Callable[[np.ndarray], np.ndarray]) -> float:
    """Kolmogorov-Smirnov against the law with this density, by quadrature; scipy's cdf would be slow."""
    spread = float(y.std())
    grid = np.linspace(float(y.min()) - 12 * spread, float(y.max()) + 12 * spread, 100_001)
    values = log_density(grid)
    density = np.exp(values - values.max())
    cdf = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return float(stats.kstest(y.numpy(), lambda v: np.interp(v, grid, cdf / cdf[-1])).pvalue)


@pytest.mark.parametrize(
    "p, q, a, b",
    [
        (2, 1, 0.5, 1.3),
        (1, 5, 2.0, 0.01),
        (16, 16, 14.0, 20.0),
        (64, 1, 1e-3, 1e3),
        (3, 2, 1e6, 1e4),
        (2, 2, 1e-9, 1e-7),
    ],
)
def test_normal_priors_give_scipys_generalised_inverse_gaussian(p: int, q: int, a: float, b: float):
    """In u = log(c^2 / sqrt(b / a)), with the Jacobian u."""
    u = draws(law(p - q, a, 0.0, b, 0.0)) * 2 - 0.5 * np.log(b / a)
    with np.errstate(over="ignore"):
        found = p_value(u, lambda v: stats.geninvgauss.logpdf(np.exp(v), (p - q) / 2, (a * b) ** 0.5) + v)
    assert found > 1e-3


CASES = {
    "laplace": (1.0, 0.0, 2.0, 0.0, 0.7, 1.0),
    "laplace in, normal out": (-3.0, 0.0, 5.0, 4.0, 0.0, 1.0),
    "mixed": (2.0, 0.3, 2.0, 1.5, 0.7, 1.0),
    "squared relu": (-1.0, 3.0, 0.0, 2.0, 0.0, 2.0),
    "squared relu, laplace": (1.0, 0.0, 3.0, 0.5, 0.2, 2.0),
    "root": (2.5, 1.0, 0.0, 0.4, 0.1, 0.5),
    "flat out": (2.0, 1.4, 0.0, 0.0, 0.0, 1.0),
    "flat in": (-2.0, 0.0, 0.0, 0.0, 3.0, 1.0),
    "faint": (0.0, 1e-12, 0.0, 0.0, 1e-8, 1.0),
    "sharp": (5.0, 1e8, 1e3, 2e7, 0.0, 1.0),
}


@pytest.mark.parametrize("name", CASES)
def test_other_laws_against_quadrature(name: str):
    one = law(*CASES[name], n=1)
    with np.errstate(over="ignore"):
        found = p_value(draws(law(*CASES[name])), lambda v: one.log_density(torch.from_numpy(v)).numpy())
    assert found > 1e-3


def test_flat_weights_out_leave_a_gamma_law():
    """Density y -> exp(D y - a e^(2 y) / 2): c^2 ~ Gamma(D / 2, rate a / 2)."""
    t = draws(law(2.0, 1.4, 0.0, 0.0, 0.0)).mul(2).exp()
    assert stats.kstest(t.numpy(), stats.gamma(1.0, scale=2 / 1.4).cdf).pvalue > 1e-3


def test_density_is_that_of_the_prior_times_the_volume():
    """Weights by hand: prior density of (c w, c^-k v) times c^(p - k q)."""
    generator = torch.Generator().manual_seed(2)
    w, u = (torch.randn(n, generator=generator, dtype=torch.float64) for n in (3, 2))
    v, k = torch.randn(4, generator=generator, dtype=torch.float64), 2.0
    a2, a1, b2 = w.square().sum() / 0.49, u.abs().sum() / 0.3, v.square().sum()
    of = law(5 - k * 4, float(a2), float(a1), float(b2), 0.0, k, n=1)
    y = torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None]
    zero = torch.zeros((), dtype=torch.float64)
    expected = torch.distributions.Normal(zero, zero + 0.7).log_prob(y.exp() * w).sum(-1)
    expected = expected + torch.distributions.Laplace(zero, zero + 0.3).log_prob(y.exp() * u).sum(-1)
    expected = expected + torch.distributions.Normal(zero, zero + 1).log_prob((-k * y).exp() * v).sum(-1)
    expected = expected + (5 - k * 4) * y[:, 0]
    found = of.log_density(y[:, 0])
    torch.testing.assert_close(found - found[2], expected - expected[2], rtol=1e-12, atol=1e-12)


def test_mode_slope_and_curvature_are_those_of_the_density():
    one = law(*CASES["mixed"], n=1)
    y = one.mode().requires_grad_()
    (slope,) = torch.autograd.grad(one.log_density(y).sum(), y, create_graph=True)
    assert abs(float(slope.detach())) < 1e-8
    (bend,) = torch.autograd.grad(slope.sum(), y)
    torch.testing.assert_close(one.moved(y.detach()).curvature, -bend, rtol=1e-10, atol=0.0)
    point = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(one.log_density(point).sum(), point)
    torch.testing.assert_close(one.slope(point.detach()), expected)


def test_proposals_are_rarely_refused():
    """At least 7 of 10 proposals are accepted, so 16 are refused with a probability below 1e-8."""
    for case in CASES.values():
        first = torch.rand((1, 2, N), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        assert float((law(*case).draws(first) == 0).double().mean()) < 0.3


def test_entries_do_not_depend_on_one_another():
    cases = torch.tensor([case[:5] for case in CASES.values() if case[5] == 1.0], dtype=torch.float64)
    together = OrbitLaw(*cases.T, 1.0)  # type: ignore[misc]
    numbers = torch.rand((TRIES, 2, len(cases)), generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    alone = [OrbitLaw(*cases[i : i + 1].T, 1.0).draws(numbers[..., i : i + 1]) for i in range(len(cases))]  # type: ignore[misc]
    assert torch.equal(together.draws(numbers), torch.cat(alone))


def test_improper_laws_stay_where_they_are():
    of = OrbitLaw(*torch.tensor([[2.0, 0, 0, 1, 0], [-1.0, 1, 0, 0, 0], [0, 1, 0, 1, 0]]).double().T, 1.0)  # type: ignore[misc]
    assert of.proper.tolist() == [False, False, True]
    assert (draws(of) == 0).tolist() == [True, True, False]
