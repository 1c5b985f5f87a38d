"""A certificate from its record: readable without the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..verdicts import Verdict
from .entry import StatisticReport
from .layout import Layout
from .record import FORMAT, Probe, Provenance

_NEEDED = ("format", "provenance", "sites", "coordinates", "statistics", "symmetries", "region", "notes")


def parts_of(record: Any) -> dict[str, Any]:
    """The arguments of `Certificate`, from a record (further keys are left alone).

    Raises:
        ValueError: No record of a certificate, one of another format, or a damaged one.
    """
    if not isinstance(record, Mapping) or any(key not in record for key in _NEEDED):
        got = sorted(record) if isinstance(record, Mapping) else type(record).__name__
        raise ValueError(
            f"expected a record with {list(_NEEDED)}, got {got}, because that is what a certificate is made of; try "
            "what Certificate.to_dict() gave"
        )
    if record["format"] != FORMAT:
        raise ValueError(
            f"expected format {FORMAT}, got {record['format']!r}, because the layout of records changed; try reading "
            f"it with pyro_symvi {record.get('pyro_symvi')}, which wrote it"
        )
    try:
        layout = Layout.from_dict(record["sites"], record["coordinates"])
        reports = {name: StatisticReport.from_dict(name, found, layout) for name, found in record["statistics"].items()}
        came = dict(record["provenance"])
        probe = Probe.from_dict(came.pop("probe"))
        provenance = Provenance(**came, probe=probe)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"expected a whole record, got one that can't be read ({type(error).__name__}: {error}), because a part is "
            f"missing or changed; verdicts are {[v.name for v in Verdict]}; try the schema, report/schema.json"
        ) from error
    return {
        "reports": reports,
        "subject": None,
        "tests": (),
        "region": str(record["region"]),
        "notes": tuple(record["notes"]),
        "layout": layout,
        "provenance": provenance,
        "symmetries": tuple(record["symmetries"]),
    }


def parsed(source: str | Path) -> Any:
    """JSON from a path, or from text.

    Raises:
        TypeError: Neither.
        ValueError: No JSON.
    """
    if not isinstance(source, (str, Path)):
        raise TypeError(f"expected JSON text or a path, got {type(source).__name__}; try Certificate.from_dict(record)")
    is_path = isinstance(source, Path) or not source.lstrip().startswith("{")
    text = Path(source).read_text(encoding="utf-8") if is_path else str(source)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"expected JSON, got text that is none ({error}); try what to_json() wrote") from error
