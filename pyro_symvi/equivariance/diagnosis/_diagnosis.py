"""A diagnosis: findings in the order in which to look at them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Group as Lines
from rich.text import Text

from ._finding import Finding


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with the symmetry of a model, by the rules of :mod:`pyro_symvi.equivariance.diagnosis`.

    Findings are readings of numbers at given inputs by fixed thresholds, not proofs; a repair is something to try.

    Attributes:
        findings: in the order in which to look at them; empty where no known failure mode shows.
        target: labels of the irreducible representations that make up the output.
        relative: A by the root of the output's mean square, nan where no error was given.
    """

    findings: tuple[Finding, ...]
    target: tuple[Hashable, ...]
    relative: float

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __contains__(self, mode: object) -> bool:
        return mode in self.modes

    def __getitem__(self, mode: str) -> Finding:
        for finding in self.findings:
            if finding.mode == mode:
                return finding
        raise KeyError(f"expected a mode among {list(self.modes)}, got {mode!r}")

    @property
    def modes(self) -> tuple[str, ...]:
        """The failure modes found, by name."""
        return tuple(finding.mode for finding in self.findings)

    @property
    def sound(self) -> bool:
        """Nothing to mend was seen."""
        return not any(finding.mends for finding in self.findings)

    def __str__(self) -> str:
        return "\n".join(str(finding) for finding in self.findings) or self._nothing()

    def __rich__(self) -> Lines:
        if not self.findings:
            return Lines(Text(self._nothing()))
        lines: list[Text] = []
        for finding in self.findings:
            style = "bold yellow" if finding.mends else "bold green"
            lines.append(Text.assemble((finding.mode, style), f" (layer {finding.layer})"))
            lines.append(Text(f"  {finding.words}"))
            lines += [Text(f"  try {repair}") for repair in finding.repairs]
        return Lines(*lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "target": [list(label) if isinstance(label, tuple) else label for label in self.target],
            "relative": None if self.relative != self.relative else self.relative,
            "sound": self.sound,
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def _nothing(self) -> str:
        known = "" if self.relative != self.relative else f" The relative error is {self.relative:.2g}."
        return f"No known failure mode shows.{known}"
