"""Which poses of an object one image cannot tell apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._points import grid_points, values_at
from ..symmetry import FrameSymmetry
from ._match import match


@dataclass(frozen=True)
class PoseAmbiguity:
    """The law of the element h by which the pose in an image may be wrong.

    Attributes:
        energies: E_h, ``[n, B]``, in squared units of the images.
        weights: q(h | I) proportional to exp(-E_h / temperature), ``[n, B]``.
        temperature: of q.
    """

    energies: Tensor
    weights: Tensor
    temperature: float

    @property
    def entropy(self) -> Tensor:
        """-sum_h q log q in nats, ``[B]``: log |H| where q is uniform on the stabiliser H of the appearance."""
        return -torch.special.xlogy(self.weights, self.weights).sum(0)

    @property
    def divergence(self) -> Tensor:
        """KL(q || uniform on G) = log |G| - entropy, ``[B]``: log(|G| / |H|) there; 0 where nothing is known."""
        return math.log(len(self.weights)) - self.entropy

    @property
    def effective_order(self) -> Tensor:
        """exp(entropy), ``[B]``: the number of poses that are as good as one another."""
        return self.entropy.exp()


def pose_ambiguity(
    images: Tensor,
    frames: Tensor,
    symmetry: FrameSymmetry,
    temperature: float = 0.01,
    *,
    weight: Tensor | None = None,
    brightness: bool | None = None,
) -> PoseAmbiguity:
    """q(h | I) from E_h = mean over u of |I(u) - I(s_h u)|^2 / C, s_h u the partner of u under h in the same image.

    s_h u = argmax_v <R_h Phi(u), Phi(v)>. If the object looks the same at u and s_h u everywhere, the image cannot
    tell the pose p from p h: E_h = 0 on the stabiliser H of the appearance, a subgroup, and q tends to the uniform law
    on H as the temperature falls towards (not below) the energies that sampling and light leave there. A uniform q
    also comes from an object without texture, or a frame that makes every place its own partner.

    Args:
        images: ``[B, C, H, W]``.
        frames: their frames ``[B, D, h, w]``; nan on the background.
        symmetry: acts on the frames.
        temperature: in squared units of the images, above the E_h of equal poses and below those of others.
        weight: what each cell counts, ``[B, h * w]``: the object; None for the cells without nan.
        brightness: whether colours are compared as they are. Light that falls from one side makes equal parts unlike
            (lit flowers of equal petals: E_h up to 0.07, up to 0.005 without the light); False compares the colours
            divided by their length, which white light does not change. None: False for images with several channels.

    Raises:
        ValueError: for a temperature that is not positive, for shapes that do not belong together, and for colours of
            one channel compared without their brightness.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"expected a finite temperature above 0, got {temperature}; try 0.01 for images in [0, 1]")
    if images.ndim != 4 or frames.ndim != 4 or len(images) != len(frames):
        raise ValueError(
            f"expected images [B, C, H, W] and frames [B, D, h, w], got {list(images.shape)} and {list(frames.shape)}"
        )
    height, width = frames.shape[-2:]
    if weight is not None and tuple(weight.shape) != (len(frames), height * width):
        raise ValueError(f"expected weight [{len(frames)}, {height * width}], got {list(weight.shape)}")
    brightness = images.shape[1] == 1 if brightness is None else brightness
    if not brightness and images.shape[1] == 1:
        raise ValueError(
            "expected images with several channels, got one, because grey without its brightness is all the same; try "
            "brightness=True"
        )
    cells = grid_points(height, width, like=images).expand(len(images), -1, 2)
    here = _colours(images, cells, brightness)
    energies = []
    for matrix in symmetry.frame_matrices(like=frames):
        there = match(frames, frames, matrix)
        known = (~torch.isnan(there).any(-1)).to(images)
        counted = known if weight is None else known * weight.to(images)
        seen = _colours(images, there.nan_to_num(0.0).to(images), brightness)
        squares = (here - seen).square().mean(1)
        energies.append((squares * counted).sum(-1) / counted.sum(-1))
    stacked = torch.stack(energies)
    return PoseAmbiguity(stacked, (-stacked / temperature).softmax(0), temperature)


def _colours(images: Tensor, points: Tensor, brightness: bool) -> Tensor:
    values = values_at(images, points)
    return values if brightness else values / values.norm(dim=1, keepdim=True).clamp_min(1e-6)
