"""PointReflection, AxisFlips, EllipticalRotation: the contract, the exact arithmetic, what each pins, the errors."""

import pytest
import torch
from torch import Tensor

from pyro_symvi.groups import (
    Action,
    AffineAction,
    AxisFlips,
    ConditionalReflection,
    EllipticalRotation,
    PointReflection,
)
from tests.contracts.action import ActionContract, LinearActionContract

CENTER = torch.tensor([0.3, -1.7, 2.2, 0.1], dtype=torch.float64)
SHAPE = torch.tensor([[2.0, 0.6, 0.3], [0.6, 1.0, -0.2], [0.3, -0.2, 0.5]], dtype=torch.float64)


class TestPointReflection(LinearActionContract):
    @pytest.fixture(params=[None, (2, 0)])
    def action(self, request: pytest.FixtureRequest) -> Action:
        return PointReflection(coordinates=request.param).bind(4, CENTER)


class TestAxisFlips(LinearActionContract):
    @pytest.fixture(params=[None, (3, 1)])
    def action(self, request: pytest.FixtureRequest) -> Action:
        return AxisFlips(request.param).bind(4, CENTER)


class TestEllipticalRotation(LinearActionContract):
    tolerance = 1e-9

    @pytest.fixture(params=["all", "some", "two", "one"])
    def action(self, request: pytest.FixtureRequest) -> Action:
        if request.param == "all":
            return EllipticalRotation(center=CENTER[:3], shape=SHAPE).bind(3)
        if request.param == "two":
            return EllipticalRotation(shape=SHAPE[:2, :2]).bind(2, CENTER[:2])
        if request.param == "one":
            return EllipticalRotation(coordinates=[1]).bind(4, CENTER, [[2.0]])
        return EllipticalRotation(coordinates=(3, 0, 1)).bind(4, CENTER, SHAPE)

    def test_invariant_contours(self, action: EllipticalRotation) -> None:
        x, index = self.points(action), torch.tensor(action.coordinates)
        assert isinstance(action.center, Tensor) and isinstance(action.shape, Tensor)

        def radius(z: Tensor) -> Tensor:
            offset = z[..., index] - action.center
            return (offset * torch.linalg.solve(action.shape, offset[..., None])[..., 0]).sum(-1)

        moved = self.sweep(action, self.elements(action), x)
        assert self.close(radius(moved), radius(x).expand(moved.shape[:-1]))


def test_point_reflection_is_bit_exact() -> None:
    z = torch.randn(1000, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 1e3
    action = PointReflection(coordinates=[1, 3]).bind(4, CENTER)
    image = action.act(torch.tensor([-1.0]), z)
    assert torch.equal(image[:, [1, 3]], 2 * CENTER[[1, 3]] - z[:, [1, 3]])
    assert torch.equal(image[:, [0, 2]], z[:, [0, 2]])
    assert torch.equal(action.act(torch.tensor([1.0]), z), z)
    whole = PointReflection(CENTER).act(torch.tensor([-1.0]), z)
    assert torch.equal(whole, 2 * CENTER - z)


def test_outside_coordinates_are_untouched_by_rotation() -> None:
    action = EllipticalRotation(coordinates=[0, 2]).bind(4, CENTER, SHAPE[:2, :2])
    z = torch.randn(50, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    image = action.act(action.group.sample(50, generator=torch.Generator().manual_seed(1)), z)
    assert torch.equal(image[:, [1, 3]], z[:, [1, 3]]) and not torch.equal(image[:, [0, 2]], z[:, [0, 2]])


@pytest.mark.parametrize(
    ("action", "mean", "scatter"),
    [
        (PointReflection().bind(4, 0.0), 0, 10),
        (PointReflection(coordinates=[0, 1]).bind(4, 0.0), 2, 3 + 3),
        (AxisFlips().bind(4, 0.0), 0, 4),
        (AxisFlips([0]).bind(4, 0.0), 3, 1 + 6),
        (EllipticalRotation().bind(3, 0.0, SHAPE), 0, 1),
        (EllipticalRotation(coordinates=[0, 1]).bind(4, 0.0, SHAPE[:2, :2]), 2, 1 + 3),
    ],
)
def test_what_each_pins(action: AffineAction, mean: int, scatter: int) -> None:
    """Free dimensions of mean and scatter, counted by hand from the irreducible parts."""
    assert action.fixed_subspace().shape == (action.dim, mean)
    assert len(action.symmetric_square_fixed_subspace()) == scatter


def test_elliptical_symmetry_pins_the_shape() -> None:
    (pinned,) = EllipticalRotation().bind(3, 0.0, SHAPE).symmetric_square_fixed_subspace()
    ratio = pinned / SHAPE
    assert bool(torch.allclose(ratio, ratio[0, 0].expand(3, 3), rtol=1e-12))


def test_monomial_and_spectral_routes_agree() -> None:
    """The flips in a rotated basis have no signed-permutation form; dimensions must not depend on the basis."""
    from pyro_symvi.groups import _fixed_spaces

    flips = AxisFlips([0, 2]).bind(4, 0.0).generator_matrices()
    turn = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).Q
    turned = turn @ flips @ turn.mT
    for route in (_fixed_spaces.fixed_vectors, _fixed_spaces.fixed_symmetric):
        assert route(flips).shape == route(turned).shape
    skewed = torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)) @ turn
    oblique = skewed @ flips @ torch.linalg.inv(skewed)
    assert _fixed_spaces.fixed_vectors(oblique).shape == (4, 2)
    assert len(_fixed_spaces.fixed_symmetric(oblique)) == 5


def test_binding_resolves_and_keeps() -> None:
    action = AxisFlips([2, 0])
    assert not action.is_bound and action.center is None
    bound = action.bind(4, CENTER)
    assert bound.is_bound and torch.equal(bound.center, CENTER[[2, 0]])  # type: ignore[arg-type]
    assert action.bind(4, CENTER[[2, 0]]) == bound
    assert bound.bind(4, torch.zeros(4)) == bound, "what is known is kept"
    assert torch.equal(PointReflection().resolve_coordinates(3), torch.arange(3))
    rotation = EllipticalRotation(coordinates=[0, 2]).bind(3, 1.0, SHAPE)
    assert torch.equal(rotation.shape, SHAPE[[0, 2]][:, [0, 2]])  # type: ignore[arg-type]
    assert len({bound, action.bind(4, CENTER)}) == 1 and bound != action


def test_centers_and_points_carry_gradients() -> None:
    center = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    image = PointReflection(center).act(torch.tensor([-1.0]), torch.ones(3, dtype=torch.float64))
    assert torch.equal(torch.autograd.grad(image.sum(), center)[0], torch.full((3,), 2.0, dtype=torch.float64))
    action = EllipticalRotation().bind(3, 0.0, SHAPE)
    g = action.group.sample(1, generator=torch.Generator().manual_seed(0))[0]
    z = torch.ones(3, dtype=torch.float64, requires_grad=True)
    jacobian = torch.autograd.functional.jacobian(lambda y: action.act(g, y), z)
    assert torch.allclose(jacobian, action.matrix(g))


def test_batched_maps() -> None:
    action = EllipticalRotation().bind(3, 0.0, SHAPE)
    g = action.group.sample(7, generator=torch.Generator().manual_seed(0))
    z = torch.randn(7, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.allclose(torch.func.vmap(action.act)(g, z), action.act(g, z))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: PointReflection().bind(3), ValueError, "expected center for PointReflection, got None"),
        (lambda: EllipticalRotation().bind(3), ValueError, "expected center and shape"),
        (lambda: PointReflection(coordinates=[0, 3]).bind(3, 0.0), ValueError, r"from 0 to 2, got \[3\]"),
        (lambda: PointReflection(coordinates=[-1]).bind(3, 0.0), ValueError, r"from 0 to 2, got \[-1\]"),
        (lambda: AxisFlips([1, 1]), ValueError, "expected distinct coordinates"),
        (lambda: AxisFlips([]), ValueError, "expected at least one coordinate"),
        (lambda: AxisFlips("beta"), TypeError, "expected coordinates as a sequence of ints, got 'beta'"),
        (lambda: AxisFlips(["beta"]), TypeError, "not its name"),
        (lambda: AxisFlips([0.5]), TypeError, "expected coordinates as ints"),
        (lambda: PointReflection(center="here"), TypeError, "expected center as numbers"),
        (lambda: PointReflection(center=[[1.0]]), ValueError, "expected center as one vector"),
        (lambda: PointReflection(center=[float("nan")]), ValueError, "expected a finite center"),
        (lambda: PointReflection().bind(3, [1.0, 2.0]), ValueError, "expected a center of length 3"),
        (lambda: PointReflection().bind(0, 0.0), ValueError, "expected dim to be a positive int"),
        (lambda: PointReflection().bind(3, 0.0).bind(4), ValueError, "expected dim=3, got 4"),
        (lambda: EllipticalRotation(shape=[[1.0, 2.0], [2.0, 1.0]]), ValueError, "positive definite"),
        (lambda: EllipticalRotation(shape=[[1.0, 0.5], [0.0, 1.0]]), ValueError, "expected a symmetric shape"),
        (lambda: EllipticalRotation(shape=[[1.0, 0.5]]), ValueError, "expected a square shape"),
        (lambda: EllipticalRotation().bind(3, 0.0, torch.eye(2)), ValueError, "expected a shape matrix of size 3"),
        (lambda: AxisFlips().group, ValueError, "expected known coordinates"),
        (lambda: EllipticalRotation().group, ValueError, "expected known coordinates"),
        (lambda: PointReflection(0.0).fixed_subspace(), ValueError, "space of known dimension.*bind"),
        (lambda: PointReflection().act(torch.ones(1), torch.ones(3)), ValueError, "expected center"),
        (lambda: PointReflection(0.0).bind(3).act(torch.ones(1), torch.ones(2)), ValueError, r"got \[2\]"),
        (lambda: PointReflection(0.0).bind(3).act(torch.ones(2), torch.ones(3)), ValueError, "expected g of shape"),
        (lambda: PointReflection(0.0).bind(2).act(torch.ones(1), torch.ones(2).long()), TypeError, "floating dtype"),
        (
            lambda: PointReflection(0.0).bind(2).act(torch.ones(1, device="meta"), torch.ones(2)),
            ValueError,
            "expected tensors on one device, got meta and cpu",
        ),
    ],
)
def test_errors(make: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()  # type: ignore[operator]


class LeftIsRight(PointReflection):
    """A broken action: forgets the centre on the way back."""

    def _act_block(self, g: Tensor, block: Tensor, center: Tensor) -> Tensor:
        return torch.where(g > 0, block, center - block * 1.01)


def test_the_contract_catches_a_broken_action() -> None:
    action = LeftIsRight().bind(4, CENTER)
    for check in ("test_action_law", "test_log_abs_det_against_autograd", "test_average_is_invariant_and_idempotent"):
        with pytest.raises(AssertionError):
            getattr(ActionContract(), check)(action)


def test_a_slope_given_as_numbers_keeps_its_digits() -> None:
    assert ConditionalReflection([0], 0.0, [[0.1]], given=[1]).slope.item() == 0.1  # in float32 it would be off by 1e-9
