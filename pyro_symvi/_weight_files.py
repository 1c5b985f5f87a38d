"""Files of weights that appear whole or not at all and are read without running code."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def write(content: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Save a dictionary of plain values and tensors; a crash leaves the old file, or none. Folders are made."""
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"expected the path of a file, got the folder {str(path)!r}; try a name inside it")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with open(partial, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read(path: str | os.PathLike[str], form: str, writer: str) -> dict[str, Any]:
    """The dictionary in a file written with ``format`` = form.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: for another file, or a damaged one.
    """
    if Path(path).is_dir():
        raise ValueError(f"expected a file written by {writer}, got the folder {str(path)!r}; try a file inside it")
    with open(path, "rb") as raw:
        archive = zipfile.is_zipfile(raw)
    try:
        if not archive:  # torch's own message would advise to run what is in there
            raise ValueError("it is no archive, or one that was cut off")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"expected a file written by {writer}, got {str(path)!r}, which cannot be read, because: {reason}; try to "
            "remove it, or to restore it from a copy"
        ) from error
    found = content.get("format") if isinstance(content, dict) else type(content).__name__
    if found != form:
        raise ValueError(
            f"expected a file written by {writer} (format {form!r}), got {str(path)!r} of format {found!r}; try another"
        )
    return content


def check_same_run(found: Mapping[str, str], wanted: Mapping[str, str], path: str | os.PathLike[str]) -> None:
    """Refuse the checkpoint of a run that differs; each run is told by lines of text under names.

    Raises:
        ValueError: naming each difference.
    """
    differs = [
        f"{name}: {found.get(name)} there, {value} here" for name, value in wanted.items() if found.get(name) != value
    ]
    differs += [f"{name}: {value} there, nothing here" for name, value in found.items() if name not in wanted]
    if differs:
        raise ValueError(
            f"expected a checkpoint of this run, got {str(path)!r} of another, because of {'; '.join(differs)}; try "
            "another file, or the options of that run"
        )


def check_plain(value: Any, name: str) -> None:
    """Refuse what a file cannot hold without code: all but numbers, strings, tensors, lists and dictionaries.

    Raises:
        TypeError: naming the place.
    """
    if isinstance(value, Mapping):
        for key, entry in value.items():
            check_plain(key, name)
            check_plain(entry, f"{name}[{key!r}]")
    elif isinstance(value, list | tuple):
        for entry in value:
            check_plain(entry, name)
    elif not (value is None or isinstance(value, bool | int | float | str | torch.Tensor)):
        raise TypeError(
            f"expected numbers, strings, tensors, lists and dictionaries in {name}, got {type(value).__name__}, "
            "because a file of a model is read without running code"
        )
