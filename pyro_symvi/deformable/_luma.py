"""Grey from colours."""

from __future__ import annotations

import torch
from torch import Tensor

_WEIGHTS = (0.299, 0.587, 0.114)
"""Of red, green and blue: the luma of television (ITU-R BT.601)."""


def luma(images: Tensor) -> Tensor:
    """The brightness ``[..., 1, H, W]`` of colours ``[..., 3, H, W]`` as the eye weighs them."""
    return torch.einsum("c,...chw->...hw", images.new_tensor(_WEIGHTS), images).unsqueeze(-3)
