"""Reading a traced network: from each layer of units to the weights into and out of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor, fx, nn

from .._activations import read_activation
from .._layout import Layout
from . import _operations as ops
from ._signals import Candidate, Claims, Signal

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_FUNCTIONAL_CONVOLUTIONS = tuple(getattr(torch, f"conv{n}d") for n in (1, 2, 3))


class NetworkTracer(fx.Tracer):
    """Opens every module but those of torch.nn and the activations that are known."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        # read before tracing, which replaces how modules are called
        self._known = {id(m) for m in network.modules() if read_activation(m) is not None}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return id(m) in self._known or super().is_leaf_module(m, module_qualified_name)


class NetworkReader(fx.Interpreter):
    """Runs a traced network on a few rows, following each hidden unit; ``candidates`` holds what was found."""

    def __init__(self, network: nn.Module, layout: Layout) -> None:
        graph = NetworkTracer(network).trace(network)
        super().__init__(fx.GraphModule(network, graph))
        self.layout = layout
        self.candidates: list[Candidate] = []
        self._units = 0
        self._signals: dict[fx.Node, Signal] = {}
        self._names = {id(p): name for name, p in network.named_parameters()}
        self._uses: Counter[int] = Counter()
        for node in graph.nodes:
            if node.op == "call_module":
                self._uses.update(id(p) for p in self.fetch_attr(node.target).parameters())
            elif node.op == "get_attr" and isinstance(found := self.fetch_attr(node.target), nn.Parameter):
                self._uses[id(found)] += len(node.users)

    def unused(self, network: nn.Module) -> list[str]:
        """Names of trainable parameters that the network never uses."""
        return [name for name, p in network.named_parameters() if p.requires_grad and not self._uses[id(p)]]

    # -- one node --------------------------------------------------------------------------------------------------
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
            return self._opaque(n, inputs, f"{kind.__name__} at {name!r} is not read")
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
        why = "convolution in groups" if kind in _CONVOLUTIONS else f"{kind.__name__}"
        return self._opaque(n, inputs, f"{why} at {name!r} is not read")

    def _function(self, n: fx.Node, inputs: list[Signal], args: Any, kwargs: Any, value: Any) -> Signal | None:
        name = ops.name_of(n.target)
        if n.target is nn.functional.linear or n.target in _FUNCTIONAL_CONVOLUTIONS:
            return self._functional_linear(n, inputs, args, kwargs, value)
        if not inputs:
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
        if lone and name == "pow" and isinstance(args[1], int) and args[1] >= 1:
            return signal.then(float(args[1]), args[1] % 2 == 1, args[1] == 1, f"power {args[1]}")
        if lone and (name in ops.PRODUCTS or (name == "div" and isinstance(args[0], Tensor))):
            return signal.then(*ops.KEEP)
        if lone and name in ops.ADDITIONS:
            return signal.then(*ops.PLAIN, "shift")
        if name in ("cat", "concat", "concatenate"):
            return self._joined(n, inputs, args, kwargs)
        if name in (ops.ADDITIONS | ops.PRODUCTS) and len(n.all_input_nodes) == tensors and len(inputs) == tensors:
            return self._combined(n, inputs, name)
        if name in ops.ADDITIONS:
            return self._opaque(n, inputs, "its output is added to a tensor that does not move with its units")
        return self._opaque(n, inputs, f"the operation {name!r} is not known to act on each unit alone")

    # -- what layers do --------------------------------------------------------------------------------------------
    def _functional_linear(self, n: fx.Node, inputs: list[Signal], args: Any, kwargs: Any, value: Any) -> Signal | None:
        places = [*n.args, *(None,) * 3]
        weight, bias = n.kwargs.get("weight", places[1]), n.kwargs.get("bias", places[2])
        tensors = []
        for node in (weight, bias):
            found = self.fetch_attr(str(node.target)) if isinstance(node, fx.Node) and node.op == "get_attr" else None
            if isinstance(node, fx.Node) and found is None:
                return self._opaque(n, inputs, f"{ops.name_of(n.target)} with computed weights is not read")
            tensors.append(found)
        groups = kwargs.get("groups", args[6] if len(args) > 6 else 1)
        if tensors[0] is None or groups != 1 or len(inputs) > 1:
            return self._opaque(n, inputs, f"{ops.name_of(n.target)} of this form is not read")
        name = str(weight.target).removesuffix("weight").rstrip(".") if isinstance(weight, fx.Node) else ""
        return self._linear(n, inputs[0] if inputs else None, tensors[0], tensors[1], value, name or "network")

    def _linear(
        self, n: fx.Node, signal: Signal | None, weight: Tensor, bias: Tensor | None, value: Tensor, name: str
    ) -> Signal:
        is_conv = weight.ndim > 2
        whole = self._index(weight)
        if signal is not None:
            self._consume(signal, whole, is_conv, weight, name)
        h = weight.shape[0]
        candidate = self._new(name, h)
        if self._shared(weight):
            candidate.spoil("its weights are used more than once in the network")
        elif whole is None:
            candidate.spoil("its incoming weights are frozen")
        elif is_conv and value.ndim != weight.ndim:
            candidate.spoil("its input has no batch dimension")
        else:
            candidate.incoming = [whole.flatten(1)]
        axis = 1 if is_conv else value.ndim - 1
        numbers = torch.arange(candidate.start, candidate.start + h)
        shape = [1] * value.ndim
        shape[axis] = h
        result = Signal(numbers.reshape(shape).expand(value.shape), {len(self.candidates) - 1: _start()})
        if bias is None or candidate.reason:
            return result
        if self._shared(bias):
            candidate.spoil("its biases are used more than once in the network")
            return result
        index = self._index(bias)
        if index is None:
            return self._fixed_affine(result, torch.ones_like(bias), bias, "frozen biases")
        candidate.incoming = [*candidate.incoming, index[:, None]]
        return result

    def _consume(self, signal: Signal, whole: Tensor | None, is_conv: bool, weight: Tensor, name: str) -> None:
        for number in signal.claims:
            self.candidates[number].consumed = True
        if signal.labels is None:
            return
        labels = ops.channel_labels(signal.labels) if is_conv else ops.feature_labels(signal.labels)
        for number, claims in signal.claims.items():
            candidate = self.candidates[number]
            if self._shared(weight):
                candidate.spoil(f"weights out of it, at {name!r}, are used more than once in the network")
            elif whole is None:
                candidate.spoil(f"weights out of it, at {name!r}, are frozen")
            elif labels is None:
                candidate.spoil(f"its units are mixed over the positions that {name!r} takes")
            else:
                columns = self._columns(candidate, labels)
                if columns is None:
                    candidate.spoil(f"its units are not used alike by {name!r}")
                elif columns.numel():
                    out = whole[:, columns].movedim(1, 0)  # [h, outputs, places, *positions]
                    candidate.consumers.append((out.flatten(1), claims))

    def _columns(self, candidate: Candidate, labels: Tensor) -> Tensor | None:
        """Places of the units among the labels, ``[h, r]``; None where the units have different numbers of places."""
        mine = (labels >= candidate.start) & (labels < candidate.start + candidate.units)
        places = mine.nonzero()[:, 0]
        if places.numel() == 0:
            return places
        unit = labels[places] - candidate.start
        counts = torch.bincount(unit, minlength=candidate.units)
        if bool((counts != counts[0]).any()):
            return None
        return places[unit.argsort(stable=True)].reshape(candidate.units, -1)

    def _batch_norm(self, n: fx.Node, signal: Signal, module: Any, name: str) -> Signal | None:
        if module.training or module.running_mean is None:
            return self._opaque(n, [signal], f"BatchNorm at {name!r} uses statistics of the batch; call eval()")
        if signal.labels is None:
            return signal
        labels = ops.channel_labels(signal.labels)
        sources = list(signal.claims)
        whole = None if labels is None or len(sources) != 1 else self._columns(self.candidates[sources[0]], labels)
        if whole is None or whole.shape != (len(module.running_mean), 1):
            return self._opaque(
                n, [signal], f"BatchNorm at {name!r} on other than the channels of one layer is not read"
            )
        place = whole[:, 0]
        slope = 1 / torch.sqrt(module.running_var + module.eps)
        shift = -module.running_mean * slope
        if not module.affine:
            return self._fixed_affine(signal, slope[place], shift[place], f"the statistics at {name!r}")
        gamma, beta = self._index(module.weight), self._index(module.bias)
        if gamma is None and beta is None:
            slope, shift = slope * module.weight, shift * module.weight + module.bias
            return self._fixed_affine(signal, slope[place], shift[place], f"the frozen scales at {name!r}")
        candidate = self.candidates[sources[0]]
        if gamma is None or beta is None or self._shared(module.weight) or self._shared(module.bias):
            return self._opaque(n, [signal], f"BatchNorm at {name!r} has scales that are frozen in part or shared")
        pair = torch.stack([gamma[place], beta[place]], -1)
        if _uniform(slope) and _uniform(shift):
            candidate.carried = [*candidate.carried, pair]
            candidate.scalable = False
            return signal.then(*ops.PLAIN)
        if candidate.consumers:
            return self._opaque(n, [signal], f"its units are used both before and after BatchNorm at {name!r}")
        candidate.name, candidate.incoming, candidate.carried = name, [pair], []
        candidate.permutable, candidate.scalable = False, True
        return Signal(signal.labels, {sources[0]: _start(linear=False)})

    def _layer_norm(self, n: fx.Node, signal: Signal, module: Any, name: str) -> Signal | None:
        if signal.labels is None:
            return signal
        labels = ops.feature_labels(signal.labels)
        if labels is None or len(module.normalized_shape) != 1:
            return self._opaque(n, [signal], f"LayerNorm at {name!r} on other than the units of a layer is not read")
        for number in signal.claims:
            candidate = self.candidates[number]
            columns = self._columns(candidate, labels)
            if columns is None:
                candidate.spoil(f"its units are not used alike by LayerNorm at {name!r}")
                continue
            candidate.scalable = False
            for p in (module.weight, module.bias):
                if p is None or columns.numel() == 0:
                    continue
                index = self._index(p)
                if self._shared(p) or (index is None and not _uniform(p)):
                    candidate.spoil(f"LayerNorm at {name!r} has scales that are shared, or frozen at different values")
                elif index is not None:
                    candidate.carried = [*candidate.carried, index[columns]]
        return signal.then(*ops.PLAIN, "layer norm")

    def _fixed_affine(self, signal: Signal, slope: Tensor, shift: Tensor, what: str) -> Signal:
        """After z_j -> slope_j z_j + shift_j with fixed numbers."""
        (number,) = signal.claims
        even, centred = _uniform(slope) and _uniform(shift), not bool((shift != 0).any())
        if not even:
            self.candidates[number].permutable = False
        if not (even or centred):
            self.candidates[number].spoil(f"{what} differ between its units")
        kind = (1.0, True, even) if centred else ops.PLAIN
        return signal.then(*kind)

    # -- what other operations do ----------------------------------------------------------------------------------
    def _moved(self, n: fx.Node, signal: Signal, move: Any) -> Signal:
        if signal.labels is None:
            return signal
        labels = signal.labels
        return Signal(move(labels.contiguous() if isinstance(labels, Tensor) else labels), signal.claims)

    def _replay(self, n: fx.Node, labels: Any, args: Any, kwargs: Any) -> Any:
        if n.op == "call_method":
            return getattr(labels, str(n.target))(*args[1:], **kwargs)
        return n.target(labels, *args[1:], **kwargs)  # type: ignore[operator]

    def _pooled(self, n: fx.Node, signal: Signal, value: Tensor, kind: str) -> Signal | None:
        after = signal.then(1.0, False, False) if kind == "max" else signal.then(*ops.KEEP)
        if signal.labels is None:
            return after
        channels = ops.channel_labels(signal.labels)
        if channels is None or value.ndim != signal.labels.ndim or value.shape[1] != len(channels):
            return self._opaque(n, [signal], "it is pooled over more than the positions of a unit")
        return Signal(channels.reshape(1, -1, *(1,) * (value.ndim - 2)).expand(value.shape), after.claims)

    def _reduced(self, n: fx.Node, signal: Signal, name: str, args: Any, kwargs: Any) -> Signal | None:
        after = signal.then(1.0, False, False) if name == "amax" else signal.then(*ops.KEEP)
        if signal.labels is None:
            return after
        labels = ops.reduced_labels(signal.labels, torch.amax, *args[1:], **kwargs)
        if labels is None:
            return self._opaque(n, [signal], f"its units are mixed by {name!r}")
        return Signal(labels, after.claims)

    def _joined(self, n: fx.Node, inputs: list[Signal], args: Any, kwargs: Any) -> Signal | None:
        nodes = n.args[0] if n.args else n.kwargs["tensors"]
        numbers = [s for signal in inputs for s in signal.claims]
        if any(signal.labels is None for signal in inputs):
            return self._opaque(n, inputs, "it is joined with a tensor whose units are not known")
        if len(set(numbers)) != len(numbers):
            return self._opaque(n, inputs, "it is joined with itself")
        values = args[0] if args else kwargs["tensors"]
        rest = dict(kwargs) if args else {k: v for k, v in kwargs.items() if k != "tensors"}
        parts = [
            self._labels(node, v)
            for node, v in zip(nodes, values, strict=True)  # type: ignore[arg-type]
        ]
        claims = {s: c for signal in inputs for s, c in signal.claims.items()}
        return Signal(torch.cat(parts, *args[1:], **rest), claims)

    def _labels(self, node: fx.Node, value: Tensor) -> Tensor:
        found = self._signals[node].labels if node in self._signals else None
        return torch.full(value.shape, -1) if found is None else found

    def _combined(self, n: fx.Node, inputs: list[Signal], name: str) -> Signal | None:
        """A sum or product of two tensors that both carry units."""
        one, two = (inputs[0], inputs[-1])
        known = isinstance(one.labels, Tensor) and isinstance(two.labels, Tensor)
        if not (known and one.claims.keys() == two.claims.keys() and torch.equal(one.labels, two.labels)):  # type: ignore[arg-type]
            return self._opaque(n, inputs, "its units are tied to those of another layer by a sum or product (a skip)")
        result = {}
        for number, a in one.claims.items():
            b = two.claims[number]
            names = (f"{'.'.join(a.names) or 'z'} {'+' if name in ops.ADDITIONS else '*'} {'.'.join(b.names) or 'z'}",)
            if name in ops.ADDITIONS:
                degree = a.degree if a.degree == b.degree else None
                result[number] = Claims(degree, a.odd and b.odd, a.linear and b.linear, names)
            else:
                degree = None if a.degree is None or b.degree is None else a.degree + b.degree
                result[number] = Claims(degree, False, False, names)
        return Signal(one.labels, result)

    def _opaque(self, n: fx.Node, inputs: list[Signal], reason: str) -> Signal | None:
        claims = {s: c for signal in inputs for s, c in signal.claims.items()}
        for number in claims:
            self.candidates[number].spoil(reason)
        found = []
        if n.op == "call_module":
            found = [name for name, p in self.fetch_attr(str(n.target)).named_parameters() if p.requires_grad]
        found += [a.target for a in n.all_input_nodes if a.op == "get_attr" and self._trainable(str(a.target))]
        if found:
            self._new(str(n.target) if n.op == "call_module" else str(found[0]), 0).spoil(reason)
            claims[len(self.candidates) - 1] = _start()
        return Signal(None, claims) if claims else None

    # -- helpers ---------------------------------------------------------------------------------------------------
    def _new(self, name: str, units: int) -> Candidate:
        candidate = Candidate(name, self._units, units)
        self._units += units
        self.candidates.append(candidate)
        return candidate

    def _trainable(self, target: str) -> bool:
        found = self.fetch_attr(target)
        return isinstance(found, nn.Parameter) and found.requires_grad

    def _shared(self, parameter: Tensor) -> bool:
        return self._uses[id(parameter)] > 1

    def _index(self, parameter: Tensor) -> Tensor | None:
        """Places of the entries in the flat vector, in the parameter's shape; None where it is frozen."""
        name = self._names.get(id(parameter))
        if name is None or name not in self.layout.slices:
            return None
        place = self.layout.slices[name]
        return torch.arange(place.start, place.stop).reshape(parameter.shape)


def _start(linear: bool = True) -> Claims:
    return Claims(linear=linear)


def _uniform(values: Tensor) -> bool:
    return bool((values == values.flatten()[0]).all())
