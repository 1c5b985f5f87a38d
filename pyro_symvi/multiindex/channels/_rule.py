"""Quadrature rules of a channel: panels in z on which its mean moves little, and panels in y."""

from __future__ import annotations

import math

import numpy
import torch
from torch import Tensor

from .._legendre import legendre, legendre_numbers
from ..links import Link

REACH, CARE = 8.5, 7.0
"""Panels in z cover [-8.5, 8.5] (the normal law leaves 2e-17 outside) and follow the link up to 7 (3e-12 outside)."""
ORDER = 12
"""Gauss-Legendre nodes a panel."""
WIDTH = 0.5
"""The widest panel in z."""
MARGIN = 9.0
"""Outputs lie within this many standard deviations of noise of a mean."""
MOST_PANELS = 20_000
RISE = 6.0
"""The mean moves by at most so many standard deviations of noise within a panel."""
NARROW = 0.005
"""Below this conditional variance the index is integrated on nodes of its own instead of those of the channel."""
_GROWTH, _FLAT = 0.05, 3.0
_SMALLEST = 1e-4
_SAME = 1e-4


def panel_rule(edges: Tensor, order: int = ORDER) -> tuple[Tensor, Tensor]:
    """Nodes and Lebesgue weights between consecutive edges: ``[..., E] -> [..., (E - 1) order]``."""
    nodes, weights = legendre(order)
    nodes, weights = nodes.to(edges.device), weights.to(edges.device)
    half = 0.5 * (edges[..., 1:] - edges[..., :-1])[..., None]
    middle = 0.5 * (edges[..., 1:] + edges[..., :-1])[..., None]
    return (middle + half * nodes).flatten(-2), (half * weights).flatten(-2)


def input_edges(link: Link, slope: float, finer: int) -> Tensor:
    """Edges of panels in z: kinks and jumps are edges, slope * sigma moves by at most 6 within a panel, and its values
    at the nodes of the link follow from those at the nodes of the panel (spikes that the link has seen are resolved).

    Args:
        link: The link function.
        slope: Square root of the signal to noise ratio.
        finer: Each step of it halves both limits.

    Raises:
        ValueError: where that takes more than 20,000 panels.
    """
    scale = 0.5**finer
    base = torch.linspace(-REACH, REACH, round(2 * REACH / (WIDTH * scale)) + 1, dtype=torch.float64)
    inner = [b for b in link.breaks if abs(b) < REACH]
    edges = torch.unique(torch.cat([base, torch.tensor(inner, dtype=torch.float64)]))
    left, right = edges[:-1], edges[1:]
    kept = []
    while len(left):
        nodes, _ = panel_rule(torch.stack([left, right], -1))
        means = slope * link(nodes)
        rise = means.amax(-1) - means.amin(-1)
        outside = torch.minimum(left.abs(), right.abs()) >= CARE
        seen = _off(link, left, right, means / slope) * max(slope, 1.0) <= _SAME
        settled = ((rise <= RISE * scale) & seen) | (right - left < _SMALLEST) | outside
        kept.append(left[settled])
        middle = 0.5 * (left + right)
        left, right = torch.cat([left[~settled], middle[~settled]]), torch.cat([middle[~settled], right[~settled]])
        if sum(map(len, kept)) + len(left) > MOST_PANELS:
            raise ValueError(
                f"expected a channel that {MOST_PANELS} panels resolve, got {link.name} at a signal to noise ratio of "
                f"{slope**2:.4g}, because its mean moves too far; try a smaller ratio or a bounded activation"
            )
    return torch.cat([*kept, torch.tensor([REACH], dtype=torch.float64)]).sort().values


def _off(link: Link, left: Tensor, right: Tensor, values: Tensor) -> Tensor:
    """Largest difference in each panel of sigma at the nodes of the link and the polynomial through ``values``."""
    order = left.argsort()
    place = torch.searchsorted(left[order], link.nodes, right=True).clamp_min(1) - 1
    panel = order[place]
    inside = (link.nodes >= left[panel]) & (link.nodes <= right[panel])
    panel, nodes = panel[inside], link.nodes[inside]
    x = (2 * nodes - left[panel] - right[panel]) / (right[panel] - left[panel])
    at, weights = legendre_numbers(ORDER)
    vander = numpy.polynomial.legendre.legvander
    transform = torch.from_numpy((weights[:, None] * vander(at, ORDER - 1)) * (numpy.arange(ORDER) + 0.5))
    through = ((values @ transform)[panel] * torch.from_numpy(vander(x.numpy(), ORDER - 1))).sum(-1)
    gap = (through - link.values[inside]).abs()
    found = numpy.zeros(len(left))
    numpy.maximum.at(found, panel.numpy(), gap.numpy())
    return torch.from_numpy(found)


def output_edges(nodes: Tensor, means: Tensor, finer: int) -> Tensor:
    """Edges of panels in y from 9 below the least mean to 9 above the largest.

    Panels are one standard deviation of noise wide near the ends, jumps, turning points and flat stretches of the mean
    (where the density of outputs bends at that scale), and grow with the distance to these, by 5 %, since there it is
    smooth.

    Args:
        nodes, means: Increasing z and the channel means there, ``[m]``.
        finer: Each step of it halves the panels.
    """
    near = nodes.abs() < CARE
    inner = means[near]
    steps = inner.diff()
    jumps = steps.abs() > RISE
    flat = steps.abs() < _FLAT * nodes[near].diff()
    turns = [inner[1:-1][steps[1:] * steps[:-1] <= 0], inner[:-1][jumps], inner[1:][jumps], inner[:-1][flat]]
    ends = torch.stack([means.min(), means.max()])
    special = torch.unique((torch.cat([*turns, ends]) * 4).round() / 4).numpy()
    low, high = float(ends[0]) - MARGIN, float(ends[1]) + MARGIN
    edges = [low]
    while edges[-1] < high:
        at = edges[-1]
        after = numpy.searchsorted(special, at)
        distance = min(
            at - special[after - 1] if after > 0 else math.inf,
            max(special[after] - at, 0.0) if after < len(special) else math.inf,
        )
        edges.append(at + max(1.0, _GROWTH * (distance - MARGIN)))
    refined = torch.tensor(edges, dtype=torch.float64)
    for _ in range(finer):
        refined = torch.cat([refined, 0.5 * (refined[1:] + refined[:-1])]).sort().values
    return refined
