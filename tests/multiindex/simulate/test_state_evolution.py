"""State evolution: closed forms, growth at the threshold, fixed points."""

import numpy as np
import pytest

from pyro_symvi.multiindex import GaussianChannel
from pyro_symvi.multiindex.simulate import fixed_points, state_evolution


def test_a_linear_link_has_a_closed_form():
    """E g^2 = snr / (1 + snr (1 - q)): the fixed point solves a quadratic, the iterations are explicit."""
    snr, ratios = 2.0, np.array([0.3, 1.0, 4.0])
    q, course = np.full(3, 0.5), [np.full(3, 0.5)]
    for _ in range(5):
        h = ratios * snr / (1 + snr * (1 - q))
        q = h / (1 + h)
        course.append(q)
    channel = GaussianChannel("linear", snr)
    found = state_evolution(channel, ratios, overlap0=0.5, iterations=5, tol=0)
    np.testing.assert_allclose(found.overlaps.numpy(), course, atol=1e-7)
    # q (1 + snr (1 - q)) = alpha snr (1 - q)
    exact = [min(np.roots([snr, -(1 + snr + a * snr), a * snr])) for a in ratios]
    limit = state_evolution(channel, ratios, overlap0=0.0)
    assert limit.converged.all()
    np.testing.assert_allclose(limit.overlap.numpy(), exact, atol=1e-6)
    for points, q in zip(fixed_points(channel, ratios, points=12), exact, strict=True):
        assert [p.stable for p in points] == [True] and points[0].overlap == pytest.approx(q, abs=1e-5)


@pytest.mark.parametrize("name", ["abs", "b4"])
def test_small_overlaps_grow_by_the_ratio_over_the_threshold(name):
    channel = GaussianChannel(name, 0.5)
    threshold = 1 / channel.score_information()
    found = state_evolution(channel, [0.5 * threshold, 2 * threshold], overlap0=1e-5, iterations=1)
    growth = found.overlap / 1e-5
    assert growth.tolist() == pytest.approx([0.5, 2.0], rel=1e-3)


def test_fixed_points_of_a_first_order_transition():
    """B4 at snr 0.2, whose curve alpha(q) rises from 15.9, falls from 21.5 to 12.0 and rises again.

    Below 12.0 there is 0 alone; then also an unstable and a stable one; beyond 15.9 overlap 0 is unstable, but a second
    stable branch of small overlaps goes on until 21.5.
    """
    channel = GaussianChannel("b4", 0.2)
    low, middle, high, beyond = fixed_points(channel, [10.0, 14.0, 18.0, 24.0], points=40)
    assert [(p.overlap, p.stable) for p in low] == [(0.0, True)]
    assert [p.stable for p in middle] == [True, False, True] and middle[0].overlap == 0
    assert [p.stable for p in high] == [False, True, False, True] and high[1].overlap < 0.1 < 0.9 < high[3].overlap
    assert [p.stable for p in beyond] == [False, True]
    stuck = state_evolution(channel, [18.0, 24.0], overlap0=0.03, iterations=45).overlap
    assert float(stuck[0]) == pytest.approx(high[1].overlap, abs=0.01)
    assert float(stuck[1]) == pytest.approx(beyond[1].overlap, abs=0.01)
    for ratio, points in ((14.0, middle), (18.0, high)):
        for point in points[1:]:
            step = state_evolution(channel, ratio, overlap0=point.overlap, iterations=1).overlap
            assert float(step) == pytest.approx(point.overlap, abs=1e-5)
    near = [middle[1].overlap - 0.02, middle[1].overlap + 0.02]
    ends = state_evolution(channel, [14.0, 14.0], overlap0=near, iterations=40).overlap.tolist()
    assert ends[0] < 0.3 and ends[1] == pytest.approx(middle[2].overlap, abs=5e-3)


def test_errors():
    channel = GaussianChannel("abs", 0.5)
    with pytest.raises(ValueError, match="variance"):
        state_evolution(channel, 2.0, overlap0=1.0)
    with pytest.raises(ValueError, match="above 0"):
        state_evolution(channel, [1.0, 0.0])
    with pytest.raises(ValueError, match="iterations"):
        state_evolution(channel, 1.0, iterations=0)
