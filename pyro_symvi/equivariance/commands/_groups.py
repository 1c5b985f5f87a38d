"""Groups by their name on the command line."""

from __future__ import annotations

import math
import re

import torch
from torch import Tensor

from ... import groups
from ..._user_files import UserError
from ...groups import FiniteMatrixGroup, Group, Orthogonal, SpecialOrthogonal

KNOWN = "so3, o3, so2, o2, so:N, o:N, cyclic:N, dihedral:N, point:C3v"


def parse_group(text: str, dimension: int) -> Group:
    """The group of a name; ``dimension`` is the size of the vectors it moves, which tells cyclic groups apart.

    cyclic:N turns by 2 pi / N in the plane, or about z; dihedral:N has the mirror of the first axis too, in the plane.

    >>> parse_group("so3", 3)
    SpecialOrthogonal(3)
    """
    name, _, rest = text.strip().lower().partition(":")
    short = re.fullmatch(r"(so|o)(\d+)", name)
    if short and not rest:
        name, rest = short.group(1), short.group(2)
    if name in ("so", "o"):
        n = _number(text, rest, 2)
        return SpecialOrthogonal(n) if name == "so" else Orthogonal(n)
    if name in ("cyclic", "dihedral"):
        return _planar(text, name, _number(text, rest, 1), dimension)
    if name == "point" and rest:
        return _point(text.strip().partition(":")[2])
    raise UserError(f"expected --group as one of {KNOWN}, got {text!r}; try a variable group in the file for others")


def _number(text: str, digits: str, least: int) -> int:
    if not digits.isdigit() or int(digits) < least:
        raise UserError(f"expected a number of at least {least} in --group {text}; try --group {text.split(':')[0]}:6")
    return int(digits)


def _planar(text: str, name: str, n: int, dimension: int) -> Group:
    if dimension == 3 and name == "dihedral":
        raise UserError(
            f"expected a group in space, got {text!r}, which is planar: in space it may be D{n} or C{n}v; "
            f"try --group point:C{n}v"
        )
    if dimension not in (2, 3):
        raise UserError(
            f"expected inputs with 2 or 3 coordinates on the last axis for --group {text}, got {dimension}; "
            "try variables group and rho_in in the file"
        )
    angle = 2 * math.pi / n
    turn = torch.eye(dimension, dtype=torch.float64)
    turn[:2, :2] = turn.new_tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    generators: list[Tensor] = [turn]
    if name == "dihedral":
        generators.append(torch.diag(torch.tensor([-1.0, 1.0], dtype=torch.float64)))
    return FiniteMatrixGroup.generated_by(generators)


def _point(symbol: str) -> Group:
    try:
        made: Group = groups.PointGroup(symbol)
    except (ValueError, TypeError) as error:
        raise UserError(f"--group point:{symbol}: {error}") from error
    return made
