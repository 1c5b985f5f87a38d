"""From a user's network and input shape to a traced network whose claim has been tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ...groups import NetworkRescaling, UnsupportedError
from ._traced import TracedNetwork, UnitBlock, trace_network
from ._verify import duplicate, graph_is_faithful, outputs, verify_network

BATCH_NORMS, UNSUPPORTED = ("barrier", "folded"), ("raise", "skip")


def read_network(network: nn.Module, input_shape: Any, *, batch_norm: str, unsupported: str) -> TracedNetwork:
    """Trace a network and put the result to the test (``verify_network``).

    Where the test fails, the scales of the layers that fail alone are pinned with ``unsupported="skip"``.

    Raises:
        TypeError: Something that is no module.
        ValueError: Unknown options, parameters that are not finite, an input shape that the network does not take.
        UnsupportedError: Operations that do not commute with scaling, or a test that fails.
    """
    check_network(network)
    for name, value, known in (("batch_norm", batch_norm, BATCH_NORMS), ("unsupported", unsupported, UNSUPPORTED)):
        if value not in known:
            raise ValueError(f"expected {name} among {known}, got {value!r}")
    shapes = fitting_shapes(network, input_shape)
    traced = trace_network(network, shapes, batch_norm=batch_norm, unsupported=unsupported)
    if not graph_is_faithful(network, traced):
        raise UnsupportedError(
            f"expected a forward pass that torch.fx follows, got {type(network).__name__}, whose graph gives other "
            "outputs than itself, because of operations in place on shared memory, hooks, or choices made while "
            "tracing; try to write these out of place, and to remove the hooks"
        )
    return tested(network, traced, repair=unsupported == "skip")


def check_network(network: nn.Module) -> None:
    """Refuse what has no parameters that can be rescaled."""
    if not isinstance(network, nn.Module):
        raise TypeError(f"expected a torch.nn.Module, got {type(network).__name__}")
    original = getattr(network, "_orig_mod", None)
    if isinstance(network, torch.jit.ScriptModule) or isinstance(original, nn.Module):
        raise UnsupportedError(
            f"expected a plain torch.nn.Module, got {type(network).__name__}; try the module that was compiled "
            "(model._orig_mod for torch.compile), which shares its parameters"
        )
    if next(network.parameters(), None) is None:
        raise ValueError(
            f"expected a network with parameters, got {type(network).__name__} without any; try the network before it "
            "was quantised"
        )
    for name, parameter in network.named_parameters():
        if is_lazy(parameter) or parameter.is_meta:
            raise ValueError(f"expected parameters with values, got {name} without any; try to run the network once")
        if not parameter.is_floating_point():
            raise UnsupportedError(f"expected real parameters, got {name} of dtype {parameter.dtype}")
        if not bool(parameter.isfinite().all()):
            raise ValueError(
                f"expected finite parameters, got nan or inf in {name!r}, because no scale makes up for them; try to "
                "restore the network from before it diverged"
            )


def fitting_shapes(network: nn.Module, input_shape: Any) -> tuple[tuple[int, ...], ...]:
    """Shapes with a batch axis of one: that of one sample, or, where only that fits, the shape as it was given."""
    given = _shapes(input_shape)
    tries = [tuple((1, *s) for s in given)]
    if all(s[:1] == (1,) for s in given):
        tries.append(given)
    model, errors = duplicate(network), []
    for shapes in tries:
        dtype = next((p.dtype for p in model.parameters()), torch.float32)
        try:
            outputs(model, [torch.zeros(s, dtype=dtype) for s in shapes])
        except Exception as error:  # the user's forward may raise anything
            errors.append(f"{type(error).__name__}: {error}")
        else:
            return shapes
    raise ValueError(
        f"expected input_shape of one sample without the batch axis, got {input_shape}, because the network does not "
        f"take a batch of one of it ({errors[0]}); try the shape of x[0], as (3, 32, 32) or (784,), and a list of "
        "shapes for several inputs"
    )


def _shapes(input_shape: Any) -> tuple[tuple[int, ...], ...]:
    """One shape or several as a tuple of shapes."""
    if isinstance(input_shape, int):
        return ((input_shape,),)
    if isinstance(input_shape, Sequence) and not isinstance(input_shape, str):
        several = [s for s in input_shape if isinstance(s, Sequence)]
        if len(several) == len(input_shape) and several:
            return tuple(tuple(int(n) for n in s) for s in several)
        if all(isinstance(n, int) and n > 0 for n in input_shape):
            return (tuple(input_shape),)
    raise ValueError(f"expected input_shape as positive integers, or a list of such shapes, got {input_shape!r}")


def tested(network: nn.Module, traced: TracedNetwork, *, repair: bool = False) -> TracedNetwork:
    """The traced network if random scales leave the function as it is; with ``repair``, without scales that do not."""
    verification = verify_network(network, traced)
    if verification.passed:
        return traced
    bad = suspects(network, traced)
    if repair:
        pinned = without_scales(traced, bad)
        if verify_network(network, pinned).passed:
            return pinned
    names = [b.name for b in traced.blocks if set(b.scales.tolist()) & set(bad)]
    raise UnsupportedError(
        f"expected outputs that do not change with the scales of the units, got a relative change of "
        f"{max(verification.change, verification.randomised):.2g} for {', '.join(names) or 'all together'}, because "
        "some operation of the network does not do what was read from it (a hook, a function of its own, a shape that "
        "depends on the batch); try unsupported='skip', which leaves these units at scale one"
    )


def suspects(network: nn.Module, traced: TracedNetwork) -> tuple[int, ...]:
    """Scales of the layers that change the function when they alone are moved."""
    found: set[int] = set()
    for block in traced.blocks:
        chosen = set(block.scales.tolist()) - {-1} - found
        if chosen:
            mask = torch.zeros(traced.action.units, dtype=torch.float64)
            mask[sorted(chosen)] = 1.0
            if not verify_network(network, traced, scales=mask).passed:
                found |= chosen
    return tuple(sorted(found))


def without_scales(traced: TracedNetwork, scales: Sequence[int]) -> TracedNetwork:
    """The same network with some scales fixed to one."""
    kept = torch.ones(traced.action.units + 1, dtype=torch.bool)
    kept[list(scales)] = False
    kept[-1] = False
    number = torch.where(kept, torch.cumsum(kept, 0) - 1, -1)  # -1 reads the last one

    def moved(index: Tensor) -> Tensor:
        return number[index]

    old, text = traced.action, "rescaling it changes the outputs"
    degrees = None if old.degrees is None else torch.where(moved(old.leaves) >= 0, old.degrees, 1.0)
    action = NetworkRescaling(moved(old.enters), moved(old.leaves), int(kept.sum()), degrees)
    blocks = tuple(
        UnitBlock(b.name, moved(b.scales), "; ".join(filter(None, (b.reason, text))))
        if set(b.scales.tolist()) & set(scales)
        else UnitBlock(b.name, moved(b.scales), b.reason)
        for b in traced.blocks
    )
    buffers = {name: moved(index) for name, index in traced.buffers.items()}
    return replace(traced, action=action, blocks=blocks, buffers=buffers)
