"""The claim put to the test: random scales must leave the outputs of the network as they are."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ...groups import UnsupportedError
from ._rescale import rescale_
from ._traced import TracedNetwork

TOLERANCE = 1e-7
"""Largest relative change of outputs in float64 that is round-off; a wrong tie changes them by about one."""


@dataclass(frozen=True)
class Verification:
    """What random scales did to the outputs.

    Attributes:
        change: largest |f(x; theta') - f(x; theta)| / max |f(x; theta)| over all trials.
        randomised: the same at weights drawn anew (weights of zero hide mistakes).
        tolerance: what passes.
    """

    change: float
    randomised: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the function stays as it is."""
        return max(self.change, self.randomised) <= self.tolerance


def verify_network(
    network: nn.Module,
    traced: TracedNetwork,
    inputs: Sequence[Tensor] | None = None,
    *,
    seed: int = 0,
    scales: Tensor | None = None,
) -> Verification:
    """Rescale a copy of a network (float64, on the CPU, evaluation mode) by z ~ N(0, 1), and compare its outputs.

    At its weights and at random ones, on the inputs given or on standard normal ones in batches of 1 and 3 (one batch
    alone where the network takes no other); ``scales`` [H] of zeros and ones chooses which z are not zero.
    """
    generator = torch.Generator().manual_seed(seed)
    model, tolerance = workable(network, traced.input_shapes)
    like = next(model.parameters())
    batches = [tuple(x.detach().cpu().to(like.dtype) for x in inputs)] if inputs is not None else []
    for size in (1, 3) if inputs is None else ():
        draws = tuple(torch.randn(size, *s[1:], generator=generator).to(like.dtype) for s in traced.input_shapes)
        if size == 1 or _takes(model, draws):
            batches.append(draws)
    z = torch.randn(traced.action.units, generator=generator, dtype=torch.float64)
    z = z if scales is None else z * scales
    changes = []
    for randomised in (False, True):
        if randomised:
            randomise_(model, generator)
        before = [outputs(model, batch) for batch in batches]
        rescale_(model, traced, z)
        changes.append(max(relative_change(a, outputs(model, batch)) for a, batch in zip(before, batches, strict=True)))
    return Verification(changes[0], changes[1], tolerance)


def workable(network: nn.Module, shapes: Sequence[tuple[int, ...]]) -> tuple[nn.Module, float]:
    """A copy in float64 and evaluation mode, and the tolerance; in its own dtype where forward insists on that."""
    dtype = next(network.parameters()).dtype
    double = duplicate(network).double()
    if dtype == torch.float64 or _takes(double, tuple(torch.zeros(s, dtype=torch.float64) for s in shapes)):
        return double, TOLERANCE
    return duplicate(network), 1e-3


def duplicate(network: nn.Module) -> nn.Module:
    """A copy on the CPU, in evaluation mode, without gradients."""
    try:
        memo: dict[int, Any] = {}
        for module in network.modules():  # tensors that hooks computed, which deepcopy refuses
            for value in vars(module).values():
                if isinstance(value, Tensor) and value.grad_fn is not None:
                    memo[id(value)] = value.detach().clone()
        model = copy.deepcopy(network, memo)
    except Exception as error:
        raise UnsupportedError(
            f"expected a network that copy.deepcopy can copy, got {type(network).__name__} ({error}), because its "
            "group is tested on a copy; try to remove weight_norm, pruning and other hooks that hold computed tensors"
        ) from error
    return model.cpu().eval().requires_grad_(False)


def outputs(model: nn.Module, inputs: Sequence[Tensor]) -> list[Tensor]:
    """All tensors that a network gives, in float64, random steps in forward drawn from one seed."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        result: Any = model(*(x.clone() for x in inputs))
    return [leaf.double() for leaf in pytree.tree_leaves(result) if isinstance(leaf, Tensor)]


def relative_change(before: list[Tensor], after: list[Tensor]) -> float:
    """Largest |after - before| / max |before|; entries that were not finite before are passed over."""
    worst = 0.0
    for a, b in zip(before, after, strict=True):
        finite = a.isfinite()
        if not bool(finite.any()):
            continue
        gap, size = float((b - a)[finite].abs().max()), float(a[finite].abs().max())
        worst = max(worst, math.inf if math.isnan(gap) else 0.0 if gap == 0 else gap / max(size, 1e-300))
    return worst


def randomise_(model: nn.Module, generator: torch.Generator) -> None:
    """Weights ~ N(0, 2 / fan in), vectors ~ N(0, 1), running means ~ N(0, 1), running variances ~ U(1/2, 3/2)."""
    with torch.no_grad():
        for p in model.parameters():
            fan = max(p[0].numel(), 1) if p.ndim > 1 else 1
            p.copy_(torch.randn(p.shape, generator=generator) * math.sqrt(2 / fan if p.ndim > 1 else 1))
        for name, buffer in model.named_buffers():
            kind = name.rpartition(".")[2]
            if kind == "running_mean":
                buffer.copy_(torch.randn(buffer.shape, generator=generator))
            elif kind == "running_var":
                buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)


def graph_is_faithful(network: nn.Module, traced: TracedNetwork, *, seed: int = 0) -> bool:
    """Whether the traced graph gives the outputs of the network at random weights on random inputs."""
    model, tolerance = workable(network, traced.input_shapes)
    dtype = next(model.parameters()).dtype
    graph = duplicate(traced.graph).to(dtype)
    generator = torch.Generator().manual_seed(seed)
    randomise_(model, generator)
    graph.load_state_dict(model.state_dict(), strict=False)
    draws = [torch.randn(s, generator=generator).to(dtype) for s in traced.input_shapes]
    before, after = outputs(model, draws), outputs(graph, draws)
    return [t.shape for t in before] == [t.shape for t in after] and relative_change(before, after) <= tolerance


def _takes(model: nn.Module, inputs: Sequence[Tensor]) -> bool:
    try:
        outputs(model, inputs)
    except Exception:  # the user's forward may raise anything
        return False
    return True
