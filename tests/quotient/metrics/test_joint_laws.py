"""The energy test: level, power where marginals see nothing, and the closed form; tables of comparisons."""

import math

import numpy as np
import pytest
import torch

from pyro_symvi.quotient.metrics import (
    compare,
    energy_test,
    jensen_shannon,
    shape_features,
    well_populations,
)


def normal(n, f, seed):
    return torch.randn(n, f, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_the_distance_is_the_double_sum():
    x, y = normal(7, 2, 0), normal(5, 2, 1) + 1
    a, b = x.numpy(), y.numpy()
    mean = lambda u, v: np.mean([np.linalg.norm(p - q) for p in u for q in v])  # noqa: E731
    expected = 2 * mean(a, b) - mean(a, a) - mean(b, b)
    result = energy_test(x, y, permutations=9)
    assert result.squared_distance == pytest.approx(expected, abs=1e-12)
    assert result.relative == pytest.approx(expected / (2 * mean(a, b)), abs=1e-12)


def test_in_one_dimension_it_is_twice_cramers_distance():
    """D^2 = 2 integral (F - G)^2."""
    x, y = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [1.0]])
    assert energy_test(x, y, permutations=1).squared_distance == pytest.approx(2 * 2 * 0.25)


def test_equal_laws_are_refused_as_often_as_the_level_says():
    """200 pairs of n = 20 at 10 %: standard error 2.1 %."""
    generator = torch.Generator().manual_seed(0)
    refused = 0
    for _ in range(200):
        x, y = torch.randn(2, 20, 2, dtype=torch.float64, generator=generator)
        refused += energy_test(x, y, permutations=99, generator=generator).p_value <= 0.1
    assert 0.04 < refused / 200 < 0.17


def test_it_sees_dependence_that_no_marginal_shows():
    """Two torsions with wells at 60 and 180 degrees, independent against always equal: the same marginals."""
    rng = np.random.default_rng(0)
    wells = torch.tensor([math.pi / 3, math.pi])
    first, second = torch.from_numpy(rng.integers(0, 2, (2, 300)))
    noise = 0.1 * normal(300, 2, 1)
    apart = wells[torch.stack([first, second], -1)] + noise
    tied = wells[torch.stack([first, first], -1)] + 0.1 * normal(300, 2, 2)
    assert float(jensen_shannon(apart, tied, bins=12).max()) < 0.03
    shares = [well_populations(v[:, 1], wells).shares[0].item() for v in (apart, tied)]
    assert shares[0] == pytest.approx(shares[1], abs=0.1)
    embed = lambda v: torch.cat([v.cos(), v.sin()], -1)  # noqa: E731
    result = energy_test(embed(apart), embed(tied))
    assert result.p_value == 1 / 200 and result.relative > 0.02 and result.squared_distance > 5 * result.null
    assert "p = 0.005" in str(result)


def test_identical_draws_and_single_points():
    x = normal(10, 3, 0)
    same = energy_test(x, x)
    assert same.squared_distance == pytest.approx(0, abs=1e-12) and same.p_value == 1
    point = energy_test(torch.zeros(5, 2), torch.zeros(5, 2))
    assert point.relative == 0 and point.p_value == 1
    assert energy_test(torch.zeros(5, 2), torch.ones(5, 2)).relative == pytest.approx(1)


def test_shape_features_are_invariant_and_tell_the_hand():
    x = normal(3, 15, 0).reshape(3, 5, 3)
    turn = torch.linalg.qr(normal(3, 3, 1))[0]
    turn = turn * torch.linalg.det(turn).sign()
    torch.testing.assert_close(shape_features(x @ turn.mT + 2), shape_features(x), atol=1e-12, rtol=0)
    mirrored = shape_features(-x)
    torch.testing.assert_close(mirrored[:, :10], shape_features(x)[:, :10])
    torch.testing.assert_close(mirrored[:, 10:], -shape_features(x)[:, 10:])
    torch.testing.assert_close(shape_features(3 * x), 3 * shape_features(x))
    mask = torch.tensor([True, True, False, True, True])
    torch.testing.assert_close(shape_features(x, mask), shape_features(x[:, mask]))
    assert shape_features(x[:, :3]).shape == (3, 3) and shape_features(x[..., :2]).shape == (3, 10)
    assert shape_features(torch.zeros(4, 3)).tolist() == [0] * 7


def scores(shift):
    rng = np.random.default_rng(0)
    base, noise = rng.normal(size=8), 0.1 * rng.normal(size=(4, 8))
    return {
        "plain": {"W1": base + noise[0], "COV": base + noise[1]},
        "quotient": {"W1": base + noise[2] - shift, "COV": base + noise[3] + shift},
    }


def test_a_comparison_says_better_only_where_seeds_tell():
    result = compare(scores(0.5), "plain", higher_is_better=["COV"])
    assert [result.verdict("quotient", metric) for metric in result.metrics] == ["better", "better"]
    assert compare(scores(0.5), "plain").verdict("quotient", "COV") == "worse"
    assert compare(scores(0.0), "plain").verdict("quotient", "W1") == "="
    text = str(result)
    assert "8 paired seeds, 95% for all differences at once" in text and text.count("better") == 2


def test_intervals_of_a_comparison_hold_for_all_differences_at_once():
    one = compare({m: {"W1": v["W1"]} for m, v in scores(0.5).items()}, "plain")
    two = compare(scores(0.5), "plain")
    width = lambda c: np.ptp(c.differences["quotient", "W1"].t)  # noqa: E731
    assert width(two) > width(one)
    assert two.figures["plain", "W1"].low == pytest.approx(one.figures["plain", "W1"].low)


CASES = {
    "shapes": (lambda: energy_test(torch.zeros(3, 2), torch.zeros(3, 3)), ValueError, "\\[n, F\\]"),
    "nan": (lambda: energy_test(torch.zeros(3, 2), torch.full((3, 2), math.nan)), ValueError, "6 of 6"),
    "one draw": (lambda: energy_test(torch.zeros(1, 2), torch.zeros(3, 2)), ValueError, "at least 2"),
    "rounds": (lambda: energy_test(torch.zeros(3, 2), torch.zeros(3, 2), permutations=0), ValueError, "permutations"),
    "ragged": (lambda: shape_features(torch.zeros(2, 4, 3), torch.ones(2, 4) > 0), ValueError, "mask \\[N\\]"),
    "one point": (lambda: shape_features(torch.zeros(1, 3)), ValueError, "at least 2"),
    "baseline": (lambda: compare(scores(0), "aligned"), ValueError, "plain"),
    "metrics": (lambda: compare({"a": {"x": [1.0, 2]}, "b": {"y": [1.0, 2]}}, "a"), ValueError, "metrics"),
    "direction": (lambda: compare(scores(0), "plain", higher_is_better=["AMR"]), ValueError, "AMR"),
    "seeds": (lambda: compare({"a": {"x": [1.0, 2]}, "b": {"x": [1.0, 2, 3]}}, "a"), ValueError, "as many"),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_arguments_are_refused(name):
    call, kind, words = CASES[name]
    with pytest.raises(kind, match=words):
        call()
