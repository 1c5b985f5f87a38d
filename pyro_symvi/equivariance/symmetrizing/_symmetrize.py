"""The equivariant part of a model, E_g rho(g^-1) f(g x), as a module that can be trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..._value import positive_int
from ...groups import Action, Group, Quadrature
from ...groups._errors import sentence
from .._capture import OUTPUT
from .._inputs import Inputs
from .._rules import MonteCarlo
from .._settle import model_rounding, settled
from ..errors._error import chosen_rule
from ..errors._outputs import declared, is_structure, raw_outputs, require_names, require_shape, turned_back
from ..errors._sums import require_spread


class Symmetrized(nn.Module):
    """``model`` averaged over a group; see :func:`symmetrize`. The model is the submodule ``model``.

    Attributes:
        rule: elements and weights, float64 whatever the dtype of the module; None where each call draws anew.
        actions: of the outputs by name.
    """

    def __init__(
        self,
        model: Any,
        group: Group,
        rho_in: Any,
        rho_out: Any,
        rule: Quadrature | None,
        draws: int,
        generator: torch.Generator | None,
        variance: bool,
        batch: int,
        recompute: bool,
    ) -> None:
        super().__init__()
        self.model = model
        self.training = isinstance(model, nn.Module) and model.training  # as it is given
        self.group, self.rho_in, self.rho_out = group, rho_in, rho_out
        self.actions: dict[str, Action] = declared(rho_out, group)
        self.rule, self.draws, self.generator = rule, draws, generator
        self.variance, self.batch, self.recompute = variance, batch, recompute

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """E z in the structure of rho_out, and the variance by component ``[B, *copies]`` where asked for."""
        inputs = Inputs.of(self._arguments(args, kwargs), self.group, self.rho_in)
        rule = self._fresh() if self.rule is None else self.rule
        elements = rule.elements.to(inputs.device)
        weights = rule.weights.to(inputs.device, torch.float64)
        dtypes: dict[str, torch.dtype] = {}
        centre: dict[str, Tensor] = {}
        if self.variance:
            with torch.no_grad():
                centre = {name: z[0] for name, z in self._turned(inputs, elements[:1], dtypes).items()}

        def block(g: Tensor, w: Tensor) -> tuple[Tensor, ...]:
            z = self._turned(inputs, g, dtypes)
            found = []
            for name, value in z.items():
                away = value - centre[name] if self.variance else value
                found.append(torch.tensordot(w, away, dims=1))
                if self.variance:
                    found.append(torch.tensordot(w, away.square(), dims=1))
            return tuple(found)

        totals: tuple[Tensor, ...] | None = None
        size = max(1, self.batch // inputs.samples)
        for g, w in zip(elements.split(size), weights.split(size), strict=True):
            again = self.recompute and torch.is_grad_enabled() and len(elements) > size
            part = checkpoint(block, g, w, use_reentrant=False) if again else block(g, w)
            totals = part if totals is None else tuple(a + b for a, b in zip(totals, part, strict=True))
        return self._results(totals or (), centre, dtypes, len(weights) if self.draws else 0)

    def extra_repr(self) -> str:
        """What is shown of it."""
        n = self.draws if self.rule is None else len(self.rule.weights)
        return f"{self.group!r}, {n} {'draws' if self.draws else 'elements'}"

    def _turned(self, inputs: Inputs, g: Tensor, dtypes: dict[str, torch.dtype]) -> dict[str, Tensor]:
        """Responses turned back, ``[k, B, *rest]`` in float64 by name."""
        output = raw_outputs(inputs.call(self.model, inputs.moved(g)))
        require_names(self.actions, output)
        found = {}
        for name, action in self.actions.items():
            value = output[name]
            if value.ndim == 0 or len(value) != len(g) * inputs.samples:
                raise ValueError(
                    f"expected outputs with {len(g) * inputs.samples} samples on the first axis, got shape "
                    f"{list(value.shape)} for {name}, because images are evaluated many at a time"
                )
            if name not in dtypes:
                dtypes[name] = value.dtype
                require_shape(action, tuple(value.shape[1:]), name)
            value = value.double().reshape(len(g), inputs.samples, *value.shape[1:])
            found[name] = turned_back(action, g, value)
        return found

    def _results(
        self, totals: tuple[Tensor, ...], centre: dict[str, Tensor], dtypes: dict[str, torch.dtype], draws: int
    ) -> Any:
        means, variances = {}, {}
        step = 2 if self.variance else 1
        for i, (name, action) in enumerate(self.actions.items()):
            first = totals[step * i]
            means[name] = (first + centre[name] if self.variance else first).to(dtypes[name])
            if self.variance:
                spread = self._settled(totals[step * i + 1], first.square(), centre[name])
                axes = tuple(range(-len(action.event_shape), 0))
                spread = spread.mean(axes) if axes else spread
                variances[name] = (spread * draws / (draws - 1) if draws else spread).to(dtypes[name])
        mean = _structured(self.rho_out, OUTPUT, means)
        return (mean, _structured(self.rho_out, OUTPUT, variances)) if self.variance else mean

    def _settled(self, second: Tensor, square: Tensor, centre: Tensor) -> Tensor:
        """E z^2 - (E z)^2, not below 0: rounding is cut, what a rule with negative weights makes of it refused."""
        spread = second - square
        if self.rule is not None and bool((self.rule.weights < 0).any()):
            floor = model_rounding(centre.square())
            settled(spread.detach(), second.detach().abs() + square.detach(), len(self.rule.weights), floor)
        return spread.clamp(min=0)

    def _fresh(self) -> Quadrature:
        elements = self.group.sample(self.draws, generator=self.generator)
        return Quadrature(elements, elements.new_full((self.draws,), 1 / self.draws, dtype=torch.float64), -1)

    def _arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The inputs in the structure of rho_in: model(x), model(*x) or model(**x)."""
        keyed = isinstance(self.rho_in, dict)
        several = isinstance(self.rho_in, tuple | list)
        if bool(args) == keyed or bool(kwargs) != keyed or (not keyed and not several and len(args) != 1):
            wanted = f"{', '.join(f'{key}=' for key in self.rho_in)}" if keyed else "positional inputs"
            raise TypeError(
                f"expected {wanted}, got {len(args)} positional and {len(kwargs)} named inputs, because rho_in is "
                f"{'a dict' if keyed else 'a tuple' if several else 'one action'}"
            )
        return kwargs if keyed else args if several else args[0]


def symmetrize(
    model: Any,
    group: Group,
    rho_in: Any = None,
    rho_out: Any = None,
    *,
    degree: int | None = None,
    rule: Quadrature | MonteCarlo | None = None,
    generator: torch.Generator | None = None,
    variance: bool = False,
    batch: int = 256,
    recompute: bool = True,
) -> Symmetrized:
    """The module x -> E_g rho_out(g^-1) f(g x): the equivariant part of ``model``, the closest equivariant function.

    Exactly equivariant for finite groups, and for Lie groups where ``degree`` covers the degree of the response u(g) =
    f(g x) plus that of rho_out (a mean needs half of what a variance needs). A grid too short gives a model that is
    not equivariant: ask :func:`~pyro_symvi.equivariance.equivariance_error` of the result.

    One call evaluates the model at every element, ``batch`` images at a time; sums are float64. Without gradients
    memory does not grow with the grid; with them each block is run again in the backward pass
    (``torch.utils.checkpoint``), so that it does not either, for one more forward pass.

    Args:
        model: a torch module or a function of samples ``[B, ...]``; it may be in training mode (batch statistics are
            then those of one block of images).
        group, rho_in, rho_out: as in :func:`~pyro_symvi.equivariance.equivariance_error`. The module is called as the
            model is: ``module(x)``, ``module(*x)`` for a tuple, ``module(**x)`` for a dict in ``rho_in``.
        degree: of the rule, by default 8, and at least 2 l + 4 for outputs of degree l.
        rule: :class:`MonteCarlo` or a rule of your own. ``MonteCarlo(n)`` makes n draws once, by its seed.
        generator: with :class:`MonteCarlo`, new draws from it in every call: an unbiased mean, fit for training.
        variance: return also v = A^2 / d, the variance by component ``[B, *copies]``: small where the model knows
            its symmetry. For Monte Carlo N / (N - 1) times that of the draws.
        batch: images per forward pass.
        recompute: False keeps all intermediate results for the backward pass: faster, memory grows with the grid.

    Raises:
        ValueError, TypeError: for actions that do not fit the group, the inputs or the outputs.

    >>> from pyro_symvi.groups import SpecialOrthogonal
    >>> average = symmetrize(lambda r: r[:, 2] ** 2, SpecialOrthogonal(3))
    >>> average(torch.tensor([[1.0, 2.0, 2.0]], dtype=torch.float64))  # |x|^2 / 3
    tensor([3.], dtype=torch.float64)
    """
    if not callable(model):
        raise TypeError(f"expected a torch module or a function, got {type(model).__name__}")
    positive_int(batch, "batch")
    actions = declared(rho_out, group)
    if generator is not None:
        if not isinstance(rule, MonteCarlo):
            raise ValueError(
                sentence("rule=MonteCarlo(n) with a generator", rule, "an exact rule draws nothing", "generator=None")
            )
        return Symmetrized(model, group, rho_in, rho_out, None, rule.n, generator, variance, batch, recompute)
    chosen = chosen_rule(group, actions, degree, rule)
    require_spread(chosen, 1 if not variance else group.order)
    draws = len(chosen.weights) if chosen.degree < 0 else 0
    return Symmetrized(model, group, rho_in, rho_out, chosen, draws, None, variance, batch, recompute)


def _structured(rho: Any, name: str, found: dict[str, Tensor]) -> Any:
    if isinstance(rho, dict):
        return {key: _structured(value, f"{name}[{key!r}]", found) for key, value in rho.items()}
    if is_structure(rho):
        return tuple(_structured(value, f"{name}[{i!r}]", found) for i, value in enumerate(rho))
    return found[name]
