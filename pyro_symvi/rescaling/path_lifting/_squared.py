"""The squared network: squares of weights in place of weights, ones in place of inputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from ...groups import UnsupportedError
from ..tracing import TracedNetwork


class SquaredNetwork(fx.Interpreter):
    """N(u) = sum over paths of the product of u = theta^2 along them, by one pass."""

    def __init__(self, graph: fx.GraphModule, squares: dict[str, Tensor]) -> None:
        super().__init__(graph)
        self.squares = squares
        self.names = {id(p): name for name, p in graph.named_parameters()}

    def square(self, parameter: Tensor | None) -> Tensor | None:
        """U of a parameter; None stays."""
        return None if parameter is None else self.squares[self.names[id(parameter)]]

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        module, x = self.fetch_attr(str(target)), args[0]
        if isinstance(module, nn.Linear):
            return F.linear(x, self.square(module.weight), self.square(module.bias))  # type: ignore[arg-type]
        if isinstance(module, nn.ReLU | nn.Identity | nn.Dropout):
            return x
        if isinstance(module, nn.Flatten):
            return module(x)
        raise UnsupportedError(f"expected layers that are known, got {type(module).__name__} at {target!r}")


def path_norm_squared(network: TracedNetwork, theta: Tensor) -> Tensor:
    """The squared Euclidean norm of the path lifting, |Phi(theta)|^2 = N(theta^2), a scalar; theta ``[dim]``."""
    return _norm_of_squares(network, theta.square())


def path_weights(network: TracedNetwork, theta: Tensor) -> Tensor:
    """The diagonal of J^T J for J = d Phi / d theta, g_i = dN/du_i at u = theta^2, ``[dim]`` (differentiable)."""
    return torch.func.grad(lambda u: _norm_of_squares(network, u))(theta.square())


def _norm_of_squares(network: TracedNetwork, u: Tensor) -> Tensor:
    inputs = (u.new_ones(shape) for shape in network.input_shapes)
    return SquaredNetwork(network.graph, network.layout.unflatten(u)).run(*inputs).sum()
