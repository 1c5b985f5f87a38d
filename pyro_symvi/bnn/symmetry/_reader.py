"""Reading a traced network: from each layer of units to the weights into and out of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from .._activations import read_activation
from . import _operations as ops
from ._following import is_transposition
from ._linear_maps import LinearMaps
from ._movements import Movements
from ._signals import Signal

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_FUNCTIONAL_CONVOLUTIONS = tuple(getattr(torch, f"conv{n}d") for n in (1, 2, 3))


class NetworkReader(LinearMaps, Movements):
    """Says of each operation what becomes of the units that enter it."""

    def run_node(self, n: fx.Node) -> Any:
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        value = super().run_node(n)
        inputs = [self._signals[a] for a in n.all_input_nodes if a in self._signals]
        found: Signal | None = None
        if n.op == "output":
            for number in {s for signal in inputs for s in signal.claims}:
                self.candidates[number].is_output = True
        else:
            try:
                if n.op == "call_module":
                    found = self._module(n, self.fetch_attr(str(n.target)), inputs, value)
                elif n.op in ("call_function", "call_method"):
                    found = self._function(n, inputs, args, kwargs, value)
            except (AttributeError, IndexError, KeyError, RuntimeError, TypeError) as error:
                found = self._opaque(n, inputs, f"the operation {ops.name_of(n.target)!r} was not understood ({error})")
        if found is not None:
            self._signals[n] = found
        return value

    def _module(self, n: fx.Node, module: nn.Module, inputs: list[Signal], value: Any) -> Signal | None:
        kind, name = type(module), str(n.target)
        if module._forward_hooks or module._forward_pre_hooks:
            return self._opaque(n, inputs, f"{kind.__name__} at {name!r} has hooks, which may change what it computes")
        signal = inputs[0] if len(inputs) == 1 else None
        if kind is nn.Linear or (kind in _CONVOLUTIONS and module.groups == 1):
            bias = module.bias if isinstance(module.bias, Tensor) else None
            return self._linear(n, signal, module.weight, bias, value, name)  # type: ignore[arg-type]
        if signal is None:
            why = f"convolution in groups at {name!r}" if kind in _CONVOLUTIONS else f"{kind.__name__} at {name!r}"
            return self._opaque(n, inputs, f"{why} is not read")
        activation = read_activation(module)
        if activation is not None:
            label = None if activation.linear else activation.name
            return signal.then(activation.degree, activation.odd, activation.linear, label)
        if kind in ops.ELEMENTWISE_MODULES:
            return signal.then(*ops.ELEMENTWISE_MODULES[kind], kind.__name__.lower())
        if kind is nn.PReLU and module.num_parameters == 1:
            return signal.then(1.0, False, False, "prelu")
        if isinstance(module, ops.DROPOUTS):
            if module.training and module.p > 0:
                return self._opaque(n, inputs, f"{kind.__name__} at {name!r} is random in training mode; call eval()")
            return signal
        if kind is nn.Flatten or kind is nn.Unflatten:
            return self._moved(n, signal, lambda labels: module(labels))
        if isinstance(module, (*ops.MAX_POOL_MODULES, *ops.MEAN_POOL_MODULES)):
            return self._pooled(n, signal, value, "max" if isinstance(module, ops.MAX_POOL_MODULES) else "mean")
        if kind in _BATCH_NORMS:
            return self._batch_norm(n, signal, module, name)
        if kind is nn.LayerNorm:
            return self._layer_norm(n, signal, module, name)
        why = "convolution in groups" if kind in _CONVOLUTIONS else kind.__name__
        return self._opaque(n, inputs, f"{why} at {name!r} is not read")

    def _function(self, n: fx.Node, inputs: list[Signal], args: Any, kwargs: Any, value: Any) -> Signal | None:
        name = ops.name_of(n.target)
        if n.target is nn.functional.linear or n.target in _FUNCTIONAL_CONVOLUTIONS:
            return self._functional_linear(n, inputs, args, kwargs, value)
        if name in ("matmul", "mm") and isinstance(value, Tensor):
            return self._product(n, inputs, value)
        if not inputs:
            if is_transposition(n):
                return None
            return self._opaque(n, inputs, f"the operation {name!r} on parameters is not read")
        tensors = sum(isinstance(a, Tensor) for a in (*args, *kwargs.values()))
        lone = len(inputs) == 1 and tensors <= 1
        signal = inputs[0]
        if lone and name in ops.ELEMENTWISE:
            kind = ops.ELEMENTWISE[name]
            return signal.then(*kind, None if kind == ops.KEEP else name.rstrip("_"))
        if lone and name in ops.MOVES:
            return self._moved(n, signal, lambda labels: self._replay(n, labels, args, kwargs))
        if lone and name in ("size", "dim", "shape", "getattr", "numel"):
            return None
        if lone and name in ("dropout", "dropout_", "feature_dropout"):
            p = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
            if (args[2] if len(args) > 2 else kwargs.get("training", True)) and p > 0:
                return self._opaque(n, inputs, "dropout is random in training mode; call eval()")
            return signal
        pool = ops.pool_function(n.target)
        if lone and pool is not None and isinstance(value, Tensor):
            return self._pooled(n, signal, value, pool)
        if lone and name in ("mean", "sum", "amax"):
            return self._reduced(n, signal, name, args, kwargs)
        if lone and name == "pow" and isinstance(args[1], int | float):
            k = args[1]
            whole = k >= 1 and float(k).is_integer()
            return signal.then(*((float(k), k % 2 == 1, k == 1) if whole else ops.PLAIN), f"power {k:g}")
        if lone and (name in ops.PRODUCTS or (name == "div" and isinstance(args[0], Tensor))):
            return signal.then(*ops.KEEP)
        if lone and name in ops.ADDITIONS:
            return signal.then(*ops.PLAIN, "shift")
        if name in ("cat", "concat", "concatenate", "stack"):
            return self._joined(n, inputs, args, kwargs)
        if name in (ops.ADDITIONS | ops.PRODUCTS) and len(n.args) == 2:
            both = [self._signals[a] for a in n.args if isinstance(a, fx.Node) and a in self._signals]
            if len(both) == 2:
                return self._combined(n, both, name)
            bias = next((found for a in n.args if (found := self._parameter(a)) is not None), None)
            if name in ("add", "iadd") and bias is not None and not bias[1]:
                return self._bias(n, signal, bias[0])
        if name in (ops.ADDITIONS | ops.PRODUCTS | {"div"}):
            reason = "its output is combined with a tensor that does not move with its units"
            return self._opaque(n, inputs, reason, harmless=True)
        return self._opaque(n, inputs, f"the operation {name!r} is not known to act on each unit alone")
