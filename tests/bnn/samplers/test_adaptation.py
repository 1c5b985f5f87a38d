"""Step sizes from energy errors and acceptances of known laws, moments against torch, ascent from hopeless starts."""

import math

import pytest
import torch
from torch import nn

from pyro_symvi.bnn import HeteroscedasticGaussian, NetworkPosterior, NormalPrior
from pyro_symvi.bnn._streams import stream
from pyro_symvi.bnn.samplers import MCLMC
from pyro_symvi.bnn.samplers._adaptation import DualAveraging, EnergyStep, RunningMoments
from pyro_symvi.bnn.samplers._ascent import ascend

DOUBLE = torch.float64


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def test_energy_step_solves_for_the_variance() -> None:
    """Delta E ~ N(0, dim a step^6): step = (target / a)^(1/6), each chain its own a."""
    a, dim, target = torch.tensor([0.01, 1.0, 300.0], dtype=DOUBLE), 50, 0.02
    step = EnergyStep(torch.full((3,), 0.01, dtype=DOUBLE), target, 100.0)
    z = normal(1500, 3)
    for k in range(1500):
        step.update((dim * a).sqrt() * step.current**3 * z[k], torch.ones(3, dtype=torch.bool), dim)
    truth = (target / a) ** (1 / 6)
    assert float((step.value / truth).log().abs().max()) < 0.05
    assert float((step.value / (10 * target / a) ** (1 / 6)).log().abs().min()) > 0.2


def test_energy_step_shrinks_where_densities_are_infinite_and_is_bounded() -> None:
    step = EnergyStep(torch.full((2,), 0.5, dtype=DOUBLE), 0.02, 0.7)
    for _ in range(60):
        step.update(torch.tensor([math.nan, 0.0], dtype=DOUBLE), torch.tensor([False, True]), 10)
    assert float(step.current[0]) < 1e-3
    assert math.isclose(float(step.current[1]), 0.7) and float(step.value[1]) <= 0.7


def test_dual_averaging_solves_for_the_acceptance() -> None:
    """Acceptance exp(-(step / s)^2) with noise: step = s sqrt(-log target)."""
    s = torch.tensor([0.1, 5.0], dtype=DOUBLE)
    step = DualAveraging(torch.ones(2, dtype=DOUBLE), 0.8)
    z = normal(600, 2)
    for k in range(600):
        if k == 300:
            step.restart(step.value, 1.0)
        step.update((torch.exp(-((step.current / s) ** 2)) + 0.05 * z[k]).clamp(0, 1))
    assert float((step.value / (s * math.sqrt(-math.log(0.8)))).log().abs().max()) < 0.1


def test_moments() -> None:
    x, g = 3 + normal(40, 5, 4), normal(40, 5, 4, seed=1)
    seen = RunningMoments(x[0])
    for k in range(40):
        seen.update(x[k], g[k])
    truth = x.var(0).mean(0) + x.mean(0).var(0)
    assert torch.allclose(seen.variance, truth)
    assert torch.allclose(seen.scale, (truth / g.square().mean((0, 1))) ** 0.25)


def posterior() -> NetworkPosterior:
    x = normal(60, 3)
    network = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    return NetworkPosterior(network, HeteroscedasticGaussian(), NormalPrior(1.0), x, torch.sin(x[:, 0]))


def test_ascent_from_draws_of_the_prior() -> None:
    """Where gradients differ by 1e10, each chain gets above the density of independent N(0, 1) targets."""
    target = posterior()
    start = target.sample_prior(8, generator=stream(4))
    start[0, -1] = -12.0  # a log standard deviation that makes the density tiny
    state = MCLMC().start(target, start, [stream(k) for k in range(8)])
    assert float(state.log_density.min()) < -1e8
    found = ascend(target, state, 150)
    baseline = target.log_prior(start) + float(torch.distributions.Normal(0.0, 1.0).log_prob(target.y).sum())
    assert bool((found.log_density > baseline).all())
    value, gradient = target.value_and_grad(found.position)
    assert torch.allclose(value, found.log_density) and torch.allclose(gradient, found.gradient)


def test_ascent_never_lowers_and_finds_the_mode_of_a_normal() -> None:
    class Normal:
        dim = 3

        def value_and_grad(self, theta):
            return -0.5 * (theta - 2).square().sum(-1), 2 - theta

    start = normal(5, 3) * 4
    state = MCLMC().start(Normal(), start, [stream(k) for k in range(5)])
    found = ascend(Normal(), state, 300)
    assert bool((found.log_density >= state.log_density).all())
    assert float((found.position - 2).abs().max()) < 0.1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["single", "double"])
def test_warm_up_from_one_chain_at_a_prior_draw(dtype: torch.dtype) -> None:
    x = normal(40, 3).to(dtype)
    network = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    target = NetworkPosterior(network, HeteroscedasticGaussian(), NormalPrior(1.0), x, torch.sin(x[:, 0]))
    generators = [stream(3, 0)]
    state = MCLMC().start(target, target.sample_prior(1, generator=generators[0]), generators)
    found = MCLMC().warm_up(target, state, 240, generators)
    baseline = float(torch.distributions.Normal(0.0, 1.0).log_prob(target.y).sum())
    assert float(target.log_likelihood(found.state.position)[0]) > baseline
    assert all(part.dtype == dtype for part in (*found.state, *found.tuning))
