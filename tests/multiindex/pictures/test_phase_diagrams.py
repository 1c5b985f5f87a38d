"""Phase diagrams: the curves are the numbers, and names of regions lie in their regions, clear of the curves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from pyro_symvi.multiindex import plot_phase_diagram
from pyro_symvi.multiindex.pictures import draw_committee, draw_single_index, save_figure
from pyro_symvi.multiindex.pictures._regions import roomiest


@dataclass
class Single:
    """Thresholds of one unit, as the picture reads them."""

    snr: float
    spinodal: float | None
    information: float | None
    algorithmic: float | None
    asymptotes: dict[str, float] = field(default_factory=dict)
    large_overlap: float | None = None


@dataclass
class Committee:
    """Thresholds of several units, as the picture reads them."""

    units: int
    information: float | None
    algorithmic: float | None
    noise: float = 0.5
    asymptotes: dict[str, float] = field(default_factory=dict)


SNRS = np.geomspace(0.03, 10, 8)
GAP = [Single(s, 1 / s, 2 / s, 2 / s + 1 / s**2, {"weak_recovery": 1 / s**2}) for s in SNRS]
FLAT = [Single(s, 2 / s, 2 / s, 2 / s, {"weak_recovery": 2 / s}) for s in SNRS]


def drawn(rows: Any, draw: Any = draw_single_index) -> Any:
    axis = Figure(figsize=(5, 4)).add_subplot()
    draw(axis, rows)
    return axis


def labels(axis: Any) -> dict[str, tuple[float, float]]:
    """Names of regions and their places in data coordinates."""
    found = {}
    for text in axis.texts:
        x, y = axis.transData.inverted().transform(axis.transAxes.transform(text.get_position()))
        found[text.get_text().split("\n")[0]] = (float(x), float(y))
    return found


def test_curves_are_the_numbers_in_order_of_noise() -> None:
    axis = drawn(GAP[::-1])
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in axis.lines}
    assert np.allclose(lines["spinodal"], 1 / SNRS) and np.allclose(lines["information-theoretic"], 2 / SNRS)
    assert np.allclose(lines["algorithmic"], 2 / SNRS + 1 / SNRS**2)
    assert np.allclose(lines["algorithmic, asymptote"], 1 / SNRS**2)
    assert axis.get_xscale() == axis.get_yscale() == "log" and axis.get_ylabel().endswith("n/d")


def test_names_lie_in_their_regions() -> None:
    places = labels(drawn(GAP))
    assert set(places) == {"impossible", "hard", "easy"}
    for name, (x, y) in places.items():
        information, algorithmic = 2 / x, 2 / x + 1 / x**2
        assert {"impossible": y < information, "hard": information < y < algorithmic, "easy": y > algorithmic}[name]
    assert set(labels(drawn(FLAT))) == {"impossible", "easy"}  # without a gap nothing is hard
    assert not any("hard" in str(h) for h in drawn(FLAT).get_legend_handles_labels()[1])


def test_names_keep_clear_of_curves() -> None:
    axis = drawn(GAP)
    axis.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axis.texts]
    for line in axis.lines:
        x, y = np.asarray(line.get_data(), dtype=float)
        fine = np.geomspace(x[0], x[-1], 400)
        path = axis.transData.transform(np.c_[fine, np.exp(np.interp(np.log(fine), np.log(x), np.log(y)))])
        for box in boxes:
            inside = (box.x0 < path[:, 0]) & (path[:, 0] < box.x1) & (box.y0 < path[:, 1]) & (path[:, 1] < box.y1)
            assert not inside.any()
    outer = axis.get_window_extent()
    assert all(outer.x0 < b.x0 and b.x1 < outer.x1 and outer.y0 < b.y0 and b.y1 < outer.y1 for b in boxes)


def test_a_box_that_does_not_fit_is_refused() -> None:
    axis = Figure().add_subplot()
    axis.set(xscale="log", yscale="log", xlim=(1, 10), ylim=(1, 100))
    x, low, high = np.array([1.0, 10.0]), np.array([10.0, 10.0]), np.array([10**1.2, 10**1.2])  # a tenth of the axis
    assert roomiest(axis, x, low, high, [], 0.3, 0.11) is None
    place = roomiest(axis, x, low, high, [], 0.3, 0.09)
    assert place is not None and place[1] == pytest.approx(0.55)
    assert roomiest(axis, x, low, high, [np.array([12.6, 12.6])], 0.3, 0.06) is None  # a curve in the middle
    assert roomiest(axis, x, np.full(2, np.nan), high, [], 0.3, 0.06) is None


def test_unknown_and_zero_thresholds_leave_gaps() -> None:
    none = drawn([Single(s, 0.0, 0.0, 0.0) for s in SNRS])
    assert not none.lines and "no threshold" in none.texts[0].get_text()
    rows = [Committee(p, float(p), None if p == 1 else 2.0 * p**2) for p in (1, 2, 4, 8, 16)]
    axis = drawn(rows, draw_committee)
    values = {line.get_label(): np.asarray(line.get_ydata()) for line in axis.lines}
    assert np.isnan(values["algorithmic"]).tolist() == [True, False, False, False, False]
    assert [t.get_text() for t in axis.get_xticklabels()] == ["1", "2", "4", "8", "16"]


def test_curves_that_coincide_are_drawn_once_and_estimates_are_called_so() -> None:
    rows = [Single(s, 2 / s, 2 / s, 2 / s, large_overlap=(2 if s < 1 else 4) / s) for s in SNRS]
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in drawn(rows).lines}
    assert set(lines) == {"information-theoretic", "algorithmic", "algorithmic, large overlap"}
    assert np.isfinite(lines["algorithmic, large overlap"]).sum() == (SNRS >= 1).sum() + 1
    axis = drawn(
        [Committee(p, 0.0 if p == 1 else 2.0 * p, 0.0 if p == 1 else 3.0 * p) for p in (1, 2, 4)], draw_committee
    )
    assert axis.get_xlim() == (2, 4) and axis.lines[0].get_label() == "information-theoretic, estimate"
    assert "impossible\n(estimate)" in [text.get_text() for text in axis.texts]


def test_the_whole_figure(tmp_path: Any) -> None:
    figure = plot_phase_diagram("b4", snrs=[0.1, 1.0], units=[2, 8], noise=0.5)
    (committee,) = [line for line in figure.axes[1].lines if line.get_label() == "algorithmic"]
    assert np.asarray(committee.get_ydata()) == pytest.approx([4.886, 88.29], abs=6e-3)  # another program's numbers
    (single,) = [line for line in figure.axes[0].lines if line.get_label() == "algorithmic"]
    assert np.asarray(single.get_ydata())[-1] == pytest.approx(1.9195, abs=1e-3)
    assert save_figure(figure, tmp_path / "b4.png").stat().st_size > 10_000
    with pytest.raises(ValueError, match="expected units with at least two values"):
        plot_phase_diagram("b4", units=[2])
