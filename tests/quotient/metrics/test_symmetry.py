"""Automorphisms and symmetric RMSD against RDKit and counts known from group theory."""

import math

import pytest
import torch

from pyro_symvi.quotient import CloudDataset, Context
from pyro_symvi.quotient.data import conformer_ensembles, molecules_with
from pyro_symvi.quotient.metrics import (
    automorphisms,
    ensemble_coverage,
    graph_automorphisms,
    rmsd_matrix,
)

pytest.importorskip("rdkit")


def ring(n):
    k = torch.arange(n)
    gap = (k[:, None] - k).abs()
    return ((gap == 1) | (gap == n - 1)).long()


COUNTS = {
    "CCCC": 2,
    "CCO": 1,
    "c1ccccc1": 12,
    "CC(C)(C)C": 24,
    "CC(F)(F)F": 6,
    "CC(=O)[O-]": 2,
    "CC(=O)O": 2,
    "CC(=O)OC": 1,
    "CC(N)=O": 1,
    "C[N+](=O)[O-]": 2,
    "CP(=O)(O)O": 6,
    "C12C3C4C1C5C2C3C45": 48,
}


@pytest.mark.parametrize("smiles", COUNTS)
def test_numbers_of_automorphisms(smiles):
    count = COUNTS[smiles]
    table = automorphisms(smiles)
    assert len(table) == count and table[0].tolist() == list(range(table.shape[1]))
    assert len({tuple(row) for row in table.tolist()}) == count


def test_symmetric_rmsd_is_the_best_of_rdkit():
    from rdkit import Chem
    from rdkit.Chem import rdMolAlign

    gained = 0
    for smiles in ("CC(C)CCC(=O)O", "FC(F)(F)c1ccc(CO)cc1", "CN(C)CCP(=O)(O)O", "C[C@H](N)C(=O)NC", "CCN(CC)CC"):
        data = conformer_ensembles([smiles], conformers=3, optimise=None)
        ours = rmsd_matrix(data.clouds, data.clouds, automorphisms(data.names[0]))
        plain = rmsd_matrix(data.clouds, data.clouds)
        mol = molecules_with(data.names[0], data.clouds)
        for i, j in ((0, 1), (0, 2), (1, 2)):
            best = rdMolAlign.GetBestRMS(Chem.Mol(mol), Chem.Mol(mol), i, j)
            assert ours[i, j].item() == pytest.approx(best, abs=1e-5)
        assert bool((ours <= plain + 1e-6).all())
        gained += bool((ours < plain - 0.01).any())
    assert gained == 4  # all but the amide, which has no symmetry


@pytest.mark.parametrize("n", [3, 5, 8])
def test_a_ring_has_the_dihedral_group(n):
    table = graph_automorphisms(Context(edges=ring(n)))
    assert len(table) == 2 * n
    for row in table:
        assert torch.equal(ring(n)[row][:, row], ring(n))


def test_features_and_kinds_of_edges_break_it():
    features = torch.zeros(6, 2)
    features[0, 1] = 1
    assert len(graph_automorphisms(Context(edges=ring(6), features=features))) == 2
    assert len(graph_automorphisms(Context(edges=ring(6), features=torch.eye(6)))) == 1
    edges = ring(6)
    edges[0, 1] = edges[1, 0] = 5
    assert len(graph_automorphisms(Context(edges=edges))) == 2


def test_masked_points_stay_and_a_context_without_edges_allows_nothing():
    mask = torch.tensor([True, False, True, True, False])
    edges = torch.zeros(5, 5, dtype=torch.int64)
    for i, j in ((0, 2), (2, 3)):
        edges[i, j] = edges[j, i] = 1
    assert sorted(graph_automorphisms(Context(mask=mask, edges=edges)).tolist()) == [[0, 1, 2, 3, 4], [3, 1, 2, 0, 4]]
    assert graph_automorphisms(Context(mask=mask)).tolist() == [[0, 1, 2, 3, 4]]


def test_a_cap_says_what_it_means():
    with pytest.warns(UserWarning, match="upper bound"):
        table = automorphisms("CC(C)(C)CC(C)(C)C", limit=10)
    assert len(table) == 10 and table[0].tolist() == list(range(9))


def test_a_string_that_is_no_molecule_is_refused():
    with pytest.raises(ValueError, match="SMILES"):
        automorphisms("nonsense")
    with pytest.raises(ValueError, match="one cloud"):
        graph_automorphisms(Context(edges=ring(3)[None]))


def dataset():
    """Two kinds of 3 and 2 points: a symmetric chain and a pair, padded to 3."""
    mask = torch.tensor([[True, True, True], [True, True, False]])
    edges = torch.tensor([[[0, 1, 0], [1, 0, 1], [0, 1, 0]], [[0, 1, 0], [1, 0, 0], [0, 0, 0]]])
    clouds = torch.tensor(
        [
            [[1.0, 0, 0], [0, 0, 0], [0, 2, 0]],
            [[3.0, 0, 0], [0, 0, 0], [0, 1, 0]],
            [[1.0, 0, 0], [0, 0, 0], [0, 0, 0]],
        ]
    )
    return CloudDataset(clouds, torch.tensor([0, 0, 1]), ("chain", "pair"), Context(mask=mask, edges=edges))


def test_coverage_of_a_data_set_by_itself_is_whole_and_knows_the_symmetry():
    data = dataset()
    assert ensemble_coverage(data, data).amr_recall.abs().max() < 1e-6
    order = data.of_kinds([1, 0])  # other numbers for the same names
    turned = CloudDataset(order.clouds, order.kinds, order.names, order.context)
    turned.clouds[order.kinds == 1] = order.clouds[order.kinds == 1].flip(1)
    result = ensemble_coverage(turned, data)
    assert result.names == ("chain", "pair") and result.amr_recall.abs().max() < 1e-6
    identity = {name: torch.arange(n)[None] for name, n in (("chain", 3), ("pair", 2))}
    assert ensemble_coverage(turned, data, permutations=identity).amr_recall[0] > 0.1


def test_pairs_of_points_are_compared_by_their_length():
    data = dataset()
    longer = CloudDataset(data.clouds * 2, data.kinds, data.names, data.context)
    result = ensemble_coverage(longer, data, permutations={"pair": torch.tensor([[0, 1], [1, 0]])})
    assert result.amr_precision[1].item() == pytest.approx(0.5)


def test_kinds_without_samples_are_named():
    data = dataset()
    with pytest.raises(ValueError, match="none for 1 of 2: pair"):
        ensemble_coverage(data.of_kinds([0]), data)
    with pytest.raises(ValueError, match="samples of 3 points"):
        ensemble_coverage(CloudDataset(data.clouds[:, :2], data.kinds, data.names), data)


def test_a_hydrogen_count_shows_why_heavy_atoms_are_usual():
    assert len(automorphisms("[H]C([H])([H])C([H])([H])[H]")) == 2 * math.factorial(3) ** 2
