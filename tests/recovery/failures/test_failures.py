"""The catalogue of failures: the reviewed figures come out, nothing wrong is certified, and every premise has one."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import integrate

from pyro_symvi.divergences import ForwardKL
from pyro_symvi.families import LocationScale
from pyro_symvi.recovery import Verdict
from pyro_symvi.recovery.failures import FAILURES, Directed, Displaced, Failure, Unbounded
from pyro_symvi.recovery.failures.modes import GIVEN, even
from pyro_symvi.recovery.failures.statistics import far_mode, window_mean
from pyro_symvi.recovery.theorems import A_PRIORI
from pyro_symvi.recovery.theorems.theorem import CURVED

RECORDS = [pytest.param(failure, id=name.replace(" ", "-")) for name, failure in FAILURES.items()]

# name: where the optimum lies, of two the larger, from the reviewed figures (tests/divergences/test_golden_*.py)
LOCATIONS = {
    "two modes": [2.98431],
    "two modes, alpha between 0 and 1": [4.99998],
    "exchangeable modes": [1.97955, -1.97955],
    "a target with a gap": [1.0],
    "uniform in uniform": [4.0],
    "Student-t guide with half a degree of freedom": [3.90416],
    "Student-t guide of fixed scale": [3.50986],
    "multivariate Student-t guide of diagonal scale": [4.97190, 4.97190],
    "a ring": [4.72930, 0.0],
    "a skewed target": [1.94830],
    "a crescent": [0.0, -2.53993],
    "an antithetic pair inside a tuple": [1.20446],
    "an antipodal pair": [0.0, 0.0, 4.529772],
    "a direction the other way": [0.0, 0.0, -0.72067],
}
VALUES = {
    "two modes": (0.688769, 0.840621),
    "an antipodal pair": (0.688945, 0.774005),
    "a small circle": (2.191605, 5.110507),
}


@pytest.mark.parametrize("failure", RECORDS)
def test_what_is_wrong_is_not_proved(failure: Failure) -> None:
    assert failure.error() > 0.05
    assert failure.verdict <= Verdict.CONDITIONAL or failure.judged_by == "certificate"
    assert failure.verdict is not Verdict.PROVED
    assert any(failure.premise in theorem.premises for theorem in failure.theorems)


def test_with_the_premise_restored_the_same_record_is_proved() -> None:
    """Else the verdict of a record would be low whatever theory says."""
    curved = replace(even(), strongly_log_concave=GIVEN)
    assert replace(FAILURES["two modes"], target=curved, premise=CURVED).verdict is Verdict.PROVED
    twice = FAILURES["variances of an isotropic guide"]
    assert replace(twice, family=LocationScale(twice.dim, scale="diagonal"), divergence=ForwardKL()).verdict is (
        Verdict.PROVED
    )


@pytest.mark.parametrize("name", LOCATIONS)
def test_the_optima_are_those_of_the_reviewed_figures(name: str) -> None:
    failure = FAILURES[name]
    far = max(failure.optima(), key=lambda optimum: tuple(round(x, 6) for x in optimum.location))
    assert far.location == pytest.approx(LOCATIONS[name], abs=6e-5)


@pytest.mark.parametrize("name", VALUES)
def test_the_optima_are_better_than_the_best_symmetric_guide(name: str) -> None:
    failure = FAILURES[name]
    assert isinstance(failure, Displaced | Directed)
    found = (failure.optima()[0].value, failure.symmetric().value)
    assert found == pytest.approx(VALUES[name], abs=2e-6)


def test_a_fixed_unit_scale_solves_its_stationary_equation() -> None:
    """Two modes at -2, 2 under N(nu, 1): nu = 2 E tanh(2 (nu + xi)), by Gauss-Hermite; nu = 0 solves it, too."""
    x, w = np.polynomial.hermite_e.hermegauss(200)
    nu = max(optimum.location[0] for optimum in FAILURES["two modes, unit scale"].optima())
    assert nu == pytest.approx(2 * float(w @ np.tanh(2 * (nu + x))) / w.sum(), abs=1e-6) and nu > 1.7


def test_every_premise_of_the_theorems_on_minimisers_fails_somewhere() -> None:
    premises = {premise for theorem in A_PRIORI for premise in theorem.premises}
    assert premises <= {failure.premise for failure in FAILURES.values()}


ALONE = {
    "a skewed target": {"invariance"},
    "a ring": {"radial profile"},
    "correlation of a diagonal guide": {"closed family"},
    "uniform in uniform": {"strictness"},
    "an improper posterior": {"proper target", "strictness", "optimum exists"},  # the last two follow from the first
}


@pytest.mark.parametrize("name", ALONE)
def test_one_premise_fails_and_no_other(name: str) -> None:
    """The first theorem of the record, tried on its setting, misses this premise alone."""
    failure = FAILURES[name]
    premises = failure.theorems[0].judge(failure.setting(), failure.target.symmetries[0])  # type: ignore[attr-defined]
    assert {premise.name for premise in premises if premise.evidence.value != "proved"} == ALONE[name]


@pytest.mark.parametrize(
    "name", ["a target with a gap", "uniform in uniform", "a skewed target", "a hierarchical scale"]
)
def test_a_certificate_of_the_fitted_guide_is_honest(name: str) -> None:
    failure = FAILURES[name]
    gaps = [abs(x - m) / sd for x, m, sd in zip(failure.fitted().location, failure.mean, failure.sd, strict=True)]
    for entry, gap in zip(failure.certify()["mean"].entries, gaps, strict=True):
        assert not entry.verdict.is_exact
        assert entry.verdict is not Verdict.BOUNDED or float(gap) <= entry.bound


def test_numbers_of_the_far_mode() -> None:
    assert float(far_mode(1e-3, 60.0).mean[0]) == pytest.approx(0.06, abs=1e-9)
    assert FAILURES["a far mode"].optima()[0].location[0] == pytest.approx(0.0, abs=1e-9)


def test_what_is_infinite_has_no_optimum_and_grows() -> None:
    for failure in (f for f in FAILURES.values() if isinstance(f, Unbounded)):
        assert failure.optima() == () and math.isinf(failure.error())
    heavy = FAILURES["heavy-tailed guide, alpha below 0"].curve(5).values
    assert bool((heavy.diff() > 0).all()) and float(heavy[-1]) > 30
    renyi = FAILURES["a Renyi divergence of negative order"].curve(7).values
    assert float(renyi[3]) == pytest.approx(-0.0347, abs=6e-5) and float(renyi[4]) == pytest.approx(-0.4023, abs=6e-5)


def test_a_window_on_a_cauchy_law_has_the_mean_that_quadrature_gives() -> None:
    for ratio in (0.1, 3.0):
        edges = {"a": -1000.0, "b": 1000.0 * ratio, "points": [-10.0, 0.0, 10.0], "limit": 400}
        moment = (
            integrate.quad(lambda z: z / (1 + z * z), **edges)[0]
            / integrate.quad(lambda z: 1 / (1 + z * z), **edges)[0]
        )
        assert float(window_mean(torch.tensor(ratio, dtype=torch.float64))) == pytest.approx(moment, rel=1e-6)


def test_the_guide_drawn_on_a_cauchy_law_is_the_best_at_its_centre() -> None:
    """At the least reverse KL over s: 1 = E 2 (s x)^2 / (1 + (s x)^2), x normal."""
    s = float(FAILURES["a Cauchy target"].fitted().scale)  # type: ignore[arg-type]
    x = np.linspace(-10, 10, 20001)
    weight = np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)
    slope = integrate.trapezoid(weight * 2 * (s * x) ** 2 / (1 + (s * x) ** 2), x)
    assert slope == pytest.approx(1.0, abs=1e-6)


def test_the_curve_passes_through_the_optima_and_has_its_least_value_there() -> None:
    failure = FAILURES["two modes"]
    curve = failure.curve(7)
    assert float(curve.values.min()) == pytest.approx(failure.optima()[0].value, abs=1e-7)
    assert abs(float(curve.at[curve.values.argmin()])) == pytest.approx(2.98431, abs=1e-4)


def test_a_curve_has_two_ends() -> None:
    with pytest.raises(ValueError, match="expected nodes >= 2"):
        FAILURES["two modes"].curve(1)
