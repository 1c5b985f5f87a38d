"""A posterior whose value and gradient are machine code made for batches of fixed sizes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .._value import positive_int
from ..density._kernels import Kernel, Level, has_compiler, lower
from ..density._tracing import NotTraceable, trace
from ._posterior import NetworkPosterior

#: From tensors to a tuple of tensors.
TensorFunction = Callable[..., Sequence[Tensor]]
_LOG = logging.getLogger("pyro_symvi.bnn")


class CompiledPosterior(NetworkPosterior):
    """The same posterior, with a faster ``value_and_grad``; made by `NetworkPosterior.compile`.

    A batch is cut into parts of the largest size there is code for; what is left is padded to the smallest size that
    holds it. Everything else is that of the posterior it was made from, data included: they are constants.

    Attributes:
        chains: the sizes there is code for.
        level: ``"inductor"`` or ``"graph"``.
        compile_seconds: what recording, compiling and checking took.
    """

    def __init__(self, posterior: NetworkPosterior, kernels: dict[int, Kernel]) -> None:
        self.__dict__.update(posterior.__dict__)
        self._eager, self._kernels = posterior, dict(sorted(kernels.items()))
        self.chains = tuple(self._kernels)
        self.level = next(iter(kernels.values())).level
        self.compile_seconds = 0.0
        self._fused: dict[TensorFunction, _Fused] = {}

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError(
            "expected a posterior that can be copied, got a compiled one, because machine code stays in its process; "
            "try to copy the posterior it was made from, and compile the copy"
        )

    def compile(self, chains: int | Sequence[int] = 12, level: str = "auto") -> NetworkPosterior:
        """The posterior at other sizes, or on another level."""
        return self._eager.compile(chains, level)

    def value_and_grad(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Log density ``[*batch]`` and its gradient ``[*batch, dim]``; nothing is left for autograd."""
        flat, batch = self._flat(theta.detach())
        if not len(flat) or flat.dtype != self.dtype or flat.device != self.x.device:
            return self._eager.value_and_grad(theta)
        if len(flat) in self._kernels:
            value, gradient = _owned(self._kernels[len(flat)](flat.contiguous()))[:2]
        else:
            largest = self.chains[-1]
            parts = [self._evaluate(part) for part in flat.split(largest)]
            value, gradient = (torch.cat(columns) for columns in zip(*parts, strict=True))
        return value.reshape(batch), gradient.reshape(theta.shape)

    def fuse(self, function: TensorFunction) -> TensorFunction:
        """``function(*tensors) -> tuple of tensors`` compiled for the shapes it is called with, the first time.

        For what samplers do between two gradients. ``function`` must not branch on values. Where its first argument
        has not as many rows as there is code for, or it cannot be compiled, it is called as it is.
        """
        if function not in self._fused:
            self._fused[function] = _Fused(function, self.chains, self.level)
        return self._fused[function]

    def _evaluate(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """At ``[rows, dim]``, rows at most the largest size."""
        rows = len(flat)
        size = next(size for size in self.chains if size >= rows)
        padded = flat.contiguous() if size == rows else torch.cat([flat, flat[:1].expand(size - rows, -1)])
        value, gradient = _owned(self._kernels[size](padded))[:2]
        return value[:rows], gradient[:rows]


class _Fused:
    """A function of tensors, compiled for each tuple of shapes and dtypes it meets."""

    def __init__(self, function: TensorFunction, chains: Sequence[int], level: Level) -> None:
        self._function, self._chains, self._level = function, chains, level
        self._ready: dict[tuple[Any, ...], TensorFunction] = {}

    def __call__(self, *tensors: Tensor) -> Sequence[Tensor]:
        key = tuple((tensor.shape, tensor.dtype) for tensor in tensors)
        run = self._ready.get(key)
        if run is None:
            run = self._ready[key] = self._made(tensors)
        return run(*(tensor.contiguous() for tensor in tensors))

    def _made(self, tensors: Sequence[Tensor]) -> TensorFunction:
        if len(tensors[0]) not in self._chains:
            return self._function
        given = [tensor.detach().contiguous() for tensor in tensors]
        expected = self._function(*given)
        try:
            kernel = lower(trace(self._function, given), self._level, given)
        except NotTraceable as error:
            _LOG.info("%s is evaluated eagerly: %s", self._function.__name__, error)
            return self._function
        outputs = len(expected)
        for ours, theirs in zip(kernel(*given), expected, strict=False):
            if not _close(ours, theirs):
                _LOG.info("%s is evaluated eagerly: its numbers differ when compiled", self._function.__name__)
                return self._function
        return lambda *values: _owned(kernel(*values))[:outputs]


def _owned(results: Sequence[Tensor]) -> Sequence[Tensor]:
    """Results that the next call leaves alone: CUDA graphs write into the same memory each time."""
    return [result.clone() for result in results] if results[0].is_cuda else results


def _close(ours: Tensor, theirs: Tensor) -> bool:
    if not theirs.is_floating_point():
        return torch.equal(ours, theirs)
    tolerance = 1000 * torch.finfo(theirs.dtype).eps
    size = float(theirs.abs().nan_to_num(0.0, 0.0, 0.0).max()) if theirs.numel() else 0.0
    return torch.allclose(ours, theirs, rtol=tolerance, atol=tolerance * (1 + size), equal_nan=True)


def compile_posterior(posterior: NetworkPosterior, chains: int | Sequence[int], level: str) -> NetworkPosterior:
    """What `NetworkPosterior.compile` does."""
    sizes = sorted({positive_int(size, "chains") for size in ([chains] if isinstance(chains, int) else chains)})
    if not sizes:
        raise ValueError("expected at least one number of chains, got none; try 12")
    if level not in ("auto", "inductor", "graph"):
        raise ValueError(f"expected level as 'auto', 'inductor' or 'graph', got {level!r}; try 'auto'")
    if level != "graph" and posterior.x.device.type == "cpu" and not has_compiler():
        return _eager(posterior, "there is no C++ compiler")
    began = time.perf_counter()
    generator = torch.Generator().manual_seed(0)
    points = 0.5 * torch.randn(max(sizes), posterior.dim, generator=generator, dtype=torch.float64).to(posterior.x)
    expected = posterior.value_and_grad(points)  # before anything is recorded, so that what is cached is real
    try:
        kernels = {size: _kernel(posterior, points[:size].contiguous(), level) for size in sizes}
    except NotTraceable as error:
        return _eager(posterior, str(error))
    found = CompiledPosterior(posterior, kernels)
    reason = _disagreement(found, points, expected)
    if reason:
        return _eager(posterior, reason)
    found.compile_seconds = time.perf_counter() - began
    return found


def _eager(posterior: NetworkPosterior, reason: str) -> NetworkPosterior:
    _LOG.info("%r is evaluated eagerly: %s", posterior, reason)
    return posterior


def _kernel(posterior: NetworkPosterior, points: Tensor, level: str) -> Kernel:
    traced = trace(posterior.value_and_grad, [points])
    return lower(traced, "graph" if level == "graph" else "inductor", [points])


def _disagreement(found: CompiledPosterior, points: Tensor, expected: tuple[Tensor, Tensor]) -> str:
    """Empty where all sizes agree with the eager posterior up to rounding: that of sums over rows and weights."""
    moved = found._eager.value_and_grad(points * (1 + 4 * torch.finfo(points.dtype).eps))
    tolerance = 50 * torch.finfo(points.dtype).eps
    for size, kernel in found._kernels.items():
        for ours, theirs, nearby in zip(kernel(points[:size].contiguous())[:2], expected, moved, strict=True):
            theirs, nearby = theirs[:size], nearby[:size]
            scale = theirs.abs() if theirs.ndim == 1 else theirs.abs().amax(-1, keepdim=True)
            slack = tolerance * (1 + scale) + 10 * (nearby - theirs).abs()
            wrong = ~((ours - theirs).abs() <= slack) & ~(theirs.isnan() & ours.isnan())
            if bool(wrong.any()):
                worst = float(((ours - theirs).abs() / (1 + scale))[wrong].max())
                return f"its numbers differ from the eager ones by {worst:.1e} of their size"
    return ""
