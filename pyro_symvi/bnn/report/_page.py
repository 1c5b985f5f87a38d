"""Writing a page: one HTML file with the figure in it."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..._figures import save_figure

PICTURES = (".png", ".svg", ".pdf")
_STYLE = (
    "body{font-family:system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#333}"
    "h1{font-size:1.4em}h2{font-size:1.1em;margin-top:2em}img{width:100%}"
    "pre{background:#f6f6f4;padding:1em;overflow-x:auto;line-height:1.35}"
)


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
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=130, facecolor="white", metadata={"Software": None})
    data = base64.b64encode(picture.getvalue()).decode("ascii")
    body = "\n".join(f"<h2>{html.escape(name)}</h2>\n<pre>{html.escape(text)}</pre>" for name, text in sections.items())
    text = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>{html.escape(title)}</h1>\n"
        f'<img alt="Predictions, scores, identities and marginals" src="data:image/png;base64,{data}">\n'
        f"{body}\n</body></html>\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path
