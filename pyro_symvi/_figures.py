"""Colours of lines, plain axes, and writing figures to files: what all pictures of the package share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

INK, FAINT = "#333333", "#b5b5b5"
REFERENCE = "#9bb7d4"
METHODS = ("#1f3a5f", "#cc5125", "#2b8566", "#8e51a1", "#a2412d", "#5e7a89", "#bf970e", "#4a4a4a")
"""Line colours of methods, in the order they are given; told apart by colour-blind readers too."""


def save_figure(figure: Any, path: str | os.PathLike[str], *, dpi: int = 160) -> Path:
    """Write a figure as .svg, .png or .pdf, whole or not at all; folders are made. The path is returned.

    The same figure gives the same file: no date, no random identifiers.

    Raises:
        ValueError: for another ending.
    """
    import matplotlib

    path = Path(path)
    kind = path.suffix.lower().lstrip(".")
    if kind not in ("svg", "png", "pdf"):
        raise ValueError(f"expected a path that ends in .svg, .png or .pdf, got {str(path)!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}[kind]
    try:
        with matplotlib.rc_context({"svg.hashsalt": "pyro_symvi"}):
            figure.savefig(partial, format=kind, dpi=dpi, metadata=metadata, facecolor="white")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def tidy(axis: Any) -> None:
    """No frame above and to the right; small ticks."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8, color=FAINT)
    for side in ("left", "bottom"):
        axis.spines[side].set_color(FAINT)
