"""Base samples: closed under the symmetry, with the right moments and the base's law."""

import numpy as np
import pytest
import torch
from scipy import stats

from pyro_symvi.families import Fixed, LocationScale, LowRank, Tied
from pyro_symvi.groups import (
    AxisFlips,
    ConditionalReflection,
    CoordinatePermutation,
    Cyclic,
    EllipticalRotation,
    FiniteMatrixGroup,
    NaturalAction,
    PointReflection,
    PolyhedralGroup,
    SignedCoordinatePermutation,
    SpecialOrthogonal,
    SphereRotation,
    TorusAction,
    Unitary,
    UnitaryAction,
)
from pyro_symvi.infer.fitting.noise import labelled_noise, orbit_closed_noise
from pyro_symvi.infer.fitting.noise_symmetry import noise_symmetry

FAMILIES = [
    LocationScale(4),
    LocationScale(4, scale="diagonal"),
    LocationScale(4, base="student_t", df=5.0),
    LocationScale(4, base="student_t", scale="diagonal", df=5.0),
    LocationScale(4, base="laplace"),
    LocationScale(4, base="logistic", scale="isotropic"),
]


def noise(family: LocationScale, count: int, reflect: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    return orbit_closed_noise(family, count, reflect=reflect, generator=torch.Generator().manual_seed(seed))


def as_set(rows: torch.Tensor) -> set[tuple[float, ...]]:
    return {tuple(row) for row in (rows + 0.0).round(decimals=9).add(0.0).tolist()}


@pytest.mark.parametrize("family", FAMILIES, ids=repr)
@pytest.mark.parametrize("reflect", [(), (0, 1, 2, 3), (1, 3), (2,)])
def test_closed_under_the_reflection(family: LocationScale, reflect: tuple[int, ...]) -> None:
    xi = noise(family, 64, reflect)
    signs = torch.ones(4, dtype=torch.float64)
    signs[list(reflect) if reflect else slice(None)] = -1
    assert as_set(xi) == as_set(xi * signs)
    assert len(xi) >= 64


def test_not_closed_under_another_reflection() -> None:
    xi = noise(LocationScale(4, base="laplace"), 64, (1, 3))
    assert as_set(xi) != as_set(xi * torch.tensor([1.0, -1.0, 1.0, 1.0], dtype=torch.float64))


@pytest.mark.parametrize("reflect", [(), (0, 2, 3)])
@pytest.mark.parametrize("family", [LocationScale(4), LocationScale(4, base="student_t", df=5.0)], ids=repr)
def test_spherical_noise_is_a_two_design_in_the_block(family: LocationScale, reflect: tuple[int, ...]) -> None:
    block = list(reflect) if reflect else [0, 1, 2, 3]
    xi = noise(family, 48, reflect)[:, block]
    second = xi.mT @ xi / len(xi)
    level = second.diagonal().mean()
    torch.testing.assert_close(second, level * torch.eye(len(block), dtype=torch.float64), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("reflect", [(), (0, 2)])
def test_normal_noise_has_unit_second_moments(reflect: tuple[int, ...]) -> None:
    xi = noise(LocationScale(4), 48, reflect)
    torch.testing.assert_close(xi.square().mean(0), torch.ones(4, dtype=torch.float64), rtol=1e-12, atol=0)


@pytest.mark.parametrize("family", FAMILIES, ids=repr)
def test_marginals_are_those_of_the_base(family: LocationScale) -> None:
    """The KS distance of 4096 draws stays under 1.63 / sqrt(4096) = 0.025, the 1 % point for random draws."""
    xi = noise(family, 4096, ())
    law = {
        "normal": stats.norm,
        "student_t": stats.t(family.df or 1.0),
        "laplace": stats.laplace,
        "logistic": stats.logistic,
    }
    for column in xi.mT.numpy():
        assert stats.kstest(np.asarray(column), law[family.base].cdf).statistic < 0.025


def test_wrong_base_would_be_seen() -> None:
    xi = noise(LocationScale(4, base="laplace"), 4096, ())
    assert stats.kstest(xi[:, 0].numpy(), stats.norm.cdf).statistic > 0.04


@pytest.mark.parametrize("reflect", [(), (2,), (0, 1, 3, 4, 5)])
@pytest.mark.parametrize("base", ["normal", "laplace"])
def test_full_scale_gets_spanning_pairs_and_says_so(base: str, reflect: tuple[int, ...]) -> None:
    with pytest.warns(UserWarning, match="num_particles raised from 1 to at least 12.*full scale in 6 dimensions"):
        xi = noise(LocationScale(6, base=base), 1, reflect)
    assert torch.linalg.matrix_rank(xi) == 6


@pytest.mark.parametrize("base", ["normal", "laplace"])
def test_exactly_d_pairs_can_be_asked_for(base: str) -> None:
    xi = noise(LocationScale(6, base=base), 12, ())
    assert len(xi) == 12 and torch.linalg.matrix_rank(xi) == 6


@pytest.mark.parametrize("base", ["normal", "student_t", "laplace"])
def test_one_pair_is_enough_for_a_diagonal_scale(base: str) -> None:
    family = LocationScale(6, base=base, scale="diagonal", df=5.0 if base == "student_t" else None)
    xi = noise(family, 2, ())
    assert len(xi) == 2 and torch.equal(xi[0], -xi[1]) and bool((xi != 0).all())


CYCLE = CoordinatePermutation(4, permutations=Cyclic(4))
SIXTH = torch.tensor([[0.5, -(0.75**0.5)], [0.75**0.5, 0.5]], dtype=torch.float64)
GROUPS = {
    "cycle": (CYCLE, LocationScale(4, base="laplace", scale="diagonal")),
    "all permutations": (CoordinatePermutation(4), LocationScale(4, scale="diagonal")),
    "signed": (SignedCoordinatePermutation(4), LocationScale(4, scale="isotropic")),
    "tied": (CYCLE, LocationScale(4, scale=Tied(CYCLE))),
    "symmetric root": (CYCLE, LocationScale(4, base="laplace", scale=Tied(PointReflection()))),
    "low rank": (CYCLE, LocationScale(4, scale=LowRank(1))),
    "axes": (AxisFlips([0, 2]), LocationScale(4, base="logistic")),
    "flip of a 2 x 2 image": (CoordinatePermutation(4, [[0, 2], [1, 3]]), LocationScale(4, scale="diagonal")),
    "rotations": (NaturalAction(PolyhedralGroup("tetrahedral")), LocationScale(3, scale="isotropic")),
    "turns": (NaturalAction(FiniteMatrixGroup.generated_by([SIXTH])), LocationScale(2, scale=Tied(PointReflection()))),
    "circle": (NaturalAction(SpecialOrthogonal(2)), LocationScale(2, scale="isotropic")),
    "torus": (TorusAction(2), LocationScale(4, scale="isotropic")),
}


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("found", [False, True])
def test_whole_orbits_of_a_group(name: str, found: bool) -> None:
    action, family = GROUPS[name]
    every = tuple(range(family.dim))
    closed = noise_symmetry(family, action, every if found else ())
    xi, labels = labelled_noise(
        family, 40, reflect=closed.reflect, matrices=closed.matrices, generator=torch.Generator().manual_seed(0)
    )
    group = action if action.dim is not None else action.bind(family.dim, center=0.0)
    generators = group.generator_matrices() if group.group.is_finite else closed.matrices
    for matrix in [*([] if generators is None else generators), *([-torch.eye(family.dim).double()] if found else [])]:
        assert torch.cdist(xi @ matrix.mT, xi).min(-1).values.max() < 1e-6
    assert len(xi) >= 40 and int(torch.bincount(labels).min()) == int(torch.bincount(labels).max())
    if family.base == "normal":
        assert abs(float(xi.square().mean()) - 1) < 1e-9


def test_noise_closed_under_a_cycle_is_not_closed_under_a_swap() -> None:
    action, family = GROUPS["cycle"]
    closed = noise_symmetry(family, action, ())
    xi = orbit_closed_noise(
        family, 40, reflect=(), matrices=closed.matrices, generator=torch.Generator().manual_seed(0)
    )
    assert as_set(xi) == as_set(xi.roll(1, -1))
    assert as_set(xi) != as_set(xi[:, [1, 0, 2, 3]])


DIAGONAL = LocationScale(4, scale="diagonal")
REFUSED = [
    (LocationScale(4), CYCLE, "expected a scale that commutes with .*Cyclic.*, got one that depends on the order"),
    (LocationScale(4, scale=Tied(CoordinatePermutation(4, [[0], [1]]))), CYCLE, "a scale that commutes"),
    (LocationScale(4, scale=Fixed([1.0, 1.0, 2.0, 1.0])), CYCLE, "expected a scale that commutes"),
    (LocationScale(3, base="laplace"), EllipticalRotation(), "expected a base law that is invariant"),
    (LocationScale(3, "laplace", "isotropic"), NaturalAction(PolyhedralGroup("octahedral")), None),
    (LocationScale(3, "laplace", "isotropic"), NaturalAction(PolyhedralGroup("icosahedral")), "a base law that is"),
    (LocationScale(3, "laplace", "isotropic"), NaturalAction(SpecialOrthogonal(3)), "a base law that is invariant"),
    (LocationScale(8, scale="diagonal"), CoordinatePermutation(8), "at most 1024 elements, got 40320"),
    (DIAGONAL, CoordinatePermutation(5), "expected an action on the 4 unconstrained coordinates"),
    (DIAGONAL, SphereRotation(4), None),
    (DIAGONAL, ConditionalReflection([0]), "expected a Cholesky scale .* come before"),
    (LocationScale(4), ConditionalReflection([0, 1]), r"\[2, 3\] come before \[0, 1\]"),
    (LocationScale(4), ConditionalReflection([2, 3]), None),
    (DIAGONAL, UnitaryAction(Unitary(2)), "expected a symmetry on R.4 with a finite group, a torus"),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_refusals(number: int) -> None:
    family, symmetry, message = REFUSED[number]
    if message is None:
        assert noise_symmetry(family, symmetry, ()) is not None
        return
    with pytest.raises(ValueError, match=message + ".*because.*; try "):
        noise_symmetry(family, symmetry, ())


def test_repeats_with_the_seed_and_leaves_global_state_alone() -> None:
    state = torch.get_rng_state()
    numpy_state = np.random.get_state()[1].copy()  # type: ignore[index]
    a, b, c = (noise(LocationScale(3), 32, (), seed) for seed in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert torch.equal(state, torch.get_rng_state())
    assert np.array_equal(numpy_state, np.random.get_state()[1])  # type: ignore[index]
