"""Scores of predictions against scipy, quadrature and closed forms; wrong spreads are seen."""

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, optimize, stats
from torch import Tensor, nn

from pyro_symvi.bnn import (
    Categorical,
    Draws,
    GaussianNoise,
    HeteroscedasticGaussian,
    LearnedGaussianNoise,
    NetworkPosterior,
    NormalPrior,
)
from pyro_symvi.bnn.predictions import (
    ClassificationScores,
    NormalMixture,
    RegressionScores,
    calibration_bins,
    evaluate,
    functional_diversity,
    pairwise_wasserstein,
    predictive_mixture,
)

F64 = torch.float64


def problem(likelihood: Any, y: Tensor, chains: int = 3, draws: int = 5, seed: int = 0) -> tuple[Any, Any, Tensor]:
    """A posterior without rows, draws of its prior, and inputs for the targets y."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(len(y), 2, generator=generator, dtype=F64)
    network = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, likelihood.outputs_for(likelihood._targets(y))))
    posterior = NetworkPosterior(network, likelihood, NormalPrior(0.7), x[:0], y[:0])
    theta = posterior.sample_prior(chains * draws, generator=generator).reshape(chains, draws, -1)
    return posterior, Draws(theta, posterior.layout, "prior"), x


def real(n: int = 11, m: int = 1, seed: int = 1) -> Tensor:
    return torch.randn(n, m, generator=torch.Generator().manual_seed(seed), dtype=F64)


LIKELIHOODS = {
    "fixed": GaussianNoise(0.4), "learned": LearnedGaussianNoise(), "heads": HeteroscedasticGaussian()
}  # fmt: skip


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_regression_scores_are_those_of_the_mixture_in_scipy(kind: str) -> None:
    y, scale = real(), 3.7
    posterior, draws, x = problem(LIKELIHOODS[kind], y)
    law = posterior.predictive(draws.flat, x).base_dist
    loc, sd = law.loc[..., 0].numpy() * scale, np.broadcast_to(law.scale[..., 0].numpy(), law.loc.shape[:2]) * scale
    raw = y[:, 0].numpy() * scale
    scores = evaluate(posterior, draws, x, y, target_scale=scale, levels=(0.3, 0.8))
    assert isinstance(scores, RegressionScores)
    density = stats.norm.pdf(raw, loc, sd).mean(0)  # of the raw target
    assert np.allclose(scores.pointwise.numpy(), np.log(density), rtol=1e-12)
    assert scores.lppd == pytest.approx(np.log(density).mean(), rel=1e-12)
    assert scores.lppd_error == pytest.approx(np.log(density).std(ddof=1) / math.sqrt(11), rel=1e-12)
    assert scores.lppd_as_given == pytest.approx(scores.lppd + math.log(scale), rel=1e-12)
    assert scores.rmse == pytest.approx(np.sqrt(np.mean((raw - loc.mean(0)) ** 2)), rel=1e-12)
    assert np.allclose(scores.pit[:, 0].numpy(), stats.norm.cdf(raw, loc, sd).mean(0), atol=1e-14)
    edges = predictive_mixture(posterior, draws, x).interval(0.8)
    inside = [
        by_quadrature(scores, loc[:, i], sd[:, i], raw[i], i, [e[i, 0] * scale for e in edges]) for i in range(11)
    ]
    assert scores.coverage[1] == pytest.approx(np.mean(inside), abs=1e-12)


def by_quadrature(
    scores: RegressionScores, loc: np.ndarray, sd: np.ndarray, y: float, i: int, edges: list[Tensor]
) -> bool:
    """Whether y lies in the central 80 % interval; its edges by root finding, the CRPS of row i by quadrature."""

    def cdf(z: float) -> float:
        return float(stats.norm.cdf(z, loc, sd).mean())

    low, high = (optimize.brentq(lambda z, p: cdf(z) - p, -1e3, 1e3, (p,), xtol=1e-13) for p in (0.1, 0.9))
    assert [float(edge) for edge in edges] == pytest.approx([low, high], abs=1e-9)
    if i < 2:
        reach = 40 * sd.max()
        below = integrate.quad(lambda z: cdf(z) ** 2, min(loc.min(), y) - reach, y, limit=400)[0]
        above = integrate.quad(lambda z: (1 - cdf(z)) ** 2, y, max(loc.max(), y) + reach, limit=400)[0]
        assert float(scores.pointwise_crps[i, 0]) == pytest.approx(below + above, rel=1e-6)
    return low <= y <= high


def test_one_member_has_the_closed_forms_of_a_normal() -> None:
    y = real()
    posterior, draws, x = problem(GaussianNoise(0.6), y, chains=1, draws=1)
    scores = evaluate(posterior, draws, x, y)
    z = ((y - posterior.outputs(draws.flat, x)[0]) / 0.6).numpy()
    crps = 0.6 * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / math.sqrt(math.pi))  # Gneiting 2005
    assert isinstance(scores, RegressionScores) and np.allclose(scores.pointwise_crps.numpy(), crps, rtol=1e-12)
    assert scores.coverage == tuple(float((np.abs(z) <= stats.norm.ppf(0.5 + q / 2)).mean()) for q in scores.levels)
    assert scores.lppd_by_draws.tolist() == [pytest.approx(scores.lppd)]


def test_mixture_functions_far_out_and_with_many_components() -> None:
    generator = torch.Generator().manual_seed(3)
    loc, scale = torch.randn(900, 1, generator=generator, dtype=F64), torch.rand(900, 1, generator=generator) + 0.3
    mixture, y = NormalMixture(loc, scale), torch.tensor([4.0], dtype=F64)
    m, s = loc.numpy(), scale.double().numpy()

    def distance(d: np.ndarray, s: np.ndarray) -> float:
        return float((2 * s * stats.norm.pdf(d / s) + d * (2 * stats.norm.cdf(d / s) - 1)).mean())

    expected = distance(4.0 - m, s) - 0.5 * distance(m - m.T, np.sqrt(s**2 + s.T**2))  # the double sum
    assert float(mixture.crps(y)) == pytest.approx(expected, rel=1e-6)
    for p in (1e-6, 0.3, 0.999):
        assert float(mixture.cdf(mixture.quantile(p))) == pytest.approx(p, rel=1e-9)
    assert float(mixture.log_prob(torch.tensor([60.0]))) < -1000  # no underflow of the density
    assert float(mixture.variance()) == pytest.approx(float(loc.var(correction=0) + scale.double().square().mean()))
    for bad in ((loc, -scale), (loc * torch.nan, scale), (loc[:0], scale[:0])):
        with pytest.raises(ValueError, match="expected"):
            NormalMixture(*bad)
    with pytest.raises(ValueError, match="probability"):
        mixture.quantile(1.0)


def test_cumulative_log_densities_and_blocks_of_rows() -> None:
    y = real(13, 2)
    posterior, draws, x = problem(LearnedGaussianNoise(), y, chains=4, draws=6)
    scores = evaluate(posterior, draws, x, y, target_scale=torch.tensor([2.0, 5.0]))
    table = posterior.pointwise_log_likelihood(draws.theta, x, y).exp() / 10  # [4, 6, 13], raw density
    for k in range(4):
        assert float(scores.lppd_of_chains[k]) == pytest.approx(float(table[k].mean(0).log().mean()), rel=1e-12)
        expected = float(table[: k + 1].mean((0, 1)).log().mean())
        assert float(scores.lppd_by_chains[k]) == pytest.approx(expected, rel=1e-12)
    for k in range(6):
        expected = float(table[:, : k + 1].mean((0, 1)).log().mean())
        assert float(scores.lppd_by_draws[k]) == pytest.approx(expected, rel=1e-12)
    small = evaluate(posterior, draws, x, y, target_scale=torch.tensor([2.0, 5.0]), block=100)
    assert isinstance(small, RegressionScores) and isinstance(scores, RegressionScores)
    for name in ("pointwise", "pit", "pointwise_crps", "residuals", "lppd_by_draws", "lppd_by_chains"):
        assert torch.allclose(getattr(small, name), getattr(scores, name), rtol=1e-9, atol=1e-12)


def test_densities_that_underflow_are_summed_in_logarithms() -> None:
    y = torch.full((2, 1), 400.0, dtype=F64)
    posterior, draws, x = problem(GaussianNoise(0.5), y)
    expected = torch.distributions.Normal(posterior.outputs(draws.flat, x), 0.5).log_prob(y).logsumexp(0)[:, 0]
    assert torch.allclose(evaluate(posterior, draws, x, y).pointwise, expected - math.log(15), rtol=1e-12)
    assert float(expected[0]) < -1e5


@cache
def calibrated(spread: float, rows: int = 4000) -> RegressionScores:
    """Targets drawn from the predictive mixture; scored with noise ``spread`` times too wide."""
    generator = torch.Generator().manual_seed(5)
    y = torch.zeros(rows, 1, dtype=F64)
    posterior, draws, x = problem(GaussianNoise(0.5), y, chains=2, draws=20)
    draws = Draws(0.5 * draws.theta, draws.layout, "half the prior")
    member = torch.randint(40, (rows,), generator=generator)
    means = posterior.outputs(draws.flat, x)[member, torch.arange(rows)]
    y = means + 0.5 * torch.randn(rows, 1, generator=generator, dtype=F64)
    other, _, _ = problem(GaussianNoise(0.5 * spread), y)
    scores = evaluate(other, draws, x, y)
    assert isinstance(scores, RegressionScores)
    return scores


def test_coverage_of_data_drawn_from_the_model_is_the_level() -> None:
    scores = calibrated(1.0)
    for level, found in zip(scores.levels, scores.coverage, strict=True):
        assert abs(found - level) < 4 * math.sqrt(level * (1 - level) / 4000)  # standard errors .008 to .003
    assert scores.coverage_error < 3 * scores.coverage_noise and scores.pit_p_value > 1e-3
    assert scores.coverage_errors[0] == pytest.approx(math.sqrt(0.25 / 4000))


@pytest.mark.parametrize("spread", [0.7, 1.4], ids=["narrow", "wide"])
def test_a_wrong_spread_is_seen(spread: float) -> None:
    wrong, right = calibrated(spread), calibrated(1.0)
    assert wrong.coverage_error > 5 * wrong.coverage_noise and wrong.pit_p_value < 1e-3
    gap = wrong.coverage[2] - 0.9
    assert (gap < -0.01) if spread < 1 else (gap > 0.01)
    difference, error = right.lppd_difference(wrong)
    assert difference > 4 * error and right.crps < wrong.crps
    assert difference == pytest.approx(float((right.pointwise - wrong.pointwise).mean()))
    # the same residuals: the root mean square error cannot tell
    assert wrong.rmse == pytest.approx(right.rmse, rel=1e-12)


def test_class_scores_against_their_definitions() -> None:
    y = torch.randint(3, (60,), generator=torch.Generator().manual_seed(0))
    posterior, draws, x = problem(Categorical(3), y)
    p = torch.softmax(posterior.outputs(draws.flat, x), -1).mean(0).numpy()
    scores = evaluate(posterior, draws, x, y)
    assert isinstance(scores, ClassificationScores)
    t = y.numpy()
    assert scores.lppd == pytest.approx(np.log(p[np.arange(60), t]).mean(), rel=1e-12)
    assert scores.accuracy == pytest.approx((p.argmax(1) == t).mean())
    assert scores.brier == pytest.approx(np.mean([sum((row - np.eye(3)[k]) ** 2) for row, k in zip(p, t, strict=True)]))
    confidence, hit = p.max(1), p.argmax(1) == t
    ece = 0.0
    for k in range(15):
        inside = (confidence > k / 15) & (confidence <= (k + 1) / 15)
        if inside.any():
            ece += inside.mean() * abs(hit[inside].mean() - confidence[inside].mean())
    assert scores.calibration_error == pytest.approx(ece, rel=1e-12)
    assert "ECE" in str(scores) and "accuracy" in str(scores)


def test_calibration_error_sees_overconfidence() -> None:
    generator = torch.Generator().manual_seed(0)
    p = torch.rand(20000, generator=generator, dtype=F64) * 0.5 + 0.5
    y = (torch.rand(20000, generator=generator, dtype=F64) > p).long()  # class 0 with probability p
    honest = calibration_bins(torch.stack([p, 1 - p], 1), y).error()
    sharp = calibration_bins(torch.stack([p**0.25, 1 - p**0.25], 1), y).error()
    truth = float((p**0.25 - p).mean())  # the gap itself
    assert honest < 0.015 and sharp == pytest.approx(truth, abs=0.015)  # 15 bins, standard error .003 each


def test_wasserstein_of_every_pair_against_a_loop() -> None:
    y = real(7)
    posterior, draws, x = problem(HeteroscedasticGaussian(), y, chains=2, draws=4)
    law = posterior.predictive(draws.flat, x).base_dist
    expected = torch.zeros(8, 8, dtype=F64)
    for s in range(8):
        for t in range(8):
            gap = (law.loc[s] - law.loc[t]) ** 2 + (law.scale[s] - law.scale[t]) ** 2
            expected[s, t] = gap.sum() / 7
    assert torch.allclose(pairwise_wasserstein(posterior, draws, x), expected, rtol=1e-9, atol=1e-12)
    diversity = functional_diversity(posterior, draws, x)
    assert float(diversity.within[0]) == pytest.approx(float(expected[:4, :4].sum() / 12), rel=1e-9)
    assert diversity.mean_between == pytest.approx(float(expected[:4, 4:].mean()), rel=1e-9)
    stuck = Draws(draws.theta[:, :1] + 0.01 * draws.theta, posterior.layout, "each near its own start")
    assert functional_diversity(posterior, stuck, x).ratio > 100
    same = Draws(draws.theta[:1].expand(2, -1, -1), posterior.layout, "copies")
    assert functional_diversity(posterior, same, x).ratio == pytest.approx(3 / 4)  # half of the pairs with themselves


def test_what_does_not_fit_is_refused() -> None:
    y = real()
    posterior, draws, x = problem(LearnedGaussianNoise(), y)
    hole = x.clone()
    hole[4, 1] = torch.nan
    broken = draws.theta.clone()
    broken[1, 2, 0] = torch.inf
    cases: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
        ((draws, x[:, :1], y), {}, "inputs"), ((draws, x[:0], y[:0]), {}, "n >= 1"), ((draws, hole, y), {}, "row 4"),
        ((draws, x, y[:5]), {}, "as many targets"), ((draws, x, y * torch.nan), {}, "finite targets"),
        ((draws, x, y.long()), {}, "real targets"), ((draws, x, real(11, 2)), {}, "2 outputs"),
        ((Draws(broken, draws.layout, ""), x, y), {}, "chain 1, draw 2"),
        ((draws, x, y), {"target_scale": 0.0}, "positive target_scale"),
        ((draws, x, y), {"target_scale": torch.ones(3)}, "target_scale"),
        ((draws, x, y), {"levels": (0.5, 1.0)}, "levels"),
    ]  # fmt: skip
    for arguments, options, message in cases:
        with pytest.raises(ValueError, match=message):
            evaluate(posterior, *arguments, **options)
    with pytest.raises(TypeError, match="expected Draws"):
        evaluate(posterior, draws.theta, x, y)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="floats"):
        evaluate(posterior, draws, x.long(), y)
    _, foreign, _ = problem(GaussianNoise(), y)
    with pytest.raises(ValueError, match=r"noise\.log_scale"):
        evaluate(posterior, foreign, x, y)
    with pytest.raises(ValueError, match="same rows"):
        evaluate(posterior, draws, x, y).lppd_difference(evaluate(posterior, draws, x[:3], y[:3]))
    classes = torch.tensor([0, 1, 2] * 3)
    posterior, draws, x = problem(Categorical(3), classes)
    with pytest.raises(ValueError, match="from 0 to 2"):
        evaluate(posterior, draws, x, classes + 1)
    with pytest.raises(ValueError, match="no unit"):
        evaluate(posterior, draws, x, classes, target_scale=2.0)
    with pytest.raises(ValueError, match="W2"):
        functional_diversity(posterior, draws, x)


def test_the_table_says_which_units() -> None:
    y = real()
    posterior, draws, x = problem(LearnedGaussianNoise(), y)
    assert "as given" in str(evaluate(posterior, draws, x, y))
    text = str(evaluate(posterior, draws, x, y, target_scale=77.0))
    assert "4.344 subtracted" in text and "own units" in text and "coverage 0.95" in text and "prior: 3 x 5" in text
