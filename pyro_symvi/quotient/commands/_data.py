"""Data of the commands, by name or file."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from .. import data as sources
from .._context import Context
from .._dataset import CloudDataset
from ..files import read_clouds
from ..training import SavedModel
from ._arguments import FILES


def read_data(text: str, options: argparse.Namespace) -> CloudDataset:
    """Built-in clouds by name, or those of a file."""
    if options.clouds is not None and options.clouds < 1:
        raise ValueError(f"expected --clouds >= 1, got {options.clouds}")
    generator = torch.Generator().manual_seed(options.data_seed)
    try:
        if text == "torsion-chain":
            return sources.torsion_chains(options.clouds or 10_000, generator=generator)
        if text == "bent-chain":
            return sources.bent_chains(options.clouds or 10_000, generator=generator)
        if text == "proteins":
            return sources.protein_fragments(options.length)
        known = sources.common_molecules()
        if text == "molecules" or text in known:
            return sources.conformer_ensembles(
                None if text == "molecules" else [known[text]],
                conformers=options.clouds or 50,
                seed=options.data_seed,
                cache=options.cache,
                progress=getattr(options, "progress", False),
            )
        path = Path(text)
        if path.suffix.lower() == ".npz":
            return CloudDataset.load(path)
        if path.suffix and (path.exists() or path.suffix.lower() in FILES):
            return read_clouds(path)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise ValueError(f"expected a file of clouds, got {text!r}, which is not there") from error
    except ImportError as error:
        raise ValueError(str(error)) from error
    near = [name for name in ("torsion-chain", "bent-chain", "molecules", "proteins", *known) if text.lower() in name]
    raise ValueError(
        f"expected torsion-chain, bent-chain, molecules, proteins, a common molecule or a file ({', '.join(FILES)}), "
        f"got {text!r}; try {', '.join(near[:5]) or 'butane'}"
    )


def described(data: CloudDataset) -> str:
    """One line on a data set."""
    sizes = [data.clouds.shape[1]] * 2
    if data.context is not None and data.context.mask is not None:
        counts = data.context.mask.sum(-1)
        sizes = [int(counts.min()), int(counts.max())]
    points = f"{sizes[0]}" if sizes[0] == sizes[1] else f"{sizes[0]} to {sizes[1]}"
    return f"{len(data)} clouds of {len(data.names)} kind(s), {points} points"


def references(data: CloudDataset, model: SavedModel, options: argparse.Namespace) -> CloudDataset:
    """Some clouds of some kinds, of which the model can be told what it needs."""
    data = data.of_kinds(range(min(len(data.names), options.kinds)))
    check_fits(model, data.context)
    generator = torch.Generator().manual_seed(options.data_seed)
    kept = []
    for kind in range(len(data.names)):
        index = (data.kinds == kind).nonzero()[:, 0]
        kept.append(index[torch.randperm(len(index), generator=generator)[: options.references]])
    index = torch.cat(kept)
    return CloudDataset(data.clouds[index], data.kinds[index], data.names, data.context)


def check_fits(model: SavedModel, context: Context | None) -> None:
    features = 0 if context is None or context.features is None else context.features.shape[-1]
    edges = 0 if context is None or context.edges is None else int(context.edges.max())
    want_features, want_edges = getattr(model.network, "features", 0), getattr(model.network, "edge_kinds", 0)
    if features != want_features or (edges == 0) != (want_edges == 0) or edges > want_edges:
        raise ValueError(
            f"expected data with {want_features} features a point and edges of kinds 0..{want_edges}, got {features} "
            f"and 0..{edges}, because the model was trained on such; try the data of the same source"
        )
