"""Molecules as graphs: node features, edge kinds, and names from which a molecule is made again, atom by atom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..._rdkit import quiet, require_rdkit
from .._context import Context

ELEMENTS = ("H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Br", "I")
"""Elements with a feature of their own; all others share one."""

NODE_FEATURES = (
    *(f"element {symbol}" for symbol in ELEMENTS),
    "another element",
    *(f"degree {k}" for k in range(1, 5)),
    "hydrogens / 4",
    "aromatic",
    "formal charge",
    "in a ring",
    *(f"ring of {k}" for k in range(3, 8)),
    *(f"hybridisation {kind}" for kind in ("sp", "sp2", "sp3")),
    "centre R",
    "centre S",
)
"""Names of the columns of ``Context.features`` of molecules.

R and S do not depend on the order of atoms, unlike the tag of a SMILES string (@, @@).
"""

EDGE_KINDS = ("none", "single", "double", "triple", "aromatic", "double E", "double Z")
"""Names of the values of ``Context.edges`` of molecules; 0 is no bond."""


def molecule(name: str) -> Any:
    """The RDKit Mol of a kind's name (a SMILES string as the data sets write them), atoms in the order of the clouds.

    Hydrogens that the string spells out are atoms. Raises ValueError for strings that are not SMILES.

    Raises:
        ValueError: for a string that RDKit cannot read.
    """
    chem = require_rdkit()
    parameters = chem.SmilesParserParams()
    parameters.removeHs = False
    with quiet():
        mol = chem.MolFromSmiles(name, parameters) if name else None
    if mol is None:
        raise ValueError(f"expected a SMILES string, got {name!r}, because RDKit cannot read it; try another spelling")
    return mol


def molecules_with(name: str, clouds: Tensor) -> Any:
    """The RDKit Mol of a name with one conformer for each cloud ``[M, N, 3]``; rows beyond its atoms are dropped.

    RDKit's ``GetBestRMS`` and ``SDWriter`` take it as it is.

    Raises:
        ValueError: unless the clouds are ``[M, N, 3]`` with a point for each atom.
    """
    chem = require_rdkit()
    mol = chem.Mol(molecule(name))
    atoms = mol.GetNumAtoms()
    if clouds.ndim != 3 or clouds.shape[1] < atoms or clouds.shape[2] != 3:
        raise ValueError(f"expected clouds [M, N, 3] of at least {atoms} points, got {list(clouds.shape)} for {name!r}")
    for cloud in clouds[:, :atoms].double().cpu().numpy():
        conformer = chem.Conformer(atoms)
        conformer.SetPositions(cloud)
        conformer.Set3D(True)
        mol.AddConformer(conformer, assignId=True)
    return mol


def canonical_name(mol: Any) -> str:
    """The SMILES string of a molecule. Read by :func:`molecule`, its atoms are in the order of the string."""
    return str(require_rdkit().MolToSmiles(mol))


def output_order(mol: Any) -> list[int]:
    """For each atom of ``molecule(canonical_name(mol))`` its index in mol."""
    require_rdkit().MolToSmiles(mol)
    return [int(k) for k in mol.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"]]


def molecule_context(names: Sequence[str], *, points: int | None = None, dtype: torch.dtype = torch.float32) -> Context:
    """What is known of molecules: features ``[K, N, F]`` (:data:`NODE_FEATURES`), edges (:data:`EDGE_KINDS`), mask.

    Args:
        names: SMILES strings.
        points: N; by default the largest number of atoms.
    """
    mols = [molecule(name) for name in names]
    sizes = [mol.GetNumAtoms() for mol in mols]
    n = max(sizes) if points is None else points
    features = torch.zeros(len(mols), n, len(NODE_FEATURES), dtype=dtype)
    edges = torch.zeros(len(mols), n, n, dtype=torch.int64)
    mask = torch.arange(n) < torch.tensor(sizes)[:, None]
    for k, mol in enumerate(mols):
        features[k, : sizes[k]] = _node_features(mol).to(dtype)
        edges[k, : sizes[k], : sizes[k]] = _edges(mol)
    return Context(mask=mask, features=features, edges=edges)


def _node_features(mol: Any) -> Tensor:
    chem = require_rdkit()
    hybridisations = [chem.HybridizationType.SP, chem.HybridizationType.SP2, chem.HybridizationType.SP3]
    labels = chiral_labels(mol)
    rings = mol.GetRingInfo()
    rows = []
    for atom in mol.GetAtoms():
        symbol, index = atom.GetSymbol(), atom.GetIdx()
        label = labels.get(index, "")
        rows.append(
            [
                *(symbol == element for element in ELEMENTS),
                symbol not in ELEMENTS,
                *(min(atom.GetDegree(), 4) == k for k in range(1, 5)),
                atom.GetTotalNumHs(includeNeighbors=True) / 4,
                atom.GetIsAromatic(),
                atom.GetFormalCharge(),
                atom.IsInRing(),
                *(rings.IsAtomInRingOfSize(index, size) for size in range(3, 8)),
                *(atom.GetHybridization() == kind for kind in hybridisations),
                label == "R",
                label == "S",
            ]
        )
    return torch.tensor([[float(entry) for entry in row] for row in rows])


def chiral_labels(mol: Any) -> dict[int, str]:
    """R or S of each chiral atom with a known hand, by the Cahn-Ingold-Prelog rules."""
    from rdkit.Chem import rdCIPLabeler

    rdCIPLabeler.AssignCIPLabels(mol)
    labels = {atom.GetIdx(): atom.GetProp("_CIPCode") for atom in mol.GetAtoms() if atom.HasProp("_CIPCode")}
    return {index: label for index, label in labels.items() if label in "RS"}


def _edges(mol: Any) -> Tensor:
    chem = require_rdkit()
    kinds = {chem.BondType.SINGLE: 1, chem.BondType.DOUBLE: 2, chem.BondType.TRIPLE: 3, chem.BondType.AROMATIC: 4}
    stereo = {chem.BondStereo.STEREOE: 5, chem.BondStereo.STEREOTRANS: 5}
    stereo |= {chem.BondStereo.STEREOZ: 6, chem.BondStereo.STEREOCIS: 6}
    edges = torch.zeros(mol.GetNumAtoms(), mol.GetNumAtoms(), dtype=torch.int64)
    for bond in mol.GetBonds():
        kind = stereo.get(bond.GetStereo(), kinds.get(bond.GetBondType(), 1))
        edges[bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()] = kind
        edges[bond.GetEndAtomIdx(), bond.GetBeginAtomIdx()] = kind
    return edges
