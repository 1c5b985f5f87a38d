"""Everything known of a model's symmetry, on one page."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from ..._figures import save_figure
from ..._page import picture, section, write_page, write_text
from .._capture import OUTPUT
from ..diagnosis import Diagnosis
from ..errors import EquivarianceError
from ..lie import LieError
from ..pictures import plot_epochs, plot_samples, plot_spectrum, plot_training
from ..spectra import Spectrum

PICTURES = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class EquivarianceReport:
    """A page on one model, one group and one set of inputs; made by :func:`~pyro_symvi.equivariance.report`.

    Attributes:
        title: what it is about.
        spectrum: of the layers and the output.
        error: of the output under the declared action.
        target: labels of the output's irreps.
        diagnosis: failure modes and repairs.
        error_change: |A' - A| / A' with a rule two degrees longer, 0 at the rounding floor; nan where there is no
            longer rule (finite groups, random elements).
        converged: whether the numbers can be read; None where that is not known.
        lie: the Lie derivative at the inputs, None where there is none.
        lie_reason: why not.
        history: of the training, or None.
        output: which of several outputs this is about, as it was asked for; None for a single one.
    """

    title: str
    spectrum: Spectrum
    error: EquivarianceError
    target: tuple[Hashable, ...]
    diagnosis: Diagnosis
    error_change: float = math.nan
    converged: bool | None = None
    lie: LieError | None = None
    lie_reason: str = ""
    history: Any = None
    output: str | int | None = None

    # -- words ---------------------------------------------------------------------------------------------------
    @property
    def sections(self) -> dict[str, str]:
        """Everything in words, by heading."""
        return {
            "Findings": str(self.diagnosis),
            "Error of the output": self.error_text,
            "Fractions of energy by layer": str(self.spectrum),
        }

    @property
    def error_text(self) -> str:
        """The error with its floor, quantiles over samples, convergence and Lie derivative."""
        error = self.error
        low, median, high, worst = error.quantiles().tolist()
        lines = [
            f"A = {error.A:.4g}, relative {error.relative:.3g}; rounding alone makes {error.noise_floor:.1g}",
            f"by sample: 5 % {low:.3g}, median {median:.3g}, 95 % {high:.3g}, largest {worst:.3g}",
            f"rule: {self.spectrum.rule}; {self._convergence()}",
        ]
        if self.lie is not None:
            lines.append(f"Lie derivative at the inputs: {self.lie.L:.4g} a radian, relative {self.lie.relative:.3g}")
        elif self.lie_reason:
            lines.append(f"no Lie derivative: {self.lie_reason}")
        return "\n".join(lines)

    def to_text(self) -> str:
        """The page without its pictures."""
        return "\n\n".join([self.title, *(f"{name}\n{text}" for name, text in self.sections.items())])

    def __str__(self) -> str:
        return self.to_text()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        names = max(len(name) for name in self.spectrum)
        columns = max(2, (options.max_width - names - 30) // 10)
        yield Text(self.title, style="bold")
        yield Text(f"\n{self.spectrum.table(columns=columns)}\n", no_wrap=True, overflow="ellipsis")
        yield Text(f"{self.error_text}\n")
        yield self.diagnosis

    def print(self, file: Any = None, *, width: int | None = None) -> None:
        """Write to a terminal, or to ``file`` in lines of ``width`` letters."""
        Console(file=file, highlight=False, width=width).print(self)

    # -- files -----------------------------------------------------------------------------------------------------
    def to_dict(self) -> dict[str, Any]:
        """The numbers, plain: nan as None."""
        error = self.error
        found: dict[str, Any] = {
            "title": self.title,
            "group": repr(self.spectrum.group),
            "error": {
                "A": error.A,
                "relative": error.relative,
                "noise_floor": error.noise_floor,
                "per_sample": error.per_sample.tolist(),
            },
            "error_change": self.error_change,
            "converged": self.converged,
            "lie": None if self.lie is None else {"L": self.lie.L, "relative": self.lie.relative},
            "diagnosis": self.diagnosis.to_dict(),
            "spectrum": self.spectrum.to_dict(),
        }
        return dict(_plain(found))

    def figures(self) -> dict[str, Any]:
        """The pictures by name: spectrum, samples, and with a history training and epochs."""
        found = {"spectrum": plot_spectrum(self.spectrum, target=self.target), "samples": plot_samples(self.error)}
        history = self.history
        if history is None or len(history) < 2 or not hasattr(history, "epochs"):
            return found
        times = [float(time) for time in history.epochs]
        if getattr(history, "outputs", True):
            size = self.error.A / self.error.relative if self.error.relative > 0 else 0.0
            floor = self.error.noise_floor / size if size > 0 else None
            errors = {
                "relative error": [float(error) for error in self._of_output("outputs", "relative", history.errors)]
            }
            found["training"] = plot_training(times, errors, floor=floor)
        if hasattr(history, "fractions"):
            found["epochs"] = plot_epochs(
                times,
                self._of_output("layers", "fractions", history.fractions[:, -1]),
                history.labels,
                target=self.target,
                group=self.spectrum.group,
            )
        return found

    def _of_output(self, names: str, values: str, otherwise: Any) -> Any:
        """The column of a history that belongs to the output picked, where it has one of its name."""
        known = list(getattr(self.history, names, ()))
        name = f"{OUTPUT}[{self.output!r}]"
        return getattr(self.history, values)[:, known.index(name)] if name in known else otherwise

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page as one ``.html`` file that needs no other, the numbers as ``.json``, or the spectrum as a
        picture; a path without an ending is a folder for all of them. The path is returned.

        Raises:
            ValueError: for another ending.
        """
        path = Path(path)
        kind = path.suffix.lower()
        if kind == ".html":
            return self._page(path, self.figures())
        if kind == ".json":
            return write_text(json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n", path)
        if kind in PICTURES:
            return save_figure(self.figures()["spectrum"], path)
        if kind:
            raise ValueError(
                f"expected a folder, or a path that ends in .html, .json, {', '.join(PICTURES)}, got {str(path)!r}"
            )
        figures = self.figures()
        self._page(path / "report.html", figures)
        self.save(path / "report.json")
        for name, figure in figures.items():
            save_figure(figure, path / f"{name}.svg")
        return path

    def _page(self, path: Path, figures: dict[str, Any]) -> Path:
        words = self.sections
        alts = {
            "spectrum": "Fractions of energy, layers by irreducible representations",
            "samples": "Distribution of the error over samples",
            "training": "Error while training",
            "epochs": "Spectrum of the output while training",
        }
        first = [section("Findings", words.pop("Findings"))]
        pictures = [picture(figure, alts[name]) for name, figure in figures.items()]
        return write_page(self.title, [*first, *pictures, *(section(*item) for item in words.items())], path)

    def _convergence(self) -> str:
        changes = self.spectrum.changes
        if self.spectrum.group.is_finite:
            return "exact"
        if self.converged is None or not changes:
            return "convergence not known"
        worst = max(changes, key=lambda name: changes[name])
        energies = f"energies by {changes[worst]:.1%} at most ({worst})"
        text = f"two degrees more change A by {self.error_change:.1%}, {energies}"
        return text if self.converged else f"not converged: {text}"


def _plain(value: Any) -> Any:
    """Nan and infinity as null: JSON has neither."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
