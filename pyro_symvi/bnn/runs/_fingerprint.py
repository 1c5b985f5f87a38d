"""What a run is, in numbers and words that can be compared: a checkpoint is continued by the same run alone."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..._layout import Layout
from ..._value import Value
from .._compiled_posterior import CompiledPosterior
from .._posterior import NetworkPosterior
from ..samplers import Target
from ._block import Work

#: Plain values, as JSON has them.
Plain = dict[str, Any]


def layout_of(target: Target) -> Layout:
    """The target's layout; one vector ``theta`` for targets that are no networks."""
    layout = getattr(target, "layout", None)
    return layout if isinstance(layout, Layout) else Layout(("theta",), ((target.dim,),))


def describe(value: object) -> str:
    """A frozen value with all its options, those at their defaults too."""
    if isinstance(value, Value):
        fields = ", ".join(f"{name}={describe(entry)}" for name, entry, _ in value._fields())
        return f"{type(value).__name__}({fields})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{describe(k)}: {describe(v)}" for k, v in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "(" + ", ".join(map(describe, value)) + ")"
    return digest([value]) if isinstance(value, Tensor) else repr(value)


def _shortened(text: str) -> str:
    """A text of up to 400 characters; of longer ones the beginning and a hash of the whole."""
    return text if len(text) <= 400 else f"{text[:300]}... ({hashlib.sha256(text.encode()).hexdigest()[:16]})"


def digest(tensors: Sequence[Tensor]) -> str:
    """Sixteen hexadecimal digits of a hash of dtypes, shapes and all bits."""
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(f"{tensor.dtype} {list(tensor.shape)};".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:16]


def fingerprint(work: Work, start: Tensor | None) -> Plain:
    """All that a draw depends on, under names that a message can tell."""
    plan = work.plan
    return {
        **_of_target(work.target, start),
        "sampler": _shortened(describe(work.sampler)),
        "moves": [_shortened(describe(move)) for move in work.moves],
        "start": "prior" if start is None else digest([start]),
        **{name: getattr(plan, name) for name in ("chains", "thin", "warmup", "block", "pack", "seed")},
    }


def _of_target(target: Target, start: Tensor | None) -> Plain:
    if not isinstance(target, NetworkPosterior):
        return {
            "target": type(target).__qualname__,
            "dim": target.dim,
            "log density at two points": _probe(target, start),
        }
    layout, trainable = target.layout, set(target.layout.names)
    fixed = {name: value for name, value in target.network.state_dict().items() if name not in trainable}
    return {
        "target": type(target).__name__,
        "layout": {name: list(shape) for name, shape in zip(layout.names, layout.shapes, strict=True)},
        "network": repr(target.network),
        "fixed parameters and buffers": digest(list(fixed.values())),
        "likelihood": _shortened(describe(target.likelihood)),
        "prior": _shortened(describe(target.prior)),
        "data": digest([target.x, target.y]),
        "dtype": str(target.dtype),
        **({"compiled": f"{target.level} for {target.chains} chains"} if isinstance(target, CompiledPosterior) else {}),
    }


def _probe(target: Target, start: Tensor | None) -> list[float]:
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(2, target.dim, generator=generator, dtype=torch.float64)
    points = points.to(getattr(target, "dtype", torch.float64)) if start is None else points.to(start)
    return target.value_and_grad(points)[0].double().tolist()


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What differs, in words: name, value there, value here."""
    return [
        f"{name}: {_shortened(str(found.get(name)))} there, {_shortened(str(wanted.get(name)))} here"
        for name in dict.fromkeys((*wanted, *found))
        if not _same(found.get(name), wanted.get(name))
    ]


def _same(a: object, b: object) -> bool:
    """Equal, or densities equal up to the rounding of another processor."""
    if isinstance(a, list) and isinstance(b, list) and a and all(isinstance(v, float) for v in (*a, *b)):
        close = (math.isclose(x, y, rel_tol=1e-5) or x == y for x, y in zip(a, b, strict=False))
        return len(a) == len(b) and all(close)
    return a == b
