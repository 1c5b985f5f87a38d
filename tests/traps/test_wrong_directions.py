"""Directions on the sphere (1c.1 to 1c.4; 14 and 25 of the adversarial section): after a fit, and a priori."""

import math
from collections.abc import Callable

import pytest
import torch
from scipy import integrate, optimize

from pyro_symvi.divergences import Alpha, ChiSquare, ForwardKL, Hellinger, ReverseKL
from pyro_symvi.families import VonMisesFisherFamily
from pyro_symvi.groups import Antipodal, AxialRotation, FiniteMatrixGroup, LinearAction, NaturalAction
from pyro_symvi.recovery import Verdict
from pyro_symvi.recovery.theorems import Objective, Setting, Target
from tests.recovery.sphere.targets import E3, bipolar, certify_at, flipped, small_circle, unit
from tests.recovery.theorems.settings import YES, symmetric, target, verdict

VMF = VonMisesFisherFamily(3)


def on_sphere(*actions: LinearAction) -> Target:
    found = tuple(s for action in actions for s in symmetric(action))
    return Target(3, found, proper=YES, on_sphere=True, positive=YES, bounded=YES)


def bipolar_divergence(k: float) -> float:
    """|kappa| of the von Mises-Fisher law of least KL(q || exp(k t^2)), n = 3: E_q t^2 = 1 - 2 A / kappa."""

    def loss(kappa: float) -> float:
        mean = 1 / math.tanh(kappa) - 1 / kappa
        log_norm = math.log(kappa) - kappa - math.log1p(-math.exp(-2 * kappa)) - math.log(2 * math.pi)
        return log_norm + kappa * mean - k * (1 - 2 * mean / kappa)

    found = optimize.minimize_scalar(loss, bounds=(0.5, 60.0), method="bounded", options={"xatol": 1e-10})
    return float(found.x) if found.fun < loss(1e-4) else 0.0


@pytest.mark.parametrize(("k", "kappa"), [(4.0, 4.529772), (10.0, 17.745967), (3.7, 2.902009)])
def test_1c1_and_7_14_a_bipolar_target_has_no_direction(k: float, kappa: float) -> None:
    """E x = 0; at k = 3.7 < 15/4 the two poles win already, although kappa = 0 is locally stable."""
    assert bipolar_divergence(k) == pytest.approx(kappa, abs=1e-5)
    certificate = certify_at(bipolar(k), E3, kappa, divergence=ReverseKL())
    assert not any(certificate[name].verdict.is_exact for name in ("direction", "concentration"))
    assert certificate["direction"].verdict <= Verdict.UNKNOWN
    known = on_sphere(Antipodal(3), AxialRotation(E3))
    for divergence in (ReverseKL(), ForwardKL(), ChiSquare()):
        assert verdict(Setting(known, VMF, divergence), "direction") is Verdict.REFUTED
    assert verdict(Setting(known, VMF, ReverseKL()), "axis") < Verdict.VERIFIED


@pytest.mark.parametrize(("alpha", "signed"), [(1.5, -0.31596), (2.0, -0.72067)])
def test_1c2_the_escort_mean_points_the_other_way(alpha: float, signed: float) -> None:
    """E t = .2019322, that of p^alpha is negative: the fit at alpha has the opposite direction."""

    def mean(power: float) -> float:
        heights = ((0.8, 0.0, 1.0), (10.0, -1.0, -0.98), (1e-4, -0.98, 0.0))
        mass = sum(h**power * (b - a) for h, a, b in heights)
        return sum(h**power * (b * b - a * a) / 2 for h, a, b in heights) / mass

    assert mean(1.0) == pytest.approx(0.2019322, abs=1e-7)
    assert mean(alpha) < 0
    certificate = certify_at(flipped, math.copysign(1.0, signed) * E3, abs(signed), divergence=Alpha(alpha))
    assert certificate["direction"].verdict is Verdict.REFUTED
    assert not certificate["concentration"].verdict.is_exact
    known = on_sphere(AxialRotation(E3))
    for divergence in (Alpha(alpha), ReverseKL(), Hellinger()):
        assert verdict(Setting(known, VMF, divergence), "direction") < Verdict.VERIFIED


def test_1c3_a_small_circle_is_not_fitted_on_its_axis() -> None:
    """exp(-50 (t - 1/2)^2), reverse KL: 5.1105 on the axis at its best, 2.1916 at kappa 33.8, 58 degrees off it."""

    def on_axis(kappa: float) -> float:
        log_norm = math.log(kappa) - kappa - math.log1p(-math.exp(-2 * kappa)) - math.log(2 * math.pi)
        m = 1 / math.tanh(kappa) - 1 / kappa
        return log_norm + kappa * m + 50 * ((1 - 2 * m / kappa) - m + 0.25)

    mass, _ = integrate.quad(lambda t: math.exp(-50 * (t - 0.5) ** 2), -1, 1)
    best = optimize.minimize_scalar(on_axis, bounds=(0.1, 60.0), method="bounded")
    assert best.fun + math.log(2 * math.pi * mass) == pytest.approx(5.110507, abs=1e-5)
    off = torch.tensor([math.sqrt(1 - 0.530931**2), 0.0, 0.530931], dtype=torch.float64)
    certificate = certify_at(small_circle(0.5, 50.0), off, 33.8069, divergence=ReverseKL())
    assert {certificate[name].verdict for name in ("direction", "axis")} == {Verdict.REFUTED}
    assert verdict(Setting(on_sphere(AxialRotation(E3)), VMF, ReverseKL()), "axis") < Verdict.VERIFIED


def test_1c3_the_best_law_on_the_axis_is_not_held_there() -> None:
    """kappa = 3.50851 at the pole: the mean direction, and a worse value than any point of a whole circle."""
    certificate = certify_at(small_circle(0.5, 50.0), E3, 3.50851, divergence=ReverseKL())
    assert not certificate["direction"].verdict.is_exact
    assert not certificate["axis"].verdict.is_exact


def test_1c4_in_the_plane_a_rotation_about_an_axis_does_nothing() -> None:
    """SO(1) = {1}: the law of angle theta with density exp(sin theta + sin 2 theta / 5) is not symmetric about e_2."""
    axis = unit(0.0, 1.0)

    def log_p(x: torch.Tensor) -> torch.Tensor:
        return x[..., 1] + 0.4 * x[..., 0] * x[..., 1]

    def moment(wave: Callable[[float], float]) -> float:
        return integrate.quad(lambda a: wave(a) * math.exp(math.sin(a) + 0.2 * math.sin(2 * a)), 0, 2 * math.pi)[0]

    assert moment(math.cos) / moment(math.sin) > 0.05
    for action in (AxialRotation(axis), None):
        certificate = certify_at(log_p, axis, 1.0, symmetry=action)
        assert not certificate["direction"].verdict.is_exact
        assert not certificate["axis"].verdict.is_exact
    flat = target(AxialRotation(axis), 2, on_sphere=True, bounded=YES, positive=YES)
    for divergence in (ForwardKL(), ReverseKL()):
        setting = Setting(flat, VonMisesFisherFamily(2), Objective(divergence, isolated=YES))
        assert verdict(setting, "axis") < Verdict.VERIFIED


def test_7_25_an_isolated_optimum_off_the_axis_of_a_threefold_target() -> None:
    """C_3 is finite: an isolated optimum need not be fixed by it. Three needles off the axis, a fit on one of them."""
    c, s = -0.5, math.sqrt(0.75)
    turn = torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    action = NaturalAction(FiniteMatrixGroup.generated_by([turn]))
    needles = torch.stack([unit(1.0, 0.0, 0.5), turn @ unit(1.0, 0.0, 0.5), turn @ turn @ unit(1.0, 0.0, 0.5)])

    def log_p(x: torch.Tensor) -> torch.Tensor:
        return torch.logsumexp(50 * (x @ needles.mT - 1), -1)

    certificate = certify_at(log_p, needles[0], 50.0, divergence=ReverseKL())
    assert {certificate[name].verdict for name in ("direction", "axis")} == {Verdict.REFUTED}
    setting = Setting(on_sphere(action), VMF, Objective(ReverseKL(), isolated=YES))
    assert verdict(setting, "axis") < Verdict.VERIFIED
    assert verdict(Setting(on_sphere(action), VMF, ForwardKL()), "axis") is Verdict.PROVED


def test_the_direction_of_a_law_without_any_symmetry_is_that_of_its_mean_under_forward_kl_alone() -> None:
    """Reverse KL, no symmetry: nothing is proved of any direction."""
    bare = target(None, 3, on_sphere=True, bounded=YES, positive=YES, has_direction=YES)
    assert verdict(Setting(bare, VMF, ReverseKL()), "direction") < Verdict.CONDITIONAL
    assert verdict(Setting(bare, VMF, ForwardKL()), "direction") is Verdict.PROVED
