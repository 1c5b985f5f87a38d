"""A function of tensors as a graph of torch operators: traced once, simplified, its constants made inputs."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from ._factors import share_factors
from ._precision import float64_default
from ._state import one_fake_mode

_CHECKS = (torch.ops.aten._linalg_check_errors.default,)
_NUMBER = torch.ops.aten._local_scalar_dense.default
_RANDOM = torch.Tag.nondeterministic_seeded


class NotTraceable(ValueError):
    """A function that is no fixed graph of torch operators; the message says why."""


@dataclass(frozen=True)
class Traced:
    """What `trace` found.

    Attributes:
        module: The graph, a function of ``(*inputs, *constants)`` that returns ``(*outputs, *infos)``: ``infos`` are
            the status words of linear algebra, zero where it succeeded (the graph itself raises nothing).
        constants: Tensors the function reads besides its inputs (data), the very objects.
        outputs: Number of outputs proper.
        checks: Whether status words follow them.
        key: Equal for functions with the same operators, shapes, layouts, dtypes and scalar constants: they differ in
            the numbers of their inputs and constants at most.
    """

    module: fx.GraphModule
    constants: tuple[Tensor, ...]
    outputs: int
    checks: bool
    key: tuple[Any, ...]


def trace(
    function: Callable[..., Any], inputs: Sequence[Tensor], mutated: int = 0, numbers_are_data: bool = False
) -> Traced:
    """Trace ``function(*inputs)``, which returns a tuple of tensors, at these inputs.

    Operators whose operands are all constant are evaluated here, so that at each call only what depends on the inputs
    is left; equal subexpressions are computed once. The last ``mutated`` outputs are written into the first ``mutated``
    inputs instead of being returned. With ``numbers_are_data`` a number taken out of a tensor (``.item()``) is a
    constant: right only where the function does that to its data alone, as under ``torch.func.vmap``, which refuses it
    for what depends on the point.

    Raises:
        NotTraceable: The function branches on values, draws random numbers, changes tensors that are not its own, or
            meets what ``make_fx`` does not take.
    """
    before = torch.random.get_rng_state()
    raw = made(lambda *given: tuple(function(*given)), inputs, numbers_are_data)
    if not torch.equal(before, torch.random.get_rng_state()):
        torch.random.set_rng_state(before)
        raise NotTraceable("it draws random numbers")
    infos = _expose_checks(raw.graph)
    constants = _lift(raw)
    module = made(torch.func.functionalize(raw, remove="mutations"), (*inputs, *constants))  # all tensors its own
    for node in module.graph.nodes:
        if node.op == "call_function" and node.is_impure():
            raise NotTraceable(f"it changes tensors that are not its own ({node.target})")
    _fold(module, constants, len(inputs))
    infos = _drop_settled(module, infos)
    module = fx.GraphModule(module, _without_repeats(module.graph))
    kept = _drop_unused(module, constants, len(inputs))
    share_factors(module, (*inputs, *kept))
    outputs = len(_output(module.graph).args[0]) - infos - mutated  # type: ignore[arg-type]
    _write_back(module, mutated, outputs)
    return Traced(module, kept, outputs, infos > 0, _key(module, (*inputs, *kept)))


def made(function: Callable[..., Any], inputs: Sequence[Tensor], numbers_are_data: bool = False) -> fx.GraphModule:
    """The bare graph of ``function`` at ``inputs``; see `trace`."""
    try:
        with warnings.catch_warnings(), torch.no_grad(), float64_default(), one_fake_mode():
            warnings.simplefilter("ignore")
            module = make_fx(function, _error_on_data_dependent_ops=not numbers_are_data)(*inputs)
    except Exception as error:
        first = next(iter(str(error).strip().splitlines()), "no message")
        raise NotTraceable(f"{type(error).__name__}: {first}") from error
    for node in [node for node in module.graph.nodes if node.target is _NUMBER and not node.users]:
        module.graph.erase_node(node)  # the number itself is in the graph
    module.recompile()
    return module


def _output(graph: fx.Graph) -> fx.Node:
    return next(node for node in reversed(graph.nodes) if node.op == "output")


def _expose_checks(graph: fx.Graph) -> int:
    """Return the status words of linear algebra instead of raising on them."""
    checks = [node for node in graph.nodes if node.op == "call_function" and node.target in _CHECKS]
    output, infos = _output(graph), [node.args[0] for node in checks]
    for node in checks:
        graph.erase_node(node)
    output.args = ((*output.args[0], *infos),)  # type: ignore[misc]
    return len(infos)


def _lift(module: fx.GraphModule) -> tuple[Tensor, ...]:
    """Make inputs of all constants, behind the inputs there are."""
    graph = module.graph
    found: dict[str, tuple[fx.Node, Tensor]] = {}
    last = [node for node in graph.nodes if node.op == "placeholder"][-1]
    for node in [node for node in graph.nodes if node.op == "get_attr"]:
        name = str(node.target)
        if name not in found:
            with graph.inserting_after(last):
                last = graph.placeholder(f"constant_{len(found)}")
            found[name] = (last, operator.attrgetter(name)(module).detach())
        node.replace_all_uses_with(found[name][0])
        graph.erase_node(node)
    module.recompile()
    return tuple(value for _, value in found.values())


def _fold(module: fx.GraphModule, constants: tuple[Tensor, ...], inputs: int) -> None:
    """Evaluate what depends on constants alone; under a float64 default, as the density itself runs."""
    graph = module.graph
    values: dict[fx.Node, Any] = dict(zip(_placeholders(graph)[inputs:], constants, strict=True))
    with float64_default(), torch.no_grad():
        for node in graph.nodes:
            if node.op == "call_function" and all(argument in values for argument in node.all_input_nodes):
                if _RANDOM in getattr(node.target, "tags", ()):
                    raise NotTraceable(f"it draws random numbers ({node.target})")
                args, kwargs = fx.map_arg((node.args, node.kwargs), lambda known: values[known])
                values[node] = node.target(*args, **kwargs)
    for index, (node, value) in enumerate(values.items()):
        needed = isinstance(value, Tensor) and any(user not in values for user in node.users)
        if not needed or (node.op == "placeholder" and value.dim()):
            continue
        name = f"folded_{index}"
        module.register_buffer(name, value.detach().clone() if value.dim() == 0 else value.detach())
        with graph.inserting_after(node):
            constant = graph.get_attr(name)
        node.replace_all_uses_with(constant)
    graph.eliminate_dead_code()
    module.recompile()


def _drop_unused(module: fx.GraphModule, constants: tuple[Tensor, ...], inputs: int) -> tuple[Tensor, ...]:
    """Constants that are left, all but scalars made inputs: data of the same shape then share one compiled function."""
    graph, kept = module.graph, []
    places = _placeholders(graph)
    last = places[-1]
    for node, value in zip(places[inputs:], constants, strict=True):
        if node.users:
            kept.append(value)
        else:
            last = last.prev if node is last else last
            graph.erase_node(node)
    for node in [node for node in graph.nodes if node.op == "get_attr"]:
        value = getattr(module, str(node.target))
        if value.dim():
            with graph.inserting_after(last):
                last = graph.placeholder(f"constant_{len(kept)}")
            node.replace_all_uses_with(last)
            graph.erase_node(node)
            kept.append(value)
    module.recompile()
    return tuple(kept)


def _write_back(module: fx.GraphModule, mutated: int, outputs: int) -> None:
    """Copy outputs ``outputs``, ... (``mutated`` of them) into the first inputs, and return the others."""
    output = _output(module.graph)
    results: tuple[Any, ...] = tuple(output.args[0])  # type: ignore[arg-type]
    with module.graph.inserting_before(output):
        for place, value in zip(_placeholders(module.graph), results[outputs : outputs + mutated], strict=False):
            module.graph.call_function(torch.ops.aten.copy_.default, (place, value))
    output.args = (results[:outputs] + results[outputs + mutated :],)
    module.recompile()


def _placeholders(graph: fx.Graph) -> list[fx.Node]:
    return [node for node in graph.nodes if node.op == "placeholder"]


def _drop_settled(module: fx.GraphModule, infos: int) -> int:
    """Drop status words of constant matrices, which were zero; how many are left."""
    output = _output(module.graph)
    results: tuple[Any, ...] = tuple(output.args[0])  # type: ignore[arg-type]
    proper = len(results) - infos
    live = [node for node in results[proper:] if node.op == "call_function"]
    output.args = ((*results[:proper], *live),)
    module.graph.eliminate_dead_code()
    return len(live)


def _without_repeats(graph: fx.Graph) -> fx.Graph:
    """Common subexpressions computed once."""
    from torch._functorch.compile_utils import fx_graph_cse

    shared: fx.Graph = fx_graph_cse(graph)
    return shared


def _key(module: fx.GraphModule, tensors: Sequence[Tensor]) -> tuple[Any, ...]:
    layouts = tuple((tuple(t.shape), t.stride(), t.dtype, str(t.device)) for t in tensors)
    names = sorted({str(node.target) for node in module.graph.nodes if node.op == "get_attr"})
    scalars = tuple(
        (name, str(value.dtype), repr(value.item())) for name in names if (value := getattr(module, name)) is not None
    )
    return module.code, layouts, scalars
