"""How a frame is trained, as one value."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch

from ..._batch_order import seed_for
from ..._schedules import Cosine, Schedule
from ..._value import Value, positive_int
from ..symmetry import FrameSymmetry
from ..warps import ColourJitter, PairMaker, RandomWarps


@dataclass(frozen=True, eq=False, repr=False)
class Recipe(Value):
    """All that ``train_frame`` needs to know besides images, symmetry, network and loss.

    Args:
        steps: of the optimiser.
        batch_size: images a step; each makes one pair.
        learning_rate: of Adam (AdamW with ``weight_decay``), times the factor of ``schedule``.
        schedule: how the learning rate moves.
        weight_decay: of AdamW.
        gradient_clip: a gradient whose norm exceeds this many times the running mean of norms is scaled down to it;
            ``math.inf`` for no clipping.
        warps: law of the warps between the two images of a pair.
        jitter: law of the change of colours in the second image.
        flip_probability: how often the second image is moved by an element of the symmetry that acts on images; 0 is
            training without the symmetric loss.
        padding: what is seen outside an image when it is warped, as for ``warped_images``.
        settle: batches of pairs over which the statistics of batch normalisation are averaged when training is over.
            They are then those of the final weights, not moving averages over weights long gone; 0 keeps the latter.
        seed: of the order of images, of warps, jitter and flips, and of the initial weights of the default network.

    Raises:
        ValueError: for a learning rate, weight decay, clipping or probability out of range.
        TypeError: for options of another kind.
    """

    steps: int = 2000
    batch_size: int = 16
    learning_rate: float = 1e-3
    schedule: Schedule = field(default_factory=Cosine)
    weight_decay: float = 0.0
    gradient_clip: float = 5.0
    warps: RandomWarps = field(default_factory=RandomWarps)
    jitter: ColourJitter | None = field(default_factory=ColourJitter)
    flip_probability: float = 0.5
    padding: str = "border"
    settle: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        for name, kind in (("schedule", Schedule), ("warps", RandomWarps), ("jitter", ColourJitter)):
            value = getattr(self, name)
            if not isinstance(value, kind) and not (value is None and name == "jitter"):
                raise TypeError(f"expected {name} to be a {kind.__name__}, got {value!r}")
        for name in ("steps", "batch_size"):
            positive_int(getattr(self, name), name)
        for name in ("settle", "seed"):
            positive_int(getattr(self, name), name, minimum=0)
        for name in ("learning_rate", "weight_decay", "gradient_clip", "flip_probability"):
            if isinstance(getattr(self, name), bool) or not isinstance(getattr(self, name), int | float):
                raise TypeError(f"expected {name} as a number, got {getattr(self, name)!r}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"expected a finite learning_rate > 0, got {self.learning_rate!r}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"expected a finite weight_decay >= 0, got {self.weight_decay!r}")
        if not self.gradient_clip > 1:
            raise ValueError(f"expected gradient_clip > 1, got {self.gradient_clip!r}; math.inf is no clipping")
        if not 0 <= self.flip_probability <= 1:
            raise ValueError(f"expected flip_probability in [0, 1], got {self.flip_probability!r}")

        self.maker(None)

    def maker(self, symmetry: FrameSymmetry | None, frame_size: tuple[int, int] | None = None) -> PairMaker:
        """What makes the pairs of a step."""
        return PairMaker(self.warps, self.jitter, symmetry, self.flip_probability, frame_size, self.padding)

    def number(self, what: str) -> int:
        """A seed in 0..2^63 - 1 for one purpose."""
        return seed_for(self.seed, what)

    def generator(self, what: str) -> torch.Generator:
        """Random numbers for one purpose, say one step: a function of the seed, so that no state is to be kept."""
        return torch.Generator().manual_seed(self.number(what))
