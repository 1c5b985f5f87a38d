"""A certificate as HTML that stands by itself."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from .entry import Entry
from .table import COLUMNS, folded, row, units

if TYPE_CHECKING:
    from .certificate import Certificate

COLOURS = {
    "PROVED": ("#074c21", "#dcfce7"),
    "VERIFIED": ("#027996", "#f0fdff"),
    "BOUNDED": ("#172ce5", "#eef2ff"),
    "CONDITIONAL": ("#835f13", "#fefce8"),
    "UNKNOWN": ("#8d31bc", "#faf5ff"),
    "REFUTED": ("#bf4458", "#fff5f5"),
}
"""Text and background of each verdict, told apart by colour-blind readers too; the word is always shown as well."""

_STYLE = (
    "<style>.symvi{font-family:system-ui,sans-serif;font-size:13px;line-height:1.4}"
    ".symvi table{border-collapse:collapse}.symvi th,.symvi td{padding:3px 10px;text-align:left;"
    "border-bottom:1px solid #ddd;vertical-align:top}.symvi td.n{text-align:right;white-space:nowrap}"
    ".symvi .v{padding:1px 7px;border-radius:9px;font-weight:600;white-space:nowrap}"
    ".symvi summary{cursor:pointer}.symvi li{margin:2px 0}.symvi p{margin:4px 0}</style>"
)


def fragment(certificate: Certificate) -> str:
    """A ``<div>`` with its own style: table, premises folded under each row, region and notes."""
    head = "".join(f"<th>{c}</th>" for c in COLUMNS)
    groups = [entries for report in certificate.reports.values() for entries in folded(report)]
    body = "".join(_row(entries) for entries in groups)
    shown = "".join(f"<li>{html.escape(str(p))}</li>" for p in certificate.shown_premises())
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in certificate.notes)
    return (
        f'<div class="symvi">{_STYLE}<p><b>{html.escape(certificate.title)}</b></p>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"<details><summary>All premises</summary><ul>{shown}</ul></details>"
        f"<p><b>Region:</b> {html.escape(certificate.region)}</p><p>{units(certificate.statistics)}</p>"
        + (f"<details><summary>Notes</summary><ul>{notes}</ul></details>" if notes else "")
        + "</div>"
    )


def page(certificate: Certificate) -> str:
    """A whole page."""
    title = html.escape(certificate.title)
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body>{fragment(certificate)}</body></html>\n"
    )


def _row(entries: list[Entry]) -> str:
    label, verdict, value, bound, why = (cell.replace(r"\[", "[") for cell in row(entries))
    ink, paper = COLOURS[verdict]
    premises = "".join(f"<li>{html.escape(str(p))}</li>" for p in entries[0].premises)
    reason = html.escape(why)
    if premises:
        theorem = html.escape(entries[0].theorem)
        reason = f"<details><summary>{reason}</summary><ul><li>theorem: {theorem}</li>{premises}</ul></details>"
    return (
        f'<tr><td>{html.escape(label)}</td><td><span class="v" style="color:{ink};background:{paper}">{verdict}</span>'
        f'</td><td class="n">{value}</td><td class="n">{bound}</td><td>{reason}</td></tr>'
    )
