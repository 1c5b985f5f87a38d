"""Text of one task: means and paired ratios with Student intervals over seeds, spectra by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from .learning import REGIMES, TASKS

Found = list[dict[str, Any]]
METRICS = ("rmse", "A_component", "relative", "averaged", "share", "as_given")
TITLES = ("RMSE", "A", "A / rms output", "RMSE of E z", "A^2 / RMSE^2", "RMSE as given")


def student(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half the width of its 95 % interval."""
    from scipy import stats

    n = len(values)
    x = torch.tensor(values, dtype=torch.float64)
    half = math.nan if n < 2 else float(stats.t.ppf(0.975, n - 1)) * float(x.std()) / math.sqrt(n)
    return float(x.mean()), half


def paired(found: Found, regime: str, against: str, value: Any) -> tuple[float, float, float]:
    """Geometric mean over seeds of the ratio of two regimes on the same seed, with its 95 % interval."""
    one = {cell["option"]["seed"]: value(cell) for cell in of(found, regime)}
    other = {cell["option"]["seed"]: value(cell) for cell in of(found, against)}
    logs = [math.log(max(one[seed], 1e-300) / max(other[seed], 1e-300)) for seed in sorted(one) if seed in other]
    mean, half = student(logs)
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def of(found: Found, regime: str) -> Found:
    return [cell for cell in found if cell["option"]["regime"] == regime]


def verdict(low: float, high: float) -> str:
    if not (math.isfinite(low) and math.isfinite(high)):
        return "not enough seeds"
    return "lower" if high < 1 else "higher" if low > 1 else "no difference shown"


def pm(values: Sequence[float]) -> str:
    mean, half = student(values)
    return f"{mean:.4f} +- {half:.4f}"


def report(task: str, found: Found) -> str:
    made = TASKS[task]
    seeds = sorted({cell["option"]["seed"] for cell in found})
    lines = [
        made.title,
        f"{len(seeds)} seeds ({', '.join(map(str, seeds))}); +- and [ ] are 95 % Student intervals over seeds, "
        "uncorrected for their number.",
        "",
        f"{'regime':<14}{'parameters':>11}{'epochs':>8}{'gradient evaluations':>22}{'CPU s of training':>20}",
    ]
    for regime in REGIMES:
        cells = of(found, regime)
        if cells:
            lines.append(
                f"{regime:<14}{cells[0]['parameters']:>11}{int(cells[0]['spectra']['epochs'][-1]):>8}"
                f"{cells[0]['steps']:>22}{pm([cell['cpu_train'] for cell in cells]):>20}"
            )
    for name, unit in made.units.items():
        lines += ["", *_errors(found, name, unit)]
    lines += ["", *_spectra(found, made.label)]
    stopped = [cell for cell in found if cell["stopped"]]
    lines += ["", f"runs that ended early: {len(stopped)} of {len(found)}"]
    return "\n".join(lines)


def _errors(found: Found, name: str, unit: str) -> list[str]:
    lines = [
        f"{name} ({unit}), test samples, exact over orientations and mirror images; errors by component",
        f"{'regime':<14}" + "".join(f"{title:>20}" for title in TITLES),
    ]
    for regime in REGIMES:
        cells = of(found, regime)
        if cells:
            row = "".join(f"{pm([cell['errors'][name][key] for cell in cells]):>20}" for key in METRICS)
            lines.append(f"{regime:<14}{row}")
    learnt = ", ".join(
        f"{regime} {sum(cell['errors'][name]['rmse'] < 0.9 * cell['errors'][name]['spread'] for cell in cells)} of "
        f"{len(cells)}"
        for regime in REGIMES
        if (cells := of(found, regime))
    )
    lines.append(f"runs with an RMSE below 0.9 of that of the best equivariant constant: {learnt}")
    lines.append("ratios on the same seed (geometric means):")
    for regime in REGIMES:
        if regime == "augmentation" or not of(found, regime):
            continue
        for key, words in (("rmse", "RMSE"), ("A_component", "A"), ("relative", "A / rms output")):
            ratio, low, high = paired(found, regime, "augmentation", lambda cell, key=key: cell["errors"][name][key])
            numbers = f"{ratio:>8.3f} [{low:.3f}, {high:.4g}]"
            lines.append(f"  {words:<15} {regime:>13} / augmentation  {numbers:<28}{verdict(low, high)}")
    return lines


def _spectra(found: Found, target: tuple[int, int]) -> list[str]:
    lines = [
        "spectra: mean fraction of E|u|^2 in each irrep (l, sigma) by epoch, with its interval for the last one; label "
        f"of the target {target}",
    ]
    for regime in REGIMES:
        cells = of(found, regime)
        if not cells:
            continue
        first = min(
            (cell["spectra"] for cell in cells), key=lambda spectra: len(spectra["epochs"])
        )  # a run may end early
        names = ["(" + ",".join(map(str, label)) + ")" for label in first["labels"]] + ["residual"]
        lines.append(f"{regime:<24}{'epoch':<6}" + "".join(f"{name:>17}" for name in names))
        for k, layer in enumerate(first["layers"]):
            for look, epoch in enumerate(first["epochs"]):
                row = ""
                for i in range(len(names)):
                    mean, half = student([fraction(cell, look, k, i) for cell in cells])
                    last = look == len(first["epochs"]) - 1
                    number = f"{mean:.4f}+-{half:.4f}" if last else f"{mean:.4f}"
                    row += f"{number:>17}"
                lines.append(f"  {layer:<22}{int(epoch):>5} {row}")
    return lines


def fraction(cell: dict[str, Any], look: int, layer: int, irrep: int) -> float:
    """The fraction of an irrep, or for the last column the residual."""
    spectra = cell["spectra"]
    row = [*spectra["fractions"][look][layer], spectra["residuals"][look][layer]]
    return float(row[irrep])
