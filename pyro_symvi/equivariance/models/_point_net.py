"""A PointNet: the same network on every point, then a symmetric function of the points, then a head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..._value import positive_int
from ..biases import HarmonicFeatures, TensorBasis, TensorBasisHead
from ._parts import MeanPooling, Shapes, checked_outputs, checked_points, checked_scales, seeded, structured


class PointLayer(nn.Module):
    """h + SiLU(W h + b) where widths agree, else SiLU(W h + b)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, width)
        self.residual = inputs == width

    def forward(self, h: Tensor) -> Tensor:
        """``[..., inputs]`` to ``[..., width]``."""
        out = nn.functional.silu(self.linear(h))
        return h + out if self.residual else out


class PointNet(nn.Module):
    """An unconstrained network on decorated points: nothing in it knows of rotations or reflections.

    Coordinates and charge of a point go through ``points.0``, ``points.1``, ...; ``pool`` makes the result invariant
    under permutations; ``body.0``, ... and ``heads`` work on the cloud as a whole. Coordinates are taken as they are,
    from the origin of the cloud. In the spirit of Qi et al., CVPR 2017, without its learnt input transforms.

    Args:
        outputs: shape of one output, or a dict of shapes: ``data.shapes``.
        charges: scalars by point.
        width: of all layers.
        depth: layers before the pooling; layers after it.
        pooling: a module of (``h [B, N, d]``, ``mask [B, N]``); by default :class:`MeanPooling`.
        harmonics: degree of :class:`~pyro_symvi.equivariance.HarmonicFeatures` at the input; 0 for raw coordinates.
        scales: factor of each output (of all, for a number), such as ``data.scales``; not trained.
        tensor_basis: outputs made by a :class:`~pyro_symvi.equivariance.TensorBasisHead`: ``data.tensor_basis``.
        seed: of the parameters; the global generator is not touched.
    """

    def __init__(
        self,
        outputs: Shapes,
        *,
        charges: int = 1,
        width: int = 96,
        depth: tuple[int, int] = (3, 2),
        pooling: nn.Module | None = None,
        harmonics: int = 0,
        scales: Mapping[str, float] | float = 1.0,
        tensor_basis: TensorBasis | Mapping[str, TensorBasis] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.shapes, bases = checked_outputs(outputs, tensor_basis)
        self.scales = checked_scales(self.shapes, scales)
        positive_int(width, "width")
        before, after = (positive_int(n, "depth") for n in depth)
        self.charges = positive_int(charges, "charges", 0)
        with seeded(seed):
            self.harmonics = HarmonicFeatures(harmonics) if positive_int(harmonics, "harmonics", 0) else None
            inputs = (3 if self.harmonics is None else self.harmonics.size) + charges
            self.points = nn.ModuleList(PointLayer(inputs if k == 0 else width, width) for k in range(before))
            self.pool = MeanPooling() if pooling is None else pooling
            self.body = nn.ModuleList(PointLayer(width, width) for _ in range(after))
            self.heads = nn.ModuleDict()
            for name, shape in self.shapes.items():
                if name in bases:
                    self.heads[name] = TensorBasisHead(2 * width, bases[name], hidden=width // 2)
                else:
                    self.heads[name] = nn.Linear(width, int(torch.Size(shape).numel()))

    @property
    def layers(self) -> list[str]:
        """The modules whose spectra tell the story, in order."""
        return [
            *(f"points.{k}" for k in range(len(self.points))),
            "pool",
            *(f"body.{k}" for k in range(len(self.body))),
        ]

    def forward(self, positions: Tensor, charges: Tensor | None = None, mask: Tensor | None = None) -> Any:
        """A tensor ``[B, *shape]``, or a dict of them, from ``positions [B, N, 3]`` and ``charges [B, N]``.

        ``charges`` may have several scalars, ``[B, N, charges]``; ``mask [B, N]`` says which points there are.
        """
        mask = checked_points(positions, mask)
        h = positions if self.harmonics is None else self.harmonics(positions)
        if self.charges:
            if charges is None:
                raise ValueError(
                    "expected charges, got None, because the model was made for them; try PointNet(charges=0)"
                )
            h = torch.cat([h, charges.reshape(*positions.shape[:2], self.charges).to(h)], -1)
        for layer in self.points:
            h = layer(h)
        whole = self.pool(h, mask)
        for layer in self.body:
            whole = layer(whole)
        both = torch.cat([h, whole[:, None].expand_as(h)], -1)
        found = {}
        for name, head in self.heads.items():
            value = head(both, positions, mask) if isinstance(head, TensorBasisHead) else head(whole)
            found[name] = self.scales[name] * value.reshape(len(value), *self.shapes[name])
        return structured(found)
