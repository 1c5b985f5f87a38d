"""One .npz file that keeps the embedded conformers of molecules."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass
class Entry:
    """One molecule: its name, clouds ``[C, N, 3]`` in float32, and what was wrong with it, if anything."""

    name: str
    clouds: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0, 3), np.float32))
    problem: str = ""


def read_cache(path: str | os.PathLike[str], settings: str) -> dict[str, Entry]:
    """Entries by the SMILES string they were asked for; none where there is no file.

    Raises:
        ValueError: for a file that is no cache, or one made with other settings.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"expected the path of an .npz file as cache, got {str(path)!r}; try {str(path) + '.npz'!r}")
    if not path.exists():
        return {}
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("settings", "asked", "names", "problems", "shapes", "coordinates")}
    except Exception as error:
        raise ValueError(
            f"expected a cache of conformers, got {str(path)!r}, because: {error}; try another path or remove the file"
        ) from error
    if str(arrays["settings"]) != settings:
        raise ValueError(
            f"expected a cache made with {settings!r}, got one made with {str(arrays['settings'])!r} in {str(path)!r}; "
            "try another path or remove the file"
        )
    ends = np.cumsum(arrays["shapes"].prod(-1) * 3)
    parts = np.split(arrays["coordinates"], ends[:-1]) if len(ends) else []
    return {
        str(asked): Entry(str(name), part.reshape(*shape, 3), str(problem))
        for asked, name, problem, shape, part in zip(
            arrays["asked"], arrays["names"], arrays["problems"], arrays["shapes"], parts, strict=True
        )
    }


def write_cache(path: str | os.PathLike[str], settings: str, entries: dict[str, Entry]) -> None:
    """All entries in one file, which appears whole or not at all; folders are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            np.savez_compressed(
                file,
                settings=np.array(settings),
                asked=np.array(list(entries), str),
                names=np.array([entry.name for entry in entries.values()], str),
                problems=np.array([entry.problem for entry in entries.values()], str),
                shapes=np.array([entry.clouds.shape[:2] for entry in entries.values()], np.int64),
                coordinates=np.concatenate([entry.clouds.reshape(-1) for entry in entries.values()]),
            )
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
