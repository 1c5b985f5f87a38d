"""Scores of several methods side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..._figures import FAINT, INK, METHODS, tidy
from ..predictions import Scores


def draw_scores(axis: Any, scores: Mapping[str, Scores], *, baseline: str) -> None:
    """Mean log predictive density of each method minus the baseline's, on the same rows, with two standard errors.

    Right of zero is better than the baseline. The standard error is of the paired difference over the rows held out: it
    does not know of other splits or seeds.

    Raises:
        ValueError: for a baseline that is not among the scores.
    """
    if baseline not in scores:
        raise ValueError(f"expected the baseline among {list(scores)}, got {baseline!r}")
    others = [name for name in scores if name != baseline]
    for row, name in enumerate(others):
        gain, error = scores[name].lppd_difference(scores[baseline])
        bar = 0.0 if math.isnan(error) else 2 * error
        axis.errorbar([gain], [-row], xerr=[bar], fmt="o", ms=5, lw=1.4, color=METHODS[row % len(METHODS)])
    axis.axvline(0, color=INK, lw=0.8, ls=(0, (4, 3)))
    axis.set_yticks([-row for row in range(len(others))], others)
    axis.set_ylim(-len(others) + 0.4, 0.6)
    axis.set_xlabel(f"log predictive density per row, minus that of the {baseline}", fontsize=9)
    axis.set_title(f"Better than the {baseline} to the right of zero", fontsize=10, color=INK, loc="left")
    axis.tick_params(axis="y", length=0)
    tidy(axis)
    axis.spines["left"].set_color(FAINT)
