"""Options of the command line, checked before anything is read or run."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ..._value import positive_int

ENDINGS = (".html", ".png", ".svg", ".pdf")
#: Fewest draws a chain of which convergence can be told.
FEWEST_DRAWS = 8


def check_options(options: argparse.Namespace) -> None:
    """Everything that would otherwise fail after minutes of work.

    Raises:
        ValueError: numbers out of range, a page or a file that cannot be written, a checkpoint that is none.
    """
    for name, least in (("chains", 1), ("thin", 1), ("warmup", 0), ("members", 1), ("refresh", 0), ("seed", 0)):
        value = getattr(options, name)
        if value is not None:
            positive_int(value, f"--{name}", least)
    for width in options.hidden:
        positive_int(width, "--hidden", 1)
    if options.draws < FEWEST_DRAWS:
        raise ValueError(
            f"expected --draws >= {FEWEST_DRAWS}, got {options.draws}, because chains are compared with their own "
            "halves"
        )
    if not 0 < options.test < 1:
        raise ValueError(
            f"expected --test as a share of the rows between 0 and 1, got {options.test}, because the page is on rows "
            "held out"
        )
    if options.out is not None and options.out.suffix.lower() not in ENDINGS:
        raise ValueError(f"expected a path that ends in {', '.join(ENDINGS)}, got {str(options.out)!r}")
    for name in ("out", "json"):
        path = getattr(options, name)
        if path is not None:
            _check_writable(f"--{name}", path)
    _check_checkpoint(options.checkpoint)


def _check_writable(name: str, path: Path) -> None:
    """That a file can be put there, as far as can be told without putting one."""
    if path.is_dir():
        raise ValueError(f"expected a file for {name}, got {str(path)!r}, which is a directory; try a path in it")
    if path.exists() and not os.access(path, os.W_OK):
        raise ValueError(f"expected a file for {name} that can be written, got {str(path)!r}; try another path")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise ValueError(
            f"expected {name} in a directory that can be written, got {str(path)!r} under {str(folder)!r}; try another "
            "path"
        )


def _check_checkpoint(path: Path | None) -> None:
    """That a store is there, or nothing."""
    if path is None:
        return
    from ..runs._store import zarr_module

    zarr_module()
    if (path / "zarr.json").exists() or not path.exists():
        _check_writable("--checkpoint", path / "zarr.json")
    elif not path.is_dir() or any(not entry.name.endswith(".partial") for entry in path.iterdir()):
        raise ValueError(
            f"expected --checkpoint where a run is or nothing, got {str(path)!r}, because something else would be "
            "written over; try another path"
        )
