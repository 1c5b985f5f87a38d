"""Properties of decorated clouds in closed form, each with the label (l, sigma) it transforms by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from ..._value import Value, positive_int
from ...groups import solid_harmonics
from .._labels import Label


class CloudTarget(Value, ABC):
    """A property of points r_i ``[..., P, 3]`` with charges q_i ``[..., P]``, with values ``[..., 2l + 1]``.

    To implement one, write a frozen dataclass with ``label`` and ``_value``.
    """

    @property
    @abstractmethod
    def label(self) -> Label:
        """(l, sigma): sigma = +1 for tensors made of vectors, -1 for pseudotensors."""

    def __call__(self, positions: Tensor, charges: Tensor) -> Tensor:
        """The property, ``[..., 2l + 1]``."""
        return self._value(positions, charges)

    @abstractmethod
    def _value(self, r: Tensor, q: Tensor) -> Tensor: ...


@dataclass(frozen=True, eq=False, repr=False)
class _OfDegree(CloudTarget):
    """A tensor made of vectors, (l, 1)."""

    degree: int = 3

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.degree})"

    def __post_init__(self) -> None:
        positive_int(self.degree, "degree", 0)

    @property
    def label(self) -> Label:
        return self.degree, 1


@dataclass(frozen=True, eq=False, repr=False)
class HarmonicMoment(_OfDegree):
    """sum_i q_i S_l(r_i), the multipole moment of degree l; linear in the harmonics of single points.

    S_l(r) = |r|^l Y_l(r / |r|), the solid harmonics in the order m = -l, ..., l.
    """

    def _value(self, r: Tensor, q: Tensor) -> Tensor:
        return (q[..., None] * solid_harmonics(self.degree, r)).sum(-2)


@dataclass(frozen=True, eq=False, repr=False)
class HarmonicOfDipole(_OfDegree):
    """S_l(sum_i q_i r_i): products of l points at a time, not linear in the harmonics of single points."""

    def _value(self, r: Tensor, q: Tensor) -> Tensor:
        return solid_harmonics(self.degree, (q[..., None] * r).sum(-2))


def moments(r: Tensor, q: Tensor) -> Tensor:
    """Three vectors a = sum q r, sum q^2 r, sum q |r| r, each as a / sqrt(1 + |a|^2): ``[..., 3, 3]``."""
    weights = torch.stack([q, q.square(), q * r.norm(dim=-1)], -2)
    a = weights @ r
    return a / (1 + a.square().sum(-1, keepdim=True)).sqrt()


@dataclass(frozen=True, eq=False, repr=False)
class TripleProduct(CloudTarget):
    """det[a, b, c] of three moments of the cloud, sum q r, sum q^2 r, sum q |r| r, each as a / sqrt(1 + |a|^2).

    A pseudoscalar, (0, -1), bounded by 1.
    """

    @property
    def label(self) -> Label:
        return (0, -1)

    def _value(self, r: Tensor, q: Tensor) -> Tensor:
        return torch.linalg.det(moments(r, q))[..., None]


@dataclass(frozen=True, eq=False, repr=False)
class CrossProduct(CloudTarget):
    """a x b of two moments of the cloud, sum q r and sum q^2 r, each as a / sqrt(1 + |a|^2), in the order (y, z, x).

    A pseudovector, (1, -1), shorter than 1.
    """

    @property
    def label(self) -> Label:
        return (1, -1)

    def _value(self, r: Tensor, q: Tensor) -> Tensor:
        a, b, _ = moments(r, q).unbind(-2)
        return torch.linalg.cross(a, b).roll(-1, -1)


@dataclass(frozen=True, eq=False, repr=False)
class SoftCoulomb(CloudTarget):
    """sum over pairs of q_i q_j / sqrt(1 + |r_i - r_j|^2): a scalar, (0, 1)."""

    @property
    def label(self) -> Label:
        return (0, 1)

    def _value(self, r: Tensor, q: Tensor) -> Tensor:
        square = (r[..., :, None, :] - r[..., None, :, :]).square().sum(-1)
        pairs = q[..., :, None] * q[..., None, :] / (1 + square).sqrt()
        return (pairs.sum((-2, -1)) - q.square().sum(-1))[..., None] / 2
