"""Frames of images by any network."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def frames_of(network: nn.Module, images: Tensor, *, dim: int | None = None) -> Tensor:
    """The network's frames ``[B, D, h, w]`` of images ``[B, C, H, W]``, checked.

    Images of bytes are read as values in [0, 1]; the network sees them on its own device and in its own dtype.
    Gradients pass; see ``FrameModel.frames`` for frames of many images without.

    Args:
        network: any ``torch.nn.Module``.
        images: bytes, or floats.
        dim: the D to be expected; None for any from 2 on.

    Raises:
        TypeError: where the network is none, or gives something other than one tensor of floats.
        ValueError: for images or frames of another shape, and for frames with nan or inf.
    """
    if not isinstance(network, nn.Module):
        raise TypeError(f"expected a torch.nn.Module, got {type(network).__name__}")
    frames = network(image_values(images, like=next(network.parameters(), None)))
    if not isinstance(frames, Tensor) or not frames.is_floating_point():
        got = f"a tensor of {frames.dtype}" if isinstance(frames, Tensor) else f"a {type(frames).__name__}"
        raise TypeError(
            f"expected a tensor of frames [B, D, h, w] from {type(network).__name__}, got {got}; try a module around "
            "it that returns the one tensor"
        )
    if frames.ndim != 4 or len(frames) != len(images) or frames.shape[1] < 2 or 0 in frames.shape:
        raise ValueError(
            f"expected frames [{len(images)}, D, h, w] with D >= 2 from {type(network).__name__}, got "
            f"{list(frames.shape)}, because a frame gives a vector to each place of an image; try the backbone without "
            "its pooling and its head, and a 1x1 convolution to D channels"
        )
    if dim is not None and frames.shape[1] != dim:
        raise ValueError(
            f"expected frames of dimension {dim}, on which the symmetry acts, got {frames.shape[1]}; try dim={dim} for "
            f"the network or dim={frames.shape[1]} for the symmetry"
        )
    finite = torch.isfinite(frames).all()
    if not bool(finite):
        bad = (~torch.isfinite(frames)).flatten(1).any(1).nonzero()[:, 0].tolist()
        raise ValueError(
            f"expected finite frames, got nan or inf in those of image {', '.join(map(str, bad[:5]))}; try to look at "
            "these images and at the network's weights"
        )
    return frames


def image_values(images: Tensor, *, like: Tensor | None = None) -> Tensor:
    """Images ``[B, C, H, W]`` as floats: bytes divided by 255, floats as they are; dtype and device of ``like``.

    Raises:
        TypeError: for other dtypes.
        ValueError: for other shapes.
    """
    if not isinstance(images, Tensor) or images.ndim != 4 or 0 in images.shape:
        got = list(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(
            f"expected images [B, C, H, W], got {got}; try images[None] for one image, images[:, None] for grey ones"
        )
    dtype = torch.get_default_dtype() if like is None else like.dtype
    device = images.device if like is None else like.device
    if images.dtype == torch.uint8:
        return images.to(device, dtype) / 255
    if not images.is_floating_point():
        raise TypeError(f"expected images of bytes (uint8) or floats, got {images.dtype}; try images.float() / 255")
    return images.to(device, dtype)
