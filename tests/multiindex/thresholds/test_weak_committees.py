"""Committees in so much noise that the mean direction is known to rounding when units are told apart."""

import pytest

from pyro_symvi.multiindex import (
    committee_thresholds,
    hermite_functions,
    hierarchical_exponents,
    specialisation_exponent,
)


@pytest.mark.parametrize(("activation", "noise"), [("tanh", 1e3), ("erf", 1e5)])
def test_the_threshold_stays_finite_and_near_its_limit(activation: str, noise: float) -> None:
    found = committee_thresholds(activation, 1000, noise)
    rate = specialisation_exponent(activation, noise=noise).rate
    assert rate is not None
    assert found.algorithmic == pytest.approx(1000**2 / rate, rel=2e-6)
    assert not any("no output tells" in note for note in found.notes)


def test_a_noise_too_small_for_memory_is_refused_before_any_work() -> None:
    with pytest.raises(ValueError, match="more than memory holds"):
        committee_thresholds("tanh", 2, 1e-6)


def test_rounding_is_no_moment() -> None:
    found = specialisation_exponent(lambda z: z + 1e-7 * hermite_functions(z, 5)[4])  # mu_3 = 0: (1, 1) gives zero
    assert (found.exponent, found.powers) == (2, (0, 2))
    assert found.value == pytest.approx(8e-14, rel=1e-6)  # E[h_4^2 (z^2 - 1)] = 8


def test_hierarchical_units_without_an_exponent_are_said_to_stay() -> None:
    found = hierarchical_exponents("sign", 1.0, 0.5, 4)
    assert found.algorithmic_error_exponent == 0.0
    assert "in place of none (infinite)" in found.report()  # told apart at p^2 among equals
    assert "in place of" not in hierarchical_exponents("relu", 1.0, 0.5, 4).report()
    below_rounding = hierarchical_exponents("b4", 12.0, 1e-3, 8)
    assert below_rounding.slope is None
    assert any("rounding" in note for note in below_rounding.notes)
