"""Structural limits, posterior draws, finite groups, directions: against closed forms, quadrature, coverage counts."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from pyro_symvi.density import LogDensity
from pyro_symvi.density._importance import weighted_draws
from pyro_symvi.density._proposal import Scale
from pyro_symvi.recovery import Evidence
from pyro_symvi.recovery.bounds import (
    binomial_limit,
    chain_draws_bound,
    direction_bound,
    failure_set_bound,
    finite_group_bound,
    group_tau2,
    holder_limit,
    independent_draws_bound,
    structural_bound,
    tau_bound,
)
from tests.recovery.targets import mixture, normal, skew_normal, skew_normal_moments, vector


def draws_of(function, dim: int, num_draws: int = 4096):
    density = LogDensity.from_callable(function, dim)
    start = Scale(torch.zeros(dim, dtype=torch.float64), torch.eye(dim, dtype=torch.float64))
    return density, weighted_draws(density, start, num_draws=num_draws, generator=torch.Generator().manual_seed(1))


# -- structural --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.5, 1.5])
def test_a_limit_on_the_residual(epsilon: float) -> None:
    """The extreme case h ~ sign, r = -epsilon sign(h): two points with odds e^epsilon attain the bound exactly."""
    bound = structural_bound(epsilon, (0,), Evidence.PROVED, "by construction")
    p = 1 / (1 + math.exp(-epsilon))
    mean, sd = 2 * p - 1, 2 * math.sqrt(p * (1 - p))
    assert bound.at(0) == pytest.approx(mean / sd, abs=1e-14)
    assert bound.evidence is Evidence.PROVED
    assert math.isnan(bound.at(1))


def test_limits_that_are_no_premise_or_no_use() -> None:
    assert not structural_bound(0.1, (0,), Evidence.UNKNOWN).usable
    assert "wider" in structural_bound(3.0, (0,), Evidence.PROVED).refusal
    assert structural_bound(0.1, (0,), Evidence.ASSUMED).evidence is Evidence.ASSUMED
    for bad in (-1.0, math.nan):
        with pytest.raises(ValueError, match="expected epsilon"):
            structural_bound(bad, (0,), Evidence.PROVED)
    with pytest.raises(ValueError, match="probability"):
        failure_set_bound(0.1, 1.5, (0,), Evidence.PROVED)


@pytest.mark.parametrize("mass", [0.01, 0.05, 0.2])
def test_a_failure_set_may_carry_all_its_mass_to_one_side(mass: float) -> None:
    """Mass eta at +1 whose image is empty, the rest balanced at +-u: error over the bound, u chosen worst, is <= 1."""
    bound = failure_set_bound(0.0, mass, (0,), Evidence.VERIFIED).at(0)
    for u in (0.0, 0.1, 0.5, 1.0):
        mean = mass
        sd = math.sqrt(mass + (1 - mass) * u * u - mean**2)
        assert mean / sd <= bound + 1e-12
    assert bound == pytest.approx(mass / math.sqrt(mass - mass**2))  # attained at u = 0


def test_hoelder() -> None:
    assert holder_limit(2.0, 0.25) == 0.5
    with pytest.raises(ValueError, match="multiplier"):
        holder_limit(1.0, 1.2)


# -- posterior draws ---------------------------------------------------------------------------------------------


def test_the_confidence_limit() -> None:
    """Closed form at zero; kl(mean, limit) = log(1/delta)/n; below Hoeffding's square root; one at one."""
    assert binomial_limit(0.0, 100, 0.05) == pytest.approx(1 - 0.05**0.01)
    for mean, n in ((1e-4, 1000), (0.2, 50), (0.9, 20)):
        limit = binomial_limit(mean, n, 0.05)
        kl = mean * math.log(mean / limit) + (1 - mean) * math.log((1 - mean) / (1 - limit))
        assert n * kl == pytest.approx(math.log(20), rel=1e-8)
        assert limit <= mean + math.sqrt(math.log(20) / 2 / n)
    assert binomial_limit(1.0, 10, 0.05) == 1.0
    with pytest.raises(ValueError, match="confidence"):
        binomial_limit(0.1, 10, 0.0)


def test_coverage_of_the_confidence_limit() -> None:
    """Bernoulli(.02), n = 200: misses at most 5 % of 4000 times (the limit is conservative); seeded, exact binomial."""
    counts = stats.binom.rvs(200, 0.02, size=4000, random_state=np.random.default_rng(0))
    limits = {int(c): binomial_limit(c / 200, 200, 0.05) for c in set(counts)}
    assert np.mean([limits[int(c)] < 0.02 for c in counts]) <= 0.05


def skew_draws(n: int, seed: int, shape: float = 1.0) -> torch.Tensor:
    values = stats.skewnorm.rvs(shape, size=n, random_state=np.random.default_rng(seed))
    return torch.tensor(values)[:, None]


def test_independent_draws() -> None:
    density = LogDensity.from_callable(skew_normal(1.0), 1)
    mean, sd = skew_normal_moments(1.0)
    for seed in range(5):
        bound = independent_draws_bound(density, skew_draws(4000, seed), vector(0.5888455), (0,))
        assert abs(0.5888455 - mean) / sd <= bound.at(0) <= 0.12  # .0623 and its allowance
    assert bound.evidence is Evidence.ASSUMED


def test_independent_draws_see_a_far_mode_that_weighted_draws_miss() -> None:
    """(1 - 1e-2) N(0,1) + 1e-2 N(60,1): 4000 draws hold about 40 of it."""
    law = ([0.99, 0.01], [[0.0], [60.0]], [1.0, 1.0])
    density = LogDensity.from_callable(mixture(*law), 1)
    rng = np.random.default_rng(0)
    z = torch.tensor(rng.standard_normal(4000) + 60 * (rng.random(4000) < 0.01))[:, None]
    sd = math.sqrt(1 + 0.01 * 0.99 * 3600)
    assert independent_draws_bound(density, z, vector(0.0), (0,)).at(0) >= 0.6 / sd


def test_chains() -> None:
    density = LogDensity.from_callable(skew_normal(1.0), 1)
    chains = skew_draws(4000, 1).reshape(4, 1000, 1)
    mean, sd = skew_normal_moments(1.0)
    bound = chain_draws_bound(density, chains, vector(0.5888455), (0,))
    assert abs(0.5888455 - mean) / sd <= bound.at(0) <= 0.13
    stuck = chains.clone()
    stuck[0] += 3.0
    assert "do not agree" in chain_draws_bound(density, stuck, vector(0.5888455), (0,)).refusal
    slow = torch.cumsum(chains - chains.mean(1, keepdim=True), 1) / 30
    assert not chain_draws_bound(density, slow, vector(0.0), (0,)).usable
    with pytest.raises(ValueError, match="chains"):
        chain_draws_bound(density, chains[0], vector(0.0), (0,))


# -- finite groups -----------------------------------------------------------------------------------------------


def rotations(k: int) -> torch.Tensor:
    angles = 2 * math.pi * torch.arange(k, dtype=torch.float64) / k
    c, s = angles.cos(), angles.sin()
    return torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)


def test_two_elements_are_the_reflection() -> None:
    r = torch.linspace(-5, 5, 11, dtype=torch.float64)
    torch.testing.assert_close(group_tau2(torch.stack([torch.zeros_like(r), r], -1)), (r / 2).tanh().square())


def tilted(strength: float):
    """A C_3-invariant target times e^(strength x): log p = -|z|^2/2 + (x^3 - 3 x y^2)/10 e^{-|z|^2/4} + strength x."""

    def log_p(z):
        x, y = z[..., 0], z[..., 1]
        q = x**2 + y**2
        return -q / 2 + (x**3 - 3 * x * y**2) / 3 * torch.exp(-q / 4) + strength * x

    return log_p


@pytest.mark.parametrize("strength", [0.0, 0.05, 0.3])
def test_a_group_of_three_in_the_plane(strength: float) -> None:
    """The true mean by a 400 x 400 grid (spectral accuracy) lies within the bound; exact symmetry leaves its floor."""
    grid = torch.linspace(-9, 9, 401, dtype=torch.float64)
    z = torch.cartesian_prod(grid, grid)
    p = tilted(strength)(z).softmax(0)
    mean = p @ z
    sd = (p @ (z - mean).square()).sqrt()
    density, draws = draws_of(tilted(strength), 2)
    bound = finite_group_bound(density, draws, rotations(3), vector(0.0, 0.0))
    assert bool((mean.abs() / sd <= bound.values + 1e-12).all())
    assert float(bound.values.max()) < 0.12 + 2.5 * strength
    tau2 = float(p @ group_tau2(torch.stack([tilted(strength)(z @ m.mT) for m in rotations(3)], -1)))
    exact = tau_bound(math.sqrt(tau2)) * float(sd.square().sum().sqrt()) / float(sd[0])
    assert float(mean[0] / sd[0]) <= exact + 1e-12
    assert exact <= float(bound.values[0])


def test_groups_that_are_none() -> None:
    density, draws = draws_of(normal, 2, 1024)
    with pytest.raises(ValueError, match="closed"):
        finite_group_bound(density, draws, rotations(3)[:2], vector(0.0, 0.0))
    with pytest.raises(ValueError, match="orthogonal"):
        finite_group_bound(density, draws, 2 * rotations(3), vector(0.0, 0.0))
    swap = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]], dtype=torch.float64)
    assert "fixed part" in finite_group_bound(density, draws, swap, vector(0.0, 0.0)).refusal


# -- directions --------------------------------------------------------------------------------------------------


def sphere(log_density, axis: np.ndarray) -> tuple[float, float, float, float]:
    """tau, lambda, rho and the true angle between E x and the axis, by Gauss-Legendre x trapezoid on S^2."""
    t, w = np.polynomial.legendre.leggauss(120)
    phi = 2 * np.pi * np.arange(240) / 240
    s = np.sqrt(1 - t**2)[:, None]
    x = np.stack([s * np.cos(phi), s * np.sin(phi), np.broadcast_to(t[:, None], (120, 240))], -1).reshape(-1, 3)
    log_p = log_density(x)
    weights = np.exp(log_p - log_p.max()) * np.repeat(w, 240)
    weights /= weights.sum()
    image = 2 * (x @ axis)[:, None] * axis - x
    tau = math.sqrt(weights @ np.tanh((log_density(image) - log_p) / 2) ** 2)
    across = x - (x @ axis)[:, None] * axis
    lam = float(np.linalg.eigvalsh((weights[:, None] * across).T @ across)[-1])
    mean = weights @ x
    return tau, lam, float(mean @ axis), math.acos(min(1.0, float(mean @ axis) / float(np.linalg.norm(mean))))


def bent(kappa: float, bend: float):
    """exp(kappa z + bend x z^2 + .4 bend y): no axis of symmetry but nearly z."""
    return lambda x: kappa * x[:, 2] + bend * x[:, 0] * x[:, 2] ** 2 + 0.4 * bend * x[:, 1]


@pytest.mark.parametrize("kappa", [0.5, 3.0, 30.0])
@pytest.mark.parametrize("bend", [0.0, 0.05, 0.5])
def test_directions_on_the_sphere(kappa: float, bend: float) -> None:
    """The bound holds, and is within a factor of three of the angle where both are small."""
    tau, lam, rho, angle = sphere(bent(kappa, bend), np.array([0.0, 0.0, 1.0]))
    bound = direction_bound(tau, lam, rho)
    assert angle <= bound.angle + 1e-7
    if bend:
        assert bound.angle <= 3 * angle
    assert direction_bound(tau, 1.0, rho).angle >= bound.angle


@pytest.mark.parametrize("tilt", [0.01, 0.1, 0.4])
@pytest.mark.parametrize("kappa", [1.0, 10.0])
def test_a_von_mises_fisher_law_and_a_wrong_axis(tilt: float, kappa: float) -> None:
    axis = np.array([math.sin(tilt), 0.0, math.cos(tilt)])
    tau, lam, rho, angle = sphere(lambda x: kappa * x[:, 2], axis)
    assert angle == pytest.approx(tilt, abs=1e-7)
    assert tilt <= direction_bound(tau, lam, rho).angle <= 1.5 * tilt


def test_directions_that_are_refused() -> None:
    assert "separated" in direction_bound(0.1, 0.5, 0.0).refusal
    assert not direction_bound(0.1, 0.5, 0.05, rho_se=0.02).usable
    assert not direction_bound(0.1, 0.5, -0.3).usable
    assert direction_bound(0.1, 0.5, 0.2, rho_se=0.02).angle == pytest.approx(math.atan(0.1 * math.sqrt(0.5) / 0.14))
    with pytest.raises(ValueError, match="unit sphere"):
        direction_bound(1.5, 0.5, 0.5)
