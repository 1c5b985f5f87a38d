"""Mulliken symbols of the irreducible representations of point groups, read off their characters.

A, B, E, T, G, H by dimension, with A and B even and odd under the principal rotation; E_k turns k times as fast as
the principal rotation (without index where there is one pair); subscripts 1 and 2 by a twofold axis or mirror plane
beside the principal axis; g and u by inversion, prime and double prime by the horizontal mirror plane. A complex pair
is one real E. Source: Mulliken, J. Chem. Phys. 23 (1955) 1997.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LETTERS = {1: "A", 2: "E", 3: "T", 4: "G", 5: "H"}


def cubic_labels(elements: Tensor, characters: list[Tensor]) -> list[str]:
    """Labels in T, Td, Th, O, Oh, I, Ih from ``elements [order, 3, 3]`` and characters ``[order]`` in their order.

    A1 is the trivial representation and T1 that of axial vectors; with inversion both are compared on the rotations.
    """
    trace = elements.diagonal(dim1=-2, dim2=-1).sum(-1)
    axial = trace * torch.linalg.det(elements)
    centre = position(elements, -torch.eye(3, dtype=torch.float64))
    compared = torch.linalg.det(elements) > 0 if centre is not None else torch.ones_like(trace, dtype=torch.bool)
    even = [round(float(c[0])) for c in characters if centre is None or float(c[centre]) > 0]
    labels = []
    for character in characters:
        d = round(float(character[0]))
        label = LETTERS[d]
        if even.count(d) > 1:
            reference = axial if d == 3 else torch.ones_like(axial)
            label += "1" if float((character - reference)[compared].abs().max()) < 1e-6 else "2"
        if centre is not None:
            label += "g" if float(character[centre]) > 0 else "u"
        labels.append(label)
    return labels


def axial_labels(
    elements: Tensor, characters: list[Tensor], *, turn: Tensor, side: Tensor | None, three_axes: bool
) -> list[str]:
    """Labels in the groups with one principal axis.

    Args:
        elements: ``[order, 3, 3]``.
        characters: ``[order]`` each.
        turn: the generator of the principal (improper) rotations.
        side: a twofold axis or a mirror plane beside it, for the subscripts 1 and 2.
        three_axes: D2 and D2h, where B1, B2, B3 are even under the twofold rotations about z, y, x.
    """
    eye = torch.eye(3, dtype=torch.float64)
    n = _order(turn)
    at_turn = _known(elements, turn)
    at_side = None if side is None else _known(elements, side)
    centre = position(elements, -eye)
    plane = position(elements, torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)))
    labels = []
    for character in characters:
        value = float(character[at_turn])
        if round(float(character[0])) == 2:
            k = min(range(1, (n + 1) // 2), key=lambda k: abs(2 * math.cos(2 * math.pi * k / n) - value))
            label = "E" if n in (3, 4) else f"E{k}"
        elif three_axes:
            signs = [float(character[_known(elements, _twofold(axis))]) > 0 for axis in (2, 1, 0)]
            label = "A" if all(signs) else f"B{signs.index(True) + 1}"
        else:
            label = "A" if value > 0 else "B"
            if at_side is not None:
                label += "1" if float(character[at_side]) > 0 else "2"
        if centre is not None:
            label += "g" if float(character[centre]) > 0 else "u"
        elif plane is not None:
            label += "'" if float(character[plane]) > 0 else "''"
        labels.append(label)
    return labels


def published_order(label: str) -> tuple[int, int, int]:
    """Key that sorts labels as printed tables do: g before u, prime before double prime; A, B, E, T, G, H."""
    ending = 1 if label.endswith(("u", "''")) else 0
    return ending, "ABETGH".index(label[0]), int("".join(filter(str.isdigit, label)) or 0)


def position(elements: Tensor, g: Tensor) -> int | None:
    """Where g is among the elements; None if it is not."""
    away = (elements - g).abs().amax((-2, -1))
    found = int(away.argmin())
    return found if float(away[found]) < 1e-6 else None


def _known(elements: Tensor, g: Tensor) -> int:
    found = position(elements, g)
    if found is None:
        raise ValueError(f"expected an element of the group, got {g.tolist()}")
    return found


def _order(g: Tensor) -> int:
    """The smallest n with g^n = 1."""
    eye, power, n = torch.eye(3, dtype=torch.float64), g, 1
    while float((power - eye).abs().max()) > 1e-6:
        power, n = power @ g, n + 1
    return n


def _twofold(axis: int) -> Tensor:
    signs = -torch.ones(3, dtype=torch.float64)
    signs[axis] = 1
    return torch.diag(signs)
