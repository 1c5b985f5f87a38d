"""All that decides the course of a run, and how a checkpoint knows it again."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import torch

from ..._batch_order import seed_for
from ..._schedules import Schedule
from ..._value import Value, positive_int
from .._dataset import CloudDataset
from .._process import Diffusion
from ..losses import Loss
from ._times import Times


@dataclass(frozen=True, eq=False, repr=False)
class Recipe(Value):
    """The options of ``train`` that its outcome depends on, checked."""

    diffusion: Diffusion
    loss: Loss
    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    schedule: Schedule
    times: Times
    ema: float
    gradient_clip: float
    rotate: bool
    parts: int
    seed: int

    def __post_init__(self) -> None:
        for name, kind in (("diffusion", Diffusion), ("loss", Loss), ("schedule", Schedule), ("times", Times)):
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"expected {name} to be a {kind.__name__}, got {getattr(self, name)!r}")
        if not isinstance(self.rotate, bool):
            raise TypeError(f"expected rotate as True or False, got {self.rotate!r}")
        for name in ("steps", "batch_size", "parts"):
            positive_int(getattr(self, name), name)
        positive_int(self.seed, "seed", minimum=0)
        if self.batch_size % self.parts:
            raise ValueError(
                f"expected a batch_size that {self.parts} parts divide, got {self.batch_size}; "
                f"try {math.ceil(self.batch_size / self.parts) * self.parts}"
            )
        for name in ("learning_rate", "weight_decay", "ema", "gradient_clip"):
            if isinstance(getattr(self, name), bool) or not isinstance(getattr(self, name), int | float):
                raise TypeError(f"expected {name} as a number, got {getattr(self, name)!r}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"expected a finite learning_rate > 0, got {self.learning_rate!r}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"expected a finite weight_decay >= 0, got {self.weight_decay!r}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"expected ema in [0, 1), got {self.ema!r}; 0 is no averaging")
        if not self.gradient_clip > 1:
            raise ValueError(f"expected gradient_clip > 1, got {self.gradient_clip!r}; math.inf is no clipping")

    def fingerprint(self, network: torch.nn.Module, dataset: CloudDataset) -> dict[str, str]:
        """One line for each thing that a resumed run must share; the number of steps only where it matters."""
        lines = {name: repr(value) for name, value, _ in self._fields()}
        lines["diffusion"] += f" {_digest(repr(self.diffusion._key()).encode())}"  # long tensors are not printed whole
        if not self.schedule.needs_end:
            del lines["steps"]
        shapes = [(name, list(value.shape), str(value.dtype)) for name, value in network.state_dict().items()]
        lines["network"] = f"{type(network).__name__} {_digest(repr(shapes).encode())}"
        lines["dataset"] = f"{len(dataset)} clouds {_digest(_bytes(dataset))}"
        return lines

    def generator(self, step: int, part: int, device: torch.device) -> torch.Generator:
        """The noise of one part of one step: a function of seed, step and part, so that no state is to be kept."""
        return torch.Generator(device).manual_seed(self.number(f"noise {step} {part}"))

    def number(self, what: str) -> int:
        """A seed in 0..2^63 - 1 for one purpose."""
        return seed_for(self.seed, what)


def _bytes(dataset: CloudDataset) -> bytes:
    fields = [dataset.clouds, dataset.kinds]
    if dataset.context is not None:
        fields += [f for f in (dataset.context.mask, dataset.context.features, dataset.context.edges) if f is not None]
    arrays = [f.detach().cpu().contiguous().numpy() for f in fields]
    return b"".join([repr((dataset.names, [(a.shape, str(a.dtype)) for a in arrays])).encode(), *map(bytes, arrays)])


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()
