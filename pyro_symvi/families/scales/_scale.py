r"""The role of a scale pattern: a set of matrices C for :math:`z = \nu + C\xi`, with parameters of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import pyro.distributions as dist
import torch
from pyro.distributions import constraints
from torch import Tensor

from ..._value import Value
from .._closure import Closure


class Scale(Value, ABC):
    r"""A pattern of invertible matrices C ``[d, d]``, given by one parameter tensor ``scale``, leading dims batch.

    To implement one, write a frozen dataclass (``eq=False, repr=False``) with the methods below. ``dim`` is d. Test it
    by adding it to ``tests/families/test_scales.py``.
    """

    name: ClassVar[str]
    mixes: ClassVar[bool] = True
    """Whether C has entries off the diagonal; then a base law that is a product is not one in z."""

    def resolve(self, dim: int) -> Self:
        """The pattern in dimension d, with what was left open filled in.

        Raises:
            ValueError: It does not fit the dimension.
        """
        return self

    # -- the parameter -----------------------------------------------------------------------------------------

    @abstractmethod
    def size(self, dim: int) -> int:
        """Number of free numbers."""

    @abstractmethod
    def initial(self, dim: int, value: float, like: Tensor) -> Tensor:
        """The parameter of value * I (as near as the pattern comes), in like's dtype and device."""

    @abstractmethod
    def around(self, reference: Tensor, vector: Tensor) -> Tensor:
        """The parameter at coordinates ``vector [size]`` about a reference: one unit is about a factor e of C."""

    @abstractmethod
    def complaint(self, scale: Tensor) -> str | None:
        """What is expected of a parameter and missing in this one ("positive", ...), or None."""

    # -- the matrix --------------------------------------------------------------------------------------------

    @abstractmethod
    def apply(self, scale: Tensor, noise: Tensor) -> Tensor:
        """C noise, ``[*batch, d]``."""

    @abstractmethod
    def solve(self, scale: Tensor, x: Tensor) -> Tensor:
        """The inverse of C times x, ``[*batch, d]``."""

    @abstractmethod
    def log_det(self, scale: Tensor, dim: int) -> Tensor:
        """Log |C|, ``[*batch]``."""

    @abstractmethod
    def matrix(self, scale: Tensor, dim: int) -> Tensor:
        """C, ``[*batch, d, d]``."""

    def transform(self, loc: Tensor, scale: Tensor) -> dist.transforms.Transform:
        r"""The map :math:`\xi\mapsto\nu+C\xi` as a torch transform with event dimension 1."""
        return ScaleTransform(self, loc, scale)

    # -- starting points ---------------------------------------------------------------------------------------

    @abstractmethod
    def from_root(self, root: Tensor) -> Tensor:
        """The parameter nearest a metric.

        For a normal base the reverse-KL optimum (low rank: a start near it) on a normal target of covariance
        root root^T.

        ``root [d, d]`` lower triangular, float64. Reverse KL keeps blocks of the precision matrix.
        """

    def from_covariance(self, covariance: Tensor) -> Tensor | None:
        """The parameter of the maximum-likelihood normal law for a covariance ``[d, d]``: the forward-KL optimum.

        None where there is no closed form, or the matrix is not positive definite.
        """
        return None

    # -- how groups move it ------------------------------------------------------------------------------------

    @abstractmethod
    def closure(self, matrices: Tensor | None, spherical: bool) -> Closure:
        r"""Whether :math:`A C \xi` has the law of some :math:`C'\xi` for all these A ``[k, d, d]`` and all C.

        The base law is invariant under O(d) if ``spherical``, else under signed permutations only. ``matrices=None``
        stands for unknown linear parts. With :math:`A C = C' R`, R in the base's group.
        """

    @abstractmethod
    def image(self, scale: Tensor, matrix: Tensor) -> Tensor:
        """The parameter of C', where `closure` holds."""


class ScaleTransform(dist.transforms.Transform):
    r""":math:`\xi\mapsto\nu+C\xi` for any pattern.

    ``loc``: :math:`\nu`, ``[*batch, d]``; ``scale``: of the pattern's shape. Acts on vectors ``[..., d]``.
    """

    domain = constraints.real_vector
    codomain = constraints.real_vector
    bijective = True

    def __init__(self, pattern: Scale, loc: Tensor, scale: Tensor) -> None:
        super().__init__(cache_size=0)
        self.pattern, self.loc, self.scale = pattern, loc, scale

    def _call(self, x: Tensor) -> Tensor:
        return self.loc + self.pattern.apply(self.scale, x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self.pattern.solve(self.scale, y - self.loc)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Log |C|."""
        log_det = self.pattern.log_det(self.scale, self.loc.shape[-1])
        return log_det.expand(torch.broadcast_shapes(x.shape[:-1], log_det.shape))

    def with_cache(self, cache_size: int = 1) -> Self:
        """Itself: there is no cache."""
        return self

    def __eq__(self, other: Any) -> bool:
        return self is other

    __hash__ = object.__hash__
