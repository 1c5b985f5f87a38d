"""Translations along given directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .._value import positive_int
from ._action import Action
from ._errors import sentence
from ._noncompact import Translation


@dataclass(frozen=True, eq=False, repr=False)
class TranslationAction(Action):
    """x -> x + D t on R^dim, t in R^k; the columns of D = ``directions`` ``[dim, k]`` are independent (default: I).

    A softmax layer's shift of all logits is D = (1, ..., 1)^T. Orbits are parallel planes of constant volume.

    Raises:
        ValueError: unless the directions are ``[dim, k]`` and independent.
    """

    dim: int
    directions: Tensor | Sequence[Sequence[float]] | None = None

    def __post_init__(self) -> None:
        positive_int(self.dim, "dim")
        if self.directions is None:
            matrix = torch.eye(self.dim, dtype=torch.float64)
        else:
            matrix = torch.as_tensor(self.directions, dtype=torch.float64).detach().clone()
        if matrix.ndim != 2 or matrix.shape[0] != self.dim or matrix.shape[1] == 0:
            raise ValueError(f"expected directions [{self.dim}, k], got shape {list(matrix.shape)}")
        if int(torch.linalg.matrix_rank(matrix)) < matrix.shape[1]:
            raise ValueError(
                "expected independent directions, got a rank below their number; try a basis of their span"
            )
        object.__setattr__(self, "directions", matrix)

    def _directions(self, like: Tensor) -> Tensor:
        return self.directions.to(like)  # type: ignore[union-attr]

    @property
    def group(self) -> Translation:
        return Translation(self.directions.shape[1])  # type: ignore[union-attr]

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.dim,)

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        return x + g @ self._directions(x).mT

    def _vertical_basis(self, x: Tensor) -> Tensor:
        return self._directions(x).expand(*x.shape, -1)

    def _mean_curvature(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)

    def _canonicalize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The point of the orbit closest to the origin."""
        g = -x @ torch.linalg.pinv(self._directions(x)).mT
        return self._act(g, x), g

    def _align(self, x: Tensor, y: Tensor) -> Tensor:
        return (y - x) @ torch.linalg.pinv(self._directions(x)).mT

    def _orbit_conditional(self, x: Tensor, log_prior: object) -> torch.distributions.MultivariateNormal:
        """The law of t when x + D t has the independent normal prior: N(A^-1 D^T W (m - x), A^-1), A = D^T W D."""
        if not isinstance(log_prior, torch.distributions.Normal):
            raise TypeError(
                sentence(
                    "the prior as torch.distributions.Normal(loc, scale) of the coordinates",
                    type(log_prior).__name__,
                    "the law along the orbit is known in closed form for it alone",
                    "one-dimensional sampling along the orbit",
                )
            )
        columns = self._directions(x)
        weights = log_prior.scale.to(x).expand(self.dim) ** -2
        precision = columns.mT @ (weights[:, None] * columns)
        pull = ((log_prior.loc.to(x) - x) * weights) @ columns
        mean = torch.linalg.solve(precision, pull[..., None])[..., 0]
        return torch.distributions.MultivariateNormal(mean, precision_matrix=precision)
