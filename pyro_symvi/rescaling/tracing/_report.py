"""What was read from a network, in words: units, ties, what was left out and why, and the counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ._traced import TracedNetwork


@dataclass(frozen=True)
class BlockLine:
    """The units of one layer.

    Attributes:
        name: of the layer.
        units: how many it has.
        free: how many different free scales they have.
        fixed: how many have scale one.
        shares: layers whose units have some scale in common with these.
        reason: why units are fixed; empty where none is.
    """

    name: str
    units: int
    free: int
    fixed: int
    shares: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class RescalingReport:
    """Units, ties and skipped layers of a network; ``str()`` is a table, ``to_dict()`` is plain data.

    Attributes:
        parameters: n, entries of all parameters, frozen ones included.
        scales: H, free scales.
        blocks: one line a layer.
        ties: layers that share scales, and how many.
        skipped: operations that do not commute with scaling, with the reason; their inputs keep scale one.
        shared: parameters used more than once.
        buffers: buffers that are rescaled too (running means of folded batch normalisation).
        batch_norm: how batch normalisation was read.
    """

    parameters: int
    scales: int
    blocks: tuple[BlockLine, ...]
    ties: tuple[tuple[tuple[str, ...], int], ...]
    skipped: tuple[tuple[str, str], ...]
    shared: tuple[str, ...]
    buffers: tuple[str, ...]
    batch_norm: str

    @property
    def rank(self) -> int:
        """N - H, the rank of the path-lifting Jacobian where all paths are alive and scales are all there is."""
        return self.parameters - self.scales

    @staticmethod
    def of(traced: TracedNetwork) -> RescalingReport:
        """The report on a traced network."""
        owners: dict[int, list[str]] = {}
        for block in traced.blocks:
            for scale in sorted(set(block.scales.tolist()) - {-1}):
                owners.setdefault(scale, []).append(block.name)
        groups: dict[tuple[str, ...], int] = {}
        for names in owners.values():
            if len(names) > 1:
                groups[tuple(names)] = groups.get(tuple(names), 0) + 1
        lines = []
        for block in traced.blocks:
            shares = tuple(dict.fromkeys(n for names in groups if block.name in names for n in names))
            free = len(set(block.scales.tolist()) - {-1})
            others = tuple(n for n in shares if n != block.name)
            lines.append(BlockLine(block.name, len(block.scales), free, block.fixed, others, block.reason))
        return RescalingReport(
            traced.layout.dim,
            traced.action.units,
            tuple(lines),
            tuple(groups.items()),
            tuple((r.where, r.reason) for r in traced.refused if r.lost),
            traced.shared,
            tuple(traced.buffers),
            traced.batch_norm,
        )

    def to_dict(self) -> dict[str, Any]:
        """Numbers, strings, lists and dictionaries, ready for JSON."""
        return {
            "parameters": self.parameters,
            "free_scales": self.scales,
            "rank": self.rank,
            "batch_norm": self.batch_norm,
            "units": [
                {
                    "layer": line.name,
                    "units": line.units,
                    "free": line.free,
                    "fixed": line.fixed,
                    "shares_with": list(line.shares),
                    "reason": line.reason,
                }
                for line in self.blocks
            ],
            "ties": [{"layers": list(names), "scales": count} for names, count in self.ties],
            "skipped": [{"operation": where, "reason": reason} for where, reason in self.skipped],
            "shared_parameters": list(self.shared),
            "rescaled_buffers": list(self.buffers),
        }

    def __str__(self) -> str:
        wide = max([5, *(len(line.name) for line in self.blocks)])
        rows = [
            f"{self.parameters:,} parameters, {self.scales:,} free scales, rank n - H = {self.rank:,}",
            f"{'layer':<{wide}}  {'units':>7}  {'free':>7}  {'fixed':>7}  remarks",
        ]
        for line in self.blocks:
            remarks = [f"shares scales with {', '.join(line.shares)}"] if line.shares else []
            remarks += [f"fixed: {line.reason}"] if line.reason else []
            numbers = f"{line.units:>7}  {line.free:>7}  {line.fixed:>7}"
            rows.append(f"{line.name:<{wide}}  {numbers}  {'; '.join(remarks)}".rstrip())
        rows += [f"skipped: {where}: {reason}" for where, reason in self.skipped]
        rows += [f"used more than once: {', '.join(self.shared)}"] if self.shared else []
        rows += [f"rescaled with them: {', '.join(self.buffers)}"] if self.buffers else []
        return "\n".join(rows)
