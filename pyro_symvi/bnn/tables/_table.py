"""A table of inputs and one target, checked when it is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ._split import Split

#: Larger numbers are refused: sums of their squares overflow.
LARGEST = 1e150
KINDS = ("regression", "classification")


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Inputs ``x`` ``[n, d]`` and a target ``y`` ``[n]``, columns by name, in the units they came in.

    Args:
        x: float64, finite; no column may be constant, since standardising divides by its spread.
        y: real numbers, or class numbers 0 .. len(classes) - 1 (int64).
        names: of the columns of x, all different; ``x0, x1, ...`` unless given.
        target: name of the target.
        classes: labels of the classes, in the order of their numbers; empty for regression.
        source: where the table is from, in words.
        constant: what happens to columns with one value: ``"refuse"`` or ``"drop"`` (their names go to ``dropped``).

    Raises:
        TypeError: x or y are no tensors.
        ValueError: nan or infinity (row and column named), constant columns, fewer than two rows, one class only, a
            constant target, duplicate names.
    """

    x: Tensor
    y: Tensor
    names: Sequence[str] = ()
    target: str = "y"
    classes: Sequence[str] = ()
    source: str = ""
    constant: str = "refuse"
    dropped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        x, y = self.x, self.y
        if not isinstance(x, Tensor) or not isinstance(y, Tensor):
            raise TypeError(
                f"expected x and y as tensors, got {type(x).__name__} and {type(y).__name__}; try torch.as_tensor"
            )
        if x.ndim != 2 or y.ndim != 1 or len(x) != len(y) or x.shape[1] < 1:
            raise ValueError(f"expected x [n, d] with d >= 1 and y [n], got {list(x.shape)} and {list(y.shape)}")
        names = tuple(str(name) for name in self.names) or tuple(f"x{j}" for j in range(x.shape[1]))
        _check_names((*names, self.target), x.shape[1] + 1)
        for name, value in (("x", x.double()), ("names", names), ("classes", tuple(str(c) for c in self.classes))):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "y", y.double())
        if len(x) < 2:
            raise ValueError(
                f"expected at least 2 rows, got {len(x)}, because one row has no spread and cannot be split"
            )
        self._check_numbers()
        if self.classes:
            if bool((y != y.round()).any()):
                raise ValueError("expected class numbers, got numbers that are not whole; try y.long() or no classes=")
            object.__setattr__(self, "y", y.long())
        self._check_target()
        self._check_constant()

    @property
    def kind(self) -> str:
        """``"regression"`` or ``"classification"``."""
        return "classification" if self.classes else "regression"

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.y)

    def split(
        self,
        seed: int,
        *,
        test: float = 0.1,
        validation: float = 0.2,
        constant: str = "refuse",
        dtype: torch.dtype = torch.float64,
    ) -> Split:
        """Shuffled train, validation and test rows, standardised by the train rows. See :class:`Split`."""
        from ._split import split_table

        return split_table(self, seed, test=test, validation=validation, constant=constant, dtype=dtype)

    def __repr__(self) -> str:
        of = f"{len(self.classes)} classes" if self.classes else "real"
        return f"Table({self.rows} rows of {len(self.names)} inputs, {self.kind}, target {self.target!r}: {of})"

    def _check_numbers(self) -> None:
        columns = torch.cat([self.x, self.y[:, None].double()], 1)
        bad = ~torch.isfinite(columns)
        if bool(bad.any()):
            row, column = bad.nonzero()[0].tolist()
            name = (*self.names, self.target)[column]
            raise ValueError(
                f"expected finite numbers, got {float(columns[row, column])} in row {row + 1}, column {name!r} (and "
                f"{int(bad.sum()) - 1} more), because a density needs them; try to drop or impute these rows"
            )

        large = columns.abs().amax(0) > LARGEST
        if bool(large.any()):
            name = (*self.names, self.target)[int(large.nonzero()[0])]
            raise ValueError(
                f"expected numbers up to {LARGEST:g}, got {float(columns[:, large][:, 0].abs().amax()):g} in column "
                f"{name!r}, because the squares of larger ones have no spread in double precision; try other units"
            )

    def _check_target(self) -> None:
        values = self.y.unique()
        if not self.classes:
            if len(values) < 2:
                raise ValueError(
                    f"expected a target that varies, got {float(values[0])} in every row of {self.target!r}, because "
                    "nothing can be learnt of it; try another target="
                )
            return
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"expected different labels of classes, got {list(self.classes)}")
        if int(values[0]) < 0 or int(values[-1]) >= len(self.classes):
            raise ValueError(
                f"expected class numbers from 0 to {len(self.classes) - 1}, got {int(values[0])} to {int(values[-1])}, "
                f"because there are {len(self.classes)} labels"
            )
        if len(values) < 2:
            raise ValueError(
                f"expected at least two classes, got only {self.classes[int(values[0])]!r} in {self.target!r}, because "
                "one class leaves nothing to tell apart; try another target="
            )

    def _check_constant(self) -> None:
        check_constant_option(self.constant)
        spread = self.x.amax(0) > self.x.amin(0)
        flat = [name for name, varies in zip(self.names, spread.tolist(), strict=True) if not varies]
        if not flat:
            return
        if self.constant == "refuse" or len(flat) == len(self.names):
            raise ValueError(
                f"expected columns that vary, got one value in all rows of {', '.join(map(repr, flat))}, because a "
                "constant column cannot be standardised and says nothing; try constant='drop'"
            )
        object.__setattr__(self, "names", tuple(name for name in self.names if name not in flat))
        object.__setattr__(self, "x", self.x[:, spread])
        object.__setattr__(self, "dropped", (*self.dropped, *flat))


def check_constant_option(constant: str) -> None:
    """Refuse options other than the two."""
    if constant not in ("refuse", "drop"):
        raise ValueError(f"expected constant='refuse' or 'drop', got {constant!r}")


def _check_names(names: tuple[str, ...], count: int) -> None:
    if len(names) != count:
        raise ValueError(f"expected {count - 1} names of columns, got {len(names) - 1}")
    for name in names:
        if not name.strip():
            raise ValueError(
                "expected a name for every column, got an empty one; try index=False when writing the file"
            )
        if names.count(name) > 1:
            raise ValueError(f"expected different names of columns, got {name!r} twice; try to rename one")
