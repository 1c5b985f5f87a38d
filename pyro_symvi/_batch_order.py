"""Random numbers of training as functions of a seed: for each purpose its own, and the order of batches."""

from __future__ import annotations

import hashlib
from typing import Protocol

import torch


def seed_for(seed: int, what: str) -> int:
    """A seed in 0..2^63 - 1 for one purpose, say one step."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {what}".encode(), digest_size=8).digest(), "big") >> 1


class Seeded(Protocol):
    """A recipe of training: the size of its batches, and a seed for each purpose."""

    @property
    def batch_size(self) -> int:
        """Samples a step."""

    def number(self, what: str) -> int:
        """A seed for one purpose."""


class Order:
    """Which samples are in which batch: all in random order, again and again, each time in another one."""

    def __init__(self, recipe: Seeded, size: int) -> None:
        self.recipe, self.size = recipe, size
        self.epoch, self.permutation = -1, torch.empty(0, dtype=torch.int64)

    def batch(self, step: int) -> torch.Tensor:
        """Indices ``[batch_size]`` of step 0, 1, ..."""
        start, wanted, chosen = step * self.recipe.batch_size, self.recipe.batch_size, []
        while wanted:
            epoch, place = divmod(start, self.size)
            if epoch != self.epoch:
                generator = torch.Generator().manual_seed(self.recipe.number(f"order {epoch}"))
                self.epoch, self.permutation = epoch, torch.randperm(self.size, generator=generator)
            chosen.append(self.permutation[place : place + wanted])
            start, wanted = start + len(chosen[-1]), wanted - len(chosen[-1])
        return torch.cat(chosen)
