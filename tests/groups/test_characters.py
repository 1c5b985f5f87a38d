"""Character tables and real representations of finite groups against the textbook."""

import math

import pytest
import torch

from pyro_symvi.groups import (
    Cyclic,
    Dihedral,
    FiniteMatrixGroup,
    Group,
    PolyhedralGroup,
    SignedPermutations,
    SignFlips,
    Symmetric,
    Trivial,
)

I4 = torch.tensor([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0]], dtype=torch.float64)
J4 = torch.tensor([[0, 0, -1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, -1, 0, 0]], dtype=torch.float64)
QUATERNIONS = FiniteMatrixGroup.generated_by([I4, J4])

#: complex dimensions; real representations as (dimension, kind)
KNOWN: list[tuple[Group, list[int], list[tuple[int, str]]]] = [
    (Trivial(), [1], [(1, "real")]),
    (Cyclic(3), [1, 1, 1], [(1, "real"), (2, "complex")]),
    (Cyclic(4), [1] * 4, [(1, "real"), (1, "real"), (2, "complex")]),
    (Dihedral(4), [1, 1, 1, 1, 2], [(1, "real")] * 4 + [(2, "real")]),
    (Dihedral(5), [1, 1, 2, 2], [(1, "real")] * 2 + [(2, "real")] * 2),
    (SignFlips(3), [1] * 8, [(1, "real")] * 8),
    (QUATERNIONS, [1, 1, 1, 1, 2], [(1, "real")] * 4 + [(4, "quaternionic")]),
    (Symmetric(4), [1, 1, 2, 3, 3], [(1, "real")] * 2 + [(2, "real")] + [(3, "real")] * 2),
    (Symmetric(5), [1, 1, 4, 4, 5, 5, 6], [(d, "real") for d in (1, 1, 4, 4, 5, 5, 6)]),
    (PolyhedralGroup("tetrahedral"), [1, 1, 1, 3], [(1, "real"), (2, "complex"), (3, "real")]),
    (PolyhedralGroup("octahedral"), [1, 1, 2, 3, 3], [(d, "real") for d in (1, 1, 2, 3, 3)]),
    (PolyhedralGroup("icosahedral"), [1, 3, 3, 4, 5], [(d, "real") for d in (1, 3, 3, 4, 5)]),
    (SignedPermutations(3), [1] * 4 + [2] * 2 + [3] * 4, [(d, "real") for d in [1] * 4 + [2] * 2 + [3] * 4]),
]


@pytest.mark.parametrize(("group", "complex_dimensions", "real"), KNOWN, ids=lambda v: repr(v)[:30])
def test_known_tables(group: Group, complex_dimensions: list[int], real: list[tuple[int, str]]) -> None:
    table = group.character_table()
    assert table.dimensions.tolist() == complex_dimensions
    weights = table.class_sizes.double() / table.class_sizes.sum()
    gram = (table.characters * weights) @ table.characters.conj().mT
    assert float((gram - torch.eye(len(gram))).abs().max()) < 1e-12, "rows orthonormal"
    columns = table.characters.conj().mT @ table.characters * weights[:, None]
    assert float((columns - torch.eye(len(gram))).abs().max()) < 1e-12, "columns orthogonal"
    assert bool(torch.allclose(table.characters[0], torch.ones(1, dtype=torch.complex128)))
    irreps = group.irreps()
    assert [(r.dimension, r.kind) for r in irreps] == real


@pytest.mark.parametrize("group", [g for g, _, _ in KNOWN], ids=repr)
def test_real_representations(group: Group) -> None:
    g = group.elements()
    table = group.multiplication_table()
    columns = []
    for r in group.irreps():
        m = r.matrix(g)
        assert float((m[:, None] @ m[None] - m[table]).abs().max()) < 1e-11, "homomorphism"
        assert float((m.mT @ m - torch.eye(r.dimension, dtype=torch.float64)).abs().max()) < 1e-12, "orthogonal"
        square = {"real": 1, "complex": 2, "quaternionic": 4}[r.kind]
        assert float(r.character(g).square().mean()) == pytest.approx(square, abs=1e-10)
        copies = r.dimension / square
        columns.append(m.flatten(1) * (r.dimension / len(g)) ** 0.5)
        assert copies > 0
    everything = torch.cat(columns, 1)
    gram = everything.mT @ everything
    blocks = [c.shape[1] for c in columns]
    for i, part in enumerate(gram.split(blocks, 0)):
        for j, block in enumerate(part.split(blocks, 1)):
            if i != j:
                assert float(block.abs().max()) < 1e-10, "Schur: different representations are orthogonal"
            elif group.irreps()[i].kind == "real":
                assert float((block - torch.eye(len(block), dtype=torch.float64)).abs().max()) < 1e-10
    assert sum(round(float(torch.linalg.matrix_rank(c, atol=1e-8))) for c in columns) == len(g), "Peter-Weyl"


def test_indicators() -> None:
    assert QUATERNIONS.character_table().indicators.tolist() == [1, 1, 1, 1, -1]
    assert Cyclic(3).character_table().indicators.tolist() == [1, 0, 0]


def test_mulliken_labels() -> None:
    assert [r.label for r in PolyhedralGroup("octahedral").irreps()] == ["A1", "A2", "E", "T1", "T2"]
    assert [r.label for r in PolyhedralGroup("tetrahedral").irreps()] == ["A", "E", "T"]
    assert {r.label for r in PolyhedralGroup("icosahedral").irreps()} == {"A", "T1", "T2", "G", "H"}
    labels = [r.label for r in PolyhedralGroup("octahedral", inversion=True).irreps()]
    assert set(labels) == {s + p for s in ("A1", "A2", "E", "T1", "T2") for p in "gu"} and len(labels) == 10


@pytest.mark.parametrize(
    ("label", "function"),
    [
        ("E", lambda x, y, z: x**2 - y**2),
        ("T2", lambda x, y, z: x * y),
        ("A2", lambda x, y, z: x * y * z),
        ("A1", lambda x, y, z: x**4 + y**4 + z**4 - 0.6 * (x**2 + y**2 + z**2) ** 2),
        ("T1", lambda x, y, z: x),
    ],
)
def test_octahedral_classification(label: str, function: object) -> None:
    """Functions of a vector by cubic symmetry: the projection (d/|G|) sum chi(g) f(g^-1 x) keeps exactly one label."""
    group = PolyhedralGroup("octahedral")
    x = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    g = group.elements()
    values = function(*(g.mT[:, None] @ x[..., None])[..., 0].unbind(-1))  # type: ignore[operator]
    for r in group.irreps():
        part = r.dimension * (r.character(g)[:, None] * values).mean(0)
        wanted = values[0] if r.label == label else torch.zeros(7, dtype=torch.float64)
        assert float((part - wanted).abs().max()) < 1e-12 * max(1.0, float(values.abs().max()))


def test_cutoff_and_errors() -> None:
    assert [r.dimension for r in Symmetric(4).irreps(2)] == [1, 1, 2]
    with pytest.raises(ValueError, match="expected a cutoff"):
        Symmetric(4).irreps(-1)
    with pytest.raises(ValueError, match="expected an order of at most 2048"):
        Symmetric(9).irreps()


def test_a_larger_group() -> None:
    """S_6: 11 representations, of dimensions given by the hook length formula."""
    irreps = Symmetric(6).irreps()
    assert [r.dimension for r in irreps] == [1, 1, 5, 5, 5, 5, 9, 9, 10, 10, 16]
    assert sum(r.dimension**2 for r in irreps) == math.factorial(6)
