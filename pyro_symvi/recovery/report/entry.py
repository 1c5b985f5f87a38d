"""One number with its verdict, and all numbers of one statistic."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from ..verdicts import Evidence, Premise, Verdict
from .layout import Layout


@dataclass(frozen=True)
class Witness:
    """The map and the residual behind a refutation; the point is `Entry.witness`.

    Attributes:
        action: Its name, ``"PointReflection"``.
        coordinates: The coordinates that it moves.
        center: Its centre there.
        element: The group element: -1 for a reflection.
        residual: log p(gz) - log p(z) at the point.
    """

    action: str
    coordinates: tuple[int, ...]
    center: tuple[float, ...]
    element: tuple[float, ...]
    residual: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "action": self.action,
            "coordinates": list(self.coordinates),
            "center": [number(x) for x in self.center],
            "element": [number(x) for x in self.element],
            "residual": number(self.residual),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Witness:
        """The inverse of `to_dict`."""
        return cls(
            record["action"],
            tuple(record["coordinates"]),
            tuple(real(x) for x in record["center"]),
            tuple(real(x) for x in record["element"]),
            real(record["residual"]),
        )


@dataclass(frozen=True)
class Entry:
    """One number and what may be said of it.

    Attributes:
        label: ``"mean of beta[0]"``.
        verdict: The verdict on the *fitted* value (on the target's own value where nothing was fitted).
        value: That value, in unconstrained coordinates (medians: on the user's scale).
        bound: Error bound in posterior sds (correlations and shapes: absolute); nan where none is given.
        exact: The value that symmetry says is right, where one is verified; else nan.
        theorem: Name of the theorem used, or empty.
        premises: Its premises with their evidence.
        reason: One line.
        witness: A point ``[d]`` that refutes the symmetry, if the verdict rests on one.
        violation: The map and its residual at the witness.
    """

    label: str
    verdict: Verdict
    value: float
    bound: float
    reason: str
    theorem: str = ""
    premises: tuple[Premise, ...] = ()
    exact: float = math.nan
    witness: tuple[float, ...] | None = None
    violation: Witness | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: nan becomes None."""
        return {
            "label": self.label,
            "verdict": self.verdict.name,
            "value": number(self.value),
            "bound": number(self.bound),
            "exact": number(self.exact),
            "theorem": self.theorem or None,
            "reason": self.reason,
            "premises": [
                {"name": p.name, "evidence": p.evidence.value, "statement": p.statement} for p in self.premises
            ],
            "witness": None if self.witness is None else [number(x) for x in self.witness],
            "violation": None if self.violation is None else self.violation.to_dict(),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Entry:
        """The inverse of `to_dict`."""
        premises = tuple(Premise(p["name"], Evidence(p["evidence"]), p["statement"]) for p in record["premises"])
        witness, violation = record["witness"], record.get("violation")
        return cls(
            label=record["label"],
            verdict=Verdict[record["verdict"]],
            value=real(record["value"]),
            bound=real(record["bound"]),
            reason=record["reason"],
            theorem=record["theorem"] or "",
            premises=premises,
            exact=real(record["exact"]),
            witness=None if witness is None else tuple(real(x) for x in witness),
            violation=None if violation is None else Witness.from_dict(violation),
        )


@dataclass(frozen=True)
class StatisticReport:
    """All entries of one statistic: ``[d]`` for means, ``[d, d]`` for correlations, a list of others.

    Attributes:
        statistic: Its name.
        entries: Row by row.
        shape: ``(n,)`` or ``(n, n)``.
        layout: Names of sites and coordinates.
        indices: For each entry of a list, or each row of a matrix, the flat coordinate that it belongs to.
    """

    statistic: str
    entries: tuple[Entry, ...]
    shape: tuple[int, ...]
    layout: Layout = field(repr=False)
    indices: tuple[int, ...] = field(repr=False)

    @property
    def verdicts(self) -> list[Any]:
        """One `Verdict` an entry; for correlations a list of rows."""
        flat = [entry.verdict for entry in self.entries]
        if len(self.shape) == 1:
            return flat
        rows, columns = self.shape
        return [flat[i * columns : (i + 1) * columns] for i in range(rows)]

    @property
    def verdict(self) -> Verdict:
        """The weakest verdict (of the off-diagonal entries, for matrices)."""
        return min((entry.verdict for entry in self.considered()), default=Verdict.PROVED)

    @property
    def values(self) -> torch.Tensor:
        """Fitted values, float64."""
        return torch.tensor([e.value for e in self.entries], dtype=torch.float64).reshape(self.shape)

    @property
    def bounds(self) -> torch.Tensor:
        """Error bounds; nan where there is none."""
        return torch.tensor([e.bound for e in self.entries], dtype=torch.float64).reshape(self.shape)

    @property
    def exact(self) -> torch.Tensor:
        """Values that symmetry pins, where verified; else nan."""
        return torch.tensor([e.exact for e in self.entries], dtype=torch.float64).reshape(self.shape)

    @property
    def theorem(self) -> str:
        """Name of the theorem behind the best verdict; empty if none applies."""
        return max(self.considered(), key=lambda e: e.verdict).theorem if self.considered() else ""

    @property
    def premises(self) -> tuple[Premise, ...]:
        """Distinct premises behind the best verdict."""
        return max(self.considered(), key=lambda e: e.verdict).premises if self.considered() else ()

    def at(self, site: str) -> StatisticReport:
        """The entries of one site.

        Raises:
            KeyError: No such site; the message lists them.
        """
        if site not in self.layout.slices:
            raise KeyError(f"expected one of the sites {list(self.layout.names)}, got {site!r}")
        chosen = range(self.layout.dim)[self.layout.slices[site]]
        keep = [k for k, i in enumerate(self.indices) if i in chosen]
        if len(self.shape) == 1:
            entries = tuple(self.entries[k] for k in keep)
        else:
            entries = tuple(self.entries[a * self.shape[1] + b] for a in keep for b in keep)
        indices = tuple(self.indices[k] for k in keep)
        return StatisticReport(self.statistic, entries, (len(keep),) * len(self.shape), self.layout, indices)

    def of(self, coordinate: str | int) -> tuple[Entry, ...]:
        """The entries in which a coordinate takes part: one mean, a row of correlations, the slopes of a response.

        Raises:
            KeyError: No such coordinate; the message lists them.
        """
        index = self.layout.index(coordinate)
        rows = [k for k, i in enumerate(self.indices) if i == index]
        if len(self.shape) == 1:
            return tuple(self.entries[k] for k in rows)
        return tuple(self.entries[k * self.shape[1] + j] for k in rows for j in range(self.shape[1]) if j != k)

    def considered(self) -> tuple[Entry, ...]:
        """All entries, without the diagonal of a matrix of correlations."""
        if len(self.shape) == 1 or self.statistic == "covariance":
            return self.entries
        return tuple(e for k, e in enumerate(self.entries) if k // self.shape[1] != k % self.shape[1])

    def lower(self) -> tuple[Entry, ...]:
        """The entries that say something new: of a symmetric matrix, those below the diagonal (or on it)."""
        if len(self.shape) == 1:
            return self.entries
        d, on = self.shape[1], int(self.statistic == "covariance")
        return tuple(self.entries[i * d + j] for i in range(self.shape[0]) for j in range(i + on))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "verdict": self.verdict.name,
            "shape": list(self.shape),
            "indices": list(self.indices),
            "entries": [entry.to_dict() for entry in self.entries],
        }

    @classmethod
    def from_dict(cls, statistic: str, record: Mapping[str, Any], layout: Layout) -> StatisticReport:
        """The inverse of `to_dict`."""
        entries = tuple(Entry.from_dict(e) for e in record["entries"])
        return cls(statistic, entries, tuple(record["shape"]), layout, tuple(record["indices"]))


def number(value: float) -> float | None:
    """JSON knows no nan."""
    return float(value) if math.isfinite(value) else None


def real(value: float | None) -> float:
    """The inverse of `number`."""
    return math.nan if value is None else float(value)
