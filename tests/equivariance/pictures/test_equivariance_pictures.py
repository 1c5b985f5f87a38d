"""What the pictures show are the numbers they were given, and no label lies on another."""

from __future__ import annotations

import itertools
from typing import Any

import numpy
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from pyro_symvi.equivariance import EquivarianceError, LayerSpectrum, Spectrum
from pyro_symvi.equivariance.pictures import plot_epochs, plot_samples, plot_spectrum, plot_training
from pyro_symvi.equivariance.pictures._labels import distinct, drawn, shortened
from pyro_symvi.groups import Orthogonal, Torus

O3 = Orthogonal(3)
LONG = "encoder.blocks.{}.attention.projection_of_values.linear"


def made(layers: int, cutoff: int) -> Spectrum:
    """Fractions that fall by 10 from irrep to irrep, a residual of what is left."""
    irreps = O3.irreps(cutoff)
    labels = tuple(irrep.label for irrep in irreps)
    energies = torch.tensor([0.8 * 0.1**i for i in range(len(labels))], dtype=torch.float64)[:, None, None]
    names = [LONG.format(i) for i in range(layers - 1)] + ["output"]
    found = {name: LayerSpectrum(name, labels, energies, torch.ones(1, 1, dtype=torch.float64)) for name in names}
    return Spectrum(found, O3, labels, tuple(irrep.dimension for irrep in irreps), 2 * cutoff, 1)


def overlaps(figure: Any) -> list[tuple[str, str]]:
    """Pairs of tick labels of one axis whose boxes meet."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    found = []
    for axis in figure.axes:
        for line in (axis.get_xticklabels(), axis.get_yticklabels()):
            boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in line if text.get_text()]
            found += [(a, b) for (a, one), (b, two) in itertools.combinations(boxes, 2) if one.overlaps(two)]
    return found


@pytest.mark.parametrize(("layers", "cutoff"), [(1, 0), (4, 2), (30, 5)])
def test_the_heat_map_shows_the_fractions_and_no_label_lies_on_another(layers: int, cutoff: int) -> None:
    found = made(layers, cutoff)
    figure = plot_spectrum(found, target=((0, 1),))
    shown = numpy.asarray(figure.axes[0].images[0].get_array())
    expected = found.fractions.clamp(min=1e-4).numpy()
    numpy.testing.assert_allclose(shown[:, : expected.shape[1]], expected, rtol=1e-6)
    numpy.testing.assert_allclose(shown[:, -1], found.residuals.clamp(min=1e-4).numpy(), rtol=1e-6)
    assert overlaps(figure) == []
    numbers = [text.get_text() for text in figure.axes[0].texts]
    assert (numbers[0] == "0.8") if layers <= 4 else not numbers
    (frame,) = figure.axes[0].patches
    assert (round(frame.get_x()), round(frame.get_y())) == (0, layers - 1)


def test_the_check_of_labels_sees_an_overlap() -> None:
    figure = plot_spectrum(made(4, 2))
    figure.axes[0].set_xticklabels(["a name much longer than its column"] * 7)
    assert overlaps(figure)


def test_names_are_short_and_told_apart() -> None:
    names = [LONG.format(i) for i in (1, 2)]
    assert all(len(shortened(name)) <= 26 for name in names) and shortened("head") == "head"
    assert len(set(distinct(names))) == 2 and distinct(["a", "b"]) == ["a", "b"]
    assert [drawn(label) for label in ((1, -1), 3, "T1u", (0, 2))] == ["1,−1", "3", "T1u", "0,2"]
    assert [drawn((1, sigma), group) for group in (O3, Torus(2)) for sigma in (1, -1)] == ["1+", "1−", "1,1", "1,−1"]


def test_errors_against_time_with_the_floor() -> None:
    figure = plot_training([0, 1, 2], {"augmented": [1.0, 0.1, 0.0]}, floor=1e-3)
    (axis,) = figure.axes
    assert axis.get_lines()[0].get_ydata() == pytest.approx([1.0, 0.1, 1e-3]) and axis.get_yscale() == "log"
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["augmented", "rounding"]
    assert axis.patches[0].get_y() + axis.patches[0].get_height() == pytest.approx(1e-3)
    with pytest.raises(ValueError, match="expected 2 errors of 'a'"):
        plot_training([0, 1], {"a": [1.0]})
    with pytest.raises(ValueError, match="got none"):
        plot_training([0, 1], {})


def test_stacked_fractions_by_epoch() -> None:
    labels = [irrep.label for irrep in O3.irreps(4)]
    fractions = torch.full((3, 10), 0.02)
    fractions[:, 2] = torch.tensor([0.1, 0.5, 0.8])
    axis = plot_epochs([0, 5, 10], fractions, labels, target=((1, 1),), group=O3).axes[0]
    target = axis.collections[0].get_paths()[0].vertices[:, 1]
    assert target.max() == pytest.approx(0.8, abs=1e-6)
    texts = [text.get_text() for text in axis.get_legend().get_texts()]
    assert texts[-1] == "1+ (target)" and texts[:2] == ["residual", "other irreps"] and len(texts) == 9
    with pytest.raises(ValueError, match=r"shape \[2, 10\]"):
        plot_epochs([0, 1], fractions, labels)


def test_the_distribution_over_samples() -> None:
    squared = torch.tensor([1e-4, 4e-4, 1.0, 0.0], dtype=torch.float64)
    ones = torch.ones(4, dtype=torch.float64)
    error = EquivarianceError(squared, ones, ones, 1, ones, 1e-6, 24)
    axis = plot_samples(error).axes[0]
    points = axis.get_lines()[1]
    assert points.get_xdata()[1:] == pytest.approx([0.01, 0.02, 1.0])
    assert points.get_ydata() == pytest.approx([1.0, 0.75, 0.5, 0.25])
    assert axis.get_legend().get_texts()[-1].get_text() == f"pooled A = {error.A:.2g}"
