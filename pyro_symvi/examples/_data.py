"""Reads the small data files that ship with the examples."""

import csv
from importlib.resources import files

import torch
from torch import Tensor


def read_columns(filename: str, *columns: str) -> tuple[Tensor, ...]:
    """The named columns of a data file, in the order asked for.

    Args:
        filename: a file of ``pyro_symvi/examples/data``: comments start with ``#``, the first other line names the
            columns.
        columns: names of numeric columns.

    Returns:
        One float64 tensor of shape ``[rows]`` a column.

    Raises:
        ValueError: where the file has no such column.
    """
    text = files("pyro_symvi.examples").joinpath("data", filename).read_text(encoding="utf-8")
    reader = csv.DictReader(line for line in text.splitlines() if line and not line.startswith("#"))
    known = list(reader.fieldnames or ())
    for column in columns:
        if column not in known:
            raise ValueError(
                f"expected a column of {filename}, got {column!r}, because the file has no such column; "
                f"try one of {', '.join(known)}"
            )
    rows = list(reader)
    return tuple(torch.tensor([float(row[column]) for row in rows], dtype=torch.float64) for column in columns)
