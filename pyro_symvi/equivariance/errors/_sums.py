"""What is accumulated of one output along the orbit: its spread, by cosets, by groups of draws, and its error."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...groups import Action, Quadrature
from ...groups._errors import sentence
from .._moments import Moments
from ._outputs import moved_by, turned_back


class OutputSums:
    """Sums of z(g) = rho(g^-1) f(g x) of one output, block by block; memory does not grow with the rule.

    Args:
        action: of the output.
        rule: the whole rule.
        proper: per element, whether it is proper, where the group has both kinds; else None.
        mask: which objects count, see ``object_weights``.
        truth: targets ``[B, *rest]``, where E|f(g x) - rho(g) y|^2 is wanted.
    """

    def __init__(
        self,
        action: Action,
        rule: Quadrature,
        proper: Tensor | None,
        mask: Tensor | None,
        truth: Tensor | None = None,
    ) -> None:
        self.action, self.truth, self.mask = action, truth, mask
        self.draws = len(rule.weights) if rule.degree < 0 else 0
        self.all, self.cosets = Moments(), (Moments(), Moments())
        self.mass = None if proper is None else (float(rule.weights[proper].sum()), float(rule.weights[~proper].sum()))
        self.size = max(4, self.draws // 32)
        self.part, self.count = Moments(), 0
        self.parts: list[float] = []
        self.missed = torch.zeros((), dtype=torch.float64)
        self.weights = torch.empty(0)

    def add(self, elements: Tensor, proper: Tensor | None, weights: Tensor, values: Tensor) -> None:
        """Add responses ``[k, B, *rest]`` in float64."""
        z = turned_back(self.action, elements, values)
        if not self.all.started:
            self.weights = object_weights(self.mask, self.summed(z[0]))
        self.all.add(weights, z)
        if proper is not None and self.mass is not None:
            for moments, mass, inside in zip(self.cosets, self.mass, (proper, ~proper), strict=True):
                if bool(inside.any()):
                    moments.add(weights[inside] / mass, z[inside])
        if self.truth is not None:
            missed = (values - moved_by(self.action, elements, self.truth[None])).square()
            self.missed = self.missed.to(z) + torch.tensordot(weights, missed, dims=1)
        if self.draws:
            self._add_draws(z)

    def summed(self, entries: Tensor) -> Tensor:
        """Sum over the components of an object, ``[B, *rest]`` to ``[B, *copies]``."""
        events = len(self.action.event_shape)
        return entries.sum(tuple(range(-events, 0))) if events else entries

    def pooled(self, objects: Tensor) -> float:
        """Mean over the objects that count."""
        return float((self.weights * objects).sum() / self.weights.sum())

    @property
    def dimension(self) -> int:
        """Components of one object."""
        return math.prod(self.all.mean.shape[self.all.mean.ndim - len(self.action.event_shape) :])

    @property
    def squared(self) -> Tensor:
        """A^2 ``[B, *copies]``; unbiased, N / (N - 1) times the variance of the draws, for Monte Carlo."""
        found = self.summed(self.all.variance)
        return found * self.draws / (self.draws - 1) if self.draws else found

    @property
    def parity(self) -> tuple[Tensor, Tensor] | None:
        """Spread within and between the two cosets of the proper elements, ``[B, *copies]`` each; their sum is A^2."""
        if self.mass is None or self.draws:
            return None
        (plus, minus), (p, q) = self.cosets, self.mass
        within = self.summed(p * plus.variance + q * minus.variance)
        return within, p * q * self.summed((plus.mean - minus.mean).square())

    @property
    def error_of_square(self) -> float:
        """Standard error of the pooled A^2 over the draws, from groups of them; 0 for an exact rule."""
        if len(self.parts) < 2:
            return 0.0
        return float(torch.tensor(self.parts, dtype=torch.float64).std()) / len(self.parts) ** 0.5

    def _add_draws(self, z: Tensor) -> None:
        while len(z):
            take = min(self.size - self.count, len(z))
            self.part.add(z.new_full((take,), 1 / self.size), z[:take])
            self.count, z = self.count + take, z[take:]
            if self.count == self.size:
                spread = self.summed(self.part.variance) * self.size / (self.size - 1)
                self.parts.append(self.pooled(spread))
                self.part, self.count = Moments(), 0


def object_weights(mask: Tensor | None, objects: Tensor) -> Tensor:
    """Weights ``[B, *copies]`` of the objects from a mask on their first axes."""
    weights = torch.ones_like(objects)
    if mask is not None and objects.shape[: mask.ndim] == mask.shape:
        weights = weights * mask.to(weights).reshape(*mask.shape, *(1,) * (objects.ndim - mask.ndim))
        if not bool((weights > 0).any()):
            raise ValueError("expected a mask with at least one entry that counts, got none")
    return weights


def proper_elements(rule: Quadrature, shape: tuple[int, ...], real: bool) -> Tensor | None:
    """Per element, whether its determinant is positive, where the group is one of matrices with both kinds."""
    if len(shape) != 2 or shape[0] != shape[1] or not real:
        return None
    proper = torch.linalg.det(rule.elements.double()) > 0
    return proper if bool(proper.any()) and not bool(proper.all()) else None


def require_spread(rule: Quadrature, order: float) -> None:
    """Refuse rules over which nothing can vary, and weights that are no probability."""
    if len(rule.weights) < 2 and order > 1:
        raise ValueError(
            sentence(
                "a rule of at least two elements",
                len(rule.weights),
                "the spread over one element is 0 for every model",
                "rule=None for the exact rule of the group, or MonteCarlo(256)",
            )
        )
    if abs(float(rule.weights.sum()) - 1) > 1e-6:
        raise ValueError(
            f"expected weights that sum to 1, got {float(rule.weights.sum()):g}, because averages are over a "
            "probability; try weights / weights.sum()"
        )
