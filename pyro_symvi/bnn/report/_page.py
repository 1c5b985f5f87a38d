"""Writing a page: one HTML file with the figure in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..._figures import save_figure
from ..._page import picture, section, write_page

PICTURES = (".png", ".svg", ".pdf")


def page(title: str, figure: Any, sections: Mapping[str, str], path: str | os.PathLike[str]) -> Path:
    """Write title, figure and sections as ``.html``, or the figure alone as .png, .svg or .pdf; whole or not at all.

    Raises:
        ValueError: for another ending.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind in PICTURES:
        return save_figure(figure, path)
    if kind != ".html":
        raise ValueError(f"expected a path that ends in .html, {', '.join(PICTURES)}, got {str(path)!r}")
    head = picture(figure, "Predictions, scores, identities and marginals", wide=True)
    return write_page(title, [head, *(section(name, text) for name, text in sections.items())], path)
