"""Actions of groups of 3 x 3 orthogonal matrices on spherical tensors, given by a label (l, sigma)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._value import positive_int
from ..groups import Action, Group, IrrepAction, LinearAction, Orthogonal, SpecialOrthogonal
from ..groups._wigner import wigner_d

Label = tuple[int, int]


def checked_label(label: object, name: str = "label") -> Label:
    """``label`` as (l, sigma) with l >= 0 and sigma = +1 for tensors made of vectors, -1 for pseudotensors."""
    if not isinstance(label, tuple) or len(label) != 2:
        raise TypeError(f"expected {name} as (l, sigma), got {label!r}; try (1, 1), a vector")
    degree, sigma = label
    positive_int(degree, f"l of {name}", 0)
    if isinstance(sigma, bool) or sigma not in (1, -1):
        raise ValueError(f"expected sigma of {name} to be +1 or -1, got {sigma!r}; try (l, 1), made of vectors")
    return degree, sigma


def spherical_action(group: Group, label: Label) -> Action:
    """How ``group`` moves the 2l + 1 components of a tensor (l, sigma), in the order m = -l, ..., l.

    D^l(g) on rotations, times sigma (-1)^l for the inversion. An :class:`~pyro_symvi.groups.IrrepAction` for SO(3)
    and O(3), a restricted (in general reducible) one for other groups of orthogonal 3 x 3 matrices.
    """
    degree, sigma = checked_label(label)
    if group == Orthogonal(3):
        return IrrepAction(group, (degree, sigma))
    if group == SpecialOrthogonal(3):
        return IrrepAction(group, degree)
    return RestrictedAction(group, degree, sigma)


@dataclass(frozen=True, eq=False, repr=False)
class RestrictedAction(LinearAction):
    """The representation (l, sigma) of O(3), restricted to a group of orthogonal 3 x 3 matrices."""

    matrices: Group
    degree: int
    sigma: int = 1

    def __post_init__(self) -> None:
        checked_label((self.degree, self.sigma))
        if not isinstance(self.matrices, Group) or self.matrices.element_shape != (3, 3):
            raise TypeError(
                f"expected a group of orthogonal 3 x 3 matrices, got {self.matrices!r}, because spherical tensors are "
                "moved by rotations and reflections of space; try Orthogonal(3)"
            )

    @property
    def group(self) -> Group:
        return self.matrices

    @property
    def dim(self) -> int:
        return 2 * self.degree + 1

    def _matrix(self, g: Tensor) -> Tensor:
        matrix = wigner_d(self.degree, g)
        return matrix * torch.linalg.det(g).sign()[..., None, None] if self.sigma < 0 else matrix
