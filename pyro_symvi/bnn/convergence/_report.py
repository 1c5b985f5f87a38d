"""What the figures of convergence say, line by line, and which of them count."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor


class Reading(Enum):
    """How one line reads."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"
    UNDEFINED = "cannot tell"
    NO_FAILURE = "no failure"


class Subject(Enum):
    """What a line counts for."""

    PREDICTIONS = "predictions"
    WEIGHTS = "weights up to symmetry"
    NOTHING = "nothing"


_ORDER = (Reading.BAD, Reading.UNDEFINED, Reading.DOUBTFUL, Reading.GOOD)


@dataclass(frozen=True)
class ConvergenceLine:
    """One figure over many quantities.

    Attributes:
        name: of the figure.
        subject: what it counts for.
        reading: the verdict on the worst quantity.
        worst, typical: over the quantities; typical is the median.
        values: one a quantity (``[chains, quantities]`` where each chain is looked at alone).
        meaning: how to read it.
    """

    name: str
    subject: Subject
    reading: Reading
    worst: float
    typical: float
    values: Tensor
    meaning: str


@dataclass(frozen=True)
class Convergence:
    """A table of :class:`ConvergenceLine`; ``print`` shows it."""

    source: str
    chains: int
    draws: int
    lines: tuple[ConvergenceLine, ...]

    def line(self, name: str) -> ConvergenceLine:
        """The line of this name."""
        for line in self.lines:
            if line.name == name:
                return line
        raise ValueError(f"expected one of {[line.name for line in self.lines]}, got {name!r}")

    def reading(self, subject: Subject = Subject.PREDICTIONS) -> Reading:
        """The worst reading of the lines that count for this subject."""
        found = [line.reading for line in self.lines if line.subject is subject]
        return next((reading for reading in _ORDER if reading in found), Reading.UNDEFINED)

    def __str__(self) -> str:
        head = f"Convergence of {self.source}: {self.chains} chains of {self.draws} draws"
        rows = [("figure", "worst", "median", "reads", "counts for", "meaning")]
        rows += [
            (
                line.name,
                _number(line.worst),
                _number(line.typical),
                line.reading.value,
                line.subject.value,
                line.meaning,
            )
            for line in self.lines
        ]
        widths = [max(len(row[k]) for row in rows) for k in range(5)]
        table = [
            "  " + "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[5]]).rstrip()
            for row in rows
        ]
        subjects = [s for s in (Subject.PREDICTIONS, Subject.WEIGHTS) if any(line.subject is s for line in self.lines)]
        last = "; ".join(f"{subject.value}: {self.reading(subject).value}" for subject in subjects)
        return "\n".join([head, *table, f"  Together: {last}."])


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    size = abs(value)
    return f"{value:.0f}" if 100 <= size < math.inf else f"{value:.1f}" if 10 <= size < math.inf else f"{value:.3f}"


def make_line(
    name: str,
    subject: Subject,
    values: Tensor,
    good: float,
    bad: float,
    meaning: str,
    *,
    larger_is_better: bool = False,
) -> ConvergenceLine:
    """A line read off its worst quantity: good up to ``good``, bad beyond ``bad``, doubtful between."""
    known = values[~values.isnan()]
    if not len(known):
        return undefined(name, subject, f"{meaning}: no quantity moves")
    worst = float(known.min() if larger_is_better else known.max())
    sign = -1 if larger_is_better else 1
    reading = (
        Reading.BAD if sign * worst > sign * bad else Reading.DOUBTFUL if sign * worst > sign * good else Reading.GOOD
    )
    if subject is Subject.NOTHING:
        reading = Reading.NO_FAILURE
    return ConvergenceLine(name, subject, reading, worst, float(known.quantile(0.5)), values, meaning)


def undefined(name: str, subject: Subject, why: str) -> ConvergenceLine:
    """A line that nothing can be read from."""
    return ConvergenceLine(name, subject, Reading.UNDEFINED, math.nan, math.nan, torch.empty(0), why)
