"""Networks and samplers of the commands: what fits the data, what a file holds, draws."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import data as sources
from .._context import Context
from .._dataset import CloudDataset
from .._priors import GaussianPrior, HarmonicPrior, Prior
from .._process import Diffusion
from ..data._graphs import canonical_name
from ..losses import AF3Aligned, GeoDiffAligned, Loss, OrbitAveraged, Plain, Quotient
from ..networks import CloudNetwork, EquivariantNetwork, PointTransformer
from ..samplers import ODESampler, Sampler, SDESampler
from ..training import SavedModel, load_model
from ._arguments import LOSSES
from ._data import check_fits

CHUNK = 256
"""Clouds that are drawn at once."""
FIELDS = ("mask", "features", "edges")


# -- training --------------------------------------------------------------------------------------------------------


def loss_of(name: str) -> Loss:
    """The loss of a name on the command line."""
    losses = dict(zip(LOSSES, (Quotient(), Plain(), GeoDiffAligned(), AF3Aligned(), OrbitAveraged()), strict=True))
    return losses[name]


def network_kind(options: argparse.Namespace) -> type[CloudNetwork]:
    """The network of a name on the command line."""
    return EquivariantNetwork if options.network == "equivariant" else PointTransformer


def made_for(data: CloudDataset, options: argparse.Namespace) -> tuple[Diffusion, CloudNetwork]:
    """A process and a network in the units of the data: scales from its clouds, sizes from its contexts."""
    if data.clouds.shape[-1] != 3:
        raise ValueError(f"expected clouds in space [M, N, 3], got {list(data.clouds.shape)}")
    prior: Prior = _harmonic(data) if options.prior == "harmonic" else GaussianPrior(data.scale())
    diffusion = Diffusion(prior=prior)
    fitting = {"width": options.width, "layers": options.layers, "seed": options.seed}
    return diffusion, network_kind(options).for_dataset(data, diffusion, **fitting)


def _harmonic(data: CloudDataset) -> HarmonicPrior:
    """The prior whose bonds have the data's mean square length."""
    if data.context is None or data.context.edges is None:
        raise ValueError("expected data with bonds, got none, because of --prior harmonic; try --prior gaussian")
    x, kinds = data.clouds[:1000], data.kinds[:1000]
    bonds = data.context.edges[kinds] != 0
    return HarmonicPrior(3 / float((torch.cdist(x, x).square() * bonds).sum() / bonds.sum()))


def notes(data: CloudDataset, options: argparse.Namespace) -> dict[str, Any]:
    """What a model's file says of its data: all that is needed to draw from it."""
    context = {} if data.context is None else {name: getattr(data.context, name) for name in FIELDS}
    return {
        "data": options.data,
        "loss": options.loss,
        "steps": options.steps,
        "points": data.clouds.shape[1],
        "names": list(data.names),
        "context": {name: field for name, field in context.items() if field is not None},
    }


# -- drawing ---------------------------------------------------------------------------------------------------------


def load(path: Path) -> SavedModel:
    """A model that ``train`` wrote."""
    try:
        model = load_model(path)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise ValueError(
            f"expected a model written by quotient train, got {str(path)!r}, which is not there"
        ) from error
    if "names" not in model.metadata or "points" not in model.metadata:
        raise ValueError(
            f"expected a model written by quotient train, got {str(path)!r}, which does not name its kinds"
        )
    return model


def kinds_of(model: SavedModel) -> CloudDataset:
    """The kinds a model was trained on, without clouds."""
    fields, names = model.metadata["context"], tuple(model.metadata["names"])
    points = int(model.metadata["points"])
    return CloudDataset(
        torch.zeros(0, points, 3), torch.zeros(0, dtype=torch.int64), names, Context(**fields) if fields else None
    )


def wanted_kinds(model: SavedModel, chosen: Sequence[str] | None, smiles: Sequence[str] | None) -> CloudDataset:
    """Kinds by name, or new molecules."""
    trained = kinds_of(model)
    if smiles:
        if getattr(model.network, "features", None) != len(sources.NODE_FEATURES):
            raise ValueError("expected a model trained on molecules, got another, because of --smiles; try --kind")
        try:
            names = [canonical_name(sources.molecule(text)) for text in smiles]
            context = sources.molecule_context(names)
        except ImportError as error:
            raise ValueError(str(error)) from error
        check_fits(model, context)
        points = max(sources.molecule(name).GetNumAtoms() for name in names)
        empty = torch.zeros(0, points, 3)
        return CloudDataset(empty, torch.zeros(0, dtype=torch.int64), tuple(names), context)
    if not chosen:
        return trained
    unknown = [name for name in chosen if name not in trained.names]
    if unknown:
        known = ", ".join(trained.names[:8]) + (", ..." if len(trained.names) > 8 else "")
        raise ValueError(f"expected kinds that the model was trained on ({known}), got {', '.join(unknown)}")
    return trained.of_kinds([trained.names.index(name) for name in chosen])


def sampler_of(options: argparse.Namespace) -> Sampler:
    """The sampler of the options."""
    if options.number < 1:
        raise ValueError(f"expected -n >= 1, got {options.number}")
    kind: type[Any] = ODESampler if options.sampler == "ode" else SDESampler
    return kind() if options.steps is None else kind(options.steps)


def draw(
    model: SavedModel, wanted: CloudDataset, number: int, sampler: Sampler, options: argparse.Namespace
) -> CloudDataset:
    """``number`` clouds of each kind of ``wanted``."""
    generator = torch.Generator().manual_seed(options.seed)
    kinds = torch.arange(len(wanted.names)).repeat_interleave(number)
    parts: list[Tensor] = []
    for index in kinds.split(CHUNK):
        context = None if wanted.context is None else wanted.context[index]
        shape = (len(index), wanted.clouds.shape[1], 3)
        parts.append(
            sampler.sample(model.diffusion, model.ema, shape, context, generator=generator, progress=options.progress)
        )
    return CloudDataset(torch.cat(parts), kinds, wanted.names, wanted.context)
