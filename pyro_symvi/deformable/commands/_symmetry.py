"""Symmetries and relaxations by their names on the command line."""

from __future__ import annotations

import math

from ..._user_files import UserError
from ..losses import Minimum, Relaxation, Softmin, Unrelaxed
from ..symmetry import FrameSymmetry, bilateral, dihedral, rotational

KNOWN = "bilateral, rotational:N, dihedral:N, none"
RELAXATIONS = "none, min, softmin, softmin:TEMPERATURE"
_MOST = 24


def parse_symmetry(text: str, dim: int) -> FrameSymmetry | None:
    """The symmetry of a name, on frames of dimension ``dim``.

    >>> parse_symmetry("rotational:4", 3).order
    4
    """
    name, separator, number = text.strip().lower().partition(":")
    if name in ("none", "bilateral") and not separator:
        return None if name == "none" else bilateral(dim)
    if name not in ("rotational", "dihedral"):
        raise UserError(f"expected --symmetry as one of {KNOWN}, got {text!r}; try --symmetry bilateral for faces")
    if not number.isdecimal() or not 2 <= int(number) <= _MOST:
        raise UserError(
            f"expected a number of equal parts from 2 to {_MOST} in --symmetry {text}, got {number!r}; try "
            f"--symmetry {name}:4"
        )
    return rotational(int(number), dim) if name == "rotational" else dihedral(int(number), dim)


def parse_relaxation(text: str | None, symmetry: FrameSymmetry | None) -> Relaxation:
    """The relaxation of a name. Without one: none where images tell all elements apart, else softmin."""
    if text is None:
        return Unrelaxed() if symmetry is None or _told_apart(symmetry) else Softmin()
    name, _, number = text.strip().lower().partition(":")
    if name == "none" and not number:
        return Unrelaxed()
    if symmetry is None:
        raise UserError(
            f"expected a symmetry for --relax {text}, got none, because it chooses among the elements of a group; try "
            "--symmetry rotational:4"
        )
    if name == "min" and not number:
        return Minimum()
    if name != "softmin":
        raise UserError(f"expected --relax as one of {RELAXATIONS}, got {text!r}")
    try:
        temperature = float(number) if number else 0.1
    except ValueError:
        temperature = math.nan
    if not 0 < temperature < math.inf:
        raise UserError(f"expected a temperature above 0 in --relax {text}, got {number!r}; try --relax softmin:0.1")
    return Softmin(temperature)


def idle(symmetry: FrameSymmetry | None, relaxation: Relaxation) -> bool:
    """Whether a symmetry has no part in training: it moves no images, and no relaxation asks for its elements."""
    return symmetry is not None and not symmetry.moves_images and isinstance(relaxation, Unrelaxed)


def _told_apart(symmetry: FrameSymmetry) -> bool:
    """Whether different elements move images differently."""
    rows = {tuple(matrix.flatten().tolist()) for matrix in symmetry.image_matrices()}
    return len(rows) == symmetry.order
