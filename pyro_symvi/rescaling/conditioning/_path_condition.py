"""Moving a network to the best point of its rescaling orbit."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from .._group import RescalingGroup
from ..criteria import Criterion, read_criterion
from ..solvers import SOLVERS
from ._result import Conditioning


def path_condition(
    model: nn.Module,
    group: RescalingGroup | Sequence[int],
    *,
    criterion: str | Criterion = "path",
    solver: str = "newton",
    tol: float = 1e-8,
) -> Conditioning:
    """The best point of the orbit of a network's parameters; the network is left as it is until ``apply_``."""
    if not isinstance(group, RescalingGroup):
        group = RescalingGroup.from_module(model, group)
    problem = read_criterion(criterion).problem(group.traced, group.parameters(model))
    solution = SOLVERS[solver](problem, tolerance=tol)
    return Conditioning(model, group, torch.from_numpy(solution.z), solution)
