"""Bayes-optimal state evolution: what message passing does in high dimension."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..._value import positive_int
from ..channels import GaussianChannel
from ._draws import require_channel

_ENDS = 1e-4
"""Fixed points are sought for overlaps between this and one less this."""


@dataclass(frozen=True)
class StateEvolution:
    """Overlaps of message passing in the limit of large d, float64.

    Attributes:
        ratios: n / d, ``[R]``.
        overlaps: q at the start and after each iteration, ``[T + 1, R]``.
        converged: whether the last step was at most ``tol``, ``[R]``.
    """

    ratios: Tensor
    overlaps: Tensor
    converged: Tensor

    @property
    def overlap(self) -> Tensor:
        """The last overlap, ``[R]``: a fixed point where ``converged``."""
        return self.overlaps[-1]


@dataclass(frozen=True)
class FixedPoint:
    """A fixed point of state evolution: its overlap, and whether iterations move towards it."""

    overlap: float
    stable: bool


def state_evolution(
    channel: GaussianChannel,
    ratio: float | Sequence[float] | Tensor,
    *,
    overlap0: float | Sequence[float] | Tensor = 1e-3,
    iterations: int = 200,
    tol: float = 1e-7,
) -> StateEvolution:
    r"""Iterates the overlap of undamped message passing with a matched start.

    .. math:: \hat q_t = \alpha E[g_{out}(y, \omega, 1 - q_t)^2], \qquad q_{t+1} = \hat q_t/(1 + \hat q_t),

    with omega ~ N(0, q_t). It is exact as d grows at fixed alpha = n/d and a fixed number of iterations (Javanmard and
    Montanari 2013). For an even activation q = 0 is a fixed point: a start there never leaves it.

    Args:
        channel: the law of the outputs.
        ratio: alpha, one or several, ``[]`` or ``[k]``.
        overlap0: q_0 in [0, 1), one or one for each ratio.
        iterations: most iterations.
        tol: ends the iterations once all steps are at most this; 0 makes all of them.

    Raises:
        ValueError: unless the first overlap is in [0, 1).
    """
    require_channel(channel)
    ratios = _ratios(ratio)
    q = torch.as_tensor(overlap0, dtype=torch.float64).expand(len(ratios))
    if not bool(((q >= 0) & (q < 1)).all()):
        raise ValueError(f"expected overlap0 in [0, 1), got {overlap0!r}, because 1 - overlap0 is a variance")
    course, converged = [q], torch.zeros(len(ratios), dtype=torch.bool)
    for _ in range(positive_int(iterations, "iterations")):
        new = _step(channel, ratios, q)
        converged = (new - q).abs() <= tol
        q = new
        course.append(q)
        if tol > 0 and bool(converged.all()):
            break
    return StateEvolution(ratios, torch.stack(course), converged)


def fixed_points(
    channel: GaussianChannel, ratio: float | Sequence[float] | Tensor, *, points: int = 64
) -> list[tuple[FixedPoint, ...]]:
    r"""All fixed points of state evolution at each ratio, by overlap, without iterating.

    They lie on the curve alpha(q) = q/((1 - q) E g_out^2), which is followed on ``points`` overlaps, evenly spaced in
    log(q/(1 - q)) from 1e-4 to 1 - 1e-4, with steps of the false-position rule in between. A fixed point is stable
    where alpha rises with q. Overlap 0 is one where E[z | y] = 0, stable below alpha(0+). The first stable one is where
    an uninformed start ends, the last where an informed one does.
    """
    require_channel(channel)
    ratios = _ratios(ratio)
    reach = torch.logit(torch.tensor(_ENDS, dtype=torch.float64))
    grid = torch.linspace(float(reach), -float(reach), positive_int(points, "points", 8), dtype=torch.float64)
    height = _log_ratio(channel, grid)
    uninformed = float(channel.output_information(torch.zeros(1, dtype=torch.float64))) < 1e-12
    found = []
    for level in ratios.log():
        above = height > level
        here: list[FixedPoint] = [FixedPoint(0.0, bool(above[0]))] if uninformed else []
        for k in torch.nonzero(above[1:] != above[:-1])[:, 0].tolist():
            place = _crossing(channel, grid[k : k + 2].tolist(), (height[k : k + 2] - level).tolist(), float(level))
            here.append(FixedPoint(place, bool(above[k + 1])))
        found.append(tuple(here))
    return found


def _log_ratio(channel: GaussianChannel, logit: Tensor) -> Tensor:
    """Log alpha at overlaps of these logits."""
    return logit - channel.output_information(logit.sigmoid()).clamp_min(1e-300).log()


def _crossing(channel: GaussianChannel, ends: list[float], heights: list[float], level: float) -> float:
    """The overlap between two logits at which log alpha, as high above the level there, meets it."""
    (a, b), (fa, fb) = ends, heights
    middle = a
    for step in range(4):
        middle = a - fa * (b - a) / (fb - fa)
        if step == 3:
            break
        value = float(_log_ratio(channel, torch.tensor([middle], dtype=torch.float64))) - level
        if value == 0.0:
            break
        (a, fa, b, fb) = (middle, value, b, fb) if (value > 0) == (fa > 0) else (a, fa, middle, value)
    return float(torch.tensor(middle, dtype=torch.float64).sigmoid())


def _step(channel: GaussianChannel, ratios: Tensor, q: Tensor) -> Tensor:
    """One iteration of q, ``[R]``."""
    information = ratios * channel.output_information(q).to(q)
    return information / (1 + information)


def _ratios(ratio: float | Sequence[float] | Tensor) -> Tensor:
    ratios = torch.as_tensor(ratio, dtype=torch.float64).cpu().reshape(-1)
    if not len(ratios) or not bool(((ratios > 0) & torch.isfinite(ratios)).all()):
        raise ValueError(f"expected ratios n / d above 0, one or more, got {ratio!r}")
    return ratios
