"""Representations of O(3) and SO(3) from other libraries, by their matrices."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..groups import Action, Group, LinearAction
from ..groups._wigner import wigner_d


@dataclass(frozen=True, eq=False, repr=False)
class MatrixAction(LinearAction):
    """The representation g -> ``irreps.D_from_matrix(g)`` on ``[..., irreps.dim]``: e3nn's ``Irreps`` and ``Irrep``.

    e3nn reads the parity as p = +1 or -1 of the inversion, and its components of degree l in the order m = -l..l about
    the y axis, so that "1o" is the vector (x, y, z) itself. Where the parts say their multiplicity, degree and parity,
    the matrices are made here, D = p^k D^l, to 1e-14: e3nn 0.6 has constants in the default dtype, and with float32 its
    float64 matrices are off by 1e-6, which would pass for broken symmetry. The two are compared first.
    """

    acting: Group
    irreps: Any
    parts: tuple[tuple[int, int, int], ...] | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.acting.element_shape != (3, 3) or self.acting.element_kind != "real":
            raise TypeError(
                f"expected a group of rotations in three dimensions for {self.irreps!r}, got {self.acting!r}; "
                "try Orthogonal(3), SpecialOrthogonal(3) or a point group"
            )
        parts = _parts(self.irreps)
        object.__setattr__(self, "parts", parts)
        if parts is not None:
            g = self.acting.sample(4, generator=torch.Generator().manual_seed(0))
            if float((self._matrix(g) - self.irreps.D_from_matrix(g)).abs().max()) > 1e-4:
                object.__setattr__(self, "parts", None)

    @property
    def group(self) -> Group:
        return self.acting

    @property
    def dim(self) -> int:
        return int(self.irreps.dim)

    @property
    def band(self) -> int:
        """The largest degree among its parts."""
        return max((degree for _, degree, _ in self.parts or ()), default=0)

    def _matrix(self, g: Tensor) -> Tensor:
        if self.parts is None:
            return self.irreps.D_from_matrix(g)
        sign = torch.linalg.det(g).sign()[..., None, None]
        axes = torch.tensor([2, 0, 1], device=g.device)  # (z, x, y): the polar axis y goes last
        turned = (sign * g).index_select(-2, axes).index_select(-1, axes)
        matrix = g.new_zeros(*g.shape[:-2], self.dim, self.dim)
        start = 0
        for copies, degree, parity in self.parts:
            block = wigner_d(degree, turned) * (sign if parity < 0 else 1)
            for _ in range(copies):
                end = start + 2 * degree + 1
                matrix[..., start:end, start:end] = block
                start = end
        return matrix


def is_foreign(rho: Any) -> bool:
    """Whether another library's representation: it gives ``D_from_matrix`` and ``dim``."""
    return not isinstance(rho, Action) and hasattr(rho, "D_from_matrix") and hasattr(rho, "dim")


def as_action(rho: Any, group: Group) -> Any:
    """``rho`` itself, or as an action of ``group`` where it is another library's representation."""
    return MatrixAction(group, rho) if is_foreign(rho) else rho


def as_actions(rho: Any, group: Group) -> Any:
    """:func:`as_action` for every entry of a structure."""
    if is_foreign(rho):
        return MatrixAction(group, rho)
    if isinstance(rho, dict):
        return {key: as_actions(value, group) for key, value in rho.items()}
    if isinstance(rho, tuple | list):
        return type(rho)(as_actions(value, group) for value in rho)
    return rho


def _parts(irreps: Any) -> tuple[tuple[int, int, int], ...] | None:
    """Multiplicity, degree and parity of the parts, or None where they do not say."""
    if hasattr(irreps, "l") and hasattr(irreps, "p"):
        found: tuple[tuple[int, int, int], ...] = ((1, int(irreps.l), int(irreps.p)),)
    else:
        try:
            found = tuple((int(part.mul), int(part.ir.l), int(part.ir.p)) for part in irreps)
        except (TypeError, AttributeError):
            return None
    return found if sum(n * (2 * degree + 1) for n, degree, _ in found) == irreps.dim else None
