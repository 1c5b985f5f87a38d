"""What to cite for a certificate: the sources of the theorems it rests on, as BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from .report.certificate import Certificate
from .report.entry import Entry
from .theorems import THEOREMS

__all__ = ["PACKAGE", "citation", "references"]

PACKAGE = "pyro_symvi"
"""Key of the package's own entry: verdicts, and every proof without another source, rest on it."""
_FILE = Path(__file__).with_name("references.bib")
_BY_NAME = {theorem.name: theorem for theorem in THEOREMS}
_ENGINES = {"quadrature": ("trefethen2014", "quadrature")}
_PARETO = ("vehtari2024", "importance weights")
_SHOWN = 3


@cache
def references() -> dict[str, str]:
    """Every source, BibTeX entries by their keys."""
    text = _FILE.read_text(encoding="utf-8")
    return {found[1]: found[0] for found in re.finditer(r"^@\w+\{([^,]+),\n.*?^\}", text, re.MULTILINE | re.DOTALL)}


def citation(certificate: Certificate | None = None) -> str:
    """BibTeX of what a certificate rests on: this package, and the sources of the theorems its entries used.

    A line above each entry says which statistics rest on it (BibTeX skips text between entries). Where a premise was
    checked by a published method, Pareto-smoothed weights or the trapezoidal rule, that is cited as well.

    Args:
        certificate: Also one read from a file; None for the package alone.

    Returns:
        BibTeX text that ends in a newline.

    Raises:
        TypeError: No certificate.

    Example:
        >>> print(citation().splitlines()[1])
        @software{pyro_symvi,
    """
    if certificate is not None and not isinstance(certificate, Certificate):
        raise TypeError(
            f"expected a certificate, got {certificate!r}, because its theorems are cited; try "
            "citation(certify(fit)), or citation() for the package alone"
        )
    blocks = [f"% the package: verdicts, and proofs that have no other source\n{references()[PACKAGE]}"]
    if certificate is not None:
        used: dict[str, dict[str, list[str]]] = {}
        for report in certificate.reports.values():
            for entry in report.entries:
                for key, what in _sources(entry):
                    used.setdefault(key, {}).setdefault(what, []).append(entry.label)
        for key in sorted(used):
            told = [f"% {what}: {_listed(labels)}" for what, labels in used[key].items()]
            blocks.append("\n".join([*told, references()[key]]))
    return "\n\n".join(blocks) + "\n"


def _sources(entry: Entry) -> Iterator[tuple[str, str]]:
    """Keys that one number rests on, and what for."""
    if not entry.theorem:
        return
    theorem = _BY_NAME.get(entry.theorem)
    keys = theorem.keys if theorem is not None else ()
    for key in keys:
        yield key, f"theorem {entry.theorem!r}"
    for premise in entry.premises:
        if premise.name in _ENGINES and _ENGINES[premise.name][0] not in keys:
            yield _ENGINES[premise.name]
    if any("Pareto" in premise.statement for premise in entry.premises):
        yield _PARETO


def _listed(labels: list[str]) -> str:
    distinct = list(dict.fromkeys(labels))
    more = len(distinct) - _SHOWN
    return ", ".join(distinct[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
