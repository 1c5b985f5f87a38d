"""Certificates of directions, axes and concentrations: what is certified, what is bounded, what is refused."""

from __future__ import annotations

import json
import math

import pytest
import torch

from pyro_symvi import certify, examples
from pyro_symvi.divergences import ReverseKL
from pyro_symvi.families import VonMisesFisherFamily
from pyro_symvi.groups import AxialRotation, PointReflection
from pyro_symvi.guides import AutoSymmetric
from pyro_symvi.recovery import Certificate, Evidence, SphereDensity, Verdict
from tests.recovery.sphere.targets import (
    E1,
    E3,
    bipolar,
    certify_at,
    small_circle,
    unit,
    verdicts,
)

PLANETS = examples.get("planets")
POLES = PLANETS.args[0]


def names(direction: str, axis: str, concentration: str) -> dict[str, str]:
    return {"direction": direction, "axis": axis, "concentration": concentration}


# exact targets


def test_the_conjugate_posterior_is_proved_for_any_divergence() -> None:
    density, b = SphereDensity.from_model(PLANETS.model, POLES, 500.0), 500.0 * POLES.sum(0)
    for divergence in (None, ReverseKL()):
        found = certify_at(density, b / b.norm(), float(b.norm()), divergence=divergence)
        assert verdicts(found) == names("PROVED", "PROVED", "PROVED")
    assert torch.allclose(found["direction"].exact, b / b.norm(), atol=1e-15)
    assert "exact" not in str(certify_at(small_circle(0.5, 10.0), E3, 2.69))


@pytest.mark.parametrize("angle", [2e-6, 0.1])
def test_a_fitted_direction_that_is_off_is_bounded_by_its_angle_or_refuted(angle: float) -> None:
    """The posterior's angular sd is sqrt(2 / 3997) = .022 rad: farther off is not recovered."""
    density, b = SphereDensity.from_model(PLANETS.model, POLES, 500.0), POLES.sum(0)
    d = b / b.norm()
    across = E1 - (E1 @ d) * d
    found = certify_at(density, math.cos(angle) * d + math.sin(angle) * across / across.norm(), 4000.0)
    if angle < 0.02:
        assert found["direction"].verdict is Verdict.BOUNDED
        bounds = found["direction"].bounds
        assert bool(((bounds >= angle) & (bounds < angle + 2e-6)).all())
    else:
        assert found["direction"].verdict is Verdict.REFUTED


def test_a_zonal_target_with_an_increasing_profile_is_proved() -> None:
    found = certify_at(lambda x: x[..., 2] + 0.25 * x[..., 2] ** 3, E3, 1.3)
    assert verdicts(found) == names("PROVED", "PROVED", "BOUNDED")
    assert {p.evidence for p in found["direction"].premises} == {Evidence.PROVED}


def test_what_rests_on_quadrature_is_verified_and_says_where_it_looked() -> None:
    found = certify_at(small_circle(0.8, 50.0), E3, 7.318771)
    assert verdicts(found)["direction"] == "VERIFIED" and verdicts(found)["axis"] == "VERIFIED"
    assert "spacing" in found.region and "nothing is known of mass narrower" in found.region


def test_above_three_dimensions() -> None:
    axis = torch.eye(5, dtype=torch.float64)[1]
    zonal = certify_at(lambda x: torch.exp(2 * x[..., 1]), axis, 2.0)
    assert verdicts(zonal)["direction"] == "VERIFIED"

    def rough(x: torch.Tensor) -> torch.Tensor:
        return 3 * x[..., 1] + 0.3 * x[..., 2] ** 3 + 0.1 * x[..., 0] * x[..., 1] ** 2

    bounded = certify_at(rough, axis, 2.0)
    assert verdicts(bounded) == names("BOUNDED", "UNKNOWN", "UNKNOWN")
    points = torch.randn(400_000, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    points = points / points.norm(dim=-1, keepdim=True)
    mean = rough(points).softmax(0) @ points  # 400,000 uniform points: error about 0.002 rad
    truth = math.acos(float(mean @ axis / mean.norm()))
    assert truth - 0.01 < float(bounded["direction"].bounds[0]) < 5 * truth


# no direction


@pytest.mark.parametrize("k", [3.7])
def test_1c1_a_bipolar_target_has_no_direction(k: float) -> None:
    """E x = 0; reverse KL goes to either pole (to both at k = 3.7, below the local threshold 15/4)."""
    at = 2.902009
    for pole in (E3, -E3):
        found = certify_at(bipolar(k), pole, at, divergence=ReverseKL())
        assert verdicts(found)["direction"] == "REFUTED" and verdicts(found)["concentration"] == "REFUTED"
        assert "no mean direction" in found["direction"].entries[0].reason
    # the line of the poles is an axis of symmetry; a fit elsewhere has not found it
    assert verdicts(found)["axis"] == "PROVED"
    assert verdicts(certify_at(bipolar(k), E1, at))["axis"] == "REFUTED"


def test_a_girdle_and_the_uniform_law_have_no_direction() -> None:
    girdle = certify_at(bipolar(-14.0), E1, 4.5)
    assert verdicts(girdle) == names("REFUTED", "REFUTED", "REFUTED")
    uniform = certify_at(lambda x: 0 * x[..., 0], E1, 4.5)
    assert verdicts(uniform) == names("REFUTED", "UNKNOWN", "REFUTED")


def test_several_axes_are_no_axis() -> None:
    """x_1^2 + 2 x_2^2: half-turns about three axes, none of all rotations."""
    found = certify_at(lambda x: x[..., 0] ** 2 + 2 * x[..., 1] ** 2, E3, 3.0)
    assert verdicts(found)["direction"] == "REFUTED" and verdicts(found)["axis"] == "UNKNOWN"
    plane = certify_at(lambda x: x[..., 0] ** 2, unit(1.0, 0.0), 3.0)
    assert verdicts(plane)["direction"] == "REFUTED" and verdicts(plane)["axis"] == "UNKNOWN"


def test_a_fitted_concentration_of_zero_has_no_direction() -> None:
    found = certify_at(lambda x: x[..., 2] + 0.25 * x[..., 2] ** 3, E3, 0.0)
    assert verdicts(found) == names("UNKNOWN", "UNKNOWN", "REFUTED")
    assert verdicts(certify_at(bipolar(4.0), E3, 0.0)) == names("REFUTED", "UNKNOWN", "PROVED")


def test_a_resultant_of_rounding_errors_is_no_direction() -> None:
    """Balanced data: b = 1e-9 e_1 is what is left of sums that cancel."""
    found = certify_at(lambda x: 1e-9 * x[..., 0], E1, 1e-3)
    assert verdicts(found)["direction"] == "UNKNOWN" and verdicts(found)["axis"] == "UNKNOWN"


# doors


def test_the_target_alone() -> None:
    density = SphereDensity.from_model(PLANETS.model, POLES, 500.0)
    found = certify(density)
    b = POLES.sum(0)
    assert found.statistics == ("direction", "axis") and found["direction"].verdict is Verdict.PROVED
    assert torch.allclose(found["direction"].values, b / b.norm(), atol=1e-15)
    record = json.loads(json.dumps(found.to_dict()))
    again = Certificate.from_dict(record)
    assert again["direction"].verdict is Verdict.PROVED and "radians" in str(again)
    assert again.verify(density) and again.verify(PLANETS.model, POLES, 500.0)
    assert not again.verify(PLANETS.model, POLES, 499.0)
    assert "radians" in str(found) and "radians" in found._repr_html_()
    assert "exact" in found.explain("direction", 0)


def test_the_same_seed_gives_the_same_certificate() -> None:
    pair = [certify_at(small_circle(0.5, 10.0), E3, 2.69).to_dict() for _ in range(2)]
    assert pair[0] == pair[1]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"statistics": ("mean", "axis")}, ValueError, "expected statistics among .*'direction', 'axis'.*; try"),
        (
            {"symmetry": PointReflection(center=[1.0, 0.0, 0.0])},
            ValueError,
            "expected a symmetry about the origin.*; try",
        ),
        ({"symmetry": AxialRotation(torch.ones(4))}, ValueError, r"expected a symmetry of R\^3.*; try"),
        ({"symmetry": "zonal"}, TypeError, "expected symmetry as an action by orthogonal matrices.*; try"),
        ({"divergence": "kl"}, TypeError, "expected a divergence"),
    ],
)
def test_bad_options(options: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        certify_at(lambda x: x[..., 2], E3, 1.0, **options)


def test_bad_subjects() -> None:
    density = SphereDensity.from_callable(lambda x: x[..., 2], 3)
    with pytest.raises(TypeError, match=r"expected certify\(family, sphere_density.*; try"):
        certify(VonMisesFisherFamily(3), density)
    with pytest.raises(ValueError, match="expected parameters 'direction' and 'concentration'"):
        certify(VonMisesFisherFamily(3), density, parameters={"direction": E3})
    with pytest.raises(ValueError, match="expected a direction of length 3.*dimension 2.*; try"):
        certify(VonMisesFisherFamily(2), density, parameters={"direction": E3, "concentration": torch.tensor(1.0)})
    with pytest.raises(ValueError, match="expected a unit direction.*; try"):
        certify_at(density, 2 * E3, 1.0)
    with pytest.raises(TypeError, match="expected no further arguments beside a SphereDensity"):
        certify(density, POLES)
    with pytest.raises(ValueError, match="expected no latent site but one direction, got .*kappa"):
        certify(AutoSymmetric(PLANETS.model), POLES)
