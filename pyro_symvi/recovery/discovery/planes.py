"""Cyclic and dihedral symmetry in a plane: read off log p on circles, in the metric of the curvature and as it is."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ...density._laplace import inverse_root
from ...groups import FiniteMatrixGroup, NaturalAction
from .actions import Conjugated
from .landscape import Landscape
from .maps import maps_of
from .proposals import Proposal

_ANGLES = 240
_RADII = (0.9, 2.1)
_HIGHEST = 12
_ALL_PAIRS = 10
_ZERO = 1e-9


def plane_groups(land: Landscape) -> Iterator[Proposal]:
    """Groups C_k, D_k with k >= 3, and single mirrors, of pairs of coordinates about each centre."""
    for center in land.centers:
        hessian = land.hessian(center)
        planes: list[tuple[tuple[int, ...], Tensor]] = []
        for pair in _pairs(land):
            index = torch.tensor(pair)
            if hessian is not None:
                block = hessian[index][:, index]
                planes += [(pair, r) for r in (inverse_root(-block), inverse_root(block)) if r is not None]
            planes.append((pair, float(land.unit[index].max()) * torch.eye(2, dtype=torch.float64)))
        for (pair, frame), values in zip(planes, _circles(land, center, planes), strict=True):
            yield from _groups(land, center, pair, frame, values)


def _circles(land: Landscape, center: Tensor, planes: list[tuple[tuple[int, ...], Tensor]]) -> Tensor:
    """Log p on circles about a centre, ``[planes, radii, angles]``, the other coordinates at the centre."""
    angles = 2 * math.pi * torch.arange(_ANGLES, dtype=torch.float64) / _ANGLES
    unit = torch.stack([angles.cos(), angles.sin()], -1)
    z = center.expand(len(planes), len(_RADII), _ANGLES, land.dim).clone()
    for k, (pair, frame) in enumerate(planes):
        for r, radius in enumerate(_RADII):
            z[k, r][:, list(pair)] += radius * unit @ frame.mT
    return land.density(z).detach()


def _pairs(land: Landscape) -> list[tuple[int, ...]]:
    d = land.dim
    if d <= _ALL_PAIRS:
        return list(itertools.combinations(range(d), 2))
    found: list[tuple[int, ...]] = []
    for site in land.density.sites:
        inside = range(d)[site.slice]
        found += list(itertools.combinations(inside, 2)) if len(inside) <= 4 else []
    return found


def _groups(
    land: Landscape, center: Tensor, pair: tuple[int, ...], frame: Tensor, values: Tensor
) -> Iterator[Proposal]:
    if not bool(torch.isfinite(values).all()):
        return
    harmonics = torch.fft.rfft(values)[:, : 8 * _HIGHEST] / _ANGLES
    rounding = float(values.abs().max()) * 1e-13
    alive = (harmonics.abs() > _ZERO + rounding).any(0)
    numbers = [m for m in range(1, len(alive)) if bool(alive[m])]
    if not numbers:
        return  # a circle: elliptical, proposed elsewhere
    order = math.gcd(*numbers)
    if order > _HIGHEST:
        return
    mirror = _mirror(harmonics, numbers)
    if order < 3 and mirror is None:
        return
    yield from _proposal(land, center, pair, frame, order, mirror)


def _mirror(harmonics: Tensor, numbers: list[int]) -> float | None:
    """The angle of a mirror axis: all coefficients F_m e^{i m phi} real at once."""
    first = numbers[0]
    row = int(harmonics[:, first].abs().argmax())
    base = -float(harmonics[row, first].angle()) / first
    strength = harmonics.abs().amax(0)
    best: tuple[float, float] | None = None
    for k in range(2 * first):
        phi = base + math.pi * k / first
        turned = harmonics[:, numbers] * torch.exp(1j * phi * torch.tensor(numbers, dtype=torch.float64))
        misfit = float((turned.imag.abs() / strength[numbers]).max())
        if best is None or misfit < best[0] - 1e-9:
            best = (misfit, phi)
    return best[1] if best is not None and best[0] < 1e-4 else None


def _proposal(
    land: Landscape, center: Tensor, pair: tuple[int, ...], frame: Tensor, order: int, mirror: float | None
) -> Iterator[Proposal]:
    generators = []
    if order > 1:
        generators.append(_turn(2 * math.pi / order))
    if mirror is not None:
        # f(phi + t) = f(phi - t) with F_m e^{i m phi} real
        c, s = math.cos(2 * mirror), math.sin(2 * mirror)
        generators.append(torch.tensor([[c, s], [s, -c]], dtype=torch.float64))
    snapped = [_snapped(g) for g in generators]
    group = FiniteMatrixGroup.generated_by(torch.stack(snapped), max_order=4 * _HIGHEST)
    letter = f"C_{order}" if mirror is None else f"D_{order}"
    kind = f"{letter} in a plane" if order > 1 else "mirror in a plane"
    full = torch.eye(land.dim, dtype=torch.float64)
    index = torch.tensor(pair)
    full[index[:, None], index] = frame / frame.abs().max()
    action = Conjugated(NaturalAction(group), full, center, pair, kind)
    maps = maps_of(action, land.dim)
    if land.screen.holds_all(maps):
        yield Proposal(kind, action, pair, tuple(maps))


def _turn(angle: float) -> Tensor:
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, -s], [s, c]], dtype=torch.float64)


def _snapped(matrix: Tensor) -> Tensor:
    """Entries within 1e-9 of 0, +-1/2, +-1 and +-sqrt(1/2), sqrt(3)/2 set to them."""
    for value in (0.0, 0.5, 1.0, math.sqrt(0.5), math.sqrt(0.75)):
        for signed in (value, -value):
            matrix = torch.where((matrix - signed).abs() < 1e-9, torch.full_like(matrix, signed), matrix)
    return matrix
