"""SDF files: molecules with bonds and coordinates, through RDKit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..._rdkit import quiet, require_rdkit
from ..data import molecules_with
from ..data._graphs import canonical_name, output_order
from ._text import checked_clouds, read_text, write_text


def write_sdf(
    path: str | os.PathLike[str], clouds: Tensor, molecule: str, *, titles: Sequence[str] | str | None = None
) -> None:
    """Write clouds ``[M, N, 3]`` of one molecule as M records with bonds.

    Atoms that the name does not spell out (hydrogens of heavy-atom clouds) are left implicit. The coordinates decide
    about chirality: a mirrored cloud is a record of the other hand, whatever the SMILES string says.

    Args:
        path: of the file, packed where it ends in .gz; it appears whole or not at all.
        clouds: ``[M, N, 3]`` or ``[N, 3]`` in angstrom; rows beyond the molecule's atoms are dropped.
        molecule: its SMILES string, atoms in the order of the clouds, as in the names of ``conformer_ensembles``.
        titles: first lines of the records, one for all or one each; by default the SMILES string.

    Raises:
        ImportError: without rdkit, naming the extra.
        ValueError: for coordinates that are not finite, or clouds with fewer points than the molecule has atoms.
    """
    write_text(path, sdf_text(checked_clouds(clouds), molecule, titles))


def sdf_text(clouds: Tensor, name: str, titles: Sequence[str] | str | None = None) -> str:
    """The records of one molecule."""
    chem = require_rdkit()
    lines = [name if titles is None else titles] * len(clouds) if titles is None or isinstance(titles, str) else titles
    if len(lines) != len(clouds) or any("\n" in line for line in lines):
        raise ValueError(f"expected {len(clouds)} titles of one line each, got {list(lines)[:3]}")
    mol = molecules_with(name, clouds)
    blocks = []
    for conformer, title in zip(mol.GetConformers(), lines, strict=True):
        one = chem.Mol(mol, confId=conformer.GetId())
        chem.AssignStereochemistryFrom3D(one, conformer.GetId(), True)
        one.SetProp("_Name", title)
        blocks.append(chem.MolToMolBlock(one, confId=conformer.GetId()) + "$$$$\n")
    return "".join(blocks)


def parse_sdf(path: str | os.PathLike[str]) -> list[tuple[str, Tensor]]:
    """SMILES string and coordinates ``[N, 3]`` of each record, atoms in the order of the string.

    Hydrogens that have coordinates are kept.

    Raises:
        ImportError: without rdkit, naming the extra.
        ValueError: naming file and line of a record that RDKit cannot read, or one that has no third dimension.
    """
    chem = require_rdkit()
    records: list[tuple[str, Tensor]] = []
    start = 1
    for block in read_text(path).split("$$$$"):
        block = block.removeprefix("\n") if start > 1 else block
        line, start = start, start + block.count("\n") + 1
        if not block.strip():
            continue
        with quiet():
            mol: Any = chem.MolFromMolBlock(block, removeHs=False)
        where = f"in {str(path)!r}, record {len(records) + 1} from line {line}"
        if mol is None or mol.GetNumAtoms() == 0:
            raise ValueError(f"expected an MDL record of a molecule, got one that RDKit cannot read {where}")
        if any(atom.GetAtomicNum() == 0 for atom in mol.GetAtoms()):
            raise ValueError(f"expected known elements, got a dummy atom {where}")
        points = torch.tensor(mol.GetConformer().GetPositions().tolist(), dtype=torch.float64)
        if not bool(points.isfinite().all()):
            raise ValueError(f"expected finite coordinates, got nan or inf {where}")
        if not mol.GetConformer().Is3D() and not bool(points[:, 2].any()) and len(points) > 3:
            raise ValueError(
                f"expected coordinates in space, got a drawing in the plane {where}; try conformer_ensembles"
            )
        order = output_order(mol)
        records.append((canonical_name(mol), points[order]))
    return records
