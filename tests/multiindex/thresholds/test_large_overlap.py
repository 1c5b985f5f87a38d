"""Message passing leaves zero at weak recovery and reaches a large overlap later, where the curve turns in between."""

import math

import pytest

from pyro_symvi.multiindex import GaussianChannel, Link, fixed_points, noise_sensitivity, single_index_thresholds


def test_small_overlaps_are_stable_between_weak_recovery_and_large_overlap() -> None:
    found = single_index_thresholds("b4", 0.2)
    assert found.spinodal < found.information < found.algorithmic == found.weak_recovery < found.large_overlap
    ratios = [0.99 * found.large_overlap, 1.01 * found.large_overlap]
    below, above = fixed_points(GaussianChannel("b4", 0.2), ratios, points=24)  # the first stable one is where it ends
    assert [point.stable for point in below] == [False, True, False, True]
    assert 0.1 < below[1].overlap < 0.25
    assert [point.stable for point in above] == [False, True]
    assert above[1].overlap > 0.9
    assert any("small overlap" in note for note in found.notes)


def test_the_jump_above_a_continuous_transition() -> None:
    # 16.86886 and 11.58008: nested quadrature over (omega, u, y) of E g^2 and its integral in q, by a spline in logit q
    found = single_index_thresholds("b4", 0.24)
    assert found.transition == "continuous"
    assert found.large_overlap == pytest.approx(16.86886, rel=1e-6)
    assert any("11.58" in note for note in found.notes)


def test_without_a_turn_all_thresholds_agree() -> None:
    found = single_index_thresholds("abs", 1.0)
    assert found.large_overlap == found.algorithmic == found.information
    assert not found.notes


def test_outputs_of_a_ring_need_not_tell_of_the_square() -> None:
    # the indicator of 0.5 < |z| < b with the same z phi(z) at both ends: E[(z^2 - 1) on it] = 0
    inner, outer = 0.5, 1.608310598815740
    assert outer * math.exp(-(outer**2) / 2) == pytest.approx(inner * math.exp(-(inner**2) / 2), rel=1e-12)
    ring = Link.of(lambda z: ((z.abs() > inner) & (z.abs() < outer)).to(z.dtype))
    assert noise_sensitivity(ring).exponent == math.inf
    assert GaussianChannel(ring, 1.0).score_information() < 1e-26
    assert GaussianChannel("abs", 1.0).score_information() > 1
