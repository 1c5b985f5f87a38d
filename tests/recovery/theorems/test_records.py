"""What symmetries pin, computed from the group; theorems, verdicts, premises."""

import dataclasses
import itertools

import pytest
import torch

from pyro_symvi.groups import AxisFlips, EllipticalRotation, PointReflection
from pyro_symvi.recovery import THEOREMS, Evidence, Premise, Verdict, weakest
from pyro_symvi.recovery.theorems import pinned_mean, pinned_shape
from tests.recovery.targets import vector

STATISTICS = {
    *("mean", "correlation", "covariance", "variances", "contrasts", "slope", "axis", "direction", "escort direction"),
    *("median", "location", "any", "scatter", "contrast", "concentration"),
}


def bound(kind, dim: int, coordinates=None):
    size = dim if coordinates is None else len(coordinates)
    return kind(coordinates=coordinates).bind(dim, center=torch.arange(float(size)), shape=2 * torch.eye(size))


@pytest.mark.parametrize("kind", [PointReflection, AxisFlips, EllipticalRotation])
@pytest.mark.parametrize("coordinates", [None, (0,), (1, 3), (0, 2, 3)])
def test_the_mean_of_moved_coordinates_is_pinned_and_no_other(kind, coordinates) -> None:
    moved = set(range(4)) if coordinates is None else set(coordinates)
    assert pinned_mean(bound(kind, 4, coordinates)).tolist() == [i in moved for i in range(4)]


def test_pinned_mean_agrees_with_the_fixed_subspace() -> None:
    action = bound(EllipticalRotation, 5, (1, 2, 4))
    fixed = action.fixed_subspace()
    for i in range(5):
        free = bool((fixed.abs()[i] > 1e-9).any())
        assert bool(pinned_mean(action)[i]) is not free


@pytest.mark.parametrize(
    ("kind", "size", "pinned"),
    [
        (PointReflection, 1, True),  # one number: its correlation is 1 anyway
        (PointReflection, 2, False),
        (AxisFlips, 2, False),
        (EllipticalRotation, 2, True),
        (EllipticalRotation, 3, True),
        (EllipticalRotation, 9, True),
    ],
)
def test_what_pins_a_shape(kind, size: int, pinned: bool) -> None:
    action = bound(kind, size)
    assert pinned_shape(action) is pinned
    if size <= 4:
        assert (len(action.symmetric_square_fixed_subspace()) == 1) is pinned


def test_an_unbound_action_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a bound action"):
        pinned_mean(PointReflection())


def test_theorems_are_frozen_records() -> None:
    assert len({theorem.name for theorem in THEOREMS}) == len(THEOREMS)
    for theorem in THEOREMS:
        assert theorem.statistic in STATISTICS
        assert all((theorem.premises, theorem.statement, theorem.proof, theorem.reference))
        with pytest.raises(dataclasses.FrozenInstanceError):
            theorem.name = "other"  # type: ignore[misc]


def test_verdicts_are_ordered_by_what_they_promise() -> None:
    names = ["PROVED", "VERIFIED", "BOUNDED", "CONDITIONAL", "UNKNOWN", "REFUTED"]
    for stronger, weaker in itertools.combinations(names, 2):
        assert Verdict[stronger] > Verdict[weaker]
        assert not Verdict[stronger] <= Verdict[weaker]
    assert [v.is_exact for v in sorted(Verdict, reverse=True)] == [True, True, False, False, False, False]
    with pytest.raises(TypeError):
        _ = Verdict.PROVED > 3  # type: ignore[operator]


def test_a_theorem_is_as_strong_as_its_weakest_premise() -> None:
    by_evidence = {
        Evidence.PROVED: Verdict.PROVED,
        Evidence.VERIFIED: Verdict.VERIFIED,
        Evidence.ASSUMED: Verdict.CONDITIONAL,
        Evidence.UNKNOWN: Verdict.UNKNOWN,
        Evidence.REFUTED: Verdict.REFUTED,
    }
    for a, b in itertools.product(by_evidence, repeat=2):
        premises = (Premise("a", a, "one"), Premise("b", b, "two"))
        assert weakest(premises) is min(by_evidence[a], by_evidence[b])
    assert weakest(()) is Verdict.UNKNOWN
    assert str(Premise("moments", Evidence.ASSUMED, "second moments")) == "moments: assumed (second moments)"


def test_shapes_do_not_change_what_is_pinned() -> None:
    shape = torch.tensor([[4.0, 1.9], [1.9, 1.0]], dtype=torch.float64)
    action = EllipticalRotation().bind(2, center=vector(3.0, -1.0), shape=shape)
    assert pinned_mean(action).all()
    assert pinned_shape(action)
    (basis,) = action.symmetric_square_fixed_subspace()
    torch.testing.assert_close(basis / basis[1, 1], shape)
