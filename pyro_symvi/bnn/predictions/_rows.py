"""Outputs of the network for all draws, a block of rows at a time, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from .._draws import Draws
from .._perceptron import Perceptron
from .._posterior import NetworkPosterior

#: Numbers that one block may hold (8 MB in float64); about twenty copies of them live at once.
BUDGET = 1_000_000


def check_draws(posterior: NetworkPosterior, draws: Draws) -> Draws:
    """The draws, if they are finite parameters of this posterior."""
    if not isinstance(draws, Draws):
        raise TypeError(
            f"expected Draws, got {type(draws).__name__}; try Draws(theta, posterior.layout, 'source') or, for "
            "approximations, fitted.sample(n)"
        )
    if draws.layout.dim != posterior.dim or draws.layout.names != posterior.layout.names:
        raise ValueError(
            f"expected draws of {posterior.dim} parameters {list(posterior.layout.names)}, got {draws.layout.dim}: "
            f"{list(draws.layout.names)}"
        )
    if not draws.chains or not draws.draws:
        raise ValueError(f"expected at least one chain and one draw, got {draws!r}")
    bad = ~torch.isfinite(draws.theta).all(-1)
    if bool(bad.any()):
        chain, draw = bad.nonzero()[0].tolist()
        raise ValueError(
            f"expected finite draws, got nan or infinity in chain {chain}, draw {draw} and {int(bad.sum()) - 1} "
            "others, because the sampler diverged; try a smaller step, or leave the chain out"
        )
    return draws


def check_inputs(posterior: NetworkPosterior, x: Tensor) -> Tensor:
    """Inputs of the network's dtype, if they are finite rows of the shape it was given."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        got = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"expected inputs as a tensor of floats, got {got}; try torch.as_tensor(x).double()")
    if x.shape[1:] != posterior.x.shape[1:] or not len(x):
        raise ValueError(f"expected inputs [n >= 1, {list(posterior.x.shape[1:])}], got {list(x.shape)}")
    bad = ~torch.isfinite(x).flatten(1).all(-1)
    if bool(bad.any()):
        raise ValueError(f"expected finite inputs, got nan or infinity in row {int(bad.nonzero()[0])}")
    return x.to(posterior.x)


def check_targets(posterior: NetworkPosterior, x: Tensor, y: Tensor) -> Tensor:
    """Targets as the likelihood wants them, finite, one a row."""
    if not isinstance(y, Tensor):
        raise TypeError(f"expected targets as a tensor, got {type(y).__name__}; try torch.as_tensor(y)")
    y = y.to(posterior.x) if y.is_floating_point() else y.to(posterior.x.device)
    outputs = posterior.outputs(posterior.x.new_zeros(1, posterior.dim), x[:1]).shape[-1]
    y = posterior.likelihood.check(y, outputs)
    if len(y) != len(x):
        raise ValueError(f"expected as many targets as inputs, got {len(y)} and {len(x)}")
    bad = ~torch.isfinite(y if y.ndim > 1 else y[:, None]).all(-1)
    if bool(bad.any()):
        raise ValueError(f"expected finite targets, got nan or infinity in row {int(bad.nonzero()[0])}")
    return y


def row_blocks(
    posterior: NetworkPosterior, theta: Tensor, x: Tensor, budget: int = BUDGET
) -> Iterator[tuple[slice, Tensor]]:
    """Slices of the rows and outputs ``[T, rows, outputs]`` of all T vectors ``[T, dim]`` on them."""
    width = max(shape[0] for shape in posterior.layout.shapes if shape)
    if Perceptron.of(posterior.network) is None:
        width *= max(1, math.prod(x.shape[2:]))
    outputs = posterior.outputs(theta[:1], x[:1]).shape[-1]
    size = max(1, budget // (len(theta) * outputs))
    with torch.no_grad():
        for start in range(0, len(x), size):
            rows = slice(start, min(start + size, len(x)))
            at_once = max(1, budget // (width * (rows.stop - rows.start)))
            yield rows, torch.cat([posterior.outputs(part, x[rows]) for part in theta.split(at_once)])
