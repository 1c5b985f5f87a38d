"""Bounds in certificates of real posteriors: below half a posterior sd, and held by reference draws."""

import json
from functools import cache
from pathlib import Path

import pytest
import torch

from pyro_symvi.density import LogDensity
from pyro_symvi.families import LocationScale
from pyro_symvi.recovery import Evidence, Verdict, analyze, certify
from pyro_symvi.recovery.bounds import ConditionalGaussianMoments, conditional_gaussian_moments
from pyro_symvi.recovery.theorems.approximate import CONDITIONAL_GAUSSIAN, LOCALISED_BOUND
from tests.recovery.bounds.test_localised import mode, read_regression, regression
from tests.recovery.test_reference_posteriors import NOT_SYMMETRIC, load, reference, standard_error

SHARP = ["sblrc", "kilpisjarvi", "eight schools"]


def certified(density: LogDensity, loc: torch.Tensor, sds: torch.Tensor, num_draws: int = 2048):
    parameters = {"loc": loc, "scale": torch.diag(sds)}
    return certify(LocationScale(density.dim), density, parameters=parameters, num_draws=num_draws)


@cache
def with_moments(name: str, path: Path) -> tuple[LogDensity, ConditionalGaussianMoments]:
    density = LogDensity.from_model(NOT_SYMMETRIC[name][0], json.loads((path / "data.json").read_text()))
    return density, conditional_gaussian_moments(density)


@pytest.mark.parametrize(("name", "shift"), [(SHARP[0], 0.0), (SHARP[0], 0.3), (SHARP[1], 0.3), (SHARP[2], 0.3)])
def test_bounds_hold_and_are_useful(name: str, shift: float, shared_data: Path) -> None:
    """A mean-field guide ``shift`` sds off: every coordinate BOUNDED below .5 sd, the number right to 4 standard errors
    of the reference means."""
    path, transforms = load(shared_data, NOT_SYMMETRIC[name][1]), NOT_SYMMETRIC[name][2]
    density, moments = with_moments(name, path)
    report = certified(density, moments.means + shift * moments.sds, moments.sds)["mean"]
    draws = reference(path)
    for entry, transform in zip(report.entries, transforms.values(), strict=True):
        assert entry.verdict is Verdict.BOUNDED
        assert entry.bound < 0.5
        assert entry.theorem == CONDITIONAL_GAUSSIAN.name
        assert {p.evidence for p in entry.premises} <= {Evidence.PROVED, Evidence.VERIFIED}
        values = transform(draws)
        error, noise = abs(entry.value - values.mean()) / values.std(), standard_error(values) / values.std()
        assert error <= entry.bound + 4 * noise
        assert entry.bound <= error + 4 * noise + 0.02  # sharp: no slack but the units of the reference draws


def test_a_large_logistic_regression_is_bounded_without_draws() -> None:
    """512 draws leave B0 above .08 sd; B3 of 2000 outcomes is smaller (.07), and is used."""
    _, _, density = regression(2000, 1, False)
    model = read_regression(analyze(density))
    assert model is not None
    center = mode(model)
    sds = model.hessian(center).inverse().diagonal().sqrt()
    entry = certified(density, center, sds, 512)["mean"].entries[0]
    assert entry.verdict is Verdict.BOUNDED
    assert entry.theorem == LOCALISED_BOUND.name
    assert 0.04 < entry.bound < 0.08
