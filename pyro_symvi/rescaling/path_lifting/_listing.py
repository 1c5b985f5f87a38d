"""The paths of a small network one by one: the path lifting itself, and its Jacobian."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call, jacrev, vmap

from ...groups import UnsupportedError
from ..tracing import TracedNetwork
from ._given import Network, traced
from ._modules import ACTIVATIONS, MAX_POOLS
from ._operations import POINTWISE

Path = tuple[float, tuple[int, ...]]
"""A coefficient, and the places of the weights in the flat vector."""

LARGEST = ("max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "amax", "maximum")
NORMS = (nn.LayerNorm, nn.GroupNorm)


@dataclass(frozen=True, eq=False)
class Paths:
    """All paths of a network: Phi_p(theta) = coefficient_p prod_k theta[index_pk].

    Attributes:
        coefficients: products of the fixed coefficients on each path (of average pools, running statistics), ``[P]``.
        indices: places in theta, ``[P, depth]``, filled up with ``dim``.
        dim: length of theta.
    """

    coefficients: Tensor
    indices: Tensor
    dim: int

    def __len__(self) -> int:
        return len(self.coefficients)

    def lift(self, theta: Tensor) -> Tensor:
        """Phi(theta), ``[*batch, P]`` of ``[*batch, dim]``; differentiable."""
        padded = torch.cat([theta, torch.ones_like(theta[..., :1])], -1)
        return self.coefficients.to(theta) * padded[..., self.indices].prod(-1)

    def jacobian(self, theta: Tensor) -> Tensor:
        """J = d Phi / d theta by automatic differentiation, ``[*batch, P, dim]``."""
        function: Callable[[Tensor], Tensor] = jacrev(self.lift)
        for _ in theta.shape[:-1]:
            function = vmap(function)
        return function(theta)

    def magnitude(self, theta: Tensor) -> Tensor:
        """The path-magnitude matrix G = J^T J, ``[*batch, dim, dim]``; its diagonal are the path weights."""
        jacobian = self.jacobian(theta)
        return jacobian.mT @ jacobian


def paths(network: Network, theta: Tensor, *, limit: int = 20_000) -> Paths:
    """Every path of a small network, position by position.

    Independent of the squared network: each operation runs as it is, and its coefficients are read off by automatic
    differentiation. Max pools keep the entry whose paths have the largest sum of squares at theta. The number of paths
    grows with the product of the widths. ``theta``: ``[dim]``.

    Raises:
        ValueError: more than ``limit`` paths at one entry.
        UnsupportedError: an operation that is not linear in activations and in parameters.
    """
    network = traced(network)
    lister = _Lister(network, theta.detach(), limit)
    found = [path for entry in lister.all() for path in entry]
    depth = max((len(index) for _, index in found), default=0)
    rows = [index + (network.layout.dim,) * (depth - len(index)) for _, index in found]
    indices = torch.tensor(rows, dtype=torch.int64).reshape(len(found), depth)
    return Paths(torch.tensor([c for c, _ in found], dtype=torch.float64), indices, network.layout.dim)


def path_lifting(network: Network, theta: Tensor, *, limit: int = 20_000) -> Tensor:
    """Phi(theta) of a small network, ``[P]``; see :func:`paths`."""
    return paths(network, theta, limit=limit).lift(theta)


@dataclass
class _Entries:
    """Paths that lead to each entry of an activation or parameter."""

    lists: list[list[Path]]
    shape: tuple[int, ...]
    signal: bool


class _Lister(fx.Interpreter):
    """Runs a network on lists of paths."""

    def __init__(self, network: TracedNetwork, theta: Tensor, limit: int) -> None:
        graph = copy.deepcopy(network.graph).double().eval()
        super().__init__(graph)
        for name, scales in network.buffers.items():  # means that share a scale begin no path
            graph.get_buffer(name).mul_(scales < 0)
        self.extra_traceback = False
        self.network, self.theta, self.limit = network, theta, limit
        self.names = {
            id(p): name for name, p in graph.named_parameters(remove_duplicate=False) if name in network.layout.slices
        }
        self.ends: list[list[Path]] = []

    def all(self) -> list[list[Path]]:
        """Paths that end anywhere."""
        self.run(*(torch.ones(shape, dtype=torch.float64) for shape in self.network.input_shapes))
        return self.ends

    def parameter(self, value: nn.Parameter) -> _Entries:
        """One path for each entry, of that entry alone."""
        start = self.network.layout.slices[self.names[id(value)]].start
        return _Entries([[(1.0, (start + i,))] for i in range(value.numel())], tuple(value.shape), False)

    def placeholder(self, target: Any, args: Any, kwargs: Any) -> _Entries:
        value = super().placeholder(target, args, kwargs)
        return _Entries([[(1.0, ())] for _ in range(value.numel())], tuple(value.shape), True)

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        value = super().get_attr(target, args, kwargs)
        return self.parameter(value) if isinstance(value, nn.Parameter) else value

    def output(self, target: Any, args: Any, kwargs: Any) -> Any:
        for entries in _found(args):
            self.ends += entries.lists
        return args[0]

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        return self.operate(getattr(target, "__name__", ""), target, args, kwargs)

    def call_method(self, target: Any, args: Any, kwargs: Any) -> Any:
        return self.operate(str(target), lambda x, *rest, **more: getattr(x, target)(*rest, **more), args, kwargs)

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        module, (x, *rest) = self.fetch_attr(str(target)), args
        if isinstance(module, ACTIVATIONS):
            return x
        given = {name: self.parameter(p) for name, p in module.named_parameters()}
        if isinstance(module, NORMS):
            self.ends += x.lists
            x = _Entries([[(1.0, ())]] * len(x.lists), x.shape, True)
            tail = (1,) * (len(x.shape) - 2 if isinstance(module, nn.GroupNorm) else 0)

            def scaled(ones: Tensor, weights: dict[str, Tensor]) -> Tensor:
                result = ones * weights["weight"].reshape(*weights["weight"].shape, *tail)
                return result + weights["bias"].reshape(*weights["bias"].shape, *tail) if "bias" in weights else result

            return self.operate(str(target), scaled if given else lambda ones, _: ones, (x, given), kwargs)
        name = "amax" if isinstance(module, MAX_POOLS) else str(target)
        return self.operate(name, lambda s, p: functional_call(module, p, (s, *rest)), (x, given), kwargs)

    def operate(self, name: str, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Any operation; its coefficients by differentiation."""
        found = _found((args, kwargs))
        if not found:
            return function(*args, **kwargs)
        if name.rstrip("_") in POINTWISE:
            return args[0]
        groups = [[e for e in found if e.signal], [e for e in found if not e.signal]]

        def flat(s: Tensor, p: Tensor) -> Any:
            parts = [list(v.split([len(e.lists) for e in g])) if g else [] for v, g in zip((s, p), groups, strict=True)]
            tensors = [parts[0 if e.signal else 1].pop(0).reshape(e.shape) for e in found]
            arguments, keywords = _replaced((args, kwargs), tensors)
            return function(*arguments, **keywords)

        lists = [[one for e in group for one in e.lists] for group in groups]
        zeros = [torch.zeros(len(one), dtype=torch.float64) for one in lists]
        if name in LARGEST or name == "max":
            zeros[0] = torch.tensor([self.squared(one) for one in lists[0]], dtype=torch.float64)
        value = flat(*zeros)
        if isinstance(value, tuple | list) and not isinstance(value, torch.Size):
            return tuple(
                self.entries(partial(_part, flat, i), zeros, lists, part, name)
                if isinstance(part, Tensor) and part.is_floating_point() else part
                for i, part in enumerate(value)
            )  # fmt: skip
        if not isinstance(value, Tensor):
            return value
        return self.entries(flat, zeros, lists, value, name)

    def squared(self, entry: list[Path]) -> float:
        """The sum of squares of paths at theta."""
        return sum(float(c * self.theta[list(index)].prod()) ** 2 for c, index in entry)

    def entries(
        self, f: Callable[[Tensor, Tensor], Tensor], at: Sequence[Tensor], lists: list[list[list[Path]]],
        value: Tensor, name: str,
    ) -> _Entries:  # fmt: skip
        """Paths behind each entry of f(s, p) = c0 + A s + C p + T s p."""
        s, p = at
        largest = name in LARGEST or name == "max"
        size = value.numel()
        a = jacrev(f, 0)(s, p).reshape(size, len(s))
        if largest:  # of entries that are equally large, the first
            a = torch.nn.functional.one_hot(a.argmax(1), len(s)).to(a)
        c = jacrev(f, 1)(s, p).reshape(size, len(p))
        t = torch.zeros(size, len(s), len(p), dtype=torch.float64)
        if len(p) and len(s):
            t = jacrev(lambda p: jacrev(f, 0)(s, p).reshape(-1))(p).reshape(size, len(s), len(p))
        constant = value.reshape(-1) - a @ s if largest else value.reshape(-1)
        generator = torch.Generator().manual_seed(0)
        s1, p1 = (torch.randn(len(v), dtype=torch.float64, generator=generator) for v in at)
        expected = constant + a @ s1 + c @ p1 + torch.einsum("ojk,j,k->o", t, s1, p1)
        if not largest and not torch.allclose(f(s1, p1).reshape(-1), expected, rtol=1e-8, atol=1e-10):
            raise UnsupportedError(
                f"expected operations linear in activations and in parameters, got {name!r}, which is not; try a "
                "network of linear layers, convolutions, pools and activations of degree one"
            )
        result: list[list[Path]] = []
        for o in range(size):
            entry: list[Path] = [(float(constant[o]), ())] if float(constant[o].abs()) > 1e-300 else []
            for matrix, source in ((a, lists[0]), (c, lists[1])):
                for j in matrix[o].nonzero().ravel().tolist():
                    entry += [(float(matrix[o, j]) * x, index) for x, index in source[j]]
            for j, k in t[o].nonzero().tolist():
                factor = float(t[o, j, k])
                entry += [(factor * x * y, i1 + i2) for x, i1 in lists[0][j] for y, i2 in lists[1][k]]
            if len(entry) > self.limit:
                raise ValueError(
                    f"expected at most {self.limit} paths at one entry, got {len(entry)} at {name!r}, because paths "
                    "are listed one by one; try a smaller network, a larger limit, or path_weights"
                )
            result.append(entry)
        return _Entries(result, tuple(value.shape), bool(len(s)))


def _part(function: Callable[..., Any], i: int, s: Tensor, p: Tensor) -> Tensor:
    part: Tensor = function(s, p)[i]
    return part


def _found(value: Any) -> list[_Entries]:
    if isinstance(value, _Entries):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [one for part in value for one in _found(part)] if isinstance(value, list | tuple) else []


def _replaced(value: Any, tensors: list[Tensor]) -> Any:
    if isinstance(value, _Entries):
        return tensors.pop(0)
    if isinstance(value, dict):
        return {key: _replaced(one, tensors) for key, one in value.items()}
    if isinstance(value, list | tuple) and not isinstance(value, torch.Size):
        return type(value)(_replaced(one, tensors) for one in value)
    return value
