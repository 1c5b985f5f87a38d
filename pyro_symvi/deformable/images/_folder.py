"""Folders of images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..._value import positive_int
from .._luma import luma
from ._fit import FITS, fitted
from ._read import Picture, UnreadableImageError, read_picture

SUFFIXES = (
    ".avif", ".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff",
    ".webp",
)  # fmt: skip
"""Endings of the files that are taken for images in a folder."""
CHANNELS = ("auto", "colour", "grey")
_NAMED = 4
"""So many files a message names."""


@dataclass(frozen=True)
class ImageFolder:
    """Images of one size and kind.

    Attributes:
        images: ``[N, C, H, W]``, float32 in [0, 1]; C = 3 in colour, 1 in grey.
        paths: of their files.
        mask: bool ``[N, H, W]``, False where one can see through a picture or it was padded; None where all of every
            image is there.
        sizes: height and width of each file.
        notes: what was done to the files, in words.
    """

    images: Tensor
    paths: tuple[Path, ...]
    mask: Tensor | None
    sizes: tuple[tuple[int, int], ...]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the files, without folders."""
        return tuple(path.name for path in self.paths)


def load_images(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    size: int | tuple[int, int] = 48,
    channels: str = "auto",
    fit: str = "crop",
    *,
    least: int = 2,
    skip_unreadable: bool = False,
) -> ImageFolder:
    """The images of a folder (not of folders in it), or of a list of files, ready for a network.

    Photographs are turned as their camera noted, 16-bit values scaled, see-through parts made white and masked.

    Args:
        source: a folder, whose files are taken by name in the order of their names, or paths of files.
        size: pixels of the side, or (height, width).
        channels: "colour" (grey images get three equal channels), "grey" (the luma of coloured ones), or "auto": what
            all of them are; three channels that are equal count as grey among grey images.
        fit: "crop" cuts the middle part of the wanted shape out of each image, "pad" adds bands of its mean colour,
            "stretch" changes its shape, "error" refuses images that differ in size.
        least: number of different images that are needed. A frame is learnt from two or more.
        skip_unreadable: leave out files that cannot be read, and say so in the notes, instead of refusing them.

    Raises:
        FileNotFoundError: for a folder or file that is not there.
        ValueError: for a folder without images, fewer than ``least`` different ones, files that are no images, moving
            ones, grey and coloured ones under "auto", different sizes under "error". Files are named.
    """
    side = _size(size)
    for name, value, known in (("channels", channels, CHANNELS), ("fit", fit, FITS)):
        if value not in known:
            raise ValueError(f"expected {name} as one of {', '.join(known)}, got {value!r}")
    positive_int(least, "least")
    paths = _paths(source)
    if len(paths) < least:
        raise ValueError(_too_few(len(paths), least, paths[:1]))
    pictures, notes = _read(paths, side, fit, skip_unreadable)
    if len(pictures) < least:
        raise ValueError(f"{_too_few(len(pictures), least, list(pictures))} ({'; '.join(notes)})")
    kind = _kind(pictures, channels)
    notes += _notes(pictures, side, fit, kind)
    images = torch.stack([_as_kind(picture.image, kind) for picture in pictures.values()])
    mask = torch.stack([picture.there for picture in pictures.values()]) > 0.5
    if least > 1 and bool((images == images[:1]).all()):
        raise ValueError(f"{_too_few(1, least, list(pictures)[:1])}; {len(images)} files show the same picture")
    sizes = tuple(p.size for p in pictures.values())
    return ImageFolder(images, tuple(pictures), None if bool(mask.all()) else mask, sizes, tuple(notes))


def _size(size: int | tuple[int, int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    return positive_int(height, "size", 8), positive_int(width, "size", 8)


def _paths(source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Path]:
    if not isinstance(source, str | os.PathLike):
        paths = [Path(path) for path in source]
        for path in paths:
            if not path.is_file():
                raise FileNotFoundError(
                    f"expected files of images, got {str(path)!r}, which is not a file that is there"
                )
        if not paths:
            raise ValueError("expected files of images, got an empty list")
        return paths
    folder = Path(source)
    if folder.is_file():
        raise ValueError(
            f"expected a folder of images, got the file {str(folder)!r}; try its folder {str(folder.parent)!r}"
        )
    if not folder.is_dir():
        raise FileNotFoundError(
            f"expected a folder of images, got {str(folder)!r}, which is not there; try another path"
        )
    found = _images_in(folder)
    if not found:
        below = [inner.name for inner in sorted(folder.iterdir()) if inner.is_dir() and _images_in(inner)]
        others = sum(1 for path in folder.iterdir() if path.is_file())
        hint = f"; try {folder / below[0]}" if below else "; try another folder, or files with one of these endings"
        raise ValueError(
            f"expected a folder with images ({', '.join(SUFFIXES)}), got {str(folder)!r} with none and {others} other "
            f"files{hint}"
        )
    return found


def _images_in(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _read(paths: Sequence[Path], size: tuple[int, int], fit: str, skip: bool) -> tuple[dict[Path, Picture], list[str]]:
    """Pictures of one size by path, and notes on what was left out."""
    pictures: dict[Path, Picture] = {}
    broken: list[str] = []
    for path in paths:
        try:
            picture = read_picture(path, max(size))
            image, there = fitted(picture.image, picture.there, size, fit)
            if not bool((there > 0.5).any()):
                raise UnreadableImageError("it can be seen through everywhere")
        except UnreadableImageError as error:
            broken.append(f"{path.name}: {error}")
            continue
        pictures[path] = replace(picture, image=image, there=there)
    if not broken:
        return pictures, []
    told = "; ".join(broken[:_NAMED]) + (f"; and {len(broken) - _NAMED} more" if len(broken) > _NAMED else "")
    if not skip:
        raise ValueError(
            f"expected images that can be read, got {len(broken)} of {len(paths)} files that cannot: {told}; try to "
            "take them away, or skip_unreadable=True"
        )
    return pictures, [f"left out {len(broken)} of {len(paths)} files that cannot be read: {told}"]


def _kind(pictures: dict[Path, Picture], channels: str) -> str:
    """Colour or grey."""
    if channels != "auto":
        return channels
    grey = [path for path, picture in pictures.items() if len(picture.image) == 1]
    coloured = [path for path, picture in pictures.items() if _has_colour(picture.image)]
    if grey and coloured:
        raise ValueError(
            f"expected images that are all coloured or all grey, got {len(coloured)} in colour ({_named(coloured)}) "
            f"and {len(grey)} in grey ({_named(grey)}), because a network takes one kind; try channels='grey', which "
            "takes the colours away, or channels='colour', which repeats the grey ones three times"
        )
    return "colour" if coloured else "grey"


def _has_colour(image: Tensor) -> bool:
    """Whether the channels differ: files of some kinds have three also where the picture is grey."""
    return len(image) == 3 and float((image.amax(0) - image.amin(0)).amax()) > 3 / 255


def _as_kind(image: Tensor, kind: str) -> Tensor:
    if kind == "colour":
        return image.expand(3, -1, -1)
    return image if len(image) == 1 else luma(image)


def _notes(pictures: dict[Path, Picture], size: tuple[int, int], fit: str, kind: str) -> list[str]:
    notes = []
    sizes = sorted({picture.size for picture in pictures.values()})
    wanted = f"{size[0]} x {size[1]}"
    if len(sizes) > 1:
        by_area = sorted(sizes, key=lambda s: s[0] * s[1])
        told = f"{len(sizes)} sizes from {by_area[0][0]} x {by_area[0][1]} to {by_area[-1][0]} x {by_area[-1][1]}"
        if fit == "error":
            raise ValueError(
                f"expected images of one size, got {told} (height x width), because of fit='error'; try fit='crop' or "
                "fit='pad'"
            )
        notes.append(f"{told} (height x width) made {wanted} by {_DONE[fit]}")
    elif sizes[0] != size:
        shape = sizes[0][0] * size[1] == sizes[0][1] * size[0]
        notes.append(f"{sizes[0][0]} x {sizes[0][1]} pixels made {wanted}" + ("" if shape else f" by {_DONE[fit]}"))
    small = [path for path, p in pictures.items() if min(p.size) < min(size) / 2]
    if small:
        notes.append(f"{len(small)} images are less than half as large and were blown up ({_named(small)})")
    for words, chosen in (
        ("turned as the camera noted", [path for path, p in pictures.items() if p.turned]),
        (
            "can be seen through in part: white there, and masked",
            [path for path, p in pictures.items() if p.transparent],
        ),
        ("grey, as three equal channels", [p for p, q in pictures.items() if len(q.image) == 1 and kind == "colour"]),
        ("coloured, made grey", [p for p, q in pictures.items() if _has_colour(q.image) and kind == "grey"]),
    ):
        if chosen:
            notes.append(f"{len(chosen)} {words} ({_named(chosen)})")
    return notes


_DONE = {
    "crop": "cutting out the middle and resizing",
    "pad": "resizing and bands of the mean colour",
    "stretch": "stretching",
    "error": "cutting out the middle and resizing",
}


def _named(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths[:_NAMED]) + (", ..." if len(paths) > _NAMED else "")


def _too_few(count: int, least: int, paths: Sequence[Path]) -> str:
    one = f"one ({paths[0].name})" if count == 1 and paths else str(count)
    return (
        f"expected at least {least} different images, got {one}, because the frame of a category is learnt from how "
        "its objects differ; try a folder with more of them"
    )
