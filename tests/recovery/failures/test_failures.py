"""The catalogue of failures: the reviewed figures come out, and nothing that is wrong is certified."""

import pytest

from pyro_symvi.recovery import Verdict
from pyro_symvi.recovery.failures import FAILURES, Displaced, Failure

RECORDS = [pytest.param(failure, id=name.replace(" ", "-")) for name, failure in FAILURES.items()]
DISPLACED = [param for param in RECORDS if isinstance(param.values[0], Displaced)]

# name: (|location| of an optimum, its value, value at the centre), from the reviewed figures; None where not given
GOLDEN = {
    "two modes": (2.98431, 0.688769, 0.840621),
    "two modes, alpha between 0 and 1": (5.0, None, None),
    "a target with a gap": (1.0, None, None),
    "uniform in uniform": (4.0, 1.609438, 1.609438),
    "Student-t guide with half a degree of freedom": (3.90416, None, None),
    "Student-t guide of fixed scale": (3.50986, None, None),
    "multivariate Student-t guide of diagonal scale": (4.97190, None, None),
}


@pytest.mark.parametrize("failure", RECORDS)
def test_theory_does_not_prove_what_is_wrong(failure: Failure) -> None:
    assert failure.error() > 0.05
    assert failure.verdict not in (Verdict.PROVED, Verdict.VERIFIED, Verdict.BOUNDED)
    assert failure.theorems and any(failure.premise in theorem.premises for theorem in failure.theorems)


@pytest.mark.parametrize("name", GOLDEN)
def test_the_optima_are_those_of_the_reviewed_figures(name: str) -> None:
    failure = FAILURES[name]
    location, value, centred = GOLDEN[name]
    far = max(failure.optima(), key=lambda optimum: abs(optimum.location[0]))
    assert abs(far.location[0]) == pytest.approx(location, abs=6e-5)
    if value is not None:
        assert far.value == pytest.approx(value, abs=2e-6)
        assert failure.symmetric().value == pytest.approx(centred, abs=2e-6)


@pytest.mark.parametrize("failure", DISPLACED)
def test_no_guide_at_the_centre_is_better_than_the_optima(failure: Displaced) -> None:
    assert failure.symmetric().value >= failure.optima()[0].value - 1e-9


def test_the_curve_passes_through_the_optima_and_has_its_least_value_there() -> None:
    failure = FAILURES["two modes"]
    curve = failure.curve(7)
    optimum = failure.optima()[0]
    assert float(curve.values.min()) == pytest.approx(optimum.value, abs=1e-7)
    assert float(curve.at[curve.values.argmin()]) == pytest.approx(abs(optimum.location[0]), rel=2.0)


def test_a_curve_has_two_ends() -> None:
    with pytest.raises(ValueError, match="expected nodes >= 2"):
        FAILURES["two modes"].curve(1)
