"""The package's own samplers from exact draws: nothing moves the law of the chains but an error of the sampler."""

import pytest
import torch

from pyro_symvi.bnn import Draws
from pyro_symvi.bnn.identities import balancedness, equipartition, orbit_law
from pyro_symvi.bnn.samplers import HMC, MAMS, MCLMC, ChainState, Sampler, Tuning
from pyro_symvi.groups import HiddenLayer, HiddenUnitRescaling


def advanced(relu, sampler: Sampler, step_size: float, steps: int) -> Draws:
    """Every exact draw is the start of a chain; ``steps`` steps later their law is looked at."""
    posterior, draws = relu
    generator = torch.Generator().manual_seed(1)

    def random(law: str, *shape: int) -> torch.Tensor:
        make = torch.randn if law == "normal" else torch.rand
        return make(*shape, generator=generator, dtype=torch.float64)

    theta = draws.flat
    momentum = sampler._initial_momentum(random("normal", *theta.shape))
    state = ChainState(theta, *posterior.value_and_grad(theta), momentum)
    one = torch.ones((), dtype=torch.float64)
    tuning = Tuning(step_size * one, 2.5 * one, torch.ones(posterior.dim, dtype=torch.float64))
    shapes = sampler._noise_shapes(posterior.dim)
    for _ in range(steps):
        noise = {name: random(law, len(theta), *shape) for name, (law, shape) in shapes.items()}
        state, _ = sampler.step(posterior, state, tuning, noise)
    assert float(((state.position - theta).abs().amax(-1) > 0.01).double().mean()) > 0.7  # most chains have moved
    return Draws(state.position.reshape(draws.theta.shape), draws.layout, repr(sampler))


@pytest.mark.parametrize(
    "sampler, step_size, steps", [(MCLMC(), 0.1, 10), (MAMS(), 0.5, 4), (HMC(), 0.2, 3)], ids=["MCLMC", "MAMS", "HMC"]
)
def test_correct_samplers_pass(relu, sampler, step_size, steps):
    draws = advanced(relu, sampler, step_size, steps)
    for found in (balancedness(relu[0], draws), equipartition(relu[0], draws), orbit_law(relu[0], draws)):
        assert found.worst < 4.2


def test_unadjusted_steps_that_are_too_large_are_caught(relu):
    draws = advanced(relu, MCLMC(), 1.5, 8)
    for found in (balancedness(relu[0], draws), equipartition(relu[0], draws), orbit_law(relu[0], draws)):
        assert found.verdict == "violated" and found.worst > 5


def test_refreshing_along_orbits_hides_the_sampler_from_all_but_equipartition(relu):
    posterior, _ = relu
    wrong = advanced(relu, MCLMC(), 1.5, 8)
    rescaling = HiddenUnitRescaling(HiddenLayer.of_mlp([1, 2, 1]))
    law = rescaling.orbit_conditional(wrong.theta, torch.distributions.Normal(torch.tensor(0.0), torch.tensor(1.0)))
    t = law.sample(generator=torch.Generator().manual_seed(3))
    refreshed = Draws(rescaling.act(t.sqrt(), wrong.theta), wrong.layout, "refreshed")
    assert balancedness(posterior, refreshed).worst < 4.2 and orbit_law(posterior, refreshed).worst < 4.2
    assert equipartition(posterior, refreshed).worst > 5
