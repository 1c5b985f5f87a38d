"""Message passing: against ridge regression, against state evolution at d = 1,000, and starts that must fail."""

import pytest
import torch

from pyro_symvi.multiindex import GaussianChannel, single_index_thresholds
from pyro_symvi.multiindex.simulate import fixed_points, gamp, single_index_data, state_evolution

DIM = 1000


def test_a_linear_link_gives_ridge_regression():
    """Any fixed point of GAMP with a linear channel is (d I + snr X^T X)^{-1} sqrt(snr) X^T y, at every d."""
    data = single_index_data("linear", 30, 2.0, 2.0, seeds=[0])
    found = gamp(data.x, data.y, GaussianChannel("linear", 2.0), ratios=[1.0, 2.0], iterations=100, tol=1e-7)
    assert found.converged.all()
    for r, n in enumerate((30, 60)):
        x, y = data.x[:, :n], data.y[:, :n]
        ridge = torch.linalg.solve(30 * torch.eye(30, dtype=x.dtype) + 2 * x.mT @ x, 2**0.5 * (x.mT @ y[..., None]))
        torch.testing.assert_close(found.estimate[:, r], ridge[..., 0], atol=1e-6, rtol=0)


@pytest.fixture(scope="module")
def jump():
    """The link b4 at snr 0.2 with informed starts, on both sides of the ratio 12.04 where the branch appears."""
    data = single_index_data("b4", DIM, 15.0, 0.2, seeds=range(3), dtype=torch.float32)
    return gamp(
        data.x, data.y, GaussianChannel("b4", 0.2), start="informed", truth=data.direction, ratios=[8.0, 15.0],
        iterations=7, tol=0.0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def ends():
    """The fixed points of b4 at snr 0.2 below and above that ratio."""
    return fixed_points(GaussianChannel("b4", 0.2), [8.0, 15.0], points=32)


def distances(found, predicted):
    """Differences of means over seeds from the prediction at iterations 1 to T, in standard errors ``[T]``.

    The standard error is that over seeds, its root mean square over iterations (single ones are too noisy).
    """
    values = found.double()[1:]
    error = (values.std(1) / values.shape[1] ** 0.5).square().mean().sqrt()
    return (values.mean(1) - predicted[1:]).abs() / error


def test_state_evolution_of_a_first_order_link(jump, ends):
    """Squared cosines at d = 1,000 over 3 seeds: within 4 standard errors (of 0.003) of the prediction."""
    right = state_evolution(GaussianChannel("b4", 0.2), 15.0, overlap0=0.9, iterations=7, tol=0).overlaps[:, 0]
    wrong = state_evolution(GaussianChannel("b4", 0.4), 15.0, overlap0=0.9, iterations=7, tol=0).overlaps[:, 0]
    cosine = jump.squared_cosine[:, :, 1]
    assert distances(cosine, right).max() < 4
    assert distances(cosine, wrong).max() > 8
    end = ends[1][-1]
    assert end.stable and cosine[-1].mean() == pytest.approx(end.overlap, abs=0.015)


def test_overlap_length_and_variance_agree(jump):
    """The Nishimori identity: overlap = length = 1 - variance, up to fluctuations of order d^{-1/2} = 0.03."""
    overlap, length, variance = (part[0, :, 1] for part in (jump.overlap, jump.length, jump.variance))
    torch.testing.assert_close(torch.stack([overlap, length, 1 - variance]), torch.full((3, 3), 0.9), atol=0.03, rtol=0)
    overlap, length, variance = (part[-1, :, 1] for part in (jump.overlap, jump.length, jump.variance))
    torch.testing.assert_close(overlap.mean(), length.mean(), atol=0.03, rtol=0)
    torch.testing.assert_close(length.mean(), 1 - variance.mean(), atol=0.03, rtol=0)


def test_the_informed_branch_is_there_above_the_predicted_ratio_alone(jump, ends):
    """Ratios 8 and 15 on the two sides of spinodal and information threshold; no transition is located."""
    thresholds = single_index_thresholds("b4", 0.2)
    assert 8.0 < 0.7 * thresholds.spinodal < thresholds.information < 0.95 * 15.0
    below, above = ends
    assert len(below) == 1 and above[-1].overlap > thresholds.jump
    last = jump.squared_cosine[-1]
    assert last[:, 0].max() < 0.3 and last[:, 1].min() > 0.85
    assert jump.length[-1, :, 0].max() < 0.3


@pytest.mark.parametrize("name", ["abs", "he2"])
def test_state_evolution_of_continuous_links(name):
    """Snr 0.5, d = 1,000, 4 seeds: informed starts within 4 standard errors; all starts reach one fixed point."""
    data = single_index_data(name, DIM, 4.0, 0.5, seeds=range(4), dtype=torch.float32)
    channel = GaussianChannel(name, 0.5)
    informed = gamp(data.x, data.y, channel, start="informed", truth=data.direction, iterations=8, tol=0)
    right = state_evolution(channel, 4.0, overlap0=0.9, iterations=8, tol=0).overlaps[:, 0]
    wrong = state_evolution(GaussianChannel(name, 1.0), 4.0, overlap0=0.9, iterations=8, tol=0).overlaps[:, 0]
    assert distances(informed.squared_cosine, right).max() < 4
    assert distances(informed.squared_cosine, wrong).max() > 8


def test_all_starts_reach_one_fixed_point():
    """Abs at snr 0.5 and six thresholds, d = 250: random, spectral and informed starts on the same data."""
    data = single_index_data("abs", 250, 8.0, 0.5, seeds=range(2), dtype=torch.float32)
    channel, w = GaussianChannel("abs", 0.5), data.direction
    informed, random, spectral = (
        gamp(data.x, data.y, channel, start=start, truth=w, iterations=16).squared_cosine
        for start in ("informed", "random", "spectral")
    )
    torch.testing.assert_close(random[-1], informed[-1], atol=0.02, rtol=0)
    torch.testing.assert_close(spectral[-1], informed[-1], atol=0.02, rtol=0)
    assert random[0].max() < 0.05 and spectral[0].min() > 0.4
    assert (spectral[1] - spectral[0]).min() > 0.04  # 0.06 and 0.09; messages of the other sign: -0.02 and 0.05
    assert informed[-1].mean() == pytest.approx(fixed_points(channel, 8.0, points=32)[0][-1].overlap, abs=0.05)


def test_a_start_that_claims_more_than_it_has_ends_sure_of_a_wrong_direction():
    """B4 at snr 1 and 4 thresholds, d = 150: random starts whose variance fits find w, others claim it and do not."""
    channel = GaussianChannel("b4", 1.0)
    data = single_index_data("b4", 150, 8.0, 1.0, seeds=range(5), dtype=torch.float32)
    fits = gamp(data.x, data.y, channel, truth=data.direction, iterations=25)
    claims = gamp(data.x, data.y, channel, truth=data.direction, start_overlap=0.6, iterations=18)
    assert (fits.squared_cosine[-1] > 0.8).double().mean() >= 0.8
    assert (claims.squared_cosine[-1] > 0.8).double().mean() <= 0.5
    assert (claims.length[-1] > 0.4).all()


def test_batches_are_the_single_runs():
    data = single_index_data("abs", 40, 6.0, 1.0, seeds=[0, 1])
    channel = GaussianChannel("abs", 1.0)
    start = 0.3 * torch.randn(2, 2, 40, generator=torch.Generator().manual_seed(1), dtype=torch.float64) / 40**0.5
    both = gamp(data.x, data.y, channel, start=start, ratios=[3.0, 6.0], iterations=6, tol=0)
    assert both.estimate.shape == (2, 2, 40) and both.length.shape == (7, 2, 2) and both.converged.shape == (2, 2)
    for s in range(2):
        for r, n in enumerate((120, 240)):
            one = gamp(data.x[s, :n], data.y[s, :n], channel, start=start[s, r], iterations=6, tol=0)
            torch.testing.assert_close(one.estimate, both.estimate[s, r], atol=1e-9, rtol=0)
            assert one.estimate.shape == (40,) and one.variance.shape == (7,)
    single = gamp(data.x.float(), data.y.float(), channel, start=start, ratios=[3.0, 6.0], iterations=6, tol=0)
    assert single.estimate.dtype == torch.float32
    torch.testing.assert_close(single.estimate.double(), both.estimate, atol=1e-4, rtol=0)


def test_seed_and_global_state():
    data = single_index_data("abs", 20, 3.0, 1.0)
    channel = GaussianChannel("abs", 1.0)
    before = torch.get_rng_state()
    first, again, other = (gamp(data.x, data.y, channel, iterations=2, seed=s).estimate for s in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())
    start = gamp(data.x, data.y, channel, truth=data.direction, iterations=1, tol=0).squared_cosine[0]
    assert start < 0.5  # seed 0 of the data draws w first: the start of seed 0 is another vector


def test_damping_keeps_part_of_the_old_estimate():
    data = single_index_data("abs", 20, 3.0, 1.0)
    channel = GaussianChannel("abs", 1.0)
    start = 0.5 * data.direction
    plain = gamp(data.x, data.y, channel, start=start, iterations=1)
    damped = gamp(data.x, data.y, channel, start=start, iterations=1, damping=0.25)
    torch.testing.assert_close(damped.estimate, 0.75 * plain.estimate + 0.25 * start)
    torch.testing.assert_close(damped.variance[1], 0.75 * plain.variance[1] + 0.25 * plain.variance[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"start": "warm"}, "random, spectral, informed"),
        ({"start": "informed"}, "truth"),
        ({"start": torch.ones(10, dtype=torch.float64)}, "between 0 and 1"),
        ({"start": torch.ones(9, dtype=torch.float64)}, "10 entries"),
        ({"damping": 1.0}, "damping"),
        ({"start_overlap": 1.0}, "variance"),
        ({"ratios": [9.0]}, "largest ratio"),
        ({"iterations": 0}, "iterations"),
    ],
    ids=["name", "truth", "long", "entries", "damping", "overlap", "ratios", "iterations"],
)
def test_errors(change, words):
    data = single_index_data("abs", 10, 3.0, 1.0)
    with pytest.raises(ValueError, match=words):
        gamp(data.x, data.y, GaussianChannel("abs", 1.0), **change)
    with pytest.raises(ValueError, match="without truth"):
        _ = gamp(data.x, data.y, GaussianChannel("abs", 1.0), iterations=1).squared_cosine
