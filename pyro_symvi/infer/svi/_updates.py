"""Steps of torch's optimisers as pure functions, so that they can be part of a compiled graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
from pyro.optim import PyroOptim
from pyro.optim.clipped_adam import ClippedAdam as TorchClippedAdam
from torch import Tensor

State = tuple[Tensor, ...]


class Update(ABC):
    """One step of an optimiser on one parameter.

    To add one: a frozen dataclass whose fields are the optimiser's options with its defaults, listed in `UPDATES`, and
    a test that compares 50 steps with the original.
    """

    buffers: ClassVar[int] = 0

    def initial(self, parameter: Tensor) -> State:
        """Buffers of the parameter's shape, zero."""
        return tuple(torch.zeros_like(parameter) for _ in range(self.buffers))

    @abstractmethod
    def __call__(self, parameter: Tensor, gradient: Tensor, state: State, step: Tensor) -> tuple[Tensor, State]:
        """The parameter and buffers after step number ``step`` (a float64 scalar, 1 for the first)."""


@dataclass(frozen=True)
class Adam(Update):
    """``torch.optim.Adam``; with ``decoupled`` decay ``AdamW`` (Kingma & Ba, 2015; Loshchilov & Hutter, 2019)."""

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    decoupled: bool = False
    buffers: ClassVar[int] = 2

    def __call__(self, parameter: Tensor, gradient: Tensor, state: State, step: Tensor) -> tuple[Tensor, State]:
        """First and second moments with bias correction."""
        beta, gamma = self.betas
        if self.decoupled:
            parameter = parameter * (1 - self.lr * self.weight_decay)
        elif self.weight_decay:
            gradient = gradient + self.weight_decay * parameter
        first = state[0] + (1 - beta) * (gradient - state[0])
        second = gamma * state[1] + (1 - gamma) * gradient * gradient
        size = (self.lr / (1 - beta**step)).to(parameter)
        root = (1 - gamma**step).sqrt().to(parameter)
        return parameter - size * first / (second.sqrt() / root + self.eps), (first, second)


@dataclass(frozen=True)
class ClippedAdam(Update):
    """``pyro.optim.ClippedAdam``: gradients clamped entry by entry, a step size that decays by ``lrd`` each step."""

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    clip_norm: float = 10.0
    lrd: float = 1.0
    centered_variance: bool = False
    buffers: ClassVar[int] = 2

    def __call__(self, parameter: Tensor, gradient: Tensor, state: State, step: Tensor) -> tuple[Tensor, State]:
        """As Adam, but for where eps enters: beside the root that has not been corrected."""
        beta, gamma = self.betas
        gradient = gradient.clamp(-self.clip_norm, self.clip_norm) + self.weight_decay * parameter
        first = beta * state[0] + (1 - beta) * gradient
        deviation = gradient - first if self.centered_variance else gradient
        second = gamma * state[1] + (1 - gamma) * deviation * deviation
        rate = self.lr * self.lrd**step
        size = (rate * (1 - gamma**step).sqrt() / (1 - beta**step)).to(parameter)
        return parameter - size * first / (second.sqrt() + self.eps), (first, second)


@dataclass(frozen=True)
class SGD(Update):
    """``torch.optim.SGD``, with momentum, dampening, Nesterov's form and weight decay."""

    lr: float = 1e-3
    momentum: float = 0.0
    dampening: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False
    buffers: ClassVar[int] = 1

    def __call__(self, parameter: Tensor, gradient: Tensor, state: State, step: Tensor) -> tuple[Tensor, State]:
        """The first gradient enters the momentum undamped."""
        gradient = gradient + self.weight_decay * parameter if self.weight_decay else gradient
        if not self.momentum:
            return parameter - self.lr * gradient, state
        (velocity,) = state
        velocity = torch.where(step == 1, gradient, self.momentum * velocity + (1 - self.dampening) * gradient)
        direction = gradient + self.momentum * velocity if self.nesterov else velocity
        return parameter - self.lr * direction, (velocity,)


UPDATES: dict[Any, tuple[type[Update], dict[str, Any]]] = {
    torch.optim.Adam: (Adam, {}),
    torch.optim.AdamW: (Adam, {"decoupled": True, "weight_decay": 1e-2}),
    torch.optim.SGD: (SGD, {}),
    TorchClippedAdam: (ClippedAdam, {}),
}
"""What stands for each torch optimiser, and where its defaults differ."""
_IRRELEVANT = ("foreach", "fused", "capturable", "differentiable")
"""Options that choose between ways to compute the same step."""


def update_of(optim: PyroOptim, name: str) -> Update:
    """The step that a Pyro optimiser takes on the parameter ``name`` (its full name in the parameter store).

    Raises:
        ValueError: An optimiser or an option that is not known here.
    """
    if optim.pt_optim_constructor not in UPDATES:
        got = getattr(optim.pt_optim_constructor, "__name__", repr(optim.pt_optim_constructor))
        raise ValueError(
            f"expected pyro.optim.Adam, AdamW, ClippedAdam or SGD, got {got}, because the optimiser's step is part of "
            "the compiled function; try one of these, or pyro.infer.SVI"
        )
    if optim.pt_clip_args:
        raise ValueError(
            f"expected an optimiser without clip_args, got {optim.pt_clip_args!r}, because gradients do not leave the "
            "compiled function; try pyro.optim.ClippedAdam, which clips inside its step"
        )
    kind, defaults = UPDATES[optim.pt_optim_constructor]
    given = dict(_options(optim, name))
    known = {field.name for field in fields(kind)} - {"decoupled"}  # type: ignore[arg-type]
    unknown = {key for key, value in given.items() if key not in known and value and key not in _IRRELEVANT}
    if unknown or not all(isinstance(value, (int, float, tuple, list)) for value in given.values() if value):
        raise ValueError(
            f"expected options among {sorted(known)} as numbers, got {given}, because the optimiser's step is part of "
            "the compiled function; try leaving out the others, or pyro.infer.SVI"
        )
    chosen = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items() if key in known}
    return kind(**{**defaults, **chosen})


def _options(optim: PyroOptim, name: str) -> dict[str, Any]:
    options: Any = optim.pt_optim_args
    if not callable(options):
        return options or {}
    from pyro.params.param_store import module_from_param_with_module_name, normalize_param_name, user_param_name

    if optim.pt_optim_args_argc == 1:
        found: dict[str, Any] = options(normalize_param_name(name))
        return found
    return dict(options(module_from_param_with_module_name(name), user_param_name(name)))
