"""What is refused, and why: modes, chance, samples that see each other, layouts without samples."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..groups._errors import sentence


def modules_of(model: Any) -> list[nn.Module]:
    """The torch modules that a model is made of: itself, or those that a function, method or partial refers to."""
    if isinstance(model, nn.Module):
        return [model]
    if isinstance(model, functools.partial):
        return [m for part in (model.func, *model.args, *model.keywords.values()) for m in modules_of(part)]
    found: list[nn.Module] = []
    if inspect.ismethod(model):
        found = modules_of(model.__self__) if isinstance(model.__self__, nn.Module) else []
        model = model.__func__
    if inspect.isfunction(model):
        names = inspect.getclosurevars(model)
        found += [v for v in (*names.nonlocals.values(), *names.globals.values()) if isinstance(v, nn.Module)]
    return found


def require_evaluation_mode(model: Any) -> None:
    """Refuse a model any part of which is in training mode."""
    parts = [(name, part) for whole in modules_of(model) for name, part in whole.named_modules()]
    training = [name or f"the model ({type(part).__name__})" for name, part in parts if part.training]
    if training:
        more = f" and {len(training) - 5} more" if len(training) > 5 else ""
        raise ValueError(
            sentence(
                "a model in evaluation mode",
                f"training mode in {', '.join(training[:5])}{more}",
                "dropout and batch statistics make the response to one orientation depend on chance and on others",
                "model.eval(), or allow_training=True to look at it as it is",
            )
        )


@contextmanager
def buffers_kept(model: Any, active: bool) -> Iterator[None]:
    """Put the buffers (running statistics) back afterwards, where a model in training mode would have changed them."""
    parts = [part for whole in modules_of(model) for part in whole.modules() if part.training] if active else []
    kept = [(b, b.detach().clone()) for part in parts for b in part.buffers(recurse=False)]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in kept:
                if not torch.equal(buffer, value):
                    buffer.copy_(value)


def misfit(value: Tensor, rows: int) -> str:
    """Why a tensor is no response ``[rows, ...]``; empty if it is one."""
    if torch._C._functorch.is_batchedtensor(value):
        return "called under vmap, one sample at a time"
    if value.ndim == 0 or len(value) != rows:
        return f"shape {list(value.shape)}, where {rows} samples were expected on the first axis"
    return "" if value.numel() else f"no entries in shape {list(value.shape)}"


def apart(a: Tensor, b: Tensor, tolerance: float) -> bool:
    """Differ by more than rounding explains; nan is apart from everything but nan."""
    scale = float(a.abs().nan_to_num(0.0, 0.0, 0.0).max()) if a.numel() else 0.0
    return not bool(torch.isclose(a, b, rtol=0.0, atol=tolerance * scale + 1e-30, equal_nan=True).all())


def no_samples(name: str, why: str) -> ValueError:
    """Of an entry that is wanted and has no samples axis."""
    return ValueError(
        sentence(
            f"a response with the samples on its first axis from {name!r}",
            why,
            "energies are those of f(g x), one row for each image of each sample",
            "layers= without it, or a wrapper that keeps the samples first (x[None] for a single sample)",
        )
    )


def another_shape(names: list[str]) -> ValueError:
    """Of outputs whose layout changes along the orbit."""
    return ValueError(
        sentence(
            "outputs of one shape at every image of the inputs",
            f"another shape in {', '.join(names)}",
            "responses along the orbit are averaged entry by entry (neighbour lists, samplings and sortings that "
            "change with orientation do this)",
            "layers= without these",
        )
    )


def by_chance(name: str, drawn: bool) -> ValueError:
    """Of two answers to one input."""
    how = "the model draws random numbers" if drawn else "nothing was drawn from a known generator"
    return ValueError(
        sentence(
            "a deterministic model",
            f"two answers to one input in {name!r} ({how})",
            "noise would be taken for broken symmetry",
            "to switch sampling and dropout off (F.dropout needs training=self.training), to fix the seed inside "
            "forward, or allow_training=True to look at it as it is",
        )
    )


def among_others(name: str) -> ValueError:
    """Of an answer that depends on the other samples."""
    return ValueError(
        sentence(
            "samples that do not see each other",
            f"an answer that depends on the rest of the batch in {name!r}",
            "images are evaluated many at a time (batch statistics do this even in evaluation mode where they are not "
            "tracked, and so does a cloud passed without a samples axis)",
            "x[None] for a single sample, or batch=1 to evaluate samples one by one",
        )
    )


def not_finite(name: str) -> ValueError:
    """Of nan or inf."""
    return ValueError(
        f"expected finite outputs, got nan or inf in {name!r} at an image of the inputs, because sums over the group "
        "would be nan; try layers= without it, or larger floats"
    )


#: Sums of squares below it have lost digits, or everything.
SMALLEST = 1e-280


def not_square(name: str, small: bool) -> ValueError:
    """Of outputs whose squares are not floats."""
    return ValueError(
        sentence(
            f"outputs whose squares are floats in {name!r}",
            "no entry above 1e-140" if small else "entries above 1e150",
            "energies and errors are sums of squares, which would be 0 and read as a symmetry"
            if small
            else "energies and errors are sums of squares, which would be inf",
            "the output in other units, or its logarithm",
        )
    )
