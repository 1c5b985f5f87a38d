"""Well populations and paired differences: counts, and intervals against scipy and their own coverage."""

import math

import numpy as np
import pytest
import scipy.stats
import torch

from pyro_symvi.quotient.metrics import ClopperPearson, Wilson, paired_differences, well_populations


def test_wells_are_those_of_the_nearest_centre_on_the_circle():
    degrees = torch.tensor([-60.0, -1, 1, 60, 119, 121, 180, -179, -121, -119, 540, math.nan])
    result = well_populations(torch.deg2rad(degrees).double())
    assert result.counts.tolist() == [3, 3, 5] and result.undefined == 1
    torch.testing.assert_close(result.shares, torch.tensor([3, 3, 5]).double() / 11)
    assert "undefined" in str(result) and "180 deg" in str(result)


def test_a_draw_midway_goes_to_the_first():
    assert well_populations(torch.zeros(1), (-1.0, 1.0)).counts.tolist() == [1, 0]


@pytest.mark.parametrize("rule, method", [(Wilson(), "wilson"), (ClopperPearson(), "exact")])
def test_intervals_are_scipys(rule, method):
    x = torch.cat([torch.full((30,), 1.0), torch.full((70,), 3.0), torch.full((100,), -1.0)])
    result = well_populations(x, rule=rule, confidence=0.9)
    for count, low, high in zip(result.counts.tolist(), result.low.tolist(), result.high.tolist(), strict=True):
        expected = scipy.stats.binomtest(count, 200).proportion_ci(0.9, method=method)
        assert (low, high) == pytest.approx((expected.low, expected.high))
    wide = well_populations(x, rule=rule, confidence=0.9, simultaneous=True)
    each = scipy.stats.binomtest(30, 200).proportion_ci(1 - 0.1 / 3, method=method)
    assert wide.high[1].item() == pytest.approx(each.high) and bool((wide.low < result.low).all())


def test_intervals_hold_the_truth_as_often_as_they_say():
    """80 samples of 80 from .6/.3/.1: 95 % Wilson intervals, standard error 2.4 %; all three at once at least 95 %."""
    rng = np.random.default_rng(0)
    truth = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
    centres = torch.tensor([-2.0, 0.0, 2.0]).double()
    hits, together = 0, 0
    for _ in range(80):
        x = centres[torch.from_numpy(rng.choice(3, 80, p=truth.numpy()))]
        one = well_populations(x, centres)
        hits += ((one.low <= truth) & (truth <= one.high)).double()
        all_ = well_populations(x, centres, simultaneous=True, rule=ClopperPearson())
        together += bool(((all_.low <= truth) & (truth <= all_.high)).all())
    assert bool(((hits / 80 - 0.95).abs() < 0.07).all()) and together / 80 > 0.9


CASES = {
    "all undefined": (lambda: well_populations(torch.full((3,), math.nan)), ValueError, "at least one defined"),
    "none": (lambda: well_populations(torch.zeros(0)), ValueError, "at least one defined"),
    "inf": (lambda: well_populations(torch.tensor([math.inf])), ValueError, "inf"),
    "same centres": (lambda: well_populations(torch.zeros(1), (math.pi, -math.pi)), ValueError, "distinct"),
    "no centres": (lambda: well_populations(torch.zeros(1), ()), ValueError, "centres \\[K\\]"),
    "rule": (lambda: well_populations(torch.zeros(1), rule="wilson"), TypeError, "Wilson\\(\\)"),
    "integers": (lambda: well_populations(torch.zeros(1).long()), TypeError, "floating"),
    "one pair": (lambda: paired_differences([1.0], [2.0]), ValueError, "at least 2"),
    "unequal": (lambda: paired_differences([1.0, 2.0], [2.0, 3.0, 4.0]), ValueError, "as many"),
    "nan": (lambda: paired_differences([1.0, math.nan], [2.0, 3.0]), ValueError, "finite"),
    "level": (lambda: paired_differences([1.0, 2.0], [2.0, 3.0], confidence=1), ValueError, "confidence"),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_arguments_are_refused(name):
    call, kind, words = CASES[name]
    with pytest.raises(kind, match=words):
        call()


def test_paired_differences_are_the_t_test_of_scipy():
    rng = np.random.default_rng(1)
    common, a_only, b_only = rng.normal(size=(3, 8))
    a, b = 5 * common + a_only - 1.5, 5 * common + b_only
    result = paired_differences(a, torch.tensor(b))
    expected = scipy.stats.ttest_rel(a, b)
    interval = expected.confidence_interval(0.95)
    assert result.mean == pytest.approx((a - b).mean()) and result.p_value == pytest.approx(expected.pvalue)
    assert result.t == pytest.approx((interval.low, interval.high))
    assert result.favourable == np.mean(a < b) and result.count == 8
    assert result.t[0] < result.bootstrap[0] < result.mean < result.bootstrap[1] < result.t[1]
    unpaired = scipy.stats.ttest_ind(a, b).confidence_interval(0.95)
    assert result.resolved and unpaired.low < 0 < unpaired.high  # pairing is what resolves it
    assert "resolved" in str(result) and paired_differences(a, b) == result


def test_no_difference_is_not_resolved_more_often_than_it_should():
    """500 null pairs of n = 5: 5 % are resolved, standard error 1 %."""
    rng = np.random.default_rng(2)
    found = sum(paired_differences(*rng.normal(size=(2, 4))).resolved for _ in range(500))
    assert 0.02 < found / 500 < 0.08


def test_few_or_equal_pairs():
    few = paired_differences([1.0, 2.0], [1.5, 2.0])
    assert math.isnan(few.bootstrap[0]) and not few.resolved and few.favourable == 0.75
    same = paired_differences([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert same.t == (0, 0) and same.p_value == 1 and not same.resolved
    shifted = paired_differences([1.0, 2.0, 3.0], [0.9, 1.9, 2.9])
    assert shifted.resolved and shifted.mean == pytest.approx(0.1)
