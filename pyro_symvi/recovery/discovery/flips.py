r"""Point reflections and sign flips of some coordinates about a centre, all at once, by linear algebra over GF(2).

Let :math:`f(x) = \log p(c + x)`. If flipping the coordinates J leaves f unchanged, every monomial of f has an even
number of its odd powers in J. The second derivatives on the axes, :math:`\partial_i\partial_j f(t e_k)`, come from
monomials :math:`x_i x_j x_k^m`: an odd part in t that is not zero asks for an even number of {i, j, k} in J, an even
part for an even number of {i, j}. The sets that satisfy all demands form a kernel over GF(2); each basis set is
proposed. True flips are always in the kernel (up to the accuracy of c); that the kernel holds no others is for the
tests to say.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...groups import AxisFlips, PointReflection
from ..analysis.sign_flips import _kernel
from .landscape import Landscape
from .maps import maps_of
from .proposals import Proposal

_MOST = 48
_STEP = 0.7
_ZERO = 1e-7


def reflections(land: Landscape) -> Iterator[Proposal]:
    """Flips of single coordinates (together, as one action), then of the larger sets of the kernel's basis."""
    d = land.dim
    everything = tuple(range(d))
    for number, center in enumerate(land.centers):
        if number == 0:
            yield _reflection(land, everything, center, headline=True)
            for site in land.density.sites:
                inside = everything[site.slice]
                if len(inside) > 1:
                    yield _reflection(land, inside, center, headline=True)
        sets = flip_sets(land, center)
        single = tuple(j for s in sets if len(s) == 1 for j in s)
        if single:
            held = [j for j in single if land.screen.holds_all(list(_reflection(land, (j,), center).generators))]
            if held:
                action = AxisFlips(held).bind(d, center=center[torch.tensor(held)])
                kind = "reflection of each coordinate" if len(held) > 1 else "reflection of a coordinate"
                yield Proposal(kind, action, tuple(held), tuple(maps_of(action, d)))
        for chosen in sets:
            if len(chosen) > 1:
                yield _reflection(land, chosen, center)


def _reflection(land: Landscape, coordinates: tuple[int, ...], center: Tensor, headline: bool = False) -> Proposal:
    action = PointReflection(coordinates=coordinates).bind(land.dim, center=center[torch.tensor(coordinates)])
    whole = len(coordinates) == land.dim
    kind = "point reflection" if whole else "reflection of some coordinates"
    return Proposal(kind, action, coordinates, tuple(maps_of(action, land.dim)), headline)


def flip_sets(land: Landscape, center: Tensor) -> list[tuple[int, ...]]:
    """A basis of the sets whose joint flip about the centre is not ruled out."""
    d = land.dim
    if d > _MOST:
        return []
    unit = land.unit
    steps = _STEP * torch.diag(unit)
    points = torch.cat([center[None], center + steps, center - steps])
    hessians = land.density.hessian(points) * torch.outer(unit, unit)
    gradient = land.density.value_and_grad(points[:1])[1][0] * unit
    if not bool(torch.isfinite(hessians).all()):
        finite = torch.isfinite(hessians).all(-1).all(-1)
        hessians = torch.where(finite[:, None, None], hessians, torch.zeros_like(hessians))
    zero = _ZERO * (1 + float(hessians.abs().max()))
    demands = {1 << j for j in range(d) if abs(float(gradient[j])) > zero}
    ahead, behind = hessians[1 : d + 1], hessians[d + 1 :]
    even = (hessians[0].abs() > zero) | ((ahead + behind).abs() > zero).any(0)
    demands |= {(1 << i) ^ (1 << j) for i, j in even.nonzero().tolist() if i < j}
    odd = ((ahead - behind).abs() > zero).nonzero().tolist()
    demands |= {(1 << i) ^ (1 << j) ^ (1 << k) for k, i, j in odd if i <= j}
    demands.discard(0)
    basis = _kernel(demands, d)
    return [tuple(j for j in range(d) if vector >> j & 1) for vector in basis]
