"""A result in words that need no other page."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ..criteria import L2Criterion, PathCriterion

if TYPE_CHECKING:
    from ._result import Conditioning

_BLOCKS = 40


@dataclass(frozen=True, eq=False, repr=False)
class ConditioningReport:
    """The report of a :class:`Conditioning`: ``str()`` for people, ``to_dict()`` for JSON."""

    result: Conditioning

    def to_dict(self) -> dict[str, Any]:
        """Numbers and names; z as a list."""
        result = self.result
        z = result.log_scale
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
            "converged": result.converged,
            "max_rel_output_change": result.max_rel_output_change,
            "largest_abs_log_scale": _largest(z),
            "frozen": result.frozen.tolist(),
            "layers": self.layers(),
            "log_scale": z.tolist(),
        }

    def layers(self) -> list[dict[str, Any]]:
        """For each layer its units, how many are free, and the factors exp(z / 2) on the weights into them."""
        rows = []
        for block in self.result.group.traced.blocks:
            scales = block.scales.reshape(-1)
            free = scales[scales >= 0]
            factors = (self.result.log_scale[free] / 2).exp()
            row: dict[str, Any] = {"name": block.name, "units": len(scales), "free": len(free)}
            if len(free):
                row["factor"] = [float(factors.min()), float(factors.median()), float(factors.max())]
            if block.reason:
                row["reason"] = block.reason
            rows.append(row)
        return rows

    def __str__(self) -> str:
        result = self.result
        n, H, z = result.group.dim, result.group.num_units, result.log_scale
        logs = result.group.action.log_factors(z / 2)
        least, most = math.exp(logs.min()), math.exp(logs.max())
        before, after = result.objective
        lines = [
            f"{n:,} parameters, {H:,} free unit scales: {n - H:,} degrees of freedom of the function remain",
            "",
            *self._table(),
            "",
            f"objective per parameter   before {before:.6g}   after {after:.6g}",
            f"  {meaning(result.criterion)}",
        ]
        if result.live != n:
            lines.append(f"  {n - result.live:,} parameters don't count: zeros cut every path through them")
        if len(result.frozen):
            lines.append(f"frozen: {len(result.frozen)} units keep scale one, because zeros cut them off")
        state = "optimal to" if result.converged else "NOT CONVERGED to"
        lines += [
            f"certificate   largest gradient {result.grad_norm:.2g}, {state} the tolerance {result.tol:.2g} "
            f"({result.solver}, {len(result.history) - 1} iterations)",
            f"output change   {result.max_rel_output_change:.2g} of the largest output (rounding)",
            f"learning rate   weights are multiplied by {least:.4g} to {most:.4g} (|z| at most {_largest(z):.3g}): "
            "tune the learning rate anew after rescaling",
        ]
        return "\n".join(lines)

    def _table(self) -> list[str]:
        rows = self.layers()
        width = max([5, *(len(row["name"]) for row in rows[:_BLOCKS])])
        lines = [f"{'layer':<{width}}   units    free   factor on the weights into a unit: least, median, largest"]
        for row in rows[:_BLOCKS]:
            what = "   ".join(f"{f:.4g}" for f in row["factor"]) if "factor" in row else "1"
            why = f"   ({row['reason']})" if "reason" in row else ""
            lines.append(f"{row['name']:<{width}} {row['units']:>7,} {row['free']:>7,}   {what}{why}")
        if len(rows) > _BLOCKS:
            lines.append(f"... and {len(rows) - _BLOCKS} more layers")
        return lines


def meaning(criterion: object) -> str:
    """What the objective per parameter measures, in one sentence."""
    if isinstance(criterion, PathCriterion):
        return (
            "log(arithmetic mean / geometric mean) of g, where g_i sums over the paths through parameter i the squared "
            "products of the other weights on them; 0 = every parameter moves the function alike"
        )
    if isinstance(criterion, L2Criterion):
        return "mean of the squared parameters; at its least each unit has as much energy coming in as going out"
    return f"the objective of {criterion!r} divided by the number of parameters"


def _largest(z: torch.Tensor) -> float:
    return float(z.abs().max()) if z.numel() else 0.0
