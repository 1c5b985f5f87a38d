"""Families on the sphere: closure against moved densities; fits and cap angles against scipy, autograd, quadrature."""

import copy
import dataclasses
import math
import pickle

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import Tensor

from pyro_symvi.distributions import PowerSpherical, VonMisesFisher
from pyro_symvi.families._axial import AxialFamily
from pyro_symvi.families._family import Family, Parameters
from pyro_symvi.families.power_spherical import PowerSphericalFamily
from pyro_symvi.families.von_mises_fisher import VonMisesFisherFamily
from pyro_symvi.groups import (
    Action,
    Antipodal,
    AxisFlips,
    BlockSigns,
    ComposedAction,
    ConditionalReflection,
    CoordinatePermutation,
    EllipticalRotation,
    FiniteMatrixGroup,
    NaturalAction,
    PhaseAction,
    PointReflection,
    PolyhedralGroup,
    SphereRotation,
    TranslationAction,
)
from pyro_symvi.special import log_sphere_area
from tests.contracts.family import ClosureContract, actions_on, elements_of, generator

F64 = torch.float64
FAMILIES = [VonMisesFisherFamily, PowerSphericalFamily]


def unit(*shape: int, seed: int = 0) -> Tensor:
    x = torch.randn(*shape, dtype=F64, generator=generator(seed))
    return x / x.norm(dim=-1, keepdim=True)


def stretched(dim: int) -> Tensor:
    return torch.diag(1.0 + torch.arange(dim, dtype=F64))


def spherical_parameters(dim: int, *batch: int) -> Parameters:
    concentration = 20 * torch.rand(batch, dtype=F64, generator=generator(1))
    return {"direction": unit(*batch, dim), "concentration": concentration}


class AxialContract(ClosureContract):
    def actions(self, family: AxialFamily) -> dict[str, Action]:
        """Those of the other families, and some that fix the origin."""
        zero = torch.zeros(family.dim, dtype=F64)
        open_slope = ConditionalReflection([0], 0.0, torch.zeros(1, family.dim - 1, dtype=F64))
        return {
            **actions_on(family.dim),
            "even about 0": PointReflection().bind(family.dim, center=zero),
            "one flip about 0": PointReflection(coordinates=[1]).bind(family.dim, center=zero),
            "flips about 0": AxisFlips().bind(family.dim, center=zero),
            "sphere about 0": EllipticalRotation().bind(family.dim, center=zero, shape=2 * torch.eye(family.dim)),
            "ellipse about 0": EllipticalRotation().bind(family.dim, center=zero, shape=stretched(family.dim)),
            "regression on nothing": open_slope.bind(family.dim),
            "two": ComposedAction([CoordinatePermutation(family.dim), Antipodal(family.dim)]),
        }  # fmt: skip

    def parameters(self, family: AxialFamily) -> Parameters:
        return spherical_parameters(family.dim)

    def points(self, family: AxialFamily, parameters: Parameters) -> Tensor:
        return unit(5, family.dim, seed=3)

    def test_it_is_closed_under_exactly_the_isometries_of_the_sphere(self, family: AxialFamily) -> None:
        """Where it is not closed, some element takes some unit vector off the sphere: the image is no law there."""
        z = self.points(family, {})
        refused = []
        for name, action in self.actions(family).items():
            images = torch.stack([action.act(g, z) for g in elements_of(action, 4)])
            stays = float((images.norm(dim=-1) - 1).abs().max()) < 1e-9
            closure = family.closure(action)
            assert bool(closure) == stays, name
            assert bool(closure) is not closure.moves_scale
            refused += [] if closure else [name]
        assert {"even", "all flips", "ellipse", "sheared reflection", "translations", "ellipse about 0"} <= set(refused)

    def test_open_centres_shapes_and_slopes_are_not_closed(self, family: AxialFamily) -> None:
        assert "centre is open" in family.closure(PointReflection()).reason
        assert "centre is open" in family.closure(AxisFlips()).reason
        assert "shape or slope" in family.closure(EllipticalRotation(center=0.0)).reason
        assert "shape or slope" in family.closure(ConditionalReflection([0])).reason
        assert "moves the origin" in family.closure(PointReflection(center=1.0)).reason
        assert "not orthogonal" in family.closure(EllipticalRotation(center=0.0, shape=stretched(family.dim))).reason
        assert "not known to be by isometries" in family.closure(TranslationAction(family.dim)).reason
        assert family.closure(PointReflection(center=0.0))

    def test_the_law_depends_on_the_angle_alone(self, family: AxialFamily) -> None:
        parameters, z = self.parameters(family), self.points(family, {})
        law = family.distribution(parameters)
        assert law.event_shape == (family.dim,) and law.batch_shape == ()
        assert torch.equal(law.log_prob(z), family.log_prob(z, parameters))
        turn = NaturalAction(SphereRotation(family.dim).group)
        g = turn.group.sample(1, dtype=F64, generator=generator(2))[0]
        moved = family.push_forward(parameters, turn, g)
        assert torch.equal(moved["concentration"], parameters["concentration"])
        assert torch.allclose(moved["direction"], g @ parameters["direction"])
        assert torch.equal(family.mean_direction(parameters), parameters["direction"])

    def test_batches_and_float32(self, family: AxialFamily) -> None:
        parameters = spherical_parameters(family.dim, 2, 3)
        z = unit(2, 3, family.dim, seed=3)
        action = SphereRotation(family.dim)
        g = action.group.sample(1, dtype=F64, generator=generator(2))[0]
        moved = family.push_forward(parameters, action, g)
        assert moved["direction"].shape == (2, 3, family.dim)
        assert torch.allclose(family.log_prob(action.act(g, z), moved), family.log_prob(z, parameters))
        single = {name: value.float() for name, value in parameters.items()}
        assert family.push_forward(single, action, g)["direction"].dtype == torch.float32
        assert family.cap_angles(torch.tensor([0.5]), single).dtype == torch.float32

    def test_at_mode_has_the_curvature(self, family: AxialFamily) -> None:
        """Minus the second derivative along a great circle through the mode, by autograd."""
        mode, tangent = torch.eye(family.dim, dtype=F64)[:2]
        for precision in (0.3, 7.0, 400.0):
            parameters = family.at_mode(mode, torch.tensor(precision, dtype=F64))

            def along(t: Tensor, parameters: Parameters = parameters) -> Tensor:
                return family.log_prob(t.cos() * mode + t.sin() * tangent, parameters)

            zero = torch.tensor(1e-6, dtype=F64)
            hessian = torch.autograd.functional.hessian(along, zero)
            assert float(-hessian) == pytest.approx(precision, rel=1e-5)

    @pytest.mark.parametrize("concentration", [0.0, 0.4, 3.0, 60.0, 2e4])
    def test_cap_angles_hold_their_mass(self, family: AxialFamily, concentration: float) -> None:
        """The density of the angle, sin^(d-2) theta p, integrated to the angle by scipy: the level, to 1e-9."""
        levels = torch.tensor([1e-3, 0.25, 0.5, 0.95, 0.999], dtype=F64)
        parameters = {
            "direction": torch.eye(family.dim, dtype=F64)[0],
            "concentration": torch.tensor(concentration, dtype=F64),
        }
        angles = family.cap_angles(levels, parameters)
        assert angles.shape == (5,) and bool((angles.diff() > 0).all())
        area = math.exp(log_sphere_area(family.dim - 1))  # of the sphere around the axis

        def density(theta: float) -> float:
            x = torch.zeros(family.dim, dtype=F64)
            x[0], x[1] = np.cos(theta), np.sin(theta)
            return float(family.log_prob(x, parameters).exp()) * np.sin(theta) ** (family.dim - 2) * area

        masses, start = [], 0.0
        for angle in angles.tolist():
            masses.append(integrate.quad(density, start, angle, epsabs=1e-11, epsrel=1e-11)[0])
            start = angle
        assert np.cumsum(masses) == pytest.approx(levels.numpy(), abs=1e-9)

    def test_cap_angles_keep_batches(self, family: AxialFamily) -> None:
        levels = torch.tensor([0.1, 0.9], dtype=F64)
        parameters = spherical_parameters(family.dim, 2, 3)
        angles = family.cap_angles(levels, parameters)
        assert angles.shape == (2, 2, 3)
        one = {name: value[1, 2] for name, value in parameters.items()}
        assert torch.allclose(angles[:, 1, 2], family.cap_angles(levels, one))

    @pytest.mark.parametrize("levels", [[0.0], [1.0], [float("nan")], [-1.0, 0.5]])
    def test_levels_that_are_no_probabilities_are_refused(self, family: AxialFamily, levels: list[float]) -> None:
        with pytest.raises(ValueError, match=r"expected levels in \(0, 1\), got .* because .*; try"):
            family.cap_angles(torch.tensor(levels), spherical_parameters(family.dim))

    def test_it_is_a_frozen_value(self, family: AxialFamily) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            family.dim = 3
        assert len({family, copy.deepcopy(family), pickle.loads(pickle.dumps(family))}) == 1
        assert eval(repr(family)) == family and isinstance(family, Family)
        assert type(family)(family.dim + 1) != family


class TestVonMisesFisher(AxialContract):
    @pytest.fixture(params=[4, 7])
    def family(self, request: pytest.FixtureRequest) -> VonMisesFisherFamily:
        return VonMisesFisherFamily(request.param)

    def test_the_law_is_von_mises_fisher(self, family: VonMisesFisherFamily) -> None:
        parameters, z = self.parameters(family), self.points(family, {})
        truth = stats.vonmises_fisher(parameters["direction"].numpy(), float(parameters["concentration"]))
        assert family.log_prob(z, parameters).numpy() == pytest.approx(truth.logpdf(z.numpy()), rel=1e-10)


class TestPowerSpherical(AxialContract):
    @pytest.fixture
    def family(self) -> PowerSphericalFamily:
        return PowerSphericalFamily(4)

    def test_the_law_is_power_spherical(self, family: PowerSphericalFamily) -> None:
        parameters, z = self.parameters(family), self.points(family, {})
        law = PowerSpherical(parameters["direction"], parameters["concentration"])
        assert torch.equal(family.log_prob(z, parameters), law.log_prob(z))


@pytest.mark.parametrize(
    "dim, concentration", [(2, 0.0), (2, 5.0), (2, 1e4), (3, 0.0), (3, 5.0), (300, 0.0), (300, 1e3)]
)
def test_cap_angles_in_other_dimensions_against_draws(dim: int, concentration: float) -> None:
    """Share of 20,000 draws inside each cap: standard error below 0.0036, five of them."""
    family, axis = VonMisesFisherFamily(dim), torch.eye(dim, dtype=F64)[0]
    parameters = {"direction": axis, "concentration": torch.tensor(concentration, dtype=F64)}
    levels = torch.tensor([0.05, 0.5, 0.95], dtype=F64)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        cosines = family.distribution(parameters).sample((20_000,))[:, 0]
    inside = (cosines[None] >= family.cap_angles(levels, parameters).cos()[:, None]).double().mean(1)
    assert bool(((inside - levels).abs() <= 5 * (levels * (1 - levels) / 20_000).sqrt()).all())


def test_actions_with_groups_of_their_own() -> None:
    """Polyhedral groups and complex phases are isometries; a finite group conjugated by a shear is not."""
    parameters, z = spherical_parameters(3), unit(4, 3, seed=3)
    family = VonMisesFisherFamily(3)
    action = NaturalAction(PolyhedralGroup("icosahedral"))
    for g in action.group.elements(dtype=F64)[::7]:
        moved = family.push_forward(parameters, action, g)
        assert torch.allclose(family.log_prob(action.act(g, z), moved), family.log_prob(z, parameters))
    assert VonMisesFisherFamily(4).closure(PhaseAction(2))
    assert family.closure(BlockSigns(3, [[0, 2]]))
    sheared = torch.tensor([[-1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=F64)
    assert not family.closure(NaturalAction(FiniteMatrixGroup.generated_by([sheared])))


@pytest.mark.parametrize("dim", [2, 3, 5, 20])
def test_from_mean_is_maximum_likelihood(dim: int) -> None:
    """scipy's fit of the same points, and a gradient of zero."""
    with torch.random.fork_rng():
        torch.manual_seed(dim)
        x = VonMisesFisher(unit(dim), 6.0 * dim).sample((40,))
    family = VonMisesFisherFamily(dim)
    found = family.from_mean(x.mean(0))
    direction, concentration = stats.vonmises_fisher.fit(x.numpy())
    assert found["direction"].numpy() == pytest.approx(direction, abs=1e-12)
    assert float(found["concentration"]) == pytest.approx(concentration, rel=1e-6)
    eta = (found["concentration"] * found["direction"]).requires_grad_()
    (gradient,) = torch.autograd.grad(VonMisesFisher.from_natural(eta).log_prob(x).mean(), eta)
    assert float(gradient.abs().max()) < 1e-13


def test_from_mean_inverts_the_mean() -> None:
    family = VonMisesFisherFamily(4)
    parameters = spherical_parameters(4, 3, 2)
    found = family.from_mean(family.distribution(parameters).mean)
    for name, value in parameters.items():
        assert torch.allclose(found[name], value, rtol=1e-10)


def test_from_mean_at_zero_is_uniform() -> None:
    found = VonMisesFisherFamily(3).from_mean(torch.zeros(2, 3, dtype=F64))
    assert torch.equal(found["concentration"], torch.zeros(2, dtype=F64))
    assert torch.equal(found["direction"].norm(dim=-1), torch.ones(2, dtype=F64))
    tiny = VonMisesFisherFamily(3).from_mean(torch.tensor([0.0, 3e-200, -4e-200], dtype=F64))
    assert torch.allclose(tiny["direction"], torch.tensor([0.0, 0.6, -0.8], dtype=F64))
    assert float(tiny["concentration"]) == pytest.approx(1.5e-199)


@pytest.mark.parametrize(
    "mean, error, message",
    [
        (torch.tensor([1.0, 0.0, 0.0]), ValueError, "expected means of length below 1, got 1, because .*; try"),
        (torch.tensor([0.9, 0.9, 0.0]), ValueError, "expected means of length below 1, got 1.27"),
        (torch.tensor([0.1, float("nan"), 0.0]), ValueError, "expected means of length below 1, got nan"),
        (torch.zeros(2), ValueError, r"expected mean of shape \[\*batch, 3\], got \[2\], because .*; try"),
        (torch.tensor(0.5), ValueError, r"got \[\]"),
        ([0.1, 0.0, 0.0], TypeError, "expected mean as a floating tensor .*; try"),
    ],
)
def test_impossible_means_are_refused(mean: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        VonMisesFisherFamily(3).from_mean(mean)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dim, error", [(1, ValueError), (0, ValueError), (2.0, TypeError), (True, TypeError)])
def test_impossible_dimensions_are_refused(family: type[AxialFamily], dim: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="expected dim .* got .* because .*; try dim=3"):
        family(dim)
