"""Rescaling while a network learns."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import torch
from torch import nn, optim

from .._group import RescalingGroup
from ..criteria import Criterion, read_criterion
from ..solvers import SOLVERS
from ._checks import check_fit, check_weights
from ._result import rescale_
from ._transport import check_optimizer


class RescaleEvery:
    """Moves a network to the best point of its orbit after every k-th step of its optimiser.

    With the criterion ``"l2"`` and k = 1 this is what ENorm does (Stock, Graham, Gribonval and Jegou 2019), with the
    minimiser itself in place of one cycle towards it. The state of the optimiser is carried along.

    >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    >>> sgd = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    >>> with RescaleEvery(net, RescalingGroup.from_module(net, (3,)), sgd, every=5) as rescaling:
    ...     for _ in range(10):
    ...         net(torch.ones(1, 3)).sum().backward(); sgd.step()
    >>> rescaling.count
    2

    Attributes:
        count: how often the network was rescaled.
        converged: whether each of the solutions met the tolerance.

    Args:
        model: the network.
        group: its rescalings; read once, since training does not change them.
        optimizer: of the network; it is hooked until :meth:`remove`, or the end of the ``with`` block.
        every: k >= 1.
        criterion: as in :func:`path_condition`.
        solver: as in :func:`path_condition`.
        tol: as in :func:`path_condition`; loose, as training goes on.

    Raises:
        ValueError: bad arguments; at a step, nan or inf in the weights.
    """

    def __init__(
        self,
        model: nn.Module,
        group: RescalingGroup,
        optimizer: optim.Optimizer,
        *,
        every: int = 1,
        criterion: str | Criterion = "l2",
        solver: str = "newton",
        tol: float = 1e-6,
    ) -> None:
        check_weights(model)
        if not isinstance(group, RescalingGroup):
            raise TypeError(f"expected a RescalingGroup, got {type(group).__name__}")
        check_fit(model, group)
        check_optimizer(optimizer, model)
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise ValueError(f"expected every >= 1, got {every!r}")
        if solver not in SOLVERS:
            raise ValueError(f"expected a solver among {sorted(SOLVERS)}, got {solver!r}")
        self.model, self.group, self.optimizer, self.every = model, group, optimizer, every
        self.criterion, self.solver, self.tol = read_criterion(criterion), solver, tol
        self.steps, self.count, self.converged = 0, 0, True
        self._handle = optimizer.register_step_post_hook(self._after_step)

    def remove(self) -> None:
        """Let the optimiser go."""
        self._handle.remove()

    def __enter__(self) -> RescaleEvery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def _after_step(self, optimizer: optim.Optimizer, args: Any, kwargs: Any) -> None:
        self.steps += 1
        if self.steps % self.every:
            return
        check_weights(self.model)
        problem = self.criterion.problem(self.group.traced, self.group.parameters(self.model))
        solution = SOLVERS[self.solver](problem, tolerance=self.tol)
        rescale_(self.model, self.group, torch.from_numpy(solution.z), optimizer)
        self.count += 1
        self.converged &= solution.converged
