r"""Differences of log-gamma and digamma that keep their digits where both terms are large.

The argument is raised by `_SHIFT` steps of the recurrence to where Stirling's series holds to rounding; what remains
after it is taken as a difference in closed form. Each core takes floats or tensors of float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ._checks import checked_argument
from ._numbers import Real, log, log1p, number

_SHIFT = 16
_GROUP = 8
"""Factors multiplied before a logarithm is taken."""


def _steps(x: Any) -> int:
    """As many as a number needs to be raised beyond `_SHIFT`; all for a tensor."""
    return _SHIFT if isinstance(x, Tensor) else max(0, math.ceil(_SHIFT - x))


_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
"""B_2k / (2k (2k - 1)): lgamma(x) = (x - 1/2) log x - x + log(2 pi)/2 + sum_k c_k x^(1 - 2k) (DLMF 5.11.1)."""

_DERIVATIVES = tuple(
    tuple(c * factor(2 * k - 1) for k, c in enumerate(_STIRLING, 1))
    for factor in (lambda n: 1, lambda n: -n, lambda n: n * (n + 1))
)


def _stirling(x: Real, derivative: int) -> Real:
    """The sum above, or a derivative of it in x."""
    square = 1 / (x * x)
    total = 0 * x
    for c in reversed(_DERIVATIVES[derivative]):
        total = total * square + c
    for _ in range(derivative + 1):
        total = total / x
    return total


def _log_ratio(x: Real, y: Real) -> Real:
    shift, steps = 0 * x, _steps(x)
    for start in range(0, steps, _GROUP):
        product = 0 * x  # less 1, of the factors 1 + y / (x + j)
        for j in range(start, min(start + _GROUP, steps)):
            growth = y / (x + j)
            product = product + growth + product * growth
        shift = shift + log1p(product)
    x = x + steps
    main = (x - 0.5) * log1p(y / x) + y * log(x + y) - y
    return main + _stirling(x + y, 0) - _stirling(x, 0) - shift


def _first(x: Real, y: Real) -> Real:
    """psi(x + y) - psi(x)."""
    shift, steps = 0 * x, _steps(x)
    for j in range(steps):
        shift = shift + y / ((x + j) * (x + j + y))
    x = x + steps
    return log1p(y / x) + y / (2 * x * (x + y)) + _stirling(x + y, 1) - _stirling(x, 1) + shift


def _second(x: Real, y: Real) -> Real:
    """psi'(x + y) - psi'(x)."""
    shift, steps = 0 * x, _steps(x)
    for j in range(steps):
        step = (x + j) * (x + j + y)
        shift = shift + y / step * ((2 * (x + j) + y) / step)
    x = x + steps
    step = x * (x + y)
    main = y / step + y / step * ((2 * x + y) / (2 * step))
    return _stirling(x + y, 2) - _stirling(x, 2) - main - shift


def _evaluate(core: Callable[..., Any], a: Tensor, b: Tensor) -> Tensor:
    x, y = number(a), number(b)
    if x is None or y is None or not (x > 0 and y >= 0):
        found: Tensor = core(a, b)
        return found
    return a.new_full((), core(x, y))


class _Difference(torch.autograd.Function):
    """log Gamma(a + b) - log Gamma(a), or its derivative in a where ``level`` is 1."""

    generate_vmap_rule = True

    @staticmethod
    def of(a: Tensor, b: Tensor, level: int) -> Tensor:
        tracked = torch.is_grad_enabled() and (a.requires_grad or b.requires_grad)
        free = not tracked and number(a) is not None and number(b) is not None
        found: Tensor = _Difference.forward(a, b, level) if free else _Difference.apply(a, b, level)
        return found

    @staticmethod
    def forward(a: Tensor, b: Tensor, level: int) -> Tensor:
        return _evaluate(_first if level else _log_ratio, a, b)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
        a, b, ctx.level = inputs
        ctx.save_for_backward(a, b)
        ctx.save_for_forward(a, b)

    @staticmethod
    def _in_a(ctx: Any) -> Tensor:
        a, b = ctx.saved_tensors
        return _second(a, b) if ctx.level else _Difference.of(a, b, 1)

    @staticmethod
    def _in_b(ctx: Any) -> Tensor:
        a, b = ctx.saved_tensors
        return torch.polygamma(1, a + b) if ctx.level else torch.digamma(a + b)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        wanted_a, wanted_b = ctx.needs_input_grad[:2]
        return (
            gradient * _Difference._in_a(ctx) if wanted_a else None,
            gradient * _Difference._in_b(ctx) if wanted_b else None,
            None,
        )

    @staticmethod
    def jvp(ctx: Any, in_a: Tensor | None, in_b: Tensor | None, _: None) -> Tensor:
        parts = [in_a * _Difference._in_a(ctx)] if in_a is not None else []
        if in_b is not None:
            parts.append(in_b * _Difference._in_b(ctx))
        return sum(parts[1:], parts[0])


def _both(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    x, y = torch.broadcast_tensors(checked_argument(a, "a").double(), checked_argument(b, "b").double())
    return x, y


def log_gamma_ratio(a: Tensor, b: Tensor) -> Tensor:
    r""":math:`\log\Gamma(a+b) - \log\Gamma(a)` for a > 0, b >= 0, ``[*batch]`` each, differentiable in both.

    Error near rounding of the result, where lgamma(a + b) - lgamma(a) at a = 1e8 is wrong by 1e-7.
    """
    return _Difference.of(*_both(a, b), 0).to(a.dtype)


def digamma_difference(a: Tensor, b: Tensor) -> Tensor:
    r""":math:`\psi(a+b) - \psi(a)` for a > 0, b >= 0: the derivative of `log_gamma_ratio` in a. Shapes as there."""
    return _Difference.of(*_both(a, b), 1).to(a.dtype)
