"""From what was read of a network to layers whose symmetry is known, and reasons for the others."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, fx, nn

from ..._layout import Layout
from ...groups import HiddenLayer
from ._layer import SymmetricLayer, UnitFunction
from ._reader import NetworkReader
from ._signals import Candidate
from ._verification import checks, evaluator, random_weights


class Unplaced(NamedTuple):
    """A hidden layer or parameter of which no symmetry is claimed, and why."""

    name: str
    reason: str


def place_layers(
    network: nn.Module, layout: Layout, x: Tensor, generator: torch.Generator
) -> tuple[list[SymmetricLayer], list[Unplaced]]:
    """The layers with a symmetry that numbers bear out, and everything else."""
    whole = type(network).__name__
    if network._forward_hooks or network._forward_pre_hooks:
        return [], [Unplaced(whole, "it has hooks, which may change what it computes")]
    evaluate = evaluator(network, layout, x)
    theta = random_weights(layout, 2, generator)
    if not torch.equal(evaluate(theta), evaluate(theta)):
        return [], [Unplaced(whole, "its output is random (dropout in training mode?); call eval()")]
    try:
        reader = NetworkReader(network, layout)
    except (fx.proxy.TraceError, TypeError, RuntimeError, AttributeError, NotImplementedError, ValueError) as error:
        if "is claimed of activation" in str(error):
            raise
        return [], [Unplaced(whole, f"its forward cannot be traced ({error})")]
    with torch.no_grad():
        reader.run(x)
    placed, unplaced = [], []
    for candidate in reader.candidates:
        if candidate.is_output and not candidate.consumed and candidate.harmless:
            continue  # the outputs themselves: no hidden units
        found = _layer(candidate, layout)
        if isinstance(found, SymmetricLayer):
            failed = [c for c in checks(found, evaluate, theta, generator) if not c]
            if failed:
                found = f"the output changes by {failed[0].error:.1e} under {failed[0].group} of its units"
        if isinstance(found, SymmetricLayer):
            placed.append(found)
        else:
            unplaced.append(Unplaced(candidate.name, found))
    unplaced += [Unplaced(name, "the network does not use it") for name in reader.unused(network)]
    return placed, unplaced


def _layer(candidate: Candidate, layout: Layout) -> SymmetricLayer | str:
    if candidate.reason:
        return candidate.reason
    if candidate.is_output:
        return "its units are outputs of the network besides"
    if not candidate.consumers:
        return "nothing takes its units"
    claims = [claim for _, claim in candidate.consumers]
    degrees = {claim.degree for claim in claims}
    degree = degrees.pop() if len(degrees) == 1 and candidate.scalable else None
    if degree is not None and degree <= 0:
        degree = None
    odd = candidate.scalable and all(claim.odd for claim in claims)
    linear = candidate.scalable and candidate.permutable and all(claim.linear for claim in claims)
    if not (candidate.permutable or odd or degree is not None):
        return "its units are told apart by fixed numbers, and its activation allows neither signs nor rescaling"
    incoming = torch.cat([*candidate.incoming, *candidate.carried], -1)
    outgoing = torch.cat([index for index, _ in candidate.consumers], -1)
    names = list(dict.fromkeys("(" + ", ".join(claim.names) + ")" for claim in claims))
    activation = " / ".join(name[1:-1] or "identity" for name in names)
    try:
        units = HiddenLayer(layout.dim, incoming.tolist(), outgoing.tolist())
    except ValueError as error:
        return f"weights into and out of its units overlap ({error})"
    function = UnitFunction(activation, degree, odd, linear)
    return SymmetricLayer(candidate.name, units, function, candidate.permutable)
