"""What is said of each row of a table: a verdict on the scale of the row, and moments by formula."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..infer.fitting.posterior_draws import read_draws
from ..recovery import Certificate
from ..recovery.report.entry import Entry
from ..recovery.report.table import is_directional
from ..recovery.subject import Subject
from ._marks import is_own_scale, plain_name
from ._moments import Moments, moments, unconstrained_values
from ._source import Drawn


@dataclass(frozen=True)
class Row:
    """What is said of one row of the table: its verdict, and exact moments where there is a formula."""

    entry: Entry | None = None
    moments: Moments | None = None


def read_rows(
    drawn: Drawn, certificate: Certificate | None, notes: list[str]
) -> tuple[dict[str, torch.Tensor], dict[str, list[Row]]]:
    """Variables in the order of the table, ``[n, ...]``, and what is said of each of their entries."""
    evaluation = drawn.evaluation()
    subject = None if certificate is None else drawn.subject
    flat = {} if certificate is None else _flat_values(drawn, subject, certificate, notes)
    variables: dict[str, torch.Tensor] = {}
    rows: dict[str, list[Row]] = {}
    for name, value in drawn.values.items():
        variables[name] = value
        count = value[0].numel()
        rows[name] = [Row()] * count if certificate is None else _site_rows(certificate, subject, name, count)
        if name in flat:
            label, z = flat[name]
            variables[label], place = z, certificate.layout.slices[name]  # type: ignore[union-attr]
            rows[label] = [_flat_row(certificate, subject, i) for i in range(place.start, place.stop)]
    for name, value in ({} if evaluation is None else evaluation.deterministic).items():
        if name not in variables:
            variables[name], rows[name] = value, [Row()] * value[0].numel()
    return variables, rows


def _flat_values(
    drawn: Drawn, subject: Subject | None, certificate: Certificate, notes: list[str]
) -> dict[str, tuple[str, torch.Tensor]]:
    """Draws of the unconstrained coordinates of sites whose mean is certified there."""
    density = drawn.density if drawn.density is not None else None if subject is None else subject.density
    if density is None or "mean" not in certificate.reports:
        return {}
    z = drawn.z
    if z is None:
        try:
            z = read_draws(density, {name: drawn.values[name] for name in density.names}).reshape(-1, density.dim)
        except ValueError as error:
            notes.append(f"unconstrained coordinates are left out: {error}")
            return {}
    return unconstrained_values(density, z)


def _site_rows(certificate: Certificate, subject: Subject | None, site: str, count: int) -> list[Row]:
    """Rows of a site on the scale of the model."""
    if site not in certificate.layout.slices:
        return [Row()] * count
    if is_directional(certificate.statistics):
        name = next((n for n in ("direction", "axis") if n in certificate.reports), None)
        entries = () if name is None else certificate[name].entries
        return [Row(entry) for entry in entries] if len(entries) == count else [Row()] * count
    place = certificate.layout.slices[site]
    if place.stop - place.start != count:
        return [Row()] * count
    return [_site_row(certificate, subject, i) for i in range(place.start, place.stop)]


def _site_row(certificate: Certificate, subject: Subject | None, i: int) -> Row:
    own = is_own_scale(certificate, i)
    entry = _entry(certificate, "mean", i) if own else None
    if entry is None:
        entry = _entry(certificate, "median", i)
    if entry is not None and not own and not entry.label.endswith(f" {plain_name(certificate, i)}"):
        entry = None  # the median of an unconstrained coordinate, where the map to the site mixes several
    return Row(entry, None if subject is None else moments(subject, i, own))


def _flat_row(certificate: Certificate | None, subject: Subject | None, i: int) -> Row:
    entry = None if certificate is None else _entry(certificate, "mean", i)
    return Row(entry, None if subject is None else moments(subject, i, True))


def _entry(certificate: Certificate, statistic: str, i: int) -> Entry | None:
    if statistic not in certificate.reports:
        return None
    report = certificate[statistic]
    return report.entries[report.indices.index(i)] if i in report.indices else None
