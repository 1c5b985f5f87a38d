"""Finding the symmetries of a target."""

from __future__ import annotations

import copy
import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from pyro.distributions import constraints

from ...density import LogDensity
from ...density._state import own_parameter_store, seeded
from ...families import Closure, Family
from ...guides import AutoLocationScale
from ...guides._site_prototype import init_to_centre, read_sites
from ...infer import Fit
from ..evidence.residuals import ResidualTest
from ..sphere import SphereDensity
from ..verdicts import Evidence
from .conditionals import conditional_reflections
from .ellipses import ellipses, rotations
from .flips import reflections
from .landscape import Landscape
from .membership import implied
from .permutations import exchanges, proved_permutations
from .pins import pins_of
from .planes import plane_groups
from .proposals import Proposal
from .spherical import NOT_SEARCHED, SEARCHED, SphereLandscape, spherical_proposals
from .symmetries import FoundSymmetry, RefutedSymmetry, Symmetries, fixed_point
from .testing import clear_witness, residuals_of

_FINDERS: tuple[tuple[Callable[[Landscape], Iterator[Proposal]], str], ...] = (
    (ellipses, "elliptical symmetry of all coordinates, sites, sets of sites and sets that reflect together"),
    (rotations, "one rotation O(k), k <= 6, of the vectors along axes of equal length (loadings, scores)"),
    (
        exchanges,
        "permutations of coordinates (as they are, in units of their curvature, with signs), of the index of a plate "
        "or label across sites, of whole sites",
    ),
    (proved_permutations, "permutations of coordinates that static analysis proves"),
    (reflections, "reflections of any coordinates about stationary points, proved centres and zero"),
    (conditional_reflections, "reflections of sites and single coordinates about an affine function of the others"),
    (plane_groups, "cyclic and dihedral groups of order up to 12 and mirrors in planes of two coordinates"),
)
_NOT_SEARCHED: tuple[str, ...] = (
    "maps that are not affine in the unconstrained coordinates (a simplex's labels, for one)",
    "rotations by finite groups in three or more dimensions, and planes that are not spanned by two coordinates",
    "permutations that move several sites by different rearrangements, other than by one common index",
)


def find_symmetries(
    target: Any,
    *args: Any,
    guide: Any = None,
    generator: torch.Generator | None = None,
    **kwargs: Any,
) -> Symmetries:
    r"""Propose, test and rank the symmetries of a posterior: :math:`\log p(gz) + \log|\det Dg| = \log p(z)`.

    Candidates come from structure (blocks and centres that static analysis proves, the axes of the sites) and from
    numerics (stationary points, curvature, log p on circles). Each is then proved by substitution in the exact
    expression of log p where that can be read, or tested by residuals to 10^12 scales, with a search for violations. A
    candidate with one residual beyond rounding is not listed. What is listed and not proved holds where it was tested:
    a far or narrow mode that no point came near is not seen.

    Args:
        target: A `LogDensity`; a Pyro model, followed by its arguments; a `Fit`; or, on the sphere, a `SphereDensity`,
            a law with that support, or a model with one unit vector as its latent site.
        *args: Arguments of the model.
        guide: A `Fit`, family or `AutoLocationScale`: say which symmetries its family is closed under.
        generator: Random state; a fixed one by default.
        **kwargs: Keyword arguments of the model.

    Returns:
        A `Symmetries`; ``str()`` of it is a table.

    Raises:
        TypeError: A target or guide of another kind, or arguments beside a density.
        ValueError: Whatever `LogDensity.from_model` refuses.

    Example:
        >>> density = LogDensity.from_callable(lambda z: -z[0] ** 4 - (z[0] * z[1] - 1) ** 2 - z[1] ** 2, dim=2)
        >>> [f.kind for f in find_symmetries(density)]
        ['point reflection']
    """
    family = _read_family(guide)
    generator = torch.Generator().manual_seed(6) if generator is None else generator
    sphere = _on_sphere(target, args, kwargs)
    land: Landscape | SphereLandscape
    if sphere is not None:
        land = SphereLandscape(sphere, generator)
        proposals, searched, not_searched = spherical_proposals(land), SEARCHED, NOT_SEARCHED
    else:
        density, loc = _read_target(target, args, kwargs)
        land = Landscape(density, generator, loc)
        proposals = itertools.chain.from_iterable(finder(land) for finder, _ in _FINDERS)
        searched, not_searched = tuple(words for _, words in _FINDERS), _NOT_SEARCHED
    search = _Search(land)
    for proposal in proposals:
        search.consider(proposal)
    found = _without_implied(search.found, land.dim)
    if family is not None:
        found = [dataclasses.replace(f, closure=_closure(family, f)) for f in found]
    found.sort(key=lambda f: f.pins.rank, reverse=True)
    return Symmetries(
        land.density,
        tuple(found),
        tuple(search.refuted),
        tuple(search.undecided),
        searched,
        not_searched,
        search.region(),
    )


class _Search:
    """Takes proposals one by one and keeps what holds."""

    def __init__(self, land: Landscape | SphereLandscape) -> None:
        self.land = land
        self.found: list[FoundSymmetry] = []
        self.refuted: list[RefutedSymmetry] = []
        self.undecided: list[str] = []
        self._tested = 0

    def consider(self, proposal: Proposal) -> None:
        """Skip what is implied or fails at a dozen points; then prove or test."""
        land = self.land
        maps = list(proposal.generators)
        if not maps or implied(maps, [f.action for f in self.found], land.dim):
            return
        if any(_same(r.action, proposal.action) for r in self.refuted):
            return
        if not proposal.headline and not proposal.proved and not land.screen.holds_all(maps):
            return
        self._tested += 1
        test = residuals_of(land, proposal.action, proposal.coordinates)
        if test.evidence is Evidence.REFUTED:
            self._refute(proposal, test)
            if proposal.proved:
                self.undecided.append(f"{proposal.kind}: a proof is withdrawn, because a residual speaks against it")
            return
        statement = self._proof(proposal)
        if not statement and test.evidence is Evidence.UNKNOWN:
            self.undecided.append(f"{proposal.kind} ({land.names(proposal.coordinates)}): {test.doubt}")
            return
        evidence = Evidence.PROVED if statement else Evidence.VERIFIED
        self.found.append(self._found(proposal, evidence, statement or _region(test)))

    def _refute(self, proposal: Proposal, test: ResidualTest) -> None:
        """Keep the clearest witness in the bulk, or the one that the residual test met."""
        where = self.land.names(proposal.coordinates)
        clear = clear_witness(self.land, proposal.action)
        if clear is not None:
            z, image, change = clear
            self.refuted.append(RefutedSymmetry(proposal.kind, where, proposal.action, z, change, image))
        elif test.witness is not None:
            change = test.witness_residual
            self.refuted.append(RefutedSymmetry(proposal.kind, where, proposal.action, test.witness, change))

    def _proof(self, proposal: Proposal) -> str:
        """How it is proved, or nothing."""
        if proposal.proved:
            return f"by static analysis, {proposal.proved}"
        if self.land.prover is not None and self.land.prover.invariant(proposal.generators):
            return (
                "by static analysis, substituting the generators in the exact expression of log p gives the same "
                "expression"
            )
        return ""

    def _found(self, proposal: Proposal, evidence: Evidence, statement: str) -> FoundSymmetry:
        land, action = self.land, proposal.action
        maps = list(proposal.generators)
        shape = getattr(action, "shape", None)
        return FoundSymmetry(
            kind=proposal.kind,
            action=action,
            coordinates=proposal.coordinates,
            names=land.names(proposal.coordinates),
            center=fixed_point(maps, land.scale.center),
            shape=None if shape is None else torch.as_tensor(shape),
            matrices=torch.stack([m.matrix for m in maps]),
            offsets=torch.stack([m.offset for m in maps]),
            evidence=evidence,
            statement=statement,
            pins=pins_of(action, proposal.coordinates, land.dim),
        )

    def region(self) -> str:
        """What the numerical tests looked at."""
        land = self.land
        modes = len(land.modes)
        return (
            f"{land.screen.count} maps at a dozen points; {self._tested} tested at 768 points and by ascent; "
            f"{modes} mode{'s' if modes > 1 else ''} found to 1e+06 scales; nothing is known of mass that none of "
            "these came near"
        )


def _region(test: ResidualTest) -> str:
    return (
        f"|log p(gz) - log p(z)| <= {test.largest:.1e} at {test.points} points within {test.reach:.0e} scales, a "
        "search for violations included; not seen: mass that none of them came near"
    )


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and repr(one) == repr(other)


def _without_implied(found: list[FoundSymmetry], dim: int) -> list[FoundSymmetry]:
    """Drop what follows from the others, those that pin least first."""
    kept = list(found)
    for candidate in sorted(found, key=lambda f: f.pins.rank):
        others = [f for f in kept if f is not candidate]
        if others and implied(candidate.maps, [f.action for f in others], dim):
            kept = others
    return kept


def _on_sphere(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> SphereDensity | None:
    """The target as a density on a sphere, if it is one: given as such, a law on a sphere, or a model of one."""
    if isinstance(target, SphereDensity):
        return target
    if isinstance(target, torch.distributions.Distribution):
        if target.support is constraints.sphere and len(target.batch_shape) == 0:
            free = copy.copy(target)
            free._validate_args = False
            return SphereDensity.from_callable(free.log_prob, int(target.event_shape[0]))
        return None
    if isinstance(target, (Fit, LogDensity)) or not callable(target):
        return None
    try:
        with seeded(0), own_parameter_store():
            sites, _ = read_sites(target, args, kwargs, init_to_centre)
    except ValueError:  # no flat density either: `LogDensity.from_model` says why
        return None
    return SphereDensity.from_model(target, *args, **kwargs) if any(s.on_sphere for s in sites.values()) else None


def _read_target(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[LogDensity, torch.Tensor | None]:
    if isinstance(target, (Fit, LogDensity)):
        if args or kwargs:
            raise TypeError(
                f"expected no further arguments beside a {type(target).__name__}, got some, because its data are "
                "inside it; try find_symmetries(target)"
            )
        return (target.density, target.loc.detach().double()) if isinstance(target, Fit) else (target, None)
    if callable(target):
        return LogDensity.from_model(target, *args, **kwargs), None
    raise TypeError(
        f"expected a LogDensity, a Pyro model or a Fit, got {type(target).__name__}, because symmetries are those of a "
        "density; try find_symmetries(model, *data)"
    )


def _read_family(guide: Any) -> Family | None:
    if guide is None or isinstance(guide, Family):
        return guide
    if isinstance(guide, Fit):
        return guide.family
    if isinstance(guide, AutoLocationScale):
        return guide.family
    raise TypeError(
        f"expected guide as a Fit, a family or an AutoLocationScale, got {type(guide).__name__}, because closure is a "
        "property of a family; try LocationScale(dim)"
    )


def _closure(family: Family, found: FoundSymmetry) -> Closure | None:
    try:
        return family.closure(found.action)
    except (NotImplementedError, ValueError, TypeError) as error:
        return Closure(False, f"not decided ({error})")
