"""Overlaps of weights that are not finite, or whose squares are not."""

import itertools
import math

import pytest
import torch

from pyro_symvi.groups import SignedPermutations, Symmetric
from pyro_symvi.multiindex import order_parameters, overlap_matrix


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_entries_that_are_not_finite_are_refused(bad: float) -> None:
    reference = torch.eye(2, 3, dtype=torch.float64)
    draws = reference.clone()
    draws[0, 1] = bad
    with pytest.raises(ValueError, match="expected finite draws, got 1"):
        order_parameters(draws, reference, Symmetric(2))
    with pytest.raises(ValueError, match="expected finite reference, got 1"):
        order_parameters(reference, draws, SignedPermutations(2))


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_cosines_do_not_depend_on_the_size(size: float) -> None:
    a = torch.tensor([[3.0, 4.0], [0.0, 0.0]], dtype=torch.float64)
    b = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    assert overlap_matrix(size * a, b).flatten().tolist() == pytest.approx([0.6, 0.0], abs=1e-15)


def test_units_of_unequal_length_are_matched_as_by_trying_all() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        a = torch.randn(3, 5, generator=generator, dtype=torch.float64) * torch.tensor([[1.0], [30.0], [0.02]])
        r = torch.randn(3, 5, generator=generator, dtype=torch.float64)
        q = (a / a.norm(dim=1, keepdim=True)) @ (r / r.norm(dim=1, keepdim=True)).T
        best = max(sum(abs(float(q[order[k], k])) for k in range(3)) for order in itertools.permutations(range(3)))
        found = order_parameters(a, r, SignedPermutations(3))
        assert 3 * found.diagonal == pytest.approx(best, abs=1e-12)
        assert found.invariant4 == pytest.approx(float((q**4).sum()) / 3, rel=1e-12)
