"""Is a law left as it is by an action on its latent space?"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch import distributions as torch_dist

from ...families import LocationScale
from ...families._axial import AxialFamily
from ...groups import Action, AffineAction, Group, Quadrature, UnsupportedError
from ...groups._errors import sentence
from ...guides import AutoSymmetric
from ...recovery.subject import Subject, read_subject
from ._comparison import Comparison
from ._law import Kind, Law, law_of, unit
from ._moving import require_affine
from ._result import MOMENTS_NOTE, GuideSymmetry, SiteSymmetry, Thresholds
from ._sites import ENCODER

DRAWS = 512
"""Haar draws where a compact group has no rule."""
ENUMERATED = 4096
"""Finite groups up to this order are visited whole."""
BLOCK = 64


def law_invariance(
    given: Any,
    action: Action | Mapping[str, Action],
    *args: Any,
    parameters: Mapping[str, Tensor] | None = None,
    degree: int = 8,
    thresholds: Thresholds = Thresholds(),
    **kwargs: Any,
) -> GuideSymmetry:
    r"""Is the law of an unamortised guide invariant: g m = m and A_g S A_g^T = S for every element?

    Deviations are root mean squares over the group of what one element does to location and covariance, in standard
    deviations of the law, and the mean of KL(g q || q) for a normal law. Zero for every law that a symmetric family
    holds at symmetric parameters; :attr:`SiteSymmetry.closure` says whether the family holds the images of its laws at
    all. It speaks of the guide alone: whether the target has the symmetry, and what follows for its moments, is
    ``pyro_symvi.certify``'s question.

    Args:
        given: a ``Fit``; a guide (``AutoLocationScale``, ``AutoSymmetric``, Pyro's ``AutoNormal``,
            ``AutoDiagonalNormal``, ``AutoMultivariateNormal``, ``AutoLowRankMultivariateNormal``) with the model's
            arguments in ``args``; a family with a density in ``args`` and ``parameters``; a distribution of one
            vector.
        action: affine, on the flat unconstrained latent vector, or by site (those left out stay as they are). One
            whose centre is open is taken about the law's own location, where the location can't move.
        degree: of a Lie group's rule.
        thresholds: of the verdict.

    Example:
        >>> import pyro.distributions as dist
        >>> from pyro_symvi.groups import CoordinatePermutation
        >>> law = dist.Normal(torch.tensor([0.0, 0.3]), torch.ones(2)).to_event(1)
        >>> found = law_invariance(law, CoordinatePermutation(2))
        >>> round(found["q"].location.in_sd, 6)  # half of the elements exchange the two, 0.3 each
        0.212132

    Raises:
        ValueError: unless the law is one law of vectors.
        TypeError: unless the action moves vectors.
    """
    if isinstance(given, AutoSymmetric):
        return _of_sites(given, action, args, kwargs, degree, thresholds)
    if isinstance(given, torch_dist.Distribution):
        if len(given.event_shape) != 1 or given.batch_shape:
            raise ValueError(
                f"expected one law of vectors, got batch shape {list(given.batch_shape)} and event shape "
                f"{list(given.event_shape)}; try .to_event(1)"
            )
        if not isinstance(action, Action):
            raise TypeError(f"expected an action on vectors for a distribution, got {action!r}")
        law = law_of(given.expand((1,)))
        return _judged({ENCODER: (law, action)}, degree, thresholds, {})
    subject = read_subject(given, args, kwargs, parameters)
    flat = action if isinstance(action, Action) else _by_site(subject, action)
    law = Law(_kind(subject), subject.loc[None], (subject.root @ subject.root.mT)[None])
    closures = {}
    if subject.family is not None and isinstance(action, Action):
        closures[ENCODER] = subject.family.closure(action)
    return _judged({ENCODER: (law, flat)}, degree, thresholds, closures)


def _judged(
    laws: Mapping[str, tuple[Law, Action]], degree: int, thresholds: Thresholds, closures: Mapping[str, Any]
) -> GuideSymmetry:
    found, notes, count = {}, [], 0
    group: Group | None = None
    for name, (law, action) in laws.items():
        if isinstance(action, AffineAction):
            if action.center is None:
                notes.append(f"{name}: about the law's own location, where the location can't move")
            action = _bound(action, law.loc[0])
        rule = _rule(action.group, degree)
        group, count = action.group, len(rule.weights)
        if law.loc.shape[-1:] != (action.event_shape[0],) and action.event_shape not in ((-1,), ()):
            raise ValueError(
                f"expected an action on vectors of length {law.loc.shape[-1]} at {name!r}, got {action!r} on "
                f"{list(action.event_shape)}; try one with dim={law.loc.shape[-1]}"
            )
        require_affine(action, rule.elements, tuple(law.loc.shape[1:]), name)
        site = Comparison(name, law.kind, action, law.loc, law.spread, about_reference=True)
        for g, w in zip(rule.elements.split(BLOCK), rule.weights.split(BLOCK), strict=True):
            spread = None if law.spread is None else law.spread.expand(len(g), *law.spread.shape)
            site.add(g, w, law.loc.expand(len(g), *law.loc.shape), spread)
        result = site.result()
        found[name] = SiteSymmetry(
            name, result.kind, result.location, result.covariance, result.divergence, closures.get(name)
        )
        if law.kind is Kind.MOMENTS:
            notes.append(f"{name}: {MOMENTS_NOTE}")
    if group is None:
        raise ValueError("expected an action for at least one site, got none")
    return GuideSymmetry(found, group, count, thresholds, False, tuple(notes))


def _of_sites(
    guide: AutoSymmetric, action: Any, args: Any, kwargs: Any, degree: int, thresholds: Thresholds
) -> GuideSymmetry:
    """Sites are independent: each is judged by itself, the members of a plate as samples."""
    if not isinstance(action, Mapping) or not action:
        raise TypeError(
            sentence(
                "actions by site for AutoSymmetric",
                repr(action),
                "its sites are independent laws on spaces of their own",
                "{'mu': SphereRotation(3)}",
            )
        )
    laws, closures = {}, {}
    for name, moves in action.items():
        family, values = guide.family_of(name), guide.parameters_of(name)
        closures[name] = family.closure(moves)
        values = {key: value.detach().double() for key, value in values.items()}
        laws[name] = (_of_family(family, values), moves)
    return _judged(laws, degree, thresholds, closures)


def _of_family(family: Any, values: dict[str, Tensor]) -> Law:
    if isinstance(family, AxialFamily):
        direction = unit(values["direction"].reshape(-1, family.dim))
        kind = Kind.VON_MISES_FISHER if type(family).__name__ == "VonMisesFisherFamily" else Kind.AXIAL
        return Law(kind, direction, values["concentration"].expand(values["direction"].shape[:-1]).reshape(-1))
    root = family.matrix(values["scale"])
    loc = values["loc"].reshape(-1, family.dim)
    covariance = (root @ root.mT).expand(*values["loc"].shape[:-1], family.dim, family.dim)
    return Law(_shape_of(family), loc, covariance.reshape(-1, family.dim, family.dim))


def _kind(subject: Subject) -> Kind:
    if subject.family is None:
        return Kind.NORMAL if subject.kind == "guide" else Kind.MOMENTS
    return _shape_of(subject.family)


def _shape_of(family: LocationScale) -> Kind:
    if family.law.name == "normal":
        return Kind.NORMAL
    return Kind.ELLIPTICAL if family.spherical else Kind.MOMENTS


def _rule(group: Group, degree: int) -> Quadrature:
    """All elements, the group's rule, Haar draws; generators where there is no Haar measure."""
    if group.is_finite and group.log_order <= math.log(ENUMERATED):
        return group.quadrature()
    if not group.is_compact:
        elements = group.generators()
    else:
        if not group.is_finite:
            try:
                return group.quadrature(degree)
            except UnsupportedError:
                pass
        elements = group.sample(DRAWS, generator=torch.Generator().manual_seed(0))
    weights = torch.full((len(elements),), 1 / len(elements), dtype=torch.float64)
    return Quadrature(elements, weights, -1)


@dataclass(frozen=True, eq=False, repr=False)
class _BySite(Action):
    """Actions of one group on parts of a flat vector."""

    parts: tuple[tuple[slice, Action], ...]
    dim: int

    @property
    def group(self) -> Group:
        return self.parts[0][1].group

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.dim,)

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        shape = torch.broadcast_shapes(self._element_batch(g), x.shape[:-1])
        moved = x.expand(*shape, self.dim).clone()
        for part, action in self.parts:
            moved[..., part] = action.act(g, x[..., part])
        return moved


def _bound(action: AffineAction, loc: Tensor) -> AffineAction:
    """Everything open resolved, an open centre by the location."""
    coordinates = action.resolve_coordinates(len(loc))
    return action.bind(len(loc), center=loc[coordinates] if action.center is None else action.center)


def _by_site(subject: Subject, actions: Mapping[str, Action]) -> Action:
    slices = {site.name: site.slice for site in subject.density.sites}
    parts = []
    for name, action in actions.items():
        if name not in slices:
            raise ValueError(f"expected actions for sites among {list(slices)}, got {name!r}")
        if isinstance(action, AffineAction):
            action = _bound(action, subject.loc[slices[name]])
        parts.append((slices[name], action))
    groups = {action.group for _, action in parts}
    if len(groups) != 1:
        raise ValueError(
            sentence(
                "one group that moves all sites",
                f"{len(groups)}",
                "an element acts on every site at once",
                "a call for each group",
            )
        )
    return _BySite(tuple(parts), functools.reduce(max, (part.stop for part in slices.values())))
