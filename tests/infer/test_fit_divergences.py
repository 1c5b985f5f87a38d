"""`fit` by the divergences with names of their own, against quadrature; those it refuses, and what it says then."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import integrate, optimize, stats

import pyro_symvi as symvi
from pyro_symvi.density import LogDensity
from pyro_symvi.divergences import ChiSquare, Divergence, FDivergence, ForwardKL, Hellinger, Jeffreys, TailAdaptive
from pyro_symvi.divergences.generators import jensen_shannon
from pyro_symvi.families import LocationScale
from pyro_symvi.infer.fitting import weighted
from pyro_symvi.infer.fitting.result import FitStatus
from pyro_symvi.infer.fitting.weighted import minimize_on_draws

GRID = np.linspace(-30, 30, 60001)


def light(z: torch.Tensor) -> torch.Tensor:
    """Lighter tails than a normal law, skewed: every p^a / q^(a-1) is integrable."""
    return -0.25 * z**4 + z


def heavy(z: torch.Tensor) -> torch.Tensor:
    """Exponential tails of two rates: q^2 / p is integrable for normal q."""
    return -torch.nn.functional.softplus(2 * z) - torch.nn.functional.softplus(-z)


def best(log_p: Callable[[torch.Tensor], torch.Tensor], alpha: float) -> np.ndarray:
    """Location and log scale of the normal law at the least D_alpha, by quadrature."""
    p = log_p(torch.from_numpy(GRID)).numpy()
    p = p - math.log(integrate.trapezoid(np.exp(p), GRID))

    def value(x: np.ndarray) -> float:
        q = stats.norm.logpdf(GRID, x[0], math.exp(x[1]))
        with np.errstate(over="ignore"):
            mass = integrate.trapezoid(np.exp(alpha * p + (1 - alpha) * q), GRID)
        return float((1 - mass) / (alpha * (1 - alpha)))

    found = optimize.minimize(value, [0.3, -0.3], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13})
    return np.asarray(found.x)


@pytest.mark.parametrize(
    "divergence, log_p, alpha",
    [
        (Hellinger(), light, 0.5),
        (Hellinger(), heavy, 0.5),
        (ChiSquare(), light, 2.0),
        (ChiSquare(reverse=True), heavy, -1.0),
    ],
    ids=["hellinger light", "hellinger heavy", "pearson", "neyman"],
)
def test_named_divergences_against_quadrature(
    divergence: Divergence, log_p: Callable[[torch.Tensor], torch.Tensor], alpha: float
) -> None:
    """Within four stated errors, and those below 2 % of the scale."""
    target = LogDensity.from_callable(lambda z: log_p(z).sum(-1), 1)
    fit = symvi.fit(target, LocationScale(1), divergence=divergence, num_particles=8192)
    assert fit.converged, fit.details
    exact, error = best(log_p, alpha), fit.standard_error
    scale = float(fit.parameters["scale"])
    assert float(error["loc"]) < 0.02 * scale and float(error["scale"]) < 0.02 * scale
    assert abs(float(fit.loc) - exact[0]) < 4 * float(error["loc"]) + 1e-6
    assert abs(scale - math.exp(exact[1])) < 4 * float(error["scale"]) + 1e-6


@pytest.mark.parametrize(
    "divergence", [Jeffreys(), TailAdaptive(), FDivergence(jensen_shannon, log_normalizer=0.0)], ids=str
)
def test_divergences_without_an_exponent_are_refused_with_a_remedy(divergence: Divergence) -> None:
    target = LogDensity.from_callable(lambda z: light(z).sum(-1), 1)
    with pytest.raises(
        TypeError, match="expected a member of the alpha family, got .* because .*; try .*DivergenceELBO"
    ):
        symvi.fit(target, LocationScale(1), divergence=divergence)


def test_weights_on_one_draw_leave_the_parameters_as_they_were() -> None:
    """A scale that maximises the likelihood of a single draw does not exist: it shrinks for ever."""
    family = LocationScale(3, "student_t", df=5.0)
    start = {"loc": torch.zeros(3, dtype=torch.float64), "scale": torch.eye(3, dtype=torch.float64)}
    z = torch.randn(200, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    log_p = torch.full((200,), -1e4, dtype=torch.float64)
    log_p[7] = 0.0
    chart = SimpleNamespace(family=family, density=lambda z: log_p)
    noise = torch.zeros(200, dtype=torch.float64)
    outcome = minimize_on_draws(chart, ForwardKL(), z, noise, 20, 1e-9, lambda *_: None, (start, torch.eye(3).double()))
    assert outcome.status is FitStatus.FEW_EFFECTIVE_PARTICLES and "has no solution" in outcome.details
    assert all(torch.equal(outcome.parameters[name], start[name]) for name in start)


def test_parameters_that_are_no_numbers_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A likelihood's maximiser may return nan without an error."""
    family = LocationScale(2)
    sound = {"loc": torch.zeros(2, dtype=torch.float64), "scale": torch.eye(2, dtype=torch.float64)}
    for found, taken in ((sound, True), ({**sound, "loc": sound["loc"] * math.nan}, False)):
        monkeypatch.setattr(weighted, "maximize_likelihood", lambda *_, found=found: (found, None))
        updated, _ = weighted._attempted(family, torch.zeros(3, 2), torch.ones(3) / 3, sound)
        assert (updated is not None) == taken
