"""The one line that each benchmark prints of each of its main ratios, from which `run_all.py` makes the table.

headline: what was measured | peer | ratio in words
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

PREFIX = "headline: "


def headline(measured: str, peer: str, ratio: str) -> None:
    """Print one ratio."""
    print(headline_of(measured, peer, ratio), flush=True)


def headline_of(measured: str, peer: str, ratio: str) -> str:
    """The line: ``measured`` says of what, ``peer`` against whom, ``ratio`` how much (see `as_fast`)."""
    return f"{PREFIX}{measured} | {peer} | {ratio}"


def as_fast(*ratios: float) -> str:
    """In words: the time of the peer by ours, above 1 where ours is faster; a range for several."""
    return f"{spread(ratios)} times as fast"


def times_the_time(*ratios: float) -> str:
    """In words: our time by that of the peer; a range for several."""
    return f"{spread(ratios)} times the time"


def spread(values: Iterable[float]) -> str:
    """The least and the largest of some ratios, two digits each.

    >>> spread([0.117, 4.04]), spread([12.3]), spread([1.01, 1.04])
    ('0.12 to 4', '12', '1')
    """
    found = [number(value) for value in sorted(value for value in values if not math.isnan(value))]
    if not found:
        return "-"
    return found[0] if found[0] == found[-1] else f"{found[0]} to {found[-1]}"


def number(value: float) -> str:
    """Two significant digits, without an exponent."""
    if value == 0:
        return "0"
    digits = 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, digits)
    return f"{rounded:,.{max(digits, 0)}f}".rstrip("0").rstrip(".") if digits > 0 else f"{rounded:,.0f}"


def processor() -> str:
    """The name of the processor and the number of its cores that are at hand."""
    name, information = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if information.exists():
        rows = information.read_text(encoding="utf-8").splitlines()
        name = next((row.split(":")[1].strip() for row in rows if "model name" in row), name)
    return f"{name}, {os.cpu_count()} cores"


def versions(*packages: str) -> str:
    """Python's version and those of the packages that are installed."""
    found = [f"Python {platform.python_version()}"]
    for package in packages:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)
