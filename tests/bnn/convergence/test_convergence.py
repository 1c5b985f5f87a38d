"""R-hats and sample sizes against arviz_stats and formulas; stuck chains are seen, permuted ones are none."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from arviz_stats.base import array_stats
from scipy import stats
from torch import Tensor, nn

from pyro_symvi.bnn import Categorical, Draws, GaussianNoise, HeteroscedasticGaussian, NetworkPosterior, NormalPrior
from pyro_symvi.bnn.convergence import (
    Reading,
    Subject,
    chainwise_rhat,
    check_convergence,
    ess,
    invariants_of_units,
    mcse,
    predictions_at,
    rhat,
)
from pyro_symvi.bnn.convergence._statistics import bfmi
from pyro_symvi.bnn.symmetry import NetworkSymmetry

F64 = torch.float64
WIDTH = 3


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def posterior(activation: type[nn.Module] = nn.ReLU, likelihood: Any = None) -> NetworkPosterior:
    y = normal(12, 1, seed=9)
    network = nn.Sequential(nn.Linear(2, WIDTH), activation(), nn.Linear(WIDTH, 1))
    return NetworkPosterior(network, likelihood or GaussianNoise(1.0), NormalPrior(1.0), normal(12, 2), y)


def moved(target: NetworkPosterior, theta: Tensor, order: list[int], scale: Tensor) -> Tensor:
    """Hidden units permuted and rescaled: the same function."""
    parts = target.layout.unflatten(theta)
    parts["0.weight"] = parts["0.weight"][..., order, :] * scale[:, None]
    parts["0.bias"] = parts["0.bias"][..., order] * scale
    parts["2.weight"] = parts["2.weight"][..., order] / scale
    return target.layout.flatten(parts)


def draws_of(target: NetworkPosterior, chains: int = 4, draws: int = 240, **stats: Tensor) -> Draws:
    """Independent draws near one mode, the same law in each chain."""
    centre = normal(target.dim, seed=3)
    theta = centre + 0.1 * normal(chains, draws, target.dim, seed=4)
    return Draws(theta, target.layout, "independent", stats)


def test_figures_are_those_of_arviz_stats_and_of_the_formula() -> None:
    values = normal(4, 200, 6).cumsum(1) * 0.05 + normal(4, 200, 6, seed=1)
    array = values.numpy()
    for q in range(6):
        one = array[:, :, q]
        assert float(rhat(values)[q]) == pytest.approx(float(array_stats.rhat(one)), rel=1e-12)
        assert float(ess(values)[q]) == pytest.approx(float(array_stats.ess(one)), rel=1e-12)
        tail = float(array_stats.ess(one, method="tail", prob=(0.05, 0.95)))
        assert float(ess(values, "tail")[q]) == pytest.approx(tail, rel=1e-12)
        assert float(mcse(values)[q]) == pytest.approx(float(array_stats.mcse(one)), rel=1e-12)
    assert rhat(values.reshape(4, 200, 2, 3)).shape == (2, 3)
    # ranks are unchanged by a monotone map, and R-hat of normal quantiles of ranks is the classic formula
    assert torch.allclose(rhat(values.exp()), rhat(values), atol=2e-3)  # folding is about the median, not invariant
    halves = array[:, :, 0].reshape(8, 100)

    def classic(z: np.ndarray) -> float:
        within, between = z.var(1, ddof=1).mean(), z.mean(1).var(ddof=1)
        return math.sqrt((99 / 100 * within + between) / within)

    ranked = []
    for part in (halves, np.abs(halves - np.median(halves))):
        ranks = stats.rankdata(part).reshape(8, 100)
        ranked.append(classic(stats.norm.ppf((ranks - 3 / 8) / (800 + 1 / 4))))
    assert float(rhat(values)[0]) == pytest.approx(max(ranked), rel=1e-10)


def test_chainwise_figures_are_those_of_the_pieces_of_one_chain() -> None:
    values = normal(3, 403, 2)
    values[1] += torch.linspace(0, 3, 403)[:, None]  # one chain drifts
    found = chainwise_rhat(values, 4)
    for chain in range(3):
        pieces = values[chain, 3:].reshape(2, 200, 2).numpy()  # halved once more within arviz_stats
        expected = [float(array_stats.rhat(pieces[:, :, q])) for q in range(2)]
        assert found[chain].tolist() == pytest.approx(expected, rel=1e-12)
    assert found.shape == (3, 2) and float(found[1].min()) > 1.3 > 1.05 > float(found[[0, 2]].max())


def test_stuck_chains_have_infinite_rhat_and_constants_none() -> None:
    stuck = torch.arange(4.0, dtype=F64)[:, None].expand(4, 100)
    one_stuck = normal(4, 100)
    one_stuck[2] = 5.0
    values = torch.stack([stuck, torch.ones(4, 100, dtype=F64), normal(4, 100, seed=2), one_stuck], -1)
    found = rhat(values)
    assert math.isinf(float(found[0])) and math.isnan(float(found[1]))
    assert float(found[2]) < 1.05 and float(found[3]) > 1.3 and math.isnan(float(ess(values)[1]))


def test_effective_size_of_an_autoregression() -> None:
    rho, noise = 0.6, normal(4, 8000)
    chain = torch.empty_like(noise)
    chain[:, 0] = noise[:, 0] / math.sqrt(1 - rho**2)
    for t in range(1, 8000):
        chain[:, t] = rho * chain[:, t - 1] + noise[:, t]
    expected = 32000 * (1 - rho) / (1 + rho)
    assert float(ess(chain)) == pytest.approx(expected, rel=0.1)  # the estimator's sd is about 3 %
    assert float(mcse(chain)) == pytest.approx(1 / math.sqrt(1 - rho**2) / math.sqrt(expected), rel=0.1)
    assert float(bfmi(chain)[0]) == pytest.approx(2 * (1 - rho), rel=0.05)  # E (dE)^2 / Var E of an autoregression


def test_permuted_and_rescaled_chains_agree_where_it_counts() -> None:
    target = posterior()
    draws = draws_of(target)
    orders = [[0, 1, 2], [1, 2, 0], [2, 1, 0], [0, 2, 1]]
    scales = torch.tensor([[1, 1, 1], [1, 2, 3], [0.5, 1, 4], [2, 2, 2]], dtype=F64)
    theta = torch.stack([moved(target, draws.theta[c], orders[c], scales[c]) for c in range(4)])
    copies = Draws(theta, target.layout, "copies")
    assert torch.allclose(predictions_at(target, copies, target.x), predictions_at(target, draws, target.x), rtol=1e-9)
    for name, values in invariants_of_units(target, copies).items():
        assert torch.allclose(values, invariants_of_units(target, draws)[name], rtol=1e-9)
    report = check_convergence(target, copies)
    assert report.reading() is Reading.GOOD and report.reading(Subject.WEIGHTS) is Reading.GOOD
    raw = report.line("R-hat, raw weights")
    assert raw.worst > 2 and raw.reading is Reading.NO_FAILURE and raw.subject is Subject.NOTHING
    assert "no failure" in str(report) and "harmless" in str(report) and "predictions: good" in str(report)
    with_symmetry = check_convergence(target, copies, symmetry=NetworkSymmetry.of(target))
    assert with_symmetry.line("R-hat, canonical weights").reading is Reading.GOOD
    assert with_symmetry.line("R-hat, unit norms").worst == pytest.approx(report.line("R-hat, unit norms").worst)


def test_signs_and_permutations_of_tanh_units() -> None:
    target = posterior(nn.Tanh)
    draws = draws_of(target, 2, 16)
    flipped = torch.tensor([-1.0, 1, -1], dtype=F64)  # its own inverse
    copies = Draws(moved(target, draws.theta, [2, 0, 1], flipped), target.layout, "copies")
    assert torch.allclose(predictions_at(target, copies, target.x), predictions_at(target, draws, target.x), rtol=1e-9)
    (mine,), (theirs,) = invariants_of_units(target, draws).values(), invariants_of_units(target, copies).values()
    assert mine.shape[-1] == 2 * WIDTH and torch.allclose(mine, theirs, rtol=1e-9)


@pytest.mark.parametrize("fault", ["other mode", "drift", "sticky"])
def test_what_is_wrong_in_function_space_is_seen(fault: str) -> None:
    target = posterior()
    draws = draws_of(target)
    theta = draws.theta.clone()
    if fault == "other mode":
        theta[2] = -theta[2]
    elif fault == "drift":
        theta += torch.linspace(0, 1, 240, dtype=F64)[:, None] * 0.5
    else:
        theta = theta[:, ::40].repeat_interleave(40, 1)  # moves once in 40 draws
    report = check_convergence(target, Draws(theta, target.layout, fault))
    assert report.reading() is Reading.BAD and "predictions: bad" in str(report)
    named = {"other mode": "R-hat, predictions", "drift": "R-hat within chains, predictions", "sticky": "ESS bulk"}
    assert report.line(named[fault]).reading is Reading.BAD
    if fault == "other mode":  # each chain alone is fine: only the comparison tells
        assert report.line("R-hat within chains, predictions").reading is Reading.GOOD


def test_one_chain_and_short_chains_cannot_tell() -> None:
    target = posterior()
    one = check_convergence(target, draws_of(target, 1, 400))
    assert one.line("R-hat, predictions").reading is Reading.UNDEFINED and one.reading() is Reading.UNDEFINED
    short = check_convergence(target, draws_of(target, 4, 60))
    assert "needs 4 pieces" in short.line("R-hat within chains, raw weights").meaning
    with pytest.raises(ValueError, match="nothing to converge"):
        check_convergence(target, draws_of(target, 4, 4))


def test_densities_too_large_for_their_precision_are_told() -> None:
    """At -5e9 a float32 is known to some 500: acceptance is decided by rounding."""
    target = posterior()
    theta = normal(4, 240, target.dim).float()
    coarse = Draws(theta, target.layout, "test", {"log_density": torch.full((4, 240), -5e9)})
    line = check_convergence(target, coarse, rows=2, weights=2).line("rounding")
    assert line.worst == pytest.approx(5e9 * 2**-23) and line.reading is Reading.BAD
    fine = Draws(theta.double(), target.layout, "test", {"log_density": torch.full((4, 240), -5e9)})
    assert check_convergence(target, fine, rows=2, weights=2).line("rounding").reading is Reading.GOOD


def test_energy_lines() -> None:
    target = posterior()
    shape = (4, 240)
    adjusted = draws_of(
        target, energy_error=0.3 * normal(*shape), acceptance=torch.full(shape, 0.9), energy=normal(*shape)
    )
    report = check_convergence(target, adjusted, rows=2, weights=2)
    assert report.line("acceptance").worst == pytest.approx(0.9) and report.line("E-BFMI").reading is Reading.GOOD
    assert report.line("divergent steps").worst == 0 and report.reading() is Reading.GOOD
    errors = 0.3 * normal(*shape)
    errors[1, :30] = torch.inf
    broken = check_convergence(
        target, draws_of(target, energy_error=errors, acceptance=torch.ones(shape)), rows=2, weights=2
    )
    assert broken.line("divergent steps").worst == pytest.approx(30 / 240) and broken.reading() is Reading.BAD
    free = check_convergence(
        target, draws_of(target, energy_error=0.3 * normal(*shape), acceptance=torch.ones(shape)), rows=2, weights=2
    )
    assert free.line("energy error").typical == pytest.approx(0.09 / target.dim, rel=0.2)
    lame = draws_of(target, energy=normal(*shape).cumsum(1))
    assert check_convergence(target, lame, rows=2, weights=2).line("E-BFMI").reading is Reading.BAD


def test_predictions_of_classes_and_of_spreads() -> None:
    y = torch.randint(3, (9,), generator=torch.Generator().manual_seed(0))
    network = nn.Sequential(nn.Linear(2, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 3))
    target = NetworkPosterior(network, Categorical(3), NormalPrior(1.0), normal(9, 2), y)
    draws = draws_of(target, 2, 20)
    expected = torch.softmax(target.outputs(draws.theta), -1)[..., 1:].flatten(2)
    assert torch.allclose(predictions_at(target, draws, target.x), expected, rtol=1e-12)
    shifted = draws.theta.clone()
    shifted[..., target.layout.slices["2.bias"]] += 3.0  # the softmax does not see it
    assert torch.allclose(predictions_at(target, Draws(shifted, target.layout, ""), target.x), expected, rtol=1e-9)
    spread = nn.Sequential(nn.Linear(2, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 2))
    target = NetworkPosterior(spread, HeteroscedasticGaussian(), NormalPrior(1.0), normal(9, 2), normal(9, 1))
    assert predictions_at(target, draws_of(target, 2, 20), target.x).shape == (2, 20, 18)


def test_bad_arguments() -> None:
    target = posterior()
    with pytest.raises(ValueError, match="even number of pieces"):
        chainwise_rhat(normal(2, 400), 3)
    with pytest.raises(ValueError, match="pieces of at least 50"):
        chainwise_rhat(normal(2, 100), 4)
    with pytest.raises(ValueError, match="bulk"):
        ess(normal(2, 100), "mean")
    with pytest.raises(TypeError, match="tensor"):
        rhat(np.zeros((2, 100)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="finite values"):
        rhat(normal(2, 100) * torch.nan)
    with pytest.raises(ValueError, match="x with y"):
        check_convergence(target, draws_of(target), y=target.y)
    with pytest.raises(ValueError, match="R-hat, predictions"):
        check_convergence(target, draws_of(target)).line("nothing")
    general = NetworkPosterior(Skip(), GaussianNoise(), NormalPrior(1.0), normal(12, 2), normal(12, 1))
    with pytest.raises(ValueError, match="perceptron"):
        invariants_of_units(general, draws_of(general))
    assert check_convergence(general, draws_of(general)).line("ESS tail").reading is Reading.GOOD


class Skip(nn.Module):
    """Not a perceptron."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(2, 2), nn.Linear(2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(x + torch.relu(self.inner(x)))
