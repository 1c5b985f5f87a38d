"""What a failure is: a target and a guide for which one premise of a theorem fails, and the conclusion with it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from ...density import LogDensity
from ...divergences import Divergence
from ...families import Family, Parameters
from ..theorems import Guarantee, Guide, Objective, Setting, Target, Theorem, guarantees, proved
from ..verdicts import Verdict
from .quadrature import Rule

_COMPUTED = proved("computed by quadrature")
_ALSO = {"mean": ("mean", "centre"), "correlation": ("correlation", "shape")}


@dataclass(frozen=True)
class Optimum:
    """A guide at an optimum of the objective.

    Attributes:
        location: Its location; on a sphere the natural parameter, concentration times direction.
        parameters: As the family takes them.
        value: The objective there.
    """

    location: tuple[float, ...]
    parameters: Parameters = field(repr=False, compare=False)
    value: float

    @property
    def scale(self) -> Tensor | None:
        """The scale as the family's pattern has it; None on a sphere."""
        return self.parameters.get("scale")


@dataclass(frozen=True)
class Curve:
    """An objective along a line.

    Attributes:
        at: Places ``[n]``: the moving coordinate of the location, or what ``label`` says.
        values: Objective at each, the scale being the best one there, ``[n]``.
        label: Words for the horizontal axis.
    """

    at: Tensor
    values: Tensor
    label: str


@dataclass(frozen=True, kw_only=True)
class Failure(ABC):
    """A runnable counterexample: everything but one premise of a theorem holds, and its conclusion is wrong.

    Attributes:
        name: Its key in ``FAILURES``.
        lesson: What goes wrong and why, in a sentence or two.
        theorems: Those whose conclusion would be wrong.
        premise: Name of the premise that fails, as in `Theorem.premises`.
        statistic: What is not recovered, as in `Guarantee.statistic`.
        family: The guide's family.
        divergence: What is minimised.
        target: What is true of the target, as facts.
        log_p: Its log density, ``[..., d] -> [...]``; normalised where the rule of the objective moves with the guide.
        space: A rule for integrals over the target.
        centre: The point about which the target is symmetric, where it is; else its mean.
        coordinates: Those in which the statistic is wrong.
        objective: What is minimised, where that is not the divergence itself.
        judged_by: Whose verdict counts: that of theory on the minimiser, or a certificate of the fitted guide.
        claimed: Statistics of guarantees that would be false here; by default the statistic, in either of its names.
    """

    name: str
    lesson: str
    theorems: tuple[Theorem, ...]
    premise: str
    statistic: str = "mean"
    family: Family
    divergence: Divergence
    target: Target
    log_p: Callable[[Tensor], Tensor] = field(repr=False, compare=False)
    space: Rule = field(repr=False, compare=False)
    centre: tuple[float, ...] = (0.0,)
    coordinates: tuple[int, ...] = (0,)
    objective: Objective | None = None
    judged_by: Literal["theory", "certificate"] = "theory"
    claimed: tuple[str, ...] = ()

    @abstractmethod
    def curve(self, nodes: int = 61) -> Curve:
        """The objective along a line through the centre.

        Args:
            nodes: Number of places.
        """

    @abstractmethod
    def optima(self) -> tuple[Optimum, ...]:
        """The minimisers that were found, all of one value; several from different starts where they are flat."""

    @abstractmethod
    def error(self) -> float:
        """How far the statistic is off at the worst of the optima, in standard deviations of the target.

        Correlations: absolute; variances: relative; directions: in radians. Infinite where there is no optimum, or no
        such statistic.
        """

    @property
    def outcome(self) -> str:
        """The error in words."""
        error = self.error()
        return "undefined, there is no optimum" if math.isinf(error) else f"off by {error:.2g} standard deviations"

    @property
    def subject(self) -> str:
        """The statistic, one of it."""
        return {"contrasts": "contrast", "variances": "variance"}.get(self.statistic, self.statistic)

    @property
    def dim(self) -> int:
        """Number of coordinates."""
        return len(self.centre)

    @cached_property
    def log_density(self) -> Tensor:
        """Normalised log density at the nodes of ``space``, ``[n]``."""
        values = self.log_p(self.space[0])
        return values - torch.logsumexp(values + self.space[1], 0)

    @cached_property
    def mass(self) -> Tensor:
        """Probability at each node of ``space``, ``[n]``."""
        return (self.log_density + self.space[1]).exp()

    @property
    def mean(self) -> Tensor:
        """The target's mean, ``[d]``."""
        return self.mass @ self.space[0]

    @property
    def sd(self) -> Tensor:
        """The target's standard deviations, ``[d]``."""
        return (self.mass @ (self.space[0] - self.mean).square()).sqrt()

    def density(self) -> LogDensity:
        """The target for `fit` and `certify`."""
        return LogDensity.from_callable(self.log_p, self.dim)

    def setting(self) -> Setting:
        """Target, guide and objective as theorems see them."""
        computed = Objective(self.divergence, finite=_COMPUTED, exists=_COMPUTED)
        return Setting(self.target, Guide.of(self.family), self.objective or computed)

    def guarantees(self) -> tuple[Guarantee, ...]:
        """What theory says of this setting."""
        return guarantees(self.setting())

    @property
    def verdict(self) -> Verdict:
        """The strongest verdict on the statistic that is not recovered: of theory, or of a certificate."""
        if self.judged_by == "certificate":
            entries = self.certify(statistics=(self.statistic,))[self.statistic].entries
            return max((entries[i].verdict for i in self.coordinates), default=Verdict.UNKNOWN)
        names = self.claims
        told = [g for g in self.guarantees() if g.statistic in names and self._concerned(g)]
        return max((g.verdict for g in told), default=Verdict.UNKNOWN)

    @property
    def claims(self) -> tuple[str, ...]:
        """Statistics of guarantees that would be false here."""
        return self.claimed or _ALSO.get(self.statistic, (self.statistic,))

    def _concerned(self, told: Guarantee) -> bool:
        named = told.coordinates
        return not named or bool(set(named) & set(self.coordinates))

    def certify(self, **options: Any) -> Any:
        """The certificate of the guide at the first optimum; at the centre where there is none.

        Args:
            **options: Of `certify`; by default the mean is asked for.
        """
        from ..certification import certify

        return certify(self.family, self.density(), parameters=self.fitted().parameters, **options)

    def fitted(self) -> Optimum:
        """What a fit returns: the first optimum."""
        return self.optima()[0]

    def __str__(self) -> str:
        return (
            f"{self.name}, {self.divergence!r}: {self.statistic} {self.outcome} ({self.premise} fails). {self.lesson}"
        )


__all__ = ["Curve", "Failure", "Optimum"]
