"""A result in words that need no other page."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ..criteria import L2Criterion, PathCriterion, RangeCriterion

if TYPE_CHECKING:
    from ._result import Conditioning

_BLOCKS = 40
_ROUNDINGS, _MOST_CHANGE = 1e4, 0.1
"""An output change is called rounding up to so many units of it, and up to this."""


@dataclass(frozen=True, eq=False, repr=False)
class ConditioningReport:
    """The report of a :class:`Conditioning`: ``str()`` for people, ``to_dict()`` for JSON."""

    result: Conditioning

    def to_dict(self) -> dict[str, Any]:
        """Numbers and names; z as a list."""
        result = self.result
        z, change = result.log_scale, result.max_rel_output_change
        return {
            "criterion": type(result.criterion).__name__,
            "meaning": meaning(result.criterion),
            "solver": result.solver,
            "tol": result.tol,
            "parameters": result.group.dim,
            "live_parameters": result.live,
            "units": result.group.num_units,
            "objective_per_parameter": {"before": result.objective[0], "after": result.objective[1]},
            "history": list(result.history),
            "grad_norm": result.grad_norm,
            "distance": result.distance if math.isfinite(result.distance) else None,
            "converged": result.converged,
            "max_rel_output_change": change if math.isfinite(change) else None,
            "largest_abs_log_scale": _largest(z),
            "frozen": self.frozen(),
            "skipped": self.skipped(),
            "shared_parameters": list(result.group.traced.shared),
            "rescaled_buffers": list(result.group.traced.buffers),
            "layers": self.layers(),
            "log_scale": z.tolist(),
        }

    def layers(self) -> list[dict[str, Any]]:
        """For each layer its units, how many are free, the factors exp(z / 2) on the weights into them, and who ties.

        ``shared`` names the other layers that have scales in common with it; ``distinct`` counts its different scales.
        """
        rows = []
        blocks = [(b.name, b.scales.reshape(-1), b.reason) for b in self.result.group.traced.blocks]
        owners: dict[int, list[str]] = {}
        for name, scales, _ in blocks:
            for scale in torch.unique(scales[scales >= 0]).tolist():
                owners.setdefault(scale, []).append(name)
        for name, scales, reason in blocks:
            free = torch.unique(scales[scales >= 0])
            factors = (self.result.log_scale[free] / 2).exp()
            shared = dict.fromkeys(other for scale in free.tolist() for other in owners[scale] if other != name)
            row: dict[str, Any] = {"name": name, "units": len(scales), "free": int((scales >= 0).sum())}
            row |= {"distinct": len(free), "shared": list(shared), "reason": reason}
            row["factor"] = [float(f) for f in (factors.min(), factors.median(), factors.max())] if len(free) else None
            rows.append(row)
        return rows

    def skipped(self) -> list[dict[str, str]]:
        """Operations that do not commute with scaling and cost units their scale, with the reason."""
        return [{"where": r.where, "reason": r.reason} for r in self.result.group.traced.refused if r.lost]

    def frozen(self) -> list[dict[str, Any]]:
        """Units that keep scale one because zeros cut them off: how many in which layer, and why."""
        reasons = self.result.problem.frozen_reasons
        rows: dict[tuple[str, str], int] = {}
        for block in self.result.group.traced.blocks:
            for scale in block.scales.reshape(-1).tolist():
                if scale in reasons:
                    key = (block.name, reasons[scale])
                    rows[key] = rows.get(key, 0) + 1
        return [{"name": name, "reason": reason, "units": count} for (name, reason), count in rows.items()]

    def __str__(self) -> str:
        result = self.result
        n, H, z = result.group.dim, result.group.num_units, result.log_scale
        logs = result.group.action.log_factors(z / 2)
        least, most = (math.exp(v) for v in (logs.min(), logs.max()))
        before, after = result.objective
        state = "optimal" if result.converged else "NOT CONVERGED"
        lines = [
            f"{n:,} parameters, {H:,} free scales; the function has at most {n - H:,} degrees of freedom",
            "",
            *self._table(),
            *(f"skipped: {row['where']}: {row['reason']}" for row in self.skipped()),
            *(
                f"frozen: {row['units']:,} units of {row['name']} keep scale one: {row['reason']}"
                for row in self.frozen()
            ),
            *self._names("used more than once, so that their units share scales", result.group.traced.shared),
            *self._names("rescaled too, for evaluation mode", result.group.traced.buffers),
            "",
            f"objective       {before:.6g} before, {after:.6g} after",
            *(f"                {line}" for line in textwrap.wrap(meaning(result.criterion), 100)),
        ]
        if result.live != n:
            lines.append(f"                {n - result.live:,} parameters do not count in it")
        lines += [
            f"certificate     {state}: residual {result.grad_norm:.2g}, tolerance {result.tol:.2g} "
            f"({result.solver}, {len(result.history) - 1} iterations)",
            *([f"                log scales within {result.distance:.2g}"] if result.distance < math.inf else []),
            f"output change   {result.max_rel_output_change:.2g} of the largest output, {self._rounding()}",
        ]
        if _largest(z) > 0:
            lines.append(
                f"learning rate   tune it anew after rescaling: weights are multiplied by {least:.4g} to {most:.4g} "
                f"(|z| at most {_largest(z):.3g})"
            )
        return "\n".join(lines)

    def _names(self, what: str, names: Iterable[str]) -> list[str]:
        known = list(names)
        rest = f" and {len(known) - 4} more" if len(known) > 4 else ""
        return [f"{what}: {', '.join(known[:4])}{rest}"] if known else []

    def _rounding(self) -> str:
        kinds = {p.dtype for p in self.result.model.parameters()}
        names = " and ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds))
        if self.result.max_rel_output_change <= min(_MOST_CHANGE, _ROUNDINGS * max(torch.finfo(k).eps for k in kinds)):
            return f"rounding of {names}"
        return f"MORE than rounding of {names} explains: weights over- or underflow; try model.double() first"

    def _table(self) -> list[str]:
        rows = self.layers()
        width = max([5, *(len(row["name"]) for row in rows[:_BLOCKS])])
        lines = [
            f"{'':<{width}}                  factor on the weights into a unit",
            f"{'layer':<{width}}   units    free      least    median   largest",
        ]
        for row in rows[:_BLOCKS]:
            factors = row["factor"] or [1.0]
            numbers = "".join(f"{f:>10.4g}" for f in factors)
            lines.append(
                f"{row['name']:<{width}} {row['units']:>7,} {row['free']:>7,} {numbers:<30}   {_note(row)}".rstrip()
            )
        if len(rows) > _BLOCKS:
            lines.append(f"... and {len(rows) - _BLOCKS} more layers (see to_dict)")
        return lines


def _note(row: dict[str, Any]) -> str:
    notes = []
    if row["shared"]:
        names = row["shared"]
        notes.append(
            "same scales as " + ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        )
    if row["distinct"] < row["free"]:
        notes.append(f"{row['distinct']:,} different scales")
    if row["free"] < row["units"] and row["reason"]:
        notes.append(f"{'' if not row['free'] else 'some '}fixed: {row['reason']}")
    return "; ".join(notes)


def meaning(criterion: object) -> str:
    """What the objective measures, in one sentence."""
    if isinstance(criterion, PathCriterion):
        return (
            "per parameter: log of the arithmetic over the geometric mean of g, where g_i says how strongly parameter "
            "i moves the function (the sum, over paths from inputs to outputs through i, of the squared product of the "
            "other weights); 0 = all move it alike, 1 = the means differ by a factor e"
        )
    if isinstance(criterion, L2Criterion):
        return (
            "per parameter: the mean of the squared weights; where it is least, each unit has as large a sum of "
            "squares coming in as going out"
        )
    if isinstance(criterion, RangeCriterion):
        return (
            "the largest weight that touches a unit with a free scale; at the optimum the largest weight into each "
            "unit is as large as the largest out of it"
        )
    return f"per parameter: the objective of {criterion!r}"


def _largest(z: torch.Tensor) -> float:
    return float(z.abs().max()) if z.numel() else 0.0
