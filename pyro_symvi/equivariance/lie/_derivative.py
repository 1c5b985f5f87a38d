"""Directional derivatives of models: forward mode, and what stands in for it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..._value import Value
from ...groups._errors import sentence

Curve = Callable[[Tensor], tuple[Tensor, ...]]
"""A function of one number; called at zero, with or without a derivative attached."""


class Derivative(Value, ABC):
    """A way to differentiate a curve of tensors at zero.

    To implement one, write a frozen dataclass with ``_tangents``; errors of the model pass through.
    """

    def tangents(self, curve: Curve, like: Tensor) -> tuple[Tensor, ...]:
        """d/dt of every tensor of ``curve(t)`` at t = 0; t has the dtype and device of ``like``."""
        with differentiable_attention():
            return tuple(tangent.detach() for tangent in self._tangents(curve, like.new_zeros(())))

    def rounding(self, eps: float, like: Tensor) -> float:
        """Error of a derivative relative to the values, where one unit of these is ``eps``."""
        return eps

    @abstractmethod
    def _tangents(self, curve: Curve, zero: Tensor) -> tuple[Tensor, ...]: ...


@dataclass(frozen=True, eq=False, repr=False)
class ForwardMode(Derivative):
    """``torch.func.jvp``: exact, at two to five times the cost of a forward pass; no graph is kept."""

    def _tangents(self, curve: Curve, zero: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return torch.func.jvp(curve, (zero,), (torch.ones_like(zero),))[1]


@dataclass(frozen=True, eq=False, repr=False)
class DoubleBackward(Derivative):
    """The derivative of the transposed derivative: exact, for operations with a backward formula but no forward one."""

    def _tangents(self, curve: Curve, zero: Tensor) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            found = torch.autograd.functional.jvp(curve, zero, torch.ones_like(zero))[1]
        return tuple(found)


@dataclass(frozen=True, eq=False, repr=False)
class CentralDifferences(Derivative):
    """(f(h) - f(-h)) / 2h: for any function; errors of order h^2 and rounding / h.

    Attributes:
        step: h, positive; by default the cube root of the rounding unit (6e-6 in float64, 5e-3 in float32).

    Raises:
        ValueError: unless the step is a positive float.
    """

    step: float | None = None

    def __post_init__(self) -> None:
        if self.step is not None and not (isinstance(self.step, float) and 0 < self.step < math.inf):
            raise ValueError(f"expected step as a positive float, got {self.step!r}; try CentralDifferences(1e-4)")

    def rounding(self, eps: float, like: Tensor) -> float:
        h = self._step(like)
        return eps / h + h**2

    def _step(self, like: Tensor) -> float:
        return self.step or torch.finfo(like.dtype).eps ** (1 / 3)

    def _tangents(self, curve: Curve, zero: Tensor) -> tuple[Tensor, ...]:
        h = self._step(zero)
        with torch.no_grad():
            ahead, behind = curve(zero + h), curve(zero - h)
        return tuple((a - b) / (2 * h) for a, b in zip(ahead, behind, strict=True))


def working(
    curve: Curve, like: Tensor, methods: Sequence[Derivative]
) -> tuple[Derivative, tuple[Tensor, ...], tuple[str, ...]]:
    """The first method that the model allows, its tangents, and why those before it failed.

    Raises:
        TypeError: None of them works; the message has the model's own.
    """
    reasons: list[str] = []
    failure: Exception | None = None
    for method in methods:
        try:
            return method, method.tangents(curve, like), tuple(reasons)
        except (RuntimeError, NotImplementedError, TypeError) as error:
            failure = failure or error
            reasons.append(f"{method!r}: {_first_sentence(error)}")
    raise TypeError(
        sentence(
            f"a model that {' or '.join(repr(method) for method in methods)} can differentiate",
            "; ".join(reasons),
            "a Lie derivative follows the output while the input moves",
            "method=CentralDifferences(), or operations of torch with a forward derivative (for a custom "
            "torch.autograd.Function: setup_context and jvp)",
        )
    ) from failure


def disagreement(exact: Tensor, differences: Tensor, output: Tensor, eps: float) -> float:
    """How far a derivative is from central differences, by the larger of the two; 0 within what rounding explains.

    ``eps`` is the unit of the coarsest dtype in the model, whatever that of the tensors here.
    """
    apart = float((exact - differences).double().norm())
    size = max(float(exact.double().norm()), float(differences.double().norm()))
    floor = 100 * eps ** (2 / 3) * float(output.double().norm())
    return 0.0 if apart <= floor or size == 0 else apart / size


@contextmanager
def differentiable_attention() -> Iterator[None]:
    """Attention by its formula: the fused kernels have no forward derivative. The user's settings come back."""
    fast = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        with sdpa_kernel([SDPBackend.MATH]):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _first_sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.split(". ")[0][:200]
