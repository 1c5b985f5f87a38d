"""Thresholds of one unit: closed forms, asymptotes, ordering, and an independent integral."""

import math
from functools import lru_cache

import numpy as np
import pytest
import torch
from scipy import integrate

from pyro_symvi.multiindex import Link, state_evolution
from pyro_symvi.multiindex.channels import GaussianChannel
from pyro_symvi.multiindex.channels._overlap import Moments
from pyro_symvi.multiindex.thresholds import sign_committee_constant, single_index_thresholds
from pyro_symvi.multiindex.thresholds._constants import strong_noise_limit
from pyro_symvi.multiindex.thresholds._curve import Curve
from pyro_symvi.multiindex.thresholds._single import _asymptotes, _even

link = lru_cache(Link.of)
thresholds = lru_cache(lambda name, snr: single_index_thresholds(link(name), snr))


def test_weak_recovery_of_the_square_by_adaptive_quadrature():
    snr = 0.5
    root = math.sqrt(snr / 2)

    def joint(z, y, k):
        return (z * z - 1) ** k * math.exp(-0.5 * (y - root * (z * z - 1)) ** 2 - 0.5 * z * z) / (2 * math.pi)

    def integrand(y):
        top, bottom = (integrate.quad(joint, 0, 9, (y, k), epsabs=1e-12)[0] for k in (1, 0))
        return 2 * top * top / bottom

    nodes, weights = np.polynomial.legendre.leggauss(10)  # ten nodes on each of 35 panels
    edges = np.linspace(-6, 29, 36)
    total = sum(0.5 * w * integrand(a + 0.5 + 0.5 * x) for a in edges[:-1] for x, w in zip(nodes, weights, strict=True))
    assert thresholds("square", snr).weak_recovery == pytest.approx(1 / total, rel=1e-7)


@pytest.mark.parametrize(
    ("name", "snr", "value"),
    [("he2", 0.5, 1.055), ("abs", 0.5, 1.383), ("b4", 1.0, 1.9195), ("b4", 0.3, 7.95), ("b4", 0.2, 15.9)],
    ids=["he2", "abs", "b4-1", "b4-0.3", "b4-0.2"],
)
def test_weak_recovery_values(name, snr, value):
    found = thresholds(name, snr)
    assert found.weak_recovery == pytest.approx(value, rel=6e-4)
    assert found.error < 1e-6


CONSTANTS = {
    "he2": (0.5, 0.0),
    "abs": (math.pi / 2 - 1, 0.0),
    "cos": ((1 + math.exp(-2)) / 2 * math.e - 1, 0.0),
    "gaussian": (8 / math.sqrt(3) - 4, 0.0),
    "he3": (1.456, 0.645),
    "he4": (1.976, 0.805),
    "he6": (2.637, 0.906),
    "b4": (2.433, 0.877),
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_limits_of_strong_noise(name):
    value, overlap = CONSTANTS[name]
    limit = strong_noise_limit(link(name))
    assert limit.value == pytest.approx(value, abs=6e-4 if overlap else 1e-9)
    assert limit.overlap == pytest.approx(overlap, abs=6e-4)


def test_the_limit_of_a_hermite_polynomial_is_a_minimum_found_by_hand():
    q = np.linspace(1e-3, 1 - 1e-6, 200_001)
    assert strong_noise_limit(link("he4")).value == pytest.approx(((-q - np.log1p(-q)) / q**4).min(), rel=1e-8)


@pytest.mark.parametrize(
    ("name", "snr", "ratio"),
    [
        ("abs", 0.01, 0.999),
        ("he2", 0.1, 0.796),
        ("he4", 0.1, 1.91),
        ("he4", 0.001, 0.370),
        ("he6", 0.001, 0.037),
        ("b4", 0.01, 0.984),
    ],
    ids=["abs", "he2", "he4-0.1", "he4-0.001", "he6", "b4"],
)
def test_exact_over_asymptotic(name, snr, ratio):
    weak = 1 / GaussianChannel(link(name), snr).score_information()
    assert weak / _asymptotes(link(name), snr)["weak_recovery"] == pytest.approx(ratio, abs=6e-4, rel=3e-3)


def test_ratios_are_those_of_values_and_asymptotes():
    for name in ("abs", "b4"):
        found = thresholds(name, 0.01)
        assert found.weak_recovery == pytest.approx(1 / GaussianChannel(link(name), 0.01).score_information())
        assert found.ratios["weak_recovery"] == found.weak_recovery / _asymptotes(link(name), 0.01)["weak_recovery"]


@pytest.mark.parametrize(("name", "snr"), [("abs", 0.01), *(("b4", s) for s in (0.01, 0.2, 0.3, 1.0))])
def test_thresholds_are_in_order(name, snr):
    found = thresholds(name, snr)
    assert 0 < found.spinodal <= found.information <= found.weak_recovery == found.algorithmic
    assert (found.transition == "first-order") == (found.information < found.weak_recovery) == (found.jump > 0)


def test_a_gap_opens_by_noise_for_exponent_two_and_not_for_one():
    gaps = [thresholds("b4", snr).algorithmic / thresholds("b4", snr).information for snr in (1.0, 0.2, 0.01)]
    assert gaps[0] == 1 and gaps[1] == pytest.approx(15.89 / 13.60, rel=1e-3) and gaps[2] > 20
    assert thresholds("abs", 0.01).algorithmic == thresholds("abs", 0.01).information
    assert "above the continuous" in thresholds("b4", 0.3).report() and not thresholds("abs", 0.01).notes
    assert "lower free entropy" in thresholds("b4", 0.25).report()


def test_the_information_threshold_is_where_two_free_entropies_meet():
    found = thresholds("b4", 0.2)
    parts = GaussianChannel(link("b4"), 0.2).free_entropy(torch.tensor([0.0, found.jump], dtype=torch.float64))
    low, high = (parts.prior + found.information * parts.output).tolist()
    assert high == pytest.approx(low, abs=1e-7)
    low, high = (parts.prior + 0.98 * found.information * parts.output).tolist()
    assert high < low - 1e-3


def test_near_the_limit_of_strong_noise_the_information_threshold_is_its_asymptote():
    assert thresholds("b4", 0.01).ratios["information"] == pytest.approx(1.0, abs=0.01)


def test_without_noise_the_modulus_needs_half_a_sample_an_input():
    told = GaussianChannel(link("abs"), 100.0).score_information()
    assert 1 / told == pytest.approx(0.5, abs=0.005)  # phase retrieval of real signals


def test_activations_that_are_not_even_have_no_weak_recovery_threshold():
    found = single_index_thresholds("tanh", 1.0)
    assert found.weak_recovery == found.information == found.spinodal == 0 and found.transition == "continuous"
    assert "weak recovery is at 0" in found.report() and "without a jump" in found.report()
    odd = Link.of(lambda z: torch.sin(z) - math.exp(1.5) / 2 * torch.sin(2 * z))  # mu_1 = 0
    late, limit = single_index_thresholds(odd, 0.03), strong_noise_limit(odd)
    assert late.weak_recovery == 0 < late.spinodal < late.information < late.algorithmic
    assert late.information == pytest.approx(limit.value / 0.03, rel=0.03)
    assert late.jump == pytest.approx(limit.overlap, abs=0.005)


class Known:
    """A channel whose E g^2 is slope + q^3, so that the output part of its free entropy is slope q / 2 + q^4 / 8."""

    snr = 1.0

    def __init__(self, slope):
        self.slope = slope

    def output_moments(self, q):
        return Moments(self.slope + q**3, self.slope * q / 2 + q**4 / 8)

    def score_information(self):
        return 0.0

    def refined(self):
        return self


def test_an_even_link_whose_outputs_tell_nothing_of_the_square():
    """Alpha(q) = 1 / (q^2 (1 - q)) is least at 2/3, and the free entropies meet at 4 times the constant of He4."""
    curve = Curve(Known(0.0))
    curve.scan(True)
    found = _even(link("he4"), curve)
    assert found.weak_recovery == found.algorithmic == math.inf and "finds nothing" in found.report()
    assert found.spinodal == pytest.approx(27 / 4, rel=1e-8)
    assert found.information == pytest.approx(4 * strong_noise_limit(link("he4")).value, rel=1e-8)
    assert found.to_dict()["weak_recovery"] == "infinity"


def test_two_branches_of_non_zero_overlap_meet_in_free_entropy():
    slope = 0.05
    curve = Curve(Known(slope))
    curve.scan(False)
    fold = curve.fold()
    turns = np.roots([3, -2, 0, 0, slope])  # alpha'(q) = 0: slope + q^3 = 3 q^3 (1 - q)
    low, high = sorted(r.real for r in turns if abs(r.imag) < 1e-12 and 0 < r.real < 1)
    assert fold.end == pytest.approx(low / ((1 - low) * (slope + low**3)), rel=1e-8)
    assert fold.spinodal == pytest.approx(high / ((1 - high) * (slope + high**3)), rel=1e-8)
    ratio = fold.information
    here = np.roots([-ratio, ratio, 0, -ratio * slope - 1, ratio * slope])  # q = ratio (1 - q) (slope + q^3)
    first, _, last = sorted(r.real for r in here if abs(r.imag) < 1e-12 and 0 < r.real < 1)
    heights = [(q + math.log(1 - q)) / 2 + ratio * (slope * q / 2 + q**4 / 8) for q in (first, last)]
    assert heights[0] == pytest.approx(heights[1], abs=1e-5) and heights[0] > 0.01
    assert fold.jump == pytest.approx(last, abs=1e-3)


def test_a_jump_out_of_an_overlap_too_small_to_see():
    found = single_index_thresholds(lambda z: torch.sin(6 * z), 0.03)  # mu_1 is 1e-7
    assert found.weak_recovery == 0 < found.spinodal < found.information < found.algorithmic
    limit = strong_noise_limit(Link.of(lambda z: torch.cos(6 * z)))  # the even twin has no first moment
    assert found.information == pytest.approx(limit.value / 0.03, rel=0.1) and found.error < 1e-6


def test_a_report_holds_every_number():
    found = thresholds("b4", 0.2)
    report, kept = found.report(), found.to_dict()
    assert str(found) == report and "signal to noise ratio 0.2" in report and "first-order" in report
    for name in ("weak_recovery", "spinodal", "information"):
        assert f"{kept[name]:.5g}" in report
    assert f"ratio {kept['ratios']['weak_recovery']:.3f}" in report


def test_the_constant_of_the_committee_of_signs():
    assert 7.6 < sign_committee_constant() < 7.7


def test_the_end_of_small_overlaps_is_where_uninformed_state_evolution_jumps() -> None:
    """From weak recovery (15.9) to 21.6 an uninformed start ends at a small overlap; abs has no such branch."""
    found = thresholds("b4", 0.2)
    assert found.weak_recovery < found.large_overlap == pytest.approx(21.573, abs=0.01)
    assert "then jumps" in found.report()
    around = [0.985 * found.large_overlap, 1.02 * found.large_overlap]
    below, above = state_evolution(GaussianChannel("b4", 0.2), around, overlap0=0.08, iterations=60).overlaps[-1]
    assert float(below) < 0.3 and float(above) > 0.9
    smooth = thresholds("abs", 0.5)
    assert smooth.large_overlap == smooth.weak_recovery and "jumps" not in smooth.report()
