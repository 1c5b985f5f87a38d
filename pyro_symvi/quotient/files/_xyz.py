"""XYZ files: a count, a comment, then element and coordinates of each atom in angstrom; frames follow one another."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ._elements import check_element
from ._text import checked_clouds, parse_float, read_text, write_text


@dataclass(frozen=True)
class Frame:
    """One cloud of a file: a title, a symbol for each point, coordinates, and the line it starts at."""

    title: str
    symbols: tuple[str, ...]
    points: tuple[tuple[float, ...], ...]
    line: int


def write_xyz(
    path: str | os.PathLike[str],
    clouds: Tensor,
    elements: Sequence[str],
    *,
    titles: Sequence[str] | str = "",
) -> None:
    """Write clouds ``[M, N, 3]`` of the same N elements as frames of an XYZ file; six decimals, angstrom.

    Args:
        path: of the file, packed where it ends in .gz; it appears whole or not at all.
        clouds: ``[M, N, 3]`` or ``[N, 3]``.
        elements: symbols of the N points.
        titles: the comment line, one for all or one a frame.

    Raises:
        ValueError: for coordinates that are not finite, unknown elements, or numbers of them that do not agree.
    """
    clouds = checked_clouds(clouds)
    symbols = [check_element(symbol, f"point {k}") for k, symbol in enumerate(elements)]
    if len(symbols) != clouds.shape[1]:
        raise ValueError(f"expected {clouds.shape[1]} elements, one a point, got {len(symbols)}")
    lines = [titles] * len(clouds) if isinstance(titles, str) else [str(title) for title in titles]
    if len(lines) != len(clouds) or any("\n" in title for title in lines):
        raise ValueError(f"expected {len(clouds)} titles of one line each, got {lines[:3]}")
    text = []
    for title, cloud in zip(lines, clouds.tolist(), strict=True):
        text += [f"{len(symbols)}", title]
        text += [f"{s:<2} {x:14.6f} {y:14.6f} {z:14.6f}" for s, (x, y, z) in zip(symbols, cloud, strict=True)]
    write_text(path, "\n".join(text) + "\n")


def parse_xyz(path: str | os.PathLike[str]) -> list[Frame]:
    """The frames of an XYZ file; columns after the coordinates are ignored.

    Raises:
        ValueError: naming file and line, for anything else.
    """
    lines = read_text(path).splitlines()
    frames: list[Frame] = []
    at = 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        where = f"in {str(path)!r}, line {at + 1}"
        if not lines[at].strip().isdigit() or int(lines[at]) < 1:
            raise ValueError(f"expected the number of atoms, got {lines[at].strip()[:40]!r} {where}")
        count = int(lines[at])
        if at + 2 + count > len(lines):
            raise ValueError(f"expected {count} atoms, got {max(len(lines) - at - 2, 0)} before the end, {where}")
        symbols, points = [], []
        for number in range(at + 3, at + 3 + count):
            cells = lines[number - 1].split()
            if len(cells) < 4:
                raise ValueError(
                    f"expected an element and three coordinates, got {lines[number - 1].strip()[:40]!r} "
                    f"in {str(path)!r}, line {number}"
                )
            symbols.append(check_element(cells[0], f"{str(path)!r}, line {number}"))
            points.append(tuple(parse_float(cell, path, number, "coordinate") for cell in cells[1:4]))
        frames.append(Frame(lines[at + 1].strip(), tuple(symbols), tuple(points), at + 1))
        at += 2 + count
    return frames
