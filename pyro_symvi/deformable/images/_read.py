"""One file of an image, as numbers between 0 and 1."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

_GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F")


class UnreadableImageError(ValueError):
    """A file that holds no image this package can use, and why."""


@dataclass(frozen=True)
class Picture:
    """What a file shows.

    Attributes:
        image: ``[1, H, W]`` or ``[3, H, W]`` in [0, 1], turned as its file says; see-through parts white.
        there: ``[H, W]``, 1 where the image is opaque and 0 where it can be seen through.
        size: height and width as the image is shown, before any reduction on reading.
        turned: whether the camera's note of orientation was followed.
        transparent: whether parts can be seen through.
    """

    image: Tensor
    there: Tensor
    size: tuple[int, int]
    turned: bool
    transparent: bool


def read_picture(path: Path, enough: int) -> Picture:
    """The image of a file. Photographs may be read at a lower resolution of at least ``enough`` pixels a side.

    Raises:
        UnreadableImageError: for what is no image, is cut off, empty, moves, or has values of no known range.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # notes on metadata that nothing here uses
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                frames = getattr(opened, "n_frames", 1)
                if frames > 1 and opened.format != "MPO":  # the other pictures of an MPO are previews
                    raise UnreadableImageError(f"it moves or has pages ({frames} of them), and one picture is wanted")
                size = (opened.height, opened.width)
                orientation = _orientation(opened)
                opened.draft(None, (2 * enough, 2 * enough))
                opened.load()
                values, there = _values(opened if orientation == 1 else ImageOps.exif_transpose(opened))
    except UnreadableImageError:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImageError("it is empty, or no image of a known kind") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableImageError(f"it has too many pixels ({error})") from error
    except Exception as error:  # decoders raise OSError, ValueError, SyntaxError, struct.error and more
        raise UnreadableImageError(str(error).strip().rstrip(".") or type(error).__name__) from error
    if orientation > 4:  # quarter turns
        size = (size[1], size[0])
    hidden = bool((there < 1).any())
    if hidden:
        values = values * there + 1 - there
    return Picture(values.clamp(0, 1), there, size, orientation > 1, hidden)


def _orientation(opened: Any) -> int:
    """The camera's note, 1 to 8; 1 where there is none that can be read."""
    try:
        found = opened.getexif().get(0x0112, 1)
    except Exception:
        return 1
    return found if found in range(1, 9) else 1


def _values(still: Any) -> tuple[Tensor, Tensor]:
    """Values ``[C, H, W]`` in [0, 1], and opacity ``[H, W]``."""
    grey = still.mode in _GREY
    if still.mode in ("I", "F") or still.mode.startswith("I;16"):
        values = torch.from_numpy(np.asarray(still).astype(np.float32))[None]
        values = _scaled(values, whole=still.mode != "F")
        return values, torch.ones(values.shape[-2:])
    seen_through = "transparency" in still.info or still.mode in ("LA", "La", "PA", "RGBA", "RGBa")
    if seen_through:
        array = np.asarray(still.convert("RGBA"))
    else:
        array = np.asarray(still.convert("L" if grey else "RGB"))
    values = torch.from_numpy(array.astype(np.float32) / 255)
    if values.ndim == 2:
        values = values[..., None]
    values = values.permute(2, 0, 1).contiguous()
    if not seen_through:
        return values, torch.ones(values.shape[-2:])
    return values[:1] if grey else values[:3], values[3]


def _scaled(values: Tensor, *, whole: bool) -> Tensor:
    """Values of 16 bits, or of decimals in [0, 1]."""
    low, high = float(values.amin()), float(values.amax())
    most = 65535.0 if whole else 1.0
    if not 0 <= low <= high <= most:
        raise UnreadableImageError(f"its values go from {low:g} to {high:g}, and 0 to {most:g} is understood")
    return values / most
