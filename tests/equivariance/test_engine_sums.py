"""Columns, parts, memory and actions: what makes sums fast must not change them, and what is no action is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.equivariance import equivariance_error, spectrum
from pyro_symvi.equivariance._columns import Columns
from pyro_symvi.equivariance._inputs import Inputs, Shared
from pyro_symvi.equivariance._moments import FourierSums
from pyro_symvi.equivariance._sweep import Sweep
from pyro_symvi.groups import (
    CoordinatePermutation,
    Group,
    LinearAction,
    NaturalAction,
    Orthogonal,
    SpecialOrthogonal,
    Symmetric,
)

SO3, O3 = SpecialOrthogonal(3), Orthogonal(3)


def draws(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("group", [SO3, O3, SpecialOrthogonal(2), Orthogonal(2), Symmetric(3)], ids=repr)
def test_columns_are_the_entries_of_the_irreps(group: Group) -> None:
    irreps = group.irreps(None if group.is_finite else 4)
    g = group.sample(9, generator=torch.Generator().manual_seed(0))
    wanted = torch.cat([irrep.matrix(g).double().flatten(1) for irrep in irreps], 1)
    columns = Columns(irreps)
    torch.testing.assert_close(columns.full(g), wanted, rtol=0, atol=1e-14)
    assert columns.folded == (group == O3)
    u, w = draws(9, 2, 3), torch.rand(9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    fast, plain = FourierSums(irreps, columns), FourierSums(irreps)
    for part in (slice(0, 4), slice(4, 9)):
        fast.add_at(g[part], w[part], u[part], part.start)
        plain.add_block(wanted[part], w[part], u[part])
    sums = torch.einsum("k,ks,kbc->sbc", w, wanted, u - u[0]).flatten(1)
    torch.testing.assert_close(fast.coefficients, sums, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(plain.coefficients, sums, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(fast.energies(), plain.energies(), rtol=1e-12, atol=1e-13)


def test_kept_columns_are_those_of_the_elements_that_come() -> None:
    columns = Columns(SO3.irreps(2))
    a, b = (SO3.sample(3, generator=torch.Generator().manual_seed(i)) for i in (0, 1))
    first = columns.at(a, 0)
    assert columns.at(a.clone(), 0) is first and columns.at(b, 0).elements is b


@pytest.mark.parametrize("group", [SO3, O3], ids=repr)
@pytest.mark.parametrize("block", [1000, 14, 21, 9], ids=lambda k: f"blocks of {k}")
def test_sums_along_runs_are_sums_over_elements(group: Group, block: int) -> None:
    """A rule of degree 6 has runs of 7; blocks of 9 cut through them; uneven weights in a run are no obstacle."""
    rule, irreps = group.quadrature(6), group.irreps(3)
    u = draws(len(rule.weights), 2, 3)
    uneven = torch.rand(len(u), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    entries = torch.cat([irrep.matrix(rule.elements).flatten(1) for irrep in irreps], 1)
    columns = Columns(irreps)
    assert columns.run_length(rule.elements) == 7
    assert (columns.at(rule.elements[:block]).runs is not None) == (block != 9)
    for w in (rule.weights, uneven):
        sums = FourierSums(irreps, columns)
        for part in range(0, len(u), block):
            cut = slice(part, part + block)
            sums.add_at(rule.elements[cut], w[cut], u[cut])
        wanted = torch.einsum("k,ks,kbc->sbc", w, entries, u - u[0]).flatten(1)
        torch.testing.assert_close(sums.coefficients, wanted, rtol=1e-12, atol=1e-12 * float(w.sum()))


class Counting(nn.Module):
    """A band of 2 exactly; keeps the sizes of what it is called with."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 6, bias=False).double()
        self.rows: list[int] = []
        self.eval()

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        self.rows.append(len(x))
        return self.linear(x).square().sum(1) * scale


def test_parts_of_the_samples_give_what_all_of_them_give_in_passes_of_one_size() -> None:
    """Rows of the largest pass for 150 and 2366 elements of O(3), 3 samples and 7: at most ``batch``, whole runs."""
    net, x, scale = Counting(), draws(7, 2, 3), draws(6, seed=1)
    rho: Any = (NaturalAction(O3), None)
    found = spectrum(net, (x, Shared(scale)), O3, 2, rho_in=rho, batch=64)
    for degree, samples in ((12, 7), (4, 3)):
        net.rows.clear()
        other = spectrum(net, (x[:samples], Shared(scale)), O3, 2, rho_in=rho, degree=degree, batch=64)
        assert 48 < max(net.rows) <= 64
        for name in found:
            torch.testing.assert_close(found[name].energies[:, :samples], other[name].energies, rtol=1e-11, atol=1e-12)
    whole = FourierSums(O3.irreps(2))
    for elements, weights, responses in Sweep(net, Inputs.of((x, Shared(scale)), O3, rho), O3.quadrature(4)).blocks():
        whole.add_at(elements, weights, responses["output"])
    torch.testing.assert_close(found.output.energies, whole.energies(), rtol=1e-11, atol=1e-12)


@dataclass(frozen=True, eq=False, repr=False)
class Transposed(LinearAction):
    """x -> g^T x, a right action: rho(g) rho(h) = rho(h g)."""

    acting: Group
    power: float = 1.0

    @property
    def group(self) -> Group:
        return self.acting

    @property
    def dim(self) -> int:
        return self.acting.element_shape[0]

    def _matrix(self, g: Tensor) -> Tensor:
        return self.power * g.mT


def test_what_is_no_action_is_refused_on_the_samples() -> None:
    x = draws(2, 4, 3)
    equivariance_error(lambda x: x.sum(1), x, SO3, NaturalAction(SO3), NaturalAction(SO3), degree=2)
    with pytest.raises(ValueError, match=r"rho\(g\) rho\(h\) x = rho\(g h\) x, got Transposed.*left action"):
        equivariance_error(lambda x: x.sum(1), x, SO3, Transposed(SO3), degree=2)
    with pytest.raises(ValueError, match=r"rho\(e\) x = x"):
        equivariance_error(lambda x: x.sum(1), x, SO3, Transposed(SO3, 2.0), degree=2)
    with pytest.raises(ValueError, match="expected an action of"):
        equivariance_error(lambda x: x.sum(1), x, SO3, NaturalAction(O3), degree=2)


def test_integers_are_moved_by_what_maps_integers_to_integers() -> None:
    x = torch.randint(-9, 9, (4, 3), generator=torch.Generator().manual_seed(0))
    s3 = CoordinatePermutation(3).group
    assert equivariance_error(lambda x: x.double().square().sum(-1), x, s3, CoordinatePermutation(3)).A == 0
    with pytest.raises(TypeError, match="does not map integers to integers"):
        equivariance_error(lambda x: x.double().sum(-1), x, SO3, NaturalAction(SO3), degree=2)
