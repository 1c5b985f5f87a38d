r"""Conditional affine reflections :math:`x\mapsto 2(a + By) - x`: the centre of x moves with the rest y.

At a point where :math:`\partial_x \log p = 0` the centre's slope is :math:`B = -H_{xx}^{-1}H_{xy}`, exactly if the
centre is affine in y at all (the implicit function theorem); so one Newton iteration and one Hessian propose it.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...groups import BlockSigns, ConditionalReflection, PointReflection
from .actions import Conjugated
from .landscape import Landscape
from .maps import maps_of
from .proposals import Proposal
from .proving import rational
from .stationary import stationary_point

_ALL_SINGLES = 16
_FLAT = 1e-9


def conditional_reflections(land: Landscape) -> Iterator[Proposal]:
    """Sites, blocks that are Gaussian given the rest, and single coordinates."""
    d = land.dim
    everything = tuple(range(d))
    candidates = [everything[site.slice] for site in land.density.sites]
    candidates += [tuple(b.coordinates) for b in land.prover.analysis.blocks if b.is_gaussian]
    for block in dict.fromkeys(candidates):
        if 1 < len(block) < d:
            found = _conditional(land, block)
            if found is not None:
                yield found
    if d <= _ALL_SINGLES:
        singles = [p for p in (_conditional(land, (j,)) for j in range(d)) if p is not None]
        yield from _together(land, singles)


def _conditional(land: Landscape, block: tuple[int, ...]) -> Proposal | None:
    d = land.dim
    rest = [i for i in range(d) if i not in block]
    if not rest:
        return None
    for start in (land.modes[0], land.scale.center):
        point = stationary_point(land.density, start, block, land.unit, curvature=land.hessian(start))
        hessian = None if point is None else land.hessian(point)
        if point is None or hessian is None:
            continue
        index, given = torch.tensor(block), torch.tensor(rest)
        slope, info = torch.linalg.solve_ex(hessian[index][:, index], -hessian[index][:, given])
        if int(info) != 0 or not bool(torch.isfinite(slope).all()):
            continue
        relative = slope.abs() * land.unit[given] / land.unit[index][:, None]
        slope = torch.where(relative < _FLAT, torch.zeros_like(slope), slope)
        slope.apply_(_rounded)
        intercept = point[index] - slope @ point[given]
        intercept.apply_(_rounded)
        if not bool(slope.any()):
            action = PointReflection(coordinates=block).bind(d, center=intercept)
            proposal = Proposal("reflection of some coordinates", action, block, tuple(maps_of(action, d)))
        else:
            used = slope.abs().amax(0) > 0
            turned = ConditionalReflection(block, given=given[used].tolist()).bind(
                d, intercept=intercept, slope=slope[:, used]
            )
            proposal = Proposal("conditional affine reflection", turned, block, tuple(maps_of(turned, d)))
        if land.screen.holds_all(list(proposal.generators)):
            return proposal
    return None


def _rounded(value: float) -> float:
    exact = rational(value)
    return value if exact is None else float(exact)


def _together(land: Landscape, singles: list[Proposal]) -> Iterator[Proposal]:
    """Single conditional reflections about regressions on common others, as one action; the others one by one."""
    bent = [p for p in singles if isinstance(p.action, ConditionalReflection)]
    used = {j for p in bent for j in p.coordinates}
    common = [p for p in bent if not used & set(p.action.given or ())]  # type: ignore[attr-defined]
    if len(common) > 1:
        d = land.dim
        frame, center = torch.eye(d, dtype=torch.float64), torch.zeros(d, dtype=torch.float64)
        for p in common:
            (j,) = p.coordinates
            action: ConditionalReflection = p.action  # type: ignore[assignment]
            frame[j, list(action.given or ())] = action._slope().double()[0]
            center[j] = float(torch.as_tensor(action.intercept))
        index = tuple(j for p in common for j in p.coordinates)
        inner = BlockSigns(len(index), [(k,) for k in range(len(index))])
        words = "conditional affine reflection of each coordinate"
        together = Conjugated(inner, frame, center, index, words)
        yield Proposal(words, together, index, tuple(maps_of(together, d)))
    yield from (p for p in singles if p not in common or len(common) < 2)
