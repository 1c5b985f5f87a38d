"""A trained frame in one file."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any

from torch import nn

from ... import _plain_values, _schedules, _weight_files, groups
from .. import losses, symmetry, warps
from ..networks._configs import build_network, network_config
from . import _recipe
from ._model import FrameModel
from ._result import History, TrainingStatus

_FORMAT = "pyro_symvi.deformable model 1"
_KNOWN = _plain_values.values_of(groups, _schedules, losses, symmetry, warps, _recipe)
_WHERE = "pyro_symvi.groups or pyro_symvi.deformable"


def save_model(model: FrameModel, path: str | os.PathLike[str]) -> None:
    """Write a model; see ``FrameModel.save``."""
    _weight_files.check_plain(model.metadata, "metadata")
    content = {
        "format": _FORMAT,
        "kind": type(model.network).__name__,
        "config": network_config(model.network),
        "network": {name: value.detach().cpu() for name, value in model.network.state_dict().items()},
        "symmetry": _plain_values.to_plain(model.symmetry, _KNOWN, _WHERE),
        "recipe": _plain_or_none(model.recipe),
        "loss": _plain_or_none(model.loss),
        "history": model.history.state(),
        "steps": model.steps,
        "status": model.status.name,
        "cause": model.cause,
        "image_shape": list(model.image_shape),
        "metadata": dict(model.metadata),
    }
    _weight_files.write(content, path)


def load_model(path: str | os.PathLike[str], network: nn.Module | None = None) -> FrameModel:
    """Read what ``FrameModel.save`` wrote; no code of the file is run.

    Args:
        path: the file.
        network: takes the weights, for networks other than ``SmallNet`` and ``UnitFrames`` or ``TurnedFrames`` of one;
            it is copied, not changed.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: for a damaged or different file, or weights that do not fit ``network``.
    """
    content = _weight_files.read(path, _FORMAT, "FrameModel.save")
    try:
        channels, height, width = content["image_shape"]
        return FrameModel(
            network=_made(content, network),
            symmetry=_plain_values.from_plain(content["symmetry"], _KNOWN),
            recipe=_plain_values.from_plain(content["recipe"], _KNOWN),
            loss=_plain_values.from_plain(content["loss"], _KNOWN),
            history=History.from_state(content["history"]),
            steps=content["steps"],
            status=TrainingStatus[content["status"]],
            cause=content["cause"],
            image_shape=(channels, height, width),
            metadata=content["metadata"],
        )
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"expected a model that can be put together, got {str(path)!r}, because: {error}") from error


def _made(content: Mapping[str, Any], network: nn.Module | None) -> nn.Module:
    weights = content["network"]
    if network is not None:
        made = copy.deepcopy(network)
    elif content["config"] is not None:
        made = build_network(content["config"])
    else:
        kind = content["kind"]
        raise ValueError(
            f"the weights are those of a {kind}, of which the file holds no description; try "
            f"load_model(path, network={kind}(...))"
        )
    dtypes = {value.dtype for value in weights.values() if value.is_floating_point()}
    if len(dtypes) == 1:
        made = made.to(dtypes.pop())
    made.load_state_dict(weights)
    return made.eval()


def _plain_or_none(value: object) -> Any:
    try:
        return _plain_values.to_plain(value, _KNOWN, _WHERE)
    except TypeError:
        return None
