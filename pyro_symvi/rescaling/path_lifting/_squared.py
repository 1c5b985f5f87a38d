"""The squared network: squares of weights in place of weights, ones in place of inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from ...groups import UnsupportedError
from ..tracing import TracedNetwork
from ._modules import run_module
from ._operations import operation, tensors_of
from ._squares import Squares, aligned, constant, product


class SquaredNetwork(fx.Interpreter):
    """N(u) = sum over paths of the product of u_i = |theta_i|^p along them, by one pass; p = 2 unless told otherwise.

    A path starts at an input entry, a bias, or a constant, and ends at an output entry of the unrolled network: a
    convolution has a path for each position. Pointwise functions are active with slope one. Fixed coefficients
    (those of average pools, of running statistics) enter by their p-th power. ``max_pool="max"`` keeps one branch of
    each window, that of the largest sum; ``"sum"`` keeps all. Batch norm is the affine map of evaluation mode. Paths
    end at layers that normalise by what they see (layer, group, instance norm), and begin anew behind them. Running
    means that share the scale of a unit (``batch_norm="folded"``) begin no path: N is then a function on the orbits of
    the parameters alone, whether or not the means have been moved along.
    """

    def __init__(
        self, network: TracedNetwork, powers: Mapping[str, Squares], power: float = 2.0, max_pool: str = "max"
    ) -> None:
        graph = network.graph
        super().__init__(graph)
        self.extra_traceback = False
        self.power, self.max_pool = power, max_pool
        self.like = next(iter(powers.values())).tensor
        self.by_id: dict[int, Squares] = {}
        for name, parameter in graph.named_parameters(remove_duplicate=False):
            if name in powers:
                self.by_id[id(parameter)] = powers[name]
        self.fixed = {
            id(buffer): network.buffers[name] < 0 for name, buffer in graph.named_buffers() if name in network.buffers
        }
        self.ends: list[Squares] = []

    def norm(self, *inputs: Tensor) -> Squares:
        """N as a 0-dimensional value; inputs in the shapes of the network's."""
        self.ends = []
        self.run(*inputs)
        total, like = aligned([end.moved(end.tensor.sum()) for end in self.ends])
        return like.moved(torch.stack(total).sum())

    def lift(self, value: Any) -> Squares:
        """A parameter, constant or number as sums over paths."""
        if isinstance(value, Squares):
            return value
        if isinstance(value, Tensor) and id(value) in self.by_id:
            return self.by_id[id(value)]
        if isinstance(value, nn.Parameter):
            raise ValueError(
                f"expected parameters of the network that was traced, got one of shape {list(value.shape)} that is not "
                "among them; trace the network again with RescalingGroup.from_module"
            )
        return constant(value, self.like, self.power)

    def placeholder(self, target: Any, args: Any, kwargs: Any) -> Any:
        value = super().placeholder(target, args, kwargs)
        return Squares.of(value.to(self.like), signal=True) if isinstance(value, Tensor) else value

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        value = self.without_scaled(super().get_attr(target, args, kwargs))
        return self.lift(value) if isinstance(value, Tensor) and value.is_floating_point() else value

    def output(self, target: Any, args: Any, kwargs: Any) -> Any:
        self.ends += tensors_of(list(args))
        return args[0]

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        return run_module(self, self.fetch_attr(str(target)), args, kwargs, str(target))

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        if not tensors_of([args, kwargs]):
            return target(*args, **kwargs)
        name = getattr(target, "__name__", str(target))
        trusted = str(getattr(target, "__module__", None) or "torch").startswith(("torch", "_operator", "builtins"))
        return self.call(name if trusted else "", target, args, kwargs, name)

    def call_method(self, target: Any, args: Any, kwargs: Any) -> Any:
        if not tensors_of([args, kwargs]):
            return super().call_method(target, args, kwargs)
        return self.call(str(target), lambda x, *rest, **more: getattr(x, target)(*rest, **more), args, kwargs, target)

    def call(self, name: str, plain: Any, args: Any, kwargs: Any, where: str) -> Any:
        """An operation by name; ``plain`` is how it acts on tensors."""
        handler = operation(name)
        if handler is None:
            raise UnsupportedError(
                f"expected operations whose effect on paths is known, got {where!r}; try criterion='l2' or 'range'"
            )
        return handler(self, plain, args, kwargs, where)

    def batch_norm(self, x: Squares, mean: Any, var: Any, gamma: Any, beta: Any, eps: float, where: str) -> Squares:
        """(x - mean) gamma / sqrt(var + eps) + beta with its running statistics."""
        if mean is None or var is None:
            return self.cut(x, gamma, beta, where, channels=True)
        shape = (-1, *(1,) * (x.tensor.ndim - 2))

        def column(value: Any) -> Squares:
            lifted = self.lift(value)
            return lifted.moved(lifted.tensor.reshape(shape))

        factor = constant((self.plain(var) + eps).rsqrt(), self.like, self.power)
        centred, like = aligned([x, column(self.plain(mean))])
        result = product(torch.mul, like.moved(centred[0] + centred[1]), column(factor), where=where)
        gamma, beta = (None if value is None else column(value) for value in (gamma, beta))
        return self._scaled(result, gamma, beta, where)

    def plain(self, value: Any) -> Tensor:
        """A running statistic as it is, in the precision of the parameters."""
        if isinstance(value, Squares):  # read by get_attr, which squared it
            value = (value.tensor * torch.exp2(value.exponent)) ** (1 / self.power)
        return self.without_scaled(value).detach().to(self.like)

    def without_scaled(self, value: Any) -> Any:
        """A buffer with zeros where its entries share the scale of a unit."""
        return value * self.fixed[id(value)] if id(value) in self.fixed else value

    def cut(self, x: Squares, gamma: Any, beta: Any, where: str, channels: bool = False) -> Squares:
        """All paths end here; new ones begin behind, one from each entry."""
        self.ends.append(x)
        shape = (-1, *(1,) * (x.tensor.ndim - 2)) if channels else None

        def placed(value: Any) -> Squares | None:
            if value is None:
                return None
            lifted = self.lift(value)
            return lifted if shape is None else lifted.moved(lifted.tensor.reshape(shape))

        return self._scaled(Squares.of(torch.ones_like(x.tensor), signal=True), placed(gamma), placed(beta), where)

    @staticmethod
    def _scaled(x: Squares, gamma: Squares | None, beta: Squares | None, where: str) -> Squares:
        if gamma is not None:
            x = product(torch.mul, x, gamma, where=where)
        if beta is None:
            return x
        (a, b), like = aligned([x, beta])
        return like.moved(a + b).settled()
