"""Certifying a fitted direction, axis and concentration, after the fact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ...divergences import Divergence
from ...groups import LinearAction
from ..report.certificate import Certificate
from ..report.entry import StatisticReport
from ..report.layout import Layout
from ..report.record import Probe, Provenance, hash_of, versions
from .a_priori import a_priori
from .facts import SphereFacts
from .optimum import Optimum
from .statistics import SPHERE_STATISTICS, axis_entries, concentration_entry, direction_entries, mean_direction
from .subject import SphereSubject, is_sphere_subject, read_sphere_subject

DEFAULT = ("direction", "axis")


def certify_sphere(
    subject: Any,
    *args: Any,
    symmetry: LinearAction | None = None,
    statistics: str | Sequence[str] = DEFAULT,
    divergence: Divergence | None = None,
    parameters: Mapping[str, torch.Tensor] | None = None,
    num_draws: int = 8192,
    generator: torch.Generator | None = None,
    **kwargs: Any,
) -> Certificate:
    r"""Say whether a fitted direction, axis and concentration are those of the target, and how that is known.

    The argument is a posteriori: if the target is unchanged by a half-turn about a, :math:`x \mapsto 2(a\cdot x)a - x`,
    its mean lies on the line of a, whatever guide, divergence or optimiser was used; the sign of :math:`E\,a\cdot x`
    makes it a direction; the fitted direction is compared with it. On the circle and the sphere of R^3 the mean is
    also computed by quadrature, so that a fitted direction gets an angle where no symmetry holds.

    ``"direction"`` is :math:`E x/|E x|`, ``"axis"`` its line (of all rotations that leave p unchanged, where E x = 0),
    ``"concentration"`` that of the law with the same :math:`|E x|`: what forward KL finds, and no other divergence.

    Args:
        subject: A `SphereDensity`; or a family on the sphere followed by one, with ``parameters=``; or a fitted
            `AutoSphere` or `AutoSymmetric` guide, followed by the model's arguments, of a model whose one latent site
            is a direction.
        *args: See ``subject``.
        symmetry: Test this action only (`AxialRotation`, `Antipodal`, a finite group of orthogonal matrices); by
            default half-turns about axes are searched for.
        statistics: Of ``"direction"``, ``"axis"``, ``"concentration"``.
        divergence: What the guide was fitted by, if known: nothing is said of a fitted value on the circle or the
            sphere of R^3 that this divergence does not hold where it is (a saddle, a better optimum elsewhere).
        parameters: Parameters of a family, a direction ``[d]`` and a concentration ``[]`` by name.
        num_draws: Weighted draws, above three dimensions.
        generator: Random state; a fixed one by default, so that certificates repeat.
        **kwargs: Keyword arguments of the model.

    Returns:
        A `Certificate`. Bounds of directions and axes are in radians, of concentrations absolute.

    Raises:
        TypeError: A subject, symmetry or divergence of the wrong kind.
        ValueError: Unknown statistics; parameters that no law has; a symmetry that moves the sphere.
    """
    names = _checked(statistics)
    if divergence is not None and not isinstance(divergence, Divergence):
        raise TypeError(f"expected a divergence, got {divergence!r}; try ReverseKL() from pyro_symvi.divergences")
    read = read_sphere_subject(subject, args, kwargs, parameters, divergence)
    generator = torch.Generator().manual_seed(2) if generator is None else generator
    seed, layout = generator.initial_seed(), Layout.of(read.density)  # type: ignore[arg-type]
    facts = SphereFacts(read, symmetry, num_draws, generator)
    known = mean_direction(facts)
    held = Optimum(facts)
    entries = {
        "direction": lambda: held.vetoed(direction_entries(facts, known), signed=True),
        "axis": lambda: held.vetoed(axis_entries(facts, known), signed=False),
        "concentration": lambda: (concentration_entry(facts, known),),
    }
    reports = {}
    for name in names:
        found = entries[name]()
        reports[name] = StatisticReport(name, found, (len(found),), layout, tuple(range(len(found))))
    return Certificate(
        reports=reports,
        subject=read,  # type: ignore[arg-type]
        tests=tuple(facts.tests),  # type: ignore[arg-type]
        region=facts.region(),
        notes=(*read.density.notes, *dict.fromkeys(facts.notes), *a_priori(facts, known)),
        layout=layout,
        provenance=_provenance(read, facts, seed),
    )


def door(
    subject: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, statistics: Any, **options: Any
) -> Certificate | None:
    """`certify` for targets on spheres; None for any other. The default of flat space means the default here."""
    if not is_sphere_subject(subject, args, kwargs):
        return None
    wanted = DEFAULT if statistics in (("mean",), ["mean"]) else statistics
    return certify_sphere(subject, *args, statistics=wanted, **options, **kwargs)


def _provenance(read: SphereSubject, facts: SphereFacts, seed: int) -> Provenance:
    fitted = read.direction
    what = f"the direction '{read.density.name}'" if fitted is None else f"{_article(read.name)} {read.name}"
    numbers = () if fitted is None else (fitted, torch.tensor(read.concentration, dtype=torch.float64))
    return Provenance(
        what=what,
        kind=read.kind,
        guide=read.name,
        divergence=None if read.divergence is None else repr(read.divergence),
        symmetry=None if facts.symmetry is None else repr(facts.symmetry),
        seed=seed,
        num_points=len(facts.peaks.x),
        num_draws=facts.num_draws,
        fingerprint=facts.algebra.fingerprint,
        parameters=hash_of(*numbers) if numbers else "",
        versions=versions(),
        contrasts={},
        probe=Probe.of(read.density),  # type: ignore[arg-type]
    )


def _article(name: str) -> str:
    return "an" if name[:1] in "AEIO" else "a"


def _checked(statistics: str | Sequence[str]) -> tuple[str, ...]:
    names = (statistics,) if isinstance(statistics, str) else tuple(statistics)
    unknown = [name for name in names if name not in SPHERE_STATISTICS]
    if unknown or not names:
        raise ValueError(
            f"expected statistics among {list(SPHERE_STATISTICS)}, got {list(names)}, because no theorem speaks of "
            'others on a sphere; try statistics=("direction", "axis")'
        )
    return tuple(dict.fromkeys(names))
