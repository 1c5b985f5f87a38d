"""Settings for tests of the theorems: short ways to state what is known of a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from pyro_symvi.distributions.bases import Array, Base, Tail
from pyro_symvi.groups import EllipticalRotation, LinearAction, PointReflection
from pyro_symvi.recovery import Verdict
from pyro_symvi.recovery.theorems import Fact, Growth, Guarantee, Setting, Symmetry, Target, proved, refuted

YES, NO = proved("given"), refuted("given")
SHAPE = torch.tensor([[2.0, 0.6, 0.2], [0.6, 1.0, -0.3], [0.2, -0.3, 1.5]], dtype=torch.float64)


def symmetric(action: LinearAction, fact: Fact = YES, **options: Any) -> tuple[Symmetry, ...]:
    return (Symmetry(action, fact, **options),)


def target(action: LinearAction | None = None, dim: int = 3, **facts: Any) -> Target:
    """A proper target with one symmetry, nothing else known."""
    return Target(dim, symmetric(action) if action is not None else (), **{"proper": YES, **facts})


def log_concave(action: LinearAction | None = None, dim: int = 3, **facts: Any) -> Target:
    """Log-concave and positive everywhere, -log p at most quadratic: Laplace, logistic, normal targets."""
    known = {"log_concave": YES, "positive": YES, "growth": Growth("polynomial", 2.0)}
    return target(action, dim, **(known | facts))


def strongly(action: LinearAction | None = None, dim: int = 3, **facts: Any) -> Target:
    """Strongly log-concave."""
    return log_concave(action, dim, **({"strongly_log_concave": YES} | facts))


def even(**facts: Any) -> Target:
    """Even, nothing else known."""
    return target(PointReflection(), **facts)


def ellipse(**options: Any) -> tuple[Symmetry, ...]:
    return symmetric(EllipticalRotation(shape=SHAPE), **options)


def found(guaranteed: tuple[Guarantee, ...], statistic: str, item: Any = None) -> Guarantee | None:
    """The guarantee for one statistic (and item)."""
    for g in guaranteed:
        if g.statistic == statistic and (item is None or item in g.items):
            return g
    return None


def verdict(setting: Setting, statistic: str, item: Any = None) -> Verdict:
    """The verdict on one statistic; UNKNOWN where no guarantee speaks of it."""
    from pyro_symvi.recovery.theorems import guarantees

    names = {"mean": ("mean", "centre"), "correlation": ("correlation", "shape")}.get(statistic, (statistic,))
    all_found = guarantees(setting)
    verdicts = [g.verdict for name in names if (g := found(all_found, name, item)) is not None]
    return max(verdicts, default=Verdict.UNKNOWN)


@dataclass(frozen=True)
class Declared(Base):
    """A base law by what it declares, for laws this package has no sampler of."""

    log_concave: bool = True  # type: ignore[assignment]
    strictly_log_concave: bool = False  # type: ignore[assignment]
    spherical: bool = False  # type: ignore[assignment]
    full_support: bool = True  # type: ignore[misc]
    kind: Any = "exponential"
    name = "declared"

    def tail(self, dim: int) -> Tail:
        return Tail(self.kind, 1.0 if self.kind == "exponential" else float("inf"))

    def distribution(self, dim: int, like: torch.Tensor) -> Any:
        raise ValueError("no law")

    def cdf(self, x: Array, dim: int = 1) -> Array:
        return x

    def quantile(self, u: Array, dim: int = 1) -> Array:
        return u

    def variance(self, dim: int = 1) -> float:
        return 1.0


FLAT_TOP = Declared()
"""exp(-max(|x| - 1, 0)): log-concave and positive, flat near its centre."""
SEMICIRCLE = Declared(strictly_log_concave=True, full_support=False, kind="compact")
"""(1 - x^2)_+: strictly log-concave on a bounded support."""
