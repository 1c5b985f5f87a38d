"""Committees in so much noise that the mean direction is known to rounding when units are told apart."""

import pytest

from pyro_symvi.multiindex import committee_thresholds, specialisation_exponent


@pytest.mark.parametrize(("activation", "noise"), [("tanh", 1e3), ("sign", 1e3), ("erf", 1e5)])
def test_the_threshold_stays_finite_and_near_its_limit(activation: str, noise: float) -> None:
    found = committee_thresholds(activation, 1000, noise)
    rate = specialisation_exponent(activation, noise=noise).rate
    assert rate is not None
    assert found.algorithmic == pytest.approx(1000**2 / rate, rel=2e-6)
    assert not any("no output tells" in note for note in found.notes)


def test_a_noise_too_small_for_memory_is_refused_before_any_work() -> None:
    with pytest.raises(ValueError, match="more than memory holds"):
        committee_thresholds("tanh", 2, 1e-6)
