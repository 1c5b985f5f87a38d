"""Conformers of small organic molecules with energies and dipoles of a classical force field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..._common_molecules import common_molecules
from ..._rdkit import quiet, require_rdkit
from ..._value import positive_int
from ...groups import Action, Group, InvariantAction, NaturalAction
from ..biases import TensorBasis
from ._dataset import Dataset

DEBYE = 4.803204712570263
"""One elementary charge times one Angstrom, in Debye."""
TARGETS = ("energy", "dipole")
MINIMA = 10
"""Minima looked for, of each molecule."""


@dataclass(frozen=True, eq=False, repr=False)
class MoleculeDataset(Dataset):
    """Distorted conformers. ``groups`` says which of the molecules ``names`` a sample is.

    Attributes:
        positions: Angstrom, from the centre of mass, ``[B, N, 3]``; zeros where there is no atom.
        species: atomic numbers, long ``[B, N]``; 0 where there is no atom.
        mask: where there is one, bool ``[B, N]``.
        energy: MMFF94 energy in kcal/mol less the mean over the conformers of the molecule, ``[B]``: what is left is
            how strained a conformer is, of one size for all molecules.
        dipole: sum of MMFF94 partial charges times positions, in Debye, (x, y, z), ``[B, 3]``.
        reference: the mean that was taken off the energy, kcal/mol, ``[B]``.
        wanted: the targets in use.
    """

    positions: Tensor
    species: Tensor
    mask: Tensor
    energy: Tensor
    dipole: Tensor
    reference: Tensor
    wanted: tuple[str, ...] = TARGETS

    @property
    def inputs(self) -> dict[str, Tensor]:
        """Positions, species and mask."""
        return {"positions": self.positions, "species": self.species, "mask": self.mask}

    @property
    def targets(self) -> Any:
        """A dict of energy and dipole, or the one of them that is in use."""
        found = {name: getattr(self, name) for name in self.wanted}
        return found if len(found) > 1 else found[self.wanted[0]]

    def only(self, target: str) -> MoleculeDataset:
        """The same samples with one target, "energy" or "dipole"."""
        if target not in TARGETS:
            raise ValueError(f"expected a target among {', '.join(TARGETS)}, got {target!r}")
        return replace(self, wanted=(target,))

    def rho_in(self, group: Group) -> dict[str, Action | None]:
        """Positions are vectors; species and mask stay."""
        return {"positions": NaturalAction(group), "species": None, "mask": None}

    def rho_out(self, group: Group) -> Any:
        """The energy is a scalar and the dipole a polar vector: under the inversion it changes sign."""
        known: dict[str, Action] = {"energy": InvariantAction(group), "dipole": NaturalAction(group)}
        return {name: known[name] for name in self.wanted} if len(self.wanted) > 1 else known[self.wanted[0]]

    @property
    def tensor_basis(self) -> dict[str, TensorBasis]:
        """The basis in which the dipole has invariant coefficients."""
        return {"dipole": TensorBasis((1, 1), cartesian=True)} if "dipole" in self.wanted else {}

    def _sizes(self) -> str:
        kinds, atoms = len(self.groups.unique()), self.positions.shape[1]
        words = f"{len(self)} conformers of {kinds} molecule{'s' * (kinds != 1)} of at most {atoms} atoms"
        return f"{words}, {' and '.join(self.wanted)}"

    def _tensors(self) -> dict[str, Tensor]:
        names = ("positions", "species", "mask", "energy", "dipole", "reference", "groups")
        return {name: getattr(self, name) for name in names}


def molecules(
    which: int | Sequence[str] = 15,
    *,
    conformers: int = 100,
    distortion: float = 0.02,
    dilation: float = 0.06,
    elements: Sequence[str] = ("H", "C", "N", "O"),
    max_atoms: int = 16,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> MoleculeDataset:
    """Conformers of neutral molecules: ETKDG embedding, MMFF94 minimum, then a dilation and displacements.

    Up to ten minima of each molecule are found; each conformer is one of them in turn, stretched as a whole by a
    factor uniform on [1, 1 + ``dilation``], then with every coordinate moved by a normal of standard deviation
    ``distortion``. The dilation is what a small model can learn of the energy in minutes: all bonds lengthen together
    and the strain grows smoothly. Displacements alone (0.05 Angstrom raise the energy by 30 kcal/mol with a spread
    of 12) ask for each bond's length to a percent. Positions are rounded to ``dtype`` before energies and dipoles are
    computed, so labels are exact for the numbers given. The orientation is that of the embedding: conformers from one
    minimum share it, and a model trained without augmentation sees few orientations. 1,500 conformers take about a
    second.

    Args:
        which: how many of the molecules that qualify, in the order of their names' list, or the names of some
            (hydrocarbons included, most of which have no charges in MMFF94, hence no dipole).
        conformers: per molecule.
        distortion: Angstrom.
        dilation: relative. With both 0 conformers are the minima themselves.
        elements, max_atoms: what qualifies, hydrogens counted; besides, one N or O, and no net charge.
        seed: everything follows from it.
        dtype: of positions and targets.

    Raises:
        ImportError: without rdkit (extra ``molecules``).
        ValueError: for names that are unknown, charged, too large or of other elements.
    """
    positive_int(conformers, "conformers", 2)
    positive_int(max_atoms, "max_atoms")
    positive_int(seed, "seed", 0)
    for value, name in ((distortion, "distortion"), (dilation, "dilation")):
        if not 0 <= value < 1:
            raise ValueError(f"expected {name} from 0 to below 1, got {value!r}, because molecules fall apart")
    if distortion == dilation == 0 and conformers > MINIMA:
        raise ValueError(
            f"expected at most {MINIMA} conformers with distortion and dilation 0, got {conformers}, because minima "
            "would come again, in training and in test data; try distortion=0.02"
        )
    chem = require_rdkit()
    with quiet():
        chosen = _selection(chem, which, tuple(elements), max_atoms)
        generator = torch.Generator().manual_seed(seed)
        rows = [_sampled(mol, conformers, (distortion, dilation), seed, generator, dtype) for mol in chosen.values()]
    size = max(len(row[1]) for row in rows)
    kinds = torch.stack([torch.nn.functional.pad(row[1], (0, size - len(row[1]))) for row in rows])
    positions = torch.cat([torch.nn.functional.pad(row[0], (0, 0, 0, size - len(row[1]))) for row in rows])
    energy = torch.stack([row[2] for row in rows])
    reference = energy.mean(1, keepdim=True).expand_as(energy)
    species = kinds.repeat_interleave(conformers, 0)
    return MoleculeDataset(
        torch.arange(len(rows)).repeat_interleave(conformers),
        tuple(chosen),
        positions,
        species,
        species > 0,
        (energy - reference).flatten().to(dtype),
        torch.cat([row[3] for row in rows]).to(dtype),
        reference.flatten().to(dtype),
    )


def _selection(chem: Any, wanted: int | Sequence[str], elements: tuple[str, ...], max_atoms: int) -> dict[str, Any]:
    """The molecules with hydrogens, by name."""
    known = common_molecules()
    if isinstance(wanted, str) or (not isinstance(wanted, int) and not all(isinstance(n, str) for n in wanted)):
        raise TypeError(f"expected a number of molecules or a list of names, got {wanted!r}; try ['aniline']")
    if not isinstance(wanted, int):
        missing = [name for name in wanted if name not in known]
        if missing or not len(wanted):
            raise ValueError(f"expected names among {', '.join(known)}, got {missing or 'none'}")
        found = {name: chem.AddHs(chem.MolFromSmiles(known[name])) for name in wanted}
        for name, mol in found.items():
            reason = _obstacle(chem, mol, elements, max_atoms)
            if reason:
                raise ValueError(f"expected molecules that qualify, got {name!r}, because it has {reason}")
        return found
    positive_int(wanted, "which")
    found = dict(_qualified(chem, known, elements, max_atoms, wanted))
    if len(found) < wanted:
        raise ValueError(
            f"expected at most {len(found)} molecules of at most {max_atoms} atoms of {', '.join(elements)}, got "
            f"{wanted}; try a larger max_atoms or more elements"
        )
    return found


def _qualified(
    chem: Any, known: dict[str, str], elements: tuple[str, ...], max_atoms: int, wanted: int
) -> Iterator[tuple[str, Any]]:
    for name, smiles in known.items():
        mol = chem.AddHs(chem.MolFromSmiles(smiles))
        polar = any(atom.GetAtomicNum() not in (1, 6) for atom in mol.GetAtoms())
        if polar and not _obstacle(chem, mol, elements, max_atoms):
            yield name, mol
            wanted -= 1
            if not wanted:
                return


def _obstacle(chem: Any, mol: Any, elements: tuple[str, ...], max_atoms: int) -> str:
    others = sorted({atom.GetSymbol() for atom in mol.GetAtoms()} - set(elements))
    if chem.GetFormalCharge(mol):
        return f"charge {chem.GetFormalCharge(mol):+d} and a dipole that depends on the origin"
    if others:
        return f"{', '.join(others)}, outside {', '.join(elements)}"
    return f"{mol.GetNumAtoms()} atoms, more than {max_atoms}" if mol.GetNumAtoms() > max_atoms else ""


def _sampled(
    mol: Any, conformers: int, sizes: tuple[float, float], seed: int, generator: torch.Generator, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Positions ``[k, n, 3]``, atomic numbers ``[n]``, MMFF94 energies ``[k]``, dipoles ``[k, 3]`` in Debye."""
    from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

    options: Any = rdDistGeom.ETKDGv3()
    options.randomSeed = seed + 1
    options.numThreads = 1
    minima = list(rdDistGeom.EmbedMultipleConfs(mol, min(conformers, MINIMA), options))
    if not minima:
        raise RuntimeError(f"expected RDKit to embed {mol.GetNumAtoms()} atoms, got no conformer; try another seed")
    rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(mol, numThreads=1, maxIters=500)
    properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(mol)
    field = rdForceFieldHelpers.MMFFGetMoleculeForceField(mol, properties, confId=minima[0])
    atoms = list(mol.GetAtoms())
    masses = torch.tensor([atom.GetMass() for atom in atoms], dtype=torch.float64)
    charges = torch.tensor([properties.GetMMFFPartialCharge(i) for i in range(len(atoms))], dtype=torch.float64)
    relaxed = torch.tensor([mol.GetConformer(k).GetPositions().tolist() for k in minima], dtype=torch.float64)
    x = relaxed[torch.arange(conformers) % len(minima)]
    stretch = sizes[1] * torch.rand(conformers, 1, 1, generator=generator, dtype=torch.float64)
    x = (1 + stretch) * x + sizes[0] * torch.randn(x.shape, generator=generator, dtype=torch.float64)
    x = (x - torch.einsum("n,knd->kd", masses / masses.sum(), x)[:, None]).to(dtype)
    energy = torch.tensor([field.CalcEnergy(row.flatten().tolist()) for row in x.double()], dtype=torch.float64)
    dipole = DEBYE * torch.einsum("n,knd->kd", charges, x.double())
    return x, torch.tensor([atom.GetAtomicNum() for atom in atoms]), energy, dipole
