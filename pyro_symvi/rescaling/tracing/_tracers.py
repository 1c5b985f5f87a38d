"""Tracers of forward passes: one for the inputs given, and one that answers questions about sizes by numbers."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn


class InputTracer(fx.Tracer):
    """Forward is called with the inputs that are given; its other arguments keep their defaults."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.inputs = inputs

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> Any:
        places = list(inspect.signature(root_fn).parameters.values())[1:]
        names = [p.name for p in places if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][: self.inputs]
        names += [f"input_{i}" for i in range(len(names), self.inputs)]  # forward(self, *inputs)
        return root_fn, [self.root, *(self.create_proxy("placeholder", name, (), {}) for name in names)]


class SizedTracer(InputTracer):
    """Runs every operation on tensors without values beside, so that shapes are those of the inputs given.

    Values stay unknown: a way that depends on them is refused by torch.fx as before.
    """

    def __init__(self, shapes: Sequence[tuple[int, ...]]) -> None:
        from torch._subclasses.fake_tensor import FakeTensorMode  # slow to import

        super().__init__(len(shapes))
        self.running = False
        self.mode = FakeTensorMode(allow_non_fake_inputs=True)
        self.pending = list(shapes)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return SizedProxy(node, self)

    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, *rest: Any, **options: Any) -> fx.Proxy:
        proxy = super().create_proxy(kind, target, args, kwargs, *rest, **options)
        if isinstance(proxy, SizedProxy):
            self.running = True
            try:
                proxy.known = self._run(kind, target, *(fx.node.map_aggregate(a, _known) for a in (args, kwargs)))
            except Exception:  # an operation that does not run without values; whether it runs at all is seen later
                proxy.known = None
            finally:
                self.running = False
        return proxy

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        return forward(*args, **kwargs) if self.running else super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        return attr_val if self.running else super().getattr(attr, attr_val, parameter_proxy_cache)

    def _run(self, kind: str, target: Any, args: Any, kwargs: Any) -> Any:
        with self.mode, torch.no_grad():
            if kind == "placeholder":
                dtype = next((p.dtype for p in self.root.parameters()), None)
                return torch.zeros(self.pending.pop(0), dtype=dtype)
            if kind == "call_function":
                return target(*args, **kwargs)
            if kind == "call_method":
                return getattr(args[0], target)(*args[1:], **kwargs)
            if kind == "call_module":
                return self.root.get_submodule(target)(*args, **kwargs)
            if kind == "get_attr":
                return functools.reduce(getattr, target.split("."), self.root)
        return None


_ASKED = ("shape", "ndim", "size", "dim", "ndimension", "numel", "nelement", "is_complex", "is_floating_point")


class SizedProxy(fx.Proxy):
    """Stands for a tensor of known shape, or for a tuple of known length."""

    known: Any = None

    def __getattr__(self, name: str) -> Any:
        known = self.__dict__.get("known")
        if name in _ASKED and isinstance(known, Tensor):
            return getattr(known, name)
        return super().__getattr__(name)

    def __len__(self) -> int:
        return len(self.known) if isinstance(self.known, Tensor | tuple | list) else super().__len__()

    def __iter__(self) -> Iterator[Any]:
        if not isinstance(self.known, Tensor | tuple | list):
            return iter(super().__iter__())
        return (operator.getitem(self, i) for i in range(len(self.known)))


def _known(value: Any) -> Any:
    if isinstance(value, SizedProxy):
        if value.known is None:
            raise ValueError(f"the size of {value.node.name} is not known")
        return value.known
    return value
