"""What is found about the symmetry of a guide."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

from ..._value import Value
from ...families import Closure
from ...groups import Group
from ._law import Kind


class Symmetry(Enum):
    """The verdict."""

    EQUIVARIANT = "equivariant"
    #: Location and scatter are, and say less than all about the law (a product of Laplace laws under rotations).
    MOMENTS = "equivariant in location and scatter alone"
    NEARLY = "nearly equivariant"
    BROKEN = "not equivariant"


@dataclass(frozen=True, eq=False, repr=False)
class Thresholds(Value):
    """In posterior standard deviations (and relative changes of variances).

    Attributes:
        exact: up to here equivariant: 0.01 is the Monte Carlo error of a mean over 10^4 draws.
        near: up to here nearly so: at 0.1, the mean is displaced by a tenth of a standard deviation.

    Raises:
        ValueError: unless ``0 < exact <= near < inf``.
    """

    exact: float = 0.01
    near: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.exact <= self.near < math.inf:
            raise ValueError(f"expected 0 < exact <= near < inf, got exact={self.exact}, near={self.near}")

    def verdict(self, size: float) -> Symmetry:
        """Of a deviation."""
        if size <= self.exact:
            return Symmetry.EQUIVARIANT
        return Symmetry.NEARLY if size <= self.near else Symmetry.BROKEN


@dataclass(frozen=True)
class Deviation:
    """How far one tensor, turned back, is from being the same at every element.

    Attributes:
        squared: E|z|^2 - |E z|^2 for each sample ``[B]`` (for an unamortised law: E|g m - m|^2, B = 1).
        norm: E|z|^2 ``[B]``.
        scaled: the same as ``squared`` in units of the law, by coordinate ``[B]``; nan for a point.
    """

    squared: Tensor
    norm: Tensor
    scaled: Tensor

    @property
    def A(self) -> float:
        """Root of the mean over samples of ``squared``; units of the latent (or their squares for a covariance)."""
        return float(self.squared.mean().sqrt())

    @property
    def relative(self) -> float:
        """A by the root mean square of the tensor itself."""
        whole = float(self.norm.sum())
        return float((self.squared.sum() / whole).sqrt()) if whole > 0 else 0.0

    @property
    def in_sd(self) -> float:
        """Root mean square over samples, elements and coordinates, in standard deviations of the law.

        Of a location: |S^-1/2 (m_g - E m)| / sqrt(d). Of a covariance: |S^-1/2 (S_g - E S) S^-1/2|_F / sqrt(d), so
        that a common factor 1 + h counts as h. S is the covariance at the given inputs.
        """
        return float(self.scaled.mean().sqrt())


@dataclass(frozen=True)
class SiteSymmetry:
    """One latent site.

    Attributes:
        name: of the site ("q" for an encoder's only law).
        kind: of its law.
        location: deviation of the location.
        covariance: of the covariance (on spheres, of the concentration); None for a point.
        divergence: mean over the group of KL(q(z | g x) || rho(g) q(z | x)) for each sample ``[B]``; None where there
            is no closed form.
        closure: for an unamortised law, whether its family holds the images of its laws; None where not known.
    """

    name: str
    kind: Kind
    location: Deviation
    covariance: Deviation | None
    divergence: Tensor | None
    closure: Closure | None = None

    @property
    def size(self) -> float:
        """The larger of the two deviations, in standard deviations; the relative one of a point."""
        if self.covariance is None:
            return self.location.relative
        return max(self.location.in_sd, self.covariance.in_sd)

    @property
    def is_decided(self) -> bool:
        """Whether location and spread, moving as they should, make the law do so: for a law of another form than the
        normal only where its family is known to hold the images of its laws."""
        return self.kind is not Kind.MOMENTS or bool(self.closure)

    @property
    def mean_divergence(self) -> float:
        """Over samples, in nats; nan where there is no closed form."""
        return math.nan if self.divergence is None else float(self.divergence.mean())


@dataclass(frozen=True, repr=False)
class GuideSymmetry:
    """Whether laws move with the group; see ``guide_equivariance`` and ``law_invariance``.

    Attributes:
        sites: by name.
        group: the group.
        evaluations: elements visited.
        thresholds: of the verdict.
        amortised: whether the law depends on inputs that move.
        notes: what a reader must know.
    """

    sites: dict[str, SiteSymmetry]
    group: Group
    evaluations: int
    thresholds: Thresholds
    amortised: bool
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> SiteSymmetry:
        if name not in self.sites:
            raise KeyError(f"expected a site among {list(self.sites)}, got {name!r}")
        return self.sites[name]

    @property
    def size(self) -> float:
        """The largest deviation of any site, in standard deviations."""
        return max(site.size for site in self.sites.values())

    @property
    def verdict(self) -> Symmetry:
        """By the largest deviation; never better than :attr:`Symmetry.MOMENTS` where two moments do not decide."""
        found = self.thresholds.verdict(self.size)
        decided = found is not Symmetry.EQUIVARIANT or all(site.is_decided for site in self.sites.values())
        return found if decided else Symmetry.MOMENTS

    def __bool__(self) -> bool:
        return self.verdict is Symmetry.EQUIVARIANT

    def __repr__(self) -> str:
        return f"<{self}>"

    def __str__(self) -> str:
        word = self.verdict.value if self.amortised else self.verdict.value.replace("equivariant", "invariant")
        lines = [
            f"{word} under {self.group!r}: off by {self.size:.2g} posterior standard deviations "
            f"({self.evaluations} elements; up to {self.thresholds.exact:g} counts as exact, up to "
            f"{self.thresholds.near:g} as nearly so)"
        ]
        for site in self.sites.values():
            spread = "concentration" if site.kind in (Kind.VON_MISES_FISHER, Kind.AXIAL) else "covariance"
            text = f"  {site.name} ({site.kind.value}): location {site.location.in_sd:.2g} sd"
            if site.covariance is None:
                text = f"  {site.name} ({site.kind.value}): location {site.location.relative:.2g} of its size"
            else:
                text += f", {spread} {site.covariance.in_sd:.2g}"
            if site.divergence is not None:
                text += f", KL {site.mean_divergence:.2g} nats"
            if site.closure is not None and not site.closure:
                text += f"; the family cannot be: {site.closure.reason}"
            lines.append(text)
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)


MOMENTS_NOTE = "a law of another form than the normal is compared by location and scatter alone"


def notes_for(sites: dict[str, SiteSymmetry]) -> tuple[str, ...]:
    """What goes for laws that are not normal."""
    others = [name for name, site in sites.items() if site.kind is Kind.MOMENTS]
    return (f"{', '.join(others)}: {MOMENTS_NOTE}",) if others else ()


def nan_like(values: Tensor) -> Tensor:
    """Where no unit is known."""
    return torch.full_like(values, math.nan)
