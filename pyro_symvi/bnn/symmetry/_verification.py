"""Checking on numbers that a claimed symmetry leaves the function of a network as it is."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..._layout import Layout
from ._layer import SymmetricLayer

#: Largest relative change of outputs in float64 that is put down to rounding.
TOLERANCE = 1e-8


@dataclass(frozen=True)
class Check:
    """The largest change of the function under random elements of one group of one layer.

    ``error`` is max |f(g theta) - f(theta)| / max |f(theta)|; above 1e-8 in float64 the claim is false.
    """

    layer: str
    group: str
    error: float

    def __bool__(self) -> bool:
        return self.error <= TOLERANCE


def moved(layer: SymmetricLayer, theta: Tensor, generator: torch.Generator) -> Iterator[tuple[str, Tensor]]:
    """Name of each group and theta ``[n, dim]`` moved by random elements of it."""
    n = len(theta)
    for name, action in (("permutations", layer.permutation), ("signs", layer.sign_flip)):
        if action is not None:
            yield name, action.act(action.group.sample(n, generator=generator).to(theta.device), theta)
    if layer.rescaling is not None:
        c = (torch.rand(n, layer.h, generator=generator, dtype=torch.float64) * 1.4 - 0.7).exp().to(theta)
        yield "rescaling", layer.rescaling.act(c, theta)
    if layer.rotation is not None:
        g = layer.rotation.group.sample(n, generator=generator).to(theta.device)
        yield "orthogonal matrices", layer.rotation.act(g, theta)


def checks(
    layer: SymmetricLayer, evaluate: Callable[[Tensor], Tensor], theta: Tensor, generator: torch.Generator
) -> list[Check]:
    """One check a group, at weights ``[n, dim]``; ``evaluate`` maps them to outputs ``[n, ...]``."""
    before = evaluate(theta)
    size = float(before.abs().max()) or 1.0
    found = []
    for name, image in moved(layer, theta, generator):
        error = float((evaluate(image) - before).abs().max()) / size
        found.append(Check(layer.name, name, error if math.isfinite(error) else math.inf))
    return found


def evaluator(network: nn.Module, layout: Layout, x: Tensor) -> Callable[[Tensor], Tensor]:
    """Outputs ``[n, ...]`` of the module itself, one weight vector after another."""
    names = layout.names[: len(layout.names) - layout.extras]

    @torch.no_grad()
    def evaluate(theta: Tensor) -> Tensor:
        rows = []
        for row in theta:
            tensors = layout.unflatten(row)
            rows.append(functional_call(network, {name: tensors[name] for name in names}, (x,)))
        return torch.stack(rows)

    return evaluate


def random_weights(layout: Layout, n: int, generator: torch.Generator) -> Tensor:
    """Weights ``[n, dim]`` that keep signals of order one, biases included."""
    theta = torch.randn(n, layout.dim, generator=generator, dtype=torch.float64)
    for name, shape in zip(layout.names, layout.shapes, strict=True):
        scale = 1.5 / math.sqrt(math.prod(shape[1:])) if len(shape) > 1 else 0.7
        theta[:, layout.slices[name]] *= scale
    return theta


def with_random_rows(x: Tensor, generator: torch.Generator) -> Tensor:
    """The rows and eight standard normal ones of their shape: zeros or few rows alone would let much pass."""
    noise = torch.randn(8, *x.shape[1:], generator=generator, dtype=torch.float64)
    return torch.cat([x, noise.to(x)])


def example_input(network: nn.Module, generator: torch.Generator) -> Tensor | None:
    """Eight random rows that the network takes, found by trying sizes; None where none fits."""
    first = next((m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)), None)
    if first is None:
        return None
    if isinstance(first, nn.Linear):
        shapes = [(first.in_features,)]
    else:
        dims = len(first.kernel_size)
        shapes = [(first.in_channels, *(s,) * dims) for s in (8, 16, 28, 32, *range(1, 41), 48, 64, 96, 128, 224)]
    for shape in shapes:
        x = torch.randn(8, *shape, generator=generator, dtype=torch.float64)
        with contextlib.suppress(RuntimeError, ValueError, TypeError, IndexError), torch.no_grad():
            network(x)
            return x
    return None
