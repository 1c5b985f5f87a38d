"""Random initial weights scaled by fan-in."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .._posterior import NetworkPosterior
from .._streams import stream

_INITIAL = 1  # purpose of a random stream
_PRIOR_DRAWS = 256


def initial_weights(posterior: NetworkPosterior, seed: int, member: int) -> Tensor:
    """One weight vector ``[dim]``, from the stream of (seed, member).

    Weights ``[out, in, ...]`` ~ N(0, 2 / fan_in) before another layer (He et al. 2015) and N(0, 1 / fan_in) in the
    last one; biases ~ N(0, 1 / fan_in) of the weight they belong to; other vectors named ``weight`` (gains of
    normalisation layers) are one. Parameters of the likelihood start at their prior mean (from 256 draws).
    """
    layout, generator = posterior.layout, stream(seed, member, _INITIAL)
    theta = torch.randn(layout.dim, generator=generator, dtype=torch.float64)
    shapes = dict(zip(layout.names, layout.shapes, strict=True))
    matrices = [name for name, shape in shapes.items() if len(shape) > 1]
    for name in layout.names[: len(layout.names) - layout.extras]:
        shape, place = shapes[name], layout.slices[name]
        if len(shape) > 1:
            gain = 1.0 if name == matrices[-1] else 2.0
            theta[place] *= math.sqrt(gain / math.prod(shape[1:]))
            continue
        weight = shapes.get(f"{name.removesuffix('bias')}weight", ())
        if name.endswith("bias"):
            theta[place] *= 1 / math.sqrt(math.prod(weight[1:])) if len(weight) > 1 else 0.0
        else:
            theta[place] = 1.0
    if layout.extras:
        prior = posterior.likelihood.sample_extra(_PRIOR_DRAWS, dtype=torch.float64, generator=generator)
        theta[layout.network_dim :] = prior.mean(0)
    return theta.to(posterior.x)
