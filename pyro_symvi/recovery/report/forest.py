"""Fitted means as a picture: intervals of guide and target, exact centres, error bounds, verdicts in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..._figures import FAINT, METHODS, REFERENCE
from ...density._importance import weighted_draws
from ...density._proposal import Scale
from ...families import LocationScale
from ...families.marginals import marginal_quantile
from ..subject import Subject
from ..verdicts import Verdict
from .certificate import Certificate
from .entry import Entry
from .page import COLOURS

_MOST = 40
_RANGE = 3.4
_WORDS = {
    Verdict.PROVED: "proved: exact",
    Verdict.VERIFIED: "verified: no violation found",
    Verdict.BOUNDED: "bounded: off by no more than the bar",
    Verdict.CONDITIONAL: "conditional: right if what is assumed holds",
    Verdict.UNKNOWN: "unknown",
    Verdict.REFUTED: "refuted: not recovered",
}


@dataclass(frozen=True)
class _Row:
    entry: Entry
    guide: tuple[float, float]
    target: tuple[float, float] | None
    sd: float


def forest_figure(certificate: Certificate, *, num_draws: int = 8192, generator: torch.Generator | None = None) -> Any:
    """One row a coordinate, in posterior standard deviations from the fitted value.

    Drawn are the central 95 % of the guide and of the target (importance-weighted draws), the fitted value, the error
    bound as a bar about it, and the centre that symmetry says is right; the verdict stands beside each row in words and
    colour. At most 40 rows.

    Args:
        certificate: With a mean report, of a guide or of draws, and with its target.
        num_draws: Weighted draws for the intervals of the target.
        generator: Random state; a fixed one by default.

    Returns:
        A matplotlib figure (not shown; ``figure.savefig(path)`` writes it).

    Raises:
        ValueError: No means, a certificate read from a file, or one of a target by itself.
    """
    from matplotlib.figure import Figure

    subject = _subject(certificate)
    generator = torch.Generator().manual_seed(3) if generator is None else generator
    rows = _rows(certificate, subject, num_draws, generator)
    figure = Figure(figsize=(8.6, 1.9 + 0.34 * len(rows)), layout="constrained")
    axis = figure.subplots()
    for position, row in enumerate(rows):
        _draw(axis, position, row)
    axis.axvline(0, color=FAINT, lw=0.8, zorder=0)
    axis.set_yticks(range(len(rows)), [r.entry.label.partition(" of ")[2] for r in rows], fontsize=9)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_xlim(-_RANGE, _RANGE)
    axis.set_xlabel("posterior standard deviations from the fitted value", fontsize=9)
    axis.tick_params(axis="x", labelsize=8)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    left_out = len(certificate["mean"].entries) - len(rows)
    more = f" ({left_out} more not shown)" if left_out else ""
    axis.set_title(f"Which fitted means are right?{more}", fontsize=11, loc="left")
    handles = _legend(rows)
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def _subject(certificate: Certificate) -> Subject:
    subject = certificate.subject
    if "mean" not in certificate.statistics:
        raise ValueError(
            f"expected a certificate with means, got {list(certificate.statistics)}, because a row is a mean; try "
            'statistics=("mean",)'
        )
    if subject is None or subject.kind == "target":
        what = "one read from a file" if subject is None else "one of a target by itself"
        raise ValueError(
            f"expected a certificate of a fit or of draws, got {what}, because intervals of both are drawn; try "
            "certify(fit)"
        )
    return subject


def _rows(certificate: Certificate, subject: Subject, num_draws: int, generator: torch.Generator) -> list[_Row]:
    scale = Scale(subject.loc, subject.root)
    draws = weighted_draws(subject.density, scale, num_draws=num_draws, generator=generator)
    law = (subject.family or LocationScale(subject.density.dim)).law
    out = []
    for i, entry in enumerate(certificate["mean"].entries[:_MOST]):
        sd = float(draws.sd[i] if draws.reliable else subject.root[i].norm())
        half = float(marginal_quantile(law, subject.root[i].numpy(), np.array([0.975]))[0]) / sd
        target = None
        if draws.reliable:
            ordered, order = draws.z[:, i].sort()
            mass = draws.log_weights.softmax(0)[order].cumsum(0)
            low, high = (float(ordered[int((mass < q).sum().clamp_max(len(mass) - 1))]) for q in (0.025, 0.975))
            target = ((low - entry.value) / sd, (high - entry.value) / sd)
        out.append(_Row(entry, (-half, half), target, sd))
    return out


def _draw(axis: Any, position: int, row: _Row) -> None:
    entry = row.entry
    ink = COLOURS[entry.verdict.name][0]
    if row.target is not None:
        axis.plot(row.target, [position + 0.16] * 2, color=REFERENCE, lw=5, solid_capstyle="butt", zorder=1)
    axis.plot(row.guide, [position - 0.16] * 2, color=METHODS[0], lw=1.6, zorder=2)
    if math.isfinite(entry.bound):
        axis.plot(
            [-entry.bound, entry.bound], [position] * 2, color=ink, lw=8, alpha=0.45, solid_capstyle="butt", zorder=3
        )
    axis.plot([0], [position - 0.16], "o", color=METHODS[0], ms=5, zorder=4)
    if math.isfinite(entry.exact):
        face = ink if entry.verdict is Verdict.PROVED else "white"
        at = max(-_RANGE, min(_RANGE, (entry.exact - entry.value) / row.sd))
        axis.plot([at], [position], "D", mec=ink, mfc=face, ms=6, zorder=5, clip_on=False)
    bound = f"  {entry.bound:.2g} sd" if math.isfinite(entry.bound) else ""
    axis.text(
        1.01,
        position,
        f"{entry.verdict.name}{bound}\n{entry.value:.5g}",
        color=ink,
        fontsize=7.5,
        va="center",
        transform=axis.get_yaxis_transform(),
    )


def _legend(rows: list[_Row]) -> list[Any]:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=METHODS[0], lw=1.6, marker="o", ms=5, label="guide: fitted value and central 95 %")]
    if any(row.target is not None for row in rows):
        handles.append(Line2D([], [], color=REFERENCE, lw=5, label="target: central 95 % (weighted draws)"))
    for verdict in Verdict:
        mine = [row.entry for row in rows if row.entry.verdict is verdict]
        if not mine:
            continue
        ink = COLOURS[verdict.name][0]
        centred = any(math.isfinite(e.exact) for e in mine)
        face = ink if verdict is Verdict.PROVED else "white"
        style: dict[str, Any] = {"marker": "D", "mec": ink, "mfc": face, "ms": 6} if centred else {}
        barred = {"lw": 8, "alpha": 0.45} if any(math.isfinite(e.bound) for e in mine) else {"lw": 0}
        label = _WORDS[verdict] + (" (diamond: the centre of symmetry)" if centred else "")
        if not centred and not barred["lw"]:
            style = {"marker": "$?$" if verdict is Verdict.UNKNOWN else "x", "mec": ink, "mfc": ink, "ms": 6}
        handles.append(Line2D([], [], color=ink, **barred, **style, label=label))
    return handles
