"""A certificate as attributes: of the whole, and of each variable, on the scale that its verdicts speak of."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..guides import AutoSymmetric
from ..infer import Fit
from ..recovery import Certificate
from ..recovery.report.entry import Entry, StatisticReport
from ..recovery.report.record import hash_of
from ..recovery.report.table import is_directional
from ..recovery.statistics.elementwise import elementwise_maps
from ..recovery.subject import Subject
from ._source import Drawn

_SAME = 1e-6
"""Locations this close, in units of their own size plus one, are the same fit's (a guide holds them in float32)."""


def check_certificate(certificate: Certificate, drawn: Drawn) -> None:
    """Whether a certificate speaks of these draws.

    Raises:
        TypeError: No certificate.
        ValueError: One of other sites, of another kind of thing, or of another fit.
    """
    if not isinstance(certificate, Certificate):
        raise TypeError(f"expected a Certificate, got {type(certificate).__name__}; try certificate=symvi.certify(fit)")
    missing = [name for name in certificate.layout.names if name not in drawn.values]
    if missing:
        raise ValueError(
            f"expected the certificate of these draws, got one with the sites {missing} besides, because verdicts are "
            "written beside variables; try symvi.certify of what is exported"
        )
    if certificate.provenance.kind != drawn.kind:
        raise ValueError(
            f"expected the certificate of a {drawn.kind}, got one of a {certificate.provenance.kind}, because a "
            "verdict on one is none on the other; try symvi.certify of what is exported"
        )
    _check_target(certificate, drawn)
    told, have = _fitted(certificate, drawn)
    if told is None or have is None:
        return
    if told.shape != have.shape or not bool((told - have).abs().le(_SAME * (1 + have.abs())).all()):
        raise ValueError(
            "expected the certificate of this fit, got one whose fitted values differ from it, because a verdict on "
            "one fit is none on another; try symvi.certify(fit) again"
        )


def _check_target(certificate: Certificate, drawn: Drawn) -> None:
    """Refuse the certificate of another posterior: log p and its gradient at the points that it kept.

    Raises:
        ValueError: They are other numbers.
    """
    subject = None if is_directional(certificate.statistics) else drawn.subject
    density, probe = None if subject is None else subject.density, certificate.provenance.probe
    if density is None or not probe.points:
        return
    points = torch.tensor(probe.points, dtype=torch.float64)
    same = points.shape[-1] == density.dim
    if same:
        values, gradients = density.value_and_grad(points)
        pairs = ((values, probe.log_p), (gradients, probe.gradient))
        saved = [torch.tensor(old, dtype=torch.float64) for _, old in pairs]
        same = all(
            torch.allclose(new, old, rtol=_SAME, atol=_SAME, equal_nan=True)
            for (new, _), old in zip(pairs, saved, strict=True)
        )
    if not same:
        raise ValueError(
            "expected the certificate of this posterior, got one of another model or of other data, because a verdict "
            "on one posterior is none on another; try symvi.certify of what is exported"
        )


def _fitted(certificate: Certificate, drawn: Drawn) -> tuple[Tensor | None, Tensor | None]:
    """Fitted values as the certificate tells them, and as they are."""
    if is_directional(certificate.statistics):
        if "direction" not in certificate.reports or not isinstance(drawn.origin, AutoSymmetric):
            return None, None
        found = drawn.origin.parameters_of(certificate.layout.names[0])["direction"]
        return certificate["direction"].values, found.detach().double().cpu()
    if drawn.subject is None:
        return None, None
    if "mean" in certificate.reports:
        return certificate["mean"].values, drawn.subject.loc
    if drawn.subject.draws is not None and "median" in certificate.reports:
        return _medians(certificate["median"], drawn.subject)
    same = certificate.provenance.parameters == hash_of(drawn.subject.loc, drawn.subject.root)
    exact = isinstance(drawn.origin, Fit | Subject)  # a guide holds its parameters in another precision
    return (torch.zeros(1), torch.zeros(1) if same or not exact else torch.ones(1))


def _medians(report: StatisticReport, subject: Subject) -> tuple[Tensor, Tensor]:
    """Sample medians of draws on the scale of the sites, as certificates take them."""
    z: Any = subject.draws
    middle = torch.quantile(z.reshape(-1, z.shape[-1]), 0.5, dim=0).tolist()
    maps = elementwise_maps(subject.density)
    pairs = [
        (entry.value, maps[i](middle[i]))
        for i, entry in zip(report.indices, report.entries, strict=True)
        if not maps[i].refusal
    ]
    told, have = torch.tensor(pairs, dtype=torch.float64).reshape(-1, 2).unbind(-1)
    return told, have


def plain_name(certificate: Certificate, i: int) -> str:
    """Name of coordinate i as an entry of its site: ``sigma`` for ``log sigma``; empty where sites have other shapes.

    Sites whose constrained and unconstrained shapes differ (a simplex) have no entry for a coordinate.
    """
    layout = certificate.layout
    label = layout.coordinates[i]
    for site, place in layout.slices.items():
        if place.start <= i < place.stop:
            head, bracket, index = label.partition("[")
            if head != site and not head.endswith(f" {site}"):
                return ""
            size = torch.Size(layout.shapes[site]).numel()
            return f"{site}{bracket}{index}" if size == place.stop - place.start else ""
    return ""


def is_own_scale(certificate: Certificate, i: int) -> bool:
    """Whether a flat coordinate is the variable itself: its support is the real line."""
    return certificate.layout.coordinates[i] == plain_name(certificate, i)


def statistic_of(entry: Entry) -> str:
    """``"mean"``, ``"centre of symmetry"``, ``"median"``: what the verdict speaks of, in the certificate's words."""
    centre = "centre of symmetry"
    return centre if entry.label.startswith(f"{centre} of ") else entry.label.split(" of ")[0]


def marks(certificate: Certificate) -> dict[str, dict[str, Any]]:
    """Attributes of each site's variable.

    ``verdict`` with ``statistic`` is there only where it speaks of the variable as it stands: the mean where the
    support is the real line, the median elsewhere, the direction on a sphere. A verdict on the mean of ``log sigma`` is
    none on that of ``sigma``: it is ``unconstrained_verdict`` with ``unconstrained_statistic``.
    """
    found: dict[str, dict[str, Any]] = {}
    for site, place in certificate.layout.slices.items():
        attributes: dict[str, Any] = {}
        found[site] = attributes
        if is_directional(certificate.statistics):
            for name in ("direction", "axis"):
                if name in certificate.reports and "verdict" not in attributes:
                    attributes |= _entries("", name, list(certificate[name].entries))
            continue
        own = all(is_own_scale(certificate, i) for i in range(place.start, place.stop))
        for name in ("mean", "median"):
            if name not in certificate.reports:
                continue
            entries = list(certificate[name].at(site).entries)
            if not entries:
                continue
            if own or name == "median":
                if "verdict" not in attributes:
                    attributes |= _entries("", statistic_of(entries[0]), entries)
            else:
                attributes |= _entries("unconstrained_", entries[0].label.split("[")[0], entries)
    return {site: attributes for site, attributes in found.items() if attributes}


def _entries(prefix: str, statistic: str, entries: list[Entry]) -> dict[str, Any]:
    """The weakest verdict, and all of them in the order of the flat coordinates."""
    return {
        f"{prefix}statistic": statistic,
        f"{prefix}verdict": min(entry.verdict for entry in entries).name,
        f"{prefix}verdicts": [entry.verdict.name for entry in entries],
        f"{prefix}values": [float(entry.value) for entry in entries],
        f"{prefix}error_bounds": [float(entry.bound) for entry in entries],
    }


def certificate_attributes(certificate: Certificate) -> dict[str, str]:
    """The certificate as JSON, which ``Certificate.from_json`` reads, and a line a row in words."""
    rows = [[cell.replace("\\[", "[") for cell in row] for row in certificate.rows()]
    lines = [
        f"{label}: {verdict}, {value}" + ("" if bound == "-" else f", error bound {bound}")
        for label, verdict, value, bound, _ in rows
    ]
    return {"certificate": certificate.to_json(), "certificate_text": "\n".join([certificate.title, *lines])}
