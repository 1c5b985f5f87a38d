"""The plate of a model that takes minibatches: all its rows, block by block."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..density._explore import is_subsample
from ..density._refusals import Refusal


@dataclass(frozen=True)
class RowPlate:
    """A plate that takes ``taken`` of its ``size`` rows, at batch dimension ``dim`` (negative)."""

    name: str
    size: int
    taken: int
    dim: int

    @property
    def share(self) -> float:
        """What undoes the scaling of a minibatch to the whole."""
        return self.taken / self.size

    def blocks(self) -> list[Tensor]:
        """Indices of all rows in blocks of ``taken``, the last one filled up with row 0."""
        count = math.ceil(self.size / self.taken)
        short = count * self.taken - self.size
        rows = torch.cat([torch.arange(self.size), torch.zeros(short, dtype=torch.long)])
        return list(rows.reshape(count, self.taken))


def full_size(frame: Any) -> int:
    """Rows of a plate, those left out included."""
    full = getattr(frame, "full_size", None)
    return int(full) if full is not None and int(full) > 0 else int(frame.size)


def row_plate(trace: Any) -> RowPlate | None:
    """The one plate of a run that left rows out; None if none did.

    Raises:
        ValueError: Several of them, or one that is a loop.
    """
    left_out = {
        name: (int(node["fn"].size), len(node["value"]))
        for name, node in trace.nodes.items()
        if node["type"] == "sample" and is_subsample(node) and len(node["value"]) < node["fn"].size
    }
    if not left_out:
        return None
    found: RowPlate | None = None
    for node in trace.nodes.values():
        if node["type"] != "sample" or is_subsample(node):
            continue
        for frame in node["cond_indep_stack"]:
            if frame.name not in left_out:
                continue
            size, taken = left_out[frame.name]
            if not frame.vectorized or (found is not None and found.name != frame.name):
                raise Refusal(
                    f"expected one vectorised plate that takes minibatches, got {sorted(left_out)}, because their rows "
                    "are gone through block by block; try the model with subsample_size=None"
                )
            found = RowPlate(frame.name, size, taken, frame.dim)
    return found


def refuse_local(name: str, stack: Any) -> None:
    """Refuse a latent site in a plate that left rows out: each minibatch has other values of it."""
    for frame in stack:
        if frame.vectorized and full_size(frame) != frame.size:
            raise Refusal(
                f"expected all rows of plate '{frame.name}', got {frame.size} of {full_size(frame)} with the latent "
                f"site '{name}' inside, because each minibatch has other values of it; try the model with all its data "
                "(subsample_size=None)"
            )
