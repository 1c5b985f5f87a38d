"""Advice on what to fit: facts read from a model, ranked guides, and no infinite divergence among them."""

import math
from dataclasses import replace

import pytest
import torch

import pyro_symvi as symvi
from pyro_symvi.density import LogDensity
from pyro_symvi.divergences import ForwardKL, Hellinger, ReverseKL
from pyro_symvi.families import LocationScale
from pyro_symvi.groups import AxisFlips, ConditionalReflection, CoordinatePermutation, PointReflection
from pyro_symvi.recovery import Evidence, Verdict, advise, analyze
from pyro_symvi.recovery.theorems import Growth, Setting, guarantees
from pyro_symvi.recovery.theorems.advise import given_symmetry
from pyro_symvi.recovery.theorems.facts_from_analysis import target_of
from pyro_symvi.recovery.theorems.pins import standard
from tests.recovery.targets import mixture, student_t


def density(function, dim: int) -> LogDensity:
    return LogDensity.from_callable(function, dim)


def ridge(z):
    """Even about (1, 0), strictly concave."""
    return -((z[0] - 1) ** 2) - (z[0] - 1 - z[1]).abs() - z[1] ** 2


def regression(z):
    """Ten observations with a scale: even in the slopes, not log-concave."""
    x = torch.linspace(-1.0, 1.0, 10, dtype=torch.float64)
    rss = (x.square() - z[0] - x * z[1]).square().sum()
    return -10 * z[2] - 0.5 * rss * (-2 * z[2]).exp() - 0.5 * z[2] ** 2


def test_facts_of_a_log_concave_even_target() -> None:
    target = target_of(analyze(density(ridge, 2)))
    assert all(f.is_proved for f in (target.proper, target.positive, target.log_concave, target.strictly_log_concave))
    assert target.second_moment.is_proved and target.growth == Growth("polynomial", 2.0)
    symmetry = target.symmetries[0]
    assert isinstance(symmetry.action, PointReflection)
    assert torch.as_tensor(symmetry.action.center).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("function", "dim", "expected"),
    [
        (lambda z: -z[0].exp() + 2 * z[0], 1, Growth("exponential")),
        (lambda z: -z[0].abs(), 1, Growth("polynomial", 1.0)),
        (lambda z: -3 * torch.log(1 + z[0] ** 2), 1, Growth("polynomial", 1.0)),
        (lambda z: -torch.log1p((z[0] - z[1]).exp()) - z.square().sum(), 2, Growth("polynomial", 2.0)),
        (lambda z: -(z[0] ** 2).exp(), 1, None),
        (lambda z: -torch.where(z[0] > 0, z[0], -z[0]), 1, None),
    ],
    ids=["exp", "abs", "log", "softplus", "exp-of-square", "where"],
)
def test_growth(function, dim: int, expected: Growth | None) -> None:
    target = target_of(analyze(density(function, dim)))
    if expected is None:
        assert target.growth is None or target.growth.kind == "polynomial"  # |z| is read off the where
        assert target.growth is None or target.growth.degree <= 1
    else:
        assert target.growth == expected


def test_a_regression_with_a_scale_wants_forward_kl() -> None:
    advice = advise(density(regression, 3))
    best = advice.best
    assert best is not None and best.divergence == ForwardKL() and best.options["scale"] == "full"
    assert best.exact("mean") == 3 and best.verdict is Verdict.PROVED
    reverse = next(r for r in advice.rows if r.divergence == ReverseKL() and r.guide == "normal, full")
    assert reverse.exact("mean") == 0 and "log-concave" in reverse.why
    diagonal = next(r for r in advice.rows if r.divergence == ReverseKL() and r.guide == "normal, diagonal")
    assert diagonal.exact("mean") == 2 and "unimodal coordinate" in diagonal.why


def test_a_strictly_log_concave_even_target_wants_reverse_kl() -> None:
    advice = advise(density(ridge, 2))
    best = advice.best
    assert best is not None and best.divergence == ReverseKL() and best.exact("mean") == 2
    assert "rounding" in best.how and advice.help == ()
    text = str(advice)
    assert "PROVED all" in text and "certify(fit)" in text and "exact" not in text
    assert all(len(line) <= 140 for line in text.splitlines())


def test_no_infinite_divergence_is_proposed() -> None:
    for function, dim in ((student_t(3.0, 2), 2), (student_t(1.0), 1)):
        advice = advise(density(function, dim))
        assert advice.excluded
        for row in advice.rows:
            heavy = row.options["base"] == "student_t"
            assert row.divergence.alpha <= 1 or heavy, (row.guide, row.divergence)
    assert not any(
        r.divergence.alpha == 1 and r.options["base"] == "normal" for r in advise(density(student_t(1.0), 1)).rows
    )


def test_what_is_not_proved_says_what_would_help() -> None:
    robust = symvi.examples.get("stackloss-robust")
    advice = advise(robust.model, *robust.args)
    assert advice.best is not None and advice.best.verdict < Verdict.PROVED
    assert any("no symmetry was proved" in line for line in advice.help)
    assert any("concave" in line for line in advice.help)
    assert "Nothing is certified for any of them" in str(advice)
    opaque = advise(density(lambda z: torch.special.i0e(z[0]).log() - z[0] ** 2, 1))
    assert any("nothing could be proved of this model" in line for line in opaque.help)
    assert opaque.best is not None and opaque.best.verdict <= Verdict.VERIFIED


def test_forward_kl_needs_moments_only() -> None:
    """Two modes, or a skewed target: a normal guide matches moments; a refusal elsewhere has its reason."""
    two = mixture([0.3, 0.7], [[-3.0], [2.0]], [1.0, 1.0])
    best = advise(density(two, 1)).best
    assert best is not None and best.divergence == ForwardKL() and best.why.startswith("moment matching")


def test_a_symmetry_named_is_proved_where_it_can_be() -> None:
    analysis = analyze(density(ridge, 2))
    proved = given_symmetry(PointReflection([1.0, 0.0]), analysis)
    wrong = given_symmetry(PointReflection([0.5, 0.0]), analysis)
    opened = given_symmetry(PointReflection(), analysis)
    assert [s.fact.evidence for s in (proved, wrong, opened)] == [Evidence.PROVED, Evidence.ASSUMED, Evidence.ASSUMED]
    refuted = given_symmetry(PointReflection([0.5, 0.0]), analysis, density(ridge, 2))
    assert refuted.fact.evidence is Evidence.REFUTED and "differs by" in refuted.fact.words
    with pytest.raises(ValueError, match="expected intercept and slope"):
        given_symmetry(ConditionalReflection([0]), analysis)
    swap = given_symmetry(CoordinatePermutation(2), analyze(density(lambda z: -z.square().sum() - z[0] * z[1], 2)))
    assert swap.fact.evidence is Evidence.PROVED
    with pytest.raises(ValueError, match="expected a symmetry on 2 coordinates, got one on 3"):
        given_symmetry(CoordinatePermutation(3), analysis)


def smooth(z):
    """Even about (1, 0), strictly log-concave."""
    u = 2 * (z[0] - 1 - z[1])
    return -torch.log1p(u.exp()) - torch.log1p((-u).exp()) - (z[0] - 1) ** 2 - 0.5 * z[1] ** 2


@pytest.mark.parametrize(
    ("symmetry", "expected"),
    [
        (PointReflection([1.0, 0.0]), Verdict.PROVED),
        (PointReflection(), Verdict.CONDITIONAL),
        (PointReflection([0.9, 0.0]), Verdict.UNKNOWN),
    ],
    ids=["proved", "granted", "wrong"],
)
def test_what_a_named_symmetry_gives_by_itself(symmetry, expected: Verdict) -> None:
    target = density(smooth, 2)
    analysis = analyze(target)
    facts = replace(target_of(analysis), symmetries=(given_symmetry(symmetry, analysis, target),))
    told = guarantees(Setting(facts, LocationScale(2), ReverseKL()))
    assert [g.verdict for g in told if g.statistic == "mean"] == [expected]
    assert expected is not Verdict.UNKNOWN or "differs by" in str(told)
    best = advise(target, symmetry=symmetry).best
    assert best is not None and best.exact("mean") == 2


def test_a_model_and_its_arguments() -> None:
    example = symvi.examples.get("darwin")
    advice = symvi.advise(example.model, *example.args)
    assert advice.best is not None and advice.best.exact("mean") == 2
    assert advice.coordinates == ("mu", "log sigma") or len(advice.coordinates) == 2
    with pytest.raises(TypeError, match="expected symmetry as a linear action"):
        symvi.advise(example.model, *example.args, symmetry="even")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        symvi.advise(3)


def test_flips_of_a_diagonal_block() -> None:
    target = target_of(analyze(density(lambda z: -2 * z[0] ** 2 - z[1] ** 2 - (z[2].exp() - z[2]), 3)))
    assert any(isinstance(s.action, AxisFlips) for s in target.symmetries)
    assert {d.coordinate for d in target.coordinates} == {0, 1}
    told = guarantees(Setting(target, LocationScale(3, "laplace", "diagonal"), ReverseKL()))
    means = {i for g in told if g.statistic == "mean" and g.verdict is Verdict.PROVED for (i,) in g.items}
    assert means == {0, 1}


def test_exchangeable_coordinates() -> None:
    def exchangeable(z):
        return -(z.exp() - z).sum() - 0.5 * z.sum() ** 2

    target = target_of(analyze(density(exchangeable, 3)))
    assert any(isinstance(s.action, CoordinatePermutation) for s in target.symmetries)
    told = guarantees(Setting(target, LocationScale(3), ReverseKL()))
    (contrast,) = [g for g in told if g.statistic == "contrasts"]
    assert contrast.verdict is Verdict.PROVED and contrast.items == ((0, 1, 2),)


def sheared(z):
    """x about 0.5 - 0.75 y, y skewed."""
    return -((z[0] - 0.5 + 0.75 * z[1]) ** 2) + 2 * z[1] - z[1].exp()


def loadings(z):
    """One latent direction with the sign of two factors free, and rotations of neither."""
    return -((z[0] * z[1] - 1) ** 2) - z.square().sum()


def student(z):
    return -3 * torch.log1p((z[0] ** 2 + (z[1] - z[0]) ** 2) / 4)


@pytest.mark.parametrize(
    ("function", "dim", "kind"),
    [
        (sheared, 2, "ConditionalReflection"),
        (loadings, 2, "CoordinatePermutation"),
        (loadings, 2, "PointReflection"),
        (student, 2, "EllipticalRotation"),
    ],
    ids=["regression", "swap", "signs", "ellipse"],
)
def test_symmetries_are_true_of_the_numbers(function, dim: int, kind: str) -> None:
    """Every symmetry read from the analysis: log p at moved points is log p."""
    target = target_of(analyze(density(function, dim)))
    assert kind in [type(s.action).__name__ for s in target.symmetries]
    z = torch.randn(20, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    values = torch.stack([function(x) for x in z])
    for symmetry in target.symmetries:
        assert symmetry.fact.evidence is Evidence.PROVED
        action = standard(symmetry.action, dim)
        for g in action.group.sample(5, generator=torch.Generator().manual_seed(5)):
            moved = torch.stack([function(x) for x in action.act(g.to(z) if g.is_floating_point() else g, z)])
            torch.testing.assert_close(moved, values, atol=1e-9, rtol=1e-9)


def test_an_elliptical_student_target_decreases() -> None:
    """Not log-concave: every divergence that is finite recovers centre and correlation, by ellipticity."""
    target = target_of(analyze(density(student, 2)))
    assert not target.log_concave.is_proved and target.decreasing.is_proved
    told = guarantees(Setting(target, LocationScale(2, "student_t", df=3.0), ReverseKL()))
    proved = {g.statistic for g in told if g.verdict is Verdict.PROVED}
    hellinger = guarantees(Setting(target, LocationScale(2), Hellinger()))
    assert {"mean", "correlation"} <= {g.statistic for g in hellinger if g.verdict is Verdict.PROVED} | proved


def test_proved_facts_are_true_of_the_numbers() -> None:
    """Where the analysis says log-concave, second differences of log p along random lines are not positive."""
    generator = torch.Generator().manual_seed(3)
    for function, dim in ((ridge, 2), (regression, 3)):
        target = target_of(analyze(density(function, dim)))
        z, v = (torch.randn(400, dim, dtype=torch.float64, generator=generator) for _ in range(2))
        values = [torch.stack([function(x) for x in z + t * v]) for t in (-0.5, 0.0, 0.5)]
        convex = bool((values[0] + values[2] - 2 * values[1] > 1e-9).any())
        assert convex is not target.log_concave.is_proved
        assert math.isfinite(float(values[1].sum()))
