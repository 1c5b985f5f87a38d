"""A network's posterior as a Pyro model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pyro
import pyro.distributions as dist
import torch
from pyro.distributions import constraints
from torch import Tensor

from .._layout import Layout

if TYPE_CHECKING:
    from ._posterior import NetworkPosterior

#: Called with nothing, or with inputs ``[m, ...]`` at which the targets are to be drawn.
PyroModel = Callable[..., Tensor | None]


def pyro_model(posterior: NetworkPosterior) -> PyroModel:
    """What `NetworkPosterior.to_pyro` returns."""
    laws = {name: _weight_law(posterior, name) for name in posterior.layout.names}

    def model(x: Tensor | None = None) -> Tensor | None:
        weights = {name: pyro.sample(name, law) for name, law in laws.items()}
        theta = posterior.layout.flatten(_one_batch(weights, posterior.layout))
        inputs = posterior.x if x is None else x
        if not len(inputs):
            return None
        with pyro.plate("rows", len(inputs), dim=-1):
            law = posterior.predictive(theta, inputs)
            y: Tensor = pyro.sample("y", law, obs=posterior.y if x is None else None)
            return y

    return model


def _weight_law(posterior: NetworkPosterior, name: str) -> dist.TorchDistribution:
    """The prior of one tensor, or of one scalar of the likelihood."""
    layout, prior = posterior.layout, posterior.parameter_prior
    index = layout.names.index(name)
    own = index - (len(layout.names) - layout.extras)
    if own >= 0:
        return posterior.likelihood.extra_law(own, posterior.x.new_zeros(()))
    shape, start = layout.shapes[index], layout.slices[name].start
    zero, scale = posterior.x.new_zeros(()), prior.scale[start].to(posterior.x)
    match prior.kinds[start]:
        case "normal":
            return dist.Normal(zero, scale).expand(shape).to_event(len(shape))
        case "laplace":
            return dist.Laplace(zero, scale).expand(shape).to_event(len(shape))
        case _:
            return dist.ImproperUniform(constraints.independent(constraints.real, len(shape)), (), shape)


def _one_batch(weights: dict[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """The tensors with one common batch shape ``[*particles]`` in front.

    Particles lie left of the rows, so that a value has batch shape ``[*particles, 1]``, or ``[*particles]`` where
    ``Predictive(parallel=True)`` left the dimension of the rows out; and guides leave particles out where nothing
    varies.
    """
    found, batches = {}, []
    for name, shape in zip(layout.names, layout.shapes, strict=True):
        batch = weights[name].shape[: weights[name].ndim - len(shape)]
        batch = batch[:-1] if batch[-1:] == (1,) else batch
        found[name] = weights[name].reshape(batch + shape)
        batches.append(batch)
    common = torch.broadcast_shapes(*batches)
    return {
        name: value.expand(common + shape) for (name, value), shape in zip(found.items(), layout.shapes, strict=True)
    }
