"""Files: what is written is read back, by other readers too; what cannot be read is named with its line."""

import gzip
import importlib.util

import pytest
import torch

from pyro_symvi.quotient import CloudDataset, Context
from pyro_symvi.quotient.data import torsion_chains
from pyro_symvi.quotient.files import read_clouds, write_clouds, write_pdb, write_sdf, write_xyz

needs_rdkit = pytest.mark.skipif(importlib.util.find_spec("rdkit") is None, reason="needs the extra 'molecules'")
needs_mdanalysis = pytest.mark.skipif(
    importlib.util.find_spec("MDAnalysis") is None, reason="needs MDAnalysis (comes with the extra 'proteins')"
)


def trace(clouds: int = 2, points: int = 7) -> torch.Tensor:
    chains = torsion_chains(clouds, atoms=points, bond=3.8, generator=torch.Generator().manual_seed(0))
    return chains.clouds


# -- XYZ ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["a.xyz", "a.xyz.gz"])
def test_xyz_comes_back(tmp_path, name):
    clouds = trace(3, 4)
    write_xyz(tmp_path / name, clouds, ["C", "c", "N", "CL"], titles="a title")
    data = read_clouds(tmp_path / name, dtype=torch.float64)
    torch.testing.assert_close(data.clouds, clouds.double(), rtol=0, atol=6e-7)
    assert data.names == ("a title",) and data.kinds.tolist() == [0, 0, 0] and data.context.features[0].sum() == 4
    assert [p.name for p in tmp_path.iterdir()] == [name]


@needs_rdkit
def test_xyz_is_read_by_rdkit(tmp_path):
    from rdkit import Chem

    clouds = trace(1, 4)
    write_xyz(tmp_path / "a.xyz", clouds[0], ["C", "C", "N", "Cl"])
    mol = Chem.MolFromXYZFile(str(tmp_path / "a.xyz"))
    assert [atom.GetSymbol() for atom in mol.GetAtoms()] == ["C", "C", "N", "Cl"]
    read = torch.tensor(mol.GetConformer().GetPositions().tolist())
    torch.testing.assert_close(read, clouds[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2\n\nC 0 0 0\nC 1 0 nan\n", r"finite.*nan.*bad\.xyz.*line 4"),
        ("2\n\nC 0 0 0\nC 1 0\n", r"three coordinates.*line 4"),
        ("2\n\nC 0 0 0\nQq 1 0 0\n", r"element, got 'Qq'.*line 4"),
        ("3\n\nC 0 0 0\nC 1 0 0\n", r"expected 3 atoms, got 2.*line 1"),
        ("1\n\nC 0 0 0\nhello\n", r"number of atoms, got 'hello'.*line 4"),
        ("1\n\nC 0 0 x1\n", r"finite number as coordinate, got 'x1'.*line 3"),
        ("  \n\n", "empty"),
    ],
)
def test_garbled_xyz_is_named(tmp_path, text, words):
    path = tmp_path / "bad.xyz"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        read_clouds(path)


# -- PDB ---------------------------------------------------------------------------------------------------------------
def test_pdb_comes_back(tmp_path):
    clouds = trace()
    write_pdb(tmp_path / "a.pdb.gz", clouds, ["ALA", "gly", "TRP", "LYS", "MSE", "XYZ", "PRO"])
    data = read_clouds(tmp_path / "a.pdb.gz", dtype=torch.float64)
    torch.testing.assert_close(data.clouds, clouds.double(), rtol=0, atol=6e-4)
    assert data.names == ("A",) and data.kinds.tolist() == [0, 0]
    assert data.context.features[0].sum(-1).tolist() == [1, 1, 1, 1, 1, 0, 1]  # XYZ is no amino acid
    assert data.context.edges[0].sum() == 12


@needs_rdkit
def test_pdb_is_read_by_rdkit(tmp_path):
    from rdkit import Chem

    clouds = trace()
    write_pdb(tmp_path / "a.pdb", clouds)
    mol = Chem.MolFromPDBFile(str(tmp_path / "a.pdb"), sanitize=False, proximityBonding=False)
    info = mol.GetAtomWithIdx(3).GetPDBResidueInfo()
    assert (info.GetName(), info.GetResidueName(), info.GetResidueNumber(), info.GetChainId()) == (
        " CA ",
        "GLY",
        4,
        "A",
    )
    assert mol.GetNumAtoms() == 7 and mol.GetNumConformers() == 2
    for cloud, conformer in zip(clouds, mol.GetConformers(), strict=True):
        read = torch.tensor(conformer.GetPositions().tolist())
        torch.testing.assert_close(read, cloud, rtol=0, atol=6e-4)


@needs_mdanalysis
@pytest.mark.filterwarnings("ignore")
def test_pdb_is_read_by_mdanalysis(tmp_path):
    import MDAnalysis

    clouds = trace()
    write_pdb(tmp_path / "a.pdb", clouds, ["ALA"] * 7)
    universe = MDAnalysis.Universe(str(tmp_path / "a.pdb"))
    assert len(universe.trajectory) == 2 and list(universe.atoms.names) == ["CA"] * 7
    assert list(universe.residues.resnames) == ["ALA"] * 7 and list(universe.atoms.elements) == ["C"] * 7
    assert universe.bonds.indices.tolist() == [[k, k + 1] for k in range(6)]
    for cloud, _ in zip(clouds, universe.trajectory, strict=True):
        torch.testing.assert_close(torch.tensor(universe.atoms.positions), cloud, rtol=0, atol=6e-4)


ATOM = "ATOM      1  CA {}GLY A   1      {}   0.000   0.000  1.00  0.00           C  \n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ATOM.format(" ", " 1.0") + ATOM.format(" ", "*.00").replace("A   1", "A   2"), r"finite number.*line 2"),
        (ATOM.format(" ", "1.00")[:40], r"columns 31 to 54.*line 1"),
        ("HEADER    NOTHING\nEND\n", "Calpha atoms, got none"),
        (ATOM.format(" ", " nan"), r"finite number.*line 1"),
    ],
)
def test_garbled_pdb_is_named(tmp_path, text, words):
    path = tmp_path / "bad.pdb"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        read_clouds(path)


def test_pdb_takes_one_alternative_and_no_calcium(tmp_path):
    text = ATOM.format("A", "1.00") + ATOM.format("B", "2.00")
    text += "HETATM    3 CA    CA A 101       9.000   0.000   0.000  1.00  0.00          CA  \n"
    (tmp_path / "a.pdb").write_text(text)
    data = read_clouds(tmp_path / "a.pdb")
    assert data.clouds.tolist() == [[[1.0, 0.0, 0.0]]]


def test_what_columns_cannot_hold_is_refused(tmp_path):
    clouds = trace()
    with pytest.raises(ValueError, match="centre the clouds"):
        write_pdb(tmp_path / "a.pdb", clouds - 2000)
    with pytest.raises(ValueError, match="three letters"):
        write_pdb(tmp_path / "a.pdb", clouds, ["ALANINE"] * 7)
    with pytest.raises(ValueError, match="9999"):
        write_pdb(tmp_path / "a.pdb", torch.zeros(1, 10000, 3))
    assert list(tmp_path.iterdir()) == []


# -- SDF ---------------------------------------------------------------------------------------------------------------
@needs_rdkit
def test_sdf_comes_back_with_bonds_and_hand(tmp_path):
    from rdkit import Chem

    from pyro_symvi.quotient.data import conformer_ensembles

    data = conformer_ensembles(["C[C@H](N)C(=O)O", "C/C=C\\CO", "c1ccccc1C"], conformers=2, optimise=None)
    write_clouds(tmp_path / "a.sdf", data)
    back = read_clouds(tmp_path / "a.sdf")
    assert back.names == data.names and torch.equal(back.kinds, data.kinds)
    torch.testing.assert_close(back.clouds, data.clouds, rtol=0, atol=6e-5)
    assert torch.equal(back.context.edges, data.context.edges)
    torch.testing.assert_close(back.context.features, data.context.features)
    read = [Chem.MolToSmiles(mol) for mol in Chem.SDMolSupplier(str(tmp_path / "a.sdf"))]
    assert read == [data.names[k] for k in data.kinds.tolist()]


@needs_rdkit
def test_a_mirrored_cloud_is_of_the_other_hand(tmp_path):
    from pyro_symvi.quotient.data import conformer_ensembles

    data = conformer_ensembles(["C[C@H](N)C(=O)O"], conformers=1, optimise=None)
    write_sdf(tmp_path / "a.sdf", data.clouds * torch.tensor([1.0, 1, -1]), data.names[0])
    other = conformer_ensembles(["C[C@@H](N)C(=O)O"], conformers=1, optimise=None)
    assert read_clouds(tmp_path / "a.sdf").names == other.names


@needs_rdkit
def test_garbled_sdf_is_named(tmp_path):
    path = tmp_path / "bad.sdf"
    write_sdf(path, trace(2, 4), "CCCC")
    good = path.read_text()
    middle = good.index("$$$$\n") + 5
    for text, words in [
        (
            good[:middle] + good[middle:].replace(" C ", " Qq"),
            rf"record 2 from line {good[:middle].count(chr(10)) + 1}",
        ),
        (good[: middle // 2], "record 1 from line 1"),
        ("hello\n", "record 1 from line 1"),
        ("", "empty"),
    ]:
        path.write_text(text)
        with pytest.raises(ValueError, match=words):
            read_clouds(path)


@needs_rdkit
def test_a_drawing_in_the_plane_is_no_shape(tmp_path):
    from rdkit import Chem
    from rdkit.Chem import rdDepictor

    mol = Chem.MolFromSmiles("CCCCO")
    rdDepictor.Compute2DCoords(mol)
    (tmp_path / "flat.sdf").write_text(Chem.MolToMolBlock(mol) + "$$$$\n")
    with pytest.raises(ValueError, match="drawing in the plane"):
        read_clouds(tmp_path / "flat.sdf")


# -- all of them -------------------------------------------------------------------------------------------------------
def test_files_that_are_no_text_are_named(tmp_path):
    (tmp_path / "a.xyz").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"text file.*a\.xyz"):
        read_clouds(tmp_path / "a.xyz")
    (tmp_path / "a.xyz.gz").write_bytes(gzip.compress(b"1\n\nC 0 0 0\n")[:-6])
    with pytest.raises(ValueError, match=r"gzip file.*a\.xyz\.gz"):
        read_clouds(tmp_path / "a.xyz.gz")
    with pytest.raises(ValueError, match=r"\.sdf, \.xyz, \.pdb"):
        read_clouds(tmp_path / "a.docx")
    with pytest.raises(FileNotFoundError):
        read_clouds(tmp_path / "none.pdb")


def test_nan_is_not_written_and_the_old_file_stays(tmp_path):
    path = tmp_path / "a.xyz"
    write_xyz(path, trace(1, 4), ["C"] * 4)
    before = path.read_bytes()
    broken = trace(2, 4)
    broken[1, 2, 0] = torch.nan
    with pytest.raises(ValueError, match=r"nan or inf in cloud\(s\) 1"):
        write_xyz(path, broken, ["C"] * 4)
    with pytest.raises(ValueError, match="4 elements"):
        write_xyz(path, trace(1, 4), ["C"] * 3)
    assert path.read_bytes() == before


def test_a_data_set_of_chains_as_pdb_and_xyz(tmp_path):
    data = torsion_chains(3, atoms=5, bond=3.8, generator=torch.Generator().manual_seed(1))
    write_clouds(tmp_path / "a.pdb", data)
    torch.testing.assert_close(read_clouds(tmp_path / "a.pdb").clouds, data.clouds, rtol=0, atol=6e-4)
    write_clouds(tmp_path / "a.xyz", data, elements=["C"] * 5)
    torch.testing.assert_close(read_clouds(tmp_path / "a.xyz").clouds, data.clouds, rtol=0, atol=6e-6)
    ragged = CloudDataset(data.clouds, torch.arange(3), ("a", "b", "c"), Context(mask=torch.ones(3, 5).tril(2) > 0))
    with pytest.raises(ValueError, match="one length"):
        write_clouds(tmp_path / "b.pdb", ragged)
    with pytest.raises(ValueError, match=r"expected a file of kind"):
        write_clouds(tmp_path / "b.cif", data)


def test_residues_survive_a_data_set(tmp_path):
    """Read, written, read again: names of residues are in the features, of modified ones only that they are unknown."""
    write_pdb(tmp_path / "a.pdb", trace(2, 4), ["ALA", "TRP", "UNK", "GLY"])
    read = read_clouds(tmp_path / "a.pdb")
    write_clouds(tmp_path / "b.pdb", read)
    assert (tmp_path / "b.pdb").read_text() == (tmp_path / "a.pdb").read_text()


def test_a_molecule_as_pdb_keeps_its_elements_and_bonds(tmp_path):
    """Read back by RDKit: a Calpha trace would be four carbons and no oxygen."""
    chem = pytest.importorskip("rdkit.Chem")
    clouds = 2 * torch.randn(3, 4, 3, generator=torch.Generator().manual_seed(0))
    data = CloudDataset(clouds, torch.zeros(3, dtype=torch.int64), ("CC=NO",))
    write_clouds(tmp_path / "oxime.pdb", data)
    read = chem.MolFromPDBFile(str(tmp_path / "oxime.pdb"), sanitize=False, proximityBonding=False)
    assert [atom.GetSymbol() for atom in read.GetAtoms()] == ["C", "C", "N", "O"]
    joined = {tuple(sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))) for bond in read.GetBonds()}
    assert joined == {(0, 1), (1, 2), (2, 3)}
    found = torch.stack([torch.tensor(conformer.GetPositions()) for conformer in read.GetConformers()])
    assert torch.allclose(found.float(), clouds, atol=6e-4)
    two = CloudDataset(clouds, torch.tensor([0, 1, 0]), ("CC=NO", "CCCO"))
    with pytest.raises(ValueError, match="expected one molecule, got 2"):
        write_clouds(tmp_path / "two.pdb", two)
