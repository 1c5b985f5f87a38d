"""Thresholds of committees: tables, the limit of many units, exchange of units by direct quadrature, one unit."""

import itertools
import math
from functools import lru_cache

import numpy as np
import pytest
import torch
from scipy import optimize

from pyro_symvi.multiindex import Link, noise_sensitivity
from pyro_symvi.multiindex.channels import GaussianChannel
from pyro_symvi.multiindex.thresholds import (
    committee_thresholds,
    hierarchical_exponents,
    specialisation_exponent,
)
from pyro_symvi.multiindex.thresholds._constants import many_units_limit
from pyro_symvi.multiindex.thresholds._sums import committee_information, weighted_information
from pyro_symvi.multiindex.thresholds._unspecialised import told

NOISE = 0.5
link = lru_cache(Link.of)
thresholds = lru_cache(lambda name, units: committee_thresholds(link(name), units, NOISE))

TABLE = {  # 1 / E a(y)^2 at p = 2, 4, ..., 64, and its ratio to the asymptote at both ends
    "he2": ((1.361, 2.831, 5.809, 11.80, 23.79, 47.78), (0.907, 0.995)),
    "b4": ((4.886, 20.99, 88.29, 364.1, 1483.0, 5989.0), (0.826, 0.989)),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_algorithmic_threshold_at_finite_width(name):
    values, ratios = TABLE[name]
    found = [thresholds(name, p) for p in (2, 4, 8, 16, 32, 64)]
    assert [f.algorithmic for f in found] == pytest.approx(values, rel=5e-4)
    assert [found[0].ratios["algorithmic"], found[-1].ratios["algorithmic"]] == pytest.approx(ratios, abs=6e-4)
    assert all(f.information <= f.algorithmic and f.error < 1e-9 for f in found)


def test_asymptotes_of_the_modulus_and_of_a_heavy_tail():
    assert thresholds("abs", 2).ratios["algorithmic"] == pytest.approx(0.895, abs=6e-4)
    assert thresholds("abs", 64).ratios["algorithmic"] == pytest.approx(0.996, abs=6e-4)
    assert thresholds("he4", 2).ratios["algorithmic"] == pytest.approx(10.83, abs=0.01)
    assert thresholds("he4", 64).ratios["algorithmic"] == pytest.approx(1.81, abs=6e-3)


MANY = {
    "he2": (0.75, 0.0),
    "abs": (0.75 * (math.pi - 2), 0.0),
    "relu": (1.6416, 0.0),
    "b4": (2.87, 0.93),
    "he4": (2.43, 0.88),
    "sign": (7.933, 0.902),
    "tanh": (13.4, 0.71),
    "erf": (18.7, 0.68),
}


@pytest.mark.parametrize("name", MANY)
def test_limits_of_many_units(name):
    value, overlap = MANY[name]
    limit = many_units_limit(link(name), NOISE)
    assert limit.value == pytest.approx(value, rel=3e-3)
    assert limit.overlap == pytest.approx(overlap, abs=0.006)


def test_the_limit_for_signs_is_a_minimum_found_by_hand():
    q = np.linspace(1e-3, 1 - 1e-6, 200_001)
    explained = 2 / math.pi * (np.arcsin(q) - q)
    rest = NOISE + 1 - 2 / math.pi
    assert many_units_limit(link("sign"), NOISE).value == pytest.approx(
        ((-q - np.log1p(-q)) / -np.log1p(-explained / rest)).min(), rel=1e-4
    )


@pytest.mark.parametrize("name", ["abs", "b4"])
def test_one_unit_is_the_single_index_model(name):
    single = GaussianChannel(link(name), 1 / NOISE).score_information()
    assert committee_information(link(name), 1, NOISE) == pytest.approx(single, rel=1e-10)
    assert thresholds(name, 1).algorithmic == pytest.approx(1 / single, rel=1e-12)
    assert thresholds(name, 2).algorithmic != pytest.approx(2 * thresholds(name, 1).algorithmic, rel=0.02)


def two_units(function, known):
    """E g_s^2 and E g_d^2 for two units on a plain grid of (z_1, z_2, omega, y)."""
    z = np.linspace(-6, 6, 61)
    first, second = (part.ravel() for part in np.meshgrid(z, z))
    s, difference = (first + second) / math.sqrt(2), (first - second) ** 2 / 2
    mean = (function(first) + function(second)) / math.sqrt(2)
    omega, y = np.linspace(-5, 5, 61), np.linspace(-6, 6, 61)
    likelihood = np.exp(-0.5 * (y[:, None] - mean) ** 2 / NOISE) / math.sqrt(2 * math.pi * NOISE)
    cell = (z[1] - z[0]) ** 2 * np.exp(-0.5 * (difference + 0 * s)) / (2 * math.pi)
    spread = np.exp(-0.5 * (s[:, None] - omega) ** 2 / (1 - known)) / math.sqrt(1 - known)
    density, about, apart = (likelihood @ (spread * (cell * h)[:, None]) for h in (np.ones_like(s), s, difference - 1))
    weight = np.exp(-0.5 * omega**2 / known) / math.sqrt(2 * math.pi * known) * (omega[1] - omega[0]) * (y[1] - y[0])
    told_mean = (weight * density * ((about / density - omega) / (1 - known)) ** 2).sum()
    return told_mean, (weight * apart**2 / density).sum()


def test_what_an_output_tells_of_two_units_by_direct_quadrature():
    scale = link("tanh").scale
    mean, differences = two_units(lambda z: np.tanh(z) / scale, 0.6)
    found = told(link("tanh"), 2, NOISE, 0.6)
    assert found.mean == pytest.approx(mean, rel=1e-5)
    assert found.differences == pytest.approx(differences, rel=1e-5)


@pytest.mark.parametrize(("name", "units"), [("relu", 2), ("sign", 4)], ids=["relu", "sign"])
def test_units_that_are_not_even_become_unstable_on_the_branch_of_equal_units(name, units):
    found = thresholds(name, units)
    at = told(link(name), units, NOISE, found.mean_overlap)
    assert found.algorithmic * at.differences == pytest.approx(1.0, rel=1e-6)
    assert found.algorithmic * at.mean * (1 - found.mean_overlap) == pytest.approx(found.mean_overlap, rel=1e-5)
    blind = committee_thresholds(link(name), units, NOISE, conditioned=False)
    assert blind.algorithmic > 1.5 * found.algorithmic


@pytest.mark.parametrize(("name", "units"), [("relu", 64), ("tanh", 64)], ids=["relu", "tanh"])
def test_many_units_that_are_not_even_reach_their_asymptote(name, units):
    assert thresholds(name, units).ratios["algorithmic"] == pytest.approx(1.0, abs=0.006)


def test_specialisation_exponents():
    for name in ("relu", "gelu", "silu"):
        assert specialisation_exponent(link(name)).exponent == 1
    for name in ("tanh", "erf", "sin", "sigmoid", "sign"):
        found = specialisation_exponent(link(name))
        third = float(link(name).hermite(4)[3])
        assert (found.exponent, found.powers) == (2, (1, 1))
        assert found.value == pytest.approx(math.sqrt(6) * third, rel=1e-8)
    assert specialisation_exponent("b4").value == pytest.approx(1.74494, abs=1e-5)
    assert specialisation_exponent("linear").exponent == math.inf


def wave(w):
    """E[cos(w z) (z^2 - 1)]."""
    return -w * w * math.exp(-w * w / 2)


def test_an_exponent_of_three_and_its_rate():
    """Cos z + a cos 3z + b cos 5z with c_1 = c_2 = 0: c_3 and so the rate by sums over frequencies."""
    frequencies = (1.0, 3.0, 5.0)

    def amplitudes(b):
        return 1.0, -(wave(1) + b * wave(5)) / wave(3), b

    def moment(b, power):  # E[f^power (z^2 - 1)]; cosines multiply as sums over signs of the frequencies
        signed = [(a / 2, s * w) for a, w in zip(amplitudes(b), frequencies, strict=True) for s in (-1, 1)]
        return sum(
            math.prod(a for a, _ in chosen) * wave(sum(w for _, w in chosen))
            for chosen in itertools.product(signed, repeat=power)
        )

    b = optimize.brentq(lambda x: moment(x, 2), -1.0, -0.9, xtol=1e-15)
    a = amplitudes(b)
    activation = Link.of(lambda z: sum(x * torch.cos(w * z) for x, w in zip(a, frequencies, strict=True)))
    third = moment(b, 3) / activation.scale**3
    assert noise_sensitivity(activation).exponent == 3
    found = specialisation_exponent(activation, noise=NOISE)
    assert (found.exponent, found.powers) == (3, (0, 3)) and found.value == pytest.approx(third, rel=1e-6)
    assert found.rate == pytest.approx(third**2 / (6 * (NOISE + 1) ** 3), rel=1e-6)


def test_reports_say_what_is_known_and_what_is_not():
    found = thresholds("b4", 4)
    assert "known for many units only" in found.report() and "p^2" in str(found)
    assert found.to_dict()["ratios"] == found.ratios and found.transition == "first-order"
    capped = thresholds("he2", 2)
    assert capped.information == capped.algorithmic and "bounds it at this p" in capped.report()
    linear = thresholds("linear", 3)
    assert linear.algorithmic == math.inf and "never told apart" in linear.report()
    assert linear.to_dict()["algorithmic"] == "infinity"
    unsettled = committee_thresholds(lambda z: torch.cos(40 * z), 2, NOISE)
    assert unsettled.error > 1e-3 and "has not settled" in unsettled.report()


def test_equal_weights_of_the_hierarchical_model_make_a_committee():
    weights = [1 / math.sqrt(3)] * 3
    expected = committee_information(link("b4"), 3, NOISE)
    assert weighted_information(link("b4"), weights, NOISE) == pytest.approx([expected] * 3, rel=1e-9)


@pytest.mark.parametrize(("name", "exponent"), [("b4", 4.0), ("abs", 2.0)], ids=["b4", "abs"])
def test_slopes_of_the_hierarchical_model(name, exponent):
    found = hierarchical_exponents(link(name), decay=1.0, noise=NOISE, units=12)
    assert found.algorithmic_exponent == exponent and found.information_exponent == 2.0
    assert found.slope == pytest.approx(exponent, rel=0.03)
    assert (found.algorithmic_error_exponent, found.information_error_exponent) == (-1 / exponent, -0.5)
    assert "preprint only" in found.report() and "preprint only" in repr(found) and found.error < 1e-9


def test_errors_say_what_to_try():
    with pytest.raises(ValueError, match="expected a noise variance above 0"):
        committee_thresholds("abs", 2, 0.0)
    with pytest.raises(ValueError, match="units"):
        committee_thresholds("abs", 0, 0.5)
    with pytest.raises(ValueError, match="expected decay above 1/2, got 0.5"):
        hierarchical_exponents("abs", 0.5, 0.5, 8)
    assert hierarchical_exponents("relu", 1.0, 0.5, 8).algorithmic is None
