"""Rendered images with everything that is true of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..symmetry import FrameSymmetry


@dataclass(frozen=True)
class Rendered:
    """N images of objects of one category, with the place of every pixel on the object.

    Attributes:
        images: ``[N, 3, H, W]`` in [0, 1].
        frame: the true frame: a unit vector for each pixel of the object, ``[N, D, H, W]``; nan on the background.
            Distinct places of the object have distinct vectors, and the symmetry acts on them by its R_g.
        partners: where the place R_g Phi(u) of each pixel u lies in the same image, ``[order, N, H * W, 2]``; nan on
            the background, and where that place is hidden or outside the image.
        symmetry: of the category.
        width: of the object in pixels, ``[N]``: the larger side of its bounding box, the unit of errors in per cent.
        landmarks: where K named places lie, ``[N, K, 2]``; nan where hidden or outside the image.
        landmark_names: their names, K of them.
        landmark_order: LongTensor ``[order, K]``: R_g takes the place of landmark k to that of
            ``landmark_order[g, k]``, so that landmark k of an image I lies where landmark ``landmark_order[g, k]`` of
            M_g I does, up to M_g.
    """

    images: Tensor
    frame: Tensor
    partners: Tensor
    symmetry: FrameSymmetry
    width: Tensor
    landmarks: Tensor
    landmark_names: tuple[str, ...]
    landmark_order: Tensor

    def __len__(self) -> int:
        return len(self.images)

    @property
    def visible(self) -> Tensor:
        """Pixels that show the object, bool ``[N, H, W]``."""
        return ~torch.isnan(self.frame[:, 0])

    def __getitem__(self, index: Tensor | slice) -> Rendered:
        return Rendered(
            self.images[index],
            self.frame[index],
            self.partners[:, index],
            self.symmetry,
            self.width[index],
            self.landmarks[index],
            self.landmark_names,
            self.landmark_order,
        )
