"""A finite group that acts on the frame of an object and on its images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..._value import Value
from ...groups import Group, LinearAction


@dataclass(frozen=True, eq=False, repr=False)
class FrameSymmetry(Value):
    """The symmetry of a category of objects: g acts on the frame by R_g and on the image plane by M_g.

    The frame of an image I gives each pixel u a vector Phi(u; I) in R^D, read as a place on the object. A category
    whose images stay images of the category under M_g has frames with

        R_g Phi(u; I) = Phi(M_g u; M_g I).

    Bilateral symmetry: R the reflection diag(-1, 1, ..., 1), M the exchange of left and right. A symmetry of the
    structure alone, say n equal petals, has no action on images: ``image`` is None, M_g the identity. The equation is
    then not asked for; instead the pose of an object, and so its frame, is known up to R_g only. Elements are told by
    their place in ``group.elements()``, identity first.

    Args:
        frame: the representation R of a finite group on R^D, by orthogonal matrices.
        image: the representation M of the same group on the plane, by signed permutation matrices (the mirror images
            and quarter turns of the pixel grid), or None.

    Raises:
        TypeError: for what is no linear action of a finite group.
        ValueError: for R that are not orthogonal, for M that no grid of pixels carries, for two different groups.
    """

    frame: LinearAction
    image: LinearAction | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.frame, LinearAction) or not self.frame.group.is_finite or self.frame.dim is None:
            raise TypeError(
                f"expected a linear action of a finite group on R^D, got {self.frame!r}; try bilateral() or "
                "MatrixRepresentation(group, matrices)"
            )
        eye = torch.eye(self.dim, dtype=torch.float64)
        off = float((self.frame_matrices() @ self.frame_matrices().mT - eye).abs().max())
        if off > 1e-9:
            raise ValueError(
                f"expected orthogonal matrices on the frame, got R R^T off the identity by {off:.2g}, because frames "
                "are compared by inner products; try a basis in which the group is orthogonal"
            )
        if self.image is None:
            return
        if not isinstance(self.image, LinearAction) or self.image.group != self.group:
            raise ValueError(f"expected a linear action of {self.group!r} on the plane, got {self.image!r}")
        given = self.image.matrix(self.group.elements(dtype=torch.float64))
        if self.image.dim != 2 or not _is_signed_permutation(given):
            raise ValueError(
                "expected mirror images and quarter turns (matrices with entries 0, 1 and -1 on the plane), got "
                f"{self.image!r}, because other maps do not take pixels to pixels; try image=None, where the symmetry "
                "is one of the object alone"
            )

    @property
    def group(self) -> Group:
        """The group."""
        return self.frame.group

    @property
    def order(self) -> int:
        """Number of elements."""
        return int(self.group.order)

    @property
    def dim(self) -> int:
        """Dimension D of the frame."""
        return int(self.frame.dim or 0)

    @property
    def moves_images(self) -> bool:
        """Whether some M_g is not the identity."""
        return self.image is not None and bool((self.image_matrices() != torch.eye(2)).any())

    def frame_matrices(self, *, like: Tensor | None = None) -> Tensor:
        """All R_g, ``[order, D, D]``; float64, or as ``like``."""
        found = self.frame.matrix(self.group.elements(dtype=torch.float64))
        return found if like is None else found.to(like)

    def image_matrices(self, *, like: Tensor | None = None) -> Tensor:
        """All M_g, ``[order, 2, 2]``; float64, or as ``like``."""
        if self.image is None:
            found = torch.eye(2, dtype=torch.float64).expand(self.order, 2, 2)
        else:
            found = self.image.matrix(self.group.elements(dtype=torch.float64)).round()
        return found if like is None else found.to(like)

    # -- the three actions, element by element ---------------------------------------------------------------------
    def on_frames(self, element: Tensor, frames: Tensor) -> Tensor:
        """R_g Phi: elements ``[B]`` (numbers) on frames ``[B, D, h, w]``."""
        return torch.einsum("bij,bjhw->bihw", self.frame_matrices(like=frames)[element], frames)

    def on_points(self, element: Tensor, points: Tensor) -> Tensor:
        """M_g u: elements ``[B]`` on points ``[B, ..., 2]``."""
        matrices = self.image_matrices(like=points)[element]
        flat = points.reshape(len(points), -1, 2)
        return torch.einsum("bij,bnj->bni", matrices, flat).reshape(points.shape)

    def on_images(self, element: Tensor, images: Tensor) -> Tensor:
        """M_g I, the image with (M_g I)(M_g u) = I(u): elements ``[B]`` on ``[B, C, H, W]``, no pixel interpolated.

        Raises:
            ValueError: where a quarter turn meets images that are not square.
        """
        self.check_carried(images)
        moved = images
        for number, matrix in enumerate(self.image_matrices()):
            chosen = element == number
            if bool(chosen.any()) and not torch.equal(matrix, torch.eye(2, dtype=matrix.dtype)):
                moved = torch.where(chosen[:, None, None, None], moved_image(matrix, images), moved)
        return moved

    def check_carried(self, images: Tensor) -> None:
        """Refuse images that some element cannot act on."""
        turns = bool((self.image_matrices()[:, 0, 1] != 0).any())
        if turns and images.shape[-1] != images.shape[-2]:
            raise ValueError(
                f"expected square images, got {images.shape[-2]} x {images.shape[-1]} (height x width), because a "
                f"quarter turn of {self.group!r} exchanges the sides; try to crop them to squares"
            )


def moved_image(matrix: Tensor, images: Tensor) -> Tensor:
    """Images ``[..., H, W]`` moved by a signed permutation of the plane: J(M u) = I(u)."""
    if float(matrix[0, 0]) == 0:  # x' = a y, y' = b x
        images, signs = images.mT, (matrix[0, 1], matrix[1, 0])
    else:
        signs = (matrix[0, 0], matrix[1, 1])
    flipped = [axis for axis, sign in zip((-1, -2), signs, strict=True) if float(sign) < 0]
    return images.flip(flipped) if flipped else images


def _is_signed_permutation(matrices: Tensor) -> bool:
    """Up to the rounding of float32."""
    nearest = matrices.round()
    whole = torch.allclose(matrices, nearest, rtol=0, atol=1e-6)
    return whole and bool((nearest.abs().sum(-1) == 1).all() and (nearest.abs().sum(-2) == 1).all())
