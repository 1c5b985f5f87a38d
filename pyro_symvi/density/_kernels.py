"""Traced graphs made into fast functions, each compiled once in a process."""

from __future__ import annotations

import functools
import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ._precision import float64_default
from ._tracing import NotTraceable, Traced

Level = Literal["inductor", "graph"]
_COMPILED: dict[tuple[Any, ...], Callable[..., Sequence[Tensor]]] = {}


@dataclass(frozen=True)
class Kernel:
    """A traced function ready to be called with its inputs; no autograd graph.

    Attributes:
        level: ``"inductor"`` (fused machine code) or ``"graph"`` (one torch operator after another, without Python of
            the model).
        outputs: Number of outputs proper; the status words of linear algebra follow.
    """

    run: Callable[..., Sequence[Tensor]]
    constants: tuple[Tensor, ...]
    level: Level
    outputs: int
    checks: bool = False
    """Whether status words follow the outputs."""

    def __call__(self, *inputs: Tensor) -> Sequence[Tensor]:
        """Outputs at ``inputs``, which have the shapes, layouts and dtypes of those it was traced at."""
        return self.run(*inputs, *self.constants)

    def failed(self, results: Sequence[Tensor]) -> bool:
        """Whether linear algebra failed somewhere (a matrix that is not positive definite)."""
        return any(bool(info.any()) for info in results[self.outputs :])


@functools.cache
def has_compiler() -> bool:
    """Whether inductor finds what it needs: a C++ compiler."""
    try:
        from torch._inductor import config

        wanted = config.cpp.cxx
    except (ImportError, AttributeError):
        return False
    names = wanted if isinstance(wanted, (list, tuple)) else (wanted,)
    return any(name and shutil.which(str(name)) for name in (*names, "g++", "clang++"))


def is_compiled(traced: Traced) -> bool:
    """Whether this graph, or one that differs in the numbers of its constants only, has been compiled."""
    return traced.key in _COMPILED


def lower(traced: Traced, level: Level, inputs: Sequence[Tensor]) -> Kernel:
    """The kernel of a graph: for ``"inductor"`` compiled, or taken from this process' cache.

    Raises:
        NotTraceable: Inductor does not take the graph.
    """
    if level == "graph":
        return Kernel(_interpreted(traced), traced.constants, level, traced.outputs, traced.checks)
    if traced.key not in _COMPILED:
        try:
            _COMPILED[traced.key] = _compiled(traced, inputs)
        except Exception as error:
            first = next(iter(str(error).strip().splitlines()), "no message")
            raise NotTraceable(f"inductor: {type(error).__name__}: {first}") from error
    return Kernel(_COMPILED[traced.key], traced.constants, level, traced.outputs, traced.checks)


def _interpreted(traced: Traced) -> Callable[..., Sequence[Tensor]]:
    forward = traced.module.forward

    def run(*tensors: Tensor) -> Sequence[Tensor]:
        with torch.no_grad(), float64_default():
            results: Sequence[Tensor] = forward(*tensors)
            return results

    return run


def _compiled(traced: Traced, inputs: Sequence[Tensor]) -> Callable[..., Sequence[Tensor]]:
    """Straight through inductor: no dynamo, hence no guards at each call; shapes are the caller's business."""
    import torch._inductor.config as config
    from torch._inductor.compile_fx import compile_fx

    tensors = [*inputs, *traced.constants]
    graphs = all(tensor.is_cuda for tensor in tensors)
    with warnings.catch_warnings(), torch.no_grad(), float64_default():
        warnings.simplefilter("ignore")
        with config.patch({"size_asserts": False, "alignment_asserts": False, "triton.cudagraphs": graphs}):
            run: Any = compile_fx(traced.module, tensors)
    run = getattr(run, "_torchdynamo_orig_callable", run)  # the wrapper tells dynamo to keep out; nobody else needs it
    if not callable(run):
        raise TypeError(f"expected a function from inductor, got {type(run).__name__}")

    def without_graph(*tensors: Tensor) -> Sequence[Tensor]:
        with torch.no_grad():
            results: Sequence[Tensor] = run(*tensors)
            return results

    return without_graph
