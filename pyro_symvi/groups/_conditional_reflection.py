"""Reflection of some coordinates about a regression on the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ._affine_action import _coordinates, _vector
from ._linear_action import LinearAction
from ._sign_flips import SignFlips


@dataclass(frozen=True, eq=False, repr=False)
class ConditionalReflection(LinearAction):
    """z_J -> 2 (a + B z_K) - z_J with z_K and all others unchanged; group {+1, -1}, volume preserving.

    J = ``coordinates``, K = ``given`` (default: all the others). A law invariant under it has
    E z_J = a + B E z_K and Cov(z_J, z_K) = B Cov(z_K): the regression of J on K is exactly a + B z_K.
    ``intercept`` ``[|J|]`` and ``slope`` ``[|J|, |K|]`` may be left open and resolved by :meth:`bind`.

    Raises:
        ValueError: for coordinates on both sides, or a slope that is not finite and ``[|J|, |K|]``.
    """

    coordinates: Sequence[int]
    intercept: Tensor | Sequence[float] | float | None = None
    slope: Tensor | Sequence[Sequence[float]] | None = None
    given: Sequence[int] | None = None
    dim: int | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "coordinates", _coordinates(self.coordinates))
        if self.given is not None:
            object.__setattr__(self, "given", _coordinates(self.given))
            both = set(self.given) & set(self.coordinates)
            if both:
                raise ValueError(f"expected given and reflected coordinates to be disjoint, got {sorted(both)} in both")
        if self.intercept is not None:
            object.__setattr__(self, "intercept", _vector(self.intercept, "intercept"))
        if self.slope is not None:
            given = self.slope if isinstance(self.slope, Tensor) and self.slope.is_floating_point() else None
            slope = torch.as_tensor(self.slope, dtype=torch.float64) if given is None else given.clone()
            if slope.ndim != 2 or not bool(torch.isfinite(slope).all()):
                raise ValueError(f"expected a finite slope matrix [|J|, |K|], got shape {list(slope.shape)}")
            object.__setattr__(self, "slope", slope)

    @property
    def is_bound(self) -> bool:
        """Whether dimension, intercept and slope are all known."""
        return self.dim is not None and self.intercept is not None and self.slope is not None

    def bind(
        self,
        dim: int,
        intercept: Tensor | Sequence[float] | float | None = None,
        slope: Tensor | Sequence[Sequence[float]] | None = None,
    ) -> ConditionalReflection:
        """A copy on R^dim with every unknown resolved; what is known already is kept."""
        given = self.given if self.given is not None else [k for k in range(dim) if k not in set(self.coordinates)]
        outside = [k for k in (*self.coordinates, *given) if not 0 <= k < dim]
        if outside or not given:
            raise ValueError(
                f"expected coordinates from 0 to {dim - 1} with some left over, got {outside or 'none left'}"
            )
        start = self.intercept if self.intercept is not None else intercept
        rate = self.slope if self.slope is not None else slope
        if start is None or rate is None:
            raise ValueError(
                f"expected intercept and slope for {self!r}, got None; try bind(dim, intercept=..., slope=...)"
            )
        vector, size = _vector(start, "intercept"), (len(self.coordinates), len(given))
        vector = vector.expand(size[0]).clone() if vector.ndim == 0 else vector
        bound = dataclasses.replace(self, intercept=vector, slope=rate, given=tuple(given), dim=dim)
        shape = tuple(bound._slope().shape)
        if len(vector) != size[0] or shape != size:
            raise ValueError(
                f"expected intercept [{size[0]}] and slope {list(size)}, got [{len(vector)}] and {list(shape)}"
            )
        return bound

    @property
    def group(self) -> SignFlips:
        return SignFlips(1)

    def _slope(self) -> Tensor:
        if not isinstance(self.slope, Tensor):
            raise ValueError(f"expected a bound action, got {self!r}, whose slope is open; try .bind(dim, ...)")
        return self.slope

    def _regression(self, x: Tensor) -> Tensor:
        """A + B x_K, ``[*batch, |J|]``."""
        if not isinstance(self.intercept, Tensor) or self.given is None or self.dim is None:
            raise ValueError(f"expected a bound action, got {self!r}; try .bind(dim, intercept=..., slope=...)")
        return self.intercept.to(x) + x[..., list(self.given)] @ self._slope().to(x).mT

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        index = torch.tensor(self.coordinates, device=x.device)
        batch = torch.broadcast_shapes(g.shape[:-1], x.shape[:-1])
        x = x.expand(*batch, x.shape[-1])
        block = x.index_select(-1, index)
        return x.index_copy(-1, index, torch.where(g > 0, block, 2 * self._regression(x) - block))

    def _matrix(self, g: Tensor) -> Tensor:
        frame = self._frame().to(g)
        flip = torch.zeros(self._known_dim(), dtype=g.dtype, device=g.device)
        flip[list(self.coordinates)] = 1
        flipped = torch.diag_embed(1 + (g - 1) * flip)
        return frame @ flipped @ (2 * torch.eye(len(flip), dtype=g.dtype, device=g.device) - frame)

    def _frame(self) -> Tensor:
        """R = I + (B in the entries J, K): the shear that makes the reflection a plain sign flip; R^-1 = 2 I - R."""
        frame = torch.eye(self._known_dim(), dtype=torch.float64)
        if self.given is not None:
            rows, columns = torch.tensor(self.coordinates), torch.tensor(self.given)
            frame[rows[:, None], columns] = self._slope().detach().double().cpu()
        return frame

    def _canonicalize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The first coordinate off the regression lies above it."""
        offset = x[..., list(self.coordinates)] - self._regression(x)
        leading = (offset != 0).to(torch.int8).argmax(-1, keepdim=True)
        g = torch.where(offset.gather(-1, leading) < 0, -1.0, 1.0).to(x.dtype)
        return self._act(g, x), g
