"""Values of weights at the canonical point, by name, for guides to begin at."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from .._group import RescalingGroup
from ..conditioning import path_condition
from ..criteria import Criterion
from ._buffers import refuse_buffers


def canonical_values(
    model: nn.Module,
    group: RescalingGroup,
    criterion: str | Criterion = "path",
    *,
    site: Callable[[str], str] = str,
) -> dict[str, Tensor]:
    """The parameters of a network at the best point of its rescaling orbit, by the name of their sample site.

    For ``pyro.infer.autoguide.init_to_value(values=...)``: a guide that begins there computes, at its centre, what the
    network computes; the prior and the steps of the optimiser see other weights.

    Args:
        model: the network; it is left as it is.
        group: its rescalings.
        criterion: ``"path"``, ``"l2"``, ``"range"``, or a :class:`Criterion`.
        site: the name of the sample site of a parameter; as it is unless given.

    Raises:
        ValueError: nan or inf in the weights; a group of another network; two parameters with one site.
        groups.UnsupportedError: a group with folded batch norm.
    """
    refuse_buffers(group)
    moved = path_condition(model, group, criterion=criterion).copy()
    values = {site(name): p.detach().clone() for name, p in moved.named_parameters()}
    if len(values) != len(group.layout.names):
        raise ValueError(
            f"expected a sample site for each of {list(group.layout.names)}, got {list(values)}; try names that differ"
        )
    return values
