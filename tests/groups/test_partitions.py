"""Representations of permutations by partitions: hook lengths, orthogonality, printed tables, the sign."""

import math

import pytest
import torch

from pyro_symvi.groups import CoordinatePermutation, IrrepAction, Symmetric
from pyro_symvi.groups._partitions import cycle_type, partitions, symmetric_character


def by_hooks(shape: tuple[int, ...]) -> int:
    """The hook formula n! / prod of hook lengths."""
    columns = [sum(part > j for part in shape) for j in range(shape[0])]
    hooks = [part - j + columns[j] - i - 1 for i, part in enumerate(shape) for j in range(part)]
    return math.factorial(sum(shape)) // math.prod(hooks)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 10])
def test_characters(n: int) -> None:
    """Dimensions by the hook formula; rows orthonormal under the sizes of the classes; their number from Euler."""
    shapes = partitions(n)
    assert len(shapes) == {1: 1, 2: 2, 3: 3, 5: 7, 8: 22, 10: 42}[n] and shapes[0] == (n,)
    table = torch.tensor([[symmetric_character(s, c) for c in shapes] for s in shapes], dtype=torch.float64)
    assert table[:, -1].tolist() == [by_hooks(s) for s in shapes]
    centralisers = [math.prod(k ** c.count(k) * math.factorial(c.count(k)) for k in set(c)) for c in shapes]
    gram = (table / torch.tensor(centralisers).double()) @ table.T
    assert torch.allclose(gram, torch.eye(len(shapes)).double(), atol=1e-12)


def test_printed_table_of_four() -> None:
    """Classes 1, (12), (12)(34), (123), (1234)."""
    classes = [(1, 1, 1, 1), (2, 1, 1), (2, 2), (3, 1), (4,)]
    rows = {
        (4,): [1, 1, 1, 1, 1],
        (3, 1): [3, 1, -1, 0, -1],
        (2, 2): [2, 0, 2, -1, 0],
        (2, 1, 1): [3, -1, -1, 0, 1],
        (1, 1, 1, 1): [1, -1, 1, 1, -1],
    }
    assert partitions(4) == list(rows)
    for shape, row in rows.items():
        assert [symmetric_character(shape, cycles) for cycles in classes] == row


@pytest.mark.parametrize("n", [1, 2, 4, 5])
def test_labels(n: int) -> None:
    group = Symmetric(n)
    g = group.elements()
    named = {irrep.label: irrep for irrep in group.irreps()}
    irreps = {shape: named["[" + ",".join(map(str, shape)) + "]"] for shape in partitions(n)}
    assert len(named) == len(irreps) and next(iter(named)) == f"[{n}]"
    types = [cycle_type(row) for row in g]
    sign = torch.tensor([(-1.0) ** (n - len(t)) for t in types], dtype=torch.float64)
    assert torch.allclose(irreps[(1,) * n].character(g), sign)
    for label, irrep in irreps.items():
        assert irrep.dimension == by_hooks(label)
        wanted = torch.tensor([symmetric_character(label, t) for t in types]).double()
        assert torch.allclose(irrep.character(g), wanted, atol=1e-10)


def test_contrasts() -> None:
    """The permutation of four numbers is [4] + [3,1], and not [2,1,1], which has the same dimension."""
    group = Symmetric(4)
    g = group.elements()
    trace = CoordinatePermutation(4).matrix(g).diagonal(dim1=-2, dim2=-1).sum(-1)
    assert torch.allclose(1 + IrrepAction(group, "[3,1]").irrep.character(g), trace)
    assert not torch.allclose(1 + IrrepAction(group, "[2,1,1]").irrep.character(g), trace)
    with pytest.raises(ValueError, match=r"expected the label .* got '3a'; try one of '\[4\]'"):
        IrrepAction(group, "3a")
