"""The chain rule through the named modules of a model: what each adds to the Lie derivative of the output.

Let module m put out y_m, with action rho_m declared. Run the model along x + t X x, and hand on from each module
y_m + t rho_m'(X) y_m in place of what it puts out: it puts out y_m + t (rho_m'(X) y_m + L_m), with L_m its own Lie
derivative given inputs that move as declared. Tangents add up linearly, so that

    L f = sum_m (d output / d y_m) L_m + (what follows the named modules),

for any graph of modules, nested ones and skip connections included; in a chain this is the telescoping sum
L(f_n o ... o f_1) = sum_k d(f_n o ... o f_{k+1}) L f_k (Gruver et al., arXiv 2210.02984, section 4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ...groups import Action, Group, InvariantAction
from .._capture import OUTPUT, tensors
from .._inputs import Inputs
from ..errors._outputs import raw_outputs
from ._derivative import Derivative
from ._flow import moving, pushed, still, velocity

Change = Callable[[str, Tensor], Tensor | None]


class Chain(nn.Module):
    """Functions or modules by name, each fed with the output of the one before."""

    def __init__(self, parts: Mapping[str, Any]) -> None:
        super().__init__()
        self.training = any(isinstance(part, nn.Module) and part.training for part in parts.values())
        for name, part in parts.items():
            self.add_module(name, part if isinstance(part, nn.Module) else _Function(part))

    def forward(self, *x: Any, **named: Any) -> Any:
        first = True
        value: Any = None
        for part in self.children():
            value = part(*x, **named) if first else part(value)
            first = False
        return value


class _Function(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        self.training = False

    def forward(self, *x: Any, **named: Any) -> Any:
        return self.function(*x, **named)


class LayerSplit:
    """Terms of the named modules of ``model`` at inputs ``x``; see the text of this module.

    Args:
        model, x: the model and its inputs, in the structure of ``inputs``.
        names: of modules.
        actions: declared on their outputs, by name ("layer", "layer@2", "layer[0]"); invariance for the rest.
        output, rho: which output is looked at, and the action on it.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Inputs,
        x: Any,
        names: Sequence[str],
        actions: Mapping[str, Action],
        output: str,
        rho: Action,
    ) -> None:
        self.model, self.inputs, self.x, self.names, self.output = model, inputs, x, set(names), output
        self.features: dict[str, Tensor] = {}
        found: dict[str, Tensor] = {}

        def save(name: str, y: Tensor) -> None:
            found[name] = y
            self.features[name] = y.detach().clone()

        with torch.no_grad(), intercepted(model, self.names, save):
            last = raw_outputs(inputs.call(model, still(x, inputs.actions)))[output]
        self.actions = {name: _declared(actions, name, y is last, rho, inputs.group) for name, y in found.items()}

    def terms(self, direction: Tensor, method: Derivative, like: Tensor) -> dict[str, Tensor]:
        """The term of each layer along ``direction``, of the shape of the output; "output" for what follows.

        "output" lacks the part of ``rho_out``: its tangent is that of the output, for the caller to complete.
        """
        speeds = {name: velocity(self.actions[name], y, direction) for name, y in self.features.items()}
        flow = moving(self.x, self.inputs.actions, direction)

        def declared(t: Tensor) -> tuple[Tensor, ...]:
            seen: dict[str, Tensor] = {}

            def change(name: str, y: Tensor) -> Tensor:
                seen[name] = y.clone()
                return pushed(self.features[name], speeds[name], t)

            with intercepted(self.model, self.names, change):
                output = self._output(flow(t))
            return (output, *(seen[name] for name in self.features))

        rest, *tangents = method.tangents(declared, like)
        terms = {}
        for (name, speed), tangent in zip(speeds.items(), tangents, strict=True):
            own = tangent if speed is None else tangent - speed
            terms[name] = self._through(name, own, method, like)
        terms[OUTPUT] = rest
        return terms

    def _through(self, name: str, own: Tensor, method: Derivative, like: Tensor) -> Tensor:
        """(d output / d y_m) L_m: the model at rest, with y_m + t L_m handed on."""
        if not bool(own.any()):
            own = torch.zeros_like(own)

        def injected(t: Tensor) -> tuple[Tensor, ...]:
            def change(called: str, y: Tensor) -> Tensor | None:
                return y + t.to(y.dtype) * own if called == name else None

            with intercepted(self.model, self.names, change):
                return (self._output(still(self.x, self.inputs.actions)),)

        return method.tangents(injected, like)[0]

    def _output(self, x: Any) -> Tensor:
        return tensors(self.inputs.call(self.model, x), OUTPUT)[self.output]


@contextmanager
def intercepted(model: nn.Module, names: set[str], change: Change) -> Iterator[None]:
    """Inside, each floating tensor that a named module puts out is replaced by ``change(name, tensor)`` unless None.

    A module called again is ``name@2``; parts of tuples and dicts are ``name[0]``, ``name['key']``.
    """
    calls: dict[str, int] = {}
    handles = []

    def hook_of(name: str) -> Any:
        def hook(module: nn.Module, arguments: Any, output: Any) -> Any:
            calls[name] = calls.get(name, 0) + 1
            return _changed(output, name if calls[name] == 1 else f"{name}@{calls[name]}", change)

        return hook

    try:
        for name, module in model.named_modules():
            if name in names:
                handles.append(module.register_forward_hook(hook_of(name)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _changed(output: Any, name: str, change: Change) -> Any:
    if isinstance(output, Tensor):
        found = change(name, output) if output.is_floating_point() else None
        return output if found is None else found
    if isinstance(output, dict):
        return type(output)({key: _changed(value, f"{name}[{key!r}]", change) for key, value in output.items()})
    if isinstance(output, tuple | list):
        parts = [_changed(value, f"{name}[{i}]", change) for i, value in enumerate(output)]
        return type(output)(*parts) if hasattr(output, "_fields") else type(output)(parts)
    return output


def _declared(actions: Mapping[str, Action], name: str, last: bool, rho: Action, group: Group) -> Action:
    plain = name.split("@")[0]
    if name in actions or plain in actions:
        return actions[name] if name in actions else actions[plain]
    return rho if last else InvariantAction(group)
