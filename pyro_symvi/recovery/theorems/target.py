"""The target of an a priori statement, as facts with their evidence."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from ...groups import LinearAction
from .facts import Fact, proved, unknown
from .pins import Pinned, pins

NOT_KNOWN = unknown("not known")


@dataclass(frozen=True)
class Symmetry:
    """A symmetry of the target.

    Attributes:
        action: The action; an open centre stands for the target's own.
        fact: That the target is unchanged by it.
        profile: For elliptical symmetries of all coordinates: the density never increases with the radius.
        strict_profile: It also decreases strictly and is positive at every radius.
    """

    action: LinearAction
    fact: Fact
    profile: Fact = NOT_KNOWN
    strict_profile: Fact = NOT_KNOWN
    _pins: dict[int, Pinned] = field(default_factory=dict, init=False, repr=False, compare=False)

    def pins(self, dim: int) -> Pinned:
        """What it pins on R^dim, computed once."""
        if dim not in self._pins:
            self._pins[dim] = pins(self.action, dim)
        return self._pins[dim]


@dataclass(frozen=True)
class Decreasing:
    """Unimodality of one coordinate: even in it, and never increasing away from a centre that is free of the rest.

    Attributes:
        coordinate: Which.
        fact: That it is so for every value of the other coordinates.
        strict: That the decrease is strict and p positive.
    """

    coordinate: int
    fact: Fact
    strict: Fact = NOT_KNOWN


@dataclass(frozen=True)
class Growth:
    r"""An upper bound on the growth of -log p: at most like :math:`\lVert z\rVert^{degree}`, or like exp(linear).

    Attributes:
        kind: Which.
        degree: Of the polynomial; unused for ``"exponential"``.
    """

    kind: Literal["polynomial", "exponential"]
    degree: float = 0.0


@dataclass(frozen=True)
class Target:
    """A target, as far as theorems look at it. What is not given is unknown.

    Attributes:
        dim: Number of coordinates (on a sphere: of the space around it).
        symmetries: Its symmetries.
        proper: It integrates to a finite number, so that it has a density.
        positive: p > 0 everywhere.
        positive_almost_everywhere: p > 0 outside a null set.
        log_concave: log p is concave.
        strictly_log_concave: strictly, on its support.
        strongly_log_concave: log p + m |z|^2 / 2 is concave for some m > 0.
        log_moment, first_moment, second_moment: E log(1 + |z|), E |z|, E |z|^2 are finite.
        bounded: p is bounded.
        convex_levels: Every set {p > t} is convex.
        decreasing: p is positive, continuous and strictly decreasing along rays from its centre.
        coordinates: Unimodality of single coordinates.
        growth: A bound on the growth of -log p; None if none is known.
        on_sphere: It lives on the unit sphere.
        increasing_profile: On a sphere: p = w(a . x) with w never decreasing and not constant.
        has_direction: On a sphere: E x is not zero, and P no point mass.
    """

    dim: int
    symmetries: tuple[Symmetry, ...] = ()
    proper: Fact = NOT_KNOWN
    positive: Fact = NOT_KNOWN
    positive_almost_everywhere: Fact = NOT_KNOWN
    log_concave: Fact = NOT_KNOWN
    strictly_log_concave: Fact = NOT_KNOWN
    strongly_log_concave: Fact = NOT_KNOWN
    log_moment: Fact = NOT_KNOWN
    first_moment: Fact = NOT_KNOWN
    second_moment: Fact = NOT_KNOWN
    bounded: Fact = NOT_KNOWN
    convex_levels: Fact = NOT_KNOWN
    decreasing: Fact = NOT_KNOWN
    coordinates: tuple[Decreasing, ...] = ()
    growth: Growth | None = None
    on_sphere: bool = False
    increasing_profile: Fact = NOT_KNOWN
    has_direction: Fact = NOT_KNOWN

    def with_implications(self) -> Target:
        """The same with what follows from its facts: strong log-concavity implies strict, propriety, moments, ..."""
        known: dict[str, Fact] = {}

        def holds(name: str) -> bool:
            return known.get(name, getattr(self, name)).is_proved

        for premises, conclusion, words in _IMPLICATIONS:
            if all(holds(name) for name in premises) and not holds(conclusion):
                known[conclusion] = proved(words)
        return replace(self, **known)  # type: ignore[arg-type]

    def unimodal_coordinate(self, i: int) -> Decreasing | None:
        """What is known of the unimodality of coordinate i."""
        return next((found for found in self.coordinates if found.coordinate == i), None)


_IMPLICATIONS = (
    (("strongly_log_concave",), "proper", "strongly log-concave, so proper"),
    (("strongly_log_concave",), "strictly_log_concave", "strongly log-concave, so strictly"),
    (("strictly_log_concave",), "log_concave", "strictly log-concave"),
    (("positive",), "positive_almost_everywhere", "p is positive everywhere"),
    (("log_concave", "proper"), "second_moment", "p is log-concave and proper, so all moments exist"),
    (("log_concave", "proper"), "bounded", "p is log-concave and proper, so bounded"),
    (("second_moment",), "first_moment", "second moments exist"),
    (("first_moment",), "log_moment", "first moments exist"),
)
"""In an order in which one pass is enough."""
