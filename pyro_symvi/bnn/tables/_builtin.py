"""Tables that come with the package."""

from __future__ import annotations

from pathlib import Path

from ._reading import read_table
from ._table import Table

_FOLDER = Path(__file__).parent / "data"
TABLES = {"diabetes": "regression", "iris": "classification"}


def load_table(name: str) -> Table:
    """A table of the package, in its own units; source and columns stand at the head of its file.

    ``"diabetes"``: progression of the disease in 442 patients, 10 inputs (Efron, Hastie, Johnstone and Tibshirani
    2004). ``"iris"``: 150 flowers of three species, 4 inputs (Fisher 1936).

    Raises:
        ValueError: for an unknown name.
    """
    if name not in TABLES:
        raise ValueError(f"expected one of {sorted(TABLES)}, got {name!r}; try read_table(path) for a file")
    return read_table(_FOLDER / f"{name}.csv", header=True, kind=TABLES[name])
