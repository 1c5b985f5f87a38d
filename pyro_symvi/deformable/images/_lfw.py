"""A hundred real faces that come with scikit-image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..._value import positive_int


def lfw_faces(size: int = 48, *, others: bool = False) -> Tensor:
    """A hundred grey faces, ``[100, 1, size, size]`` in [0, 1]: 25 x 25 pixels, enlarged by cubic interpolation.

    The first half of ``skimage.data.lfw_subset``, crops of "Labeled Faces in the Wild" (Huang, Ramesh, Berg and
    Learned-Miller, 2007): of various yaw, expression and light, some with glasses, all about in the middle and of one
    size. There are no landmarks. The second half shows other places of the same photographs: walls, clothes, corners
    with a black margin, and here and there a piece of a face.

    Args:
        size: side of the images; 25 leaves them as they are.
        others: the hundred images that are no faces instead.

    Raises:
        ImportError: without scikit-image, which holds the images (it loads no file from elsewhere for this).
    """
    positive_int(size, "size", 2)
    try:
        from skimage.data import lfw_subset
    except ImportError as error:
        raise ImportError(
            "expected scikit-image to be installed, because its package holds the faces; "
            "try pip install 'pyro-symvi[datasets]'"
        ) from error
    images = torch.from_numpy(lfw_subset())[100:] if others else torch.from_numpy(lfw_subset())[:100]
    images = images[:, None].float()
    if size == images.shape[-1]:
        return images
    shrinks = size < images.shape[-1]
    found = functional.interpolate(images, (size, size), mode="bicubic", align_corners=False, antialias=shrinks)
    return found.clamp(0, 1)
