"""Files and pictures of drawn clouds."""

from __future__ import annotations

from pathlib import Path

import torch

from ..._rdkit import require_rdkit
from .. import data as sources
from .._dataset import CloudDataset
from ..files import are_molecules, write_clouds
from ..pictures import draw_clouds, save_figure


def elements(data: CloudDataset) -> list[str] | None:
    """Elements of the points of data of one kind that is no molecule; carbon where nothing is known."""
    if len(data.names) > 1:
        return None
    points = data.clouds.shape[1]
    if data.context is not None and data.context.mask is not None:
        points = int(data.context.mask.sum())
    features = None if data.context is None else data.context.features
    if features is None or not _elements_known(data):
        return ["C"] * points
    symbols = [name.removeprefix("element ") for name in sources.NODE_FEATURES if name.startswith("element ")]
    found = features[0, :points, : len(symbols) + 1].argmax(-1).tolist()
    return [symbols[k] if k < len(symbols) else "X" for k in found]


def _elements_known(data: CloudDataset) -> bool:
    """Whether features are those of atoms."""
    features = None if data.context is None else data.context.features
    return features is not None and features.shape[-1] == len(sources.NODE_FEATURES)


def as_molecules(data: CloudDataset) -> CloudDataset:
    """Chains as carbon chains, so that programs draw their bonds."""
    edges = None if data.context is None else data.context.edges
    places = torch.arange(data.clouds.shape[1])
    chain = ((places[:, None] - places).abs() == 1).long()
    if are_molecules(data) or len(data.names) > 1 or edges is None or not torch.equal(edges[0], chain):
        return data
    return CloudDataset(data.clouds, data.kinds, ("C" * data.clouds.shape[1],), data.context)


def check_writable(wanted: CloudDataset, path: Path | None) -> None:
    """Refuse what a kind of file cannot hold, before drawing."""
    suffix = "" if path is None else path.suffix.lower()
    if suffix == ".sdf" or (suffix == ".pdb" and _elements_known(wanted)):
        try:
            require_rdkit()
        except ImportError as error:
            raise ValueError(str(error)) from error
    if suffix == ".sdf" and not are_molecules(as_molecules(wanted)):
        raise ValueError(
            f"expected kinds that are molecules, got {wanted.names[0]!r}, because SDF files hold bonds; try --out x.xyz"
        )
    if suffix == ".xyz" and not are_molecules(wanted) and len(wanted.names) > 1:
        raise ValueError(f"expected one kind, got {len(wanted.names)}, because of .xyz; try --kind or --out x.npz")
    if suffix == ".pdb" and are_molecules(wanted):
        if len(wanted.names) > 1:
            raise ValueError(f"expected one molecule, got {len(wanted.names)}, because of .pdb; try --kind or .sdf")
    elif suffix == ".pdb" and wanted.context is not None and _elements_known(wanted):
        raise ValueError(
            "expected molecules with bonds or protein chains, got elements without bonds, because PDB files of other "
            "clouds hold Calpha atoms; try --out x.xyz"
        )
    elif suffix == ".pdb" and wanted.context is not None and wanted.context.mask is not None:
        if len(wanted.context.mask.sum(-1).unique()) > 1:
            raise ValueError("expected kinds of one length, got several, because of .pdb; try --kind or --out x.npz")


def write(data: CloudDataset, path: Path) -> None:
    """As a data set, or as a file for other programs."""
    suffix = path.suffix.lower()
    if suffix == ".npz":
        data.save(path)
    elif suffix == ".sdf":
        write_clouds(path, as_molecules(data))
    else:
        write_clouds(path, data, elements=None if are_molecules(data) else elements(data))


def picture(data: CloudDataset, path: Path) -> str:
    """Up to twelve clouds of the first kind; its name."""
    name, shown = data.names[0], data.clouds[data.kinds == 0][:12]
    context = None if data.context is None else data.context[0]
    mask = None if context is None else context.mask
    symbols = [atom.GetSymbol() for atom in sources.molecule(name).GetAtoms()] if are_molecules(data) else None
    if symbols is not None:
        symbols += ["C"] * (shown.shape[1] - len(symbols))  # padding, not drawn
    figure = draw_clouds(
        shown, None if context is None else context.edges, symbols, mask=mask, columns=min(4, len(shown)), heading=name
    )
    save_figure(figure, path)
    return name
