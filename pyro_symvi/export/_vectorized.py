"""One function of a draw at many draws: a single batched call where torch can batch it, else a loop."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..density._refusals import Refusal
from ..density._state import seeded

Row = Callable[[Mapping[str, Tensor], Tensor], dict[str, Tensor]]
"""What is computed of one draw: its values, and a zero that is different for each draw in the eyes of ``vmap``."""

_FACTORIES = {
    torch.empty,
    torch.empty_like,
    torch.full,
    torch.ones,
    torch.ones_like,
    torch.zeros,
    torch.zeros_like,
    torch.Tensor.new,
    torch.Tensor.new_empty,
    torch.Tensor.new_full,
    torch.Tensor.new_ones,
    torch.Tensor.new_zeros,
}


class OwnStorage(TorchFunctionMode):
    """Inside ``torch.func.vmap``, gives each draw its own copy of every tensor that is made.

    ``torch.distributions`` draws by ``torch.empty(shape).normal_()``, in place, which ``vmap`` refuses on a tensor that
    all draws share. Values are unchanged.
    """

    def __init__(self, zero: Tensor) -> None:
        super().__init__()
        self.zero = zero

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call ``func``; add the draw's zero to what a factory returns."""
        made = func(*args, **(kwargs or {}))
        if func in _FACTORIES and isinstance(made, Tensor) and made.dtype != torch.bool:
            return made + self.zero.to(made.dtype)
        return made


def at_each(row: Row, values: Mapping[str, Tensor], count: int, *, seed: int, chunk: int = 4096) -> dict[str, Tensor]:
    """``row`` at ``{name: [count, ...]}``, results stacked: ``{name: [count, ...]}``, without gradients.

    Random numbers come from ``seed``, different for each draw; torch's, numpy's and python's states are left as they
    were.

    Args:
        row: Takes the values of one draw.
        values: Batched in front.
        count: Number of draws.
        seed: Of what is drawn inside.
        chunk: At most so many draws in one call.

    Raises:
        ValueError: What ``row`` refuses.
    """
    with torch.no_grad():
        try:
            with seeded(seed):
                parts = [_batched(row, values, start, min(start + chunk, count)) for start in range(0, count, chunk)]
            return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        except Refusal:
            raise
        except Exception:  # data-dependent control flow, an operation without a rule: one by one says what is wrong
            zero = torch.zeros(())
            with seeded(seed):
                rows = [row({name: value[i] for name, value in values.items()}, zero) for i in range(count)]
            return {name: torch.stack([one[name] for one in rows]) for name in rows[0]}


def _batched(row: Row, values: Mapping[str, Tensor], start: int, stop: int) -> dict[str, Tensor]:
    names = list(values)

    def one(zero: Tensor, *parts: Tensor) -> dict[str, Tensor]:
        with OwnStorage(zero):
            return row(dict(zip(names, parts, strict=True)), zero)

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="There is a performance drop")
        mapped = torch.func.vmap(one, randomness="different")
        result: dict[str, Tensor] = mapped(torch.zeros(stop - start), *(values[name][start:stop] for name in names))
    return result
