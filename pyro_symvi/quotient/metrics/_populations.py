"""How much of a torsion lies in each well: what local metrics do not see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats
import torch
from torch import Tensor

from ..._value import Value
from ._checks import confidence_level
from ._table import Interval, table


@dataclass(frozen=True, eq=False, repr=False)
class IntervalRule(Value):
    """A confidence interval of a share, counted as k of n: :class:`Wilson` or :class:`ClopperPearson`."""

    def interval(self, count: int, total: int, confidence: float) -> tuple[float, float]:
        """The ends of the interval, by ``scipy.stats``."""
        result = scipy.stats.binomtest(count, total).proportion_ci(confidence, method=self._method())
        return float(result.low), float(result.high)

    def _method(self) -> str:
        return "exact"


@dataclass(frozen=True, eq=False, repr=False)
class ClopperPearson(IntervalRule):
    """Covers at least as often as it says, for any n: on the long side. Source: Biometrika 26 (1934) 404."""


@dataclass(frozen=True, eq=False, repr=False)
class Wilson(IntervalRule):
    """Covers about as often as it says: the usual choice. Source: Wilson, J. Am. Stat. Assoc. 22 (1927) 209."""

    def _method(self) -> str:
        return "wilson"


@dataclass(frozen=True, eq=False, repr=False)
class WellPopulations(Value):
    """Shares of wells, with intervals. See :func:`well_populations`.

    Args:
        centres: ``[K]`` radians.
        counts: ``[K]`` int64.
        undefined: number of nan torsions: in no well, counted in no share.
        low: ``[K]`` lower ends of the intervals of the shares.
        high: ``[K]`` upper ends.
        confidence: of each interval, or of all at once where they were asked for simultaneously.
    """

    centres: Tensor
    counts: Tensor
    undefined: int
    low: Tensor
    high: Tensor
    confidence: float

    @property
    def shares(self) -> Tensor:
        """Counts over their sum, ``[K]``."""
        return self.counts.double() / self.counts.sum()

    def to_text(self) -> str:
        """A table of the wells."""
        columns = zip(self.centres.tolist(), self.counts.tolist(), *map(Tensor.tolist, self._ends()), strict=True)
        lines = [[f"{math.degrees(c):.0f} deg", str(n), str(Interval(s, a, b))] for c, n, s, a, b in columns]
        return table(["well", "count", "share"], [*lines, ["undefined", str(self.undefined), ""]])

    def _ends(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.shares, self.low, self.high

    def __str__(self) -> str:
        return self.to_text()


def well_populations(
    torsion: Tensor,
    centres: Sequence[float] | Tensor = (-math.pi / 3, math.pi / 3, math.pi),
    *,
    rule: IntervalRule = Wilson(),
    confidence: float = 0.95,
    simultaneous: bool = False,
) -> WellPopulations:
    """Shares of torsions that are nearest to each centre on the circle, with binomial intervals.

    Args:
        torsion: angles in radians, any shape, taken as independent draws (frames of a trajectory are not: thin them
            first). nan, an undefined torsion, is counted in ``undefined``.
        centres: ``[K]`` radians; gauche-, gauche+ and trans unless given. A draw midway goes to the first.
        rule: ``Wilson()`` or ``ClopperPearson()``.
        confidence: of the intervals.
        simultaneous: all K intervals hold at once (Bonferroni: each at 1 - (1 - confidence)/K).

    Raises:
        ValueError: without a defined torsion, for infinite ones, for centres that coincide.

    >>> wells = well_populations(torch.tensor([-1.0, 1.1, 0.9, 3.1, -3.1, math.nan]))
    >>> wells.counts.tolist(), wells.undefined, round(wells.low[2].item(), 3), round(wells.high[2].item(), 3)
    ([1, 2, 2], 1, 0.118, 0.769)

    Reading: kT ln(p/q) turns two shares into a difference of free energies; a share whose interval holds the
    target's is not shown to be wrong.
    """
    if not isinstance(torsion, Tensor) or not torsion.is_floating_point():
        raise TypeError(f"expected torsion to be a tensor of a floating dtype, got {torsion!r}")
    level, places = confidence_level(confidence), torch.as_tensor(centres, dtype=torch.float64)
    if not isinstance(rule, IntervalRule):
        raise TypeError(f"expected rule to be Wilson() or ClopperPearson(), got {rule!r}")
    if places.ndim != 1 or not len(places) or not bool(torch.isfinite(places).all()):
        raise ValueError(f"expected finite centres [K], got {places.tolist()}")
    apart = _arc(places[:, None], places) + torch.eye(len(places), dtype=places.dtype) * math.pi
    if float(apart.min()) < 1e-9:
        raise ValueError(f"expected distinct centres on the circle, got {places.tolist()}")
    if bool(torch.isinf(torsion).any()):
        raise ValueError("expected finite torsions, or nan where undefined, got inf")
    flat = torsion.detach().double().reshape(-1).cpu()
    kept = flat[~torch.isnan(flat)]
    if not len(kept):
        raise ValueError(f"expected at least one defined torsion, got {len(flat)}, all of them nan or none at all")
    counts = torch.bincount(_arc(kept[:, None], places).argmin(-1), minlength=len(places))
    each = 1 - (1 - level) / len(places) if simultaneous else level
    ends = np.array([rule.interval(int(n), len(kept), each) for n in counts])
    low, high = torch.from_numpy(ends).unbind(-1)
    return WellPopulations(places, counts, len(flat) - len(kept), low, high, level)


def _arc(a: Tensor, b: Tensor) -> Tensor:
    """Distance on the circle, 0..pi."""
    return (torch.remainder(a - b + math.pi, 2 * math.pi) - math.pi).abs()
