"""Pairs of shapes and data, made by a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyro
import torch
from pyro import poutine
from torch import Tensor

from ..._value import positive_int
from .._context import Context
from .._dataset import CloudDataset


@torch.no_grad()
def simulate(
    model: Callable[..., Any],
    site: str,
    condition: Callable[..., Context],
    data: Sequence[str],
    count: int,
    *args: Any,
    shapes: Tensor | None = None,
    max_plate_nesting: int = 0,
    **kwargs: Any,
) -> CloudDataset:
    """Draw (x, data) from a model and keep them as a data set to train a conditional denoiser on.

    The model runs once, in a plate of ``count`` to the left of its own plates, without observations: it must take its
    data as keyword arguments that default to None and bear the names of their sites
    (``pyro.sample("distances", ..., obs=distances)``). Draws come from torch's global generator, as Pyro's do.

    Args:
        model: the model.
        site: the name of the shape.
        condition: of ``ShapeGuide``: called with the simulated data by name.
        data: the names of the observed sites.
        count: M.
        args, kwargs: other arguments of the model; also passed on to ``condition``.
        shapes: ``[count, N, d]``, to be taken instead of draws of the site: real shapes, where there are enough of
            them, are a better prior than a network's.
        max_plate_nesting: of the model.

    Returns:
        M clouds of M kinds, each with its own context.

    Raises:
        ValueError: for sites that are not there, or shapes of another number.
    """
    positive_int(count, "count")
    if shapes is not None and len(shapes) != count:
        raise ValueError(f"expected as many shapes as count, {count}, got {len(shapes)}")
    given = {} if shapes is None else {site: shapes.reshape(count, *(1,) * max_plate_nesting, *shapes.shape[1:])}
    with pyro.plate("_simulations", count, dim=-1 - max_plate_nesting):
        trace = poutine.trace(poutine.condition(model, given)).get_trace(*args, **kwargs)
    missing = [name for name in (site, *data) if name not in trace.nodes]
    if missing:
        raise ValueError(f"expected the sites {missing} in the model, got {sorted(trace.stochastic_nodes)}")
    clouds = trace.nodes[site]["value"]
    if clouds.ndim != 3 or len(clouds) != count:
        clouds = clouds.reshape(count, *clouds.shape[-2:])
    context = condition(*args, **{name: trace.nodes[name]["value"] for name in data}, **kwargs)
    if context.shape is None or context.shape[:-1] != (count,):
        got = None if context.shape is None else list(context.shape)
        raise ValueError(f"expected a context [{count}, N], one for each simulation, got {got}")
    return CloudDataset(clouds, torch.arange(count), tuple(str(i) for i in range(count)), context)
