"""The base class of groups: algebra and measure."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .._value import Value, default_dtype
from . import _finite_algebra
from ._characters import CharacterTable, character_table
from ._errors import InfiniteGroupError, NonCompactGroupError, UnsupportedError, sentence
from ._irreps import Irrep, real_representations

#: Groups with more elements than this are sampled, never enumerated.
ENUMERATION_LIMIT = 1_000_000


class Quadrature(NamedTuple):
    """A quadrature rule for normalised Haar measure: ``int f dg = sum_i weights[i] f(elements[i])``.

    Exact for every f in the span of the matrix entries of irreducible representations of label up to ``degree``
    (for a finite group: every f, ``degree = inf``). Weights sum to one; those of ``group.quadrature`` are positive.
    """

    elements: Tensor
    weights: Tensor
    degree: float

    def require(self, degree: float) -> Quadrature:
        """This rule if it is exact to ``degree``, else a ValueError: one degree short is not slightly wrong."""
        if self.degree < degree:
            raise ValueError(
                sentence(
                    f"a quadrature rule exact to degree {degree}",
                    self.degree,
                    "products of two functions of band L have band 2L, and an aliased rule is wrong at order one",
                    f"group.quadrature({degree})",
                )
            )
        return self


class Group(Value, ABC):
    """An abstract group whose elements are tensors ``[*batch, *element_shape]``.

    To implement one, write a frozen dataclass (``eq=False, repr=False``) with ``element_shape``, ``order``,
    ``dim``, ``is_compact``, ``is_connected``, and the mathematics in the methods with a leading underscore:
    ``_identity``, ``_compose``, ``_inverse``, ``_contains``; then, where they exist, ``_sample`` (compact),
    ``_elements`` (finite), ``_generators``, ``_exp`` (Lie), ``_quadrature``. The public methods here check their
    arguments, broadcast batches and give the errors. Test it by inheriting ``tests/contracts/group.py``.

    Elements are float64 by default (``dtype=`` changes it); groups whose elements are exact in every dtype
    (signs, permutations) set ``exact_elements``. Membership is not checked on each call: see :meth:`contains`.
    """

    #: Elements are integers or signs: casting them to another dtype loses nothing.
    exact_elements: bool = False
    #: What the entries are: "real" (floats), "integer" (int64, whatever dtype is asked for) or "complex".
    element_kind: str = "real"

    # -- what every group says of itself ---------------------------------------------------------------------
    @property
    @abstractmethod
    def element_shape(self) -> tuple[int, ...]:
        """Trailing shape of one element."""

    @property
    @abstractmethod
    def order(self) -> int | float:
        """Number of elements: an int, or ``math.inf``."""

    @property
    def dim(self) -> int:
        """Dimension as a Lie group; 0 for a discrete group."""
        return 0

    @property
    def is_compact(self) -> bool:
        """Whether normalised Haar measure exists. True for finite groups."""
        return self.is_finite

    @property
    def is_connected(self) -> bool:
        """Whether every element is joined to the identity by a path."""
        return self.order == 1

    @property
    def is_finite(self) -> bool:
        """Whether the group has finitely many elements."""
        return self.order != math.inf

    @property
    def log_order(self) -> float:
        """Natural logarithm of the order (inf for infinite groups); finite for orders that overflow a float."""
        return math.log(self.order)

    # -- algebra -----------------------------------------------------------------------------------------------
    def identity(self, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> Tensor:
        """The neutral element, ``[*element_shape]``."""
        return self._identity(default_dtype(dtype), torch.device(device or "cpu"))

    def compose(self, a: Tensor, b: Tensor) -> Tensor:
        """The product ab ("first b, then a"); batches broadcast. ``[*batch, *element_shape]``."""
        a, b = self._checked(a, "a"), self._checked(b, "b")
        check_device(a, b)
        return self._compose(a, b)

    def inverse(self, a: Tensor) -> Tensor:
        """The inverse of a, ``[*batch, *element_shape]``."""
        return self._inverse(self._checked(a, "a"))

    def power(self, a: Tensor, n: int) -> Tensor:
        """The element a multiplied with itself n times (n may be 0 or negative), by repeated squaring."""
        if isinstance(n, bool) or not isinstance(n, int):
            raise TypeError(f"expected an int exponent, got {n!r}")
        square = self._checked(a, "a") if n >= 0 else self.inverse(a)
        result = self.identity(dtype=a.dtype, device=a.device).expand(a.shape)
        n = abs(n)
        while n:
            if n & 1:
                result = self._compose(result, square)
            square = self._compose(square, square)
            n >>= 1
        return result

    def contains(self, a: Tensor, *, tolerance: float = 1e-6) -> Tensor:
        """Which of the tensors are elements, up to ``tolerance`` in the largest entry. bool ``[*batch]``."""
        return self._contains(self._checked(a, "a"), tolerance)

    def require(self, a: Tensor, *, tolerance: float = 1e-6) -> Tensor:
        """The elements themselves if all are in the group, else a ValueError; for elements from outside."""
        inside = self.contains(a, tolerance=tolerance)
        if not bool(inside.all()):
            raise ValueError(
                sentence(
                    f"elements of {self!r} up to {tolerance:g}",
                    f"{int((~inside).sum())} of {inside.numel()} that are not",
                    "maps outside the group need not preserve what it preserves",
                    "group.sample(n), group.exp(...), or the nearest element",
                )
            )
        return a

    def equal(self, a: Tensor, b: Tensor, *, tolerance: float = 1e-6) -> Tensor:
        """Which elements agree, up to ``tolerance`` in the largest entry. bool ``[*batch]``."""
        a, b = self._checked(a, "a"), self._checked(b, "b")
        return self._distance(a, b) <= tolerance

    # -- measure -----------------------------------------------------------------------------------------------
    def sample(
        self,
        n: int | Sequence[int],
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Independent draws from normalised Haar measure, ``[n, *element_shape]`` (or ``[*n, ...]``)."""
        if not self.is_compact:
            raise NonCompactGroupError(
                sentence(
                    "a compact group",
                    repr(self),
                    "a non-compact group has no normalised Haar measure",
                    "the action's orbit_conditional(x, log_prior), the prior-weighted law along the orbit",
                )
            )
        shape = (n,) if isinstance(n, int) and not isinstance(n, bool) else tuple(n)  # type: ignore[arg-type]
        if any(isinstance(k, bool) or not isinstance(k, int) or k < 0 for k in shape):
            raise ValueError(f"expected a number of draws or a shape of non-negative ints, got {n!r}")
        place = torch.device(device) if device is not None else generator.device if generator else torch.device("cpu")
        return self._sample(shape, generator, default_dtype(dtype), place)

    def elements(self, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> Tensor:
        """All elements, identity first: ``[order, *element_shape]``. Finite groups of at most 10^6 elements."""
        if not self.is_finite:
            raise InfiniteGroupError(
                sentence(
                    "a finite group",
                    repr(self),
                    "an infinite group cannot be listed",
                    "sample(n) or quadrature(bandlimit)",
                )
            )
        if self.order > ENUMERATION_LIMIT:
            raise ValueError(
                sentence(
                    f"an order of at most {ENUMERATION_LIMIT}",
                    f"{self.order} for {self!r}",
                    "larger groups are never enumerated",
                    "sample(n), or generators() where invariance is all that is asked",
                )
            )
        return self._elements(default_dtype(dtype), torch.device(device or "cpu"))

    def generators(self, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> Tensor:
        """A finite set whose generated subgroup is dense: ``[k, *element_shape]``, k may be 0.

        A continuous function (or a closed condition) invariant under these is invariant under the whole group.
        """
        return self._generators(default_dtype(dtype), torch.device(device or "cpu"))

    def quadrature(
        self, bandlimit: int = 0, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None
    ) -> Quadrature:
        """A rule exact for the matrix entries of irreducible representations of label <= ``bandlimit``.

        A finite group gives all its elements with equal weights. Products of two functions of band L need 2L.
        """
        if not self.is_compact:
            raise NonCompactGroupError(
                sentence(
                    "a compact group", repr(self), "Haar measure is infinite here", "orbit_conditional of the action"
                )
            )
        if isinstance(bandlimit, bool) or not isinstance(bandlimit, int) or bandlimit < 0:
            raise ValueError(f"expected a bandlimit that is a non-negative int, got {bandlimit!r}")
        if self.is_finite:
            elements = self.elements(dtype=dtype, device=device)
            weights = torch.full(
                (len(elements),), 1 / len(elements), dtype=default_dtype(dtype), device=elements.device
            )
            return Quadrature(elements, weights, math.inf)
        return self._quadrature(bandlimit, default_dtype(dtype), torch.device(device or "cpu"))

    # -- finite groups and representations -----------------------------------------------------------------------
    def index(self, g: Tensor) -> Tensor:
        """Position of g in :meth:`elements`, LongTensor ``[*batch]``; ValueError if it is not there."""
        return _finite_algebra.positions(self, self._checked(g, "g"), self.elements(device=g.device))

    def multiplication_table(self) -> Tensor:
        """Positions of all products, LongTensor ``[order, order]``; orders up to 2048."""
        return _finite_algebra.multiplication_table(self)

    def character_table(self) -> CharacterTable:
        """Conjugacy classes and irreducible complex characters of a finite group of order up to 2048."""
        return character_table(self.multiplication_table())

    def irreps(self, cutoff: int | None = None) -> tuple[Irrep, ...]:
        """Irreducible real representations, trivial first; Lie groups need a ``cutoff`` on the label.

        Finite groups of order up to 2048 give all of them (``cutoff`` bounds the dimension if given).
        """
        if cutoff is not None and (isinstance(cutoff, bool) or not isinstance(cutoff, int) or cutoff < 0):
            raise ValueError(f"expected a cutoff that is a non-negative int, got {cutoff!r}")
        if self.is_finite:
            return tuple(r for r in self._finite_irreps() if cutoff is None or r.dimension <= cutoff)
        if not self.is_compact:
            raise NonCompactGroupError(
                sentence(
                    "a compact group", repr(self), "its irreducible representations are not listed", "Lie derivatives"
                )
            )
        if cutoff is None:
            raise ValueError(
                sentence(
                    "cutoff=", None, f"{self!r} has infinitely many representations", "cutoff=3, the largest degree"
                )
            )
        return self._irreps(cutoff)

    # -- Lie groups --------------------------------------------------------------------------------------------
    def exp(self, coordinates: Tensor) -> Tensor:
        """Exponential map in the basis of the Lie algebra: ``[*batch, dim]`` -> ``[*batch, *element_shape]``.

        For compact groups the basis is orthogonal, with vectors of one length, for an inner product that
        conjugation leaves invariant: volumes of orbits with stabilisers are then right up to a constant.
        """
        if coordinates.ndim < 1 or coordinates.shape[-1] != self.dim:
            raise ValueError(
                f"expected Lie algebra coordinates [..., {self.dim}] for {self!r}, got shape {list(coordinates.shape)}"
            )
        return self._exp(coordinates)

    # -- the mathematics, for subclasses -------------------------------------------------------------------------
    @abstractmethod
    def _identity(self, dtype: torch.dtype, device: torch.device) -> Tensor: ...

    @abstractmethod
    def _compose(self, a: Tensor, b: Tensor) -> Tensor: ...

    @abstractmethod
    def _inverse(self, a: Tensor) -> Tensor: ...

    @abstractmethod
    def _contains(self, a: Tensor, tolerance: float) -> Tensor: ...

    @abstractmethod
    def _generators(self, dtype: torch.dtype, device: torch.device) -> Tensor: ...

    def _sample(
        self, shape: tuple[int, ...], generator: torch.Generator | None, dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        elements = self.elements(dtype=dtype, device=device)
        return elements[torch.randint(len(elements), shape, generator=generator, device=device)]

    def _elements(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        raise self._unsupported("a list of its elements", "sample(n)")

    def _quadrature(self, bandlimit: int, dtype: torch.dtype, device: torch.device) -> Quadrature:
        raise self._unsupported(
            "an exact quadrature rule", "sample(n), the average over Haar draws with its standard error"
        )

    def _irreps(self, cutoff: int) -> tuple[Irrep, ...]:
        raise self._unsupported("a list of irreducible representations", "isotypic_projections() of a linear action")

    def _finite_irreps(self) -> tuple[Irrep, ...]:
        matrices = real_representations(self.multiplication_table())
        labels = self._irrep_labels([m for m, _ in matrices])
        return tuple(
            Irrep(label, m.shape[-1], kind, lambda g, m=m: m.to(g.device)[self.index(g)])  # type: ignore[misc]
            for label, (m, kind) in zip(labels, matrices, strict=True)
        )

    def _irrep_labels(self, matrices: list[Tensor]) -> list[str]:
        """Names of the representations ``[order, d, d]`` in their order: dimension and letter, "2a", "2b", ..."""
        counts: dict[int, int] = {}
        labels = []
        for m in matrices:
            d = m.shape[-1]
            labels.append(f"{d}{_letters(counts.get(d, 0))}")
            counts[d] = counts.get(d, 0) + 1
        return labels

    def _exp(self, coordinates: Tensor) -> Tensor:
        if self.dim == 0:
            return self._identity(coordinates.dtype, coordinates.device).expand(
                *coordinates.shape[:-1], *self.element_shape
            )
        raise self._unsupported("an exponential map", "the action's own vertical_basis")

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Largest difference of entries, ``[*batch]``."""
        difference = (a - b).abs()
        if not self.element_shape:
            return difference
        if 0 in self.element_shape:
            return difference.new_zeros(torch.broadcast_shapes(self._batch(a), self._batch(b)))
        return difference.flatten(-len(self.element_shape)).amax(-1)

    # -- helpers -----------------------------------------------------------------------------------------------
    def _batch(self, a: Tensor) -> torch.Size:
        return a.shape[: a.ndim - len(self.element_shape)]

    def _checked(self, a: Tensor, name: str) -> Tensor:
        if not isinstance(a, Tensor):
            raise TypeError(f"expected {name} to be a tensor, got {type(a).__name__}; try torch.as_tensor")
        k = len(self.element_shape)
        if a.ndim < k or tuple(a.shape[a.ndim - k :]) != self.element_shape:
            raise ValueError(
                f"expected {name} of shape [..., {', '.join(map(str, self.element_shape))}], got {list(a.shape)}, "
                f"because these are the elements of {self!r}; batch dimensions come first"
            )
        return a

    def _unsupported(self, what: str, remedy: str) -> UnsupportedError:
        return UnsupportedError(sentence(f"a group with {what}", repr(self), "it provides none", remedy))


def _letters(k: int) -> str:
    """a, ..., z, aa, ab, ..."""
    return chr(97 + k) if k < 26 else _letters(k // 26 - 1) + chr(97 + k % 26)


def check_device(a: Tensor, b: Tensor) -> None:
    """Both tensors on one device, or a ValueError."""
    if a.device != b.device:
        raise ValueError(f"expected tensors on one device, got {a.device} and {b.device}; try .to({str(a.device)!r})")
