"""Every action of the catalogue under the contract."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from pyro_symvi.groups import (
    Action,
    Antipodal,
    AxialRotation,
    BlockSigns,
    ComposedAction,
    ConditionalReflection,
    Conjugation,
    CoordinatePermutation,
    Cyclic,
    Dihedral,
    FiniteMatrixGroup,
    HermitianConjugation,
    HiddenLayer,
    HiddenUnitPermutation,
    HiddenUnitRescaling,
    HiddenUnitSignFlip,
    ImageFlip,
    InvariantAction,
    IrrepAction,
    NaturalAction,
    Orthogonal,
    PermutationGroup,
    PhaseAction,
    PointCloudAction,
    PointReflection,
    PolyhedralGroup,
    SignedCoordinatePermutation,
    SignedUnitPermutation,
    SpecialEuclidean,
    SpecialOrthogonal,
    SpecialUnitary,
    SphereRotation,
    TorusAction,
    TranslationAction,
    Unitary,
    UnitaryAction,
)
from tests.contracts.action import ActionContract, LinearActionContract

SHEAR = torch.tensor([[1.0, 0.7], [0.0, 1.0]], dtype=torch.float64)


def turn(angle: float) -> Tensor:
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, -s], [s, c]], dtype=torch.float64)


OBLIQUE = FiniteMatrixGroup.generated_by([SHEAR @ turn(2 * math.pi / 3) @ torch.linalg.inv(SHEAR)])
LAYER = HiddenLayer.of_mlp([2, 3, 2], 1)

LINEAR: dict[str, Action] = {
    "O(3)": NaturalAction(Orthogonal(3)),
    "O(1)": NaturalAction(Orthogonal(1)),
    "quadrupoles": IrrepAction(SpecialOrthogonal(3), 2),
    "pseudovectors": IrrepAction(Orthogonal(3), (1, -1)),
    "E of the cube": IrrepAction(PolyhedralGroup("octahedral"), "E"),
    "cube": NaturalAction(PolyhedralGroup("octahedral")),
    "icosahedron with inversion": NaturalAction(PolyhedralGroup("icosahedral", inversion=True)),
    "sheared triangle": NaturalAction(OBLIQUE),
    "SO(2) on the plane": SphereRotation(2),
    "SO(3) on space": SphereRotation(3),
    "O(4)": SphereRotation(4, improper=True),
    "SO(1)": SphereRotation(1),
    "about an axis": AxialRotation(torch.tensor([1.0, 2.0, -1.0])),
    "about an axis in the plane": AxialRotation([1.0, 1.0], improper=True),
    "about an axis, improper": AxialRotation([0.0, 0.0, 1.0, 0.0], improper=True),
    "antipodal": Antipodal(3),
    "S_4": CoordinatePermutation(4),
    "S_2 of sites": CoordinatePermutation(5, blocks=[[0, 3], [4, 1]]),
    "cyclic shift": CoordinatePermutation(5, permutations=Cyclic(5)),
    "dihedral": CoordinatePermutation(5, permutations=Dihedral(5)),
    "A_4": CoordinatePermutation(4, permutations=PermutationGroup.generated_by([[1, 2, 0, 3], [0, 2, 3, 1]])),
    "B_3": SignedCoordinatePermutation(3),
    "B_1": SignedCoordinatePermutation(1),
    "B_2 of units": SignedUnitPermutation(5, [[0, 1], [4, 2]]),
    "B_2 of coordinates": SignedUnitPermutation(2),
    "block signs": BlockSigns(5, [[0, 1], [4, 2]]),
    "conditional reflection": ConditionalReflection([1], 0.5, [[2.0, -1.0]], given=[0, 3]).bind(4),
    "conditional reflection of a block": ConditionalReflection([0, 2]).bind(3, [0.1, 0.2], [[1.0], [3.0]]),
    "phase": PhaseAction(3),
    "torus": TorusAction(2),
    "SU(2)": UnitaryAction(SpecialUnitary(2)),
    "U(2)": UnitaryAction(Unitary(2)),
    "exchangeable and even": ComposedAction([CoordinatePermutation(3), PointReflection(0.0).bind(3)]),
    "two circles": ComposedAction([TorusAction(2), PhaseAction(2)]),
    "hidden units permuted": HiddenUnitPermutation(LAYER),
    "hidden units flipped": HiddenUnitSignFlip(LAYER),
}

OTHER: dict[str, Action] = {
    "clouds, SE(3)": PointCloudAction(SpecialEuclidean(3)),
    "clouds, SO(3)": PointCloudAction(SpecialOrthogonal(3)),
    "clouds, O(3)": PointCloudAction(Orthogonal(3)),
    "clouds, SE(2)": PointCloudAction(SpecialEuclidean(2)),
    "clouds, SO(4)": PointCloudAction(SpecialOrthogonal(4)),
    "conjugation": Conjugation(3),
    "conjugation, improper": Conjugation(4, improper=True),
    "Hermitian": HermitianConjugation(3),
    "translation": TranslationAction(3),
    "softmax shift": TranslationAction(4, [[1.0], [1.0], [1.0], [1.0]]),
    "rescaling": HiddenUnitRescaling(LAYER),
    "rescaling of degree 2": HiddenUnitRescaling(LAYER, degree=2.0),
    "mirror images": ImageFlip(("horizontal", "vertical")),
    "left and right": ImageFlip(),
    "scalars": InvariantAction(Orthogonal(3)),
}


class TestLinearActions(LinearActionContract):
    tolerance = 1e-9

    @pytest.fixture(params=list(LINEAR))
    def action(self, request: pytest.FixtureRequest) -> Action:
        return LINEAR[request.param]


class TestOtherActions(ActionContract):
    tolerance = 1e-9
    free_size = 6

    @pytest.fixture(params=list(OTHER))
    def action(self, request: pytest.FixtureRequest) -> Action:
        return OTHER[request.param]

    def points(self, action: Action, n: int = 5, seed: int = 2) -> Tensor:
        x = super().points(action, n, seed)
        if isinstance(action, HermitianConjugation):
            z = torch.view_as_complex(x)
            return torch.view_as_real((z + z.mH) / 2)
        return (x + x.mT) / 2 if isinstance(action, Conjugation) else x

    def test_log_abs_det_against_autograd(self, action: Action) -> None:
        """On symmetric matrices, whose entries are not independent, in a basis of their space."""
        if not isinstance(action, Conjugation | HermitianConjugation):
            super().test_log_abs_det_against_autograd(action)
            return
        x, g = self.points(action, 40), self.elements(action)[:4]
        _, singular, rows = torch.linalg.svd(x.flatten(1))
        basis = rows[: int((singular > 1e-9).sum())]
        assert 0 < len(basis) < basis.shape[1]
        found = action.log_abs_det(g, x[0].expand(len(g), *x[0].shape))
        for element, value in zip(g, found, strict=True):
            moved = action.act(element, basis.reshape(-1, *x.shape[1:])).flatten(1)
            assert torch.linalg.slogdet(moved @ basis.mT).logabsdet.item() == pytest.approx(float(value), abs=1e-9)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: NaturalAction(Cyclic(3)), TypeError, "expected a group of real square matrices"),
        (lambda: AxialRotation([0.0, 0.0]), ValueError, "axis of positive finite length"),
        (lambda: AxialRotation([1.0]), ValueError, "length at least 2"),
        (lambda: CoordinatePermutation(3, [[0], [1, 2]]), ValueError, "blocks of one length"),
        (lambda: CoordinatePermutation(3, [[0], [0]]), ValueError, "disjoint blocks"),
        (lambda: CoordinatePermutation(3, [[0], [3]]), ValueError, "indices from 0 to 2"),
        (lambda: SignedUnitPermutation(3, [[0], [1, 2]]), ValueError, "blocks of one length"),
        (lambda: SignedUnitPermutation(3, [[0], [3]]), ValueError, "indices from 0 to 2"),
        (lambda: CoordinatePermutation(3, ["a", "b"]), TypeError, "blocks as sequences of ints"),
        (lambda: CoordinatePermutation(3, permutations=Cyclic(4)), ValueError, "permutation group on 3 points"),
        (lambda: ConditionalReflection([0], given=[0, 1]), ValueError, "disjoint"),
        (lambda: ConditionalReflection([0]).bind(3), ValueError, "expected intercept and slope"),
        (lambda: ConditionalReflection([0]).bind(3, 0.0, [[1.0]]), ValueError, r"slope \[1, 2\], got"),
        (lambda: ConditionalReflection([0, 1]).bind(2, 0.0, [[1.0]]), ValueError, "none left"),
        (lambda: ConditionalReflection([0], 0.0, [1.0]), ValueError, "slope matrix"),
        (lambda: ConditionalReflection([0]).act(torch.ones(1), torch.ones(3)), ValueError, "expected a bound action"),
        (lambda: UnitaryAction(Unitary(1)), TypeError, "try PhaseAction"),
        (lambda: PointCloudAction(Cyclic(3)), TypeError, "try SpecialEuclidean"),
        (lambda: PointCloudAction(Orthogonal(3), [-1.0, 1.0]), ValueError, "non-negative weights"),
        (lambda: PointCloudAction(Orthogonal(3), [0.0, 0.0]), ValueError, "positive total weight"),
        (
            lambda: PointCloudAction(Orthogonal(3)).project(torch.ones(4, 2), torch.ones(4, 3)),
            ValueError,
            r"expected x of shape \[\.\.\., n, 3\]",
        ),
        (lambda: Conjugation(2).log_orbit_volume(torch.tensor([[1.0, 2.0], [0.0, 1.0]])), ValueError, "symmetric"),
        (lambda: HermitianConjugation(2).gram(torch.ones(2, 2, 2)), ValueError, "expected x to be Hermitian"),
        (lambda: TranslationAction(2, [[1.0, 2.0], [2.0, 4.0]]), ValueError, "independent directions"),
        (lambda: TranslationAction(2, [[1.0]]), ValueError, r"expected directions \[2, k\]"),
        (lambda: ImageFlip(("diagonal",)), ValueError, "expected axes"),
        (lambda: HiddenLayer.of_mlp([3, 4, 1], 2), ValueError, "expected a hidden layer from 1 to 1"),
        (lambda: HiddenLayer(4, [[0], [1]], [[2]]), ValueError, "as many incoming as outgoing"),
        (lambda: HiddenUnitRescaling("layer"), TypeError, "expected a HiddenLayer"),
        (lambda: HiddenUnitRescaling(LAYER, 0.0), ValueError, "expected positive scales"),
        (lambda: HiddenUnitRescaling(LAYER, degree=0.0), ValueError, "expected a finite positive degree"),
        (
            lambda: ComposedAction([CoordinatePermutation(2), NaturalAction(Orthogonal(2))]),
            ValueError,
            "expected commuting actions",
        ),
        (lambda: ComposedAction([CoordinatePermutation(2), CoordinatePermutation(3)]), ValueError, "one space"),
        (lambda: ComposedAction([]), TypeError, "non-empty sequence of linear actions"),
    ],
)
def test_errors(make: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()  # type: ignore[operator]


def test_isotypic_parts_of_known_representations() -> None:
    """C_5 shifts: constant and two planes. S_4: constant and contrasts. Two equal copies stay together."""

    def sizes(action: Action) -> list[int]:
        return [round(float(p.trace())) for p in action.isotypic_projections()]  # type: ignore[attr-defined]

    assert sizes(CoordinatePermutation(5, permutations=Cyclic(5))) == [1, 2, 2]
    assert sizes(CoordinatePermutation(4)) == [1, 3]
    assert sizes(CoordinatePermutation(6, blocks=[[0, 1], [2, 3], [4, 5]])) == [2, 4]
    assert sizes(SphereRotation(3)) == [3]
    assert sizes(AxialRotation([0.0, 0.0, 1.0])) == [1, 2]
    assert sizes(Antipodal(3)) == [3]
    assert sizes(TorusAction(2)) == [2, 2]


def test_hidden_unit_symmetries_keep_the_function() -> None:
    """Against torch.nn: permutations for any activation, signs for tanh, rescaling for ReLU; two hidden layers."""
    widths = [3, 5, 4, 2]
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for activation, kind in ((torch.nn.GELU, "s"), (torch.nn.Tanh, "f"), (torch.nn.ReLU, "c")):
        parts: list[torch.nn.Module] = []
        for a, b in itertools.pairwise(widths):
            parts += [torch.nn.Linear(a, b), activation()]
        network = torch.nn.Sequential(*parts[:-1]).double()
        theta = torch.nn.utils.parameters_to_vector(network.parameters()).detach()
        before = network(x).detach()
        for number in (1, 2):
            layer = HiddenLayer.of_mlp(widths, number)
            assert layer.dim == len(theta)
            make = {"s": HiddenUnitPermutation, "f": HiddenUnitSignFlip, "c": HiddenUnitRescaling}[kind]
            action = make(layer)
            generator = torch.Generator().manual_seed(1)
            if kind == "c":
                g = action.group.exp(torch.randn(action.group.n, generator=generator, dtype=torch.float64))
            else:
                g = action.group.sample(1, generator=generator)[0]
            moved = action.act(g, theta)
            assert not torch.allclose(moved, theta)
            torch.nn.utils.vector_to_parameters(moved, network.parameters())
            assert torch.allclose(network(x), before, atol=1e-12)
            torch.nn.utils.vector_to_parameters(theta, network.parameters())


def test_number_of_distinct_images_of_a_network() -> None:
    """h! 2^h for a generic network with odd activations."""
    layer = HiddenLayer.of_mlp([2, 3, 1])
    theta = torch.randn(layer.dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    flips = HiddenUnitSignFlip(layer).orbit(theta)
    images = HiddenUnitPermutation(layer).orbit(flips).reshape(-1, layer.dim)
    assert len(torch.unique(images.mul(1e8).round(), dim=0)) == 6 * 8


@pytest.mark.parametrize(
    ("point", "size"), [([1, 0, 0], 6), ([1, 1, 0], 12), ([1, 1, 1], 8), ([1, 2, 3], 24), ([0, 0, 0], 1)]
)
def test_orbits_and_stabilisers_of_the_cube(point: list[int], size: int) -> None:
    """Faces, edges, corners, generic points: orbit times stabiliser is 24."""
    x = torch.tensor(point, dtype=torch.float64)
    orbit = NaturalAction(PolyhedralGroup("octahedral")).orbit(x)
    assert len(torch.unique(orbit.round(), dim=0)) == size
    assert int((orbit == x).all(-1).sum()) * size == 24


def test_hungarian_against_enumeration() -> None:
    x, y = torch.randn(2, 10, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    action = CoordinatePermutation(5)
    brute = (action.orbit(x) - y).norm(dim=-1).amin(0)
    assert torch.allclose(action.distance(x, y), brute)
    signed = SignedCoordinatePermutation(4)
    brute = (signed.orbit(x[:, :4]) - y[:, :4]).norm(dim=-1).amin(0)
    assert torch.allclose(signed.distance(x[:, :4], y[:, :4]), brute)
    x, y = torch.randn(2, 10, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    units = SignedUnitPermutation(7, [[0, 5], [1, 3], [6, 2]])
    brute = (units.orbit(x) - y).norm(dim=-1).amin(0)
    assert torch.allclose(units.distance(x, y), brute)
    assert float((units.distance(x, y) - (x - y).norm(dim=-1)).max()) < -1e-3  # without aligning: larger
    assert not torch.allclose(CoordinatePermutation(7, units.blocks).distance(x, y), brute)  # without signs: larger


def test_signed_units_and_the_neighbours() -> None:
    """Single coordinates: SignedCoordinatePermutation. Signs alone: BlockSigns. No signs: CoordinatePermutation."""
    x = torch.randn(6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    g = SignedUnitPermutation(6).group.sample(20, generator=torch.Generator().manual_seed(1))
    assert torch.equal(SignedUnitPermutation(6).act(g, x), SignedCoordinatePermutation(6).act(g, x))
    blocks = [[0, 4], [1, 2]]
    units = SignedUnitPermutation(6, blocks)
    assert torch.equal(units.act(torch.tensor([1, -2]), x), BlockSigns(6, blocks).act(torch.tensor([1.0, -1.0]), x))
    swapped = CoordinatePermutation(6, blocks).act(torch.tensor([1, 0]), x)
    assert torch.equal(units.act(torch.tensor([2, 1]), x), swapped)
    assert units.act(torch.tensor([-2, 1]), x).tolist() == [x[1], -x[0], -x[4], x[3], x[2], x[5]]
    assert [round(float(p.trace())) for p in units.isotypic_projections()] == [2, 4]


def test_averages_over_compact_groups() -> None:
    """E (Rx)_1^2 = |x|^2 / 3 and E (Rx)_1^4 = |x|^4 / 5, exact at degree 4 and not at degree 3."""
    action = SphereRotation(3)
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    square = x.square().sum(-1)
    assert torch.allclose(action.average(lambda z: z[..., 0] ** 2, x, bandlimit=2), square / 3)
    assert torch.allclose(action.average(lambda z: z[..., 0] ** 4, x, bandlimit=4), square**2 / 5)
    assert not torch.allclose(action.average(lambda z: z[..., 0] ** 4, x, bandlimit=2), square**2 / 5)
    once = action.average(lambda z: z[..., :2] ** 4, x, bandlimit=4)
    again = action.average(lambda z: action.average(lambda w: w[..., :2] ** 4, z, bandlimit=4), x, bandlimit=4)
    assert torch.allclose(once, again)
    with pytest.raises(ValueError, match="expected bandlimit="):
        action.average(lambda z: z[..., 0], x)
    with pytest.raises(ValueError, match="keeps batch dimensions"):
        action.average(lambda z: z.sum(), x, bandlimit=1)


def test_blocks_come_out_in_decreasing_order() -> None:
    blocks = [[0, 3], [4, 1], [2, 5], [6, 7]]
    x = torch.randint(0, 3, (40, 8), generator=torch.Generator().manual_seed(0)).double()
    found, g = CoordinatePermutation(8, blocks=blocks).canonicalize(x)
    for before, after in zip(x[:, blocks].tolist(), found[:, blocks].tolist(), strict=True):
        assert after == sorted(before, reverse=True)
    assert torch.equal(CoordinatePermutation(8, blocks=blocks).act(g, x), found)
