"""Images seen through warps."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from ._warp import Warp


def warped_images(
    images: Tensor, warp: Warp, size: tuple[int, int] | None = None, *, padding: str = "border"
) -> Tensor:
    """J(u) = I(s(u)), bilinear between pixels: what lies at p in an image is seen at s^-1(p) in its warped copy.

    Args:
        images: ``[B, C, H, W]``, of a floating dtype.
        warp: B maps s.
        size: height and width of the result; None for those of the images.
        padding: what is seen outside the image: "border" (the nearest pixel), "reflection" or "zeros".

    Returns:
        ``[B, C, height, width]``. Points u with s(u) outside ``[-1, 1]^2`` show the padding.

    Raises:
        ValueError: unless there is an image ``[C, H, W]`` for each warp.
        TypeError: for images that are not floating.
    """
    if images.ndim != 4 or len(images) != len(warp):
        raise ValueError(f"expected images [{len(warp)}, C, H, W], one for each warp, got {list(images.shape)}")
    if not images.is_floating_point():
        raise TypeError(f"expected images of a floating dtype, got {images.dtype}; try images.float() / 255")
    height, width = images.shape[-2:] if size is None else size
    places = warp.on_grid(height, width).to(images).view(len(images), height, width, 2)
    return functional.grid_sample(images, places, mode="bilinear", padding_mode=padding, align_corners=False)


def warped_points(points: Tensor, warp: Warp) -> Tensor:
    """Where points ``[B, N, 2]`` of images (landmarks, say) are seen in the warped images: s^-1(p).

    Points that are nan, and those that no point of the plane near the image shows, are nan.
    """
    return warp.inverse(points)
