"""Proofs in certificates: where they raise a verdict, and where they must not."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from pyro_symvi.density import LogDensity
from pyro_symvi.groups import AxisFlips, EllipticalRotation, PointReflection
from pyro_symvi.recovery import Certificate, Evidence, Verdict, certify, proofs
from pyro_symvi.recovery.analysis import Analysis, analyze
from pyro_symvi.recovery.analysis.gaussian_block import GaussianBlock
from tests.recovery.targets import Function, certify_at, normal, vector

BOTH = ("mean", "correlation")


def funnel(z: torch.Tensor) -> torch.Tensor:
    return -(z[..., 0] ** 2) / 2 - z[..., 0] - 0.5 * torch.exp(-z[..., 0]) * (z[..., 1:] ** 2).sum(-1)


def student(df: float) -> Function:
    def log_p(z: torch.Tensor) -> torch.Tensor:
        return (-(df + 1) / 2 * torch.log1p((z - 0.25) ** 2 / df)).sum(-1)

    return log_p


def premise(certificate: Certificate, statistic: str, name: str) -> Evidence:
    return next(p.evidence for p in certificate[statistic].entries[-1].premises if p.name == name)


def test_a_funnel_is_proved_but_for_its_neck() -> None:
    certificate = certify_at(funnel, [-0.5, 0.0, 0.0], statistics=BOTH)
    assert not certificate["mean"].verdicts[0].is_exact
    assert certificate["mean"].verdicts[1:] == [Verdict.PROVED, Verdict.PROVED]
    assert certificate["correlation"].verdict is Verdict.PROVED
    assert any("real-arithmetic" in note for note in certificate.notes)


def test_products_of_student_laws() -> None:
    certificate = certify_at(student(4.0), [0.25, 0.25], statistics=BOTH)
    assert certificate["mean"].verdict is Verdict.PROVED
    assert certificate["correlation"].verdict is Verdict.PROVED
    assert "the same expression" in certificate["mean"].entries[0].premises[0].statement


def test_a_symmetry_without_a_mean_has_a_proved_centre_only() -> None:
    certificate = certify_at(student(0.9), [0.25])
    assert premise(certificate, "mean", "invariance") is Evidence.PROVED
    assert premise(certificate, "mean", "moments") is not Evidence.PROVED
    assert certificate["mean"].entries[0].label.startswith("centre of symmetry")
    assert not certificate["mean"].verdict.is_exact


def test_a_fit_that_stopped_short_is_not_exact() -> None:
    certificate = certify_at(normal, [0.01, 0.0], statistics=BOTH)
    assert certificate["mean"].verdicts == [Verdict.BOUNDED, Verdict.PROVED]
    assert certificate["mean"].entries[0].bound == pytest.approx(0.01, rel=0.1)


def test_a_diagonal_guide_has_no_proved_correlation() -> None:
    precision = torch.tensor([[2.0, 0.9], [0.9, 1.0]], dtype=torch.float64)
    certificate = certify_at(lambda z: -0.5 * ((z @ precision) * z).sum(-1), [0.0, 0.0], statistics=BOTH)
    assert certificate["mean"].verdict is Verdict.PROVED
    assert not certificate["correlation"].verdict.is_exact


@pytest.mark.parametrize("center", [[0.0, 1e-3], [0.5, 0.0]])
def test_a_centre_that_the_user_names_is_not_replaced_by_the_proved_one(center: list[float]) -> None:
    for symmetry in (PointReflection(center=center), EllipticalRotation(center=center), AxisFlips(center=center)):
        certificate = certify_at(normal, center, symmetry=symmetry, statistics=BOTH)
        wrong = [v for v, c in zip(certificate["mean"].verdicts, center, strict=True) if c]
        assert not any(v.is_exact for v in wrong)
        if not isinstance(symmetry, AxisFlips):  # one of whose flips is right
            assert not certificate["correlation"].verdict.is_exact


def test_a_shape_that_the_user_names_is_not_replaced_by_the_proved_one() -> None:
    shape = torch.tensor([[1.0, 0.01], [0.01, 1.0]], dtype=torch.float64)
    symmetry = EllipticalRotation(center=[0.0, 0.0], shape=shape)
    certificate = certify_at(normal, [0.0, 0.0], torch.linalg.cholesky(shape), symmetry=symmetry, statistics=BOTH)
    assert not certificate["correlation"].verdict.is_exact


def test_an_idealised_density_is_verified_not_proved() -> None:
    """torch's softplus is x beyond 20: the proof is of log(1 + e^x)."""
    certificate = certify_at(lambda z: (z - 2 * torch.nn.functional.softplus(z)).sum(-1), [0.0])
    assert certificate["mean"].verdict is Verdict.VERIFIED


def test_a_false_proof_is_withdrawn_when_a_residual_contradicts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checker that errs: the centre moved by 0.1."""

    def wrong(density: LogDensity) -> Analysis:
        analysis = analyze(density)
        found = analysis.blocks[0].block
        moved = tuple(c + Fraction(1, 10) for c in found.center or ())
        block = replace(analysis.blocks[0], block=replace(found, center=moved))
        assert isinstance(block.block, GaussianBlock)
        return replace(analysis, blocks=(block,))

    monkeypatch.setattr(proofs, "analyze", wrong)
    certificate = certify_at(normal, [0.1, 0.1])
    assert not any(v.is_exact for v in certificate["mean"].verdicts)
    assert Evidence.PROVED not in [p.evidence for p in certificate.premises()]
    assert any("withdrawn" in note for note in certificate.notes)
    right = certify_at(normal, [0.0, 0.0])
    assert right["mean"].verdict is Verdict.VERIFIED


def test_unions_of_reflections() -> None:
    found = proofs.Proofs(LogDensity.from_callable(lambda z: -(z**4).sum(-1) - (z[..., 0] - 1) ** 2 * 0, 3))
    assert found.all_coordinates() == (0, 1, 2)
    union = found.find((0, 2))
    assert union is not None and union.center == {0: 0, 2: 0}
    assert found.find((0, 1, 2, 3)) is None
    found.withdraw((1,))
    assert found.all_coordinates() == (0, 2)
    center = found.center((2, 0))
    assert center is not None and torch.equal(center, vector(0, 0))


def test_an_elliptical_law_that_is_not_normal_is_proved() -> None:
    """Bivariate t(5): the correlation is that of the quadratic form."""
    precision = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)

    def log_p(z: torch.Tensor) -> torch.Tensor:
        return -3.5 * torch.log1p(((z @ precision) * z).sum(-1) / 5)

    root = torch.linalg.cholesky(torch.linalg.inv(precision))
    certificate = certify_at(log_p, [0.0, 0.0], root, statistics=(*BOTH, "scatter", "contrast"))
    entry = certificate["correlation"].entries[1]
    assert premise(certificate, "correlation", "definition") is Evidence.PROVED
    assert [p.evidence for p in entry.premises if p.name == "invariance"] == [Evidence.PROVED]
    assert entry.exact == pytest.approx(-0.5 / 2**0.5, abs=1e-15)
    assert entry.verdict.is_exact and certificate["mean"].verdict.is_exact
    assert certificate["scatter"].entries[1].verdict.is_exact


def test_exchangeable_coordinates_without_means_have_no_exact_contrast() -> None:
    """Bivariate Cauchy: E(z_1 - z_0) does not exist."""
    certificate = certify_at(student_cauchy, [0.0, 0.0], statistics=("contrast", "mean"))
    assert not certificate["contrast"].verdict.is_exact
    assert not certificate["mean"].verdict.is_exact


def student_cauchy(z: torch.Tensor) -> torch.Tensor:
    return -1.5 * torch.log1p(z.square().sum(-1))


def test_proved_numbers_of_a_large_block_say_how_they_were_computed() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn(26, 26, dtype=torch.float64, generator=generator)
    precision = torch.eye(26, dtype=torch.float64) + noise @ noise.mT
    covariance = torch.linalg.inv(precision)
    density = LogDensity.from_callable(lambda z: -0.5 * ((z @ precision) * z).sum(-1), 26)
    certificate = certify(density, statistics=("correlation", "covariance"))
    assert certificate["correlation"].verdict is Verdict.PROVED
    sds = covariance.diagonal().sqrt()
    torch.testing.assert_close(
        certificate["correlation"].values, covariance / torch.outer(sds, sds), rtol=0, atol=1e-12
    )
    torch.testing.assert_close(certificate["covariance"].values, covariance, rtol=0, atol=1e-12)
    assert any("error proved to be below 1e-14" in note for note in certificate.notes)
