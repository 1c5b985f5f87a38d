"""The identities unit by unit, and the law along orbits."""

from __future__ import annotations

from typing import Any

import torch
from scipy import stats

from ..._figures import FAINT, INK, METHODS, REFERENCE, tidy
from ..identities import Balancedness, Equipartition, OrbitLaw

#: More lines than this are not told apart by colour.
MOST_LINES = 5


def draw_balancedness(axis: Any, result: Balancedness) -> None:
    """E[a_j - k b_j] minus its exact value for each hidden unit, with intervals of two standard errors.

    Of correct draws about one unit in twenty misses zero by more than its bar.
    """
    start, ticks = 0, []
    for number, layer in enumerate(result.layers):
        test = layer.units["mean"]
        units = torch.arange(start, start + len(test.mean))
        axis.errorbar(
            units.tolist(),
            test.mean.tolist(),
            yerr=(2 * test.error).tolist(),
            fmt="o",
            ms=3,
            lw=0.8,
            color=METHODS[number % len(METHODS)],
        )
        ticks.append((start + (len(units) - 1) / 2, layer.layer.name.removesuffix(".weight")))
        start += len(units) + 1
    axis.axhline(0, color=INK, lw=0.8, ls=(0, (4, 3)))
    if len(ticks) <= 3:
        axis.set_xticks([at for at, _ in ticks], [f"units of layer {name}" for _, name in ticks])
    else:
        axis.set_xticks([at for at, _ in ticks], [name for _, name in ticks])
        longest = max(len(name) for _, name in ticks)
        axis.tick_params(axis="x", labelrotation=90 if longest * len(ticks) > 60 else 0)
        axis.set_xlabel("units of layer", fontsize=9)
    axis.set_ylabel("E[a - b] minus its exact value", fontsize=9)
    axis.set_title(f"Balancedness: {result.verdict}", fontsize=10, color=INK, loc="left")
    tidy(axis)


def draw_orbit_law(axis: Any, result: OrbitLaw, *, bins: int = 20) -> None:
    """Histogram of each layer's probability integral transform along the orbits; flat where the draws are right.

    The band holds 95 % of the bars if the law is right, for as many independent draws as the thinned ones are.
    """
    edges = torch.linspace(0, 1, bins + 1).tolist()
    fewest = min(max(1, torch.isfinite(layer.pit).sum().item() // layer.thin) for layer in result.layers)
    low, high = (float(stats.binom.ppf(p, fewest, 1 / bins)) * bins / fewest for p in (0.025, 0.975))
    axis.axhspan(low, high, color=REFERENCE, alpha=0.35, lw=0, label="95 % of bars if right")
    many = len(result.layers) > MOST_LINES
    for number, layer in enumerate(result.layers):
        label = f"layer {layer.layer.name.removesuffix('.weight')}"
        if many:
            label = "" if number else f"{len(result.layers)} layers"
        axis.stairs(
            layer.histogram(bins).tolist(),
            edges,
            color=METHODS[0 if many else number],
            lw=0.7 if many else 1.4,
            label=label,
        )
    axis.axhline(1, color=INK, lw=0.8, ls=(0, (4, 3)))
    axis.set_ylim(0, max(2.0, 1.15 * max(float(layer.histogram(bins).max()) for layer in result.layers)))
    axis.set_xlabel("probability integral transform along the orbit", fontsize=9)
    axis.set_ylabel("density", fontsize=9)
    axis.set_title(f"Law along orbits: {result.verdict}", fontsize=10, color=INK, loc="left")
    axis.legend(fontsize=8, frameon=False)
    axis.tick_params(color=FAINT)
    tidy(axis)


def draw_temperatures(axis: Any, result: Equipartition) -> None:
    """The temperature of each parameter tensor with intervals of two standard errors; 1 where the draws are right."""
    names = list(result.blocks)
    for row, test in enumerate(result.blocks.values()):
        axis.errorbar(
            [1 - float(test.mean)], [-row], xerr=[2 * float(test.error)], fmt="o", ms=4, lw=1.2, color=METHODS[0]
        )
    axis.axvline(1, color=INK, lw=0.8, ls=(0, (4, 3)))
    axis.set_yticks([-row for row in range(len(names))], names)
    axis.set_xlabel("temperature (1 where the draws are right)", fontsize=9)
    axis.set_title(f"Equipartition: {result.verdict}", fontsize=10, color=INK, loc="left")
    tidy(axis)
    axis.tick_params(axis="y", labelsize=min(8.0, max(3.0, 100 / len(names))))
