"""Semidirect and wreath products: one factor moves the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .._value import positive_int
from ._group import Group
from ._permutation_groups import PermutationLike, Symmetric
from ._products import ProductLike


@dataclass(frozen=True, eq=False, repr=False)
class SemidirectProduct(ProductLike):
    """N x| H with (n, h)(n', h') = (n phi(h, n'), h h'), where phi(h, .) is an automorphism of N for each h.

    ``twist(h, n)`` computes phi on batches, and phi(h h', .) = phi(h, phi(h', .)). Haar measure is the product
    measure (N and H compact). Both facts about phi are checked on the generators at construction.

    Raises:
        ValueError: for a twist that is no automorphism or does not compose.
    """

    normal: Group
    acting: Group
    twist: Callable[[Tensor, Tensor], Tensor]

    def __post_init__(self) -> None:
        object.__setattr__(self, "exact_elements", self.normal.exact_elements and self.acting.exact_elements)
        h, n = self.acting.generators(), self.normal.generators()
        if len(h) and len(n):
            hh, nn = (
                self.acting.compose(h[:, None], h[None])[:, :, None],
                self.normal.compose(n[:, None], n[None])[None],
            )
            twice = self.twist(h[:, None, None], self.twist(h[None, :, None], n[None, None]))
            both = self.normal.compose(
                self.twist(h[:, None, None], n[None, :, None]), self.twist(h[:, None, None], n[None, None])
            )
            consistent = self.normal.equal(self.twist(hh, n[None, None]), twice).all()
            automorphic = self.normal.equal(self.twist(h[:, None, None], nn), both).all()
            if not (bool(consistent) and bool(automorphic)):
                raise ValueError(
                    "expected a twist by automorphisms that compose, got another map, because the product would not "
                    "be a group; try twist(h, n) = h n h^-1"
                )

    @property
    def parts(self) -> tuple[Group, ...]:
        return (self.normal, self.acting)

    def _compose(self, a: Tensor, b: Tensor) -> Tensor:
        (n, h), (m, k) = self.unpack(a), self.unpack(b)
        return self.pack(self.normal.compose(n, self.twist(h, m)), self.acting.compose(h, k))

    def _inverse(self, a: Tensor) -> Tensor:
        n, h = self.unpack(a)
        back = self.acting.inverse(h)
        return self.pack(self.twist(back, self.normal.inverse(n)), back)


@dataclass(frozen=True, eq=False, repr=False)
class WreathProduct(ProductLike):
    """K wr S: n copies of K, permuted by S on n points. (k, s)(k', s') = (k * s.k', s s') with (s.k)_s(i) = k_i.

    ``WreathProduct(SignFlips(1), Symmetric(n))`` is the group of signed permutations. Elements packed as
    (k_0, ..., k_{n-1}, s).

    Raises:
        TypeError: unless the group on top is a group of permutations.
    """

    base: Group
    top: PermutationLike

    def __post_init__(self) -> None:
        if not isinstance(self.top, PermutationLike):
            raise TypeError(f"expected a permutation group on top, got {self.top!r}; try Symmetric(n)")
        object.__setattr__(self, "exact_elements", self.base.exact_elements)

    @staticmethod
    def over_symmetric(base: Group, n: int) -> WreathProduct:
        """K wr S_n."""
        return WreathProduct(base, Symmetric(positive_int(n, "n")))

    @property
    def parts(self) -> tuple[Group, ...]:
        return (*(self.base,) * self.top.degree, self.top)

    def unpack_base(self, g: Tensor) -> tuple[Tensor, Tensor]:
        """The copies of K stacked, ``[*batch, n, *element_shape]``, and the element of the top group."""
        *copies, top = self.unpack(g)
        return torch.stack(copies, -1 - len(self.base.element_shape)), top

    def _pack_base(self, copies: Tensor, top: Tensor) -> Tensor:
        return self.pack(*copies.unbind(-1 - len(self.base.element_shape)), top)

    def _moved(self, copies: Tensor, top: Tensor) -> Tensor:
        """(s.k)_i = k_{s^-1(i)}."""
        back = self.top.as_permutation(top).argsort(-1)
        tail = len(self.base.element_shape)
        batch = torch.broadcast_shapes(copies.shape[: copies.ndim - tail], back.shape)
        index = back.expand(batch).reshape(*batch, *(1,) * tail).expand(*batch, *self.base.element_shape)
        return copies.expand(*batch, *self.base.element_shape).gather(len(batch) - 1, index)

    def _compose(self, a: Tensor, b: Tensor) -> Tensor:
        (k, s), (m, t) = self.unpack_base(a), self.unpack_base(b)
        return self._pack_base(self.base.compose(k, self._moved(m, s)), self.top.compose(s, t))

    def _inverse(self, a: Tensor) -> Tensor:
        k, s = self.unpack_base(a)
        back = self.top.inverse(s)
        return self._pack_base(self._moved(self.base.inverse(k), back), back)
