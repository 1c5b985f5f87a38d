"""Reading a plain function as a density with one real site."""

from __future__ import annotations

from collections.abc import Callable

import torch
from pyro.distributions import constraints

from ._checks import BAD_POINT
from ._model import Reading
from ._precision import WatchPrecision, double_precision
from ._sites import Site
from ._state import seeded


def read_function(function: Callable[[torch.Tensor], torch.Tensor], dim: int) -> Reading:
    """Check the arguments of `LogDensity.from_callable`, choose the precision, and describe the function."""
    if not callable(function):
        raise TypeError(
            f"expected a function of z[..., d], got {type(function).__name__}, because it is called; try a lambda"
        )
    if isinstance(dim, bool) or not isinstance(dim, int):
        raise TypeError(f"expected dim as an int, got {dim!r}, because it is the length of z; try z.shape[-1]")
    if dim < 1:
        raise ValueError(f"expected dim >= 1, got {dim}, because a density needs a coordinate; try dim=1")
    with seeded(0):
        starts = tuple(torch.empty(dim, dtype=torch.float64).uniform_(-2, 2) for _ in range(3))
    promoted = _meets_float32(function, starts)

    def log_prob(z: torch.Tensor) -> torch.Tensor:
        with double_precision(promoted):
            return function(z)

    return Reading(
        sites=(Site("z", slice(0, dim), torch.Size([dim]), torch.Size([dim])),),
        log_prob=log_prob,
        supports_at=lambda z: {"z": constraints.real_vector},
        values=lambda z: ({"z": z}, z.new_zeros(())),
        starts=starts,
        what="function",
        elements=dim,
    )


def _meets_float32(function: Callable[[torch.Tensor], torch.Tensor], starts: tuple[torch.Tensor, ...]) -> bool:
    """Whether float32 tensors come up (a float32 closure, say), and casting them does no harm."""
    for z in starts:
        watch = WatchPrecision()
        try:
            with seeded(0), torch.no_grad(), double_precision(), watch:
                function(z)
        except BAD_POINT:
            continue
        except Exception:
            pass  # casting may be the cure; if not, the checks of LogDensity tell the user
        return watch.low
    return False
