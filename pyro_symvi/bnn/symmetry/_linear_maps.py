"""Reading linear maps and convolutions: weights out of the units before them and into new ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from . import _operations as ops
from ._normalisation import Normalisation
from ._signals import Claims, Signal


class LinearMaps(Normalisation):
    """Where units are made and used."""

    def _functional_linear(self, n: fx.Node, inputs: list[Signal], args: Any, kwargs: Any, value: Any) -> Signal | None:
        places = [*n.args, *(None,) * 3]
        weight, bias = n.kwargs.get("weight", places[1]), n.kwargs.get("bias", places[2])
        found, shift = self._parameter(weight), self._parameter(bias)
        name = ops.name_of(n.target)
        if found is None or (bias is not None and (shift is None or shift[1])):
            return self._opaque(n, inputs, f"{name} with computed weights is not read")
        groups = kwargs.get("groups", args[6] if len(args) > 6 else 1)
        if groups != 1 or len(inputs) > 1:
            return self._opaque(n, inputs, f"{name} of this form is not read")
        signal = inputs[0] if inputs else None
        return self._linear(n, signal, found[0], shift[0] if shift else None, value, self._label(weight), found[1])

    def _product(self, n: fx.Node, inputs: list[Signal], value: Tensor) -> Signal | None:
        """The product h @ W with W ``[inputs, outputs]``, or h @ W.T."""
        found = self._parameter(n.args[1])
        if found is None or found[0].ndim != 2 or len(inputs) > 1 or value.ndim < 2:
            return self._opaque(n, inputs, "a product with computed weights is not read")
        signal = inputs[0] if inputs else None
        return self._linear(n, signal, found[0], None, value, self._label(n.args[1]), not found[1])

    def _bias(self, n: fx.Node, signal: Signal, bias: Tensor) -> Signal | None:
        """Adding a vector with one entry a unit, before anything else is done to the units."""
        labels = None if signal.labels is None else ops.feature_labels(signal.labels)
        numbers = list(signal.claims)
        candidate = self.candidates[numbers[0]]
        fresh = len(numbers) == 1 and signal.claims[numbers[0]] == Claims()
        wanted = torch.arange(candidate.start, candidate.start + candidate.units)
        if labels is None or not fresh or self._shared(bias) or not torch.equal(labels, wanted) or not candidate.units:
            return self._opaque(n, [signal], "a parameter is added to it in a way that is not read", harmless=True)
        index = self._index(bias)
        if index is None:
            return self._fixed_affine(signal, torch.ones_like(bias), bias, "frozen biases")
        candidate.incoming = [*candidate.incoming, index[:, None]]
        return signal

    def _label(self, node: Any) -> str:
        node = node.all_input_nodes[0] if node.op != "get_attr" else node
        return str(node.target).removesuffix("weight").rstrip(".") or "network"

    def _linear(
        self,
        n: fx.Node,
        signal: Signal | None,
        weight: Tensor,
        bias: Tensor | None,
        value: Tensor,
        name: str,
        transposed: bool = False,
    ) -> Signal:
        is_conv = weight.ndim > 2
        whole = self._index(weight)
        if whole is not None and transposed:
            whole = whole.T
        if signal is not None:
            self._consume(signal, whole, is_conv, weight, name)
        h = weight.shape[1 if transposed else 0]
        candidate = self._new(name, h)
        if self._shared(weight):
            candidate.spoil("its weights are used more than once in the network", harmless=True)
        elif whole is None:
            candidate.spoil("its incoming weights are frozen", harmless=True)
        elif is_conv and value.ndim != weight.ndim:
            candidate.spoil("its input has no batch dimension")
        else:
            candidate.incoming = [whole.flatten(1)]
        axis = 1 if is_conv else value.ndim - 1
        numbers = torch.arange(candidate.start, candidate.start + h)
        shape = [1] * value.ndim
        shape[axis] = h
        result = Signal(numbers.reshape(shape).expand(value.shape), {len(self.candidates) - 1: Claims()})
        if bias is None or candidate.reason:
            return result
        if self._shared(bias):
            candidate.spoil("its biases are used more than once in the network", harmless=True)
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
