"""Moving a network to the best point of its rescaling orbit."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn, optim

from ..._stages import Progress, stages
from .._group import RescalingGroup
from ..criteria import Criterion, read_criterion
from ..solvers import SOLVERS
from ._change import output_change
from ._checks import check_fit, check_weights
from ._input_shape import guess_input_shape
from ._result import Conditioning
from ._transport import check_optimizer


def path_condition(
    model: nn.Module,
    group: RescalingGroup | Sequence[int] | None = None,
    *,
    input_shape: Sequence[int] | Sequence[Sequence[int]] | None = None,
    criterion: str | Criterion = "path",
    solver: str = "newton",
    tol: float = 1e-8,
    max_iterations: int | None = None,
    inplace: bool = False,
    optimizer: optim.Optimizer | None = None,
    progress: Progress = False,
) -> Conditioning:
    """The point of a network's rescaling orbit that is best by a criterion, theta' = theta exp(-B z / 2).

    The function of the network stays as it is; z minimises a convex objective, so the result does not depend on where
    on its orbit the network was. Computed in float64 on the CPU, applied in the types and on the devices of the
    model. The network is left as it is, unless ``inplace``: see ``Conditioning.apply_`` and ``Conditioning.copy``.

    >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    >>> result = path_condition(net)
    >>> result.converged, result.objective[1] <= result.objective[0]
    (True, True)

    Args:
        model: the network.
        group: its rescalings, or the shape of one sample; None reads them from the network.
        input_shape: shape of one sample without the batch axis, ``(3, 32, 32)`` or ``(784,)``; several inputs: a list
            of shapes. None is enough where the first layer is linear.
        criterion: ``"path"`` (Lebeurrier, Vayer and Gribonval 2026, arXiv 2602.19799), ``"l2"`` (ENorm: Stock et al.
            2019), ``"range"`` (cross-layer equalisation: Nagel et al. 2019) or a ``Criterion``.
        solver: ``"newton"``, ``"layer"`` or ``"coordinate"``.
        tol: the largest residual of the optimality condition at the end, a pure number.
        max_iterations: of the solver; None for its own limit.
        inplace: rescale the model now.
        optimizer: of the model; with ``inplace`` its state is carried along (see :func:`transport_`).
        progress: True for a bar, or a function of parts done, parts in all and the name of the next.

    Raises:
        TypeError: the model is no module, or the optimiser no optimiser.
        ValueError: nan or inf in a parameter, parameters on the meta device, an unknown criterion or solver, a group
            of another network, an optimiser without ``inplace`` or with a state that can't be carried along.
        groups.UnsupportedError: a layer has no such symmetry, or isn't known.
    """
    check_weights(model)
    chosen = read_criterion(criterion)
    if solver not in SOLVERS:
        raise ValueError(f"expected a solver among {sorted(SOLVERS)}, got {solver!r}")
    if not (isinstance(tol, int | float) and 0 < tol < float("inf")):
        raise ValueError(f"expected tol > 0, got {tol!r}")
    if max_iterations is not None and (not isinstance(max_iterations, int) or max_iterations < 1):
        raise ValueError(f"expected max_iterations >= 1 or None, got {max_iterations!r}")
    if optimizer is not None:
        if not inplace:
            raise ValueError(
                "expected inplace=True with an optimizer, because its state belongs to the model that is rescaled; "
                "try inplace=True, or result.apply_(optimizer) later"
            )
        check_optimizer(optimizer, model)
    with stages(("trace", "criterion", "solve", "measure"), progress, "rescale") as begin:
        begin("trace")
        group = read_group(model, group, input_shape)
        begin("criterion")
        problem = chosen.problem(group.traced, group.parameters(model))
        begin("solve")
        limit = {} if max_iterations is None else {"max_iterations": max_iterations}
        solution = SOLVERS[solver](problem, tolerance=tol, **limit)
        begin("measure")
        z = torch.from_numpy(solution.z)
        change = output_change(model, group, z)
        result = Conditioning(model, group, chosen, solver, tol, z, problem, solution, change)
        if inplace:
            result.apply_(optimizer)
    return result


def read_group(
    model: nn.Module,
    group: RescalingGroup | Sequence[int] | None,
    input_shape: Sequence[int] | Sequence[Sequence[int]] | None,
) -> RescalingGroup:
    """The group given, or that of the network for these inputs."""
    if isinstance(group, RescalingGroup):
        if input_shape is not None:
            raise ValueError("expected a group or an input_shape, got both; try leaving input_shape out")
        check_fit(model, group)
        return group
    if group is not None and input_shape is not None:
        raise ValueError(f"expected one input shape, got {group!r} and {input_shape!r}")
    shape = group if group is not None else input_shape
    if shape is not None and (isinstance(shape, str) or not isinstance(shape, Sequence)):
        raise TypeError(f"expected a RescalingGroup or a shape such as (3, 32, 32), got {type(shape).__name__}")
    return RescalingGroup.from_module(model, guess_input_shape(model) if shape is None else shape)
