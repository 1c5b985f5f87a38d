"""Weighted draws, their tail index, the proposal."""

import math

import pytest
import torch

from pyro_symvi.density import LogDensity
from pyro_symvi.density._importance import RELIABLE, pareto_k, weighted_draws
from pyro_symvi.density._proposal import Proposal
from pyro_symvi.recovery.evidence.residuals import Scale
from tests.recovery.targets import log_gamma, log_gamma_moments, mixture, mixture_moments, normal, student_t, vector


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def unit(dim: int, size: float = 1.0) -> Scale:
    return Scale(torch.zeros(dim, dtype=torch.float64), size * torch.eye(dim, dtype=torch.float64))


@pytest.mark.parametrize("k", [0.2, 0.5, 0.7, 1.0, 1.5])
def test_pareto_k_of_exact_generalised_pareto_draws(k: float) -> None:
    """Standard error of the estimate from 600 tail values: (1 + k)/sqrt(600) (Smith, 1987), plus the prior's pull of
    10/(600 + 10) towards 1/2; four of them over 8 repetitions."""
    n = 40_000
    estimates = []
    for seed in range(8):
        u = torch.rand(n, dtype=torch.float64, generator=generator(seed))
        estimates.append(pareto_k(((1 - u) ** -k / k).log()))  # Pareto: exactly generalised Pareto above any cutoff
    se = (1 + k) / math.sqrt(3 * math.sqrt(n)) / math.sqrt(8)
    assert sum(estimates) / 8 == pytest.approx(k, abs=4 * se + abs(k - 0.5) * 10 / 610)


def test_pareto_k_does_not_depend_on_a_constant_factor() -> None:
    logs = torch.randn(4096, dtype=torch.float64, generator=generator())
    assert pareto_k(logs + 700) == pytest.approx(pareto_k(logs), abs=1e-9)


def test_pareto_k_where_there_is_no_tail_to_fit() -> None:
    assert pareto_k(torch.zeros(1000, dtype=torch.float64)) == -math.inf
    assert pareto_k(torch.full((1000,), -math.inf, dtype=torch.float64)) == math.inf
    assert pareto_k(torch.zeros(20, dtype=torch.float64)) == math.inf
    logs = torch.zeros(1000, dtype=torch.float64)
    logs[3] = math.nan
    assert pareto_k(logs) == math.inf
    one = torch.full((1000,), -1e4, dtype=torch.float64)
    one[0] = 0.0
    assert pareto_k(one) == math.inf


def test_the_proposal_is_a_mixture_of_t5() -> None:
    """Against torch's univariate t, and its draws against its own moments (four standard errors)."""
    proposal = Proposal(vector(-1.0, 4.0)[:, None], vector(1.0, 0.5)[:, None, None], vector(0.25, 0.75))
    z = torch.linspace(-20, 20, 101, dtype=torch.float64)
    parts = [
        math.log(share) + torch.distributions.StudentT(vector(5.0), loc, scale).log_prob(z)
        for share, loc, scale in ((0.25, -1.0, 1.0), (0.75, 4.0, 0.5))
    ]
    torch.testing.assert_close(proposal.log_prob(z[:, None]), torch.stack(parts).logsumexp(0))
    torch.testing.assert_close(proposal.responsibilities(z[:, None]).sum(-1), torch.ones_like(z))
    draws = proposal.sample(20_000, generator())[:, 0]
    mean = 0.25 * -1 + 0.75 * 4
    variance = 0.25 * (5 / 3 + 1) + 0.75 * (0.25 * 5 / 3 + 16) - mean**2
    assert float(draws.mean()) == pytest.approx(mean, abs=4 * math.sqrt(variance / 20_000))


def test_the_multivariate_density_integrates_to_one() -> None:
    root = torch.tensor([[1.0, 0.0], [0.7, 0.4]], dtype=torch.float64)
    proposal = Proposal.at([Scale(vector(0.5, -0.5), root)])
    broad = Proposal.at([Scale(vector(0.0, 0.0), 2 * torch.eye(2, dtype=torch.float64))])
    z = broad.sample(40_000, generator())
    ratio = (proposal.log_prob(z) - broad.log_prob(z)).exp()
    assert float(ratio.mean()) == pytest.approx(1.0, abs=4 * float(ratio.std()) / 200)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("shape", [2.0, 5.0])
def test_moments_of_a_skewed_law_whatever_the_guides_scale(size: float, shape: float) -> None:
    """The curvature at the mode is a second start; mean and sd within 4 standard errors of n = 4000 effective draws."""
    mean, sd = log_gamma_moments(shape)
    mode = Scale(vector(math.log(shape)), vector(shape**-0.5)[:, None])
    density = LogDensity.from_callable(log_gamma(shape), 1)
    draws = weighted_draws(density, unit(1, size), others=[mode], generator=generator())
    assert draws.reliable
    se = sd / math.sqrt(draws.effective)
    assert float(draws.mean[0]) == pytest.approx(mean, abs=5 * se)
    assert float(draws.sd[0]) == pytest.approx(sd, rel=0.1)
    assert float(draws.sd_low[0]) < sd
    assert float(draws.sd_low[0]) > 0.8 * sd


def test_scales_of_many_orders_of_magnitude() -> None:
    scales = vector(1e-8, 1.0, 1e8)
    density = LogDensity.from_callable(lambda z: normal(z / scales), 3)
    start = Scale(vector(0, 0, 0), torch.diag(2 * scales))
    draws = weighted_draws(density, start, generator=generator())
    torch.testing.assert_close(draws.sd / scales, torch.ones(3, dtype=torch.float64), rtol=0.06, atol=0.0)


def test_a_far_component_keeps_its_share() -> None:
    law = ([0.999, 0.001], [[0.0, 0.0], [50.0, 0.0]], [1.0, 1.0])
    density = LogDensity.from_callable(mixture(*law), 2)
    far = Scale(vector(50.0, 0.0), torch.eye(2, dtype=torch.float64))
    draws = weighted_draws(density, unit(2), others=[far], generator=generator())
    mean, sd = mixture_moments(*law)
    assert float(draws.proposal.shares.min()) > 0.04
    assert float(draws.mean[0]) == pytest.approx(float(mean[0]), rel=0.1)
    assert float(draws.sd[0]) == pytest.approx(float(sd[0]), rel=0.1)


@pytest.mark.parametrize(("df", "reliable"), [(1.0, False), (30.0, True)])
def test_tail_indices_tell_a_cauchy_target(df: float, reliable: bool) -> None:
    """Under a t(5) proposal the weights times |z| have k = (5 - df + 1)/5: 1 for a Cauchy target."""
    density = LogDensity.from_callable(student_t(df), 1)
    ks = [float(weighted_draws(density, unit(1), generator=generator(s)).k_first[0]) for s in range(4)]
    assert (sum(ks) / 4 < RELIABLE) is reliable


def test_nothing_is_concluded_where_the_density_is_undefined() -> None:
    density = LogDensity.from_callable(lambda z: torch.where(z[..., 0] > -1, normal(z), torch.nan), 1)
    assert weighted_draws(density, unit(1), generator=generator()).k == math.inf


def test_draws_repeat_with_their_generator() -> None:
    density = LogDensity.from_callable(student_t(4.0, 2), 2)
    first, second = (weighted_draws(density, unit(2), num_draws=1024, generator=generator(5)) for _ in range(2))
    assert torch.equal(first.z, second.z)
    assert first.k == second.k
