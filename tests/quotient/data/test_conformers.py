"""ETKDG ensembles: names give the molecule back, chirality stays, failures are told, caches resume."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

pytest.importorskip("rdkit", reason="needs the extra 'molecules'")

from rdkit import Chem
from rdkit.Chem import rdMolDescriptors

from pyro_symvi._common_molecules import _rows
from pyro_symvi.quotient.data import (
    EDGE_KINDS,
    MMFF,
    NODE_FEATURES,
    common_molecules,
    conformer_ensembles,
    molecule,
    molecule_context,
    molecules_with,
)
from pyro_symvi.quotient.data import _conformers as conformers_module
from pyro_symvi.quotient.data._conformers import _keeps_configuration

ALANINE = "C[C@H](N)C(=O)O"
SMALL = ("CCO", ALANINE, "C/C=C/C")


def ensemble(smiles=SMALL, **settings):
    return conformer_ensembles(smiles, **{"conformers": 3, "seed": 1, "optimise": None, **settings})


def test_names_are_molecules_in_the_order_of_the_clouds():
    data = ensemble(optimise=MMFF(50))
    assert len(data) == 9 and data.problems == () and data.clouds.shape == (9, 6, 3)
    for kind, name in enumerate(data.names):
        mol = molecules_with(name, data.clouds[data.kinds == kind])
        assert mol.GetNumConformers() == 3
        for conformer in mol.GetConformers():
            for bond in mol.GetBonds():
                ends = [conformer.GetAtomPosition(k) for k in (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())]
                assert 1.15 < ends[0].Distance(ends[1]) < 1.6  # single and double bonds of C, N, O in angstrom


def test_context_is_the_graph():
    data = ensemble()
    kind = data.names.index(Chem.CanonSmiles("CCO"))
    context = data.context[kind]
    column = {name: k for k, name in enumerate(NODE_FEATURES)}
    assert context.mask.sum() == 3 and context.features.shape[-1] == len(NODE_FEATURES)
    symbols = [atom.GetSymbol() for atom in molecule(data.names[kind]).GetAtoms()]
    assert context.features[:3, column["element O"]].tolist() == [float(s == "O") for s in symbols]
    assert context.features[:3, column["hydrogens / 4"]].sum() == 6 / 4
    assert context.edges.sum() == 4 and context.edges.max() == 1
    butene = data.names.index(Chem.CanonSmiles("C/C=C/C"))
    assert data.context.edges[butene].max() == EDGE_KINDS.index("double E")
    assert molecule_context(["C/C=C\\C"]).edges.max() == EDGE_KINDS.index("double Z")


@pytest.mark.parametrize("spelling", ["N[C@@H](C)C(=O)O", "OC(=O)[C@H](C)N", "C[C@H](N)C(=O)O"])
def test_the_label_of_a_centre_does_not_depend_on_the_spelling(spelling):
    name = Chem.CanonSmiles(spelling)
    right, left = NODE_FEATURES.index("centre R"), NODE_FEATURES.index("centre S")
    features = molecule_context([spelling]).features
    assert name == Chem.CanonSmiles(ALANINE)
    assert features[..., left].sum() == 1 and features[..., right].sum() == 0


def test_chirality_is_kept():
    hands = []
    for smiles in (ALANINE, ALANINE.replace("@", "@@")):
        data = ensemble([smiles], conformers=10, optimise=MMFF(50))
        mol = molecule(data.names[0])
        centre = next(a for a in mol.GetAtoms() if a.GetSymbol() == "C" and a.GetDegree() == 3 and a.GetTotalNumHs())
        arms = sorted(centre.GetNeighbors(), key=lambda a: (a.GetSymbol(), a.GetDegree()))  # CH3, COOH, N
        places = data.clouds[:, [a.GetIdx() for a in arms]] - data.clouds[:, [centre.GetIdx()]]
        hands.append(torch.linalg.det(places).sign())
    assert hands[0].unique().numel() == 1 and hands[1].unique().numel() == 1
    assert hands[0][0] == -hands[1][0]


def test_a_mirrored_conformer_is_noticed():
    data = ensemble([ALANINE], heavy_only=False)
    mol = molecules_with(data.names[0], torch.cat([data.clouds[:1], data.clouds[:1] * torch.tensor([1.0, 1, -1])]))
    assert _keeps_configuration(mol, 0) and not _keeps_configuration(mol, 1)


def test_hydrogens_are_there_when_wanted():
    data = ensemble(["CCO"], heavy_only=False)
    assert data.clouds.shape == (3, 9, 3)
    assert [a.GetSymbol() for a in molecule(data.names[0]).GetAtoms()].count("H") == 6


def test_a_molecule_does_not_depend_on_its_neighbours_and_a_seed_fixes_it():
    alone = ensemble(["CCO"])
    beside = ensemble(["CCCO", "CCO"])
    assert torch.equal(alone.clouds, beside.clouds[3:, :3])
    assert not torch.equal(alone.clouds, ensemble(["CCO"], seed=2).clouds)


def test_failures_are_listed_and_not_fatal():
    data = ensemble(["CCO", "C1CC", "OCC", "C.C", "C", "not smiles"])
    assert data.names == ("CCO",)
    reasons = {problem.smiles: problem.reason for problem in data.problems}
    assert set(reasons) == {"C1CC", "OCC", "C.C", "C", "not smiles"} and all(p.dropped for p in data.problems)
    assert "cannot read" in reasons["C1CC"] and "same molecule" in reasons["OCC"]
    assert "fragments" in reasons["C.C"] and "single atom" in reasons["C"]
    with pytest.raises(ValueError, match="none.*C1CC"):
        ensemble(["C1CC"])


def test_what_mmff_does_not_know_stays_as_embedded():
    data = ensemble(["CCB(O)O"], optimise=MMFF())
    assert not data.problems[0].dropped and "MMFF" in data.problems[0].reason
    assert torch.equal(data.clouds, ensemble(["CCB(O)O"]).clouds)


def test_wrong_arguments_are_refused():
    with pytest.raises(TypeError, match="list of SMILES"):
        conformer_ensembles("CCO")
    with pytest.raises(TypeError, match="MMFF"):
        ensemble(optimise="mmff")
    with pytest.raises(ValueError, match="conformers >= 1"):
        ensemble(conformers=0)


def test_a_cache_gives_back_the_same_and_is_bound_to_its_settings(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "cache.npz"
    first = ensemble([*SMALL, "C1CC"], cache=path)
    monkeypatch.setattr(conformers_module, "_embed", lambda *_: pytest.fail("embedded again"))
    again = ensemble([*SMALL, "C1CC"], cache=path)
    assert torch.equal(first.clouds, again.clouds) and first.names == again.names
    assert first.problems == again.problems
    assert [p.name for p in path.parent.iterdir()] == ["cache.npz"]
    with pytest.raises(ValueError, match=r"seed=1.*other|seed=2.*seed=1"):
        ensemble(SMALL, seed=2, cache=path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="expected a cache"):
        ensemble(SMALL, cache=path)
    with pytest.raises(ValueError, match=r"\.npz"):
        ensemble(SMALL, cache=tmp_path / "folder")


def test_an_interrupted_run_goes_on_where_it_was(tmp_path):
    """The process is killed at its third molecule, after the first two are written."""
    path = tmp_path / "cache.npz"
    script = f"""
        import os, signal
        from pyro_symvi.quotient.data import _conformers as c
        embed, seen, clock = c._embed, [], iter(range(0, 10**6, 100))
        c.time.monotonic = lambda: next(clock)
        def killed(text, *rest):
            seen.append(text)
            if len(seen) == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return embed(text, *rest)
        c._embed = killed
        c.conformer_ensembles({SMALL!r}, conformers=3, seed=1, optimise=None, cache={str(path)!r})
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert done.returncode == -9
    with np.load(path) as file:
        assert file["asked"].tolist() == list(SMALL[:2])
    resumed = ensemble(cache=path)
    whole = ensemble()
    assert torch.equal(resumed.clouds, whole.clouds) and resumed.names == whole.names


def test_the_built_in_list_says_what_it_names():
    rows = _rows()
    assert len(rows) >= 100 and len({Chem.CanonSmiles(smiles) for _, smiles, _ in rows}) == len(rows)
    for _, smiles, formula in rows:
        mol = molecule(smiles)
        assert rdMolDescriptors.CalcMolFormula(mol) == formula and 4 <= mol.GetNumAtoms() <= 22
    assert common_molecules()["caffeine"] == "Cn1cnc2c1c(=O)n(C)c(=O)n2C"
