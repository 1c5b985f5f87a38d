"""Frames in other coordinates."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TurnedFrames(nn.Module):
    """Q Phi for the frames Phi of another network and a fixed matrix Q, which is kept with the weights.

    Args:
        network: from ``[B, C, H, W]`` to ``[B, D, h, w]``.
        matrix: Q, ``[D, D]``.

    Raises:
        TypeError: unless the network is a module.
        ValueError: unless the matrix is finite and ``[D, D]``.
    """

    turn: Tensor

    def __init__(self, network: nn.Module, matrix: Tensor) -> None:
        super().__init__()
        if not isinstance(network, nn.Module):
            raise TypeError(f"expected a torch.nn.Module, got {type(network).__name__}")
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not bool(torch.isfinite(matrix).all()):
            raise ValueError(f"expected a finite matrix [D, D], got {list(matrix.shape)}")
        self.network = network
        self.register_buffer("turn", matrix.detach().clone())

    def forward(self, images: Tensor) -> Tensor:
        """Frames of images."""
        return torch.einsum("ij,bjhw->bihw", self.turn, self.network(images))
