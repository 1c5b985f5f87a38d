"""Inputs and targets of a training run, and their loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .._inputs import Shared

SINGLE = "output"


@dataclass(frozen=True)
class Samples:
    """Inputs in the structure the model takes, and targets by name, samples first."""

    inputs: Any
    targets: Any

    @staticmethod
    def of(data: Any, name: str = "data") -> Samples:
        """From an object with ``inputs`` and ``targets``, or a pair of them."""
        if isinstance(data, Samples):
            return data
        if isinstance(data, tuple | list) and len(data) == 2:
            found = Samples(data[0], data[1])
        elif hasattr(data, "inputs") and hasattr(data, "targets"):
            found = Samples(data.inputs, data.targets)
        else:
            raise TypeError(
                f"expected {name} as a pair (inputs, targets) or an object with both, got {type(data).__name__}; "
                "try (x, y)"
            )
        sizes = found._sizes()
        if len(sizes) != 1 or not found.named():
            raise ValueError(f"expected inputs and targets of {name} with one number of samples, got {sorted(sizes)}")
        for key, target in found.named().items():
            if not target.is_floating_point() or not bool(torch.isfinite(target).all()):
                raise ValueError(f"expected finite floating targets, got {target.dtype} or nan in {key!r} of {name}")
        return found

    def _sizes(self) -> set[int]:
        sizes: set[int] = set()

        def note(x: Tensor) -> Tensor:
            sizes.add(len(x))
            return x

        mapped(note, self.inputs)
        mapped(note, self.targets)
        return sizes

    def __len__(self) -> int:
        return next(iter(self._sizes()))

    def __getitem__(self, index: Tensor) -> Samples:
        return Samples(*(mapped(lambda x: x[index.to(x.device)], part) for part in (self.inputs, self.targets)))

    def named(self) -> dict[str, Tensor]:
        """Targets by name."""
        return by_name(self.targets)


def mapped(change: Callable[[Tensor], Tensor], x: Any) -> Any:
    """A structure with ``change(tensor)`` for every tensor; :class:`Shared` values are passed as they are."""
    if isinstance(x, Mapping):
        return {key: mapped(change, value) for key, value in x.items()}
    if isinstance(x, tuple | list):
        found = [mapped(change, value) for value in x]
        return found if isinstance(x, list) else tuple(found)
    return change(x) if isinstance(x, Tensor) else x


def call(model: Any, x: Any) -> dict[str, Tensor]:
    """Outputs by name: model(**x) for a dict, model(*x) for a tuple or list, model(x) for a tensor."""
    x = _bare(x)
    if isinstance(x, dict):
        return by_name(model(**x))
    return by_name(model(*x) if isinstance(x, tuple | list) else model(x))


def _bare(x: Any) -> Any:
    if isinstance(x, Mapping):
        return {key: _bare(value) for key, value in x.items()}
    if isinstance(x, tuple | list):
        return [_bare(value) for value in x]
    return x.value if isinstance(x, Shared) else x


def by_name(found: Any) -> dict[str, Tensor]:
    """A tensor as the one entry ``"output"``; a dict as it is."""
    if isinstance(found, Tensor):
        return {SINGLE: found}
    if isinstance(found, Mapping) and all(isinstance(value, Tensor) for value in found.values()):
        return dict(found)
    raise TypeError(f"expected a tensor or a dict of tensors, got {type(found).__name__}")


class ScaledLoss:
    """Mean over targets of mean (f - y)^2 / s^2, with s the standard deviation of each target in the training data.

    s^2 is pooled over components about their means, one number for each target, so that the loss is as invariant as
    the metric of the target. A model that predicts the mean has loss 1; targets of any unit weigh the same.

    ``targets``: ``[samples, *components]`` by name, those of the training data.
    """

    def __init__(self, targets: Mapping[str, Tensor]) -> None:
        self.scales: dict[str, float] = {}
        for name, y in targets.items():
            scale = float((y.double() - y.double().mean(0)).square().mean().sqrt())
            self.scales[name] = scale if scale > 0 else 1.0

    def squares(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mean (f - y)^2 by target, in its units squared."""
        found = {}
        for name, y in targets.items():
            if name not in outputs or outputs[name].shape != y.shape:
                got = list(outputs[name].shape) if name in outputs else sorted(outputs)
                raise ValueError(
                    f"expected {name!r} of shape {list(y.shape)} from the model, got {got}, because outputs and "
                    "targets are compared entry by entry; try targets in the structure of the outputs"
                )
            found[name] = (outputs[name] - y).square().mean()
        return found

    def __call__(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
        squares = self.squares(outputs, targets)
        return torch.stack([value / self.scales[name] ** 2 for name, value in squares.items()]).mean()
