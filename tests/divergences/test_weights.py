"""Importance weights: Pareto fits and smoothing against ArviZ and known tails; truncation, means against formulas."""

import math

import numpy as np
import pytest
import torch
from pyro.ops.stats import fit_generalized_pareto as pyro_fit
from scipy import stats
from torch import Tensor

from pyro_symvi.divergences._pareto import fit_generalized_pareto, generalized_pareto_quantile
from pyro_symvi.divergences.estimators import expectation
from pyro_symvi.divergences.weights import effective_sample_size, normalized, pareto_k, pareto_smooth, truncate


def quantile_weights(n: int, k: float) -> Tensor:
    """Log of the midpoint quantiles of a generalised Pareto law, shifted: no randomness."""
    return torch.tensor(np.log(stats.genpareto.ppf((np.arange(n) + 0.5) / n, k) + 0.01))


# k-hat and the three largest normalised log-weights of arviz.psislw (ArviZ 0.23.4) on quantile_weights(n, k)
ARVIZ = [
    (1000, 0.3, 0.3235606438260699, (-4.413315515955711, -4.223707171670629, -3.893884683943063)),
    (1000, 0.9, 0.8442664334030683, (-3.1664572820369705, -2.7320336993031162, -1.800992059298871)),
    (200, 0.5, 0.49527707054971293, (-3.187197995881607, -2.905203677082291, -2.3202728078013934)),
    (40, 0.2, 0.3780121723319467, (-2.5615903933819046, -2.2898834925673306, -1.9514971971674304)),
]


@pytest.mark.parametrize(("n", "k", "expected", "largest"), ARVIZ)
def test_smoothing_is_that_of_arviz(n: int, k: float, expected: float, largest: tuple[float, ...]) -> None:
    l = quantile_weights(n, k)[torch.randperm(n, generator=torch.Generator().manual_seed(n))]
    smooth, estimate = pareto_smooth(l + 300.0)
    assert float(estimate) == pytest.approx(expected, rel=1e-10)
    assert float(pareto_k(l)) == pytest.approx(expected, rel=1e-10)
    assert torch.allclose(normalized(smooth).sort().values[-3:], torch.tensor(largest, dtype=torch.float64), rtol=1e-10)
    # order is kept, no weight exceeds the largest raw one, and what is not in the tail is left alone
    assert bool((smooth.argsort() == l.argsort()).all()) and float(smooth.max()) <= float(l.max()) + 300.0
    tail = math.ceil(min(0.2 * n, 3 * math.sqrt(n)))
    assert int((smooth != l + 300.0).sum()) <= tail + n // 4  # rounding of the shift aside
    assert torch.allclose(smooth.sort().values[: n - tail], l.sort().values[: n - tail] + 300.0)


@pytest.mark.parametrize("k", [0.2, 0.5, 0.9])
def test_the_fit_agrees_with_the_law_and_with_another_implementation(k: float) -> None:
    """200 samples of 500: the mean estimate is within 4 standard errors, plus a bias of 0.02, of the truth."""
    rng = np.random.default_rng(1)
    x = torch.tensor(np.sort(2.0 * stats.genpareto.rvs(k, size=(500, 200), random_state=rng), axis=0))
    shapes, scales = fit_generalized_pareto(x, prior_strength=0.0)
    error = 4 * float(shapes.std()) / math.sqrt(200)
    assert abs(float(shapes.mean()) - k) < error + 0.02
    assert abs(float(scales.mean()) - 2.0) < 0.1
    maximum = np.array([stats.genpareto.fit(x[:, i].numpy(), floc=0.0)[0] for i in range(5)])
    assert np.allclose(shapes[:5].numpy(), maximum, atol=0.05)
    theirs = torch.tensor([float(pyro_fit(x[:, i])[0]) for i in range(5)])
    assert torch.allclose(fit_generalized_pareto(x)[0][:5], theirs.double(), atol=5e-3)


def test_quantiles_of_the_pareto_law() -> None:
    p = torch.tensor([0.1, 0.5, 0.99], dtype=torch.float64)
    for k in (-0.3, 0.0, 1e-12, 0.7):
        expected = torch.tensor(stats.genpareto.ppf(p.numpy(), k, scale=2.0))
        ours = generalized_pareto_quantile(p, torch.tensor(k, dtype=torch.float64), torch.tensor(2.0))
        assert torch.allclose(ours, expected, rtol=1e-9)


@pytest.mark.parametrize(("df", "low", "high"), [(2.0, 0.35, 0.65), (1.2, 0.65, 1.05), (50.0, -0.2, 0.35)])
def test_k_hat_of_importance_weights_reads_the_tail(df: float, low: float, high: float) -> None:
    """Exponential tails: w = exp(x), x exponential of rate df, is a Pareto law of shape 1 / df."""
    torch.manual_seed(4)
    l = torch.distributions.Exponential(torch.tensor(df, dtype=torch.float64)).sample((20_000, 8))
    assert low < float(pareto_k(l).mean()) < high


def test_batches_and_degenerate_weights() -> None:
    columns = [quantile_weights(200, 0.5), torch.zeros(200).double(), torch.full((200,), -torch.inf).double()]
    nan = quantile_weights(200, 0.5).clone()
    nan[7] = torch.nan
    holes = quantile_weights(200, 0.5).clone()
    holes[:60] = -torch.inf
    l = torch.stack([*columns, nan, holes], 1)
    smooth, k = pareto_smooth(l)
    assert float(k[0]) == pytest.approx(ARVIZ[2][2], rel=1e-10)
    assert float(k[1]) == -math.inf and float(k[2]) == math.inf and float(k[3]) == math.inf
    assert 0.3 < float(k[4]) < 0.8 and bool(torch.isneginf(smooth[:60, 4]).all())
    for i in (1, 2, 3):
        assert torch.equal(smooth[:, i].nan_to_num(), l[:, i].nan_to_num())
    few = torch.randn(20, dtype=torch.float64)
    assert float(pareto_k(few)) == math.inf and torch.equal(pareto_smooth(few)[0], few)
    wide = torch.linspace(-3000.0, 2000.0, 300, dtype=torch.float64)  # one weight carries all
    assert float(pareto_k(wide)) > 1.0
    for dtype in (torch.float32, torch.float64):
        assert pareto_smooth(l.to(dtype))[0].dtype == dtype


def test_effective_sample_size() -> None:
    l = torch.tensor([0.3, -1.0, 2.0, 0.0], dtype=torch.float64)
    w = l.exp()
    assert float(effective_sample_size(l)) == pytest.approx(float(w.sum() ** 2 / (w**2).sum()), rel=1e-12)
    assert float(effective_sample_size(l + 900.0)) == pytest.approx(float(effective_sample_size(l)), rel=1e-10)
    assert torch.allclose(effective_sample_size(torch.stack([l, 0 * l], 1))[1], torch.tensor(4.0).double())
    with pytest.raises(TypeError, match="floating-point"):
        effective_sample_size(torch.arange(3))


def test_truncation() -> None:
    l = torch.tensor([0.0, 0.0, 0.0, 5.0], dtype=torch.float64)
    bound = math.log((3 + math.exp(5.0)) / 4 * 2)
    assert torch.allclose(truncate(l), torch.tensor([0.0, 0.0, 0.0, bound], dtype=torch.float64))
    assert torch.allclose(truncate(l + 50.0), truncate(l) + 50.0)
    # heavy weights (k = 0.8, no variance): truncation lowers the spread of the mean, and pulls it down
    torch.manual_seed(0)
    x = torch.distributions.Exponential(torch.tensor(1 / 0.8, dtype=torch.float64)).sample((400, 2000))
    raw, tamed, smooth = (y.exp().mean(0) for y in (x, truncate(x), pareto_smooth(x)[0]))
    assert float(tamed.std()) < 0.5 * float(raw.std()) and float(smooth.std()) < float(raw.std())
    truth = 1 / (1 - 0.8)
    assert float(tamed.mean()) < float(smooth.mean()) < truth + 0.5  # bias: smoothed less than truncated
    assert float(tamed.mean()) == pytest.approx(truth, rel=0.35)


@pytest.mark.parametrize("log_normalizer", [None, 1.7])
def test_means_and_their_standard_errors(log_normalizer: float | None) -> None:
    """q = N(0, 1.3), p = N(0.4, 1) known up to e^1.7, h = z: 2,000 repetitions; standard errors match the spread."""
    torch.manual_seed(2)
    q, p = (torch.distributions.Normal(torch.tensor(m, dtype=torch.float64), s) for m, s in ((0.0, 1.3), (0.4, 1.0)))
    z = q.sample((500, 2000))
    l = p.log_prob(z) + 1.7 - q.log_prob(z)
    mean, error = expectation(z, l, log_normalizer)
    spread = float(mean.std())
    assert abs(float(mean.mean()) - 0.4) < 4 * spread / math.sqrt(2000) + 1 / 500
    assert float(error.mean()) == pytest.approx(spread, rel=0.06)
    shifted = expectation(z + 10.0, l, log_normalizer).mean
    assert torch.allclose(shifted, mean + 10.0) == (log_normalizer is None)
    with pytest.raises(ValueError, match="shape of log_weights"):
        expectation(z[:3], l)
