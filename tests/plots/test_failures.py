"""Pictures of failures: what is marked is what was computed."""

from typing import Any

import numpy as np
import pytest
import torch

from pyro_symvi.plots import plot_failure
from pyro_symvi.recovery.failures import FAILURES


def labels(axis: Any) -> set[str]:
    return set(axis.get_legend_handles_labels()[1])


def test_the_optima_and_the_centre_are_marked_where_they_are() -> None:
    failure = FAILURES["uniform in uniform"]
    _, right = plot_failure(failure, nodes=9).axes
    marks = {line.get_label(): line for line in right.lines}
    assert sorted(marks["optimum"].get_xdata()) == [-4.0, 0.0, 4.0]
    assert marks["optimum"].get_ydata() == pytest.approx([1.609438] * 3, abs=1e-6)
    assert list(marks["best guide at the centre"].get_xdata()) == [0.0]
    assert "infinite" in labels(right)


def test_densities_have_mass_one_and_lines_are_where_they_say() -> None:
    """The best symmetric guide is dashed where it is no optimum; green is the mean, not the centre of anything else."""
    failure = FAILURES["two modes"]
    left, _ = plot_failure(failure, nodes=3).axes
    (filled,) = left.collections
    outline = filled.get_paths()[0].vertices
    upper = outline[outline[:, 1] > 0]
    upper = upper[np.argsort(upper[:, 0])]
    assert np.trapezoid(upper[:, 1], upper[:, 0]) == pytest.approx(1.0, abs=0.02)
    lines = {line.get_label(): line for line in left.lines}
    assert list(lines["mean of the target"].get_xdata()) == pytest.approx([0.0, 0.0], abs=1e-9)
    guide, dashed = lines["guide at an optimum"], lines["best guide at the centre"]
    assert abs(guide.get_xdata()[np.argmax(guide.get_ydata())]) == pytest.approx(2.98431, abs=0.02)
    assert dashed.get_linestyle() == "--" and abs(dashed.get_xdata()[np.argmax(dashed.get_ydata())]) < 0.02
    flat, _ = plot_failure(FAILURES["uniform in uniform"], nodes=3).axes
    assert "best guide at the centre" not in labels(flat)  # it is one of the optima
    skewed = FAILURES["a skewed target"]
    left, _ = plot_failure(skewed, nodes=3).axes
    mean = next(line for line in left.lines if line.get_label() == "mean of the target")
    assert mean.get_xdata()[0] == pytest.approx(float(skewed.mean[0]))


def test_contours_of_a_plane_are_not_transposed() -> None:
    failure = FAILURES["a crescent"]
    left, _ = plot_failure(failure, nodes=3).axes
    filled = next(c for c in left.collections if len(getattr(c, "levels", ())) == 4)
    at = torch.from_numpy(filled.get_paths()[-1].vertices)
    values = failure.log_p(at)
    assert float(values.min()) > float(filled.levels[-2]) - 0.1  # all of the innermost patch is as dense as it says


def test_planes_spheres_and_what_has_no_optimum() -> None:
    figure = plot_failure(FAILURES["correlation of a diagonal guide"], nodes=3)
    assert "correlation 0.9, and the guide says 0" in figure._suptitle.get_text()
    assert {"target", "optimum", "mean of the target"} <= labels(figure.axes[0])
    left, right = plot_failure(FAILURES["an antipodal pair"], nodes=3).axes
    assert "uniform guide" in labels(left) and "mean direction" not in labels(left)
    left, right = plot_failure(FAILURES["a Cauchy target"], nodes=3).axes
    assert labels(left) == {"target", "a guide"} and labels(right) == set()


def test_only_failures_are_drawn() -> None:
    with pytest.raises(TypeError, match="expected a failure"):
        plot_failure("two modes")  # type: ignore[arg-type]
