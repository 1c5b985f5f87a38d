"""The base class of groups: algebra and measure."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ._errors import InfiniteGroupError, NonCompactGroupError, UnsupportedError, sentence
from ._value import Value, default_dtype

#: Groups with more elements than this are sampled, never enumerated.
ENUMERATION_LIMIT = 1_000_000


class Quadrature(NamedTuple):
    """A quadrature rule for normalised Haar measure: ``int f dg = sum_i weights[i] f(elements[i])``.

    Exact for every f in the span of the matrix entries of irreducible representations of label up to ``degree``
    (for a finite group: every f, ``degree = inf``). Weights are positive and sum to one.
    """

    elements: Tensor
    weights: Tensor
    degree: float


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

    # -- Lie groups --------------------------------------------------------------------------------------------
    def exp(self, coordinates: Tensor) -> Tensor:
        """Exponential map in the basis of the Lie algebra: ``[*batch, dim]`` -> ``[*batch, *element_shape]``."""
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


def check_device(a: Tensor, b: Tensor) -> None:
    """Both tensors on one device, or a ValueError."""
    if a.device != b.device:
        raise ValueError(f"expected tensors on one device, got {a.device} and {b.device}; try .to({str(a.device)!r})")
