"""Differentiable penalties on what a model does along the orbit of its inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor

from ..._value import positive_int
from ...groups import Group, InvariantAction, Quadrature
from ...groups._irreps import COMMUTANT_DIMENSION
from .._capture import OUTPUT
from .._inputs import Inputs, input_actions
from .._sweep import Responses, Sweep
from ..errors._outputs import turned_back
from ._augmentation import output_actions, require_compact

EPSILON = 1e-30


class OrbitPenalty(ABC):
    """A number, differentiable in the parameters of a model, from its responses u(g) = f(g x) at a few elements.

    ``penalty(model, x, generator=...)`` is one forward pass at ``elements`` images of every sample. The model may be in
    training mode, but dropout then counts as broken symmetry. To implement one, give ``_estimate`` and ``_exact``.

    Args:
        group: compact.
        rho_in: actions in the structure of the inputs: ``data.rho_in(group)``.
        elements: independent Haar draws per call, at least 2, the same ones for all samples of the batch. The value is
            an unbiased estimate (a U-statistic), which may be negative.
        rule: a quadrature rule in place of draws: the exact value, for responses of a band within half its degree.

    Raises:
        TypeError: for anything but a quadrature rule.
    """

    def __init__(self, group: Group, rho_in: Any = None, *, elements: int = 4, rule: Quadrature | None = None) -> None:
        require_compact(group)
        if rule is not None and not isinstance(rule, Quadrature):
            raise TypeError(f"expected a quadrature rule, got {rule!r}; try group.quadrature(4)")
        self.group, self.rho_in, self.rule = group, rho_in, rule
        self.elements = positive_int(elements, "elements", 2)

    def __call__(self, model: Any, x: Any, *, generator: torch.Generator | None = None) -> Tensor:
        """The penalty, a scalar in float64; draws follow from ``generator``, which is advanced."""
        inputs = Inputs.of(x, self.group, self.rho_in)
        if self.rule is None:
            draws = self.group.sample(self.elements, generator=generator)
            rule = Quadrature(draws, draws.new_full((len(draws),), 1 / len(draws), dtype=torch.float64), -1)
        else:
            rule = self.rule
        elements, weights = rule.elements.to(inputs.device), rule.weights.to(inputs.device, torch.float64)
        size = len(elements) * inputs.samples
        sweep = Sweep(model, inputs, rule, self._layers(), size, allow_training=True, gradients=True, checks=False)
        return self._value(elements, weights, sweep.responses(elements))

    def _layers(self) -> list[str]:
        return []

    @abstractmethod
    def _value(self, elements: Tensor, weights: Tensor, responses: Responses) -> Tensor: ...


class SectorPenalty(OrbitPenalty):
    """Energy outside the sectors that a layer or the output ought to fill, E|u|^2 - sum over targets of B_beta.

    B_beta = d / e |E[rho_beta(g) u(g)]|_F^2 for any layer, channels as a vector; nothing needs to be known of how the
    layer transforms within the sector. From n draws B_beta is estimated without bias by the pairs of different ones.
    Its standard error by sample is of the size of d E|u|^2 / n: for d = 7 a dozen draws tell little, a rule is better.

    It does not see the right sector filled with the wrong copy: f(x) = M x has all its energy in the vectors for every
    matrix M. For outputs use :class:`EquivariancePenalty`, alone or besides.

    Args:
        group, rho_in, elements, rule: see :class:`OrbitPenalty`.
        labels: of an irreducible representation of the group, such as (3, 1), or a list of labels.
        layer: name of a module, or "output" ("output['energy']" where the model returns a dict).
        fraction: divide by E|u|^2, both summed over samples: a number between 0 and 1 up to the error of the draws (a
            ratio of unbiased estimates). False: the mean over samples of the energy.

    Raises:
        ValueError: for labels that are not irreps of the group.
    """

    def __init__(
        self,
        group: Group,
        labels: Hashable | list[Hashable],
        rho_in: Any = None,
        *,
        layer: str = OUTPUT,
        elements: int = 4,
        rule: Quadrature | None = None,
        fraction: bool = True,
    ) -> None:
        super().__init__(group, rho_in, elements=elements, rule=rule)
        wanted = labels if isinstance(labels, list) else [labels]
        cutoff = None if group.is_finite else max((_largest(label) for label in wanted), default=0)
        known = {irrep.label: irrep for irrep in group.irreps(cutoff)}
        missing = [label for label in wanted if label not in known]
        if missing or not wanted:
            raise ValueError(
                f"expected labels of irreducible representations of {group!r}, got {missing or 'none'}; "
                f"try one of {', '.join(map(repr, list(known)[:12]))}"
            )
        self.irreps = [known[label] for label in dict.fromkeys(wanted)]
        self.layer, self.fraction = layer, fraction

    def _layers(self) -> list[str]:
        return [] if self.layer.startswith(OUTPUT) else [self.layer]

    def _value(self, elements: Tensor, weights: Tensor, responses: Responses) -> Tensor:
        if self.layer not in responses:
            raise ValueError(f"expected a layer among {', '.join(responses)}, got {self.layer!r}")
        u = responses[self.layer].flatten(2) if responses[self.layer].ndim > 2 else responses[self.layer][..., None]
        square = u.square().sum(-1)  # [k, B]
        total = torch.einsum("k,kb->b", weights, square)
        inside = torch.zeros_like(total)
        for irrep in self.irreps:
            d = irrep.dimension
            matrix = irrep.matrix(elements).to(u).flatten(1)
            energy = torch.einsum("k,kr,kbc->brc", weights, matrix, u).square().sum((1, 2))
            if self.rule is None:  # leave out the pairs of a draw with itself, |rho u|^2 = d |u|^2
                n = len(elements)
                energy = (n * energy - d * total) / (n - 1)
            inside = inside + d / COMMUTANT_DIMENSION[irrep.kind] * energy
        outside = total - inside
        if self.fraction:
            return outside.sum() / total.sum().clamp(min=EPSILON)
        return outside.mean()


class EquivariancePenalty(OrbitPenalty):
    """A^2 = E|z|^2 - |E z|^2 with z(g) = rho_out(g^-1) f(g x): the squared equivariance error, mean over objects.

    From n draws: the sum of |z_k - mean|^2 over n - 1, unbiased; two draws give |z_1 - z_2|^2 / 2. Zero means
    equivariant with values as declared, right copy included. It also vanishes for f = 0: a large weight from the first
    step holds a model there, so raise it once the data term has fallen, or take ``relative=True``.

    Args:
        group, rho_in, elements, rule: see :class:`OrbitPenalty`.
        rho_out: the action on the output, or a dict of actions by name; None for invariance. Outputs that are not
            named have to be invariant.
        relative: divide by the mean of E|z|^2, output by output, so that units do not matter.
    """

    def __init__(
        self,
        group: Group,
        rho_in: Any = None,
        rho_out: Any = None,
        *,
        elements: int = 2,
        rule: Quadrature | None = None,
        relative: bool = False,
    ) -> None:
        super().__init__(group, rho_in, elements=elements, rule=rule)
        self.rho_out, self.relative = rho_out, relative

    def _value(self, elements: Tensor, weights: Tensor, responses: Responses) -> Tensor:
        found = []
        for name, action in self._actions(responses).items():
            z = turned_back(action, elements, responses[name])
            weight = weights.reshape(-1, *(1,) * (z.ndim - 1))
            away = z - (weight * z).sum(0)
            error = _objects((weight * away.square()).sum(0), action)
            if self.rule is None:
                error = error * len(elements) / (len(elements) - 1)
            if self.relative:
                error = error / _objects((weight * z.square()).sum(0), action).clamp(min=EPSILON)
            found.append(error)
        return torch.stack(found).sum()

    def _actions(self, responses: Responses) -> dict[str, Any]:
        if OUTPUT in responses:
            return {OUTPUT: output_actions(responses[OUTPUT], self.group, self.rho_out)}
        named = {} if self.rho_out is None else self.rho_out
        if not isinstance(named, dict):
            raise ValueError(f"expected rho_out as a dict for the outputs {', '.join(responses)}, got {named!r}")
        known = {f"{OUTPUT}[{key!r}]": action for key, action in named.items()}
        strange = [key for key in known if key not in responses]
        if strange:
            raise ValueError(f"expected rho_out for outputs among {', '.join(responses)}, got {', '.join(strange)}")
        return {
            name: input_actions(value, self.group, known[name]) if known.get(name) else InvariantAction(self.group)
            for name, value in responses.items()
        }


def _objects(square: Tensor, action: Any) -> Tensor:
    """Squares by component ``[B, *copies, *event]``: summed over the components of an object, mean over objects."""
    events = len(action.event_shape)
    return (square.sum(tuple(range(-events, 0))) if events else square).mean()


def _largest(label: Hashable) -> int:
    entries = label if isinstance(label, tuple) else (label,)
    return max((abs(k) for k in entries if isinstance(k, int)), default=0)
