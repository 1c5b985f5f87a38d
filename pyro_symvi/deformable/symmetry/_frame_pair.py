"""The two frames that the equation of a symmetry compares."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ._frame_symmetry import FrameSymmetry, moved_image


def frame_pair(
    network: Callable[[Tensor], Tensor], images: Tensor, symmetry: FrameSymmetry, element: int = 1
) -> tuple[Tensor, Tensor]:
    """Phi(u; I) and Phi(M_g u; M_g I) at the same places u, both ``[B, D, h, w]``.

    The second is the frame of the moved image, moved back, so that cell u of the one belongs to cell u of the other.
    Without gradients. A network with batch normalisation should be in its state of evaluation (``network.eval()``).

    Args:
        network: images ``[B, C, H, W]`` to frames.
        images: ``[B, C, H, W]``.
        symmetry: of the category, with an action on images.
        element: the number of g.
    """
    check_element(element, symmetry)
    matrix = symmetry.image_matrices()[element]
    number = torch.full((len(images),), element, device=images.device)
    with torch.no_grad():
        first, second = network(images), network(symmetry.on_images(number, images))
    return first, moved_image(matrix.mT, second)


def paired_columns(first: Tensor, second: Tensor, dim: int, weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Two frames ``[B, D, ...]`` as float64 ``[B, N, D]``, and the weight ``[B, N]``; 0 where nothing counts.

    Raises:
        ValueError: for shapes that do not belong together, for values that are not finite where they count, where
            nothing counts.
    """
    if first.shape != second.shape or first.ndim < 3 or first.shape[1] != dim:
        raise ValueError(
            f"expected two frames [B, {dim}, ...] at the same places, got {list(first.shape)} and "
            f"{list(second.shape)}; try frame_pair(network, images, symmetry)"
        )
    a, b = (frame.detach().double().flatten(2).mT for frame in (first, second))
    if weight is None:
        share = a.new_ones(a.shape[:2])
    elif weight.numel() != a.shape[0] * a.shape[1] or len(weight) != len(a):
        raise ValueError(f"expected weight [{a.shape[0]}, {a.shape[1]}], got {list(weight.shape)}")
    else:
        share = weight.detach().to(a).reshape(a.shape[:2])
    if not bool((share >= 0).all()) or not bool((share > 0).any()):
        raise ValueError("expected weights of 0 or more, some of them above 0, got others")
    counts = (share > 0)[..., None]
    a, b = torch.where(counts, a, 0.0), torch.where(counts, b, 0.0)
    if not bool(torch.isfinite(a).all() and torch.isfinite(b).all()):
        raise ValueError("expected finite frames, got nan or infinity; try weight= of 0 where places are hidden")
    return a, b, share


def check_element(element: int, symmetry: FrameSymmetry) -> None:
    """Refuse numbers that name no element."""
    if isinstance(element, bool) or not isinstance(element, int) or not 0 <= element < symmetry.order:
        raise ValueError(f"expected the number of an element, 0 to {symmetry.order - 1}, got {element!r}")
