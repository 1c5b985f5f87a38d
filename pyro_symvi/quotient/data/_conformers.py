"""Conformer ensembles of molecules, embedded by RDKit."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from ..._common_molecules import common_molecules
from ..._rdkit import quiet, require_rdkit
from ..._value import Value, positive_int
from .._dataset import CloudDataset
from ._cache import Entry, read_cache, write_cache
from ._graphs import canonical_name, molecule, molecule_context


@dataclass(frozen=True, eq=False, repr=False)
class MMFF(Value):
    """Relax each conformer in the Merck force field (MMFF94).

    Args:
        steps: at most so many minimiser iterations a conformer.
    """

    steps: int = 200

    def __post_init__(self) -> None:
        positive_int(self.steps, "steps")


@dataclass(frozen=True, eq=False, repr=False)
class MoleculeProblem(Value):
    """What went wrong with one molecule.

    Args:
        smiles: as it was given.
        reason: in words.
        dropped: whether the data set is without it.
    """

    smiles: str
    reason: str
    dropped: bool = True


@dataclass(frozen=True, eq=False, repr=False)
class ConformerDataset(CloudDataset):
    """A :class:`CloudDataset` of molecules: names are SMILES strings whose atoms are in the order of the clouds.
    Shapes as there.

    ``problems`` lists the molecules that are missing or incomplete and why. ``molecule(name)`` is the RDKit Mol.
    """

    problems: tuple[MoleculeProblem, ...] = ()


def conformer_ensembles(
    smiles: Sequence[str] | None = None,
    *,
    conformers: int = 50,
    seed: int = 0,
    heavy_only: bool = True,
    optimise: MMFF | None = MMFF(),
    cache: str | os.PathLike[str] | None = None,
    progress: bool = False,
    dtype: torch.dtype = torch.float32,
) -> ConformerDataset:
    """ETKDG ensembles: conformers of molecules as RDKit's ETKDGv3 embeds them, all hydrogens present meanwhile.

    ETKDG draws from distance bounds and torsion preferences of crystal structures. It is no sampler of a Boltzmann
    law, at no temperature, relaxed or not. Units are angstrom; clouds are centred, in the pose RDKit gave them.

    The result is a function of the arguments and of RDKit's version: each molecule's draws depend on ``seed`` and on
    the molecule alone, not on the others in the list. A chiral centre or double bond whose configuration the SMILES
    string fixes keeps it (conformers in which relaxation lost it are dropped); where the string leaves it open,
    both hands occur. Molecules that cannot be read or embedded are left out and listed in ``problems``.

    Args:
        smiles: SMILES strings, one molecule each; None for the built-in list, ``common_molecules()``.
        conformers: of each molecule.
        seed: of the embedding.
        heavy_only: leave out hydrogens from the clouds (not from the embedding).
        optimise: the relaxation, None for none. Molecules the force field has no parameters for stay as embedded.
        cache: an .npz file that keeps what was embedded, with the settings it was made with. It is written every
            20 seconds, whole or not at all: after an interruption the same call goes on from there.
        progress: show a progress bar.
        dtype: of the clouds.

    Returns:
        A data set of one kind a molecule: context with mask, features (:data:`NODE_FEATURES`), edges
        (:data:`EDGE_KINDS`).

    Raises:
        ImportError: without rdkit, naming the extra.
        TypeError: for one string in place of a list.
        ValueError: if no molecule is left, or the cache was made with other settings.

    Source: Wang, Witek, Landrum and Riniker, J. Chem. Inf. Model. 60 (2020) 2044 (ETKDGv3); Halgren, J. Comput. Chem.
    17 (1996) 490 (MMFF94).
    """
    require_rdkit()
    if isinstance(smiles, str):
        raise TypeError(f"expected a list of SMILES strings, got {smiles!r}; try [{smiles!r}]")
    if optimise is not None and not isinstance(optimise, MMFF):
        raise TypeError(f"expected MMFF(...) or None, got {optimise!r}; try optimise=MMFF()")
    positive_int(conformers, "conformers")
    positive_int(seed, "seed", minimum=0)
    wanted = list(common_molecules().values()) if smiles is None else [str(s) for s in smiles]
    settings = _settings(conformers, seed, heavy_only, optimise)
    entries = {} if cache is None else read_cache(cache, settings)
    missing = [s for s in dict.fromkeys(wanted) if s not in entries]
    saved = time.monotonic()
    for text in tqdm(missing, desc="ETKDG", unit="molecule", disable=not progress):
        entries[text] = _embed(text, conformers, seed, heavy_only, optimise)
        if cache is not None and time.monotonic() - saved > 20:
            write_cache(cache, settings, entries)
            saved = time.monotonic()
    if cache is not None and missing:
        write_cache(cache, settings, entries)
    return _collect(wanted, entries, conformers, dtype)


def _settings(conformers: int, seed: int, heavy_only: bool, optimise: MMFF | None) -> str:
    from rdkit import rdBase

    return (
        f"ETKDGv3 conformers={conformers} seed={seed} heavy_only={heavy_only} optimise={optimise!r} "
        f"rdkit={rdBase.rdkitVersion}"
    )


def _collect(wanted: Sequence[str], entries: dict[str, Entry], conformers: int, dtype: torch.dtype) -> ConformerDataset:
    """One kind for each molecule, in the order of the list."""
    found: dict[str, Tensor] = {}
    problems = []
    for text in wanted:
        entry = entries[text]
        if entry.name in found:
            problems.append(MoleculeProblem(text, f"the same molecule, {entry.name}, came before in the list"))
            continue
        if entry.problem:
            problems.append(MoleculeProblem(text, entry.problem, dropped=not len(entry.clouds)))
        if len(entry.clouds):
            found[entry.name] = torch.from_numpy(entry.clouds)
    if not found:
        shown = "; ".join(f"{p.smiles}: {p.reason}" for p in problems[:3])
        raise ValueError(f"expected at least one molecule that can be embedded, got none ({shown or 'an empty list'})")
    points = max(cloud.shape[1] for cloud in found.values())
    clouds = torch.cat([torch.nn.functional.pad(cloud, (0, 0, 0, points - cloud.shape[1])) for cloud in found.values()])
    kinds = torch.repeat_interleave(torch.arange(len(found)), torch.tensor([len(c) for c in found.values()]))
    context = molecule_context(list(found), points=points, dtype=dtype)
    return ConformerDataset(clouds.to(dtype), kinds, tuple(found), context, tuple(problems))


def _embed(text: str, conformers: int, seed: int, heavy_only: bool, optimise: MMFF | None) -> Entry:
    """One molecule's conformers, or why there are none."""
    chem = require_rdkit()
    from rdkit.Chem import rdDistGeom

    with quiet():
        try:
            mol = molecule(canonical_name(chem.RemoveHs(molecule(text))))
            if not heavy_only:
                mol = molecule(canonical_name(chem.AddHs(mol)))
        except Exception as error:
            return Entry("", problem=str(error).strip().replace("\n", " "))
        name, atoms = canonical_name(mol), mol.GetNumAtoms()
        mol = molecule(name)
        if "." in name:
            return Entry(name, problem="it has several fragments, which have no common shape; try its largest one")
        if atoms < 2:
            return Entry(name, problem="it has a single atom in the cloud, which has no shape")
        full = chem.AddHs(mol)
        parameters: Any = rdDistGeom.ETKDGv3()
        parameters.numThreads = 1
        parameters.randomSeed = int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:4]) % (2**31 - 1)
        try:
            found = list(rdDistGeom.EmbedMultipleConfs(full, conformers, parameters))
            if not found:
                parameters.useRandomCoords = True
                found = list(rdDistGeom.EmbedMultipleConfs(full, conformers, parameters))
        except Exception as error:
            return Entry(name, problem=f"RDKit cannot embed it: {str(error).strip()}")
        notes = [] if found else ["RDKit found no conformer"]
        if found and optimise is not None and not _relax(full, optimise):
            notes.append("MMFF has no parameters for it, so its conformers are as embedded")
        kept = [k for k in found if _keeps_configuration(full, k)]
        if found and len(kept) < conformers:
            notes.append(f"{len(kept)} of {conformers} conformers")
    clouds = torch.tensor([full.GetConformer(k).GetPositions()[:atoms].tolist() for k in kept], dtype=torch.float64)
    clouds = clouds.reshape(len(kept), atoms, 3)
    return Entry(name, (clouds - clouds.mean(-2, keepdim=True)).float().numpy(), "; ".join(notes))


def _relax(full: Any, optimise: MMFF) -> bool:
    from rdkit.Chem import rdForceFieldHelpers

    if not rdForceFieldHelpers.MMFFHasAllMoleculeParams(full):
        return False
    rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(full, numThreads=1, maxIters=optimise.steps)
    return True


def _keeps_configuration(full: Any, conformer: int) -> bool:
    """Whether the chiral centres and double bonds that the SMILES string fixes are so in space."""
    chem = require_rdkit()
    seen = chem.Mol(full, confId=conformer)
    identifier = seen.GetConformer().GetId()
    chem.AssignStereochemistryFrom3D(seen, identifier, True)
    chem.AssignAtomChiralTagsFromStructure(seen, identifier, True)  # uncleaned: also centres that others make chiral
    unspecified = chem.ChiralType.CHI_UNSPECIFIED
    for before, after in zip(full.GetAtoms(), seen.GetAtoms(), strict=True):
        if before.GetChiralTag() != unspecified and before.GetChiralTag() != after.GetChiralTag():
            return False
    fixed = (chem.BondStereo.STEREOE, chem.BondStereo.STEREOZ)
    for old, new in zip(full.GetBonds(), seen.GetBonds(), strict=True):
        if old.GetStereo() in fixed and old.GetStereo() != new.GetStereo():
            return False
    return True
