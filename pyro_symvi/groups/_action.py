"""The base class of actions: a group moving the points of a space."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from .._value import Value
from . import _geometry
from ._errors import InfiniteGroupError, UnsupportedError, sentence
from ._group import Group, check_device


class Action(Value, ABC):
    """A left action of ``group`` on points ``[*batch, *event_shape]``: act(ab, x) = act(a, act(b, x)), act(e, x) = x.

    To implement one, write a frozen dataclass (``eq=False, repr=False``) with ``group``, ``event_shape`` (-1 where
    any size will do) and ``_act``; then ``_log_abs_det`` unless volume is preserved, and whichever of
    ``_canonicalize``, ``_vertical_basis``, ``_project``, ``_log_orbit_volume``, ``_mean_curvature`` has a closed
    form. Everything about orbits is otherwise derived: ``vertical_basis`` by differentiating ``act`` along the
    exponential map, the rest from ``vertical_basis``. Test it by inheriting ``tests/contracts/action.py``.

    Batches of group elements and of points broadcast against each other. Elements are cast to the dtype of x;
    an element that is coarser than x is refused, since it would put rounding errors into an exact symmetry.
    """

    @property
    @abstractmethod
    def group(self) -> Group:
        """The group that acts."""

    @property
    @abstractmethod
    def event_shape(self) -> tuple[int, ...]:
        """Trailing shape of one point; -1 stands for any size."""

    # -- moving points -----------------------------------------------------------------------------------------
    def act(self, g: Tensor, x: Tensor) -> Tensor:
        """Move points, g x: elements ``[*batch, *element_shape]`` on points ``[*batch, *event_shape]``, broadcast."""
        return self._act(*self._pair(g, x))

    def log_abs_det(self, g: Tensor, x: Tensor) -> Tensor:
        """The log |det| of the derivative of x -> g x, ``[*batch]`` (batches of g and x broadcast)."""
        return self._log_abs_det(*self._pair(g, x))

    def orbit(self, x: Tensor) -> Tensor:
        """The images of x under every element, identity first: ``[order, *batch, *event_shape]``. Finite groups.

        Images coincide where x has a stabiliser: order / |stabiliser| of them are distinct.
        """
        x = self._point(x, "x")
        if not self.group.is_finite:
            raise InfiniteGroupError(
                sentence(
                    "an action of a finite group",
                    repr(self),
                    "its orbits are infinite",
                    "act(group.sample(n), x), or average",
                )
            )
        return self._sweep(self.group.elements(dtype=self._element_dtype(x), device=x.device), x)

    def average(self, function: Callable[[Tensor], Tensor], x: Tensor, *, bandlimit: int | None = None) -> Tensor:
        """The Reynolds operator: the Haar average of ``function(g x)``, ``[*batch, *output]``.

        Exact for finite groups, and for compact ones when ``function`` restricted to an orbit has no component
        beyond ``bandlimit`` (required there). ``function`` maps ``[..., *event_shape]`` to ``[..., *output]`` and is
        called once, on all images.
        """
        x = self._point(x, "x")
        if not self.group.is_finite and bandlimit is None:
            raise ValueError(
                sentence(
                    "bandlimit=",
                    None,
                    f"{self.group!r} is infinite and its average is a quadrature",
                    "bandlimit=8 and a larger one to compare",
                )
            )
        rule = self.group.quadrature(bandlimit or 0, dtype=self._element_dtype(x), device=x.device)
        values = function(self._sweep(rule.elements, x))
        if values.ndim < 1 or len(values) != len(rule.weights):
            raise ValueError(
                f"expected a function that keeps batch dimensions, got shape {list(values.shape)} "
                f"from {[len(rule.weights), *x.shape]}; try to write it for inputs [..., {self._event_text()}]"
            )
        return torch.tensordot(rule.weights.to(values.dtype), values, dims=1)

    # -- orbits as manifolds -----------------------------------------------------------------------------------
    def vertical_basis(self, x: Tensor) -> Tensor:
        """Columns spanning the tangent space of the orbit at x: ``[*batch, *event_shape, group.dim]``.

        Column a is d/dt exp(t X_a) x at t = 0 for the a-th basis vector X_a of the Lie algebra.
        """
        return self._vertical_basis(self._point(x, "x"))

    def gram(self, x: Tensor) -> Tensor:
        """V^T V for V = vertical_basis(x), ``[*batch, dim, dim]``."""
        return self._gram(self._point(x, "x"))

    def project(self, x: Tensor, v: Tensor) -> Tensor:
        """Horizontal part of a tangent vector v at x, P v = v - V (V^T V)^+ V^T v, ``[*batch, *event_shape]``."""
        x, v = self._point(x, "x"), self._point(v, "v")
        check_device(x, v)
        return self._project(x, v)

    def log_orbit_volume(self, x: Tensor) -> Tensor:
        """The log volume of the orbit of x up to a constant, 1/2 log pdet(V^T V), ``[*batch]``."""
        return self._log_orbit_volume(self._point(x, "x"))

    def mean_curvature(self, x: Tensor) -> Tensor:
        """H(x) = -grad log_orbit_volume(x), the (inward) trace of the orbit's second fundamental form, shape of x.

        For actions by isometries. The divergence of the projection's columns is -H.
        """
        return self._mean_curvature(self._point(x, "x"))

    # -- canonical forms and laws along the orbit --------------------------------------------------------------
    def canonicalize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """A representative that depends on the orbit of x only, and an element that takes x to it.

        Returns (r, g) with r = act(g, x): ``[*batch, *event_shape]``, ``[*batch, *element_shape]``. Default for
        finite groups: the lexicographically largest image.
        """
        return self._canonicalize(self._point(x, "x"))

    def align(self, x: Tensor, y: Tensor) -> Tensor:
        """An element g that brings x closest to y: minimises |g x - y|, ``[*batch, *element_shape]``.

        Default for finite groups: the best of all elements.
        """
        x, y = self._point(x, "x"), self._point(y, "y")
        check_device(x, y)
        shape = torch.broadcast_shapes(x.shape, y.shape)
        return self._align(x.expand(shape), y.expand(shape))

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Distance of the orbits, min over g of |g x - y| (for isometries a metric on the quotient), ``[*batch]``."""
        return self._norm(self.act(self.align(x, y), x) - y)

    def orbit_conditional(self, x: Tensor, log_prior: object) -> torch.distributions.Distribution:
        """The prior-weighted law along a non-compact orbit (never Haar, which is infinite there)."""
        if self.group.is_compact:
            raise UnsupportedError(
                sentence(
                    "an action of a non-compact group", repr(self), "Haar measure is normalised here", "group.sample(n)"
                )
            )
        return self._orbit_conditional(self._point(x, "x"), log_prior)

    # -- the mathematics, for subclasses -----------------------------------------------------------------------
    @abstractmethod
    def _act(self, g: Tensor, x: Tensor) -> Tensor: ...

    def _log_abs_det(self, g: Tensor, x: Tensor) -> Tensor:
        return x.new_zeros(torch.broadcast_shapes(self._element_batch(g), self._batch(x)))

    def _gram(self, x: Tensor) -> Tensor:
        basis = self._flat_basis(x)
        return basis.mT @ basis

    def _norm(self, v: Tensor) -> Tensor:
        return v.reshape(*self._batch(v), -1).norm(dim=-1)

    def _vertical_basis(self, x: Tensor) -> Tensor:
        if self.group.dim == 0:
            return x.new_zeros(*x.shape, 0)
        directions = torch.eye(self.group.dim, dtype=x.dtype, device=x.device)

        def flow(coordinates: Tensor) -> Tensor:
            return self._act(self.group.exp(coordinates), x)

        columns = [torch.func.jvp(flow, (torch.zeros_like(e),), (e,))[1] for e in directions]
        return torch.stack(columns, -1)

    def _project(self, x: Tensor, v: Tensor) -> Tensor:
        shape = torch.broadcast_shapes(x.shape, v.shape)
        flat = v.expand(shape).reshape(*self._batch_of(shape), -1)
        return _geometry.project_horizontal(self._flat_basis(x), flat).reshape(shape)

    def _log_orbit_volume(self, x: Tensor) -> Tensor:
        return _geometry.log_volume(self._flat_basis(x))

    def _mean_curvature(self, x: Tensor) -> Tensor:
        if self.group.dim == 0:
            return torch.zeros_like(x)
        return -torch.func.grad(lambda y: self._log_orbit_volume(y).sum())(x)

    def _canonicalize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if not self.group.is_finite:
            raise UnsupportedError(
                sentence(
                    "an action with a canonical form",
                    repr(self),
                    "none is known here",
                    "invariants of the orbit, or distance by sampling",
                )
            )
        elements = self.group.elements(dtype=self._element_dtype(x), device=x.device)
        images = self._sweep(elements, x)
        index = _lexicographic_argmax(images.reshape(*images.shape[: images.ndim - len(self.event_shape)], -1))
        g = elements[index]
        return self._act(g, x), g

    def _align(self, x: Tensor, y: Tensor) -> Tensor:
        if not self.group.is_finite:
            raise UnsupportedError(
                sentence(
                    "an action with a closed-form alignment",
                    repr(self),
                    "none is known here",
                    "the smallest distance over group.sample(n), an upper bound",
                )
            )
        elements = self.group.elements(dtype=self._element_dtype(x), device=x.device)
        return elements[self._norm(self._sweep(elements, x) - y).argmin(0)]

    def _orbit_conditional(self, x: Tensor, log_prior: object) -> torch.distributions.Distribution:
        raise UnsupportedError(
            sentence(
                "an action with a closed-form orbit law",
                repr(self),
                "none is known here",
                "one-dimensional sampling along the orbit",
            )
        )

    # -- helpers -----------------------------------------------------------------------------------------------
    def _batch_of(self, shape: torch.Size) -> torch.Size:
        return shape[: len(shape) - len(self.event_shape)]

    def _batch(self, x: Tensor) -> torch.Size:
        return self._batch_of(x.shape)

    def _element_batch(self, g: Tensor) -> torch.Size:
        return g.shape[: g.ndim - len(self.group.element_shape)]

    def _element_dtype(self, x: Tensor) -> torch.dtype:
        """The dtype of elements that act on x."""
        return x.dtype if x.is_floating_point() else torch.float64

    def _flat_basis(self, x: Tensor) -> Tensor:
        basis = self._vertical_basis(x)
        size = math.prod(x.shape[x.ndim - len(self.event_shape) :])
        return basis.reshape(*self._batch(x), size, basis.shape[-1])

    def _sweep(self, elements: Tensor, x: Tensor) -> Tensor:
        """act(elements[i], x) for every i: ``[k, *batch, *event_shape]``."""
        shape = (len(elements), *(1,) * len(self._batch(x)), *elements.shape[1:])
        return self._act(elements.reshape(shape), x[None])

    def _event_text(self) -> str:
        return ", ".join("n" if size == -1 else str(size) for size in self.event_shape)

    def _point(self, x: Tensor, name: str) -> Tensor:
        if not isinstance(x, Tensor):
            raise TypeError(f"expected {name} to be a tensor, got {type(x).__name__}; try torch.as_tensor")
        k = len(self.event_shape)
        sizes = x.shape[x.ndim - k :] if x.ndim >= k else ()
        if len(sizes) != k or any(want not in (-1, size) for want, size in zip(self.event_shape, sizes, strict=True)):
            raise ValueError(
                f"expected {name} of shape [..., {self._event_text()}], got {list(x.shape)}, "
                f"because these are the points of {self!r}; batch dimensions come first"
            )
        if not (x.is_floating_point() or x.is_complex()):
            raise TypeError(f"expected {name} of a floating dtype, got {x.dtype}; try {name}.double()")
        return x

    def _pair(self, g: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self._point(x, "x")
        g = self.group._checked(g, "g")
        check_device(g, x)
        if not (g.is_floating_point() or g.is_complex()) or not x.is_floating_point():
            return g, x
        wanted = x.dtype.to_complex() if g.is_complex() else x.dtype
        if not self.group.exact_elements and torch.finfo(g.dtype).eps > torch.finfo(x.dtype).eps:
            raise ValueError(
                sentence(
                    f"a group element of dtype {wanted} or finer",
                    g.dtype,
                    "a coarser element breaks the symmetry at its own rounding error",
                    "group.sample(n, dtype=x.dtype)",
                )
            )
        return g.to(wanted), x


def _lexicographic_argmax(images: Tensor) -> Tensor:
    """Index of the lexicographically largest of ``images[k, *batch, n]``, ``[*batch]``; the first one of equals.

    Entries are equal when they differ by rounding only: mirror images often share a coordinate up to that.
    """
    slack = 1e3 * torch.finfo(images.dtype).eps * images.abs().amax((0, -1))
    alive = torch.ones(images.shape[:-1], dtype=torch.bool, device=images.device)
    for column in images.unbind(-1):
        best = column.masked_fill(~alive, -math.inf).amax(0)
        alive = alive & (column >= best - slack)
    return alive.to(torch.int8).argmax(0)
