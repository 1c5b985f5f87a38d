"""Spectral estimates: eigenvectors against LAPACK, overlaps against theory, weights that must fail."""

import pytest
import torch
from scipy import optimize

from pyro_symvi.multiindex import GaussianChannel
from pyro_symvi.multiindex.simulate import _spectral as module
from pyro_symvi.multiindex.simulate import _top as top
from pyro_symvi.multiindex.simulate import (
    committee_data,
    optimal_preprocessing,
    single_index_data,
    spectral_estimator,
    spectral_prediction,
)
from pyro_symvi.multiindex.simulate._prediction import output_scores


@pytest.mark.parametrize("dense", [4096, 0], ids=["matrix", "matrix-free"])
def test_eigenvectors_are_those_of_lapack(monkeypatch, dense):
    """By ARPACK on the matrix, and by our Lanczos method without it."""
    monkeypatch.setattr(module, "_DENSE", dense)
    monkeypatch.setattr(top, "_SMALL", 10)
    monkeypatch.setattr(module, "_ROWS", 37)  # several chunks
    channel = GaussianChannel("abs", 2.0)
    data = single_index_data("abs", 40, 6.0, 2.0, seeds=[0, 1])
    found = spectral_estimator(data.x, data.y, channel, count=3, ratios=[2.5, 6.0], tol=1e-10)
    assert found.vectors.shape == (2, 2, 3, 40)
    weights = optimal_preprocessing(channel)(data.y)
    for r, n in enumerate((100, 240)):
        x = data.x[:, :n]
        values, vectors = torch.linalg.eigh(x.mT @ (weights[:, :n, None] * x) / 40)
        torch.testing.assert_close(found.values[:, r], values[:, -3:].flip(-1), atol=1e-9, rtol=0)
        cosines = (found.vectors[:, r] * vectors[..., -3:].mT.flip(-2)).sum(-1).abs()
        torch.testing.assert_close(cosines, torch.ones_like(cosines), atol=1e-7, rtol=0)
    assert found.residuals.max() < 1e-8
    few = spectral_estimator(data.x, data.y, channel, count=3, tol=1e-10, max_steps=1)  # raised to the vectors wanted
    assert few.vectors.shape == (2, 3, 40) and few.squared_cosine(found.vectors[:, 1]).min() > 0.2


@pytest.mark.parametrize(("name", "snr"), [("abs", 0.5), ("b4", 1.0)])
def test_overlap_below_and_above_the_threshold(name, snr):
    """Means over 8 seeds at d = 250, with their standard errors, at 0.5, 2.5 and 6 thresholds."""
    channel = GaussianChannel(name, snr)
    ratios = [part / channel.score_information() for part in (0.5, 2.5, 6.0)]
    data = single_index_data(name, 250, ratios[-1], snr, seeds=range(8), dtype=torch.float32)
    found = spectral_estimator(data.x, data.y, channel, ratios=ratios).squared_cosine(data.direction)
    low, middle, high = found.mean(0).tolist()
    error = found.std(0) / 8**0.5
    assert low < 0.1 < middle and middle - low > 4 * error[:2].norm()
    expected = spectral_prediction(channel, ratios).overlap
    assert expected[0] == 0 and middle == pytest.approx(float(expected[1]), abs=4 * float(error[1]) + 0.03)
    assert high == pytest.approx(float(expected[2]), abs=4 * float(error[2]) + 0.01)
    wrong = spectral_prediction(GaussianChannel(name, snr / 2), ratios).overlap
    assert abs(high - wrong[2]) > 4 * error[2] + 0.01


def test_weights_that_see_nothing_find_nothing():
    """T = y is blind to b4, whose second Hermite coefficient is zero, where the optimal weights see it."""
    channel = GaussianChannel("b4", 1.0)
    data = single_index_data("b4", 150, 8 / channel.score_information(), 1.0, seeds=range(6), dtype=torch.float32)
    blind = spectral_estimator(data.x, data.y, lambda y: y).squared_cosine(data.direction)
    best = spectral_estimator(data.x, data.y, channel).squared_cosine(data.direction)
    assert blind.mean() < 0.1 and best.mean() > 0.5


@pytest.mark.parametrize("ratio", [1.5, 4.0, 40.0])
def test_prediction_is_the_theorem_of_lu_and_li(ratio):
    """Psi and phi as functions of T alone, their crossing by root finding and the slopes by differences."""
    channel = GaussianChannel("abs", 1.0)
    a, weight = output_scores(channel)
    t = a / (1 + a)

    def psi(edge):
        return float(edge * (1 / ratio + weight @ (t / (edge - t))))

    def phi(edge):
        return float(edge * (weight @ ((1 + a) * t / (edge - t))))

    edge = optimize.brentq(lambda e: psi(e) - phi(e), 1 + 1e-9, 1e4)
    h = 1e-4 * edge
    slopes = [(f(edge + h) - f(edge - h)) / (2 * h) for f in (psi, phi)]
    found = spectral_prediction(channel, ratio)
    assert float(found.edge) == pytest.approx(edge, rel=1e-6)
    assert float(found.overlap) == pytest.approx(slopes[0] / (slopes[0] - slopes[1]), rel=1e-4)


def test_prediction_begins_at_the_threshold():
    channel = GaussianChannel("abs", 0.3)
    threshold = 1 / channel.score_information()
    below, above = spectral_prediction(channel, [0.999 * threshold, 1.001 * threshold]).overlap
    assert below == 0 and 0 < above < 0.01


def test_committee_span():
    """Three units at many times the threshold: each unit sees the others as Gaussian noise."""
    data = committee_data("abs", 3, 60, 60.0, 0.2, seeds=[0, 1], tests=0, dtype=torch.float32)
    spread = (0.2 + 2 / 3) ** 0.5
    channel = GaussianChannel("abs", (1 / 3) / spread**2)
    found = spectral_estimator(data.x, data.y / spread, channel, count=3)
    assert found.squared_cosine(data.weights).min() > 0.75
    other = committee_data("abs", 3, 60, 1.0, 0.2, seeds=[7, 8]).weights
    assert found.squared_cosine(other).max() < 0.25  # 3 / 60 by chance


def test_errors():
    data = single_index_data("abs", 10, 4.0, 1.0)
    with pytest.raises(ValueError, match="largest ratio"):
        spectral_estimator(data.x, data.y, torch.sin, ratios=[5.0])
    with pytest.raises(ValueError, match="finite weight"):
        spectral_estimator(data.x, data.y, lambda y: y / 0)
    with pytest.raises(ValueError, match="shape"):
        spectral_estimator(data.x, data.y[:-1], torch.sin)
    with pytest.raises(ValueError, match="one dtype"):
        spectral_estimator(data.x, data.y.float(), torch.sin)
    with pytest.raises(ValueError, match="count"):
        spectral_estimator(data.x, data.y, torch.sin, count=11)
    with pytest.raises(ValueError, match="ratios above 0"):
        spectral_prediction(GaussianChannel("abs", 1.0), [])
