"""What becomes of the units of a network on the way through it, operation by operation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from ..._layout import Layout
from ...groups import UnsupportedError
from ._operations import blank, computed, runner, unread, why_refused, writes
from ._signal import Signal, Weights, signals, weights
from ._units import FIXED, ZERO, UnitTable


@dataclass(frozen=True)
class Refusal:
    """An operation that does not commute with scaling, whose inputs keep scale one.

    Attributes:
        where: the operation and its place.
        reason: why it does not.
        lost: whether units lost their scale by it, or parameters could not be followed. Nothing is lost on inputs of
            the network, nor where no weights follow (a softmax at the end).
    """

    where: str
    reason: str
    lost: bool


class UnitFlow(fx.Interpreter):
    """Runs a traced network on unit numbers in place of activations.

    Each operation is a handler with the signature of the operation, found in a table (``_tables``); one that is in no
    table is refused: its inputs and parameters keep scale one.
    """

    def __init__(self, graph: fx.GraphModule, layout: Layout, *, batch_norm: str, skip: bool) -> None:
        super().__init__(graph)
        self.extra_traceback = False  # messages are for users
        self.dtype = next((p.dtype for p in graph.parameters()), torch.float32)
        self.table, self.layout, self.batch_norm, self.skip = UnitTable(), layout, batch_norm, skip
        self.names = {id(p): name for name, p in graph.named_parameters()}
        self.copies: list[tuple[Tensor, str]] = []
        self.buffer_names = {id(b): name for name, b in graph.named_buffers()}
        self.enters, self.leaves = (torch.full((layout.dim + 1,), -1) for _ in range(2))
        self.degrees = torch.ones(layout.dim + 1, dtype=torch.float64)
        self.uses: dict[str, int] = {}
        self.buffers: dict[str, Tensor] = {}
        self.refusals: list[Refusal] = []
        self.pending: set[int] = set()  # those that lose scales if weights follow
        self.after: frozenset[int] = frozenset()
        self.node: fx.Node | None = None

    def lift(self, tensor: Tensor | None) -> Weights | Tensor | None:
        """A parameter as its places in the flat vector; any other tensor as a constant."""
        if tensor is None or id(tensor) not in self.names:
            if tensor is None:
                return None
            copy = tensor.detach().clone().cpu()  # so that no operation can write into the network's own
            self.copies.append((copy, self.buffer_names.get(id(tensor), "")))
            return copy
        name = self.names[id(tensor)]
        place = self.layout.slices[name]
        return Weights(torch.arange(place.start + 1, place.stop + 1).reshape(tensor.shape), name)

    def buffer_name(self, tensor: Tensor) -> str | None:
        """The name of the buffer that a constant is, or is a copy of."""
        copied = next((name for copy, name in self.copies if copy is tensor), "")
        return copied or self.buffer_names.get(id(tensor))

    def signal(self, value: Any) -> Signal:
        """Anything that can be added to a signal: constants have scale one, each parameter is a unit of its own."""
        if isinstance(value, Signal):
            return value
        if isinstance(value, Weights):
            entries, places = torch.unique(value.entries, return_inverse=True)
            units = self.table.fresh(value.name, len(entries))[places]
            units = torch.where(value.entries == 0, ZERO, units)
            self.use(value, units)
            return Signal(units)
        if isinstance(value, Tensor):
            return Signal.fixed(value.shape)
        return Signal(torch.tensor(ZERO if value == 0 else FIXED))

    def fresh(self, parameter: Weights, count: int) -> Tensor:
        """New units ``[count]``, named after the layer of a parameter."""
        return self.table.fresh(parameter.name.rpartition(".")[0] or parameter.name, count)

    def use(self, parameter: Any, enters: Tensor, leaves: Tensor | None = None, degree: float = 1.0) -> None:
        """A parameter leads from units into units (numbers that broadcast to its shape, or it to theirs).

        A second use of an entry ties the units of both uses. Constants have no scale and are passed over.
        """
        if not isinstance(parameter, Weights):
            return
        for number in sorted(self.after & self.pending):
            self._lose(number)
        self.uses[parameter.name] = self.uses.get(parameter.name, 0) + 1
        leaves = torch.tensor(FIXED) if leaves is None else leaves
        enters, leaves = (torch.where(t == ZERO, FIXED, t) for t in (enters, leaves))
        entries, enters, leaves = torch.broadcast_tensors(parameter.entries, enters, leaves)
        if self.uses[parameter.name] == 1 and entries.shape == parameter.entries.shape and _in_order(entries):
            first = int(entries.flatten()[0])  # each entry once, for the first time: nothing to tie
            place = slice(first, first + entries.numel())
            self.enters[place], self.leaves[place] = enters.reshape(-1), leaves.reshape(-1)
            self.degrees[place] = degree
            return
        entries, enters, leaves = (t.reshape(-1) for t in (entries, enters, leaves))
        live = entries > 0
        if not bool(live.all()):
            entries, enters, leaves = entries[live], enters[live], leaves[live]
        why = f"{parameter.name} is used at several places"
        new = self.enters[entries] < 0
        self.enters[entries[new]], self.leaves[entries[new]] = enters[new], leaves[new]
        self.degrees[entries[new]] = degree
        self.table.tie(self.enters[entries], enters, why)
        self.table.tie(self.leaves[entries], leaves, why)
        differ = self.degrees[entries] != degree
        if bool(differ.any()):
            self.table.pin(leaves[differ], f"{why}, with different degrees")

    def refuse(self, reason: str, values: Any) -> None:
        """The inputs of this operation keep scale one; an error if layers with weights follow and nothing is skipped.

        What is made of the refused operation carries its number, so that a later use of a parameter finds it.
        """
        where = self.where()
        found = signals(values)
        lost = any(self.table.free(s.units) for s in found)
        for parameter in weights(values):
            self.use(parameter, torch.tensor(FIXED))
        for s in found:
            self.table.pin(s.units, f"{where}: {reason}")
        number = len(self.refusals)
        self.refusals.append(Refusal(where, reason, False))
        self.pending |= {number} if lost else set()
        self.after |= {number}
        if weights(values):
            self._lose(number)

    def _lose(self, number: int) -> None:
        """Scales are lost by a refused operation: an error unless such operations are skipped."""
        self.refusals[number] = dataclasses.replace(self.refusals[number], lost=True)
        if not self.skip:
            raise UnsupportedError(self._message(self.refusals[number]))

    def opaque(self, function: Callable[..., Any], args: Any, kwargs: Any, reason: str) -> Any:
        """An operation that is refused; its outputs have scale one."""
        self.refuse(reason, (args, kwargs))
        zeros = pytree.tree_map(blank, (args, kwargs))
        try:
            with torch.random.fork_rng(devices=[]):
                result = function(*zeros[0], **zeros[1])
        except Exception as error:
            raise UnsupportedError(f"expected operations that are known, got {self.where()}: {error}") from error
        return pytree.tree_map(lambda t: Signal.fixed(t.shape) if isinstance(t, Tensor) else t, result)

    def where(self) -> str:
        """The current operation and its place in the network, in words."""
        node = self.node
        if node is None:
            return "the network"
        if node.op == "call_module":
            return f"{type(self.fetch_attr(str(node.target))).__name__} at {str(node.target)!r}"
        stack = [path for path, _ in node.meta.get("nn_module_stack", {}).values() if path]
        target = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        return f"{target}{f' in {stack[-1]!r}' if stack else ''} (step {node.name!r})"

    def run_node(self, n: fx.Node) -> Any:
        self.node, self.after = n, frozenset()
        return super().run_node(n)

    def placeholder(self, target: Any, args: Any, kwargs: Any) -> Any:
        value = super().placeholder(target, args, kwargs)
        return Signal.fixed(value.shape) if isinstance(value, Tensor) else value

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        value = super().get_attr(target, args, kwargs)
        return self.lift(value) if isinstance(value, Tensor) else value

    def output(self, target: Any, args: Any, kwargs: Any) -> Any:
        for s in signals(args):
            self.table.pin(s.units, "it is an output of the network")
        for parameter in weights(args):
            self.use(parameter, torch.tensor(FIXED))
        return args[0]

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        from ._tables import FUNCTIONS

        return self._call(FUNCTIONS.get(target), target, args, kwargs)

    def call_method(self, target: Any, args: Any, kwargs: Any) -> Any:
        from ._tables import METHODS

        def method(this: Any, *rest: Any, **options: Any) -> Any:
            return getattr(this, target)(*rest, **options)

        method.__name__ = target
        return self._call(METHODS.get(target), method, args, kwargs)

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        from ._tables import MODULES

        module = self.fetch_attr(str(target))
        handler = next((MODULES[kind] for kind in type(module).__mro__ if kind in MODULES), None)
        why = computed(module)
        if handler is not None and not why:
            return self._call(handler, module, (module, *args), kwargs)
        return self._unknown(module, (module, *args), kwargs, why or why_refused(type(module).__name__))

    def _unknown(self, function: Any, args: Any, kwargs: Any, reason: str) -> Any:
        """An operation without a handler."""
        self.after = frozenset().union(*(s.after for s in signals((args, kwargs))))
        if isinstance(function, nn.Module):
            own = [self.lift(p) for p in function.parameters()]
            return self._passed_on(self.opaque(runner(function), (args[1:], own), kwargs, reason))
        return self._passed_on(self.opaque(function, args, kwargs, reason))

    def _call(self, handler: Callable[..., Any] | None, function: Any, args: Any, kwargs: Any) -> Any:
        found = signals((args, kwargs))
        if not found and not weights((args, kwargs)) and not isinstance(function, nn.Module):
            return function(*args, **kwargs)
        self.after = frozenset().union(*(s.after for s in found))
        reason = unread(handler, self, args, kwargs) or why_refused(getattr(function, "__name__", ""))
        if handler is None or unread(handler, self, args, kwargs):
            result = self._unknown(function, args, kwargs, reason)
        else:
            try:
                result = handler(self, *args, **kwargs)
            except UnsupportedError:
                raise
            except Exception as error:
                raise UnsupportedError(
                    f"expected operations that are known, got {self.where()}, which could not be read "
                    f"({type(error).__name__}: {error}); try to write it in another way"
                ) from error
        if writes(self.node, function, kwargs) and found:
            result = self._written(found[0], result)
        return self._passed_on(result)

    def _written(self, target: Signal, result: Any) -> Any:
        """The result of an operation in place: other names of the same memory must still tell the truth."""
        if not isinstance(result, Signal) or result.units.shape != target.units.shape:
            return result
        if result.degree == target.degree and torch.equal(*map(self.table.roots, (target.units, result.units))):
            return result
        if bool((target.units == ZERO).any()):
            raise UnsupportedError(
                f"expected operations in place that keep the units, got {self.where()}, which writes into zeros; try "
                "torch.cat or torch.nn.functional.pad"
            )
        self.refuse("an operation in place that changes the units; write it out of place", (target, result))
        return Signal.fixed(result.units.shape)

    def _passed_on(self, result: Any) -> Any:
        """The result of an operation, with the refusals before it noted on every signal."""
        after = self.after
        return pytree.tree_map(
            lambda s: dataclasses.replace(s, after=s.after | after) if isinstance(s, Signal) else s, result
        )

    @staticmethod
    def _message(refusal: Refusal) -> str:
        advice = "try ReLU, LeakyReLU or another function with f(c x) = c f(x) there"
        reason = refusal.reason if "; try " in refusal.reason else f"{refusal.reason}; {advice}"
        return (
            f"expected operations that commute with positive scaling between layers with weights, got {refusal.where}: "
            f"{reason}, or unsupported='skip' to leave the units before it at scale one"
        )


def _in_order(entries: Tensor) -> bool:
    """Whether these are places one after another, none of them twice."""
    flat = entries.reshape(-1)
    return bool(len(flat) and flat[0] > 0 and (flat[1:] - flat[:-1] == 1).all())
