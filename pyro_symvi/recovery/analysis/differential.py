"""The differential test: the lowered expression against the original function, values and gradients, at random points.

A check of the lowering, never an argument for a claim; disagreement refuses everything. This is the only module that
evaluates the user's function.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch

from ...density._state import seeded
from .expressions import Expressions
from .gate import Function
from .numerics import Evaluator
from .polynomials import Polynomial
from .refusals import Refused

POINTS = 6
TOLERANCE = 1e-9
_LEAST = 3


@dataclass(frozen=True)
class Agreement:
    """How the two agree.

    Attributes:
        points: Points compared.
        largest: Largest relative difference of values.
        gradient: Whether gradients agree too. If not (detach, a custom backward), what is proved of log p holds, but
            nothing may be said of what an optimiser finds.
    """

    points: int
    largest: float
    gradient: bool


def compare(function: Function, p: Polynomial, table: Expressions, dim: int) -> Agreement:
    """Compare at `POINTS` random points.

    Raises:
        Refused: Values differ by more than `TOLERANCE` (relative), or too few of them are finite.
    """
    generator = torch.Generator().manual_seed(20)
    spread = torch.tensor([0.3, 0.7, 1.0, 1.0, 1.5, 2.0, 0.1, 0.03, 0.01, 1e-3], dtype=torch.float64)
    if any(atom.kind == "log_half_erfc" for atom in table.atoms):
        spread *= 0.1  # 1 + erf(u) cancels for u << 0
    z = torch.randn(len(spread), dim, dtype=torch.float64, generator=generator) * spread[:, None]
    direction = torch.randn(len(spread), dim, dtype=torch.float64, generator=generator)
    values, slopes, kept = [], [], []
    for i in range(len(spread)):
        value, slope = _value_and_slope(function, z[i], direction[i])
        if np.isfinite(value) and np.isfinite(slope):
            values.append(value)
            slopes.append(slope)
            kept.append(i)
        if len(kept) == POINTS:
            break
    if len(kept) < min(_LEAST, POINTS):
        raise Refused("its value or gradient is not finite at random points, so the reading could not be checked")
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, our_slopes, sizes = Evaluator(table, z[kept].numpy(), direction[kept].numpy())(p)
    eps = float(np.finfo(np.longdouble).eps)
    given = np.asarray(values)
    scale = np.maximum(1.0, np.abs(given))
    slack = TOLERANCE * scale + np.asarray(100 * eps * sizes, dtype=float)
    gap = np.abs(np.asarray(ours - given, dtype=float))
    if not bool(np.all(gap <= slack)):
        worst = int(np.argmax(np.where(np.isfinite(gap), gap / slack, np.inf)))
        raise Refused(
            f"the checker reads {float(ours[worst]):.12g} where the function gives {given[worst]:.12g}: its reading "
            "is wrong"
        )
    wanted = np.asarray(slopes)
    rough = 1e-7 * np.maximum(1.0, np.abs(wanted)) + np.asarray(1e4 * eps * sizes, dtype=float)
    agree = bool(np.all(np.abs(np.asarray(our_slopes - wanted, dtype=float)) <= rough))
    return Agreement(len(kept), float((gap / scale).max()), agree)


def _value_and_slope(function: Function, z: torch.Tensor, direction: torch.Tensor) -> tuple[float, float]:
    with seeded(5), torch.enable_grad():
        leaf = z.clone().requires_grad_()
        try:
            value = function(leaf)
            if not value.requires_grad:
                return float(value.detach()), 0.0
            (gradient,) = torch.autograd.grad(value.sum(), leaf, allow_unused=True)
        except (RuntimeError, ArithmeticError, ValueError):
            return float("nan"), float("nan")
    slope = 0.0 if gradient is None else float(gradient @ direction)
    return float(value.detach()), slope
