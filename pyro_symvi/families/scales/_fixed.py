"""A scale that is given, not fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from .. import _structure
from .._closure import Closure
from ._diagonal import Diagonal, Isotropic
from ._scale import Scale
from ._triangular import Full


@dataclass(frozen=True, eq=False, repr=False)
class Fixed(Scale):
    """C as given: a positive number, a positive vector ``[d]``, or a lower-triangular matrix ``[d, d]``.

    Raises:
        TypeError: Not numbers.
        ValueError: Not positive, or not lower triangular with positive diagonal.
    """

    value: Tensor | Sequence[Sequence[float]] | Sequence[float] | float
    name: ClassVar[str] = "fixed"

    def __post_init__(self) -> None:
        try:
            value = torch.as_tensor(self.value, dtype=torch.float64).detach().clone()
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(
                f"expected a fixed scale of numbers, got {self.value!r}, because it is a matrix C; try Fixed(1.0)"
            ) from error
        object.__setattr__(self, "value", value)
        square = value.ndim < 2 or (value.ndim == 2 and value.shape[0] == value.shape[1])
        wanted = self._pattern.complaint(value) if square else "a square matrix"
        if wanted is None and not bool(torch.isfinite(value).all()):
            wanted = "finite"
        if wanted is not None:
            raise ValueError(
                f"expected a fixed scale to be {wanted}, got {value.tolist()}, because z = loc + C xi needs an "
                "invertible C; try a number, a vector or torch.linalg.cholesky(covariance)"
            )

    @property
    def mixes(self) -> bool:  # type: ignore[override]
        """Whether a matrix was given."""
        return self._value.ndim == 2

    @property
    def _value(self) -> Tensor:
        return self.value  # type: ignore[return-value]

    @property
    def _pattern(self) -> Scale:
        return (Isotropic(), Diagonal(), Full())[min(self._value.ndim, 2)]

    def resolve(self, dim: int) -> Self:
        """Itself, if the size fits."""
        if self._value.ndim and self._value.shape[0] != dim:
            raise ValueError(
                f"expected a fixed scale for {dim} coordinates, got one for {self._value.shape[0]}, because C acts on "
                "them; try a number, which fits every dimension"
            )
        return self

    def size(self, dim: int) -> int:
        """0."""
        return 0

    def initial(self, dim: int, value: float, like: Tensor) -> Tensor:
        """What was given."""
        return self._value.to(like)

    def around(self, reference: Tensor, vector: Tensor) -> Tensor:
        """The reference."""
        return reference

    def complaint(self, scale: Tensor) -> str | None:
        """Equal to what was given."""
        same = scale.shape == self._value.shape and torch.allclose(
            scale.double(), self._value.to(scale.device), 1e-5, 0
        )
        return None if same else "as it was fixed"

    def apply(self, scale: Tensor, noise: Tensor) -> Tensor:
        """C noise."""
        return self._pattern.apply(scale, noise)

    def solve(self, scale: Tensor, x: Tensor) -> Tensor:
        """The inverse of C times x."""
        return self._pattern.solve(scale, x)

    def log_det(self, scale: Tensor, dim: int) -> Tensor:
        """Log |C|."""
        return self._pattern.log_det(scale, dim)

    def matrix(self, scale: Tensor, dim: int) -> Tensor:
        """C."""
        return self._pattern.matrix(scale, dim)

    def from_root(self, root: Tensor) -> Tensor:
        """What was given."""
        return self._value.to(root)

    def from_covariance(self, covariance: Tensor) -> Tensor | None:
        """What was given."""
        return self._value.to(covariance)

    def closure(self, matrices: Tensor | None, spherical: bool) -> Closure:
        """A with A C = C R, R in the base's group."""
        if matrices is None:
            return Closure(False, "its linear parts are unknown, and a fixed scale is kept by few")
        c = self.matrix(self._value, matrices.shape[-1])
        white = torch.linalg.solve(c, matrices @ c)
        kept = _structure.are_orthogonal(white) if spherical else _structure.are_signed_permutations(white)
        if not kept:
            what = "C C^T" if spherical else "C up to a signed permutation of the base"
            return Closure(False, f"its linear parts do not keep {what}, and the scale is fixed")
        return Closure(True, "its linear parts keep the fixed scale, up to what leaves the base law as it is", False)

    def image(self, scale: Tensor, matrix: Tensor) -> Tensor:
        """The same."""
        return scale
