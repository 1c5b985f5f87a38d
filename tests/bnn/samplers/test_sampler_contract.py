"""Each sampler obeys the contract, and samplers with planted bugs do not."""

import math

import pytest
import torch

from pyro_symvi.bnn._streams import stream
from pyro_symvi.bnn.samplers import HMC, MAMS, MCLMC, Tuning
from pyro_symvi.bnn.samplers import _mams as mams_module
from pyro_symvi.bnn.samplers._integrators import Moved
from tests.contracts.sampler import CorrelatedGaussian, SamplerContract, Valley, advance, standard_scores


class TestMAMS(SamplerContract):
    sampler = MAMS()
    step_size = 0.6


class TestMAMSWithMemory(SamplerContract):
    """Trajectories of at most 3 steps, so that momentum is refreshed in part and turned round by rejections."""

    sampler = MAMS(max_steps=3, acceptance=0.8)
    step_size, steps = 0.6, 1.5


class TestHMC(SamplerContract):
    sampler = HMC()
    step_size, length = 0.35, 1.75


class TestMCLMC(SamplerContract):
    sampler = MCLMC(energy_variance=1e-3)
    step_size, tolerance = 0.2, 0.02


def of(sampler: SamplerContract, dim: int, step_size: float) -> Tuning:
    return sampler.tuning(dim)._replace(step_size=torch.tensor(step_size, dtype=torch.float64))


def test_wrong_degrees_of_freedom_in_the_energy_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The (d - 1) of Delta K taken for d."""
    right = mams_module.microcanonical_leapfrog

    def wrong(target, state, step_size, scale, steps):
        moved = right(target, state, step_size, scale, steps)
        change = moved.state.log_density - state.log_density
        dim = state.position.shape[1]
        return Moved(moved.state, (moved.energy_error + change) * dim / (dim - 1) - change)

    monkeypatch.setattr(mams_module, "microcanonical_leapfrog", wrong)
    target = CorrelatedGaussian()
    z, _ = standard_scores(MAMS(), target, of(TestMAMS(), 4, 0.6), chains=300, steps=40)
    assert float(z.abs().max()) > 7


def test_accepting_everything_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = mams_module.microcanonical_leapfrog

    def wrong(*arguments):
        moved = right(*arguments)
        return Moved(moved.state, torch.zeros_like(moved.energy_error))

    monkeypatch.setattr(mams_module, "microcanonical_leapfrog", wrong)
    z, _ = standard_scores(MAMS(), CorrelatedGaussian(), of(TestMAMS(), 4, 0.9), chains=300, steps=40)
    assert float(z.abs().max()) > 10


def test_momentum_not_turned_round_by_a_rejection_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the flip the partly refreshed chain is not invariant."""
    from pyro_symvi.bnn.samplers import _adjusted

    right = _adjusted.choose
    monkeypatch.setattr(
        _adjusted, "choose", lambda kept, new, old: right(kept, new, old._replace(momentum=-old.momentum))
    )
    tuning = Tuning(*(torch.tensor(v, dtype=torch.float64) for v in (1.2, 20.0)), torch.ones(4, dtype=torch.float64),
                    torch.tensor(1.5, dtype=torch.float64))  # fmt: skip
    z, _ = standard_scores(MAMS(max_steps=3), CorrelatedGaussian(), tuning, chains=800, steps=60)
    assert float(z.abs().max()) > 6


def test_unadjusted_bias_shrinks_with_the_energy_variance_and_is_visible_when_large() -> None:
    """Steps of 2.2 (energy variance over 0.1) give wrong variances, steps of 0.25 (below 1e-5) none that is seen."""
    target, keys = CorrelatedGaussian(), list(range(300))
    found = {}
    for step_size in (2.2, 0.25):
        state = MCLMC().start(target, target.draw(300, torch.Generator().manual_seed(11)), [stream(5, k) for k in keys])
        _, positions, errors = advance(MCLMC(), target, state, of(TestMCLMC(), 4, step_size), 60, keys)
        means = target.statistics(positions[20:]).mean(0)
        z = (means.mean(0) - target.truth()) / (means.std(0) / math.sqrt(300))
        found[step_size] = (float(errors.square().mean()) / 4, float(z.abs().max()))
    assert found[2.2][0] > 0.1 and found[2.2][1] > 10, found
    assert found[0.25][0] < 1e-5 and found[0.25][1] < 4, found


@pytest.mark.parametrize("sampler", [MAMS(acceptance=0.8), HMC(acceptance=0.8)], ids=["MAMS", "HMC"])
def test_acceptance_comes_near_what_is_asked(sampler: MAMS | HMC) -> None:
    target, keys = CorrelatedGaussian(), list(range(20))
    state = sampler.start(target, target.draw(20, torch.Generator().manual_seed(1)), [stream(1, k) for k in keys])
    found = sampler.warm_up(target, state, 300, [stream(2, k) for k in keys])
    assert abs(sum(found.record["acceptance"]) / 20 - 0.8) < 0.05
    _, _, errors = advance(sampler, target, found.state, found.tuning, 100, keys)
    assert 0.75 < float(torch.exp(-errors).clamp(max=1).mean()) < 0.88  # one in ten takes small steps


def test_energy_variance_comes_near_what_is_asked() -> None:
    target, keys = CorrelatedGaussian(), list(range(20))
    sampler = MCLMC(energy_variance=0.01)
    state = sampler.start(target, target.draw(20, torch.Generator().manual_seed(1)), [stream(1, k) for k in keys])
    found = sampler.warm_up(target, state, 300, [stream(2, k) for k in keys])
    _, _, errors = advance(sampler, target, found.state, found.tuning, 100, keys)
    assert 0.004 < float(errors.square().mean()) / 4 < 0.02
    assert found.record["energy_variance_wanted"] == 0.01


def test_length_is_the_spread_of_the_target() -> None:
    target, keys = CorrelatedGaussian(), list(range(20))
    state = MCLMC(precondition=False).start(
        target, target.draw(20, torch.Generator().manual_seed(1)), [stream(1, k) for k in keys]
    )
    found = MCLMC(precondition=False).warm_up(target, state, 300, [stream(2, k) for k in keys])
    truth = math.sqrt(float(target.covariance.trace()))
    assert abs(float(found.tuning.length) / truth - 1) < 0.1


def test_scale_of_an_independent_normal_is_its_standard_deviation() -> None:
    class Independent:
        dim = 5
        deviation = torch.tensor([0.01, 0.1, 1.0, 10.0, 100.0], dtype=torch.float64)

        def value_and_grad(self, theta):
            gradient = -theta / self.deviation**2
            return 0.5 * (theta * gradient).sum(-1), gradient

    target, keys = Independent(), list(range(20))
    start = torch.randn(20, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * target.deviation
    sampler = MCLMC(precondition=True, ascent=0)
    state = sampler.start(target, start, [stream(1, k) for k in keys])
    found = sampler.warm_up(target, state, 300, [stream(2, k) for k in keys])
    ratio = found.tuning.scale / target.deviation
    assert float((ratio / ratio.log().mean().exp()).log().abs().max()) < 0.3


def test_one_dimension_is_refused_where_momentum_cannot_turn_and_taken_by_hmc() -> None:
    class Line:
        dim = 1

        def value_and_grad(self, theta):
            return -0.5 * theta.square().sum(-1), -theta

    start = torch.randn(50, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    generators = [stream(1, k) for k in range(50)]
    for sampler in (MCLMC(), MAMS()):
        with pytest.raises(ValueError, match="expected at least 2 parameters, got 1.*try HMC"):
            sampler.warm_up(Line(), sampler.start(Line(), start, generators), 10, generators)
    found = HMC().warm_up(Line(), HMC().start(Line(), start, generators), 200, generators)
    _, positions, _ = advance(HMC(), Line(), found.state, found.tuning, 60, list(range(50)))
    means = positions.square().mean((0, 2))
    assert abs(float(means.mean()) - 1) < 4 * float(means.std()) / math.sqrt(50)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MCLMC(energy_variance=0.0), "expected a finite positive energy_variance"),
        (lambda: MCLMC(ascent=-1), "expected ascent as an int >= 0"),
        (lambda: MAMS(acceptance=1.0), "expected acceptance between 0 and 1"),
        (lambda: HMC(max_steps=0), "expected max_steps as an int >= 1"),
        (lambda: HMC(acceptance=math.nan), "expected acceptance between 0 and 1"),
    ],
    ids=["variance", "ascent", "acceptance", "steps", "nan"],
)
def test_options_are_checked(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_start_where_the_density_is_infinite_is_refused() -> None:
    class Nowhere(Valley):
        def value_and_grad(self, theta):
            value, gradient = super().value_and_grad(theta)
            return value - math.inf, gradient

    with pytest.raises(ValueError, match="expected a finite density and gradient at the start, got chain 0"):
        MAMS().start(Nowhere(), torch.zeros(2, 2, dtype=torch.float64), [stream(0), stream(1)])
