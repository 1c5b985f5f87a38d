"""A small network that turns with the cloud and tells its two hands apart."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..._value import positive_int
from .._interpolants import Interpolant
from ._conditions import Conditions, pair_kinds
from ._neighbourhood import AllPairs, Neighbourhood, Window
from ._network import TIME_FEATURES, CloudNetwork

RADIAL, HEADS = 16, 4


class EquivariantNetwork(CloudNetwork):
    """Message passing with scalars and vectors on each point: D(R x, t) = R D(x, t) for every rotation R.

    Each point carries ``width`` scalars h and width/4 vectors v, and a place y, which starts at the noisy cloud and
    moves to the estimate of the clean one. A layer makes messages of h_i, h_j, |y_j - y_i|, v_i . (y_j - y_i) and the
    kind of the pair; they change h and, as coefficients of y_j - y_i and of v_j, the vectors; inner products of vectors
    change h, and vectors move y. With ``chiral`` there are also cross products v x v', so that scalars hold signed
    volumes and mirror images are told apart (SO(3)); without, the network commutes with reflections too (O(3)) and
    must give both hands of a molecule the same chance.

    Commutes with permutations of the points (not with a ``window``, for which the order of points is a sequence).

    Args:
        width: scalars a point; a multiple of 16.
        layers: rounds of messages.
        features: of each point, F of ``context.features``.
        edge_kinds: the largest kind in ``context.edges``; 0, the default, for contexts without edges.
        hops: with edges, pairs up to this many edges apart are told apart by their graph distance; 0 or 1 for none.
        chiral: cross products.
        window: points hear those at most so many places before and after them, and time and memory are linear in N;
            None, the default, for all pairs.
        data_scale: standard deviation of a coordinate of centred data; see :class:`CloudNetwork`.
        noise_scale: that of the prior.
        interpolant: the path; ``Linear()`` by default.
        seed: of the parameters; the state of torch's generator is left alone.

    Source: the scheme of scalars and vectors is that of Schuett et al., PaiNN, arXiv 2102.03150, and the moving places
    are those of Satorras et al., EGNN, arXiv 2102.09844.

    Raises:
        ValueError: unless the width is a multiple of 16.
        TypeError: unless ``chiral`` is a bool.
    """

    def __init__(
        self,
        width: int = 64,
        layers: int = 3,
        *,
        features: int = 0,
        edge_kinds: int = 0,
        hops: int = 4,
        chiral: bool = True,
        window: int | None = None,
        data_scale: float = 1.0,
        noise_scale: float = 1.0,
        interpolant: Interpolant | dict[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        positive_int(layers, "layers")
        if positive_int(width, "width") % 16:
            raise ValueError(f"expected width to be a multiple of 16, got {width}; try {width + 16 - width % 16}")
        if not isinstance(chiral, bool):
            raise TypeError(f"expected chiral to be a bool, got {chiral!r}")
        self.window = None if window is None else positive_int(window, "window")
        self._prepare(
            width=width,
            layers=layers,
            chiral=chiral,
            window=window,
            dim=3,
            features=features,
            edge_kinds=edge_kinds,
            hops=hops,
            data_scale=data_scale,
            noise_scale=noise_scale,
            interpolant=interpolant,
            seed=seed,
        )
        kinds = pair_kinds(edge_kinds, hops)
        with self._seeded():
            self.embed = nn.Linear(TIME_FEATURES + features, width)
            self.layers = nn.ModuleList(
                _Layer(width, kinds, chiral, first=i == 0, last=i == layers - 1) for i in range(layers)
            )

    def _displacement(self, x: Tensor, noise: Tensor, conditions: Conditions) -> Tensor:
        space = AllPairs(x, conditions.mask) if self.window is None else Window(x, conditions.mask, self.window)
        pairs = None if conditions.pairs is None else space.chosen(conditions.pairs)
        known = conditions.time[:, None].expand(-1, x.shape[1], -1)
        if conditions.features is not None:
            known = torch.cat([known, conditions.features], -1)
        scalars, vectors, moved = self.embed(known), None, torch.zeros_like(x)
        for layer in self.layers:
            scalars, vectors, step = layer(scalars, vectors, x + noise * moved, pairs, space)
            moved = moved + step
        return moved


class _Layer(nn.Module):
    """A round of messages: scalars ``[B, N, W]``, vectors ``[B, N, 3, W/4]`` (None at first), places ``[B, N, 3]``.

    With d_ij = (y_j - y_i) / (1 + |y_j - y_i|), the message is m_ij = silu(A h_i + B h_j + d_ij . C v_i + E(kind) +
    R(|y_j - y_i|)). Whatever is linear is done on points, not on pairs: sum_j w_ij m_ij and sum_j w_ij d_ij m_ij are
    one matrix product a point.
    """

    def __init__(self, width: int, kinds: int, chiral: bool, first: bool, last: bool) -> None:
        super().__init__()
        self.count, self.chiral, self.last = width // 4, chiral, last
        pair, count = width // 2, self.count
        self.normalise = nn.LayerNorm(width)
        self.ends = nn.Linear(width, 2 * pair)
        self.radial = nn.Linear(RADIAL, pair, bias=False)
        self.kinds = nn.Linear(kinds, pair, bias=False) if kinds else None
        self.push = nn.Linear(pair, count, bias=False)
        if not first:
            self.turned = nn.Linear(count, pair, bias=False)
            self.carry = nn.Linear(pair, HEADS)
        self.mix = nn.Linear(count, (3 if chiral else 2) * count, bias=False)
        changed = (2 if chiral else 1) * count + (0 if last else width)  # gates of vectors, then scalars
        self.update = nn.Sequential(nn.Linear(width + pair + count, width), nn.SiLU(), nn.Linear(width, changed))
        self.move = nn.Linear(count, 1, bias=False)
        nn.init.zeros_(self.move.weight)

    def forward(
        self, scalars: Tensor, vectors: Tensor | None, places: Tensor, pairs: Tensor | None, space: Neighbourhood
    ) -> tuple[Tensor, Tensor, Tensor]:
        count, width = self.count, scalars.shape[-1]
        normal = self.normalise(scalars)
        apart = space.spread(places) - places[:, :, None]
        distance = (apart.square().sum(-1, keepdim=True) + 1e-6).sqrt()
        near = 1 / (1 + distance)
        geometry = torch.cat([torch.ones_like(near), near * apart], -1)
        here, there = self.ends(normal).chunk(2, -1)
        message = self.radial(_bumps(1 - near))
        if pairs is not None and self.kinds is not None:
            message += self.kinds(pairs)
        message += space.spread(there)
        if vectors is None:
            message += here[:, :, None]
        else:
            message += geometry @ torch.cat([here[:, :, None], self.turned(vectors)], -2)
        message = functional.silu(message)  # sums above are in place: pairs are many
        weights = space.weights[..., None]
        heard = (geometry * weights).mT @ message
        pushed = self.push(heard[..., 1:, :])
        if vectors is not None:
            pushed = pushed + vectors + space.combine(weights * self.carry(message), vectors)
        pushed = pushed / (1 + pushed.square().sum(-2, keepdim=True).mean(-1, keepdim=True)).sqrt()
        first, second, *third = self.mix(pushed).chunk(3 if self.chiral else 2, -1)
        inner = (first * second).sum(-2)
        change = self.update(torch.cat([normal, heard[..., 0, :], inner], -1))
        vectors = pushed * (1 + change[..., None, :count])
        if self.chiral:
            vectors = vectors + _cross(first, third[0]) * change[..., None, count : 2 * count]
        if not self.last:
            scalars = scalars + change[..., -width:]
        return scalars, vectors, self.move(vectors)[..., 0]


def _bumps(place: Tensor) -> Tensor:
    """Normal bumps of width 1/16 about 16 centres in (0, 1), from ``[..., 1]``: exp of a quadratic, one product."""
    centres = (torch.arange(RADIAL, dtype=place.dtype, device=place.device) + 0.5) / RADIAL
    terms = torch.stack([torch.full_like(centres, -0.5), centres, -0.5 * centres.square()])
    powers = torch.cat([place * place, place, torch.ones_like(place)], -1)
    return (powers @ (RADIAL**2 * terms)).exp()


def _cross(a: Tensor, b: Tensor) -> Tensor:
    """Cross products of columns ``[..., 3, C]``; written out it is several times faster than ``linalg.cross``."""
    (x, y, z), (p, q, r) = a.unbind(-2), b.unbind(-2)
    return torch.stack([y * r - z * q, z * p - x * r, x * q - y * p], -2)
