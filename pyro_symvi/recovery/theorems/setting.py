"""The setting of an a priori statement: a target, a guide and an objective."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from ...divergences import Alpha, Divergence, FDivergence, Jeffreys
from ...families import Family
from .facts import Fact, assumed, decided, proved, refuted, unknown
from .guide import Guide
from .target import NOT_KNOWN, Target

NOT_UNIQUE = unknown("uniqueness of the optimum was not shown")

Kind = Literal["population", "tuples", "climbing"]


@dataclass(frozen=True)
class Objective:
    """What is minimised over the guide.

    Attributes:
        divergence: The divergence D(P || Q), target first.
        kind: ``"population"``: the divergence itself (forward KL: or the cross-entropy, which differs by a constant);
            ``"tuples"``: the bound (1/(1-a)) E log mean w^(1-a) over tuples of K draws, a = 1 - alpha, as Pyro's
            `RenyiELBO` and `DivergenceELBO` have it; ``"climbing"``: an objective that is moved away from its optimum.
        particles: K, for tuples.
        independent: Whether the draws inside a tuple are independent.
        tuple_law: Where they are not: that their joint law is invariant under the symmetry.
        finite: That it is finite at the optimum; by default worked out.
        exists: That a minimiser exists; by default worked out.
        unique: That the minimising law is unique, where the user grants it or shows it by another argument.
        isolated: That the stationary point returned is isolated (a Hessian bounded away from singular there).
    """

    divergence: Divergence
    kind: Kind = "population"
    particles: int | None = None
    independent: bool = True
    tuple_law: Fact = NOT_KNOWN
    finite: Fact | None = None
    exists: Fact | None = None
    unique: Fact = NOT_UNIQUE
    isolated: Fact = NOT_KNOWN

    @classmethod
    def renyi_elbo(
        cls, a: float, particles: int, *, independent: bool = True, tuple_law: Fact = NOT_KNOWN
    ) -> Objective:
        """What ``pyro.infer.RenyiELBO(alpha=a, num_particles=K)`` maximises; for a < 0 it climbs an upper bound."""
        kind: Kind = "tuples" if a >= 0 else "climbing"
        return cls(Alpha.from_pyro(a), kind, particles, independent, tuple_law)

    @classmethod
    def renyi_divergence(cls, order: float) -> Objective:
        """R_order(P || Q) minimised; for a negative order it falls as D_alpha rises."""
        return cls(Alpha.from_renyi(order), "population" if order >= 0 else "climbing")

    @property
    def alpha(self) -> float | None:
        """The exponent on the target; None outside the alpha family."""
        return self.divergence.alpha if self.divergence.in_alpha_family else None

    @property
    def is_population(self) -> bool:
        """Whether it is the divergence itself."""
        return self.kind == "population"

    @property
    def strictly_convex(self) -> Fact:
        """Whether it is an f-divergence with f'' > 0 on (0, infinity), or finite tuples of one (K-U)."""
        if self.kind == "climbing":
            return refuted("the objective is moved away from its optimum")
        if self.kind == "tuples":
            return self.independent_tuples
        if self.alpha is not None or isinstance(self.divergence, Jeffreys):
            return proved("f'' > 0 for this divergence")
        if isinstance(self.divergence, FDivergence):
            return assumed("f'' > 0 on (0, infinity): f was checked to be convex on a grid only")
        return refuted(f"{type(self.divergence).__name__} is no f-divergence with one fixed f")

    @property
    def independent_tuples(self) -> Fact:
        """Whether K-U applies: independent draws inside each tuple, 0 <= a."""
        alpha = self.alpha
        fine = self.independent and alpha is not None and alpha <= 1
        return decided(
            fine,
            "independent draws in a tuple and a >= 0: the gradient is that of an f-divergence with f'' > 0",
            "draws inside a tuple are coupled" if not self.independent else "no bound of this kind for a < 0",
        )


@dataclass(frozen=True)
class Setting:
    """Target, guide and objective.

    Args:
        target: The target.
        guide: A `Guide`, or a family.
        objective: An `Objective`, or a divergence (of the population).

    Raises:
        ValueError: Target and guide have different dimensions.
    """

    target: Target
    guide: Guide | Family
    objective: Objective | Divergence = field()

    def __post_init__(self) -> None:
        if isinstance(self.guide, Family):
            object.__setattr__(self, "guide", Guide.of(self.guide))
        if isinstance(self.objective, Divergence):
            object.__setattr__(self, "objective", Objective(self.objective))
        if self.g.dim != self.target.dim:
            raise ValueError(
                f"expected a guide on {self.target.dim} coordinates, got one on {self.g.dim}, because both live in one "
                "space; try a family of the target's dimension"
            )

    @cached_property
    def p(self) -> Target:
        """The target, with what its facts imply."""
        return self.target.with_implications()

    @property
    def g(self) -> Guide:
        """The guide."""
        return self.guide  # type: ignore[return-value]

    @property
    def o(self) -> Objective:
        """The objective."""
        return self.objective  # type: ignore[return-value]

    @property
    def regime(self) -> Literal["reverse", "between", "forward"] | None:
        """Where log-concavity has to sit: alpha <= 0, 0 < alpha < 1, alpha >= 1; None outside and when climbing.

        With finite tuples alpha = 1 (a = 0, the importance-weighted bound) is no forward KL: it counts as between.
        """
        alpha = self.o.alpha
        if alpha is None or self.o.kind == "climbing" or (self.o.kind == "tuples" and alpha > 1):
            return None
        if self.o.kind == "tuples" and alpha > 0:
            return "between"
        return "reverse" if alpha <= 0 else "between" if alpha < 1 else "forward"


def once(function: Callable[..., Fact]) -> Callable[..., Fact]:
    """Keep what a function of a setting (and of plain further arguments) returns, with the setting."""

    @functools.wraps(function)
    def kept(setting: Setting, *args: Any, **kwargs: Any) -> Fact:
        memo: dict[Any, Fact] = setting.__dict__.setdefault("_memo", {})
        key = (function.__qualname__, args, tuple(kwargs.items()))
        if key not in memo:
            memo[key] = function(setting, *args, **kwargs)
        return memo[key]

    return kept
