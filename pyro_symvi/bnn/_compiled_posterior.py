"""A posterior whose value and gradient are machine code made for batches of fixed sizes."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .._value import positive_int
from ..density._kernels import Kernel, has_compiler, lower
from ..density._tracing import NotTraceable, trace
from ._posterior import NetworkPosterior

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
        if not len(flat):
            return self._eager.value_and_grad(theta)
        if len(flat) in self._kernels:
            value, gradient = self._kernels[len(flat)](flat.contiguous())[:2]
        else:
            largest = self.chains[-1]
            parts = [self._evaluate(part) for part in flat.split(largest)]
            value, gradient = (torch.cat(columns) for columns in zip(*parts, strict=True))
        return value.reshape(batch), gradient.reshape(theta.shape)

    def _evaluate(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """At ``[rows, dim]``, rows at most the largest size."""
        rows = len(flat)
        size = next(size for size in self.chains if size >= rows)
        padded = flat.contiguous() if size == rows else torch.cat([flat, flat[:1].expand(size - rows, -1)])
        value, gradient = self._kernels[size](padded)[:2]
        return value[:rows], gradient[:rows]


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
