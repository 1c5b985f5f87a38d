"""Fits in the wrong place, and targets built to be certified by mistake: none of them is."""

from __future__ import annotations

import math

import pytest
import torch

from pyro_symvi import examples
from pyro_symvi.divergences import Alpha, ForwardKL, Jeffreys, ReverseKL
from pyro_symvi.families import PowerSphericalFamily
from pyro_symvi.groups import Antipodal, AxialRotation, FiniteMatrixGroup, NaturalAction
from pyro_symvi.recovery import Verdict
from tests.recovery.sphere.targets import (
    E1,
    E3,
    certify_at,
    flipped,
    small_circle,
    unit,
    verdicts,
)

PLANETS = examples.get("planets")
POLES = PLANETS.args[0]


def names(direction: str, axis: str, concentration: str) -> dict[str, str]:
    return {"direction": direction, "axis": axis, "concentration": concentration}


# wrong optima


@pytest.mark.parametrize(
    ("alpha", "signed"), [(0.0, 3.40201), (0.5, 2.15728), (1.0, 0.62121), (1.5, -0.31596), (2.0, -0.72067)]
)
def test_1c2_the_direction_of_higher_orders_is_the_opposite_one(alpha: float, signed: float) -> None:
    """E t = +.2019; at alpha = 2 the optimum follows the escort mean: right axis, wrong direction."""
    divergence = {0.0: ReverseKL(), 1.0: ForwardKL()}.get(alpha, Alpha(alpha))
    found = certify_at(flipped, math.copysign(1.0, signed) * E3, abs(signed), divergence=divergence)
    assert verdicts(found)["axis"] == "VERIFIED"
    assert verdicts(found)["direction"] == ("VERIFIED" if signed > 0 else "REFUTED")
    if signed < 0:
        assert "points the opposite way" in found["direction"].entries[0].reason
        assert any("opposite to E x" in note for note in found.notes)
    if alpha == 1.0:
        assert found["concentration"].entries[0].exact == pytest.approx(0.621213, abs=1e-6)
    else:
        assert "does not match moments" in found["concentration"].entries[0].reason


def test_1c3_an_optimum_off_the_axis_is_refuted() -> None:
    """b = 50, t0 = 1/2: reverse KL is lowest at kappa 33.8, 58 degrees from the axis."""
    off = torch.tensor([math.sqrt(1 - 0.530931**2), 0.0, 0.530931], dtype=torch.float64)
    found = certify_at(small_circle(0.5, 50.0), off, 33.8069, divergence=ReverseKL())
    assert verdicts(found) == names("REFUTED", "REFUTED", "REFUTED")


def test_a_symmetry_of_three_thirds_pins_the_mean_but_not_the_fit() -> None:
    """C_3 about e_3: E x on the axis, and a fit off it is refuted however isolated its optimum is."""
    angle = 2 * math.pi / 3
    turn = torch.eye(3, dtype=torch.float64)
    turn[:2, :2] = torch.tensor(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64
    )
    action = NaturalAction(FiniteMatrixGroup.generated_by([turn]))

    def three(x: torch.Tensor) -> torch.Tensor:
        return 2 * x[..., 2] + 0.5 * (x[..., 0] ** 3 - 3 * x[..., 0] * x[..., 1] ** 2)

    assert verdicts(certify_at(three, E3, 2.0, symmetry=action))["direction"] == "VERIFIED"
    off = certify_at(three, unit(1.0, 0.0, 0.2), 2.0, symmetry=action)
    assert verdicts(off)["direction"] == "REFUTED"


def test_a_target_without_symmetry_gets_the_angle_to_its_mean() -> None:
    def rough(x: torch.Tensor) -> torch.Tensor:
        return 3 * x[..., 2] + x[..., 0] ** 3 - x[..., 1] * x[..., 0] ** 2

    found = certify_at(rough, E3, 3.0)
    assert verdicts(found)["direction"] == "BOUNDED"
    z, phi = (
        torch.linspace(-1, 1, 801, dtype=torch.float64),
        torch.linspace(0, 2 * math.pi, 401, dtype=torch.float64)[:-1],
    )
    z = (z[1:] + z[:-1]) / 2
    s = (1 - z**2).sqrt()[:, None]
    points = torch.stack([s * phi.cos(), s * phi.sin(), z[:, None].expand(-1, 400)], -1).reshape(-1, 3)
    mean = rough(points).softmax(0) @ points  # midpoint rule: error about 1e-6
    assert float(found["direction"].bounds[0]) == pytest.approx(math.acos(float(mean @ E3 / mean.norm())), abs=1e-4)


# traps


def test_a_needle_named_in_the_expression_is_found() -> None:
    """Width 1e-4 rad, 5 % of the mass, no slope that leads to it; its direction occurs in the density's graph."""
    needle = unit(0.6, 0.0, -0.8)

    def target(x: torch.Tensor) -> torch.Tensor:
        return torch.logaddexp(3 * x[..., 2], 1e8 * (x @ needle - 1) + 17.0)

    found = certify_at(target, E3, 3.0)
    assert not found["direction"].verdict.is_exact


@pytest.mark.parametrize("dim", [3, 5])
def test_a_plateau_named_in_the_expression_is_found(dim: int) -> None:
    """A step of radius 4.5e-5 rad without any slope around it, a tenth of the mass in three dimensions."""
    needle = torch.zeros(dim, dtype=torch.float64)
    needle[0], needle[1] = 0.6, -0.8
    axis = torch.eye(dim, dtype=torch.float64)[-1]

    def target(x: torch.Tensor) -> torch.Tensor:
        return 2 * x[..., -1] + torch.where(x @ needle > 1 - 1e-9, 20.0, 0.0)

    found = certify_at(target, axis, 2.0)
    assert not found["direction"].verdict.is_exact and not found["axis"].verdict.is_exact


def test_half_turn_with_a_violation_of_small_mass() -> None:
    """A bump of mass 1e-3 far from the mode is not overlooked."""
    where = unit(1.0, 0.3, -2.0)

    def target(x: torch.Tensor) -> torch.Tensor:
        return torch.logaddexp(20 * (x[..., 2] - 1), 200 * (x @ where - 1) - 4.6)

    found = certify_at(target, E3, 20.0)
    assert not found["direction"].verdict.is_exact and not found["axis"].verdict.is_exact


def test_rotations_of_the_plane_about_an_axis_are_nothing() -> None:
    """1c.4: SO(1) is trivial, so it pins no direction; only the mirror does."""
    axis = unit(0.0, 1.0)

    def skewed(x: torch.Tensor) -> torch.Tensor:
        return torch.exp(x[..., 1]) + 0.2 * x[..., 0] * x[..., 1]

    found = certify_at(skewed, axis, 1.2, symmetry=AxialRotation(axis))
    assert not found["direction"].verdict.is_exact
    assert any("moves nothing" in note for note in found.notes)
    assert verdicts(certify_at(lambda x: torch.exp(x[..., 1]), axis, 1.2))["direction"] == "VERIFIED"


def test_a_symmetry_that_does_not_hold_certifies_nothing() -> None:

    def zonal(x: torch.Tensor) -> torch.Tensor:
        return torch.exp(x[..., 2])

    for action in (AxialRotation(E1), Antipodal(3)):
        found = certify_at(zonal, E3, 1.2, symmetry=action)
        assert not found["direction"].verdict.is_exact
        assert any("not shown to hold" in note for note in found.notes)
    assert certify_at(zonal, E3, 1.2, symmetry=AxialRotation(E3))["direction"].verdict is Verdict.VERIFIED


def test_power_spherical_laws_have_the_same_direction_rows() -> None:
    """No exponential family: the concentration is that of the mean's length, (n - 1) m / (1 - m), and no optimum."""

    def target(x: torch.Tensor) -> torch.Tensor:
        return x[..., 2] + 0.25 * x[..., 2] ** 3

    found = certify_at(target, E3, 1.1, family=PowerSphericalFamily, divergence=ForwardKL())
    vmf = certify_at(target, E3, 1.1)
    assert verdicts(found)["direction"] == "PROVED"
    t = torch.linspace(-1, 1, 200_001, dtype=torch.float64)
    m = float((t + t**3 / 4).softmax(0) @ t)  # |E x| by a fine sum: the cosine has the density exp(t + t^3 / 4)
    assert found["concentration"].entries[0].exact == pytest.approx(2 * m / (1 - m), rel=1e-4)
    assert vmf["concentration"].entries[0].exact != pytest.approx(2 * m / (1 - m), rel=1e-2)
    assert any("no exponential family" in note for note in found.notes)


def test_a_density_that_is_not_integrable_is_not_certified() -> None:
    """(1 - t)^-2 has infinite mass at the pole; (1 - t)^-1/2 a finite one."""
    for power, proper in ((2.0, False), (1.0, False), (0.5, True)):

        def pole(x: torch.Tensor, power: float = power) -> torch.Tensor:
            return -power * torch.log1p(-x[..., 2])

        found = certify_at(pole, E3, 2.0)
        assert proper or not (found["direction"].verdict.is_exact or found["axis"].verdict.is_exact)
        assert found["direction"].verdict is not Verdict.PROVED


def test_divergences_outside_the_alpha_family() -> None:
    found = certify_at(lambda x: x[..., 2] + 0.25 * x[..., 2] ** 3, E3, 1.3, divergence=Jeffreys())
    assert found["direction"].verdict is Verdict.PROVED
