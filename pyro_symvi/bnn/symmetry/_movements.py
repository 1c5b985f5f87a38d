"""Reading operations without parameters of their own: moves of entries, pooling, joins, sums and products."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from . import _operations as ops
from ._following import Following
from ._signals import Claims, Signal

_TIED = "its units are tied to those of another layer by a sum or product (a skip connection)"


class Movements(Following):
    """Labels of units are moved as the entries are."""

    def _moved(self, n: fx.Node, signal: Signal, move: Any) -> Signal:
        if signal.labels is None:
            return signal
        labels = signal.labels
        found = move(labels.contiguous() if isinstance(labels, Tensor) else labels)
        for number in signal.claims:
            candidate = self.candidates[number]
            for part in (found,) if isinstance(found, Tensor) else found:
                units = torch.unique(part)
                mine = (units >= candidate.start) & (units < candidate.start + candidate.units)
                if 0 < int(mine.sum()) < candidate.units:
                    candidate.spoil("some of its units are taken apart from the others", harmless=True)
        return Signal(found, signal.claims)

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
        if any(signal.labels is None for signal in inputs):
            return self._opaque(n, inputs, "it is joined with a tensor whose units are not known")
        values = args[0] if args else kwargs["tensors"]
        rest = dict(kwargs) if args else {k: v for k, v in kwargs.items() if k != "tensors"}
        parts = [
            self._labels(node, v)
            for node, v in zip(nodes, values, strict=True)  # type: ignore[arg-type]
        ]
        claims: dict[int, Claims] = {}
        for signal in inputs:
            for number, claim in signal.claims.items():
                claims[number] = claims[number].meet(claim) if number in claims else claim
        join = torch.stack if ops.name_of(n.target) == "stack" else torch.cat
        return Signal(join(parts, *args[1:], **rest), claims)

    def _labels(self, node: fx.Node, value: Tensor) -> Tensor:
        found = self._signals[node].labels if node in self._signals else None
        return torch.full(value.shape, -1) if found is None else found

    def _combined(self, n: fx.Node, inputs: list[Signal], name: str) -> Signal | None:
        """A sum or product of two tensors that both carry units."""
        one, two = (inputs[0], inputs[-1])
        known = isinstance(one.labels, Tensor) and isinstance(two.labels, Tensor)
        if not (known and one.claims.keys() == two.claims.keys() and torch.equal(one.labels, two.labels)):  # type: ignore[arg-type]
            return self._opaque(n, inputs, _TIED, harmless=True)
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
