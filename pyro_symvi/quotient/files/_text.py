"""Reading and writing text files whole, packed or not, with errors that name the file and the line."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path

from torch import Tensor


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a file, unpacked where its name ends in .gz.

    Raises:
        FileNotFoundError: as usual.
        ValueError: for a file that is empty, damaged, or not text.
    """
    path = Path(path)
    raw = path.read_bytes()
    try:
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"expected a gzip file, got {str(path)!r}, because: {error}; try to fetch it again") from error
    except UnicodeDecodeError as error:
        raise ValueError(
            f"expected a text file, got {str(path)!r}, because byte {error.start} is no UTF-8; try to unpack it first"
        ) from error
    if not text.strip():
        raise ValueError(f"expected a file with coordinates, got {str(path)!r}, which is empty")
    return text


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """The whole text or nothing, packed where the name ends in .gz; a file that was there is replaced, folders made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = text.encode("utf-8")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(gzip.compress(raw, mtime=0) if path.suffix == ".gz" else raw)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def suffix_of(path: str | os.PathLike[str]) -> str:
    """The suffix in lower case, without .gz: ``.pdb`` for ``1abc.PDB.gz``."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def parse_float(text: str, path: object, line: int, what: str) -> float:
    """A finite number, or an error that names file and line."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number as {what}, got {text.strip()!r} in {str(path)!r}, line {line}")
    return value


def checked_clouds(clouds: Tensor) -> Tensor:
    """Clouds ``[M, N, 3]`` (or one ``[N, 3]``) in float64, finite."""
    if not isinstance(clouds, Tensor):
        raise TypeError(f"expected clouds as a tensor, got {type(clouds).__name__}; try torch.as_tensor")
    if clouds.ndim == 2:
        clouds = clouds[None]
    if clouds.ndim != 3 or clouds.shape[-1] != 3 or 0 in clouds.shape:
        raise ValueError(f"expected clouds [M, N, 3] or [N, 3], got {list(clouds.shape)}")
    bad = (~clouds.isfinite()).flatten(1).any(-1).nonzero()[:, 0].tolist()
    if bad:
        raise ValueError(
            f"expected finite coordinates, got nan or inf in cloud(s) {', '.join(map(str, bad[:5]))}; try to drop them"
        )
    return clouds.detach().double().cpu()
