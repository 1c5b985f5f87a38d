"""The responses u(g) = f(g x) of a model along the orbit of its inputs, block by block, with every check on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..groups import Quadrature
from ..groups._errors import sentence
from ._capture import OUTPUT, captured, layer_names, tensors
from ._inputs import Inputs

Responses = dict[str, Tensor]


@dataclass
class Sweep:
    """A model, its inputs and the elements to visit. Memory does not grow with their number.

    Args:
        model: a torch module or any callable that maps samples ``[B, ...]`` to outputs ``[B, ...]``.
        inputs: samples with their actions.
        rule: elements and weights.
        layers: see :func:`~._capture.layer_names`; () for the output alone.
        batch: samples per forward pass; elements go ``max(1, batch // B)`` at a time.
        allow_training: take a model in training mode (dropout and batch statistics then make the numbers noise).
        gradients: keep the graph of every response, for penalties and trained averages: energies and variances of
            :class:`~._moments.Moments` can then be differentiated in parameters and inputs. Memory grows with the rule.
        checks: the guards of the first block; False where the same model is swept again and again, as in training.
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

    def __post_init__(self) -> None:
        if not callable(self.model):
            raise TypeError(f"expected a torch module or a function, got {type(self.model).__name__}")
        self.names = layer_names(self.model, self.layers)
        self._require_evaluation_mode()

    @property
    def block(self) -> int:
        """Elements per forward pass."""
        return max(1, self.batch // self.inputs.samples)

    def responses(self, elements: Tensor) -> Responses:
        """Outputs by name at the images under ``elements``, each ``[k, B, *rest]`` in float64."""
        with torch.set_grad_enabled(self.gradients), captured(self.model, self.names) as found:
            output = self.inputs.call(self.model, self.inputs.moved(elements))
            found = {**found, **tensors(output, OUTPUT)}
        if not any(name == OUTPUT or name.startswith(f"{OUTPUT}[") for name in found):
            raise TypeError(
                f"expected a model that returns floating tensors, got {type(output).__name__}; try a function that "
                "returns the tensor to be looked at"
            )
        return {name: self._split(value, name, len(elements)) for name, value in found.items()}

    def blocks(self) -> Iterator[tuple[Tensor, Tensor, Responses]]:
        """Elements, weights and responses, block by block; the layouts of all blocks agree."""
        elements = self.rule.elements.to(self.inputs.device)
        weights = self.rule.weights.to(self.inputs.device, torch.float64)
        layout = self._checked_layout(elements) if self.checks else None
        for g, w in zip(elements.split(self.block), weights.split(self.block), strict=True):
            found = self.responses(g)
            now = {name: tuple(value.shape[1:]) for name, value in found.items()}
            layout = now if layout is None else layout
            if now != layout:
                different = [name for name in {*layout, *now} if layout.get(name) != now.get(name)]
                raise ValueError(
                    sentence(
                        "outputs of one shape at every image of the inputs",
                        f"another shape in {', '.join(sorted(different))}",
                        "responses along the orbit are averaged entry by entry (neighbour lists, samplings and "
                        "sortings that change with orientation do this)",
                        "layers= without these",
                    )
                )
            for name, value in found.items():
                if not bool(torch.isfinite(value).all()):
                    raise ValueError(f"expected finite outputs, got nan or inf in {name!r} at an image of the inputs")
            yield g, w, found

    # -- guards ------------------------------------------------------------------------------------------------
    def _require_evaluation_mode(self) -> None:
        if self.allow_training or not isinstance(self.model, nn.Module):
            return
        training = [name or "the model" for name, module in self.model.named_modules() if module.training]
        if training:
            raise ValueError(
                sentence(
                    "a model in evaluation mode",
                    f"training mode in {', '.join(training[:5])}",
                    "dropout and batch statistics make the response to one orientation depend on chance and on others",
                    "model.eval(), or allow_training=True to look at it as it is",
                )
            )

    def _checked_layout(self, elements: Tensor) -> dict[str, tuple[int, ...]]:
        """The layout of one image; the response is one function of the image, alone or among others."""
        first = self.responses(elements[:1])
        again = self.responses(elements[:1])
        for name, value in first.items():
            if name not in again or again[name].shape != value.shape or _apart(value, again[name]):
                raise ValueError(
                    sentence(
                        "a deterministic model",
                        f"two answers to one input in {name!r}",
                        "noise would be taken for broken symmetry",
                        "to switch sampling off, or to fix its seed inside forward",
                    )
                )
        if self.block > 1 and len(elements) > 1:
            among = self.responses(elements[: self.block])
            for name, value in first.items():
                if name in among and among[name].shape[1:] == value.shape[1:] and _apart(value[0], among[name][0]):
                    raise ValueError(
                        sentence(
                            "samples that do not see each other",
                            f"an answer that depends on the rest of the batch in {name!r}",
                            "images are evaluated many at a time (batch statistics do this even in evaluation mode, "
                            "and so does a cloud passed without a samples axis)",
                            "x[None] for a single sample, or batch=1",
                        )
                    )
        return {name: tuple(value.shape[1:]) for name, value in first.items()}

    def _split(self, value: Tensor, name: str, k: int) -> Tensor:
        samples = self.inputs.samples
        if value.ndim == 0 or len(value) != k * samples:
            raise ValueError(
                sentence(
                    f"outputs with {k * samples} samples on the first axis",
                    f"shape {list(value.shape)} in {name!r}",
                    "inputs have the samples on their first axis",
                    "layers= without it, or a wrapper that keeps the samples first",
                )
            )
        return value.reshape(k, samples, *value.shape[1:])


def _apart(a: Tensor, b: Tensor) -> bool:
    """Differ by more than rounding in float32 explains."""
    scale = float(a.abs().max()) if a.numel() else 0.0
    return bool(((a - b).abs() > 1e-4 * scale + 1e-30).any())
