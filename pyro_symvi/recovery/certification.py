"""Certifying by symmetry, after the fact: a fitted guide, posterior draws, or a target by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from ..density._laplace import laplace_approximation
from ..divergences import Divergence
from ..groups import AffineAction, AxisFlips, EllipticalRotation, PointReflection
from ..infer.fitting.tails import require_finite_divergence
from .evidence.exploration import Exploration
from .evidence.optimum import with_divergence
from .proofs import Proofs
from .report.certificate import Certificate
from .report.layout import Layout
from .report.record import Probe, Provenance, hash_of, versions
from .statistics.contrast import checked_contrasts
from .statistics.facts import Facts
from .statistics.registry import STATISTICS, chosen
from .subject import Subject, read_subject

__all__ = ["DOORS", "STATISTICS", "certify"]

_LEAST_POINTS, _LEAST_DRAWS = 384, 512
_NOTHING_SEEN = "none: static analysis only; no point was looked at and no draw made"

DOORS: list[Callable[..., Certificate | None]] = []
"""Certifiers of other kinds of space, tried first: ``door(subject, args, kwargs, **options)`` gives None to pass on."""


def certify(
    subject: Any,
    *args: Any,
    symmetry: AffineAction | None = None,
    statistics: str | Sequence[str] = ("mean",),
    divergence: Divergence | None = None,
    parameters: Mapping[str, torch.Tensor] | None = None,
    contrasts: Mapping[str, Any] | torch.Tensor | None = None,
    numerics: bool | None = None,
    num_points: int = 768,
    num_draws: int = 8192,
    generator: torch.Generator | None = None,
    **kwargs: Any,
) -> Certificate:
    r"""Say which fitted means, medians, correlations, ... are right, and how that is known.

    The argument is a posteriori (`theorems`): if the target is unchanged by a reflection of some coordinates about a
    point, that point *is* their mean, whatever guide, divergence or optimiser led there. So the target is tested at the
    centre near the fitted value; the fitted value is compared with it; existence of moments and posterior scales come
    from importance-weighted draws. Where no reflection holds, `bounds.reflection_bound` limits the error.

    Numerical evidence gives at most ``VERIFIED``: no violation on the region explored, other modes and heavy tails
    searched for. A narrow or far mode that no point came near is not seen. Bounds never fall below about 0.02 sd, what
    8192 draws can resolve.

    A `LogDensity` by itself gets the certificate of the *target*: values are its own centres, and by default static
    analysis is all that is used if it proves any. Values computed from posterior draws are at best ``BOUNDED``, by
    their distance from what symmetry says of the target: draws never certify.

    Args:
        subject: A `Fit`; or a fitted guide, followed by the model's arguments; or a `LocationScale` family, followed by
            a `LogDensity`, with ``parameters=``; or posterior draws, ``{site: values}`` or unconstrained
            ``[chains, n, d]`` or ``[n, d]``, followed by a `LogDensity` or by a model and its arguments; or a
            `LogDensity`. On spheres: an `AutoSphere` or `AutoSymmetric` guide of one direction, a family followed by a
            `SphereDensity`, or that alone.
        *args: See ``subject``.
        symmetry: Test this action only (`PointReflection`, `AxisFlips`, `EllipticalRotation`); by default reflections
            of all coordinates, of sites and of parts of them are searched for. An unknown centre or shape is found.
        statistics: Of `pyro_symvi.recovery.STATISTICS`: ``"mean"``, ``"median"``, ``"correlation"``, ... For guides,
            families and densities on spheres: ``"direction"``, ``"axis"``, ``"concentration"``; the first two if none.
        divergence: What the guide was fitted by, if not known from ``subject``; checked to be finite.
        parameters: Parameters of a family.
        contrasts: Vectors a of contrasts a.z to report beside the differences within exchangeable sets: ``{name: [d]}``
            or ``[m, d]``; implies the statistic ``"contrast"``.
        numerics: Whether numbers are looked at beside static analysis. By default yes, except for a `LogDensity` of
            which static analysis proves something.
        num_points: Random points for each residual test, at least 384.
        num_draws: Weighted draws for scales, moments and bounds, at least 512.
        generator: Random state; a fixed one by default, so that certificates repeat.
        **kwargs: Keyword arguments of the model.

    Returns:
        A `Certificate`.

    Raises:
        TypeError: A subject, symmetry or divergence of the wrong kind.
        ValueError: Unknown statistics; parameters that are not finite; an infinite divergence; whatever
            `LogDensity.from_model` refuses.
    """
    _check_counts(num_points, num_draws)
    generator = torch.Generator().manual_seed(2) if generator is None else generator
    seed = generator.initial_seed()
    options: dict[str, Any] = {"statistics": statistics, "parameters": parameters, "symmetry": symmetry}
    options |= {"divergence": divergence, "num_draws": num_draws, "generator": generator}
    for door in DOORS:
        certificate = door(subject, args, kwargs, **options)
        if certificate is not None:
            return certificate
    asked = (statistics,) if isinstance(statistics, str) else tuple(statistics)
    wanted = chosen(asked if contrasts is None or "contrast" in asked else (*asked, "contrast"))
    if symmetry is not None and not isinstance(symmetry, (PointReflection, AxisFlips, EllipticalRotation)):
        raise TypeError(
            f"expected symmetry as PointReflection, AxisFlips or EllipticalRotation, got {symmetry!r}, because "
            "certificates of location-scale guides have theorems for these three (other groups, affine ones too, are "
            "not used here); try symmetry=None to search, find_symmetries(model, *data) for other groups, "
            "analyze(model, *data).prove_invariance(action) for a proof, or an OrbitMixture as guide, which has it"
        )
    if divergence is not None and not isinstance(divergence, Divergence):
        raise TypeError(f"expected a divergence, got {divergence!r}; try ReverseKL() from pyro_symvi.divergences")
    read = with_divergence(read_subject(subject, args, kwargs, parameters), divergence)
    if symmetry is not None:
        symmetry.resolve_coordinates(read.density.dim)
    if divergence is not None and read.family is not None and read.parameters is not None:
        require_finite_divergence(read.density, read.family, dict(read.parameters), divergence)
    vectors = checked_contrasts(contrasts, read.density.dim)
    proofs = Proofs(read.density)

    def explore() -> Exploration:
        found = Exploration(_placed(read), generator, num_points, num_draws, given=proofs)
        found.search(symmetry, want_shape=any(statistic.needs_shape for statistic in wanted))
        return found

    looks = _looks(numerics, read, proofs, symmetry)
    facts = Facts(read, proofs, explore if looks else None, symmetry, vectors)
    reports = {statistic.name: statistic.report(facts) for statistic in wanted}
    found = facts.exploration
    notes = proofs.notes() if found is None else found.notes()
    return Certificate(
        reports=reports,
        subject=read,
        tests=() if found is None else tuple(found.tests),
        region=_NOTHING_SEEN if found is None else found.region(),
        notes=(*read.notes, *notes),
        layout=Layout.of(read.density),
        provenance=_provenance(
            read, proofs, symmetry, {k: v.tolist() for k, v in vectors.items()}, seed, num_points, num_draws
        ),
    )


def _looks(numerics: Any, read: Subject, proofs: Proofs, symmetry: AffineAction | None) -> bool:
    if numerics is not None and not isinstance(numerics, bool):
        raise TypeError(f"expected numerics as True, False or None, got {numerics!r}; try the default")
    if numerics is False and (read.kind != "target" or symmetry is not None):
        raise ValueError(
            "expected numerics=True, got False, because fitted values are measured in posterior scales and a named "
            "symmetry is tested by its residuals; try certify(density, numerics=False)"
        )
    return symmetry is not None or read.kind != "target" or (not proofs.parts if numerics is None else numerics)


def _placed(read: Subject) -> Subject:
    """A target by itself, put at its mode: somewhere to look from."""
    if read.kind != "target":
        return read
    start = read.density.starts[0] if read.density.starts else torch.zeros(read.density.dim, dtype=torch.float64)
    mode = laplace_approximation(read.density, start)
    root = mode.root if mode.is_mode else torch.eye(read.density.dim, dtype=torch.float64)
    return replace(read, loc=mode.point if mode.is_mode else start, root=root)


def _provenance(
    read: Subject,
    proofs: Proofs,
    symmetry: AffineAction | None,
    contrasts: Mapping[str, Sequence[float]],
    seed: int,
    num_points: int,
    num_draws: int,
) -> Provenance:
    return Provenance(
        what=read.title,
        kind=read.kind,
        guide=read.name,
        divergence=None if read.divergence is None else repr(read.divergence),
        symmetry=None if symmetry is None else repr(symmetry),
        seed=seed,
        num_points=num_points,
        num_draws=num_draws,
        fingerprint=proofs.analysis.fingerprint,
        parameters="" if read.kind == "target" else hash_of(read.loc, read.root),
        versions=versions(),
        contrasts=contrasts,
        probe=Probe.of(read.density),
    )


def _check_counts(num_points: Any, num_draws: Any) -> None:
    for name, value, least in (("num_points", num_points, _LEAST_POINTS), ("num_draws", num_draws, _LEAST_DRAWS)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"expected {name} as an int, got {value!r}, because it is a count; try the default")
        if value < least:
            raise ValueError(
                f"expected {name} >= {least}, got {value}, because fewer support no verdict; try the default"
            )
