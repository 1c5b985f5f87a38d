"""Automorphisms of molecular graphs: which atoms may change places in an RMSD."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from ..._value import positive_int
from .._context import Context


def automorphisms(molecule: Any, *, limit: int = 1000) -> Tensor:
    """Renumberings of the atoms of a molecule that keep elements, charges and bonds, ``[A, N]`` int64, identity first.

    Found by RDKit's substructure match of the molecule onto itself. As in ``GetBestRMS``, the atoms of conjugated
    terminal groups (acids, nitro groups, phosphates) may change places, and stereo marks are not looked at.

    Args:
        molecule: an RDKit Mol, or a SMILES string whose atoms are those of the clouds. Heavy atoms alone are usual:
            with hydrogens each methyl group multiplies the number by 6.
        limit: at most so many. Where there are more, a warning says that a ``symmetric_rmsd`` over them is an upper
            bound.

    Raises:
        ImportError: without rdkit, naming the extra.
        ValueError: for a string that is not SMILES.
    """
    from ..data import molecule as parsed

    chem = _rdkit()
    mol = chem.Mol(parsed(molecule) if isinstance(molecule, str) else molecule)
    for atom in mol.GetAtoms():
        near = [bond for bond in atom.GetBonds() if _terminal(bond.GetOtherAtom(atom))]
        if len(near) > 1 and any(bond.GetBondType() == chem.BondType.DOUBLE for bond in near):
            for bond in near:
                bond.SetBondType(chem.BondType.ONEANDAHALF)
                bond.GetOtherAtom(atom).SetFormalCharge(0)
    return _self_matches(mol, limit, mol.GetNumAtoms())


def graph_automorphisms(context: Context, *, limit: int = 1000) -> Tensor:
    """Renumberings of the points of one cloud that keep its features and edges, ``[A, N]``, identity first.

    Args:
        context: of one cloud, no batch dimension. Points with equal features are of one kind; masked points stay.
            Without edges and features, only the identity is returned: nothing is known of what may change places.
        limit: as for ``automorphisms``.

    Features that name each point (its place in a chain) leave the identity alone; for molecules, features that
    tell hydrogens or charges apart allow fewer renumberings than ``automorphisms``.

    Raises:
        ValueError: for the context of several clouds, and for too many kinds of points or edges.
    """
    shape = context.shape
    if shape is None or len(shape) != 1:
        raise ValueError(f"expected the context of one cloud [N], got {shape and list(shape)}; try context[0]")
    count = shape[0]
    there = torch.arange(count) if context.mask is None else context.mask.nonzero()[:, 0].cpu()
    if context.edges is None:
        return torch.arange(count)[None]
    kinds = torch.zeros(len(there), dtype=torch.int64)
    if context.features is not None:
        kinds = torch.unique(context.features.cpu()[there], dim=0, return_inverse=True)[1]
    chem = _rdkit()
    colours = [chem.BondType.values[k] for k in sorted(chem.BondType.values) if 0 < k < 17]
    edges = context.edges.cpu()[there][:, there]
    names = edges.unique().tolist()
    if int(kinds.max()) >= 100 or len(names) > len(colours):
        raise ValueError(
            f"expected at most 100 kinds of points and {len(colours)} of edges, got {int(kinds.max()) + 1} and "
            f"{len(names)}; try automorphisms(molecule)"
        )
    mol = chem.RWMol()
    for kind in kinds.tolist():
        atom = chem.Atom(kind + 1)
        atom.SetNoImplicit(True)
        mol.AddAtom(atom)
    for i, j in torch.triu(edges != 0, diagonal=1).nonzero().tolist():
        mol.AddBond(i, j, colours[names.index(int(edges[i, j]))])
    found = _self_matches(mol, limit, len(there))
    full = torch.arange(count).repeat(len(found), 1)
    full[:, there] = there[found]
    return full


def _self_matches(mol: Any, limit: int, count: int) -> Tensor:
    positive_int(limit, "limit")
    matches = mol.GetSubstructMatches(mol, uniquify=False, useChirality=False, maxMatches=limit + 1)
    if len(matches) > limit:
        warnings.warn(
            f"the graph of {count} points has more than {limit} automorphisms: only so many are used, and an RMSD "
            "over them is an upper bound; try heavy atoms alone, or a larger limit",
            stacklevel=3,
        )
    identity = tuple(range(count))
    others = [match for match in matches if match != identity]
    return torch.tensor([identity, *others[: limit - 1]], dtype=torch.int64)


def _terminal(atom: Any) -> bool:
    """Whether it is an oxygen or nitrogen with one neighbour."""
    return bool(atom.GetDegree() == 1 and atom.GetSymbol() in ("O", "N"))


def _rdkit() -> Any:
    try:
        from rdkit import Chem
    except ImportError as error:
        raise ImportError(
            "expected rdkit to be installed, because it finds the automorphisms of a graph; "
            "try pip install 'pyro-symvi[molecules]'"
        ) from error
    return Chem
