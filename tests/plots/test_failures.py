"""Pictures of failures: what is marked is what was computed."""

from typing import Any

import pytest

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
