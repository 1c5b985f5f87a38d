"""A guide against reference draws: marginals, means with their standard errors, pairs, verdicts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..families import LocationScale
from ..families.marginals import marginal_cdf, marginal_quantile
from ..infer.fitting.posterior_draws import read_draws
from ..recovery import Certificate
from ..recovery.subject import Subject, mixing_of, read_subject
from ._style import PALETTE, VERDICT_COLOURS, style

_MOST = 4
_DOTS = 800
_HELD = (0.5, 0.95)
_MARKERS = {"PROVED": "D", "VERIFIED": "s", "BOUNDED": "o", "CONDITIONAL": "^", "UNKNOWN": "v", "REFUTED": "X"}


def plot_against_reference(
    fitted: Any,
    reference: Mapping[str, Any] | torch.Tensor | np.ndarray,
    *args: Any,
    coordinates: Sequence[str | int] | None = None,
    certificate: Certificate | None = None,
    labels: Mapping[str, str] | None = None,
    parameters: Mapping[str, torch.Tensor] | None = None,
    **kwargs: Any,
) -> Any:
    """Draw a guide's marginals and pairs over draws of the posterior that were made otherwise, long MCMC for one.

    On the diagonal: the draws (pale histogram), the guide's marginal (dark line), below them the mean of the draws with
    two standard errors each way (autocorrelation counted) and the guide's location, whose marker and colour are the
    verdict's; in the title the verdict, and the gap of the two means in standard deviations of the draws. Off the
    diagonal: draws as dots, and the two ellipses of the guide's scatter that hold 50 % and 95 % of it.

    Args:
        fitted: A fit, a guide (``args`` and ``kwargs`` are then its model's arguments), or a family with a
            `LogDensity` in ``args`` and ``parameters``: what `certify` takes.
        reference: ``{site: [n, ...] or [chains, n, ...]}`` on the model's scale, or unconstrained ``[n, d]`` or
            ``[chains, n, d]``.
        coordinates: Names or indices of unconstrained coordinates; by default the first four.
        certificate: Of this guide, with means; its verdicts are shown.
        labels: Axis labels with units, by coordinate name.
        parameters: Of a family.

    Returns:
        A matplotlib figure (not shown; ``figure.savefig(path)`` writes it).

    Raises:
        TypeError: What `certify` would refuse; draws that are neither a mapping nor an array.
        ValueError: Draws that do not fit the sites, unknown coordinates, a certificate without means or of another
            size.
    """
    from matplotlib.figure import Figure

    subject = read_subject(fitted, args, kwargs, parameters)
    given = torch.as_tensor(reference) if isinstance(reference, np.ndarray) else reference
    given = {k: torch.as_tensor(v) for k, v in given.items()} if isinstance(given, Mapping) else given
    draws = read_draws(subject.density, given)
    chosen = _chosen(subject, coordinates)
    verdicts = _verdicts(subject, certificate)
    names = [(labels or {}).get(subject.density.coordinates[i], subject.density.coordinates[i]) for i in chosen]
    count = len(chosen)
    with style():
        figure = Figure(figsize=(3.6, 3.2) if count == 1 else (2.6 * count, 2.5 * count), layout="constrained")
        grid = figure.subplots(count, count, squeeze=False, sharex="col")
        for row, i in enumerate(chosen):
            for column, j in enumerate(chosen):
                axes = grid[row, column]
                if column > row:
                    axes.remove()
                elif column == row:
                    _draw_marginal(axes, subject, draws[..., i], i, verdicts[i])
                else:
                    _draw_pair(axes, subject, draws, j, i)
                if row == count - 1:
                    axes.set_xlabel(names[column])
                if column == 0 and row > 0:
                    axes.set_ylabel(names[row])
        handles = _legend(bool(certificate), count > 1)
        figure.legend(
            handles=handles, loc="outside lower center", ncols=1 if count == 1 else 2 if count < 4 else 4, fontsize=8
        )
    return figure


def _chosen(subject: Subject, coordinates: Sequence[str | int] | None) -> list[int]:
    known = list(subject.density.coordinates)
    if coordinates is None:
        return list(range(min(_MOST, len(known))))
    if isinstance(coordinates, str) or not len(coordinates):
        raise ValueError(
            f"expected a list of coordinates, got {coordinates!r}, because each has a panel; try {known[:2]}"
        )
    out = []
    for c in coordinates:
        index = known.index(c) if c in known else c
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(known):
            raise ValueError(
                f"expected coordinates among {known}, got {c!r}, because these are the flat unconstrained ones; try "
                "those names, or indices"
            )
        out.append(index)
    return out


def _verdicts(subject: Subject, certificate: Certificate | None) -> list[str | None]:
    if certificate is None:
        return [None] * subject.density.dim
    if "mean" not in certificate.statistics or len(certificate["mean"].entries) != subject.density.dim:
        raise ValueError(
            f"expected a certificate with the means of {subject.density.dim} coordinates, got one of "
            f"{list(certificate.statistics)}, because verdicts of means are shown; try certify(fit)"
        )
    return [entry.verdict.name for entry in certificate["mean"].entries]


def _draw_marginal(axes: Any, subject: Subject, draws: torch.Tensor, index: int, verdict: str | None) -> None:
    """Histogram and guide; the two means on the axis."""
    values = draws.reshape(-1).numpy()
    mean, sd = float(values.mean()), float(values.std())
    effective, _ = mixing_of(draws[..., None])
    error = sd / math.sqrt(float(effective[0]))
    loc, row = float(subject.loc[index]), subject.root[index].numpy()
    law = (subject.family or LocationScale(subject.density.dim)).law
    low, high = np.quantile(values, [0.001, 0.999])
    far = marginal_quantile(law, row, np.array([0.99]))[0]
    low, high = min(low, loc - far), max(high, loc + far)
    heights, _, _ = axes.hist(values, bins=np.linspace(low, high, 49), density=True, color=PALETTE["target"])
    wide = float(np.abs(row).max())
    x = np.unique(np.concatenate([np.linspace(low, high, 241), loc + wide * np.linspace(-4, 4, 161)]))
    x = x[(x >= low) & (x <= high)]
    step = 1e-3 * wide
    line = (marginal_cdf(law, row, x - loc + step) - marginal_cdf(law, row, x - loc - step)) / (2 * step)
    axes.plot(x, line, color=PALETTE["guide"], lw=1.8)
    top = max(float(np.max(heights)), float(line.max()))
    axes.errorbar(
        [mean], [-0.07 * top], xerr=[2 * error], fmt="|", color="black", ms=9, mew=1.6, capsize=3, lw=1.4, zorder=4
    )
    ink = PALETTE["guide"] if verdict is None else VERDICT_COLOURS[verdict]
    marker = "D" if verdict is None else _MARKERS[verdict]
    axes.plot([loc], [-0.17 * top], marker, color=ink, ms=7, mec="white", zorder=5)
    axes.set_ylim(-0.24 * top, 1.06 * top)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    gap = f"gap {(loc - mean) / sd:+.3f} ± {2 * error / sd:.3f} sd"
    axes.set_title(gap if verdict is None else f"{verdict}\n{gap}", color=ink, fontsize=9.5, loc="center")


def _draw_pair(axes: Any, subject: Subject, draws: torch.Tensor, j: int, i: int) -> None:
    """Reference draws as dots, ellipses of the guide."""
    flat = draws.reshape(-1, subject.density.dim)
    flat = flat[:: max(1, len(flat) // _DOTS)]
    axes.plot(flat[:, j].numpy(), flat[:, i].numpy(), ".", color=PALETTE["target"], ms=2.5, zorder=1)
    block = subject.root[[j, i]]
    root = torch.linalg.cholesky(block @ block.mT)
    angle = torch.linspace(0, 2 * math.pi, 181, dtype=torch.float64)
    circle = torch.stack([angle.cos(), angle.sin()])
    for radius, line in zip(_radii(subject, block, root), ("-", "--"), strict=True):
        x = subject.loc[[j, i], None] + radius * root @ circle
        axes.plot(*x.numpy(), color=PALETTE["guide"], lw=1.5, ls=line, zorder=3)
    axes.plot(
        [float(subject.loc[j])], [float(subject.loc[i])], "D", color=PALETTE["guide"], ms=5, mec="white", zorder=4
    )
    axes.plot([float(flat[:, j].mean())], [float(flat[:, i].mean())], "+", color="black", ms=10, mew=1.6, zorder=4)


def _radii(subject: Subject, block: torch.Tensor, root: torch.Tensor) -> list[float]:
    """Distances, in the guide's scatter, within which 50 % and 95 % of the pair lie."""
    family = subject.family
    if family is None or family.law.name == "normal":
        return [math.sqrt(-2 * math.log1p(-p)) for p in _HELD]
    base = family.base_distribution(subject.loc, dict(subject.parameters or {}))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        noise = base.sample((20_000,)).double()
    far = torch.linalg.solve_triangular(root, (noise @ block.mT).mT, upper=False).norm(dim=0)
    return [float(far.quantile(p)) for p in _HELD]


def _legend(certified: bool, pairs: bool) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    where = "its location (the verdict's colour)" if certified else "its location"
    handles = [
        Patch(color=PALETTE["target"], label="reference draws"),
        Line2D([], [], color="black", marker="|", ms=9, mew=1.6, lw=1.4, label="their mean, two standard errors"),
        Line2D([], [], color=PALETTE["guide"], lw=1.8, label="guide" + (" (ellipses: 50 %, 95 %)" if pairs else "")),
        Line2D([], [], color=PALETTE["ink"], marker="D", ls="", ms=6, label=where),
    ]
    return handles
