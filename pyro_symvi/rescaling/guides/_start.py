"""A guide that begins at a canonical point of a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyro.infer.autoguide import init_to_median, init_to_value
from torch import nn

from .._group import RescalingGroup
from ..criteria import Criterion
from ._values import canonical_values


def init_to_canonical(
    model: nn.Module,
    group: RescalingGroup,
    criterion: str | Criterion = "path",
    *,
    site: Callable[[str], str] = str,
    fallback: Callable[..., Any] = init_to_median,
) -> Callable[..., Any]:
    """An ``init_loc_fn`` for ``AutoNormal``, ``AutoLocationScale`` and other autoguides: :func:`canonical_values`.

    For priors N(0, s^2) with one s, ``"l2"`` is the point of the orbit with the largest prior density.

    >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    >>> start = init_to_canonical(net, RescalingGroup.from_module(net, (3,)), "l2")
    >>> start({"name": "0.weight"}).shape
    torch.Size([4, 3])

    Args:
        model: the network; it is left as it is.
        group: its rescalings.
        criterion: as in ``canonical_values``.
        site: the name of the sample site of a parameter; as it is unless given.
        fallback: for sites that are no parameters of the network (an error scale).

    Raises:
        ValueError: as ``canonical_values``.
    """
    values = canonical_values(model, group, criterion, site=site)
    start: Callable[..., Any] = init_to_value(values=values, fallback=fallback)
    return start
