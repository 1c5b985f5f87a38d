"""Orbit-closed particles in SVI: no noise floor in the location, and clear refusals."""

from functools import cache

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import SVI
from pyro.infer.autoguide import AutoDiagonalNormal

from pyro_symvi.divergences import ForwardKL, ReverseKL
from pyro_symvi.families import Tied
from pyro_symvi.groups import (
    AxisFlips,
    CoordinatePermutation,
    FiniteMatrixGroup,
    NaturalAction,
    PointReflection,
    SpecialOrthogonal,
    SphereRotation,
    TranslationAction,
)
from pyro_symvi.guides import AutoLocationScale
from pyro_symvi.infer import DivergenceELBO
from pyro_symvi.infer.svi.orbit_noise import OrbitClosedNoise

CENTER = torch.tensor([3.0, -1.0])


def model() -> None:
    """Even in x about (3, -1), skewed in s."""
    pyro.sample("x", dist.Logistic(CENTER, torch.tensor([1.0, 2.0])).to_event(1))
    pyro.sample("s", dist.Gumbel(0.0, 1.0))


@cache
def located(symmetry: object, steps: int = 200, particles: int = 8) -> torch.Tensor:
    pyro.clear_param_store()
    pyro.set_rng_seed(0)
    guide = AutoLocationScale(model, "logistic", "diagonal", init_scale=0.5)
    loss = DivergenceELBO(ReverseKL(), num_particles=particles, max_plate_nesting=0, symmetry=symmetry)
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.05}), loss)
    for _ in range(steps):
        svi.step()
    return guide.loc.detach()


@pytest.mark.parametrize("symmetry", [PointReflection(coordinates=[0, 1]), AxisFlips([0, 1])])
def test_constant_steps_reach_the_centre(symmetry: object) -> None:
    """float32, Adam of constant step: down to its last digits; without the symmetry it hovers at the step's size."""
    assert (located(symmetry)[:2] - CENTER).abs().max() < 2e-3
    assert (located(None)[:2] - CENTER).abs().max() > 2e-2


def test_particles_are_mirrored_in_the_moved_coordinates_only() -> None:
    pyro.set_rng_seed(0)
    guide = AutoLocationScale(model, "normal", "full")
    guide()
    with OrbitClosedNoise(PointReflection(coordinates=[0, 1])):
        trace = poutine.trace(pyro.plate("particles", 6, dim=-1)(guide)).get_trace()
    values = next(site["value"] for site in trace.nodes.values() if site.get("infer", {}).get("is_auxiliary"))
    noise = guide.family.standardize(values.detach(), {k: v.detach() for k, v in guide.parameters_.items()})
    torch.testing.assert_close(noise[3:, :2], -noise[:3, :2], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(noise[3:, 2], noise[:3, 2], rtol=1e-5, atol=1e-5)


def test_log_density_is_that_of_the_mirrored_particle() -> None:
    pyro.set_rng_seed(0)
    guide = AutoLocationScale(model, "normal", "full")
    guide()
    with OrbitClosedNoise(PointReflection()):
        trace = poutine.trace(pyro.plate("particles", 4, dim=-1)(guide)).get_trace()
    trace.compute_log_prob()
    site = next(site for site in trace.nodes.values() if site.get("infer", {}).get("is_auxiliary"))
    expected = guide.family.log_prob(site["value"], guide.parameters_)
    torch.testing.assert_close(site["log_prob"], expected)


def test_works_with_weighted_gradients() -> None:
    pyro.set_rng_seed(0)
    guide = AutoLocationScale(model, "normal", "diagonal", init_scale=1.0)
    loss = DivergenceELBO(
        ForwardKL(), num_particles=64, max_plate_nesting=0, symmetry=PointReflection(coordinates=[0, 1])
    )
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.03}), loss)
    for _ in range(300):
        svi.step()
    assert (guide.loc.detach()[:2] - CENTER).abs().max() < 5e-3


@pytest.mark.parametrize(
    "symmetry, particles, message",
    [
        (PointReflection(), 5, "multiple of 2, got 5.*try num_particles=4"),
        (AxisFlips([0, 1, 2]), 12, "multiple of 8, got 12.*try num_particles=8"),
        (PointReflection(), 1, "multiple of 2, got 1"),
        (PointReflection(coordinates=[7]), 4, "expected coordinates from 0 to 2"),
    ],
)
def test_refused_particles(symmetry: object, particles: int, message: str) -> None:
    loss = DivergenceELBO(ReverseKL(), num_particles=particles, max_plate_nesting=0, symmetry=symmetry)
    with pytest.raises(ValueError, match=message):
        loss.loss(model, AutoLocationScale(model))


def test_other_guides_and_actions_are_refused() -> None:
    loss = DivergenceELBO(ReverseKL(), num_particles=4, max_plate_nesting=0, symmetry=PointReflection())
    with pytest.raises(ValueError, match="expected an AutoLocationScale guide"):
        loss.loss(model, AutoDiagonalNormal(model))
    for action in (SphereRotation, TranslationAction(2), NaturalAction(SpecialOrthogonal(1)).group):
        with pytest.raises(TypeError, match="expected symmetry as a linear action of a finite group, of rotations"):
            OrbitClosedNoise(action)


# -- groups beyond sign flips --------------------------------------------------------------------------------------


def exchangeable() -> None:
    """Log-concave, invariant under permutations of three coordinates, not even."""
    z = pyro.sample("z", dist.ImproperUniform(dist.constraints.real_vector, (), (3,)))
    pyro.factor("p", -(z**2).sum(-1) / 2 - (z.sum(-1) / 2).exp() - torch.exp(0.7 * z).sum(-1))


def contrasts(scale: object, symmetry: object, steps: int) -> float:
    """Largest difference between the locations after SVI from a start that is the same for all coordinates."""
    pyro.clear_param_store()
    pyro.set_rng_seed(0)
    torch.set_default_dtype(torch.float64)
    guide = AutoLocationScale(exchangeable, "normal", scale, init_scale=0.5)
    loss = DivergenceELBO(ReverseKL(), num_particles=12, max_plate_nesting=0, symmetry=symmetry)
    svi = SVI(exchangeable, guide, pyro.optim.Adam({"lr": 0.05}), loss)
    for _ in range(steps):
        svi.step()
    loc = guide.loc.detach()
    return float(loc.max() - loc.min())


@pytest.mark.parametrize("scale", ["diagonal", "isotropic", Tied(CoordinatePermutation(3))], ids=str)
def test_permutations_keep_contrasts_at_zero(scale: object) -> None:
    """To rounding with whole orbits; without them they wander by the step's size."""
    assert contrasts(scale, CoordinatePermutation(3), 100) < 1e-12
    assert contrasts(scale, None, 60) > 1e-2


def test_orbits_are_the_images_of_the_drawn_particles() -> None:
    pyro.set_rng_seed(0)
    guide = AutoLocationScale(exchangeable, "laplace", "diagonal")
    guide()
    with OrbitClosedNoise(CoordinatePermutation(3)):
        trace = poutine.trace(pyro.plate("particles", 12, dim=-1)(guide)).get_trace()
    value = next(site["value"] for site in trace.nodes.values() if site.get("infer", {}).get("is_auxiliary"))
    noise = guide.family.standardize(value.detach(), {k: v.detach() for k, v in guide.parameters_.items()})
    sorted_rows = noise.sort(-1).values.reshape(6, 2, 3)
    torch.testing.assert_close(sorted_rows, sorted_rows[:1].expand(6, 2, 3), rtol=1e-5, atol=1e-5)
    assert len({tuple(row) for row in noise.reshape(6, 2, 3)[:, 0].round(decimals=4).tolist()}) == 6


def turn(order: int) -> NaturalAction:
    angle = torch.tensor(2 * torch.pi / order, dtype=torch.float64)
    matrix = torch.eye(3, dtype=torch.float64)
    matrix[:2, :2] = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    return NaturalAction(FiniteMatrixGroup.generated_by([matrix]))


@pytest.mark.parametrize(
    "base, scale, symmetry, message",
    [
        ("normal", "full", CoordinatePermutation(3), "expected a scale that commutes with .*try scale='diagonal'"),
        ("normal", "low_rank", CoordinatePermutation(3), "expected a scale that commutes with"),
        ("normal", "isotropic", CoordinatePermutation(4), "expected an action on the 3 unconstrained coordinates"),
        ("laplace", "isotropic", turn(3), "expected a base law that is invariant under .*try base"),
    ],
)
def test_symmetries_that_would_mislead_are_refused(base: str, scale: str, symmetry: object, message: str) -> None:
    loss = DivergenceELBO(ReverseKL(), num_particles=12, max_plate_nesting=0, symmetry=symmetry)
    with pytest.raises(ValueError, match=message):
        loss.loss(exchangeable, AutoLocationScale(exchangeable, base, scale))


def test_rotations_of_finite_order_need_a_spherical_base() -> None:
    loss = DivergenceELBO(ReverseKL(), num_particles=12, max_plate_nesting=0, symmetry=turn(3))
    assert abs(loss.loss(exchangeable, AutoLocationScale(exchangeable, "normal", "isotropic"))) < 100
