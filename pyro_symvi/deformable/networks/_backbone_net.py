"""A network of features with a head for frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..._value import positive_int


class BackboneNet(nn.Module):
    """A 1x1 convolution from the features of any backbone to a frame: ``[B, F, h, w]`` to ``[B, dim, h, w]``.

    Args:
        backbone: from images to feature maps, say the first stages of a network for classification. Its grid should
            be no coarser than an eighth of the image: a frame tells places apart by cells.
        features: F.
        dim: of the frame.
        freeze: train the head alone, the backbone's weights and statistics as they are.
        generator: for the weights of the head.

    Raises:
        TypeError: unless the backbone is a module.
    """

    def __init__(
        self,
        backbone: nn.Module,
        features: int,
        dim: int = 3,
        *,
        freeze: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(backbone, nn.Module):
            raise TypeError(f"expected a torch.nn.Module, got {type(backbone).__name__}")
        self.backbone, self.freeze = backbone, freeze
        self.head: nn.Conv2d = nn.utils.skip_init(
            nn.Conv2d, positive_int(features, "features"), positive_int(dim, "dim", 2), 1
        )
        nn.init.xavier_uniform_(self.head.weight, generator=generator)
        if self.head.bias is not None:
            nn.init.zeros_(self.head.bias)
        if freeze:
            backbone.requires_grad_(False)
            backbone.eval()

    def train(self, mode: bool = True) -> BackboneNet:
        """As ever, but a frozen backbone stays in evaluation mode."""
        super().train(mode)
        if self.freeze:
            self.backbone.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Frames of images."""
        features = self.backbone(images)
        wanted = self.head.in_channels
        if not isinstance(features, Tensor) or features.ndim != 4 or features.shape[1] != wanted:
            got = list(features.shape) if isinstance(features, Tensor) else type(features).__name__
            raise ValueError(
                f"expected features [B, {wanted}, h, w] from {type(self.backbone).__name__}, got {got}; try the "
                "backbone without its pooling and its classifier, and its number of channels as features"
            )
        found: Tensor = self.head(features)
        return found
