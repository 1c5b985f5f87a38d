"""How much of images changes its sign when they are flipped: why that does not find symmetric objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..._figures import INK, METHODS, tidy


def draw_flip_energy(energies: Mapping[str, Tensor], *, heading: str = "") -> Any:
    """The flip-odd share of the energy of images by group, a dot an image, a bar at the median.

    0 is an image that equals its mirror image, 1/2 what independent halves give on average, 1 an image that is minus
    its mirror image.

    Args:
        energies: for each name values ``[N]`` in [0, 1].
        heading: above.

    Returns:
        A matplotlib figure (not shown; ``save_figure(figure, path)`` writes it).

    Raises:
        ValueError: for no groups, other shapes, or values out of range.
    """
    from matplotlib.figure import Figure

    if not energies:
        raise ValueError("expected at least one group of energies, got none")
    figure = Figure(figsize=(5.2, 0.55 * len(energies) + 0.95 + (0.3 if heading else 0)), layout="constrained")
    axis = figure.subplots()
    for k, (name, values) in enumerate(energies.items()):
        values = values.detach().double().cpu()
        if values.ndim != 1 or not len(values) or not bool(((values >= 0) & (values <= 1)).all()):
            raise ValueError(f"expected energies [N] in [0, 1] for {name!r}, got {list(values.shape)}")
        spread = 0.56 * ((torch.arange(len(values)) * 0.618034 + 0.5) % 1 - 0.5)  # even, and the same each time
        order = values.argsort()
        axis.scatter(
            values[order],
            k + spread,
            s=9 if len(values) > 1 else 30,
            color=METHODS[k % len(METHODS)],
            alpha=0.5,
            linewidths=0,
        )
        middle = float(values.quantile(0.5))
        axis.plot([middle, middle], [k - 0.36, k + 0.36], color=INK, linewidth=1.6)
        axis.text(middle, k - 0.38, f"{middle:.2f}", ha="center", va="bottom", fontsize=8, color=INK)
    axis.set_yticks(range(len(energies)), [f"{name} ({len(v)})" for name, v in energies.items()])
    axis.set_ylim(len(energies) - 0.45, -0.75)
    axis.set_xlim(0, None)
    axis.set_xlabel("share of the energy that is odd under a flip, mean removed", fontsize=8, color=INK)
    tidy(axis)
    axis.tick_params(axis="y", labelcolor=INK)
    axis.axvline(0.5, color="#dddddd", linewidth=0.8, zorder=0)
    if heading:
        figure.suptitle(heading, fontsize=9, color=INK)
    return figure
