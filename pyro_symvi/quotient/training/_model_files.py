"""A trained model in one file: all that a sampler needs."""

from __future__ import annotations

import copy
import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ... import _weight_files
from .._process import Diffusion
from ._plain_values import from_plain, to_plain

_FORMAT = "pyro_symvi.quotient model 1"


@dataclass(frozen=True)
class SavedModel:
    """A model as ``load_model`` gives it back.

    Attributes:
        diffusion: the process it denoises for.
        network: with the weights of the last step, in evaluation mode.
        ema: with the averaged weights, in evaluation mode: the denoiser for samplers. ``network`` where none was saved.
        metadata: what was noted beside it (names of kinds, units).
    """

    diffusion: Diffusion
    network: torch.nn.Module
    ema: torch.nn.Module
    metadata: dict[str, Any]


def save_model(
    path: str | os.PathLike[str],
    diffusion: Diffusion,
    network: torch.nn.Module,
    *,
    ema: torch.nn.Module | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write diffusion, the network's ``config`` where it has one, weights and notes into one file.

    The file appears whole or not at all and opens with ``torch.load(path, weights_only=True)``.

    Args:
        path: a file.
        diffusion: made of values of this package.
        network: of ``pyro_symvi.quotient.networks``, or any other module (then ``load_model`` needs it made again).
        ema: of the same kind, with averaged weights.
        metadata: plain numbers, strings, tensors, lists and dictionaries.

    Raises:
        TypeError: for what cannot be read back without running code.
    """
    if not isinstance(diffusion, Diffusion):
        raise TypeError(f"expected a Diffusion, got {diffusion!r}; try the one the network was trained for")
    for name, module in (("network", network), ("ema", network if ema is None else ema)):
        if not isinstance(module, torch.nn.Module):
            raise TypeError(f"expected {name} to be a torch.nn.Module, got {type(module).__name__}")
    _weight_files.check_plain(metadata, "metadata")
    config = getattr(network, "config", None)
    if config is not None:
        _weight_files.check_plain(config, "network.config")
    _weight_files.write(
        {
            "format": _FORMAT,
            "diffusion": to_plain(diffusion),
            "kind": type(network).__name__,
            "config": config,
            "network": _on_cpu(network),
            "ema": None if ema is None else _on_cpu(ema),
            "metadata": dict(metadata or {}),
        },
        path,
    )


def load_model(path: str | os.PathLike[str], *, network: torch.nn.Module | None = None) -> SavedModel:
    """Read what ``save_model`` wrote; no code of the file is run.

    Args:
        path: the file.
        network: takes the weights, for networks that have no ``config``; it is copied, not changed.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: for a damaged or different file, or weights that do not fit ``network``.
    """
    content = _weight_files.read(path, _FORMAT, "save_model")
    try:
        diffusion = from_plain(content["diffusion"])
        modules = [_made(content, network, content[name]) for name in ("network", "ema") if content[name] is not None]
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"expected a model that can be put together, got {str(path)!r}, because: {error}") from error
    return SavedModel(diffusion, modules[0], modules[-1], content["metadata"])


def _made(
    content: Mapping[str, Any], network: torch.nn.Module | None, weights: Mapping[str, torch.Tensor]
) -> torch.nn.Module:
    if network is not None:
        made = copy.deepcopy(network)
    elif content["config"] is not None:
        made = importlib.import_module("pyro_symvi.quotient.networks").build_network(content["config"])
    else:
        raise ValueError(
            f"a {content['kind']} has no config to be made from; try load_model(path, network={content['kind']}(...))"
        )
    dtypes = {value.dtype for value in weights.values() if value.is_floating_point()}
    if len(dtypes) == 1:
        made = made.to(dtypes.pop())
    made.load_state_dict(weights)
    return made.eval()


def _on_cpu(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu() for name, value in network.state_dict().items()}
