"""What path conditioning found, and how to use it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn, optim

from .._group import RescalingGroup
from ..criteria import Criterion, Problem, RangeCriterion
from ..solvers import Solution
from ._report import ConditioningReport
from ._transport import check_optimizer, scale_, transport_


@dataclass(eq=False, repr=False)
class Conditioning:
    """The optimum on the rescaling orbit of a network, with its certificate.

    Attributes:
        model: the network, untouched until :meth:`apply_`.
        group: the rescalings that were used.
        criterion: what was minimised.
        solver: by which solver.
        tol: to which tolerance.
        log_scale: z ``[H]``; weights into unit h and its bias are multiplied by exp(z_h / 2), weights out divided.
        problem: the objective along the orbit, with its derivatives.
        solution: what the solver returned.
        max_rel_output_change: max |f' - f| / max |f| for normal inputs, in the types of the model; rounding alone
            makes it about 1e-15 in float64, 1e-6 in float32, 1e-3 in float16 and 1e-2 in bfloat16.
        applied: whether :meth:`apply_` has rescaled the model.
    """

    model: nn.Module
    group: RescalingGroup
    criterion: Criterion
    solver: str
    tol: float
    log_scale: Tensor
    problem: Problem
    solution: Solution
    max_rel_output_change: float
    applied: bool = False

    @property
    def live(self) -> int:
        """The number of parameters that count (for ``"path"`` those on a path that other zeros do not cut)."""
        return self.problem.count

    @property
    def objective(self) -> tuple[float, float]:
        """The objective before and after, per live parameter (``"range"``: a largest weight, not divided)."""
        n = 1 if isinstance(self.criterion, RangeCriterion) else max(self.live, 1)
        return float(self.solution.history[0]) / n, float(self.solution.history[-1]) / n

    @property
    def history(self) -> tuple[float, ...]:
        """The objective (in total) at the start and after each iteration; it never rises."""
        return self.solution.history

    @property
    def grad_norm(self) -> float:
        """The certificate: the residual of the optimality condition at the end, a pure number."""
        return self.solution.residual

    @property
    def distance(self) -> float:
        """How far z is from the optimum, to first order; inf where the residual is above the tolerance."""
        return self.solution.distance

    @property
    def converged(self) -> bool:
        """Whether the certificate is within the tolerance, and z nearer to the optimum than a hundred times that."""
        return self.solution.converged

    @property
    def frozen(self) -> Tensor:
        """Indices of the units that kept z = 0 because a zero cuts them off from inputs or outputs, ``[k]``."""
        return torch.from_numpy(self.problem.frozen).nonzero()[:, 0]

    def apply_(self, optimizer: optim.Optimizer | None = None) -> nn.Module:
        """Rescale the network in place and return it.

        Gradients that lie in ``parameter.grad`` are carried along with the weights, and so is what the optimiser
        remembers of them (see :func:`transport_`).

        Raises:
            ValueError: the network was rescaled before, the optimiser's state can't be carried along, or a weight
                would be too large for its type; the network is left as it is.
        """
        if self.applied:
            raise ValueError(
                "expected a network that this result has not rescaled yet, got a second apply_; try path_condition"
            )
        if optimizer is not None:
            check_optimizer(optimizer, self.model)
        rescale_(self.model, self.group, self.log_scale, optimizer)
        self.applied = True
        return self.model

    def copy(self) -> nn.Module:
        """A rescaled copy; the network is left as it is."""
        twin = copy.deepcopy(self.model)
        if not self.applied:
            rescale_(twin, self.group, self.log_scale)
        return twin

    def report(self) -> ConditioningReport:
        """Units, objective, certificate and output change, to print or to write as JSON."""
        return ConditioningReport(self)

    def to_dict(self) -> dict[str, Any]:
        """The numbers of the report, for JSON."""
        return self.report().to_dict()

    def __repr__(self) -> str:
        before, after = self.objective
        state = "converged" if self.converged else "not converged"
        return f"Conditioning({self.criterion!r}, {before:.4g} -> {after:.4g} per parameter, {state})"


def rescale_(
    model: nn.Module, group: RescalingGroup, log_scale: Tensor, optimizer: optim.Optimizer | None = None
) -> None:
    """Move weights, gradients and the state of an optimiser by z."""
    logs = group.layout.unflatten(group.action.log_factors(log_scale.double() / 2))
    for name, parameter in model.named_parameters():
        moved = parameter.detach().to("cpu").double() * logs[name].exp()
        if not bool(moved.abs().max() <= torch.finfo(parameter.dtype).max if moved.numel() else True):
            raise ValueError(
                f"expected weights that {parameter.dtype} can hold after rescaling, got {moved.abs().max():.3g} in "
                f"{name!r}; try model.float() or model.double() first"
            )
    group.apply_(model, log_scale)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                scale_(parameter.grad, -logs[name])
    if optimizer is not None:
        transport_(optimizer, model, logs)
