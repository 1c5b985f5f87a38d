"""Pairs of images from single ones: two warps, a change of colour, and a coin for the symmetry."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..._value import Value, positive_int
from .._points import nearest_pixels
from ..symmetry import FrameSymmetry
from ._colour_jitter import ColourJitter
from ._pairs import Pairs
from ._random_warps import RandomWarps
from ._warped_images import warped_images


@dataclass(frozen=True, eq=False, repr=False)
class PairMaker(Value):
    """I1 = I o s1 and I2 = (M_g I) o s2 of an image I, so that u in I1 is v = s2^-1(M_g s1(u)) in I2.

    s1 has half the elastic strength of s2; the colours of I2 are changed. g is the identity, or with probability
    ``flip_probability`` one of the elements that move images: any one M_g different from the identity, all with equal
    chance, and of the elements that share it the first (they differ by an element the image does not show, the
    business of a relaxation). A loss that uses g is then that of equivariance and of symmetry in these proportions.

    Args:
        warps: law of s2.
        jitter: law of the change of colour; None for none.
        symmetry: None for no g.
        flip_probability: of an element that moves images.
        frame_size: height and width of the grid of u; None for half those of the images.
        padding: what is seen outside an image, as for ``warped_images``. Such points have weight 0.

    Raises:
        ValueError: for a probability outside [0, 1] or an unknown padding.
    """

    warps: RandomWarps = field(default_factory=RandomWarps)
    jitter: ColourJitter | None = field(default_factory=ColourJitter)
    symmetry: FrameSymmetry | None = None
    flip_probability: float = 0.5
    frame_size: tuple[int, int] | None = None
    padding: str = "border"

    def __post_init__(self) -> None:
        if not 0 <= self.flip_probability <= 1:
            raise ValueError(f"expected a flip_probability between 0 and 1, got {self.flip_probability}")
        if self.padding not in ("border", "reflection", "zeros"):
            raise ValueError(f"expected padding border, reflection or zeros, got {self.padding!r}")
        for side in self.frame_size or ():
            positive_int(side, "frame_size")

    @torch.no_grad()
    def pairs(self, images: Tensor, *, generator: torch.Generator | None = None, mask: Tensor | None = None) -> Pairs:
        """A pair from each image.

        Args:
            images: ``[B, C, H, W]`` in [0, 1], of a floating dtype.
            generator: of all draws.
            mask: what is known to be the object, bool ``[B, H, W]``; points elsewhere have weight 0.

        Returns:
            Pairs, ``weight`` 0 where u shows what is outside the image or v lies outside.

        Raises:
            ValueError: for other shapes, and for images that some element cannot act on.
        """
        self._check(images, mask)
        count, (height, width) = len(images), self._frame_size(images)
        element = self._elements(count, generator).to(images.device)
        gentle = dataclasses.replace(self.warps, elastic=self.warps.elastic / 2)
        one = gentle.sample(count, generator=generator, like=images)
        two = self.warps.sample(count, generator=generator, like=images)
        moved = images if self.symmetry is None else self.symmetry.on_images(element, images)
        first = warped_images(images, one, padding=self.padding)
        second = warped_images(moved, two, padding=self.padding)
        if self.jitter is not None:
            second = self.jitter(second, generator=generator)
        source = one.on_grid(height, width)
        target = source if self.symmetry is None else self.symmetry.on_points(element, source)
        points = two.inverse(target.clamp(-1, 1), tolerance=1e-3)  # and squared by one more step
        weight = _inside(source) & _inside(points)  # nan is not inside
        if mask is not None:
            pixels = nearest_pixels(source, *mask.shape[-2:])
            weight &= mask.to(images.device).flatten(1).gather(1, pixels)
        return Pairs(first, second, points.nan_to_num(0.0), element, weight.to(images))

    def _elements(self, count: int, generator: torch.Generator | None) -> Tensor:
        """The number of the element for each pair, LongTensor ``[count]``."""
        coin, which = torch.rand(2, count, generator=generator, dtype=torch.float64)
        if self.symmetry is None or not self.symmetry.moves_images:
            return torch.zeros(count, dtype=torch.long)
        movers = torch.tensor(_movers(self.symmetry))
        chosen = movers[(which * len(movers)).long().clamp_max(len(movers) - 1)]
        return torch.where(coin < self.flip_probability, chosen, 0)

    def _frame_size(self, images: Tensor) -> tuple[int, int]:
        if self.frame_size is not None:
            return self.frame_size
        return max(1, images.shape[-2] // 2), max(1, images.shape[-1] // 2)

    def _check(self, images: Tensor, mask: Tensor | None) -> None:
        if images.ndim != 4 or not images.is_floating_point() or not len(images):
            raise ValueError(
                f"expected images [B, C, H, W] of a floating dtype, got {list(images.shape)} of {images.dtype}; try "
                "images.float() / 255"
            )
        if mask is not None and (mask.dtype != torch.bool or mask.ndim != 3 or len(mask) != len(images)):
            raise ValueError(f"expected a mask [{len(images)}, H, W] of bool, got {list(mask.shape)} of {mask.dtype}")
        if self.symmetry is not None:
            self.symmetry.check_carried(images)


def _movers(symmetry: FrameSymmetry) -> list[int]:
    """The first element with each M_g but the identity."""
    rows = [tuple(matrix.flatten().tolist()) for matrix in symmetry.image_matrices()]
    first = {row: rows.index(row) for row in rows}
    return [number for row, number in first.items() if row != (1.0, 0.0, 0.0, 1.0)]


def _inside(points: Tensor) -> Tensor:
    return (points.abs() <= 1).all(-1)
