"""Frames of one length."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional


class UnitFrames(nn.Module):
    """scale * Phi / |Phi| of another network's frames Phi: places on a sphere, and logits up to scale^2.

    An orthogonal action passes through: the frame of the one is symmetric where that of the other is. A free length
    (no ``UnitFrames``) is a confidence of the place; in high dimensions a length of 20 is the rule (Thewlis, Albanie,
    Bilen and Vedaldi, 2019).

    Args:
        network: from ``[B, C, H, W]`` to ``[B, D, h, w]``.
        scale: length of the vectors. Neighbouring cells of an h x h grid on a sphere differ by about 2 / h, their
            logits by 2 scale^2 / h^2, so that scale^2 must exceed h^2 / 2 for a place to be told from the next one.

    Raises:
        TypeError: unless the network is a module.
        ValueError: unless the scale is finite and positive.
    """

    def __init__(self, network: nn.Module, scale: float = 20.0) -> None:
        super().__init__()
        if not isinstance(network, nn.Module):
            raise TypeError(f"expected a torch.nn.Module, got {type(network).__name__}")
        if not 0 < scale < math.inf:
            raise ValueError(f"expected a finite scale above 0, got {scale}")
        self.network, self.scale = network, float(scale)

    def forward(self, images: Tensor) -> Tensor:
        """Frames of images."""
        frames: Tensor = self.network(images)
        return self.scale * functional.normalize(frames, dim=1)
