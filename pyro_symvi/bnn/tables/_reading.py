"""Reading tables from text: comma, tab, semicolon or space separated."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ._table import KINDS, Table

#: Larger files are refused unless ``max_bytes`` says otherwise.
MAX_BYTES = 100_000_000
_MISSING = {"", "?", "na", "n/a", "nan", "null", "none"}
_MANY_CLASSES = 10


def read_table(
    path: str | os.PathLike[str],
    target: str | int | None = None,
    *,
    header: bool | str = "auto",
    kind: str = "auto",
    delimiter: str = "auto",
    drop: Sequence[str] = (),
    constant: str = "refuse",
    max_bytes: int = MAX_BYTES,
) -> Table:
    """A table from a text file; every fault is named with its line and column before any work is done.

    Lines that start with # and empty lines are left out. Without a header the columns are named ``x0, x1, ...`` by
    their place in the file, and the target ``y``.

    Args:
        path: the file, UTF-8.
        target: name or place (from 0, negative from the end) of the target; the last column unless given.
        header: True, False, or ``"auto"``: the first row is a header if none of its cells is a number.
        kind: ``"regression"``, ``"classification"``, or ``"auto"``: classification where the target holds words, or
            at most 10 different integers of which each occurs at least twice.
        delimiter: ``","``, ``";"``, tab, ``" "`` (any white space), or ``"auto"``: the first of tab, semicolon, comma
            that occurs in the first row, else white space.
        drop: names of columns to leave out, such as identifiers.
        constant: ``"refuse"`` or ``"drop"`` columns with one value.
        max_bytes: files above this size (100 MB) are refused.

    Raises:
        FileNotFoundError: there is nothing at ``path``.
        ValueError: not a file, not text, empty, too large; ragged rows, duplicate names, words or missing entries in
            a column of numbers, nan or infinity, constant columns, one class only, one row only.
    """
    if kind not in ("auto", *KINDS):
        raise ValueError(f"expected kind='auto', 'regression' or 'classification', got {kind!r}")
    if header not in (True, False, "auto"):
        raise ValueError(f"expected header=True, False or 'auto', got {header!r}")
    place = Path(path)
    lines = _lines(place, max_bytes)
    numbers, cells = _cells(place, lines, delimiter)
    names = _header(place, cells[0], cells[1:], header, target)
    if names is None:
        last = len(cells[0])
        names = [f"x{j}" for j in range(last)]
        names[_position(target, names, last)] = "y"
    else:
        numbers, cells = numbers[1:], cells[1:]
        _check_header(place, names)
    if len(cells) < 2:
        raise ValueError(f"expected at least 2 rows in {place.name}, got {len(cells)}, because one row has no spread")
    index = _position(target, names, len(names))
    unknown = [name for name in drop if name not in names]
    if unknown or names[index] in drop:
        raise ValueError(f"expected columns of {names} other than the target in drop, got {list(drop)}")
    kept = [j for j, name in enumerate(names) if j != index and name not in drop]
    if not kept:
        raise ValueError(f"expected at least one input besides the target {names[index]!r}, got none")
    x = torch.stack([_numbers(place, numbers, [row[j] for row in cells], names[j]) for j in kept], 1)
    y, classes = _target(place, numbers, [row[index] for row in cells], names[index], kind)
    return Table(x, y, [names[j] for j in kept], names[index], classes, place.name, constant)


def _lines(place: Path, max_bytes: int) -> list[tuple[int, str]]:
    """Line numbers and text of all lines that hold data."""
    if not place.exists():
        raise FileNotFoundError(f"expected a file of text, got {str(place)!r}, where there is none")
    if not place.is_file():
        raise ValueError(f"expected a file of text, got {str(place)!r}, which is not a file")
    size = place.stat().st_size
    if size > max_bytes:
        raise ValueError(
            f"expected at most {max_bytes / 1e6:g} MB, got {place.name} of {size / 1e6:.0f} MB, because it is read "
            "whole; try a sample of its rows, or max_bytes="
        )
    try:
        text = place.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"expected text in UTF-8, got {place.name} with byte {error.start} that is none; try to export it as CSV"
        ) from error
    if "\0" in text:
        raise ValueError(f"expected text, got {place.name} with zero bytes; try to export it as CSV")
    lines = [(k, line) for k, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
    if not lines:
        raise ValueError(f"expected rows of data, got {place.name}, which holds none")
    return lines


def _cells(place: Path, lines: list[tuple[int, str]], delimiter: str) -> tuple[list[int], list[list[str]]]:
    """Line numbers and cells of the rows, all of one length."""
    if delimiter == "auto":
        delimiter = next((mark for mark in ("\t", ";", ",") if mark in lines[0][1]), " ")
    if delimiter == " ":
        rows = [line.split() for _, line in lines]
    elif len(delimiter) == 1:
        rows = _quoted(place, [line for _, line in lines], delimiter)
    else:
        raise ValueError(f"expected a delimiter of one character or 'auto', got {delimiter!r}")
    numbers = [number for number, _ in lines]
    if len(rows) != len(numbers):
        raise ValueError(f"expected one row a line in {place.name}, got a quoted cell over several lines")
    if len(rows[0]) < 2:
        raise ValueError(
            f"expected at least two columns, got one in {place.name}: {lines[0][1][:60]!r}; try delimiter="
        )
    for number, row in zip(numbers, rows, strict=True):
        if len(row) != len(rows[0]):
            raise ValueError(
                f"expected {len(rows[0])} cells in every row of {place.name}, got {len(row)} in line {number}; try to "
                "look there for a missing or an extra delimiter"
            )
    return numbers, rows


def _quoted(place: Path, lines: list[str], delimiter: str) -> list[list[str]]:
    try:
        return [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    except (csv.Error, ValueError, TypeError) as error:
        raise ValueError(f"expected {place.name} with cells between {delimiter!r}, got: {error}") from error


def _header(
    place: Path, first: list[str], rest: list[list[str]], header: bool | str, target: str | int | None
) -> list[str] | None:
    """Names of the columns, or None where the first row holds data."""
    if header is False:
        return None
    words = [not _is_number(cell) for cell in first]
    if header is True or (any(words) and all(w or not cell for w, cell in zip(words, first, strict=True))):
        return first
    if isinstance(target, str) and target in first:
        return first
    strange = [j for j, word in enumerate(words) if word and not all(not _is_number(row[j]) for row in rest)]
    if strange and rest:
        raise ValueError(
            f"expected a first row of names or of data in {place.name}, got both ({first[strange[0]]!r} above numbers, "
            f"and numbers beside it); try header=True or header=False"
        )
    return None


def _check_header(place: Path, names: list[str]) -> None:
    for name in names:
        if not name:
            raise ValueError(
                f"expected a name for every column of {place.name}, got an empty one, because it may be an index; try "
                "to write the file without the index (index=False)"
            )
        if names.count(name) > 1:
            raise ValueError(f"expected different names of columns in {place.name}, got {name!r} twice; try to rename")


def _position(target: str | int | None, names: list[str], count: int) -> int:
    if target is None:
        return count - 1
    if isinstance(target, str):
        if target not in names:
            raise ValueError(f"expected a target among {names}, got {target!r}; try its place, from 0")
        return names.index(target)
    if isinstance(target, bool) or not isinstance(target, int):
        raise TypeError(f"expected the name or place of the target, got {target!r}")
    if not -count <= target < count:
        raise ValueError(f"expected a place of the target from {-count} to {count - 1}, got {target}")
    return target % count


def _is_number(cell: str) -> bool:
    if cell.lower() in _MISSING:
        return True
    try:
        _float(cell)
    except ValueError:
        return False
    return True


def _float(cell: str) -> float:
    """The number that a cell holds; Python's 1_000 is none in a table."""
    if "_" in cell:
        raise ValueError(cell)
    return float(cell)


def _numbers(place: Path, lines: list[int], cells: list[str], name: str) -> Tensor:
    """One column as float64, ``[n]``."""
    try:
        values = torch.tensor([_float(cell) for cell in cells], dtype=torch.float64)
    except ValueError:
        values = torch.empty(0)
    if len(values) and bool(torch.isfinite(values).all()):
        return values
    for line, cell in zip(lines, cells, strict=True):
        where = f"line {line}, column {name!r} of {place.name}"
        if cell.lower() in _MISSING:
            found = repr(cell) if cell else "an empty cell"
            raise ValueError(
                f"expected a number, got {found} in {where}, because rows with missing entries "
                "have no density; try to drop or impute them"
            )
        if not _is_number(cell):
            hint = "a decimal point" if "," in cell else f"drop=[{name!r}], or to write each category as a 0/1 column"
            raise ValueError(f"expected a number, got {cell!r} in {where}, because inputs are numbers; try {hint}")
        if abs(float(cell)) == float("inf"):
            raise ValueError(f"expected a finite number, got {cell!r} in {where}; try to drop or correct the row")
    raise ValueError(f"expected numbers in column {name!r} of {place.name}")


def _target(place: Path, lines: list[int], cells: list[str], name: str, kind: str) -> tuple[Tensor, tuple[str, ...]]:
    """The target, and the labels of its classes (empty for regression)."""
    wordy = any(not _is_number(cell) for cell in cells)
    if not wordy or kind == "regression":
        values = _numbers(place, lines, cells, name)
        found, counts = values.unique(return_counts=True)
        whole = bool((found == found.round()).all())
        few = whole and 2 <= len(found) <= _MANY_CLASSES and int(counts.min()) >= 2
        if kind == "regression" or (kind == "auto" and not few):
            return values, ()
        if not whole:
            raise ValueError(
                f"expected classes in {name!r} of {place.name}, got numbers that are not whole; try kind='regression'"
            )
        labels = [int(value) for value in found.tolist()]
        numbers = {label: number for number, label in enumerate(labels)}
        return torch.tensor([numbers[int(v)] for v in values.tolist()]), tuple(str(label) for label in labels)
    if kind == "auto" and not all(not _is_number(cell) or cell.lower() in _MISSING for cell in cells):
        line, cell = next((line, cell) for line, cell in zip(lines, cells, strict=True) if not _is_number(cell))
        raise ValueError(
            f"expected numbers or labels of classes, got both in target {name!r} of {place.name}, the first word "
            f"{cell!r} in line {line}; try to correct it, or kind='classification' if numbers are labels too"
        )
    for line, cell in zip(lines, cells, strict=True):
        if cell.lower() in _MISSING:
            raise ValueError(
                f"expected a class, got {repr(cell) if cell else 'an empty cell'} in line {line}, column {name!r}"
            )
    classes = sorted(set(cells))
    number = {label: k for k, label in enumerate(classes)}
    return torch.tensor([number[cell] for cell in cells]), tuple(classes)
