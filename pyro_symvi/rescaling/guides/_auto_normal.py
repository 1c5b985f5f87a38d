"""Pyro's mean-field guide at the best point of its rescaling orbit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pyro import distributions as dist
from pyro import poutine
from pyro.infer.autoguide import AutoNormal
from torch import Tensor

from .._group import RescalingGroup
from ._mean_field import MeanFieldPoint, best_mean_field


def improve_on_orbit_(
    guide: AutoNormal,
    group: RescalingGroup,
    *,
    site: Callable[[str], str] = str,
    prior_scale: Tensor | float | None = None,
) -> MeanFieldPoint:
    """Move a trained ``AutoNormal`` to the best point of its rescaling orbit, in place: a higher ELBO for nothing.

    The expected log likelihood stays, the divergence to the prior falls (see :func:`best_mean_field`). Other sites (an
    error scale, say) are left as they are. What an optimiser remembers of the guide is not carried along: move it after
    training.

    Args:
        guide: after at least one call.
        group: the rescalings of the network whose weights are sample sites.
        site: the name of the sample site of a parameter; as it is unless given.
        prior_scale: sigma of the priors N(0, sigma^2), a number or ``[dim]``; read from the model unless given. Where
            sigma itself is a latent site, give E_q[sigma^-2]^(-1/2), which is what the divergence depends on.

    Raises:
        TypeError: another guide; a prior that is not an independent normal about zero.
        ValueError: a guide that has not been called, a parameter without a sample site of its shape, a masked prior, or
            one whose scale depends on other sites, without ``prior_scale``.
        groups.UnsupportedError: as in ``best_mean_field``.
    """
    if type(guide) is not AutoNormal:
        raise TypeError(
            f"expected pyro.infer.autoguide.AutoNormal, got {type(guide).__name__}, because its law has to be "
            "known; try best_mean_field on locations and scales of your own"
        )
    if guide.prototype_trace is None:
        raise ValueError("expected a guide that has been called, got a new one; try guide(*args) first")
    places = {name: site(name) for name in group.layout.names}
    read = _prior_scales(guide.prototype_trace.nodes, group, places)
    if prior_scale is None and not torch.equal(read, _prior_scales(_another_run(guide), group, places)):
        raise ValueError(
            "expected priors of a fixed scale, got scales that depend on other latent sites, because the divergence "
            "along the orbit is then an average over them; try prior_scale=E_q[sigma^-2]^(-1/2), an entry a parameter"
        )
    sigma = read if prior_scale is None else prior_scale
    with torch.no_grad():
        loc, scale = (
            group.layout.flatten({n: _get(getattr(guide, part), places[n]).detach() for n in places})
            for part in ("locs", "scales")
        )
        found = best_mean_field(group, loc, scale, sigma)
        for part, values in (("locs", found.loc), ("scales", found.scale)):
            for name, value in group.layout.unflatten(values).items():
                _set(getattr(guide, part), places[name], value.clone())
    return found


def _another_run(guide: AutoNormal) -> Any:
    """The sites of the model with other draws of everything latent, on the data that the guide was called with."""
    data = guide.prototype_trace.nodes["_INPUT"]
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())), torch.no_grad():
        torch.default_generator.manual_seed(0)  # torch.manual_seed would reseed every GPU as well
        return poutine.trace(guide.model).get_trace(*data["args"], **data["kwargs"]).nodes


def _prior_scales(nodes: Any, group: RescalingGroup, places: Mapping[str, str]) -> Tensor:
    """The standard deviations of the priors of all weights, ``[dim]``."""
    shapes = dict(zip(group.layout.names, group.layout.shapes, strict=True))
    return group.layout.flatten({name: _prior_scale(nodes, place, shapes[name]) for name, place in places.items()})


def _prior_scale(nodes: Any, place: str, shape: tuple[int, ...]) -> Tensor:
    """The standard deviations of the prior at a sample site, in the shape of its value."""
    if place not in nodes or nodes[place]["type"] != "sample" or nodes[place]["is_observed"]:
        raise ValueError(
            f"expected a sample site {place!r} for the weights of that name, got a model without it; try "
            "site=lambda name: ... with the names of your sites"
        )
    law, value = nodes[place]["fn"], nodes[place]["value"]
    if nodes[place]["mask"] is not None:
        raise ValueError(
            f"expected a prior that counts, got {place!r} under a mask, because where it does not count no point of "
            "the orbit is the best; try the model without poutine.mask"
        )
    if tuple(value.shape) != shape:
        raise ValueError(f"expected {place!r} of shape {list(shape)}, got {list(value.shape)}")
    base = law
    while isinstance(base, dist.Independent | dist.ExpandedDistribution):
        base = base.base_dist
    if not isinstance(base, torch.distributions.Normal) or not bool((torch.as_tensor(base.loc) == 0).all()):
        raise TypeError(
            f"expected an independent normal prior about zero at {place!r}, got {law!r}, because the divergence along "
            "the orbit is known in closed form for it alone"
        )
    scale: Tensor = law.stddev
    return scale.detach().double().expand(shape)


def _get(module: Any, name: str) -> Tensor:
    for part in name.split("."):
        module = getattr(module, part)
    value: Tensor = module
    return value


def _set(module: Any, name: str, value: Tensor) -> None:
    *parents, last = name.split(".")
    for part in parents:
        module = getattr(module, part)
    setattr(module, last, value)
