"""Low rank plus diagonal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from ..._value import positive_int
from .. import _structure
from .._closure import Closure
from ._scale import Scale


@dataclass(frozen=True, eq=False, repr=False)
class LowRank(Scale):
    r"""Scatter :math:`CC^T = D(I + VV^T)D` with D = diag(s), V ``[d, r]``; ``scale [*batch, d, 1 + r]`` = (s, V).

    Of the roots of this scatter, the one that permutations of coordinates carry along,

    .. math:: C = D\,(I + V B V^T), \qquad B = (I + L)^{-1},\quad LL^T = I + V^TV,

    for then :math:`B + B^T + BV^TVB^T = I`. Its inverse is :math:`(I - V(I+L^T)^{-1}L^{-1}V^T)D^{-1}` and
    :math:`\log|C| = \sum\log s_i + \sum\log L_{kk}`: all in O(d r^2). The parameters are those of Pyro's
    ``AutoLowRankMultivariateNormal`` (``scale``, ``cov_factor``).

    As in factor analysis an optimum may lie at the edge, some s_i going to 0 and its row of V to infinity (a Heywood
    case): a fit then ends ``UNBOUNDED`` in the scale, its location unharmed. A smaller rank seldom does.

    Args:
        rank: r, from 1 to d; by default the square root of d, rounded.
    """

    rank: int | None = None
    name: ClassVar[str] = "low_rank"

    def __post_init__(self) -> None:
        if self.rank is not None:
            positive_int(self.rank, "rank")

    def resolve(self, dim: int) -> Self:
        """The rank chosen."""
        rank = round(dim**0.5) if self.rank is None else self.rank
        if rank > dim:
            raise ValueError(
                f"expected rank <= {dim}, got {rank}, because V has {dim} rows; try LowRank() or scale='full'"
            )
        return type(self)(rank)

    def _rank(self) -> int:
        if self.rank is None:
            raise ValueError(
                "expected a known rank, got LowRank(), because it depends on the dimension; try LowRank().resolve(dim)"
            )
        return self.rank

    def size(self, dim: int) -> int:
        """D (1 + r)."""
        return dim * (1 + self._rank())

    def initial(self, dim: int, value: float, like: Tensor) -> Tensor:
        """S = value, and a small fixed V: at V = 0 its gradient vanishes."""
        phase = torch.arange(1, dim * self._rank() + 1, dtype=torch.float64).reshape(dim, -1)
        factor = 0.02 * torch.cos(2.4 * phase * phase).to(like)
        return torch.cat([like.new_full((dim, 1), value), factor], -1)

    def around(self, reference: Tensor, vector: Tensor) -> Tensor:
        """S exp(v), V + v."""
        dim = reference.shape[-2]
        diagonal = reference[..., :1] * vector[:dim, None].exp()
        return torch.cat([diagonal, reference[..., 1:] + vector[dim:].reshape(dim, -1)], -1)

    def complaint(self, scale: Tensor) -> str | None:
        """Positive s."""
        return None if bool((scale[..., 0] > 0).all()) else "positive in its first column"

    def _parts(self, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        factor = scale[..., 1:]
        eye = torch.eye(factor.shape[-1], dtype=scale.dtype, device=scale.device)
        return scale[..., 0], factor, torch.linalg.cholesky(eye + factor.mT @ factor)

    def apply(self, scale: Tensor, noise: Tensor) -> Tensor:
        """D (noise + V B V^T noise)."""
        diagonal, factor, root = self._parts(scale)
        inner = (factor.mT @ noise[..., None]) if factor.ndim > 2 else (noise @ factor)[..., None]
        eye = torch.eye(root.shape[-1], dtype=root.dtype, device=root.device)
        solved = torch.linalg.solve_triangular(eye + root, inner, upper=False)
        return diagonal * (noise + (factor @ solved)[..., 0])

    def solve(self, scale: Tensor, x: Tensor) -> Tensor:
        """Y - V (I + L^T)^-1 L^-1 V^T y with y = x / s."""
        diagonal, factor, root = self._parts(scale)
        y = x / diagonal
        eye = torch.eye(root.shape[-1], dtype=root.dtype, device=root.device)
        inner = torch.linalg.solve_triangular(root, factor.mT @ y[..., None], upper=False)
        return y - (factor @ torch.linalg.solve_triangular(eye + root.mT, inner, upper=True))[..., 0]

    def log_det(self, scale: Tensor, dim: int) -> Tensor:
        """The sums of log s and of log L_kk."""
        diagonal, _, root = self._parts(scale)
        return diagonal.log().sum(-1) + root.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def matrix(self, scale: Tensor, dim: int) -> Tensor:
        """C."""
        return self.apply(scale[..., None, :, :], torch.eye(dim, dtype=scale.dtype, device=scale.device)).mT

    def from_root(self, root: Tensor) -> Tensor:
        """A start near the optimum, which has no closed form.

        The diagonal s is that of the precision, V has the leading eigenvectors of the covariance in these units.
        """
        diagonal = torch.cholesky_inverse(root).diagonal().rsqrt()
        scaled = root / diagonal[:, None]
        values, vectors = torch.linalg.eigh(scaled @ scaled.mT)
        leading = (values[-self._rank() :] - 1).clamp(min=1e-2).sqrt()
        return torch.cat([diagonal[:, None], vectors[:, -self._rank() :] * leading], -1)

    def closure(self, matrices: Tensor | None, spherical: bool) -> Closure:
        """Permutations times diagonal matrices: C P-carried along is P C P^T."""
        if matrices is None or not _structure.are_monomial(matrices):
            return Closure(False, "its linear parts mix coordinates, and diagonal plus low rank does not stay so")
        still = _structure.are_plus_minus_identity(matrices)
        return Closure(
            True, "its linear parts permute, flip or rescale coordinates, which s and the rows of V follow", not still
        )

    def image(self, scale: Tensor, matrix: Tensor) -> Tensor:
        """|A| s, and the rows of V permuted, with their signs."""
        kept = _structure.without_rounding(matrix)
        return torch.cat([kept.abs() @ scale[..., :1], kept.sign() @ scale[..., 1:]], -1)
