"""Any of the files as a data set, and a data set as files."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from ..._rdkit import require_rdkit
from .._context import Context
from .._dataset import CloudDataset
from ..data import NODE_FEATURES, molecule, molecule_context
from ..data._graphs import ELEMENTS, molecules_with
from ._pdb import RESIDUES, parse_pdb, write_pdb
from ._sdf import parse_sdf, sdf_text
from ._text import checked_clouds, suffix_of, write_text
from ._xyz import Frame, parse_xyz

_KNOWN = ".sdf, .xyz, .pdb (also with .gz)"


def read_clouds(path: str | os.PathLike[str], *, dtype: torch.dtype = torch.float32) -> CloudDataset:
    """The clouds of an SDF, XYZ or PDB file, packed with gzip or not; kinds are told by the suffix. In angstrom.

    - SDF: one kind a molecule; names are SMILES strings whose atoms are in the order of the clouds, hydrogens of the
      file kept; context as of ``conformer_ensembles``. Needs rdkit.
    - XYZ: one kind a sequence of elements; context with the elements among the same features, no edges.
    - PDB: Calpha traces; one kind for each chain and sequence, its models the clouds; context with residue types
      (one-hot) and edges of kind 1 between neighbours.

    Coordinates are as in the file, not centred; clouds are padded to the longest.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: naming the file, and the line where there is one, for what cannot be read: another suffix, an
            empty or damaged file, missing or non-finite numbers, unknown elements.
    """
    suffix = suffix_of(path)
    if suffix in (".sdf", ".mol"):
        records = parse_sdf(path)
        names = list(dict.fromkeys(name for name, _ in records))
        clouds = [points for _, points in records]
        kinds = [names.index(name) for name, _ in records]
        return _padded(clouds, kinds, names, molecule_context(names, dtype=dtype), dtype)
    if suffix == ".xyz":
        return _from_frames(parse_xyz(path), ELEMENTS, dtype, chain=False)
    if suffix in (".pdb", ".ent"):
        return _from_frames(parse_pdb(path), RESIDUES, dtype, chain=True)
    raise ValueError(f"expected a file of kind {_KNOWN}, got {str(path)!r}")


def write_clouds(path: str | os.PathLike[str], dataset: CloudDataset, *, elements: Sequence[str] | None = None) -> None:
    """Write a data set as one SDF, XYZ or PDB file, told by the suffix; masked points are left out.

    - SDF: names of kinds must be SMILES strings.
    - XYZ: elements from the SMILES names, else ``elements`` (one a point).
    - PDB: molecules by RDKit, one kind a file; other clouds as models of one Calpha trace, all of the same length.

    Raises:
        ValueError: for other suffixes and names, or clouds of unequal length in a PDB file.
    """
    suffix, chunks = suffix_of(path), []
    if suffix in (".sdf", ".mol"):
        for kind, name in enumerate(dataset.names):
            chosen = dataset.clouds[dataset.kinds == kind]
            chunks.append(sdf_text(checked_clouds(chosen), name) if len(chosen) else "")
        write_text(path, "".join(chunks))
    elif suffix == ".xyz":
        for cloud, kind in zip(checked_clouds(dataset.clouds), dataset.kinds.tolist(), strict=True):
            name = dataset.names[kind]
            symbols = list(elements or []) or [atom.GetSymbol() for atom in molecule(name).GetAtoms()]
            if len(symbols) > len(cloud):
                raise ValueError(f"expected at least {len(symbols)} points, one an element, got {len(cloud)}")
            points = cloud[: len(symbols)].tolist()
            rows = [f"{s:<2} {x:14.6f} {y:14.6f} {z:14.6f}" for s, (x, y, z) in zip(symbols, points, strict=True)]
            chunks.append("\n".join([str(len(rows)), name, *rows]) + "\n")
        write_text(path, "".join(chunks))
    elif suffix in (".pdb", ".ent") and are_molecules(dataset):
        if len(dataset.names) > 1:
            raise ValueError(
                f"expected one molecule, got {len(dataset.names)}, because of {suffix}; try .sdf, or of_kinds"
            )
        mol = molecules_with(dataset.names[0], checked_clouds(dataset.clouds))
        write_text(path, require_rdkit().MolToPDBBlock(mol))
    elif suffix in (".pdb", ".ent"):
        sizes = dataset.clouds.shape[1]
        if dataset.context is not None and dataset.context.mask is not None:
            lengths = dataset.context.mask.sum(-1).unique().tolist()
            if len(lengths) > 1:
                raise ValueError(f"expected clouds of one length, got {lengths}; try dataset.of_kinds(...) for each")
            sizes = int(lengths[0])
        write_pdb(path, dataset.clouds[:, :sizes], _residues(dataset, sizes))
    else:
        raise ValueError(f"expected a file of kind {_KNOWN}, got {str(path)!r}")


def _residues(dataset: CloudDataset, points: int) -> list[str] | None:
    """The residues of data of one kind that was read from a PDB file; None where they are not known."""
    features = None if dataset.context is None else dataset.context.features
    if len(dataset.names) > 1 or features is None or features.shape[-1] != len(RESIDUES):
        return None
    rows = features[0, :points]
    return [RESIDUES[int(row.argmax())] if bool(row.any()) else "UNK" for row in rows]


def are_molecules(dataset: CloudDataset) -> bool:
    """Whether names are SMILES strings of at most as many atoms as the clouds have points (and RDKit is there)."""
    try:
        sizes = [molecule(name).GetNumAtoms() for name in dataset.names]
    except (ValueError, ImportError):
        return False
    return max(sizes) <= dataset.clouds.shape[1]


def _from_frames(frames: list[Frame], alphabet: Sequence[str], dtype: torch.dtype, *, chain: bool) -> CloudDataset:
    keys: list[Hashable] = [(frame.title if chain else "", frame.symbols) for frame in frames]
    unique = list(dict.fromkeys(keys))
    first = [frames[keys.index(key)] for key in unique]
    titles = [frame.title or f"cloud {k + 1}" for k, frame in enumerate(first)]
    names = [title if titles.count(title) == 1 else f"{title} ({k + 1})" for k, title in enumerate(titles)]
    points = max(len(frame.symbols) for frame in frames)
    width = len(alphabet) if chain else len(NODE_FEATURES)
    features = torch.zeros(len(first), points, width, dtype=dtype)
    mask = torch.zeros(len(first), points, dtype=torch.bool)
    for k, frame in enumerate(first):
        mask[k, : len(frame.symbols)] = True
        for n, symbol in enumerate(frame.symbols):
            if symbol in alphabet:
                features[k, n, list(alphabet).index(symbol)] = 1
            elif not chain:
                features[k, n, len(alphabet)] = 1
    edges = None
    if chain:
        places = torch.arange(points)
        edges = ((places[:, None] - places).abs() == 1).long() * (mask[:, :, None] & mask[:, None, :])
    clouds = [torch.tensor(frame.points, dtype=torch.float64) for frame in frames]
    context = Context(mask=mask, features=features, edges=edges)
    return _padded(clouds, [unique.index(key) for key in keys], names, context, dtype)


def _padded(
    clouds: Sequence[Tensor], kinds: Sequence[int], names: Sequence[str], context: Context, dtype: torch.dtype
) -> CloudDataset:
    points = max(len(cloud) for cloud in clouds)
    padded = torch.stack([torch.nn.functional.pad(cloud, (0, 0, 0, points - len(cloud))) for cloud in clouds])
    return CloudDataset(padded.to(dtype), torch.tensor(kinds, dtype=torch.int64), tuple(names), context)
