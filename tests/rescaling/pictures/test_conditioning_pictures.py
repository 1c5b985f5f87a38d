"""Pictures of a conditioning: what is drawn are the numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from pyro_symvi.rescaling import Conditioning, path_condition, path_weights
from pyro_symvi.rescaling.pictures import draw_scales, draw_spread, plot_conditioning


def conditioned(criterion: str = "path") -> Conditioning:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    return path_condition(model, criterion=criterion)


def heights(result: Conditioning) -> tuple[np.ndarray, np.ndarray]:
    """Heights of the bars ``[2, bins]`` and the edges."""
    axis = Figure().add_subplot()
    draw_spread(axis, result)
    bars = [list(container) for container in axis.containers]
    edges = np.array([b.get_x() for b in bars[0]] + [bars[0][-1].get_x() + bars[0][-1].get_width()])
    return np.array([[b.get_height() for b in row] for row in bars]), edges


def test_histograms_are_those_before_and_after() -> None:
    result = conditioned()
    drawn, edges = heights(result)
    for row, model in zip(drawn, (result.model, result.copy()), strict=True):
        theta = result.group.parameters(model)
        values = path_weights(result.group.traced, theta)
        expected, _ = np.histogram(np.clip(values.log10().numpy(), edges[0], edges[-1]), edges)
        assert np.abs(row - expected).sum() <= 2 and row.sum() == result.group.dim  # a value on an edge may go astray
    result.apply_()
    assert np.abs(heights(result)[0] - drawn).sum() <= 2


def test_scales_are_drawn_at_their_place() -> None:
    result = conditioned()
    axis = Figure().add_subplot()
    draw_scales(axis, result)
    factors = (result.log_scale / 2).exp().numpy()
    dots = np.sort(np.concatenate([np.asarray(c.get_offsets())[:, 0] for c in axis.collections]))
    assert np.allclose(dots, np.sort(factors), rtol=1e-12)
    marks = [line.get_xdata()[0] for line in axis.lines[:2]]
    assert marks == pytest.approx([np.median(factors[:6]), np.median(factors[6:])], rel=1e-12)
    assert [label.get_text() for label in axis.get_yticklabels()] == ["0", "2"]
    assert len(plot_conditioning(path_condition(nn.Linear(2, 1))).axes) == 2  # no unit is free
