"""A plain transformer over the points of a cloud; it knows of rotations only what it is shown."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..._value import positive_int
from .._interpolants import Interpolant
from ._conditions import Conditions, pair_kinds
from ._network import TIME_FEATURES, CloudNetwork

PLAIN_UP_TO = 128


class PointTransformer(CloudNetwork):
    """Attention among points with their coordinates as inputs: not equivariant, meant for rotation augmentation.

    Points are tokens of coordinates and features; attention logits get a bias from the kind of the pair; the noise
    level scales and shifts what each block reads. Commutes with permutations of the points.

    Args:
        width: of a token; a multiple of ``heads``.
        layers: blocks of attention and perceptron.
        heads: of the attention.
        dim: of the space of points.
        features: of each point, F of ``context.features``.
        edge_kinds: the largest kind in ``context.edges``; 0, the default, for contexts without edges.
        hops: with edges, pairs up to this many edges apart are told apart by their graph distance; 0 or 1 for none.
        data_scale: standard deviation of a coordinate of centred data; see :class:`CloudNetwork`.
        noise_scale: that of the prior.
        interpolant: the path; ``Linear()`` by default.
        seed: of the parameters; the state of torch's generator is left alone.

    Source: Vaswani et al., arXiv 1706.03762, with the conditioning of Peebles and Xie, arXiv 2212.09748.

    Raises:
        ValueError: unless the width is a multiple of the number of heads.
    """

    def __init__(
        self,
        width: int = 64,
        layers: int = 3,
        *,
        heads: int = 4,
        dim: int = 3,
        features: int = 0,
        edge_kinds: int = 0,
        hops: int = 4,
        data_scale: float = 1.0,
        noise_scale: float = 1.0,
        interpolant: Interpolant | dict[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        positive_int(layers, "layers")
        positive_int(dim, "dim", 2)
        self.heads = positive_int(heads, "heads")
        if positive_int(width, "width") % heads:
            raise ValueError(f"expected width to be a multiple of heads, got {width} and {heads}; try {heads * 16}")
        self._prepare(
            width=width,
            layers=layers,
            heads=heads,
            dim=dim,
            features=features,
            edge_kinds=edge_kinds,
            hops=hops,
            data_scale=data_scale,
            noise_scale=noise_scale,
            interpolant=interpolant,
            seed=seed,
        )
        self.config["dim"] = dim
        kinds = pair_kinds(edge_kinds, hops)
        with self._seeded():
            self.embed = nn.Linear(dim + features, width)
            self.time = nn.Sequential(nn.Linear(TIME_FEATURES, width), nn.SiLU())
            self.bias = nn.Linear(kinds, layers * heads, bias=False) if kinds else None
            self.layers = nn.ModuleList(_Block(width, heads) for _ in range(layers))
            self.normalise = nn.LayerNorm(width, elementwise_affine=False)
            self.head = nn.Linear(width, dim, bias=False)
        nn.init.zeros_(self.head.weight)

    def _displacement(self, x: Tensor, noise: Tensor, conditions: Conditions) -> Tensor:
        known = x if conditions.features is None else torch.cat([x, conditions.features], -1)
        time = self.time(conditions.time)
        tokens = self.embed(known) + time[:, None]
        for layer, bias in zip(self.layers, self._biases(x, conditions), strict=True):
            tokens = layer(tokens, time, bias)
        return self.head(self.normalise(tokens))

    def _biases(self, x: Tensor, conditions: Conditions) -> list[Tensor | None]:
        """What is added to attention logits in each layer, ``[B, heads, N, N]`` or what broadcasts to it."""
        count = len(self.layers)
        shut = None
        if conditions.mask is not None:
            shut = torch.zeros_like(conditions.mask, dtype=x.dtype).masked_fill(~conditions.mask, -torch.inf)
            shut = shut[:, None, None]
        if self.bias is None or conditions.pairs is None:
            wide = None if shut is None else shut.expand(-1, -1, x.shape[1], -1)
            return [wide] * count
        bias = self.bias(conditions.pairs).permute(0, 3, 1, 2)
        return [part if shut is None else part + shut for part in bias.chunk(count, 1)]


class _Block(nn.Module):
    """Attention and a perceptron on tokens ``[B, N, W]``, each read through a scale and shift from time ``[B, W]``."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.time = nn.Linear(width, 4 * width)
        self.read = nn.LayerNorm(width, elementwise_affine=False)
        self.projections = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.perceptron = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))

    def forward(self, tokens: Tensor, time: Tensor, bias: Tensor | None) -> Tensor:
        batch, points, width = tokens.shape
        scale, shift, scale2, shift2 = self.time(time)[:, None].chunk(4, -1)
        read = self.read(tokens) * (1 + scale) + shift
        split = (batch, points, 3, self.heads, width // self.heads)
        q, k, v = self.projections(read).reshape(split).permute(2, 0, 3, 1, 4)
        heard = _attention(q, k, v, bias)
        tokens = tokens + self.out(heard.transpose(1, 2).reshape(batch, points, width))
        return tokens + self.perceptron(self.read(tokens) * (1 + scale2) + shift2)


def _attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """Attention on heads ``[B, H, N, C]``.

    Small clouds go through plain products, as fast and differentiable forward and to any order; large ones through
    torch's fused kernel, which is sparing with memory and has a first derivative.
    """
    if q.shape[-2] > PLAIN_UP_TO:
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    logits = (q * q.shape[-1] ** -0.5) @ k.mT
    return (logits if bias is None else logits + bias).softmax(-1) @ v
