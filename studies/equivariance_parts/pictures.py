"""Figures of one task: errors against training time, spectra by layer before and after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from pyro_symvi._figures import FAINT, INK, METHODS, save_figure, tidy

from .learning import REGIMES, TASKS
from .tables import Found, fraction, of, student


def curves(task: str, found: Found, path: Path) -> None:
    """Error of held-out samples in random orientations, and relative equivariance error, against training time."""
    from matplotlib.figure import Figure

    units = TASKS[task].units
    made = Figure(figsize=(4.0 * (len(units) + 1), 3.4), layout="constrained")
    axes = made.subplots(1, len(units) + 1, squeeze=False)[0]
    for number, regime in enumerate(REGIMES):
        cells = of(found, regime)
        if not cells:
            continue
        colour = METHODS[number]
        for axis, name in zip(axes, units, strict=False):
            rows = torch.tensor([cell["curve"]["rmse"][name] for cell in cells], dtype=torch.float64)
            _band(axis, _mean([cell["curve"]["cpu"] for cell in cells]), rows, colour, regime)
        rows = torch.tensor(
            [[max(look) for look in cell["spectra"]["relative"]] for cell in cells], dtype=torch.float64
        )
        _band(axes[-1], _mean([cell["spectra"]["cpu"] for cell in cells]), rows, colour, regime, marker="o")
    for axis, (name, unit) in zip(axes, units.items(), strict=False):
        axis.set_title(f"RMSE of the {name if name != 'output' else 'target'}, random orientations", **_title())
        axis.set_ylabel(unit, fontsize=9)
    axes[-1].set_title("relative equivariance error" + (", largest" if len(units) > 1 else ""), **_title())
    axes[-1].set_ylabel("A / rms of the output", fontsize=9)
    for axis in axes:
        axis.set_yscale("log")
        axis.set_xlabel("CPU time of training (s)", fontsize=9)
        tidy(axis)
    axes[-1].legend(fontsize=8, frameon=False)
    save_figure(made, path)


def spectra(task: str, found: Found, path: Path) -> None:
    """Mean fractions over seeds as heat maps, layers down, irreps across; the target's label is marked."""
    from matplotlib.figure import Figure

    regimes = [regime for regime in REGIMES if of(found, regime)]
    first = of(found, regimes[0])[0]["spectra"]
    labels = [*(f"{a}{'+' if b > 0 else '−'}" for a, b in first["labels"]), "rest"]
    target = [tuple(label) for label in first["labels"]].index(TASKS[task].label)
    made = Figure(figsize=(2.6 * len(regimes) + 1.2, 0.5 * len(first["layers"]) + 2.6), layout="constrained")
    axes = made.subplots(2, len(regimes), squeeze=False, sharex=True, sharey=True)
    image: Any = None
    for column, regime in enumerate(regimes):
        for row, (look, words) in enumerate(((0, "before training"), (-1, "after"))):
            values = [
                [student([fraction(cell, look, k, i) for cell in of(found, regime)])[0] for i in range(len(labels))]
                for k in range(len(first["layers"]))
            ]
            axis = axes[row, column]
            image = axis.imshow(
                torch.tensor(values).clamp(1e-6, 1).log10(), vmin=-4, vmax=0, cmap="magma", aspect="auto"
            )
            axis.set_title(f"{regime}, {words}", **_title())
            axis.set_xticks(range(len(labels)), labels, fontsize=8)
            axis.set_yticks(range(len(first["layers"])), first["layers"], fontsize=8)
            axis.axvline(target - 0.5, color="#59c3ff", lw=1.2)
            axis.axvline(target + 0.5, color="#59c3ff", lw=1.2)
    bar = made.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("log10 of the fraction of E|u|²", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    made.supxlabel("degree l and sign sigma; the column of the target is between blue lines", fontsize=8, color=INK)
    save_figure(made, path)


def _mean(rows: list[list[float]]) -> list[float]:
    mean: list[float] = torch.tensor(rows, dtype=torch.float64).mean(0).tolist()
    return mean


def _band(axis: Any, time: list[float], rows: torch.Tensor, colour: str, label: str, marker: str | None = None) -> None:
    """Geometric mean over seeds, and its 95 % Student interval where there are several."""
    pairs = [student(column.clamp(min=1e-12).log().tolist()) for column in rows.T]
    mean = torch.tensor([pair[0] for pair in pairs])
    half = torch.tensor([pair[1] for pair in pairs])
    axis.plot(time, mean.exp().tolist(), color=colour, lw=1.4, label=label, marker=marker, ms=3)
    if len(rows) > 2:
        axis.fill_between(
            time, (mean - half).exp().tolist(), (mean + half).exp().tolist(), color=colour, alpha=0.18, lw=0
        )
    axis.grid(color=FAINT, alpha=0.25)


def _title() -> dict[str, Any]:
    return {"fontsize": 9, "color": INK, "loc": "left"}
