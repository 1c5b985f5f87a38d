"""What is true of a guide: read from its family, its base law and its scale pattern."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from ...distributions.bases import Base, GeneralizedNormal, Logistic, Normal, StudentT, Tail, UniformBall
from ...families import (
    BlockDiagonal,
    Diagonal,
    Family,
    Fixed,
    Full,
    Isotropic,
    LearnedDf,
    LocationScale,
    LowRank,
    Scale,
    Tied,
    VonMisesFisherFamily,
)
from ...groups import LinearAction
from .facts import Fact, decided, proved, refuted, unknown

_NO_FAMILY = "the guide is no location-scale family"
_DECREASING = (Normal, GeneralizedNormal, StudentT, Logistic)
"""Base laws positive everywhere, smooth off the axes, strictly decreasing along rays and in each ``|xi_i|``."""


@dataclass(frozen=True)
class Guide:
    """A guide, as far as theorems look at it.

    Attributes:
        dim: Number of coordinates.
        name: In words.
        family: Its family; None for one that is none of ours (a flow, a mixture, a point mass).
    """

    dim: int
    name: str
    family: Family | None = None
    _closures: dict[int, tuple[LinearAction, Fact, bool]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def of(cls, family: Family) -> Guide:
        """The guide of a family."""
        if isinstance(family, LocationScale):
            return cls(family.dim, f"{family.law.name}, {family.pattern.name} scale", family)
        return cls(family.dim, type(family).__name__, family)

    @classmethod
    def other(cls, name: str, dim: int) -> Guide:
        """A guide of which nothing is known: a flow, an autoregressive guide, a mixture, AutoDelta."""
        return cls(dim, name)

    # -- kind --------------------------------------------------------------------------------------------------

    @property
    def location_scale(self) -> LocationScale | None:
        """The family, if it is location-scale."""
        return self.family if isinstance(self.family, LocationScale) else None

    @property
    def is_von_mises_fisher(self) -> bool:
        """Whether it is the von Mises-Fisher family."""
        return isinstance(self.family, VonMisesFisherFamily)

    @property
    def law(self) -> Base | None:
        """The base law."""
        return self.location_scale.law if self.location_scale else None

    @property
    def pattern(self) -> Scale | None:
        """The scale pattern."""
        return self.location_scale.pattern if self.location_scale else None

    @property
    def spherical(self) -> bool:
        """Whether the base law depends on the norm alone; in one dimension every even law does."""
        return self.law is not None and (self.law.spherical or self.dim == 1)

    @property
    def is_normal(self) -> bool:
        """Whether the base law is normal (or its exponential-power twin, exponent 2)."""
        law = self.law
        return isinstance(law, Normal) or (isinstance(law, GeneralizedNormal) and law.beta == 2)

    @property
    def full_rank(self) -> bool:
        """Whether every positive definite scatter is in the pattern."""
        return isinstance(self.pattern, Full) or (self.dim == 1 and not isinstance(self.pattern, (Fixed, type(None))))

    @property
    def learns_df(self) -> bool:
        """Whether degrees of freedom are a parameter."""
        return self.location_scale is not None and self.location_scale.learns_df

    @property
    def least_df(self) -> float | None:
        """Degrees of freedom of a Student-t base; of learned ones, what they stay above. None for other bases."""
        law, family = self.law, self.location_scale
        if not isinstance(law, StudentT) or family is None:
            return None
        return family.df.minimum if isinstance(family.df, LearnedDf) else law.df

    @property
    def df_above_one(self) -> bool:
        """Whether degrees of freedom exceed one, whatever the parameters."""
        least = self.least_df
        return least is not None and (least >= 1 if self.learns_df else least > 1)

    def tail(self) -> Tail | None:
        """The base law's fall-off; None where it is unknown or varies with learned degrees of freedom."""
        return None if self.law is None or self.learns_df else self.law.tail(self.dim)

    def closure(self, action: LinearAction) -> tuple[Fact, bool]:
        """Whether the family is closed under an action, and whether the action moves the scale."""
        if self.family is None:
            return unknown(f"a {self.name} is not known to be closed under any group"), True
        if id(action) not in self._closures:  # the action is kept, so that its id stays its own
            found = self.family.closure(action)
            fact = decided(found.holds, f"the {self.name} is closed: {found.reason}", found.reason)
            self._closures[id(action)] = (action, fact, found.moves_scale)
        return self._closures[id(action)][1:]

    # -- the base law ------------------------------------------------------------------------------------------

    @cached_property
    def log_concave(self) -> Fact:
        """Whether log q0 is concave."""
        if self.law is None:
            return unknown(_NO_FAMILY)
        return decided(self.law.log_concave, f"a {self.law.name} base is log-concave", f"a {self._law} is not")

    @cached_property
    def strictly_log_concave(self) -> Fact:
        """Whether log q0 is strictly concave."""
        if self.law is None:
            return unknown(_NO_FAMILY)
        return decided(
            self.law.strictly_log_concave,
            f"a {self.law.name} base is strictly log-concave",
            f"a {self._law} is not strictly log-concave",
        )

    @cached_property
    def positive(self) -> Fact:
        """Whether q0 > 0 everywhere, so that log q0 is finite."""
        if self.law is None:
            return unknown(_NO_FAMILY)
        return decided(self.law.full_support, "the base is positive everywhere", f"a {self._law} vanishes somewhere")

    @cached_property
    def convex_levels(self) -> Fact:
        """Whether every superlevel set of q0 is convex."""
        if self.law is None:
            return unknown(_NO_FAMILY)
        return decided(
            self.law.has_convex_superlevel_sets(self.dim),
            f"superlevel sets of a {self._law} are convex",
            f"superlevel sets of a {self._law} in {self.dim} dimensions are not convex",
        )

    @cached_property
    def decreasing(self) -> Fact:
        """Whether q0 is positive, continuous, and strictly decreasing along rays and in each coordinate's size."""
        law = self.law
        if law is None:
            return unknown(_NO_FAMILY)
        if isinstance(law, _DECREASING) or (law.strictly_log_concave and law.full_support):
            return proved(f"a {self._law} is positive, continuous and strictly decreasing along rays")
        if isinstance(law, UniformBall):
            return refuted("a uniform base is flat and vanishes outside a ball")
        return unknown(f"a {self._law} is not known to decrease strictly along rays")

    @cached_property
    def non_increasing(self) -> Fact:
        """Whether q0 is absolutely continuous and does not increase along rays and in each coordinate's size."""
        law = self.law
        if law is None:
            return unknown(_NO_FAMILY)
        if self.decreasing.is_proved or (law.log_concave and law.full_support):
            return proved(f"a {self._law} is continuous and never increases along rays")
        return unknown(f"a {self._law} is not known to be continuous and non-increasing along rays")

    @property
    def _law(self) -> str:
        kind = "spherical" if self.spherical else "product"
        return f"{kind} {self.law.name if self.law else ''} base"

    # -- the scale ---------------------------------------------------------------------------------------------

    @cached_property
    def convex_scales(self) -> Fact:
        """Whether the laws are parametrised by a convex set of symmetric positive definite C, and of their inverses."""
        pattern = self.pattern
        if pattern is None:
            return unknown(_NO_FAMILY)
        if isinstance(pattern, (Diagonal, Isotropic, Tied)) or self.dim == 1:
            return proved(
                f"{pattern.name} scales are a convex set of positive definite matrices, and so their inverses"
            )
        if isinstance(pattern, (Full, BlockDiagonal)) and self.spherical:
            return proved("with a spherical base the symmetric roots, a convex set, give the same laws")
        if isinstance(pattern, LowRank):
            return unknown("low-rank scales are no convex set")
        return unknown(f"the laws of a {self.name} guide are not given by a convex set of symmetric scales")

    @property
    def is_triangular(self) -> bool:
        """Whether the scale is a triangular root, which matters where the base is not spherical."""
        return isinstance(self.pattern, (Full, BlockDiagonal))

    @property
    def scale_is_fixed(self) -> bool:
        """Whether nothing of the scale is fitted."""
        return isinstance(self.pattern, Fixed)

    @property
    def scales_are_closed(self) -> bool:
        """Whether limits of scales that stay bounded and invertible are scales again."""
        return self.pattern is not None and not isinstance(self.pattern, LowRank)

    def uncoupled(self, i: int) -> Fact:
        """Whether coordinate i is uncorrelated with the others by pattern: C_ij = C_ji = 0 for j other than i."""
        pattern = self.pattern
        no = unknown(f"a {pattern.name if pattern else self.name} scale couples the coordinate with others")
        if isinstance(pattern, (Diagonal, Isotropic)) or self.dim == 1:
            return proved(f"{pattern.name if pattern else ''} scales leave the coordinate uncoupled")
        if isinstance(pattern, BlockDiagonal):
            alone = (i,) in pattern.index_blocks(self.dim)
            return proved("the coordinate is a block of its own") if alone else no
        if isinstance(pattern, Fixed) and self.location_scale is not None:
            matrix = self.location_scale.matrix(pattern._value)
            off = matrix.clone().fill_diagonal_(0.0)
            alone = not bool(off[i].any() or off[:, i].any())
            return proved("the fixed scale leaves the coordinate uncoupled") if alone else no
        return no

    @cached_property
    def exponential(self) -> Fact:
        """Whether it is a regular minimal exponential family with a convex natural space."""
        if self.is_von_mises_fisher:
            return proved("von Mises-Fisher laws are an exponential family in kappa mu")
        if not self.is_normal:
            return refuted(f"a {self.name} guide is no exponential family")
        if isinstance(self.pattern, LowRank):
            return refuted("normal laws of low-rank scatter are a curved family")
        return proved(f"normal laws of {self.pattern.name if self.pattern else ''} scale are an exponential family")
