"""What is looked at, and only when asked for."""

import torch

from pyro_symvi.density import LogDensity
from pyro_symvi.density._importance import WeightedDraws
from pyro_symvi.families import LocationScale
from pyro_symvi.recovery import Verdict, analyze
from pyro_symvi.recovery.evidence.exploration import Exploration
from pyro_symvi.recovery.evidence.surroundings import Surroundings
from pyro_symvi.recovery.subject import Subject, read_subject
from tests.recovery.targets import Function, certify_at, mixture, normal, student_t, vector


def subject(function: Function, *loc: float) -> Subject:
    density = LogDensity.from_callable(function, len(loc))
    held = {"loc": vector(*loc), "scale": torch.eye(len(loc), dtype=torch.float64)}
    return read_subject(LocationScale(len(loc)), (density,), {}, held)


def around(function: Function, *loc: float) -> Surroundings:
    given = subject(function, *loc)
    return Surroundings(given, analyze(given.density), torch.Generator().manual_seed(0), 1024)


def test_the_order_of_looks_changes_nothing() -> None:
    first, second = around(student_t(5.0, 2), 0.1, 0.0), around(student_t(5.0, 2), 0.1, 0.0)
    tails, draws = first.tails, first.draws
    assert isinstance(second.draws, WeightedDraws)
    torch.testing.assert_close(second.draws.z, draws.z, rtol=0, atol=0)
    torch.testing.assert_close(second.tails.of, tails.of, rtol=0, atol=0)


def test_a_concave_log_density_has_one_mode_and_says_so() -> None:
    concave = around(lambda z: (z - 0.5 * z.square() - z.exp()).sum(-1), -0.3)
    assert concave.unimodal and concave.modes == []
    assert any("no other mode exists" in text for text in concave.looked())
    two = around(mixture([0.5, 0.5], [[-3.0], [3.0]], [1.0, 1.0]), 3.0)
    assert not two.unimodal and len(two.modes) == 1
    torch.testing.assert_close(two.modes[0].center, vector(-3.0), atol=1e-3, rtol=0)
    assert any("1 found" in text for text in two.looked())


def test_nothing_is_drawn_where_everything_is_proved() -> None:
    given = subject(normal, 0.0, 0.0)
    found = Exploration(given, torch.Generator().manual_seed(0), 768, 8192)
    found.search(None, want_shape=False)
    assert [t.action.coordinates for t in found.reflections] == [(0, 1)]
    assert found.unit(0, 0.0) == 1.0
    assert "draws" not in found.around.__dict__
    certificate = certify_at(normal, [0.0, 0.0])
    assert certificate["mean"].verdict is Verdict.PROVED
    assert "weighted draws" not in certificate.region
    assert "weighted draws" in certify_at(normal, [1e-3, 0.0]).region  # a gap is measured in posterior sds


def test_a_rough_scale_is_the_smaller_of_two() -> None:
    wide = around(lambda z: -0.5 * (z / 0.1).square().sum(-1), 0.0)
    torch.testing.assert_close(wide.rough_sd, vector(0.1), rtol=1e-6, atol=0)
