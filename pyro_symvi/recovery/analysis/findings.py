"""Records of symmetries beyond reflections of a block about a point: what was proved, as exact numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from .exact import Matrix


@dataclass(frozen=True)
class AffineCenter:
    r"""log p is unchanged by :math:`z_J \mapsto 2(a + B y) - z_J`, y being other coordinates, which stay.

    Then :math:`E(z_J \mid y) = a + B y` (where it exists): the regression of the block on the rest (Theorem R).

    Attributes:
        coordinates: J.
        on: The coordinates y with a slope that is not zero; empty for a constant centre.
        intercept: a, exact, ``[|J|]``.
        slope: B, exact, ``[|J|, |on|]``.
    """

    coordinates: tuple[int, ...]
    on: tuple[int, ...]
    intercept: tuple[Fraction, ...]
    slope: tuple[tuple[Fraction, ...], ...]

    @property
    def is_constant(self) -> bool:
        """Whether the centre does not depend on the rest."""
        return not self.on


@dataclass(frozen=True)
class EllipticalBlock:
    r"""log p depends on :math:`z_J` only through :math:`Q = (z_J - c)^\top A (z_J - c)` and the rest.

    Attributes:
        coordinates: J.
        center: c, exact.
        shape: A, exact and positive definite: the inverse scatter, up to a factor.
        decreasing: Whether log p was proved non-increasing in Q, for every value of the rest.
        strictly: Whether it was proved strictly decreasing.
    """

    coordinates: tuple[int, ...]
    center: tuple[Fraction, ...]
    shape: Matrix
    decreasing: bool = False
    strictly: bool = False


@dataclass(frozen=True)
class SignedPermutation:
    r"""The map :math:`z_j \mapsto s_j z_{\sigma(j)} + b_j`, which leaves log p unchanged.

    Attributes:
        images: sigma, for every coordinate.
        signs: s, each 1 or -1.
        offset: b, exact.
    """

    images: tuple[int, ...]
    signs: tuple[int, ...]
    offset: tuple[Fraction, ...]

    @property
    def is_permutation(self) -> bool:
        """Whether it only moves coordinates."""
        return all(s == 1 for s in self.signs) and not any(self.offset)

    @property
    def moved(self) -> tuple[int, ...]:
        """The coordinates that do not stay."""
        rows = enumerate(zip(self.images, self.signs, self.offset, strict=True))
        return tuple(j for j, (k, s, b) in rows if k != j or s != 1 or b)


@dataclass(frozen=True)
class RotationGroup:
    r"""log p is unchanged when every frame u is replaced by :math:`R u`, the same R in O(k) for all frames.

    Attributes:
        frames: Tuples of k coordinates each (the loadings of one row, the scores of one item, ...).
    """

    frames: tuple[tuple[int, ...], ...]

    @property
    def degree(self) -> int:
        """The length k of a frame."""
        return len(self.frames[0])


def matrix_of(found: SignedPermutation) -> list[list[int]]:
    """The linear part of a signed permutation, ``[d, d]``."""
    n = len(found.images)
    return [[found.signs[j] if k == found.images[j] else 0 for k in range(n)] for j in range(n)]


def short(names: Sequence[str]) -> str:
    """A few names."""
    return ", ".join(names) if len(names) <= 4 else f"{names[0]}, ..., {names[-1]}"
