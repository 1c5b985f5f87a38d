"""What `find_symmetries` returns."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import torch
from torch import Tensor

from ...density import LogDensity
from ...families import Closure
from ...groups import AffineAction, LinearAction
from ..verdicts import Evidence
from .maps import AffineMap, maps_of
from .membership import implied
from .pins import Pins


@dataclass(frozen=True)
class FoundSymmetry:
    """A symmetry that holds: proved, or not violated anywhere it was tested.

    Attributes:
        kind: What it is, in words.
        action: The action, bound, of `pyro_symvi.groups` where one exists.
        coordinates: Flat coordinates that it moves.
        names: They in words.
        center: A point ``[d]`` that it fixes, where there is one.
        shape: Shape matrix of an elliptical block, else None.
        matrices: Linear parts of generators, ``[k, d, d]``.
        offsets: Their offsets, ``[k, d]``.
        evidence: ``PROVED`` or ``VERIFIED``.
        statement: How it is known; for ``VERIFIED``, the region.
        pins: What it pins of mean and covariance.
        closure: Whether the guide's family is closed under it; None without a guide.
    """

    kind: str
    action: LinearAction
    coordinates: tuple[int, ...]
    names: str
    center: Tensor | None
    shape: Tensor | None
    matrices: Tensor
    offsets: Tensor
    evidence: Evidence
    statement: str
    pins: Pins
    closure: Closure | None = None

    @property
    def maps(self) -> list[AffineMap]:
        """Generators as affine maps."""
        return [AffineMap(a, b) for a, b in zip(self.matrices, self.offsets, strict=True)]

    def __str__(self) -> str:
        return f"{self.kind} ({self.names}): {self.evidence.value}"


@dataclass(frozen=True)
class RefutedSymmetry:
    """A symmetry that fails, with a point that shows it.

    Attributes:
        kind: What it is, in words.
        names: The coordinates that it would move.
        action: The action tested.
        witness: A point ``[d]`` where log p(gz) differs from log p(z) by more than rounding explains.
        residual: The difference.
        image: gz, ``[d]``; None where the element g was not kept.
    """

    kind: str
    names: str
    action: LinearAction
    witness: Tensor
    residual: float
    image: Tensor | None = None

    def __str__(self) -> str:
        return f"{self.kind} ({self.names}): log p changes by {self.residual:.3g} at the witness"


@dataclass(frozen=True)
class Symmetries:
    """The symmetries of a target: what holds, what fails, what was looked for and what was not.

    Attributes:
        density: The target.
        found: Symmetries that hold, those that pin most first; none is implied by the others.
        refuted: Symmetries that were worth a try and fail, with witnesses.
        undecided: What could not be decided, and why.
        searched: What was looked for, in words.
        not_searched: What was not.
        region: What the numerical tests looked at.
    """

    density: LogDensity
    found: tuple[FoundSymmetry, ...]
    refuted: tuple[RefutedSymmetry, ...] = ()
    undecided: tuple[str, ...] = ()
    searched: tuple[str, ...] = ()
    not_searched: tuple[str, ...] = ()
    region: str = ""

    def __len__(self) -> int:
        return len(self.found)

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self.found)

    def __getitem__(self, index: int) -> FoundSymmetry:
        return self.found[index]

    def implies(self, action: LinearAction) -> bool:
        """Whether an action follows from those found: each generator is a product of theirs.

        A yes holds as far as the found ones do; a no may mean that it was not recognised.

        Raises:
            TypeError: Not a linear or affine action.
            ValueError: An affine action without a centre.
        """
        if not isinstance(action, LinearAction):
            raise TypeError(
                f"expected a linear or affine action, got {action!r}, because only such are compared; try "
                "PointReflection(center=...)"
            )
        dim = self.density.dim
        if isinstance(action, AffineAction) and not action.is_bound:
            action = action.bind(dim)
        return implied(maps_of(action, dim), [f.action for f in self.found], dim)

    def __str__(self) -> str:
        names = self.density.coordinates
        lines = []
        if self.found:
            closed = any(f.closure is not None for f in self.found)
            rows = [["symmetry", "of", "known", "pins", *(["guide"] if closed else [])]]
            for f in self.found:
                row = [f.kind, f.names, f.evidence.value, f.pins.words(names)]
                if closed:
                    row.append("" if f.closure is None else "closed" if f.closure else "not closed")
                rows.append(row)
            lines.append(_table(rows))
        else:
            lines.append("No symmetry was found.")
        if self.refuted:
            lines.append(
                "Refuted: " + "; ".join(str(r) for r in self.refuted[:6]) + ("; ..." if len(self.refuted) > 6 else ".")
            )
        return "\n".join(lines)

    def explain(self) -> str:
        """In sentences: each symmetry, how it is known and what it pins; what fails; what was and was not searched."""
        names = self.density.coordinates
        lines = []
        for number, f in enumerate(self.found, 1):
            lines.append(f"{number}. {f.kind} of ({f.names}), {f.evidence.value}: {f.statement}.")
            lines.append(f"   It pins, where the moments exist: {f.pins.words(names)}.")
            if f.closure is not None:
                verdict = "is closed" if f.closure else "is not closed"
                lines.append(f"   The guide's family {verdict} under it: {f.closure.reason}.")
        if not self.found:
            lines.append("No symmetry was found.")
        lines += [f"Refuted: {r}." for r in self.refuted]
        lines += [f"Undecided: {text}." for text in self.undecided]
        lines.append(f"Looked at: {self.region}.")
        lines += [f"Searched: {text}." for text in self.searched]
        lines += [f"Not searched: {text}." for text in self.not_searched]
        return "\n".join(line for text in lines for line in textwrap.wrap(text, 118, subsequent_indent="   "))


def _table(rows: list[list[str]], widest: int = 44) -> str:
    cells = [[textwrap.wrap(cell, widest) or [""] for cell in row] for row in rows]
    widths = [max(len(line) for row in cells for line in row[k]) for k in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(cells):
        for k in range(max(len(cell) for cell in row)):
            parts = [(cell[k] if k < len(cell) else "").ljust(w) for cell, w in zip(row, widths, strict=True)]
            lines.append("  ".join(parts).rstrip())
        if number == 0:
            lines.append("  ".join("-" * w for w in widths))
    return "\n".join(lines)


def fixed_point(maps: list[AffineMap], near: Tensor) -> Tensor | None:
    """The point fixed by all maps that is nearest to a given one; None if there is none."""
    eye = torch.eye(len(near), dtype=torch.float64)
    left = torch.cat([m.matrix - eye for m in maps])
    right = -torch.cat([m.offset for m in maps]) - left @ near
    step = torch.linalg.lstsq(left, right[:, None], driver="gelsd").solution[:, 0]
    gap = float((left @ step - right).abs().max())
    return near + step if gap <= 1e-6 * max(1.0, float(right.abs().max())) else None
