"""Draws of weights, whatever made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .._layout import Layout


@dataclass(frozen=True)
class Draws:
    """Weight vectors from chains (or one chain of independent draws of an approximation).

    Attributes:
        theta: ``[chains, draws, dim]``.
        layout: what the entries are.
        source: what made them, in words (``"MAMS"``, ``"mean-field"``).
        stats: one number a draw, ``[chains, draws]`` each: ``log_density``, ``energy_error``, ``acceptance``.
        info: what else is known: seed, step sizes, seconds, gradient evaluations.

    Raises:
        ValueError: unless theta is ``[chains, draws, dim]`` and each column ``[chains, draws]``.
    """

    theta: Tensor
    layout: Layout
    source: str
    stats: Mapping[str, Tensor] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.theta.ndim != 3 or self.theta.shape[-1] != self.layout.dim:
            raise ValueError(f"expected theta [chains, draws, {self.layout.dim}], got {list(self.theta.shape)}")
        for name, values in self.stats.items():
            if values.shape != self.theta.shape[:2]:
                raise ValueError(f"expected {name} {list(self.theta.shape[:2])}, got {list(values.shape)}")

    @property
    def chains(self) -> int:
        """Number of chains."""
        return self.theta.shape[0]

    @property
    def draws(self) -> int:
        """Draws a chain."""
        return self.theta.shape[1]

    @property
    def flat(self) -> Tensor:
        """All draws, chain after chain: ``[chains * draws, dim]``."""
        return self.theta.reshape(-1, self.theta.shape[-1])

    def thin(self, every: int) -> Draws:
        """Each ``every``-th draw of each chain."""
        if every < 1:
            raise ValueError(f"expected every >= 1, got {every}")
        stats = {name: values[:, ::every] for name, values in self.stats.items()}
        return Draws(self.theta[:, ::every], self.layout, self.source, stats, self.info)

    def __repr__(self) -> str:
        return f"Draws({self.source}: {self.chains} chains of {self.draws} draws of {self.layout.dim} parameters)"


def independent_draws(theta: Tensor, layout: Layout, source: str, **info: Any) -> Draws:
    """One chain of independent draws ``[n, dim]``."""
    return Draws(torch.as_tensor(theta)[None], layout, source, info=info)
