"""The posterior that all sample: a 16-16-2 ReLU network on the airfoil data, N(0, 1) weights, outputs mean and log sd.

Weights are one flat vector, layer by layer, weights ``[outputs, inputs]`` row by row before biases (as torch has them).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

DATA = Path(os.environ.get("SYMVI_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")) / "uci"
HIDDEN, ROWS, POINTS = (16, 16), 1052, 20
LIMIT = 6 * float(np.log(10))
"""Log sds are kept within -LIMIT and LIMIT."""


@dataclass(frozen=True, eq=False)
class Problem:
    """Standardised training rows (float32), inputs at which predictions are watched, and where the chains start."""

    x: np.ndarray
    y: np.ndarray
    points: np.ndarray
    start: np.ndarray

    @property
    def widths(self) -> tuple[int, ...]:
        """Inputs, hidden, outputs."""
        return (self.x.shape[1], *HIDDEN, 2)

    @property
    def dim(self) -> int:
        """Number of weights."""
        return sum((p + 1) * q for p, q in pairwise(self.widths))

    def save(self, path: Path) -> None:
        """To a file that `load` reads."""
        np.savez(path, x=self.x, y=self.y, points=self.points, start=self.start)

    @staticmethod
    def load(path: Path) -> Problem:
        """From a file."""
        with np.load(path) as file:
            return Problem(*(file[name] for name in ("x", "y", "points", "start")))


def read() -> Problem:
    """The data; no starts yet."""
    table = np.loadtxt(DATA / "airfoil.data")
    table = table[np.random.default_rng(0).permutation(len(table))]
    train = table[:ROWS]
    table = ((table - train.mean(0)) / train.std(0)).astype(np.float32)
    return Problem(table[:ROWS, :-1], table[:ROWS, -1], table[ROWS : ROWS + POINTS, :-1], np.zeros((0, 0), np.float32))


def outputs(theta: Any, x: Any, widths: tuple[int, ...], xp: ModuleType = np) -> Any:
    """Of one weight vector ``[dim]``: ``[n, 2]``; ``xp`` is numpy or a twin of it."""
    place, h = 0, x
    for layer, (p, q) in enumerate(pairwise(widths)):
        w = theta[place : place + p * q].reshape(q, p)
        b = theta[place + p * q : place + p * q + q]
        place += (p + 1) * q
        h = h @ w.T + b
        h = xp.maximum(h, 0) if layer + 2 < len(widths) else h
    return h


def log_density(theta: Any, x: Any, y: Any, widths: tuple[int, ...], xp: ModuleType) -> Any:
    """Log posterior of one weight vector up to a constant."""
    found = outputs(theta, x, widths, xp)
    s = xp.clip(found[:, 1], -LIMIT, LIMIT)
    return xp.sum(-0.5 * ((y - found[:, 0]) * xp.exp(-s)) ** 2 - s) - 0.5 * xp.sum(theta**2)


def predicted_means(theta: np.ndarray, problem: Problem) -> np.ndarray:
    """At the watched inputs, of draws ``[chains, draws, dim]``: ``[points, chains, draws]``."""
    chains, draws, dim = theta.shape
    flat = theta.reshape(-1, dim)
    found = np.stack([outputs(vector, problem.points, problem.widths)[:, 0] for vector in flat], 1)
    return found.reshape(-1, chains, draws)
