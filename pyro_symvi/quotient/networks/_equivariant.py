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

RADIAL = 16


class EquivariantNetwork(CloudNetwork):
    """Message passing with scalars and vectors on each point: D(R x, t) = R D(x, t) for every rotation R.

    Each point carries ``width`` scalars h and width/4 vectors v, and a place y, which starts at the noisy cloud and
    moves to the estimate of the clean one. A layer makes messages of h_i, h_j, |y_j - y_i|, v_i . (y_j - y_i) and the
    kind of the pair; they change h and, as coefficients of y_j - y_i and v_j, the vectors; inner products of vectors
    change h, and vectors move y. With ``chiral`` there are also cross products v x v', so that scalars hold signed
    volumes and mirror images are told apart (SO(3)); without, the network commutes with reflections too (O(3)) and
    must give both hands of a molecule the same chance.

    Commutes with permutations of the points (not with a ``window``, for which the order of points is a sequence).

    Args:
        width: scalars a point; a multiple of 4.
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
        if positive_int(width, "width", 4) % 4:
            raise ValueError(f"expected width to be a multiple of 4, got {width}; try {width + 4 - width % 4}")
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
            self.layers = nn.ModuleList(_Layer(width, kinds, chiral, first=i == 0) for i in range(layers))

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
    """A round of messages: scalars ``[B, N, W]``, vectors ``[B, N, 3, W/4]`` (None at first), places ``[B, N, 3]``."""

    centres: Tensor

    def __init__(self, width: int, kinds: int, chiral: bool, first: bool) -> None:
        super().__init__()
        self.vectors, self.chiral = width // 4, chiral
        pair, count = width // 2, self.vectors
        self.normalise = nn.LayerNorm(width)
        self.ends = nn.Linear(width, 2 * pair)
        self.between = nn.Linear(RADIAL + kinds + (0 if first else count), pair, bias=False)
        self.coefficients = nn.Linear(pair, count if first else 2 * count)
        self.mix = nn.Linear(count, (3 if chiral else 2) * count, bias=False)
        self.update = nn.Sequential(
            nn.Linear(width + pair + count, width), nn.SiLU(), nn.Linear(width, width + (2 if chiral else 1) * count)
        )
        self.move = nn.Linear(count, 1, bias=False)
        nn.init.zeros_(self.move.weight)
        self.register_buffer("centres", (torch.arange(RADIAL) + 0.5) / RADIAL, persistent=False)

    def forward(
        self, scalars: Tensor, vectors: Tensor | None, places: Tensor, pairs: Tensor | None, space: Neighbourhood
    ) -> tuple[Tensor, Tensor, Tensor]:
        count = self.vectors
        normal = self.normalise(scalars)
        apart = space.spread(places) - places[:, :, None]
        distance = (apart.square().sum(-1, keepdim=True) + 1e-6).sqrt()
        direction = apart / (1 + distance)
        seen = [torch.exp(-0.5 * (RADIAL * (distance / (1 + distance) - self.centres)).square())]
        if pairs is not None:
            seen.append(pairs.expand(len(places), *pairs.shape[1:]))
        if vectors is not None:
            seen.append(direction @ vectors)
        here, there = self.ends(normal).chunk(2, -1)
        message = self.between(torch.cat(seen, -1) if len(seen) > 1 else seen[0])
        message = functional.silu(message + here[:, :, None] + space.spread(there))
        weights = space.weights[..., None]
        heard = (weights.mT @ message)[..., 0, :]
        coefficients = self.coefficients(message)
        pushed = (weights * direction).mT @ coefficients[..., :count]
        if vectors is not None:
            pushed = pushed + vectors + space.combine(weights * coefficients[..., count:], vectors)
        pushed = pushed / (1 + pushed.square().sum(-2, keepdim=True).mean(-1, keepdim=True)).sqrt()
        mixed = self.mix(pushed)
        inner = (mixed[..., :count] * mixed[..., count : 2 * count]).sum(-2)
        change = self.update(torch.cat([normal, heard, inner], -1))
        width = scalars.shape[-1]
        gates = change[..., None, width:]
        vectors = pushed * (1 + gates[..., :count])
        if self.chiral:
            crossed = torch.linalg.cross(mixed[..., :count], mixed[..., 2 * count :], dim=-2)
            vectors = vectors + crossed * gates[..., count:]
        return scalars + change[..., :width], vectors, self.move(vectors)[..., 0]
