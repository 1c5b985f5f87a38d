"""A flat log density whose value and gradient are one compiled function."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ._checks import BAD_POINT
from ._kernels import Kernel, Level, has_compiler, is_compiled, lower
from ._log_density import LogDensity
from ._tracing import NotTraceable, Traced, trace

_LOG = logging.getLogger("pyro_symvi.density")
_LEVELS = ("auto", "inductor", "graph")
_TOLERANCE = 1e-12
_WASTE = 2**20
"""A part of a batch is padded to a compiled size where that computes at most this many numbers in vain: about what the
eager path loses in Python."""


class CompiledDensity(LogDensity):
    r"""The same density, evaluated by kernels made for batches of fixed sizes; made by `LogDensity.compile`.

    A batch is cut into parts of the largest size; what is left is padded to the smallest size that holds it. Values and
    gradients come from one pass, in ``value_and_grad`` and in a backward pass through ``density(z)`` alike. Second
    derivatives, calls inside ``torch.func`` transforms, and points where linear algebra fails go the eager way.

    Attributes:
        level: ``"inductor"`` or ``"graph"``.
        batch_sizes: The sizes there are kernels for.
        compile_seconds: What tracing, compiling and checking took.
    """

    def __init__(self, density: LogDensity, kernels: dict[int, Kernel], seconds: float) -> None:
        self.__dict__.update(density.__dict__)
        self._kernels = dict(sorted(kernels.items()))
        self.batch_sizes = tuple(self._kernels)
        self.level = next(iter(self._kernels.values())).level
        self.compile_seconds = seconds
        self._eager = density
        self._rows = max(self.batch_sizes)

    def compile(self, batch: int | Sequence[int] = 64, level: str = "auto") -> LogDensity:
        """The density at other sizes, or on another level."""
        return compile_density(self._eager, batch, level)

    def _batch(self, z: Tensor) -> Tensor:
        if _transformed() or z.device.type != "cpu" or not self._fits(len(z)):
            return self._eager._batch(z)
        if not z.requires_grad or not torch.is_grad_enabled():
            return self._evaluate(z.detach())[0]
        value: Tensor = _Evaluate.apply(z, self)
        return value

    def _value_and_grad(self, leaf: Tensor) -> tuple[Tensor, Tensor]:
        if _transformed() or not self._fits(len(leaf)):
            return self._eager._value_and_grad(leaf)
        return self._evaluate(leaf.detach())

    def _fits(self, rows: int) -> bool:
        padding = self._size(rows) - rows
        return padding * max(self._reading.elements, self.dim) <= _WASTE

    def _size(self, rows: int) -> int:
        return next((size for size in self.batch_sizes if size >= rows), self._rows)

    def _evaluate(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Values and gradients at ``z[n, d]``, ``n`` at most the largest size."""
        rows = len(z)
        size = self._size(rows)
        padded = z.contiguous() if size == rows else torch.cat([z, z[:1].expand(size - rows, -1)])
        kernel = self._kernels[size]
        results = kernel(padded)
        if kernel.checks and kernel.failed(results):
            return self._eager._value_and_grad(z.clone().requires_grad_())
        return results[0][:rows], results[1][:rows]


class _Evaluate(torch.autograd.Function):
    """The value, remembering the gradient; a backward pass that is itself to be differentiated is made eagerly."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, density: CompiledDensity) -> Tensor:
        value, gradient = density._evaluate(z.detach())
        ctx.save_for_backward(z, gradient)
        ctx.density = density
        return value

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        z, gradient = ctx.saved_tensors
        if torch.is_grad_enabled():
            value = ctx.density._eager._batch(z)
            (gradient,) = torch.autograd.grad(value.sum(), z, create_graph=True)
        return upstream[:, None] * gradient, None


def _transformed() -> bool:
    """Whether a ``torch.func`` transform or a tracing mode is active: kernels know neither."""
    return torch._C._functorch.peek_interpreter_stack() is not None or torch._C._len_torch_dispatch_stack() > 0


def compile_density(density: LogDensity, batch: int | Sequence[int], level: str) -> LogDensity:
    """What `LogDensity.compile` does."""
    sizes, levels = _checked_sizes(batch), _checked_level(level)
    if type(density) is not LogDensity:
        return _eager(density, "its calls are more than one function of a point")
    if not density.vectorized:
        return _eager(density, f"it is evaluated point by point ({density.loop_reason})")
    if density._reading.parameters:
        return _eager(density, f"it reads the parameters {list(density._reading.parameters)}, which may change")
    began = time.perf_counter()
    rows = sorted({min(size, density._rows) for size in sizes})
    reason = ""
    for attempt in levels:
        try:
            found = CompiledDensity(density, {size: _kernel(density, size, attempt) for size in rows}, 0.0)
        except NotTraceable as error:
            reason = str(error)
            continue
        reason = _disagreement(density, found)
        if not reason:
            if attempt != levels[0]:
                _LOG.info("%r runs as a graph of torch operators: inductor failed", density)
            found.compile_seconds = time.perf_counter() - began
            return found
    return _eager(density, reason)


def _eager(density: LogDensity, reason: str) -> LogDensity:
    _LOG.info("%r is evaluated eagerly: %s", density, reason)
    return density


def _checked_sizes(batch: Any) -> list[int]:
    sizes = list(batch) if isinstance(batch, Sequence) and not isinstance(batch, str) else [batch]
    if not sizes or any(isinstance(size, bool) or not isinstance(size, int) for size in sizes):
        raise TypeError(
            f"expected batch as an int or several, got {batch!r}, because kernels are made for batches of fixed sizes; "
            "try batch=64, or batch=(1, 64)"
        )
    if min(sizes) < 1:
        raise ValueError(f"expected batch >= 1, got {batch!r}, because it counts points; try batch=64")
    return sizes


def _checked_level(level: Any) -> tuple[Level, ...]:
    if level not in _LEVELS:
        raise ValueError(
            f"expected level to be 'auto', 'inductor' or 'graph', got {level!r}, because these are the ways to "
            "evaluate a traced density; try 'auto'"
        )
    return ("graph",) if level == "graph" or not has_compiler() else ("inductor", "graph")


def _traced(density: LogDensity, size: int) -> tuple[Traced, Tensor]:
    points = torch.stack(density.starts)
    points = points.repeat(-(-size // len(points)), 1)[:size].contiguous()
    log_prob = density._reading.log_prob
    cache: dict[Any, tuple[Any, Traced]] = density.__dict__.setdefault("_traces", {})
    key = id(log_prob), size  # a copy of the density may have been given another function
    if key not in cache:
        function = lambda z: density._value_and_grad(z.detach().requires_grad_())  # noqa: E731
        cache[key] = log_prob, trace(function, [points], numbers_are_data=True)
    return cache[key][1], points


def _kernel(density: LogDensity, size: int, level: Level) -> Kernel:
    traced, points = _traced(density, size)
    return lower(traced, level, [points])


def _disagreement(density: LogDensity, compiled: CompiledDensity) -> str:
    """Empty where values and gradients agree with the eager ones to 1e-12 and the effect of rounding the point."""
    starts = torch.stack(density.starts)
    noise = torch.randn(4, density.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    points = torch.cat([starts, starts[0] + 0.5 * noise])
    nearby = points * (1 + 4 * torch.finfo(torch.float64).eps)
    eager, moved = density.value_and_grad(points), density.value_and_grad(nearby)
    for size in compiled.batch_sizes:
        alone = CompiledDensity(density, {size: compiled._kernels[size]}, 0.0)
        try:
            parts = [alone._evaluate(part) for part in points.split(size)]
        except (RuntimeError, *BAD_POINT) as error:
            return f"it fails when called ({type(error).__name__}: {error})"
        for what, index in (("values", 0), ("gradients", 1)):
            ours, theirs = torch.cat([part[index] for part in parts]), eager[index]
            finite = theirs.nan_to_num(0.0, 0.0, 0.0).abs()
            scale = 1 + (finite if index == 0 else finite.amax(-1, keepdim=True))
            slack = _TOLERANCE * scale + 10 * (theirs - moved[index]).abs().nan_to_num(0.0, 0.0, 0.0)
            same = (ours == theirs) | ((ours - theirs).abs() <= slack) | (ours.isnan() & theirs.isnan())
            if not bool(same.all()):
                worst = float(((ours - theirs).abs() / scale).nan_to_num(torch.inf)[~same].max())
                return f"its {what} differ from the eager ones by {worst:.1e} of their size"
    return ""


def compiled_for(density: LogDensity, evaluations: int, batch: int) -> LogDensity:
    """What `LogDensity.compiled_for` does."""
    held = density._reading.parameters
    if type(density) is not LogDensity or not density.vectorized or held or evaluations < _FEWEST:
        return density
    rows = min(batch, density._rows)
    points = torch.stack(density.starts).repeat(rows, 1)[:rows]
    times = []
    for _ in range(3):
        began = time.perf_counter()
        density.value_and_grad(points)
        times.append(time.perf_counter() - began)
    run = min(times) * evaluations * -(-batch // rows)
    try:
        if 0.5 * run < 2 * _TRACE_CALLS * min(times) + 0.5:
            return density
        ready = is_compiled(_traced(density, rows)[0])
    except NotTraceable as error:
        return _eager(density, str(error))
    pays = ready or 0.5 * run > 2 * _INDUCTOR_SECONDS
    return density.compile(rows, "auto" if pays else "graph")


_FEWEST = 100
_TRACE_CALLS = 200
"""Tracing takes about as long as this many eager calls (and a second once a process)."""
_INDUCTOR_SECONDS = 25.0
"""A cautious guess at inductor's time for one graph: 4 to 20 seconds on one core."""
