"""Internal coordinates against closed forms, RDKit and scipy; mirror images; what has no value."""

import math

import pytest
import scipy.spatial.distance
import torch

from pyro_symvi.groups import SpecialEuclidean
from pyro_symvi.quotient.metrics import (
    bond_angles,
    bond_lengths,
    chirality,
    defined,
    graph_angles,
    graph_bonds,
    graph_torsions,
    pairwise_distances,
    radius_of_gyration,
    signed_volumes,
    torsions,
)

ATOMS = [[0, 1, 2, 3]]


def chain(phi, bend=1.9, lengths=(1.5, 1.4, 1.6)):
    """Four atoms with a torsion phi, built from its definition: seen along z, the last bond is phi clockwise."""
    phi = torch.as_tensor(phi, dtype=torch.float64)
    a, b, c = lengths
    zero = torch.zeros_like(phi)
    sin, cos = math.sin(bend), math.cos(bend)
    first = torch.stack([zero + a * sin, zero, zero + a * cos], -1)  # from atom 1, cos(bend) along +z
    second = torch.zeros_like(first)
    third = torch.stack([zero, zero, zero + b], -1)
    # looking along +z, x to the right means y points down: clockwise is from +x to +y
    fourth = third + c * torch.stack([sin * torch.cos(phi), sin * torch.sin(phi), zero - cos], -1)
    return torch.stack([first, second, third, fourth], -2)


def moved(x, seed):
    group = SpecialEuclidean(3)
    generator = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=generator))[0]
    turn = turn * torch.linalg.det(turn).sign()
    assert group.n == 3
    return x @ turn.mT + torch.randn(3, dtype=torch.float64, generator=generator)


def test_a_torsion_is_what_it_was_built_with_and_no_motion_changes_it():
    phi = torch.linspace(-math.pi + 1e-3, math.pi - 1e-3, 37, dtype=torch.float64)
    x = moved(chain(phi), 0)
    torch.testing.assert_close(torsions(x, ATOMS)[:, 0], phi, atol=1e-12, rtol=0)
    torch.testing.assert_close(torsions(x, [[3, 2, 1, 0]])[:, 0], phi, atol=1e-12, rtol=0)  # read backwards: the same


def test_a_mirror_image_has_the_opposite_torsion():
    x = chain([0.7, -2.0])
    torch.testing.assert_close(torsions(x * torch.tensor([1.0, -1.0, 1.0]), ATOMS), -torsions(x, ATOMS))


def test_coordinates_agree_with_rdkit():
    Chem = pytest.importorskip("rdkit.Chem")
    from rdkit.Chem import AllChem, rdMolTransforms

    molecule = Chem.AddHs(Chem.MolFromSmiles("CC(O)C(=O)NCc1ccccc1"))
    assert AllChem.EmbedMolecule(molecule, randomSeed=7) == 0
    conformer = molecule.GetConformer()
    x = torch.tensor(conformer.GetPositions())
    edges = torch.tensor(Chem.GetAdjacencyMatrix(molecule))
    for coordinate, index, theirs in (
        (bond_lengths, graph_bonds(edges), rdMolTransforms.GetBondLength),
        (bond_angles, graph_angles(edges), rdMolTransforms.GetAngleRad),
        (torsions, graph_torsions(edges, every=True), rdMolTransforms.GetDihedralRad),
    ):
        expected = torch.tensor([theirs(conformer, *row) for row in index.tolist()], dtype=torch.float64)
        torch.testing.assert_close(coordinate(x, index), expected, atol=1e-10, rtol=0)
    assert len(graph_torsions(edges)) <= len(graph_bonds(edges)) < len(graph_torsions(edges, every=True))


def test_angles_near_0_and_pi_keep_their_digits():
    small = torch.tensor([1e-9, 1e-5, 1.0, math.pi - 1e-9], dtype=torch.float64)
    zero = torch.zeros(4, 2, dtype=torch.float64)
    x = torch.stack([zero + torch.tensor([1.0, 0]), zero, torch.stack([small.cos(), small.sin()], -1)], -2)
    torch.testing.assert_close(bond_angles(x, [[0, 1, 2]])[:, 0], small, atol=0, rtol=1e-7)


def test_straight_atoms_have_no_torsion_and_are_counted():
    x = torch.cat([chain([0.3]), chain([0.3], bend=math.pi), chain([0.3], bend=math.pi - 1e-3)])
    values = torsions(x, ATOMS)
    assert torch.isnan(values[:, 0]).tolist() == [False, True, False]
    kept, share = defined(values)
    assert len(kept) == 2 and share == pytest.approx(1 / 3)
    torch.testing.assert_close(kept, torch.full((2,), 0.3, dtype=torch.float64), atol=1e-9, rtol=0)
    assert torch.isnan(torsions(torch.zeros(4, 3), ATOMS)).all()
    assert torch.isnan(bond_angles(torch.zeros(3, 3), [[0, 1, 2]])).all()
    # float32 coordinates a few units from the origin: rounding makes no torsion of a straight chain
    line = (torch.arange(4.0)[:, None] * torch.tensor([0.3, -0.7, 1.1]) + 20).float()
    assert torch.isnan(torsions(line, ATOMS)).all()


def test_distances_and_gyration_agree_with_scipy_and_the_sum_over_pairs():
    x = torch.randn(2, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    pairs = pairwise_distances(x)
    for cloud, row in zip(x, pairs, strict=True):
        torch.testing.assert_close(row, torch.tensor(scipy.spatial.distance.pdist(cloud.numpy())))
    torch.testing.assert_close(radius_of_gyration(x), (pairs.square().sum(-1) / 36).sqrt())
    mask = torch.tensor([True, True, False, True, True, False])
    torch.testing.assert_close(pairwise_distances(x, mask), pairwise_distances(x[:, mask]))
    torch.testing.assert_close(radius_of_gyration(x, mask), radius_of_gyration(x[:, mask]))
    w = torch.tensor([1.0, 2, 0, 1, 3, 1])
    copies = x[:, [0, 1, 1, 3, 4, 4, 4, 5]]
    torch.testing.assert_close(radius_of_gyration(x, weights=w), radius_of_gyration(copies))


def test_signed_volumes_and_chirality_see_the_hand_which_distances_do_not():
    corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=torch.float64)
    x = torch.stack([corners, -corners, corners * torch.tensor([1.0, 1, 1e-3])])
    torch.testing.assert_close(
        signed_volumes(x, ATOMS)[:, 0], torch.tensor([1 / 6, -1 / 6, 1e-3 / 6], dtype=torch.float64)
    )
    torch.testing.assert_close(pairwise_distances(x[0]), pairwise_distances(x[1]))
    assert chirality(x, ATOMS)[:, 0].tolist() == [1, -1, 1]  # a thin corner is still a corner
    assert chirality(corners * torch.tensor([1.0, 1, 0]), ATOMS).item() == 0
    assert chirality(torch.zeros(4, 3), ATOMS).item() == 0


def test_chirality_agrees_with_the_handedness_that_rdkit_assigns():
    Chem = pytest.importorskip("rdkit.Chem")
    from rdkit.Chem import AllChem

    hands = {}
    for smiles in ("C[C@H](N)O", "C[C@@H](N)O"):
        molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
        assert AllChem.EmbedMolecule(molecule, randomSeed=3) == 0
        x = torch.tensor(molecule.GetConformer().GetPositions())
        hands[smiles] = chirality(x, [[1, 0, 2, 3]]).item()
    assert set(hands.values()) == {1, -1}


CASES = {
    "nan": (lambda: bond_lengths(torch.full((4, 3), math.nan), [[0, 1]]), ValueError, "nan or inf in 1 cloud"),
    "out of range": (lambda: bond_lengths(torch.zeros(4, 3), [[0, 4]]), ValueError, "0..3"),
    "negative": (lambda: bond_lengths(torch.zeros(4, 3), [[0, -1]]), ValueError, "0..3"),
    "twice": (lambda: bond_angles(torch.zeros(4, 3), [[0, 1, 0]]), ValueError, "distinct"),
    "width": (lambda: torsions(torch.zeros(4, 3), [[0, 1, 2]]), ValueError, "\\[K, 4\\]"),
    "three atoms": (lambda: torsions(torch.zeros(3, 3), ATOMS), ValueError, "at least 4"),
    "plane": (lambda: torsions(torch.zeros(4, 2), ATOMS), ValueError, "\\[\\*batch, N, 3\\]"),
    "integers": (lambda: torsions(torch.zeros(4, 3).long(), ATOMS), TypeError, "floating"),
    "float index": (lambda: bond_lengths(torch.zeros(4, 3), torch.zeros(1, 2)), TypeError, "integer"),
    "list": (lambda: bond_lengths([[0.0, 0.0]], [[0, 1]]), TypeError, "tensor"),
    "masked": (
        lambda: torsions(torch.zeros(2, 4, 3), ATOMS, torch.tensor([[True] * 4, [True, True, True, False]])),
        ValueError,
        "masked points in row",
    ),
    "empty mask": (lambda: radius_of_gyration(torch.zeros(4, 3), torch.zeros(4) > 0), ValueError, "empty mask"),
    "mask dtype": (lambda: radius_of_gyration(torch.zeros(4, 3), torch.ones(4)), TypeError, "bool"),
    "mask shape": (lambda: radius_of_gyration(torch.zeros(4, 3), torch.ones(3) > 0), ValueError, "broadcasts"),
    "weights": (lambda: radius_of_gyration(torch.zeros(4, 3), weights=-torch.ones(4)), ValueError, "non-negative"),
    "no weight": (lambda: radius_of_gyration(torch.zeros(4, 3), weights=torch.zeros(4)), ValueError, "total weight"),
    "ragged pairs": (
        lambda: pairwise_distances(torch.zeros(2, 4, 3), torch.ones(2, 4) > 0),
        ValueError,
        "mask \\[N\\]",
    ),
    "one-way edges": (lambda: graph_bonds(torch.tensor([[0, 1], [0, 0]])), ValueError, "symmetric"),
    "flat": (lambda: chirality(torch.zeros(4, 3), ATOMS, flat=1.0), ValueError, "flat"),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_arguments_are_refused(name):
    call, kind, words = CASES[name]
    with pytest.raises(kind, match=words):
        call()


def test_no_rows_give_no_values():
    assert torsions(torch.zeros(2, 4, 3), []).shape == (2, 0)
    assert graph_torsions(torch.zeros(3, 3).long()).shape == (0, 4) and graph_angles(torch.eye(3).long()).shape == (
        0,
        3,
    )
