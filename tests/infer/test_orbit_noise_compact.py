"""Particles closed under compact groups: what each draw's gradient pins, and what it does not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from pyro_symvi.divergences import ForwardKL, ReverseKL
from pyro_symvi.groups import (
    AxialRotation,
    ComposedAction,
    EllipticalRotation,
    LinearAction,
    NaturalAction,
    Orthogonal,
    PhaseAction,
    PointReflection,
    SpecialOrthogonal,
    SphereRotation,
    TorusAction,
    Unitary,
    UnitaryAction,
    wigner_d,
)
from pyro_symvi.guides import AutoLocationScale
from pyro_symvi.infer import DivergenceELBO
from pyro_symvi.infer.svi._closures import closure_of
from pyro_symvi.infer.svi.orbit_noise import OrbitClosedNoise, _bound

Target = Callable[[Tensor], Tensor]


@pytest.fixture(autouse=True)
def double_precision() -> None:
    torch.set_default_dtype(torch.float64)
    pyro.set_rng_seed(0)


@dataclass(frozen=True, eq=False, repr=False)
class Multipole(LinearAction):
    """Rotations of space acting on the 2l + 1 components of a multipole of order l."""

    degree: int

    @property
    def group(self) -> SpecialOrthogonal:
        return SpecialOrthogonal(3)

    @property
    def dim(self) -> int:
        return 2 * self.degree + 1

    def _matrix(self, g: Tensor) -> Tensor:
        return wigner_d(self.degree, g)


def ball(z: Tensor) -> Tensor:
    return -2.0 * torch.log1p(z.square().sum(-1)) - 0.1 * z.square().sum(-1).square()


def disc_in_space(z: Tensor) -> Tensor:
    """Spherical in coordinates 0 and 2 about (1, -2), skewed in coordinate 1, on which the width depends."""
    square = (z[..., 0] - 1.0).square() + (z[..., 2] + 2.0).square()
    return -0.5 * square * (0.5 * z[..., 1]).exp() - z[..., 1].exp() + z[..., 1]


def rings(z: Tensor) -> Tensor:
    a, b = z[..., :2].square().sum(-1), z[..., 2:].square().sum(-1)
    return -a - b.square() - a * b


def phases(z: Tensor) -> Tensor:
    a, b, c, d = z.unbind(-1)
    return -(a**2 + b**2) - 2 * (c**2 + d**2) - (a * c + b * d) - 0.5 * torch.sin(a * d - b * c)


def spindle(z: Tensor) -> Tensor:
    return -z[..., :2].square().sum(-1) * (1 + z[..., 2] ** 2) - z[..., 2].exp() + 2 * z[..., 2]


def two_balls(z: Tensor) -> Tensor:
    a, b = z[..., :2].square().sum(-1), z[..., 2:].square().sum(-1)
    return -a - b - (1 + a * b).log()


def quadrupole(z: Tensor) -> Tensor:
    """By the scalar |z|^2 and a cubic invariant: the integral of Y(u)^3 over the sphere, by the 12 + 20 + 30 points."""
    return -z.square().sum(-1) + 0.2 * torch.tanh(CUBIC(z))


def cubic_invariant() -> Target:
    """The mean over SO(3) of a cubic in z, from a product rule exact to degree 6."""
    rule = SpecialOrthogonal(3).quadrature(6)
    rows = wigner_d(2, rule.elements)[:, 0]
    return lambda z: ((z @ rows.to(z).mT) ** 3 * rule.weights.to(z)).sum(-1)


CUBIC = cubic_invariant()
DISC = EllipticalRotation(coordinates=[0, 2])
PRODUCT = ComposedAction(
    [
        EllipticalRotation(0.0, torch.eye(2), [0, 1]).bind(5),
        EllipticalRotation(0.0, torch.eye(3), [2, 3, 4]).bind(5),
    ]
)
CASES: dict[str, tuple[LinearAction, Target, list[float], int, list[Any]]] = {
    "SO(3)": (SphereRotation(3), ball, [0.0] * 3, 6, ["isotropic", "diagonal", "full"]),
    "O(4)": (NaturalAction(Orthogonal(4)), ball, [0.0] * 4, 8, ["diagonal"]),
    "SO(2)": (NaturalAction(SpecialOrthogonal(2)), ball, [0.0] * 2, 4, ["full"]),
    "U(2)": (UnitaryAction(Unitary(2)), ball, [0.0] * 4, 8, ["full"]),
    "block": (DISC, disc_in_space, [1.0, 0.3, -2.0], 4, ["isotropic", "diagonal", "full"]),
    "axis": (AxialRotation(torch.tensor([0.0, 0.0, 1.0])), spindle, [0.0, 0.0, 0.4], 4, ["diagonal", "full"]),
    "torus": (TorusAction(2), rings, [0.0] * 4, 8, ["diagonal", "full"]),
    "phase": (PhaseAction(2), phases, [0.0] * 4, 4, ["isotropic", "diagonal"]),
    "product": (PRODUCT, two_balls, [0.0] * 5, 24, ["diagonal", "full"]),
    "quadrupole": (Multipole(2), quadrupole, [0.0] * 5, 60, ["isotropic", "diagonal"]),
}
EACH = [(name, scale) for name, case in CASES.items() for scale in case[4]]


def model_of(target: Target, dim: int) -> Callable[[], None]:
    def model() -> None:
        z = pyro.sample("z", dist.ImproperUniform(dist.constraints.real_vector, (), (dim,)))
        pyro.factor("p", target(z))

    return model


def guide_of(model: Callable[[], None], scale: Any, center: list[float], base: str = "normal") -> AutoLocationScale:
    guide = AutoLocationScale(model, base, scale, init_scale=0.7)
    guide()
    with torch.no_grad():
        guide.loc.copy_(torch.tensor(center))
    return guide


def gradients(elbo: DivergenceELBO, model: Callable[[], None], guide: AutoLocationScale) -> tuple[Tensor, Tensor]:
    """In the location, and in the scale matrix as far as the pattern sees it (up to a common factor)."""
    guide.zero_grad()
    elbo.loss_and_grads(model, guide)
    scale = guide.scale_unconstrained.grad * torch.ones(guide.latent_dim)
    matrix = torch.diag(scale)
    if hasattr(guide, "scale_tril"):
        matrix = matrix + guide.scale_tril_unconstrained.grad.tril(-1)
    return guide.loc.grad.clone(), matrix


@pytest.mark.parametrize(("name", "scale"), EACH)
def test_every_draw_has_a_symmetric_gradient(name: str, scale: Any) -> None:
    """Location: zero outside the fixed directions. Scale: commutes with the group's generators. Both to rounding."""
    action, target, center, images, _ = CASES[name]
    dim = len(center)
    bound = _bound(action, dim)
    model = model_of(target, dim)
    guide = guide_of(model, scale, center)
    closed = DivergenceELBO(ReverseKL(), images, max_plate_nesting=0, symmetry=action)
    free = DivergenceELBO(ReverseKL(), images, max_plate_nesting=0)
    fixed, generators = bound.fixed_subspace(), bound.generator_matrices()
    for _ in range(5):
        location, matrix = gradients(closed, model, guide)
        assert float((location - fixed @ (fixed.mT @ location)).abs().max()) < 1e-13
        assert float((generators @ matrix - matrix @ generators).abs().max()) < 1e-13
        assert float(matrix.abs().max()) > 1e-3
    location, matrix = gradients(free, model, guide)
    assert float((location - fixed @ (fixed.mT @ location)).abs().max()) > 1e-3
    if scale != "isotropic":
        assert float((generators @ matrix - matrix @ generators).abs().max()) > 1e-3


@pytest.mark.parametrize("name", ["SO(3)", "U(2)", "torus", "phase", "product"])
def test_location_is_pinned_whatever_the_scale(name: str) -> None:
    """These sets contain -1 (a product: one for each part): scales that have nothing to do with the group."""
    action, target, center, images, _ = CASES[name]
    model = model_of(target, len(center))
    guide = guide_of(model, "diagonal", center)
    with torch.no_grad():
        guide.scale_unconstrained.copy_(torch.linspace(-1.0, 1.5, len(center)))
    elbo = DivergenceELBO(ReverseKL(), 2 * images, max_plate_nesting=0, symmetry=action)
    for _ in range(5):
        assert float(gradients(elbo, model, guide)[0].abs().max()) < 1e-13


def test_a_target_without_the_symmetry_is_not_pinned() -> None:
    model = model_of(lambda z: ball(z) + 0.3 * z[..., 0], 3)
    guide = guide_of(model, "diagonal", [0.0] * 3)
    elbo = DivergenceELBO(ReverseKL(), 6, max_plate_nesting=0, symmetry=SphereRotation(3))
    assert float(gradients(elbo, model, guide)[0][0].abs()) > 0.1
    ellipsoid = model_of(lambda z: ball(z * torch.tensor([1.0, 2.0, 3.0])), 3)  # even, not spherical
    location, matrix = gradients(elbo, ellipsoid, guide_of(ellipsoid, "diagonal", [0.0] * 3))
    assert float(location.abs().max()) < 1e-13
    assert float(matrix.diagonal().diff().abs().max()) > 1e-2


def test_reflection_alone_does_not_pin_the_scales() -> None:
    model = model_of(ball, 3)
    guide = guide_of(model, "diagonal", [0.0] * 3)
    elbo = DivergenceELBO(ReverseKL(), 6, max_plate_nesting=0, symmetry=PointReflection())
    location, matrix = gradients(elbo, model, guide)
    assert float(location.abs().max()) < 1e-13 < 1e-2 < float(matrix.diagonal().diff().abs().max())


@pytest.mark.parametrize("name", list(CASES))
def test_sets_have_the_first_two_moments_of_the_group(name: str) -> None:
    """Against the projections on the fixed vectors and the invariant forms, which know nothing of the sets."""
    action, _, center, images, _ = CASES[name]
    bound = _bound(action, len(center))
    closure = closure_of(bound, len(center))
    assert closure is not None and closure.size == images
    noise = torch.randn(3, 1, len(center))
    rows = closure.images(noise)[:, 0].reshape(images, 3, -1)
    fixed = bound.fixed_subspace()
    torch.testing.assert_close(rows.mean(0), noise[:, 0] @ fixed @ fixed.mT, rtol=1e-12, atol=1e-12)
    basis = bound.symmetric_square_fixed_subspace().flatten(1)
    gram = torch.linalg.inv(basis @ basis.mT)
    for i in range(3):
        second = (rows[:, i, :, None] * rows[:, i, None, :]).mean(0)
        outer = torch.outer(noise[i, 0], noise[i, 0]).flatten()
        torch.testing.assert_close(second.flatten(), basis.mT @ gram @ (basis @ outer), rtol=1e-10, atol=1e-10)
        assert torch.linalg.vector_norm(rows[:, i], dim=-1).sub(noise[i].norm()).abs().max() < 1e-12


def test_each_image_has_the_law_of_the_draw() -> None:
    """Second and fourth moments of one coordinate of the last image, 4000 draws, four standard errors (4 x 1.5 %)."""
    for name in ("SO(3)", "torus", "quadrupole"):
        action, _, center, _, _ = CASES[name]
        closure = closure_of(action, len(center))
        assert closure is not None
        x = closure.images(torch.randn(4000, 1, len(center)))[-4000:, 0]
        for column in (0, len(center) - 1):
            assert float(x[:, column].square().mean()) == pytest.approx(1.0, abs=4 * (2 / 4000) ** 0.5)
            assert float(x[:, column].pow(4).mean()) == pytest.approx(3.0, abs=4 * (96 / 4000) ** 0.5)


def test_a_stochastic_run_keeps_the_centre_and_the_ties() -> None:
    """Constant steps from an off-centre start: location to rounding; from the centre: scales equal to rounding."""

    def run(symmetry: Any, start: float) -> tuple[float, float]:
        pyro.clear_param_store()
        pyro.set_rng_seed(1)
        model = model_of(lambda z: -0.5 * z.square().sum(-1) - (1 + z.square().sum(-1)).sqrt(), 2)
        guide = guide_of(model, "full", [start, -start])
        elbo = DivergenceELBO(ReverseKL(), 4, max_plate_nesting=0, symmetry=symmetry)
        svi = pyro.infer.SVI(model, guide, pyro.optim.SGD({"lr": 0.1}), elbo)
        for _ in range(150):
            svi.step()
        scale = guide.family.matrix(guide.parameters_["scale"]).detach()
        return float(guide.loc.detach().abs().max()), float((scale / scale[0, 0] - torch.eye(2)).abs().max())

    assert run(SphereRotation(2), 1.0)[0] < 1e-11
    location, ties = run(SphereRotation(2), 0.0)
    assert location < 1e-14 and ties < 1e-13
    location, ties = run(None, 0.0)
    assert location > 1e-3 and ties > 1e-3


def test_weighted_gradients_are_pinned_too() -> None:
    model = model_of(disc_in_space, 3)
    guide = guide_of(model, "diagonal", [1.0, 0.3, -2.0])
    elbo = DivergenceELBO(ForwardKL(), 40, max_plate_nesting=0, symmetry=DISC)
    location, matrix = gradients(elbo, model, guide)
    assert float(location[[0, 2]].abs().max()) < 1e-13 and abs(float(location[1])) > 1e-3
    assert abs(float(matrix[0, 0] - matrix[2, 2])) < 1e-13 < 1e-3 < abs(float(matrix[0, 0]))


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "base", "scale", "particles", "message"),
    [
        (SphereRotation(3), "laplace", "diagonal", 6, "base law that is invariant"),
        (SphereRotation(3), "normal", "low_rank", 6, "scale that commutes"),
        (SphereRotation(3), "normal", "full", 8, "multiple of 6, got 8.*try num_particles=6"),
        (SphereRotation(4), "normal", "full", 8, "expected an action on the 3 unconstrained coordinates"),
        (AxialRotation(torch.tensor([1.0, 2.0, 0.0])), "normal", "diagonal", 4, "scale that commutes.*'isotropic'"),
        (AxialRotation(torch.tensor([1.0, 2.0, 0.0])), "normal", "full", 4, "scale that commutes"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_refusals(action: Any, base: str, scale: str, particles: int, message: str) -> None:
    model = model_of(ball, 3)
    elbo = DivergenceELBO(ReverseKL(), particles, max_plate_nesting=0, symmetry=action)
    with pytest.raises(ValueError, match=message):
        elbo.loss(model, AutoLocationScale(model, base, scale))


def test_phases_do_not_keep_a_cholesky_factor() -> None:
    model = model_of(phases, 4)
    elbo = DivergenceELBO(ReverseKL(), 4, max_plate_nesting=0, symmetry=PhaseAction(2))
    with pytest.raises(ValueError, match="scale that commutes"):
        elbo.loss(model, AutoLocationScale(model, "normal", "full"))


def test_groups_without_an_equal_weight_set_are_refused() -> None:
    """The icosahedron has an invariant of degree 6, which second moments of an octupole see."""
    with pytest.raises(TypeError, match="finite group, of rotations or of phases"):
        OrbitClosedNoise(Multipole(3))
    assert closure_of(Multipole(1), 3).size == 24  # type: ignore[union-attr]
