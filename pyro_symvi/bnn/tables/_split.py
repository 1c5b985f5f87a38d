"""Train, validation and test rows, standardised by what the train rows say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .._streams import stream
from ._table import Table, check_constant_option


class Rows(NamedTuple):
    """Standardised inputs ``[n, d]`` and targets ``[n]`` (class numbers for classification)."""

    x: Tensor
    y: Tensor


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Standardised rows of a table; location and scale are those of the train rows alone.

    x -> (x - x_mean) / x_scale, and for regression y -> (y - y_mean) / y_scale, with means and standard deviations
    (divisor n) over the train rows. A log density of standardised targets becomes one of the targets in their own
    units by subtracting log ``y_scale``: pass it to ``evaluate(..., target_scale=split.y_scale)``.

    Attributes:
        train, validation, test: a pair (x, y) each; empty where no rows were asked for.
        x_mean, x_scale: ``[d]``.
        y_mean, y_scale: floats; 0 and 1 for classification.
        indices: three ``[n]`` tensors, the rows of the table.
        names: of the columns of x.
        classes: labels, empty for regression.
        dropped: columns that are constant over the train rows, where ``constant="drop"`` was asked.
        seed: of the shuffle.
    """

    train: Rows
    validation: Rows
    test: Rows
    x_mean: Tensor
    x_scale: Tensor
    y_mean: float
    y_scale: float
    indices: tuple[Tensor, Tensor, Tensor]
    names: tuple[str, ...]
    target: str
    classes: tuple[str, ...]
    dropped: tuple[str, ...]
    seed: int

    def apply(self, table: Table) -> Rows:
        """Rows of another table with the same columns, standardised as the train rows were.

        Raises:
            ValueError: columns are missing, or the table holds classes that were not seen in training.
        """
        missing = [name for name in self.names if name not in table.names]
        if missing:
            raise ValueError(f"expected columns {list(self.names)}, got a table without {missing}")
        if bool(table.classes) != bool(self.classes):
            kind = "classification" if self.classes else "regression"
            raise ValueError(f"expected a table for {kind}, got one for {table.kind}")
        x = table.x[:, [table.names.index(name) for name in self.names]]
        if not self.classes:
            return self._standardised(x, table.y)
        seen = {label: number for number, label in enumerate(self.classes)}
        strangers = sorted({table.classes[k] for k in table.y.unique().tolist()} - set(seen))
        if strangers:
            raise ValueError(
                f"expected classes among {list(self.classes)}, got {strangers}, because a class that was not seen in "
                "training has no output; try to leave these rows out or to train on some of them"
            )
        renumber = torch.tensor([seen.get(label, -1) for label in table.classes])
        return self._standardised(x, renumber[table.y])

    def inverse_target(self, y: Tensor) -> Tensor:
        """Standardised targets or predictions of any shape, in the units of the table."""
        return y * self.y_scale + self.y_mean

    def _standardised(self, x: Tensor, y: Tensor) -> Rows:
        x = ((x - self.x_mean.double()) / self.x_scale.double()).to(self.x_mean.dtype)
        return Rows(x, y if self.classes else ((y - self.y_mean) / self.y_scale).to(self.x_mean.dtype))

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(rows.y)} {name}" for name, rows in self._named())
        return f"Split({counts} rows of {len(self.names)} inputs, seed={self.seed})"

    def _named(self) -> tuple[tuple[str, Rows], ...]:
        return ("train", self.train), ("validation", self.validation), ("test", self.test)


def split_table(table: Table, seed: int, *, test: float, validation: float, constant: str, dtype: torch.dtype) -> Split:
    """See :meth:`Table.split`: ``test`` and ``validation`` are shares of all rows, rounded; the rest is for training.

    For classification the shares are taken within each class, and each class keeps at least one row for training.
    """
    _check_shares(test, validation)
    check_constant_option(constant)
    generator = stream(seed, 0)
    groups = [(table.y == k).nonzero()[:, 0] for k in range(len(table.classes))] or [torch.arange(table.rows)]
    parts: list[list[Tensor]] = [[], [], []]
    for group in groups:
        shuffled = group[torch.randperm(len(group), generator=generator)]
        n_test, n_validation = round(test * len(group)), round(validation * len(group))
        n_test = min(n_test, max(len(group) - 1, 0))
        n_validation = min(n_validation, max(len(group) - 1 - n_test, 0))
        cuts = (len(group) - n_test - n_validation, n_validation, n_test)
        for part, rows in zip(parts, shuffled.split(cuts), strict=True):
            part.append(rows)
    indices = [torch.cat(part) for part in parts]
    indices = [rows[torch.randperm(len(rows), generator=generator)] for rows in indices]
    for name, share, rows in zip(("train", "validation", "test"), (1.0, validation, test), indices, strict=True):
        needed = 2 if name == "train" else min(1, round(share * 1e9))
        if len(rows) < needed:
            smallest = min(len(group) for group in groups)
            why = f"shares are taken in each of {len(groups)} classes, the smallest of {smallest} rows"
            raise ValueError(
                f"expected at least {needed} {name} rows, got {len(rows)} of {table.rows}, because "
                f"{why if table.classes else 'the table is too small'} for test={test}, validation={validation}; try "
                f"other shares, {'another target' if table.classes else 'or more rows'}"
            )
    return _standardise(table, seed, (indices[0], indices[1], indices[2]), constant, dtype)


def _standardise(
    table: Table, seed: int, indices: tuple[Tensor, Tensor, Tensor], constant: str, dtype: torch.dtype
) -> Split:
    train = indices[0]
    mean, scale = table.x[train].mean(0), table.x[train].std(0, correction=0)
    varies = table.x[train].amax(0) > table.x[train].amin(0)
    flat = tuple(name for name, good in zip(table.names, varies.tolist(), strict=True) if not good)
    if flat and (constant == "refuse" or len(flat) == len(table.names)):
        raise ValueError(
            f"expected columns that vary over the {len(train)} train rows, got one value in all of "
            f"{', '.join(map(repr, flat))}, because standardising divides by the spread; try constant='drop' or "
            "another seed"
        )
    y_mean, y_scale = 0.0, 1.0
    if not table.classes:
        y_mean, y_scale = float(table.y[train].mean()), float(table.y[train].std(correction=0))
        if not y_scale > 0:
            raise ValueError(
                f"expected a target that varies over the {len(train)} train rows, got one value in all of "
                f"{table.target!r}; try another seed or more rows"
            )
    names = tuple(name for name in table.names if name not in flat)
    empty = Rows(table.x[:0], table.y[:0])
    split = Split(
        empty, empty, empty, mean[varies].to(dtype), scale[varies].to(dtype), y_mean, y_scale, indices, names,
        table.target, tuple(table.classes), flat, seed,
    )  # fmt: skip
    for name, rows in zip(("train", "validation", "test"), indices, strict=True):
        object.__setattr__(split, name, split._standardised(table.x[rows][:, varies], table.y[rows]))
    return split


def _check_shares(test: float, validation: float) -> None:
    for name, share in (("test", test), ("validation", validation)):
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
            raise ValueError(f"expected {name} as a share of the rows in [0, 1), got {share!r}")
    if test + validation >= 1:
        raise ValueError(f"expected test + validation < 1, got {test} + {validation}, because no row would be left")
