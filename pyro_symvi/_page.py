"""Writing a page: one HTML file that needs no other, with its pictures in it."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_STYLE = (
    "body{font-family:system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#333}"
    "h1{font-size:1.4em}h2{font-size:1.1em;margin-top:2em}img{max-width:100%}"
    "pre{background:#f6f6f4;padding:1em;overflow-x:auto;line-height:1.35}"
)


def section(heading: str, text: str) -> str:
    """A heading with words as they are printed."""
    return f"<h2>{html.escape(heading)}</h2>\n<pre>{html.escape(text)}</pre>"


def picture(figure: Any, alt: str, *, wide: bool = False) -> str:
    """A matplotlib figure as an image inside the page; ``wide`` fills the width."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=130, facecolor="white", metadata={"Software": None})
    data = base64.b64encode(drawn.getvalue()).decode("ascii")
    style = ' style="width:100%"' if wide else ""
    return f'<img alt="{html.escape(alt)}"{style} src="data:image/png;base64,{data}">'


def write_page(title: str, body: Sequence[str], path: str | os.PathLike[str]) -> Path:
    """Write a page of these parts, whole or not at all; folders are made. The path is returned."""
    name = html.escape(title)
    parts = "\n".join(body)
    return write_text(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>{name}</h1>\n{parts}\n</body></html>\n",
        path,
    )


def write_text(text: str, path: str | os.PathLike[str]) -> Path:
    """Write a file of text, whole or not at all; folders are made. The path is returned."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path
