"""A small transformer on atoms: unconstrained attention over edges given by raw displacement vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..._value import positive_int
from ..biases import HarmonicFeatures, TensorBasis, TensorBasisHead
from ._parts import Shapes, SumPooling, checked_outputs, checked_points, checked_scales, seeded, structured


class EdgeEmbedding(nn.Module):
    """Edges i -> j: a linear map of the displacement r_j - r_i plus both species, SiLU, then one more layer.

    Displacements enter with weights of order one, so that lengths a few percent apart are told apart early.
    """

    def __init__(self, features: int, species: int, hidden: int, width: int) -> None:
        super().__init__()
        self.displacement = nn.Linear(features, hidden)
        self.centre = nn.Embedding(species, hidden)
        self.neighbour = nn.Embedding(species, hidden)
        self.mix = nn.Linear(hidden, width)
        nn.init.normal_(self.displacement.weight, std=math.sqrt(3 / features))
        nn.init.normal_(self.centre.weight, std=0.5)
        nn.init.normal_(self.neighbour.weight, std=0.5)

    def forward(self, features: Tensor, species: Tensor) -> Tensor:
        """``[B, N, N, width]``."""
        h = self.displacement(features) + self.centre(species)[:, :, None] + self.neighbour(species)[:, None]
        return nn.functional.silu(self.mix(nn.functional.silu(h)))


class EdgeAttention(nn.Module):
    """Each atom attends to its edges; keys and values are those of the neighbour plus those of the edge."""

    def __init__(self, width: int, edge_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.RMSNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.neighbour = nn.Linear(width, 2 * width, bias=False)
        self.edge = nn.Linear(edge_width, 2 * width, bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, h: Tensor, edges: Tensor, weight: Tensor) -> Tensor:
        """What is added to ``h [B, N, d]``; ``weight [B, N, N]`` multiplies the softmax weights of the edges."""
        a = self.norm(h)
        b, n, d = a.shape
        query = self.query(a).view(b, n, self.heads, -1)
        both = (self.neighbour(a)[:, None] + self.edge(edges)).view(b, n, n, 2, self.heads, -1)
        key, value = both.unbind(3)
        logits = torch.einsum("bihc,bijhc->bijh", query, key) / math.sqrt(d / self.heads)
        # softmax over j with the weights inside; a self-edge of weight 1 keeps the denominator positive
        top = logits.masked_fill(weight[..., None] == 0, -math.inf).amax(2, keepdim=True).detach()
        top = torch.where(top.isfinite(), top, torch.zeros_like(top))
        attention = (logits - top).clamp(max=0).exp() * weight[..., None]
        attention = attention / attention.sum(2, keepdim=True).clamp(min=1e-20)
        return self.out(torch.einsum("bijh,bijhc->bihc", attention, value).reshape(b, n, d))


class FeedForward(nn.Module):
    """SwiGLU: W_2 (SiLU(W_1 a) * W_3 a) of the normalised a."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width)
        self.gate = nn.Linear(width, 2 * hidden)
        self.out = nn.Linear(hidden, width)

    def forward(self, h: Tensor) -> Tensor:
        """What is added to ``h [B, N, d]``."""
        gate, value = self.gate(self.norm(h)).chunk(2, -1)
        return self.out(nn.functional.silu(gate) * value)


class Block(nn.Module):
    """h + attention(h), then h + feed-forward(h)."""

    def __init__(self, width: int, edge_width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.attention = EdgeAttention(width, edge_width, heads)
        self.feedforward = FeedForward(width, hidden)

    def forward(self, h: Tensor, edges: Tensor, weight: Tensor, present: Tensor) -> Tensor:
        """``[B, N, d]``; atoms that are not there stay zero."""
        h = h + self.attention(h, edges, weight)
        return (h + self.feedforward(h)) * present


class Atoms(nn.Module):
    """The first features of an atom: its species, and the weighted sum of its edges."""

    def __init__(self, species: int, edge_width: int, width: int) -> None:
        super().__init__()
        self.species = nn.Embedding(species, width)
        self.edges = nn.Linear(edge_width, width)
        nn.init.normal_(self.species.weight, std=0.3)

    def forward(self, species: Tensor, edges: Tensor, weight: Tensor, present: Tensor) -> Tensor:
        """``[B, N, width]``."""
        return (self.species(species) + self.edges(torch.einsum("bij,bijc->bic", weight, edges))) * present


class PairFeatures(nn.Module):
    """Features of edges from those of their ends, for a tensor basis: SiLU(A h_i + B h_j + C e_ij)."""

    def __init__(self, width: int, edge_width: int) -> None:
        super().__init__()
        self.ends = nn.Linear(width, 2 * edge_width, bias=False)
        self.edge = nn.Linear(edge_width, edge_width)

    def forward(self, h: Tensor, edges: Tensor) -> Tensor:
        """``[B, N, N, edge_width]``."""
        first, second = self.ends(h).chunk(2, -1)
        return nn.functional.silu(self.edge(edges) + first[:, :, None] + second[:, None])


class PointCloudTransformer(nn.Module):
    """An unconstrained transformer on atomistic point clouds: nothing in it knows of rotations or reflections.

    Edges are embedded from the three components of the raw displacement vector and the two species; atoms attend to
    their edges within a smooth cutoff; every atom's output is summed. Invariant under translations and permutations
    by construction, and smooth. In the spirit of the point-edge transformer of Pozdnyakov and Ceriotti (NeurIPS
    2023), much smaller: about 49,000 parameters.

    Modules by name: ``edges``, ``atoms``, ``blocks.0.attention``, ``blocks.0.feedforward``, ``blocks.0``, ...,
    ``heads.energy`` (by atom), ...

    Args:
        outputs: shape of one output, or a dict of shapes: ``data.shapes``.
        species: atomic numbers (or labels) run from 0 to species - 1; 0 is for no atom.
        width, edge_width: channels of atoms, of edges.
        depth: blocks.
        attention_heads: of each block.
        cutoff: radius within which atoms see each other, in the unit of the positions; edges fade smoothly to it.
        harmonics: degree of :class:`~pyro_symvi.equivariance.HarmonicFeatures` of displacements; 0 for the raw ones.
        scales: factor of each output (of all, for a number), such as ``data.scales``; not trained.
        tensor_basis: outputs made by a :class:`~pyro_symvi.equivariance.TensorBasisHead` on the displacements.
        seed: of the parameters; the global generator is not touched.

    Raises:
        ValueError: unless the width is a multiple of the number of heads, and the cutoff positive.
    """

    def __init__(
        self,
        outputs: Shapes,
        *,
        species: int = 18,
        width: int = 48,
        edge_width: int = 24,
        depth: int = 2,
        attention_heads: int = 4,
        cutoff: float = 5.0,
        harmonics: int = 0,
        scales: Mapping[str, float] | float = 1.0,
        tensor_basis: TensorBasis | Mapping[str, TensorBasis] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.shapes, bases = checked_outputs(outputs, tensor_basis)
        self.scales = checked_scales(self.shapes, scales)
        for value, name in ((species, "species"), (width, "width"), (edge_width, "edge_width"), (depth, "depth")):
            positive_int(value, name)
        if width % positive_int(attention_heads, "attention_heads"):
            raise ValueError(f"expected width to be a multiple of attention_heads, got {width} and {attention_heads}")
        if not cutoff > 0:
            raise ValueError(f"expected cutoff > 0, got {cutoff!r}")
        self.species, self.cutoff = species, float(cutoff)
        with seeded(seed):
            self.harmonics = HarmonicFeatures(harmonics) if positive_int(harmonics, "harmonics", 0) else None
            self.edges = EdgeEmbedding(3 if self.harmonics is None else self.harmonics.size, species, 64, edge_width)
            self.atoms = Atoms(species, edge_width, width)
            self.blocks = nn.ModuleList(Block(width, edge_width, attention_heads, width) for _ in range(depth))
            self.heads, self.pairs = nn.ModuleDict(), nn.ModuleDict()
            for name, shape in self.shapes.items():
                if name in bases:
                    self.pairs[name] = PairFeatures(width, edge_width)
                    self.heads[name] = TensorBasisHead(edge_width, bases[name])
                else:
                    numbers = int(torch.Size(shape).numel())
                    last = nn.Linear(width, numbers)
                    last.weight.data *= 0.1  # a sum over atoms starts small
                    self.heads[name] = nn.Sequential(nn.Linear(width, width), nn.SiLU(), last)
            self.pool = SumPooling()

    @property
    def layers(self) -> list[str]:
        """The modules whose spectra tell the story, in order: first features of atoms, then each block."""
        return ["atoms", *(f"blocks.{k}" for k in range(len(self.blocks)))]

    def forward(self, positions: Tensor, species: Tensor, mask: Tensor | None = None) -> Any:
        """A tensor ``[B, *shape]``, or a dict of them.

        Args:
            positions: ``[B, N, 3]``.
            species: long ``[B, N]``.
            mask: bool ``[B, N]``, atoms that there are; by default those with species > 0.
        """
        given = checked_points(positions, mask)
        self._require_known(species, positions)
        mask = species > 0 if mask is None else given
        displacement = positions[:, None] - positions[:, :, None]  # r_j - r_i
        pairs = mask[:, :, None] & mask[:, None]
        weight = pairs.to(positions) * self._envelope(displacement)
        others = weight * ~torch.eye(positions.shape[1], dtype=torch.bool, device=positions.device)
        present = mask[..., None].to(positions)
        edges = self.edges(displacement if self.harmonics is None else self.harmonics(displacement), species)
        h = self.atoms(species, edges, others, present)
        for block in self.blocks:
            h = block(h, edges, weight, present)
        found = {}
        for name, head in self.heads.items():
            if isinstance(head, TensorBasisHead):
                features = self.pairs[name](h, edges).flatten(1, 2)
                value = head(features, displacement.flatten(1, 2), others.flatten(1, 2))
            else:
                value = self.pool(head(h), mask)
            found[name] = self.scales[name] * value.reshape(len(value), *self.shapes[name])
        return structured(found)

    def _require_known(self, species: Tensor, positions: Tensor) -> None:
        if species.shape != positions.shape[:2]:
            raise ValueError(f"expected species of shape {list(positions.shape[:2])}, got {list(species.shape)}")
        low, high = species.aminmax()
        if low < 0 or high >= self.species:
            raise ValueError(
                f"expected species from 0 to {self.species - 1}, got {int(low)} to {int(high)}, because each has an "
                f"embedding of its own; try species={int(high) + 1}"
            )

    def _envelope(self, displacement: Tensor) -> Tensor:
        """(1 - |r|^2 / R^2)^2 within the cutoff R: one at zero, and once differentiable everywhere."""
        return (1 - displacement.square().sum(-1) / self.cutoff**2).clamp(min=0).square()
