"""Labels of molecules, computed again by RDKit and under rotations and reflections."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from pyro_symvi._common_molecules import common_molecules
from pyro_symvi.equivariance import MoleculeDataset, molecules
from pyro_symvi.groups import InvariantAction, NaturalAction, Orthogonal

pytest.importorskip("rdkit", reason="rdkit (extra molecules) makes the conformers")
O3 = Orthogonal(3)
NAMES = ["acetamide", "ethylene glycol", "L-alanine"]


@pytest.fixture(scope="module")
def data() -> MoleculeDataset:
    return molecules(NAMES, conformers=8, seed=3, dtype=torch.float64)


def energy_and_dipole(name: str, positions: torch.Tensor) -> tuple[float, torch.Tensor]:
    """From a molecule built anew with these coordinates; Debye by scipy's constants."""
    from rdkit import Chem
    from rdkit.Chem import AllChem
    from rdkit.Geometry import Point3D
    from scipy import constants

    mol = Chem.AddHs(Chem.MolFromSmiles(common_molecules()[name]))
    conformer = Chem.Conformer(mol.GetNumAtoms())
    for i, row in enumerate(positions.tolist()):
        conformer.SetAtomPosition(i, Point3D(*row))
    mol.AddConformer(conformer)
    properties: Any = AllChem.MMFFGetMoleculeProperties(mol)
    energy = AllChem.MMFFGetMoleculeForceField(mol, properties).CalcEnergy()
    charges = torch.tensor([properties.GetMMFFPartialCharge(i) for i in range(mol.GetNumAtoms())], dtype=torch.float64)
    debye = constants.e * constants.angstrom * constants.c / 1e-21  # 1 D = 1e-21 / c coulomb metres
    return energy, debye * charges @ positions


def test_energies_and_dipoles_are_those_of_rdkit(data: MoleculeDataset) -> None:
    for k in (0, 9, 23):
        n = int(data.mask[k].sum())
        name = data.names[int(data.groups[k])]
        energy, dipole = energy_and_dipole(name, data.positions[k, :n])
        assert math.isclose(energy, float(data.energy[k] + data.reference[k]), rel_tol=1e-9)
        torch.testing.assert_close(data.dipole[k], dipole, rtol=1e-8, atol=1e-10)


def test_labels_of_moved_molecules_are_moved_labels_reflections_included(data: MoleculeDataset) -> None:
    """L-alanine is chiral; its mirror image has the same energy, and the dipole is a polar vector."""
    k, n = 20, int(data.mask[20].sum())
    rho_in, rho_out = data.rho_in(O3), data.rho_out(O3)
    for g in (O3.sample(1, generator=torch.Generator().manual_seed(0))[0], -torch.eye(3, dtype=torch.float64)):
        moved = rho_in["positions"].act(g, data.positions[k])  # type: ignore[union-attr]
        energy, dipole = energy_and_dipole("L-alanine", moved[:n])
        assert math.isclose(energy, float(data.energy[k] + data.reference[k]), rel_tol=1e-9)
        torch.testing.assert_close(rho_out["dipole"].act(g, data.dipole[k]), dipole, rtol=1e-8, atol=1e-8)
    assert not torch.allclose(dipole, data.dipole[k])  # negative: under the inversion it is not invariant
    assert rho_in["species"] is None
    assert isinstance(rho_out["energy"], InvariantAction)
    assert data.only("dipole").rho_out(O3) == NaturalAction(O3)


def test_layout_centres_seeds_and_spread(data: MoleculeDataset) -> None:
    assert data.positions.shape == (24, 13, 3)
    assert data.shapes == {"energy": (), "dipole": (3,)}
    assert repr(data[:3].only("energy")) == "MoleculeDataset(3 conformers of 1 molecule of at most 13 atoms, energy)"
    assert bool((data.positions[~data.mask] == 0).all())
    masses = torch.tensor([0, 1.008, 0, 0, 0, 0, 12.011, 14.007, 15.999], dtype=torch.float64)[data.species]
    assert float((masses[..., None] * data.positions).sum(1).abs().max()) < 1e-9
    means = torch.stack([data.energy[data.groups == k].mean() for k in range(3)])
    torch.testing.assert_close(means, torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-10)
    assert 3 < float(data.energy.std()) < 30  # kcal/mol
    again = molecules(NAMES, conformers=8, seed=3, dtype=torch.float64)
    assert torch.equal(again.positions, data.positions)
    assert torch.equal(again.energy, data.energy)
    relaxed = molecules(["acetamide"], conformers=4, distortion=0, dilation=0)
    assert relaxed.positions.dtype == torch.float32
    assert float(relaxed.reference[0]) < float(data.reference[0]) - 5
    with pytest.raises(ValueError, match="come again"):
        molecules(["acetamide"], conformers=11, distortion=0, dilation=0)
    assert math.isclose(data.scales["energy"], float(data.energy.square().mean().sqrt()), rel_tol=1e-12)


def test_parts_by_conformer_and_by_molecule(data: MoleculeDataset) -> None:
    train, test = data.split((0.75, 0.25), seed=1)
    assert (len(train), len(test)) == (18, 6)
    assert test.groups.unique().tolist() == [0, 1, 2]
    rows = torch.cat([train.energy, test.energy]).sort().values
    torch.testing.assert_close(rows, data.energy.sort().values, rtol=0, atol=0)
    one, other = data.split((2 / 3, 1 / 3), by_group=True)
    assert set(one.groups.tolist()).isdisjoint(other.groups.tolist())
    assert sorted({*one.groups.tolist(), *other.groups.tolist()}) == [0, 1, 2]
    assert data.to(torch.float32).positions.dtype == torch.float32
    assert data.to(torch.float32).species.dtype == torch.long
    with pytest.raises(ValueError, match="fractions"):
        data.split((0.8, 0.4))


def test_without_rdkit_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "rdkit", None)
    with pytest.raises(ImportError, match=r"pyro-symvi\[molecules\]"):
        molecules(2)


@pytest.mark.parametrize(
    ("which", "error"),
    [
        (["choline"], "charge"),
        (["unobtainium"], "names among"),
        (["thioanisole"], "outside"),
        (["caffeine"], "24 atoms"),
        (500, "at most"),
    ],
    ids=["charged", "unknown", "sulfur", "large", "too many"],
)
def test_what_does_not_qualify_is_refused(which: Any, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        molecules(which)
