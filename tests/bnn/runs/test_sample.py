"""Draws are a function of target, sampler, chains, pack and seed; their law is the target's."""

import pytest
import torch
from torch import Tensor

from pyro_symvi.bnn import FlatPrior
from pyro_symvi.bnn.moves import RandomPermutation
from pyro_symvi.bnn.runs import BlockReport, sample
from pyro_symvi.bnn.runs._plan import Plan
from pyro_symvi.bnn.symmetry import NetworkSymmetry

from .runs_worker import SETTINGS, Metropolis, alone, posterior, run


class Normal:
    """N(mean, diag(scale^2)) without a prior."""

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        self.mean, self.scale, self.dim = mean, scale, len(mean)

    def value_and_grad(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        z = (theta - self.mean) / self.scale
        return -0.5 * z.square().sum(-1), -z / self.scale


def test_draws_follow_the_target():
    mean, scale = torch.tensor([1.0, -2.0]).double(), torch.tensor([1.0, 0.5]).double()
    draws = sample(
        Normal(mean, scale), Metropolis(), chains=64, pack=64, draws=60, thin=10, warmup=200, block=20, start=mean
    )
    late = draws.theta[:, 10:]
    means = late.mean(1)  # independent chains: their spread is the standard error
    error = means.std(0) / 8
    assert bool(((means.mean(0) - mean).abs() < 4 * error).all())
    squares = ((late - mean) / scale).square().mean(1)
    assert bool(((squares.mean(0) - 1).abs() < 4 * squares.std(0) / 8).all())
    assert bool((error < 0.1).all())
    assert torch.equal(draws.stats["log_density"][:, -1], Normal(mean, scale).value_and_grad(draws.theta[:, -1])[0])
    assert 0.2 < draws.info["acceptance"] < 0.45


def test_same_arguments_same_draws_and_each_key_counts():
    first, again = alone(), run()
    assert torch.equal(first.theta, again.theta) and first.theta.shape == (5, 25, posterior().dim)
    assert not torch.equal(first.theta, run(seed=4).theta)
    flat = first.theta.reshape(5, -1)
    assert len({tuple(row.tolist()) for row in flat}) == 5  # no two chains share their numbers


def test_a_chain_does_not_depend_on_how_many_others_there_are_nor_on_the_blocks_asked_for():
    """With five chains in packs of two, the first four are the chains of a run of four."""
    assert torch.equal(alone().theta[:4], run(chains=4).theta)
    assert torch.equal(alone().theta[:, :10], run(draws=10).theta)
    assert torch.equal(alone().theta[:, :15], run(draws=15).theta)


def test_threads_are_put_back():
    before = torch.get_num_threads()
    run(draws=1, threads=2)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("given", ["tensor", "vector", "draws"])
def test_starting_points(given: str):
    first = run(warmup=0, thin=1, draws=3)
    seen: list[Tensor] = []

    class Watching(Metropolis):
        def _warm_up(self, target, state, *rest):  # type: ignore[no-untyped-def]
            seen.append(state.position)
            return super()._warm_up(target, state, *rest)

    start = {"tensor": first.theta[:, 0], "vector": first.theta[2, 1], "draws": first}[given]
    expected = {"tensor": first.theta[:, 0], "vector": first.theta[2, 1].expand(5, -1), "draws": first.theta[:, -1]}
    run(start=start, sampler=Watching(), draws=1)
    assert torch.equal(torch.cat(seen), expected[given])


def test_more_chains_than_were_drawn_start_spread_over_all_draws():
    first = run(draws=3)
    seen = run(start=first, chains=3, draws=1, thin=1, warmup=0, sampler=Metropolis(wanted=0.3))
    assert seen.theta.shape == (3, 1, first.layout.dim)


def test_numbers_told():
    reports: list[BlockReport] = []
    draws = run(progress=reports.append)
    assert [(r.pack, r.block, r.draws) for r in reports] == [
        (pack, block, n) for block, n in enumerate((10, 20, 25)) for pack in range(3)
    ]
    info = draws.info
    assert info["gradients"] == 5 * 25 * 2 and info["gradients_warm_up"] == 5 * 12
    assert len(info["step_size"]) == 3 and info["step_size"][0] == pytest.approx(info["warm_up"][0]["step_size"])
    assert info["acceptance"] == pytest.approx(float(draws.stats["acceptance"].mean()), rel=1e-12)
    assert info["non_finite"] == 0 and info["complete"] is True


def test_bar_counts_all_steps_and_shows_how_it_goes(capsys: pytest.CaptureFixture[str]):
    run(progress=True)
    shown = capsys.readouterr().err.split("\r")[-1]
    steps = 3 * (SETTINGS["warmup"] + SETTINGS["draws"] * SETTINGS["thin"])
    assert f"{steps}/{steps}" in shown and all(
        name in shown for name in ("acceptance=", "energy_error=", "divergences=0")
    )


def test_steps_to_nowhere_are_counted():
    class Walled(Normal):
        def value_and_grad(self, theta: Tensor) -> tuple[Tensor, Tensor]:
            value, gradient = super().value_and_grad(theta)
            return torch.where(theta[..., 0] > 0, value, -torch.inf), gradient

    one = torch.ones(2).double()
    draws = sample(Walled(0 * one, one), Metropolis(), chains=4, draws=50, block=50, warmup=20, start=one)
    assert bool((draws.theta[..., 0] > 0).all())
    errors = draws.stats["energy_error"]
    assert draws.info["non_finite"] == int((~torch.isfinite(errors)).sum()) > 5
    assert draws.info["divergences"] == draws.info["non_finite"]
    finite = errors[torch.isfinite(errors)]
    assert draws.info["energy_error_rms"] == pytest.approx(float(finite.square().mean().sqrt()), rel=1e-9)


def test_default_packs_depend_on_the_number_of_chains_alone():
    assert [Plan.default_pack(n) for n in (1, 12, 16, 17, 100, 120)] == [1, 12, 16, 9, 15, 15]


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"chains": 0}, "chains >= 1"),
        ({"draws": 2.0}, "draws to be an int"),
        ({"warmup": -1}, "warmup >= 0"),
        ({"seed": -1}, "seed >= 0"),
        ({"pack": 0}, "pack >= 1"),
        ({"threads": 0}, "threads as an int"),
        ({"moves": [None]}, "expected moves"),
        ({"sampler": "mams"}, "expected a sampler"),
        ({"start": torch.zeros(3, 2)}, "expected start as Draws"),
        ({"start": torch.full((13,), torch.nan)}, "finite density"),
        ({"progress": "yes"}, "expected progress"),
        ({"target": Normal(torch.zeros(2), torch.ones(2))}, "has no prior to draw from"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_bad_arguments(changed: dict, message: str):
    with pytest.raises((ValueError, TypeError), match=message):
        run(**changed)


def test_flat_priors_need_a_start():
    target = posterior()
    flat = type(target)(target.network, target.likelihood, FlatPrior(), target.x, target.y)
    with pytest.raises(ValueError, match="proper prior"):
        run(target=flat)
    assert run(target=flat, start=torch.ones(flat.dim), draws=1).theta.shape == (SETTINGS["chains"], 1, flat.dim)


class Planted:
    """A target that is no network; ``summed`` and ``attached`` plant the usual mistakes."""

    dim = 3

    def __init__(self, summed: tuple[int, ...] = (-1,), attached: bool = False) -> None:
        self.summed, self.attached = summed, attached

    def value_and_grad(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        if self.attached:
            theta = theta.requires_grad_()
        return -0.5 * theta.square().sum(self.summed), -theta


def test_targets_that_are_none_are_refused_before_the_first_step():
    start = torch.zeros(2, 3)
    few = {"chains": 2, "draws": 2, "warmup": 2}
    with pytest.raises(ValueError, match=r"log densities \[2\] .* got \[\]"):
        sample(Planted((0, 1)), start=start, **few)
    with pytest.raises(ValueError, match="require grad.*detach"):
        sample(Planted(attached=True), start=start, **few)
    with pytest.raises(TypeError, match="dim and value_and_grad, got Linear; try NetworkPosterior"):
        sample(torch.nn.Linear(2, 1), **few)
    with pytest.raises(TypeError, match=r"list of moves.*moves=\[...\]"):
        sample(posterior(), moves=RandomPermutation(NetworkSymmetry.of(posterior())), **few)
    assert sample(Planted(), start=start, **few).theta.shape == (2, 2, 3)
