"""The state of a run, its file, and how a file knows its run again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ... import _weight_files
from ..losses import FrameLoss
from ._recipe import Recipe
from ._result import History

_FORMAT = "pyro_symvi.deformable checkpoint 1"


class State:
    """A run between two steps: weights, optimiser and history."""

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        self.step = 0
        self.network = network
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, foreach=True
        )
        self.usual_norm: float | None = None
        """Running mean of gradient norms."""
        self.history = History()

    def content(self) -> dict[str, Any]:
        """As a dictionary of plain values and tensors."""
        return {
            "step": self.step,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "usual_norm": self.usual_norm,
            "history": self.history.state(),
        }

    def restore(self, content: Mapping[str, Any]) -> None:
        """Take on what ``content`` gave."""
        self.network.load_state_dict(content["network"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.usual_norm = content["usual_norm"]
        self.history = History.from_state(content["history"])
        self.step = content["step"]


def fingerprint(
    recipe: Recipe, loss: FrameLoss, network: nn.Module, images: Tensor, mask: Tensor | None
) -> dict[str, str]:
    """One line for each thing that a resumed run must share; the number of steps only where it matters.

    Of the network its kind and the shapes of its weights, not the initial values.
    """
    lines = {name: repr(value) for name, value, _ in recipe._fields()}
    if not recipe.schedule.needs_end:
        del lines["steps"]
    symmetry = loss.symmetry
    lines["loss"] = f"{loss.pair!r} {loss.relaxation!r} over {list(loss.unknown_elements)}"
    lines["symmetry"] = repr(symmetry)
    if symmetry is not None:
        lines["symmetry"] += f" {_digest(symmetry.frame_matrices(), symmetry.image_matrices())}"
    shapes = [(name, list(value.shape), str(value.dtype)) for name, value in network.state_dict().items()]
    lines["network"] = f"{type(network).__name__} {_digest(repr(shapes))}"
    lines["images"] = f"{len(images)} of {list(images.shape[1:])} {_digest(images)}"
    lines["mask"] = "None" if mask is None else _digest(mask)
    return lines


def save(state: State, known: dict[str, str], path: str | os.PathLike[str]) -> None:
    """Write the checkpoint; it appears whole or not at all."""
    _weight_files.write({"format": _FORMAT, "recipe": known, **state.content()}, path)


def load(known: dict[str, str], path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """What ``save`` wrote, or None where there is no file.

    Raises:
        ValueError: for a damaged file, another file, or the checkpoint of a run that differs.
    """
    if not Path(path).exists():
        return None
    content = _weight_files.read(path, _FORMAT, "train_frame(checkpoint=...)")
    _weight_files.check_same_run(content.get("recipe", {}), known, path)
    return content


def _digest(*contents: Tensor | str) -> str:
    found = hashlib.blake2b(digest_size=8)
    for content in contents:
        if isinstance(content, str):
            found.update(content.encode())
        else:
            found.update(repr((tuple(content.shape), str(content.dtype))).encode())
            found.update(content.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
