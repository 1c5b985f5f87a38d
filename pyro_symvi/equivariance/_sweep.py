"""The responses u(g) = f(g x) of a model along the orbit of its inputs, block by block, with every check on the way."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from .._value import positive_int
from ..groups import Quadrature
from ._capture import OUTPUT, Found, captured, inside_closed, is_output, layer_names, owner, tensors
from ._chance import Chance
from ._guards import (
    SMALLEST,
    among_others,
    another_shape,
    apart,
    buffers_kept,
    by_chance,
    misfit,
    no_samples,
    not_finite,
    not_square,
    require_evaluation_mode,
)
from ._inputs import Inputs, leaves

Responses = dict[str, Tensor]

#: Rows of the first block that are evaluated once more, among fewer others.
PROBE = 16


@dataclass
class Sweep:
    """A model, its inputs and the elements to visit. Memory does not grow with their number.

    What a layer puts out is looked at only where it has the samples on its first axis. A layer that was not asked for
    by its own name (``layers=None`` or a pattern) and has none, is never called, or puts out no floating numbers, is
    left out, and :attr:`left_out` says why; one asked for by name is refused. The model itself is never changed:
    hooks go, running statistics come back, random numbers it draws come from a stream of the sweep's own.

    Args:
        model: a torch module or any callable that maps samples ``[B, ...]`` to outputs ``[B, ...]``.
        inputs: samples with their actions.
        rule: elements and weights.
        layers: see :func:`~._capture.layer_names`; () for the output alone.
        batch: samples per forward pass; elements go ``max(1, batch // B)`` at a time, and more than ``batch``
            samples in several passes.
        allow_training: take a model in training mode and one that answers by chance (the numbers are then noise).
        gradients: keep the graph of every response, for penalties and trained averages: energies and variances of
            :class:`~._moments.Moments` can then be differentiated in parameters and inputs. Memory grows with the
            rule, and the model draws from the global generators, as in any training step.
        checks: of the actions and of the first block (one more pass of at most 16 samples); False where the same
            model is swept again and again, as in training.

    Attributes:
        names: layers looked at.
        left_out: entries that are not, with the reason; known after the first block.
    """

    model: Any
    inputs: Inputs
    rule: Quadrature
    layers: Sequence[str] | str | None = ()
    batch: int = 256
    allow_training: bool = False
    gradients: bool = False
    checks: bool = True
    names: list[str] = field(init=False)
    left_out: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        if not callable(self.model):
            raise TypeError(f"expected a torch module or a function, got {type(self.model).__name__}")
        positive_int(self.batch, "batch")
        names = layer_names(self.model, self.layers)
        asked = [self.layers] if isinstance(self.layers, str) else list(self.layers or ())
        self._asked = {name for name in names if name in asked}
        closed = [name for name in names if inside_closed(self.model, name.removeprefix("self."))]
        self.left_out = {}
        self._screened = False
        for name in closed:
            self._leave_out(name, "inside compiled or scripted code, which does not run hooks")
        self.names = [name for name in names if name not in self.left_out]
        if not self.allow_training:
            require_evaluation_mode(self.model)
        if self.checks:
            self.inputs.require_actions()
            self.inputs = self.inputs.with_shared_copies()
        self._inside_graph = self.gradients
        self._chance = Chance(self.inputs.device)
        self._block: int | None = None
        self._layout: dict[str, tuple[int, ...]] | None = None

    @property
    def block(self) -> int:
        """Elements per forward pass."""
        return self._block or max(1, self.batch // self.inputs.samples)

    def parts(self, multiple: int = 1) -> Iterator[tuple[slice, Sweep]]:
        """Sweeps over few samples each, one after the other, every forward pass as large as before.

        For sums that hold much for each sample, such as Fourier coefficients: their memory is then that of the few
        samples, and each block has so many elements that the sums are read and written rarely. Only the first sweep
        is checked, and entries have the same layout in all of them.

        Args:
            multiple: elements of which a block holds a multiple, if it can.
        """
        size = min(self.inputs.samples, max(1, self.batch // len(self.rule.weights)))
        block = max(1, self.batch // size)
        block = block // multiple * multiple or block
        part = self
        for first in range(0, self.inputs.samples, size):
            last = min(first + size, self.inputs.samples)
            part = copy.copy(part)
            part.inputs = self.inputs.part(first, last)
            part._block = block
            part.checks = self.checks and first == 0
            yield slice(first, last), part

    def responses(self, elements: Tensor) -> Responses:
        """Outputs by name at the images under ``elements``, each ``[k, B, *rest]`` in float64."""
        return self._at(elements, None)

    def blocks(self) -> Iterator[tuple[Tensor, Tensor, Responses]]:
        """Elements, weights and responses, block by block; the layouts of all blocks agree."""
        elements = self.rule.elements.to(self.inputs.device)
        weights = self.rule.weights.to(self.inputs.device, torch.float64)
        first = True
        largest: dict[str, float] = {}
        with buffers_kept(self.model, self.allow_training and not self.gradients):
            for g, w in zip(elements.split(self.block), weights.split(self.block), strict=True):
                found = self._at(g, self._probe_rows(len(g)) if first and self.checks else None)
                first = False
                now = {name: tuple(value.shape[2:]) for name, value in found.items()}
                layout = self._layout = now if self._layout is None else self._layout
                if now != layout:
                    names = {*layout, *now}
                    raise another_shape(sorted(n for n in names if layout.get(n) != now.get(n)))
                for name, value in found.items():
                    energy = _energy(value)
                    if not math.isfinite(energy):
                        raise not_square(name, False) if bool(torch.isfinite(value).all()) else not_finite(name)
                    if energy >= SMALLEST or bool(value.any()):
                        largest[name] = max(energy, largest.get(name, 0.0))
                yield g, w, found
        for name, energy in largest.items():
            if energy < SMALLEST:
                raise not_square(name, True)

    # -- passes ------------------------------------------------------------------------------------------------
    def _at(self, elements: Tensor, probe: Tensor | None) -> Responses:
        k, samples = len(elements), self.inputs.samples
        with torch.set_grad_enabled(self.gradients):
            images = self.inputs.moved(elements)
            again = None if probe is None else self.inputs.picked(images, probe)
            parts = []
            for rows in torch.arange(k * samples).split(max(self.batch, 1)):
                whole = len(rows) == k * samples
                piece = images if whole else self.inputs.picked(images, rows)
                parts.append(self._fitting(self._run(piece), len(rows)))
            found = parts[0] if len(parts) == 1 else self._joined(parts)
            if not self._screened:
                self._leave_out_infinite(found)
            if probe is not None and again is not None:
                self._require_function(found, again, probe)
            self._screened = True
            found = {name: v for name, v in found.items() if name not in self.left_out}
            return {name: v.reshape(k, samples, *v.shape[1:]).to(self.inputs.device) for name, v in found.items()}

    def _run(self, images: Any) -> Found:
        """One forward pass; entries by name, output last. Models that differentiate inside get the graph they need."""
        while True:
            with torch.set_grad_enabled(self._inside_graph), captured(self.model, self.names) as found:
                try:
                    if self.gradients:
                        output = self.inputs.call(self.model, images)
                    else:
                        with self._chance.own():
                            output = self.inputs.call(self.model, images)
                except RuntimeError as error:
                    if self._inside_graph or "does not require grad" not in str(error):
                        raise
                    self._inside_graph = True
                    continue
                found.update(tensors(output, OUTPUT, found.skipped))
            if not any(is_output(name) for name in found):
                reasons = "; ".join(f"{n}: {why}" for n, why in found.skipped.items() if is_output(n))
                raise TypeError(
                    f"expected a model that returns floating tensors, got {reasons or type(output).__name__}; try a "
                    "function that returns the tensor to be looked at"
                )
            if not self.gradients and self._inside_graph:
                for name, value in found.items():
                    found[name] = value.detach()
            return found

    # -- which entries are responses ------------------------------------------------------------------------------
    def _leave_out(self, name: str, why: str) -> None:
        """Leave an entry out, or refuse it: the output, and what was asked for by its own name."""
        if is_output(name) or owner(name) in self._asked or self._screened:
            raise no_samples(name, why)
        self.left_out[name] = why

    def _fitting(self, found: Found, rows: int) -> Responses:
        """The entries ``[rows, ...]``, output last."""
        if not self._screened:
            self.left_out.update(found.skipped)
            for name in self.names:
                entries = [n for n in (*found, *found.skipped) if owner(n) == name]
                if not found.calls[name]:
                    self._leave_out(name, "never called in forward (perhaps its parameters are used without it)")
                elif not any(n in found for n in entries) and name in self._asked:
                    raise no_samples(name, "; ".join(found.skipped[n] for n in entries) or "no tensors")
        for name, value in found.items():
            why = misfit(value, rows)
            if why and name not in self.left_out:
                self._leave_out(name, why)
        return {name: value for name, value in found.items() if name not in self.left_out}

    def _joined(self, parts: list[Responses]) -> Responses:
        """The rows of several passes."""
        found = {}
        for name in parts[0]:
            values = [part.get(name) for part in parts]
            if name in self.left_out:
                continue
            present = [v for v in values if v is not None]
            if len({tuple(v.shape[1:]) for v in present}) != 1 or len(present) != len(parts):
                raise another_shape([name])
            found[name] = torch.cat(present)
        return found

    def _leave_out_infinite(self, found: Responses) -> None:
        for name, value in found.items():
            energy = _energy(value)
            finite = math.isfinite(energy)
            if finite and (energy >= SMALLEST or not bool(value.any())):
                continue
            if is_output(name) or owner(name) in self._asked:
                if finite:
                    continue  # other images may give more
                raise not_square(name, False) if bool(torch.isfinite(value).all()) else not_finite(name)
            self.left_out[name] = "entries whose squares are 0 as floats" if finite else "nan or inf"

    # -- is it one function of the image? --------------------------------------------------------------------------
    def _probe_rows(self, k: int) -> Tensor:
        """Rows of a block of k elements: half of them at most, last first, spread over it at no regular distance."""
        rows = k * self.inputs.samples
        count = max(1, min(PROBE, rows // 2, self.batch))
        t = 1 - torch.arange(count, dtype=torch.float64) / count
        return ((rows - 1) * t.square()).round().long()

    def _require_function(self, found: Responses, images: Any, rows: Tensor) -> None:
        """The answers at some rows, alone: by chance another, or dependent on the rest of the batch?"""
        if self.allow_training:
            return
        self._precision = _precision(self.model, self.inputs)
        second = self.inputs.picked(images, torch.arange(len(rows)))
        alone = self._run(images)
        different = [n for n, value in found.items() if self._differs(value[rows.to(value.device)], alone.get(n))]
        if not different:
            return
        repeated = self._run(second)
        for name in different:
            if name in alone and self._differs(alone[name], repeated.get(name)):
                raise by_chance(name, self._chance.drawn)
        for name in different:
            if is_output(name):
                value = alone.get(name)
                if value is not None and value.shape[1:] != found[name].shape[1:]:
                    raise another_shape([name])
                raise among_others(name)
        for name in different:
            if owner(name) in self._asked:
                raise among_others(name)
            self.left_out[name] = "depends on the rest of the batch, or has other things than samples on its first axis"

    def _differs(self, value: Tensor, other: Tensor | None) -> bool:
        return other is None or other.shape != value.shape or apart(value, other, self._precision)


def _energy(value: Tensor) -> float:
    """Sum of squares: nan or inf where an entry or its square is."""
    flat = value.detach().reshape(-1)
    return float(flat @ flat)


def _precision(model: Any, inputs: Inputs) -> float:
    """What rounding may change between two batches, relative to the largest entry, for the coarsest dtype in use."""
    dtypes = [leaf.dtype for _, leaf, _ in leaves(inputs.x, inputs.actions)]
    if isinstance(model, nn.Module):
        dtypes += [parameter.dtype for parameter in model.parameters()]
    eps = max((torch.finfo(d).eps for d in dtypes if d.is_floating_point or d.is_complex), default=1e-7)
    return max(16 * eps, 1e-4)
