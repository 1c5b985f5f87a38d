"""A head that predicts coefficients of an explicit tensor basis, so that only the coefficients can break symmetry."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..._value import Value, positive_int
from ...groups import solid_harmonics
from .._labels import Label, checked_label


@dataclass(frozen=True, eq=False, repr=False)
class TensorBasis(Value):
    """What a :class:`TensorBasisHead` puts out.

    Attributes:
        label: (l, sigma): sigma = +1 for tensors made of vectors, -1 for pseudotensors.
        cartesian: components in the order (x, y, z), for l = 1 only; otherwise m = -l, ..., l.
        copies: products of learnt vectors in the sum.
        gain: factor of the initial weights of the coefficients; products of two or three learnt vectors are flat where
            these are short.
        softening: s in r / sqrt(|r|^2 + s^2), in the units of the vectors.

    Raises:
        ValueError: for Cartesian components of another degree than 1, and for sizes that are not positive.
    """

    label: Label
    cartesian: bool = False
    copies: int = 4
    gain: float = 1.0
    softening: float = 1.0

    def __post_init__(self) -> None:
        degree, _ = checked_label(self.label)
        positive_int(self.copies, "copies")
        for value, name in ((self.softening, "softening"), (self.gain, "gain")):
            if not 0 < value < float("inf"):
                raise ValueError(f"expected {name} > 0, got {value!r}")
        if self.cartesian and degree != 1:
            raise ValueError(f"expected l = 1 for components (x, y, z), got {self.label}; try cartesian=False")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one output."""
        return (2 * self.label[0] + 1,)

    @property
    def vectors(self) -> int:
        """Learnt vectors in one copy: one for tensors, two for pseudotensors, three for a pseudoscalar."""
        degree, sigma = self.label
        return 1 if sigma > 0 else 2 if degree else 3


class TensorBasisHead(nn.Module):
    """Coefficients from features, times a basis of the target's representation built from vectors.

    With softened vectors u_m = r_m / sqrt(|r_m|^2 + s^2), coefficients c_m = MLP(features_m) and learnt vectors
    v_k = sum_m c_mk u_m:

    - (l, +1): sum_m c_m S_l(u_m) + sum_k w_k S_l(v_k);
    - (0, -1): sum_k w_k det[v_k1, v_k2, v_k3];
    - (l, -1), l >= 1: sum_k w_k (v_k1 x v_k2 . grad) S_l(v_k1), for l = 1 the cross product.

    Everything but the features is exactly equivariant under O(3). Features that are invariant (of distances, say)
    make the output equivariant; those of an unconstrained trunk leave the error of the coefficients:
    rho(g)^-1 f(g x) = sum_m c_m(g x) T_m(x). For a scalar (0, +1) there is nothing to gain: it is a plain head.

    Source: coefficients times a small tensor basis, after Domina et al., arXiv 2505.05404.

    Args:
        width: features of one vector.
        basis: what to put out.
        hidden: units of the network of the coefficients; ``width`` by default.

    Raises:
        TypeError: for anything but a ``TensorBasis``.
    """

    def __init__(self, width: int, basis: TensorBasis, *, hidden: int | None = None) -> None:
        super().__init__()
        if not isinstance(basis, TensorBasis):
            raise TypeError(f"expected a TensorBasis, got {basis!r}; try TensorBasis((3, 1))")
        self.basis = basis
        outputs = basis.copies * basis.vectors + 1
        units = positive_int(width if hidden is None else hidden, "hidden")
        first = nn.Linear(positive_int(width, "width"), units)
        last = nn.Linear(units, outputs)
        last.weight.data *= basis.gain
        self.coefficients = nn.Sequential(first, nn.SiLU(), last)
        self.weights = nn.Parameter(torch.full((basis.copies,), basis.copies**-0.5))

    def forward(self, features: Tensor, vectors: Tensor, mask: Tensor | None = None) -> Tensor:
        """The tensor ``[B, 2l + 1]``.

        Args:
            features: ``[B, M, width]``, one row for each vector.
            vectors: ``[B, M, 3]``, from an origin that moves along (a centre, or the other end of an edge).
            mask: bool ``[B, M]``, vectors that count.
        """
        basis = self.basis
        coefficients = self.coefficients(features)
        if mask is not None:
            coefficients = coefficients * mask[..., None].to(coefficients)
        unit = vectors / (vectors.square().sum(-1, keepdim=True) + basis.softening**2).sqrt()
        learnt = torch.einsum("bmk,bmd->bkd", coefficients[..., 1:], unit)
        v = learnt.unflatten(1, (basis.copies, basis.vectors))
        product = (self.weights[:, None] * _product(basis.label, v)).sum(1)
        if basis.label[1] > 0:
            product = product + (coefficients[..., :1] * _harmonic(basis.label[0], unit)).sum(1)
        return product.roll(1, -1) if basis.cartesian else product


def _harmonic(degree: int, x: Tensor) -> Tensor:
    """S_l normalised to |S_l(x)| = |x|^l; S_1(x) = (y, z, x)."""
    return solid_harmonics(degree, x, squared_norm=1)


def _product(label: Label, v: Tensor) -> Tensor:
    """A tensor (l, sigma) ``[..., 2l + 1]`` of the vectors ``v [..., vectors, 3]``."""
    degree, sigma = label
    if sigma > 0:
        return _harmonic(degree, v[..., 0, :])
    normal = torch.linalg.cross(v[..., 0, :], v[..., 1, :])
    if degree == 0:
        return (normal * v[..., 2, :]).sum(-1, keepdim=True)
    return stretched(degree, v[..., 0, :], normal)


def stretched(degree: int, a: Tensor, c: Tensor) -> Tensor:
    """(c . grad) S_l(a), which couples a vector c with degree l - 1 in a to degree l: ``[..., 2l + 1]``.

    S_l(a + t c) is a polynomial of degree l in t; its linear coefficient comes exactly from differences over t and -t.
    """
    count = (degree + 1) // 2
    t = torch.arange(1, count + 1, dtype=torch.float64) / count
    powers = t[None] ** torch.arange(1, 2 * count, 2, dtype=torch.float64)[:, None]  # t^1, t^3, ...
    weights = torch.linalg.solve(powers, torch.eye(count, dtype=torch.float64)[:, 0]).tolist()
    terms = [
        w / 2 * (_harmonic(degree, a + s * c) - _harmonic(degree, a - s * c))
        for s, w in zip(t.tolist(), weights, strict=True)
    ]
    return torch.stack(terms).sum(0)
