"""Alignment against all elements of the group; overlaps that do not depend on labels; the average that does."""

import itertools
import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide.initialization import init_to_value
from torch import Tensor

from pyro_symvi.groups import (
    CoordinatePermutation,
    Cyclic,
    Orthogonal,
    SignedPermutations,
    SignedUnitPermutation,
    Symmetric,
)
from pyro_symvi.guides import AutoLocationScale, OrbitMixture
from pyro_symvi.multiindex import align_units, order_parameters, overlap_matrix, symmetry_of, unit_action

F64 = torch.float64


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def relabelled(weights: Tensor, signed: bool, count: int, seed: int = 5) -> Tensor:
    """The weights under random permutations (and signs) written out by hand, ``[count, p, d]``."""
    source = torch.Generator().manual_seed(seed)
    moved = []
    for _ in range(count):
        order = torch.randperm(len(weights), generator=source)
        sign = 1.0 - 2.0 * torch.randint(2, (len(weights), 1), generator=source) if signed else torch.ones(1, 1)
        moved.append(sign * weights[order])
    return torch.stack(moved)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("units", [2, 3, 4])
@pytest.mark.parametrize("normalise", [False, True])
def test_hungarian_against_all_elements(units, signed, normalise):
    draws, reference = normal(6, units, 5, seed=units), normal(units, 5, seed=9)
    group = SignedPermutations(units) if signed else Symmetric(units)
    aligned = align_units(draws, reference, group, normalise=normalise)
    found = overlap_matrix(aligned, reference, normalise=normalise).diagonal(dim1=-2, dim2=-1).sum(-1)
    best = torch.full((6,), -math.inf, dtype=F64)
    for order in itertools.permutations(range(units)):
        for signs in itertools.product([1.0, -1.0] if signed else [1.0], repeat=units):
            moved = torch.tensor(signs, dtype=F64)[:, None] * draws[:, list(order)]
            q = overlap_matrix(moved, reference, normalise=normalise)
            best = torch.maximum(best, q.diagonal(dim1=-2, dim2=-1).sum(-1))
    assert torch.allclose(found, best)
    rows = aligned.norm(dim=-1).sort(-1).values
    assert torch.allclose(rows, draws.norm(dim=-1).sort(-1).values)  # the draws themselves, moved


@pytest.mark.parametrize("signed", [False, True])
def test_order_parameters_do_not_depend_on_labels(signed):
    teacher, group = normal(4, 6), SignedPermutations(4) if signed else Symmetric(4)
    draws = teacher + 0.3 * normal(20, 4, 6, seed=1)
    found = order_parameters(draws, teacher, group)
    mixed = torch.stack([relabelled(w, signed, 1, seed=k)[0] for k, w in enumerate(draws)])
    again = order_parameters(mixed, teacher, group)
    for name in ("diagonal", "off_diagonal", "invariant4", "specialisation"):
        assert getattr(again, name) == pytest.approx(getattr(found, name), abs=1e-12)
    assert torch.allclose(again.aligned, found.aligned) and torch.allclose(again.overlaps, found.overlaps)
    assert float(found.diagonals.mean()) == pytest.approx(found.diagonal) and found.diagonals.shape == (20,)
    if signed:  # the smaller group does not undo signs
        assert order_parameters(mixed, teacher, Symmetric(4)).diagonal < found.diagonal - 0.1


@pytest.mark.parametrize("signed", [False, True])
def test_raw_averages_give_the_wrong_answer(signed):
    """Draws that know the teacher exactly, up to labels: aligned 1, averaged raw like unspecialised units."""
    teacher, group = torch.eye(4, 10, dtype=F64), SignedPermutations(4) if signed else Symmetric(4)
    draws = relabelled(teacher, signed, 400)
    right = order_parameters(draws, teacher, group, normalise=False)
    assert (right.diagonal, right.off_diagonal, right.invariant4) == pytest.approx((1.0, 0.0, 1.0))
    assert torch.allclose(right.aligned.mean(0), teacher)
    wrong = order_parameters(draws.mean(0), teacher, group, normalise=False)
    # entries of the raw mean: 1/4 (0 with signs), standard error sqrt(1/4 / 400) = 0.025; five of these
    assert wrong.diagonal == pytest.approx(0.0 if signed else 0.25, abs=0.125) and wrong.invariant4 < 0.1
    assert abs(wrong.specialisation) < 0.15 < 0.99 < right.specialisation


def test_tied_units_are_unspecialised():
    teacher = torch.eye(4, 10, dtype=F64)
    tied = teacher.sum(0).expand(7, 4, 10) / 2  # each unit at the normalised mean: overlap 1/2 with all
    found = order_parameters(tied, teacher, Symmetric(4))
    assert found.specialisation == pytest.approx(0.0, abs=1e-12) and found.diagonal == pytest.approx(0.5)
    assert found.invariant4 == pytest.approx(4 * 0.5**4)


def test_overlaps_and_their_chance_level():
    a, b = torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    assert torch.allclose(overlap_matrix(a, b), torch.tensor([[0.6, 0.8], [0.0, 0.0]]))
    assert torch.equal(overlap_matrix(a, b, normalise=False), torch.tensor([[3.0, 8.0], [0.0, 0.0]]))
    draws, teacher = normal(300, 3, 50), normal(3, 50, seed=1)  # unrelated
    found = order_parameters(draws, teacher, SignedPermutations(3))
    assert found.invariant4 == pytest.approx(3 * 3 / 50**2, rel=0.25)  # E Q^4 = 3 / (d (d + 2))
    assert found.diagonal > math.sqrt(2 / (math.pi * 50))  # the best of 48 labellings is above zero by chance


@pytest.mark.parametrize(
    ("activation", "group"),
    [
        ("relu", Symmetric(3)),
        ("gelu", Symmetric(3)),
        ("tanh", Symmetric(3)),
        ("he3", Symmetric(3)),
        ("abs", SignedPermutations(3)),
        ("b4", SignedPermutations(3)),
        ("he4", SignedPermutations(3)),
    ],
)
def test_symmetry_by_parity(activation, group):
    assert symmetry_of(activation, 3) == group


def test_the_symmetry_keeps_the_sum_and_more_does_not():
    x, w = normal(20, 5), normal(3, 5, seed=1)
    for sigma, group in ((torch.abs, SignedPermutations(3)), (torch.tanh, Symmetric(3))):
        action = unit_action(symmetry_of(sigma, 3), 3, 5)
        assert action.group == group

        def committee(flat: Tensor, sigma=sigma) -> Tensor:
            return sigma(x @ flat.reshape(3, 5).mT).sum(-1)

        images = action.orbit(w.flatten())
        assert len(images) == group.order
        assert all(torch.allclose(committee(image), committee(w.flatten())) for image in images)
    flipped = unit_action(SignedPermutations(3), 3, 5).act(torch.tensor([-1, 2, 3]), w.flatten())
    assert not torch.allclose(torch.tanh(x @ flipped.reshape(3, 5).mT).sum(-1), torch.tanh(x @ w.mT).sum(-1))
    assert isinstance(unit_action(SignedPermutations(3), 3, 5), SignedUnitPermutation)
    assert isinstance(unit_action(Cyclic(3), 3, 5), CoordinatePermutation)


def test_orbit_mixtures_over_signed_units():
    """All 2^2 2! copies of a guide: the law is invariant, its mean zero, and its draws align on the base's mean."""

    def model() -> None:
        pyro.sample("w", dist.Normal(torch.zeros(2, 3, dtype=F64), 1.0).to_event(2))

    pyro.clear_param_store()
    mean = normal(2, 3)
    start = init_to_value(values={"w": mean})
    action = unit_action(SignedPermutations(2), 2, 3)
    guide = OrbitMixture(AutoLocationScale(model, scale="diagonal", init_loc_fn=start, init_scale=0.01), action)
    guide()
    z = mean.flatten() + 0.01 * normal(6, seed=1)
    images = action.orbit(z)
    other = unit_action(Symmetric(3), 3, 2).act(torch.tensor([1, 0, 2]), z)  # not in the group
    with torch.no_grad():
        here, there, elsewhere = (guide.get_posterior().log_prob(x) for x in (z, images, other))
    assert len(images) == 8 and torch.allclose(there, here) and float(elsewhere) < float(here) - 100
    draws = guide.sample(50, generator=torch.Generator().manual_seed(2))["w"]
    assert float((align_units(draws, mean, SignedPermutations(2)) - mean).abs().max()) < 0.06
    assert float((draws - mean).abs().max()) > 0.5
    pyro.clear_param_store()


W = torch.ones(3, 2)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: overlap_matrix(W, torch.ones(3, 4)), ValueError, r"got \[3, 2\] and \[3, 4\]"),
        (lambda: align_units(torch.ones(5, 2, 2), W, Symmetric(3)), ValueError, r"\[5, 2, 2\] and \[3, 2\]"),
        (lambda: order_parameters(W, W[None], Symmetric(3)), ValueError, "a reference"),
        (lambda: order_parameters(torch.ones(0, 3, 2), W, Symmetric(3)), ValueError, "expected draws"),
        (lambda: order_parameters(W, W, Symmetric(4)), ValueError, "expected a group on 3 units"),
        (lambda: order_parameters(W, W, Orthogonal(3)), TypeError, "try symmetry_of"),
        (lambda: symmetry_of("relu", 0), ValueError, "units >= 1"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_overlaps_have_the_units_of_draws_first():
    teacher = torch.eye(2, 3, dtype=torch.float64)
    draw = torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
    found = order_parameters(draw, teacher, Symmetric(2), normalise=False)
    torch.testing.assert_close(found.overlaps, torch.tensor([[1.0, 0.5], [0.0, 1.0]], dtype=torch.float64))


def test_one_canonical_form_for_all_images_of_signed_units():
    action = SignedUnitPermutation(6, [(0, 1), (2, 3), (4, 5)])
    x = torch.tensor([[0.3, -1.0, -2.0, 0.1, 0.9, 0.4], [0.0, -1.0, 0.0, 2.0, -0.5, 0.4]], dtype=torch.float64)
    wanted = torch.tensor([[2.0, -0.1, 0.9, 0.4, 0.3, -1.0], [0.5, -0.4, 0.0, 2.0, 0.0, 1.0]], dtype=torch.float64)
    images = action.act(action.group.elements()[:, None], x)
    torch.testing.assert_close(action.canonicalize(images)[0], wanted.expand(48, 2, 6))
