"""Rounding neither hides an asymmetry nor refutes a symmetry."""

import math

import pytest
import torch

from pyro_symvi.recovery import Verdict
from tests.recovery.targets import assert_honest, assert_nothing_exact, certify_at, normal, vector


@pytest.mark.parametrize("offset", [1e12, -1e12, 1e10])
def test_a_constant_that_swallows_the_residuals(offset: float) -> None:
    """Of a target that is slightly off, nothing is exact. (Of an even one static analysis still proves it.)"""
    certificate = certify_at(lambda z: normal(z) + 1e-4 * torch.tanh(z[..., 0]) + offset, [0.0])
    assert_nothing_exact(certificate)
    assert certify_at(lambda z: normal(z) + offset, [0.0])["mean"].verdict is Verdict.PROVED


def test_a_symmetry_is_not_refuted_under_a_constant() -> None:
    for offset in (1e3, -1e5, 1e8):
        certificate = certify_at(lambda z, offset=offset: normal(z - 0.3) + offset, [0.3, 0.3])
        assert certificate["mean"].verdict > Verdict.UNKNOWN
        assert_honest(certificate, vector(0.3, 0.3), 1.0)


@pytest.mark.parametrize("size", [1e-2, 1e-4, 1e-5])
def test_a_slight_asymmetry_is_seen(size: float) -> None:
    """log p = -z^2/2 + size tanh z: the mean is size E[z tanh z] + O(size^3) = 0.6056 size off centre."""
    certificate = certify_at(lambda z: normal(z) + size * torch.tanh(z[..., 0]), [0.0])
    assert_nothing_exact(certificate)
    assert_honest(certificate, 0.6057055 * size, 1.0)


@pytest.mark.parametrize("size", [1e-7, 1e-8, 1e-10])
def test_an_asymmetry_that_moves_the_mean_less_than_the_resolution(size: float) -> None:
    certificate = certify_at(lambda z: normal(z) + size * torch.tanh(z[..., 0]), [0.0])
    assert_honest(certificate, 0.6057055 * size, 1.0)


def test_coarse_arithmetic_inside_is_no_evidence_below_its_resolution() -> None:
    """Values in steps of 2^-18 left of -0.2, gradients smooth: moving z by units in the last place shows nothing."""

    def log_p(z: torch.Tensor) -> torch.Tensor:
        value = -0.5 * z[..., 0].square() + 1e-6 * torch.tanh(z[..., 0])
        steps = value + ((value * 2**18).round() / 2**18 - value).detach()
        return torch.where(z[..., 0] < -0.2, steps, value)

    certificate = certify_at(log_p, [0.0])
    assert_nothing_exact(certificate)
    assert any("noise" in premise.statement for premise in certificate["mean"].entries[0].premises) or (
        certificate["mean"].verdict is Verdict.BOUNDED
    )


def test_location_far_from_the_origin() -> None:
    certificate = certify_at(lambda z: normal(z - 1e8), [1e8, 1e8])
    assert certificate["mean"].verdict > Verdict.UNKNOWN
    assert_honest(certificate, vector(1e8, 1e8), 1.0)


def test_scales_of_sixteen_orders_of_magnitude() -> None:
    scales = torch.logspace(-8, 8, 9, dtype=torch.float64)
    certificate = certify_at(
        lambda z: normal(z / scales), [0.0] * 9, torch.diag(scales), statistics=("mean", "correlation")
    )
    assert certificate["mean"].verdict is Verdict.PROVED
    assert certificate["correlation"].verdict is Verdict.PROVED


def test_nearly_collinear_coordinates() -> None:
    shape = torch.tensor([[1, 0.9999], [0.9999, 1]], dtype=torch.float64)
    precision = torch.linalg.inv(shape)

    def log_p(z: torch.Tensor) -> torch.Tensor:
        return -0.5 * ((z @ precision) * z).sum(-1)

    right = certify_at(log_p, [0.0, 0.0], torch.linalg.cholesky(shape), statistics=("mean", "correlation"))
    assert right["correlation"].verdict is Verdict.PROVED
    mean_field = certify_at(log_p, [0.0, 0.0], 0.014, statistics=("mean", "correlation"))
    assert mean_field["mean"].verdict is Verdict.PROVED
    assert mean_field["correlation"].verdict is Verdict.REFUTED


def _symmetric(kind: str, x: torch.Tensor) -> torch.Tensor:
    if kind == "normal":
        return -0.5 * x.square().sum(-1)
    if kind == "t":
        return -4 * torch.log1p(x.square().sum(-1) / 4)
    if kind == "logistic":
        return (-x - 2 * torch.nn.functional.softplus(-x)).sum(-1)
    if kind == "laplace":
        return -x.abs().sum(-1)
    if kind == "quartic":
        return -(x.square().square() + 0.5 * x.square()).sum(-1)
    if kind == "bimodal":
        return torch.logaddexp(-0.5 * (x - 2).square().sum(-1), -0.5 * (x + 2).square().sum(-1))
    return -0.5 * x.square().sum(-1) + 0.3 * torch.cos(3 * x).sum(-1)


@pytest.mark.parametrize("kind", ["normal", "t", "logistic", "laplace", "quartic", "bimodal", "wavy"])
def test_an_exact_symmetry_is_never_refuted(kind: str) -> None:
    """Random centres (to 10^4), scales (e^{1.5 x normal}) and correlations, with all the rounding this brings."""
    for seed in (0, 2, 5):
        generator = torch.Generator().manual_seed(seed)
        dim = 1 + seed
        center = torch.randn(dim, generator=generator, dtype=torch.float64) * 10 ** (seed - 1)
        scales = torch.exp(1.5 * torch.randn(dim, generator=generator, dtype=torch.float64))
        factor = torch.randn(dim, dim, generator=generator, dtype=torch.float64)
        root = torch.linalg.cholesky(factor @ factor.mT + 0.1 * torch.eye(dim))

        def log_p(z: torch.Tensor, c=center, s=scales, r=root) -> torch.Tensor:
            return _symmetric(kind, ((z - c) / s) @ r)

        whole = torch.diag(scales) @ torch.linalg.inv(root @ root.mT) @ torch.diag(scales)
        certificate = certify_at(log_p, center, torch.linalg.cholesky(whole))
        assert Verdict.REFUTED not in certificate["mean"].verdicts
        assert not any(math.isfinite(t.witness_residual) and t.witness is not None for t in certificate.tests[:1])
