"""The state of a run, and its file."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ... import _weight_files
from ._result import History

_FORMAT = "pyro_symvi.quotient checkpoint 1"


class State:
    """A run between two steps: weights, their average, optimiser and history."""

    def __init__(self, network: torch.nn.Module, learning_rate: float, weight_decay: float) -> None:
        self.step = 0
        self.network = network
        self.ema = copy.deepcopy(network).requires_grad_(False).eval()
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=learning_rate, weight_decay=weight_decay, foreach=True)
        self.usual_norm: float | None = None
        """Running mean of gradient norms."""
        self.history = History()

    def average(self, decay: float) -> None:
        """Move the average towards the weights; in the first steps it is nearly the plain mean of all."""
        share = 1 - min(decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, weight in zip(self.ema.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(weight, share)
            for copied, value in zip(self.ema.buffers(), self.network.buffers(), strict=True):
                copied.copy_(value)

    def content(self) -> dict[str, Any]:
        """As a dictionary of plain values and tensors."""
        return {
            "step": self.step,
            "network": self.network.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "usual_norm": self.usual_norm,
            "history": self.history.state(),
        }

    def restore(self, content: Mapping[str, Any]) -> None:
        """Take on what ``content`` gave."""
        self.network.load_state_dict(content["network"])
        self.ema.load_state_dict(content["ema"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.usual_norm = content["usual_norm"]
        self.history = History.from_state(content["history"])
        self.step = content["step"]


def save(state: State, fingerprint: dict[str, str], path: str | os.PathLike[str]) -> None:
    """Write the checkpoint; it appears whole or not at all."""
    _weight_files.write({"format": _FORMAT, "recipe": fingerprint, **state.content()}, path)


def load(fingerprint: dict[str, str], path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """What ``save`` wrote, or None where there is no file.

    Raises:
        ValueError: for a damaged file, another file, or the checkpoint of a run that differs.
    """
    if not Path(path).exists():
        return None
    content = _weight_files.read(path, _FORMAT, "train(checkpoint=...)")
    _weight_files.check_same_run(content.get("recipe", {}), fingerprint, path)
    return content
