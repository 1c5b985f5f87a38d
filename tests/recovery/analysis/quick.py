"""Reading harmless functions without the gate, which takes most of the time."""

from __future__ import annotations

from collections.abc import Callable

import torch

from pyro_symvi.recovery.analysis.expressions import Expressions
from pyro_symvi.recovery.analysis.gate import Traced, pure_trace
from pyro_symvi.recovery.analysis.lowering import lower
from pyro_symvi.recovery.analysis.polynomials import Polynomial


def traced(function: Callable[[torch.Tensor], torch.Tensor], dim: int) -> Traced:
    return pure_trace(lambda z: function(z).sum(), torch.linspace(-0.7, 0.9, dim + 1, dtype=torch.float64)[:dim])


def expression(function: Callable[[torch.Tensor], torch.Tensor], dim: int) -> tuple[Expressions, Polynomial]:
    """The table and the canonical expression."""
    table = Expressions()
    return table, lower(traced(function, dim), table)
