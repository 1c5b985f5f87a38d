"""Pictures of failures: what is marked is what was computed."""

import pytest

from pyro_symvi.plots import plot_failure
from pyro_symvi.recovery.failures import FAILURES


def test_the_optima_and_the_centre_are_marked_where_they_are() -> None:
    failure = FAILURES["uniform in uniform"]
    _, right = plot_failure(failure, nodes=9).axes
    marks = {line.get_label(): line for line in right.lines}
    assert sorted(marks["optimum"].get_xdata()) == [-4.0, 0.0, 4.0]
    assert marks["optimum"].get_ydata() == pytest.approx([1.609438] * 3, abs=1e-6)
    assert list(marks["centre of symmetry"].get_xdata()) == [0.0]
    assert "infinite" in {patch.get_label() for patch in right.collections}


def test_only_failures_are_drawn() -> None:
    with pytest.raises(TypeError, match="expected a failure"):
        plot_failure("two modes")  # type: ignore[arg-type]
