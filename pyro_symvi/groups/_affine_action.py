"""Affine actions on chosen coordinates about a centre that may have to be found: z -> c + A_g (z - c)."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from ._linear_action import LinearAction


@dataclass(frozen=True, eq=False, repr=False)
class AffineAction(LinearAction):
    """z -> c + A_g (z - c) on R^d, where A_g moves the coordinates J only and leaves the others as they are.

    ``center=None`` means "to be found" and ``coordinates=None`` means all of them; :meth:`bind` resolves both. The
    centre is a vector ``[|J|]`` or ``[dim]`` (of which J is taken), or a number for all. To implement one, give
    ``group``, ``_act_block`` and ``_block_matrix``, both on the coordinates J relative to the centre.
    """

    center: Tensor | Sequence[float] | float | None = None
    coordinates: Sequence[int] | None = None
    dim: int | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.coordinates is not None:
            object.__setattr__(self, "coordinates", _coordinates(self.coordinates))
        if self.center is not None:
            object.__setattr__(self, "center", _vector(self.center, "center"))

    # -- resolving what is unknown -----------------------------------------------------------------------------
    @property
    def is_bound(self) -> bool:
        """Whether dimension, coordinates and centre (and shape, where there is one) are all known."""
        return self.dim is not None and not self._missing()

    def resolve_coordinates(self, dim: int) -> Tensor:
        """The moved coordinates J as a LongTensor ``[|J|]``; ValueError if one lies outside R^dim."""
        if isinstance(dim, bool) or not isinstance(dim, int) or dim < 1:
            raise ValueError(f"expected dim to be a positive int, got {dim!r}")
        if self.coordinates is None:
            return torch.arange(dim)
        outside = [k for k in self.coordinates if not 0 <= k < dim]
        if outside:
            raise ValueError(
                f"expected coordinates from 0 to {dim - 1}, got {outside}, because the space has dimension {dim}; "
                "try the flat indices of the sites that the symmetry moves"
            )
        return torch.tensor(self.coordinates, dtype=torch.long)

    def bind(
        self,
        dim: int,
        center: Tensor | Sequence[float] | float | None = None,
        shape: Tensor | Sequence[Sequence[float]] | None = None,
    ) -> Self:
        """A copy on R^dim with every unknown resolved; what the action knows already is kept.

        ``center``: ``[dim]`` or ``[|J|]``; ``shape``: ``[dim, dim]`` or ``[|J|, |J|]``, used by elliptical actions
        alone. ValueError if something is still missing, of the wrong shape or (shape) not positive definite.
        """
        index = self.resolve_coordinates(dim)
        if self.dim is not None and self.dim != dim:
            raise ValueError(
                f"expected dim={self.dim}, got {dim}, because this action is bound already; try the unbound one"
            )
        known = self.center if self.center is not None else center
        changes: dict[str, object] = {"dim": dim, "coordinates": tuple(index.tolist())}
        if known is not None:
            changes["center"] = _pick_vector(_vector(known, "center"), index, dim)
        bound = dataclasses.replace(self, **(changes | self._bind_shape(index, dim, shape)))  # type: ignore[arg-type]
        missing = bound._missing()
        if missing:
            raise ValueError(
                f"expected {' and '.join(missing)} for {type(self).__name__}, got None, because an affine action has "
                f"no meaning without; try bind(dim, {', '.join(name + '=...' for name in missing)})"
            )
        return bound

    def _bind_shape(self, index: Tensor, dim: int, shape: object) -> dict[str, object]:
        return {}

    def _missing(self) -> list[str]:
        return ["center"] if self.center is None else []

    # -- the action --------------------------------------------------------------------------------------------
    @abstractmethod
    def _act_block(self, g: Tensor, block: Tensor, center: Tensor) -> Tensor:
        """The image c + A_g (block - c) on the coordinates J alone, ``[*batch, |J|]``."""

    @abstractmethod
    def _block_matrix(self, g: Tensor) -> Tensor:
        """The linear part on the coordinates J, ``[*batch, |J|, |J|]``."""

    def act(self, g: Tensor, x: Tensor) -> Tensor:
        """The image c + A_g (x - c) of x ``[*batch, dim]``; coordinates outside J are returned bit for bit."""
        if self.is_bound or not isinstance(x, Tensor) or x.ndim == 0:
            return super().act(g, x)
        return self.bind(x.shape[-1]).act(g, x)

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        index, center = self._bound_index(x.device), self._bound_center(x)
        batch = torch.broadcast_shapes(self._element_batch(g), self._batch(x))
        x = x.expand(*batch, x.shape[-1])
        if self.coordinates == tuple(range(x.shape[-1])):
            return self._act_block(g, x, center)
        block = self._act_block(g, x.index_select(-1, index), center)
        return x.index_copy(-1, index, block)

    def _matrix(self, g: Tensor) -> Tensor:
        index = self._bound_index(g.device)
        block = self._block_matrix(g)
        full = torch.eye(self._known_dim(), dtype=block.dtype, device=block.device)
        rows = torch.zeros(self._known_dim(), len(index), dtype=block.dtype, device=block.device)
        rows[index, torch.arange(len(index), device=g.device)] = 1
        return full - rows @ rows.mT + rows @ block @ rows.mT

    def _offset(self, x: Tensor) -> Tensor:
        index, center = self._bound_index(x.device), self._bound_center(x)
        return x.index_copy(-1, index, x.index_select(-1, index) - center)

    # -- helpers -----------------------------------------------------------------------------------------------
    def _bound_index(self, device: torch.device) -> Tensor:
        if self.dim is None or self.coordinates is None:
            raise ValueError(
                f"expected a bound action, got {self!r}, because its coordinates are open; try .bind(dim, ...)"
            )
        return torch.tensor(self.coordinates, dtype=torch.long, device=device)

    def _bound_center(self, x: Tensor) -> Tensor:
        if not isinstance(self.center, Tensor):
            raise ValueError(f"expected a bound action, got {self!r}, whose center is open; try .bind(dim, center=...)")
        return self.center.to(x)


def _coordinates(values: object) -> tuple[int, ...]:
    """The values as a tuple of distinct ints."""
    if isinstance(values, Tensor):
        values = values.tolist()
    if isinstance(values, str | bytes) or not isinstance(values, Sequence | range):
        raise TypeError(f"expected coordinates as a sequence of ints, got {values!r}; try coordinates=[0, 1]")
    if any(isinstance(k, bool) or not hasattr(k, "__index__") for k in values):
        raise TypeError(
            f"expected coordinates as ints, got {list(values)!r}, because an action works on the flat vector; "
            "try the flat indices of a site, not its name"
        )
    found = tuple(int(k) for k in values)
    if not found:
        raise ValueError("expected at least one coordinate, got none; try coordinates=None for all of them")
    if len(set(found)) != len(found):
        raise ValueError(
            f"expected distinct coordinates, got {list(found)}, because each is moved once; try without repeats"
        )
    return found


def _vector(value: object, name: str) -> Tensor:
    """A number or vector as a floating tensor of at most one dimension, finite; a copy, on the graph of its source."""
    try:
        vector = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"expected {name} as numbers, got {value!r}; try a tensor or a list of floats") from error
    if not vector.is_floating_point() or not isinstance(value, Tensor):
        vector = torch.as_tensor(value, dtype=torch.float64)
    if vector.ndim > 1:
        raise ValueError(
            f"expected {name} as one vector, got shape {list(vector.shape)}; try one action for each center"
        )
    if not bool(torch.isfinite(vector).all()):
        raise ValueError(f"expected a finite {name}, got {vector.tolist()}")
    return vector.clone()


def _pick_vector(vector: Tensor, index: Tensor, dim: int) -> Tensor:
    """The entries J of a centre given for J, for all of R^dim, or as one number."""
    if vector.ndim == 0:
        return vector.expand(len(index)).clone()
    if len(vector) == len(index):
        return vector
    if len(vector) == dim:
        return vector[index.to(vector.device)]
    raise ValueError(
        f"expected a center of length {len(index)} (the moved coordinates) or {dim} (the space), got {len(vector)}"
    )
