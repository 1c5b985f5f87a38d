"""A symmetry that the user names is tested like any other."""

import pytest
import torch

from pyro_symvi.groups import AxisFlips, EllipticalRotation, PointReflection
from pyro_symvi.recovery import Verdict
from tests.recovery.targets import certify_at, normal, skew_normal, vector

SHAPE = torch.tensor([[2.0, 0.6], [0.6, 1.0]], dtype=torch.float64)
PRECISION = torch.linalg.inv(SHAPE)
ROOT = torch.linalg.cholesky(SHAPE)
BOTH = ("mean", "correlation")


def ellipse(z: torch.Tensor) -> torch.Tensor:
    """Elliptical, not normal: t with 7 degrees of freedom about (1, -2)."""
    x = z - vector(1.0, -2.0)
    return -4.5 * torch.log1p(((x @ PRECISION) * x).sum(-1) / 7)


def test_the_right_one_is_verified() -> None:
    symmetry = EllipticalRotation(center=[1.0, -2.0], shape=3 * SHAPE)
    certificate = certify_at(ellipse, [1.0, -2.0], ROOT, symmetry=symmetry, statistics=BOTH)
    assert certificate["mean"].verdict is Verdict.PROVED  # the quadratic form is read off log p
    assert certificate["correlation"].verdict is Verdict.VERIFIED  # its shape is the user's


@pytest.mark.parametrize("center", [[1.0, -1.9], [0.0, 0.0], [1.0 + 1e-5, -2.0]])
def test_a_wrong_centre_is_not(center: list[float]) -> None:
    for symmetry in (PointReflection(center=center), EllipticalRotation(center=center), AxisFlips(center=center)):
        certificate = certify_at(ellipse, center, ROOT, symmetry=symmetry, statistics=BOTH)
        assert not any(v.is_exact for v in certificate["mean"].verdicts[1:] if center[1] != -2.0)
        assert not certificate["mean"].verdicts[0].is_exact
        assert not certificate["correlation"].verdict.is_exact


def test_a_wrong_shape_is_not() -> None:
    for wrong in (torch.eye(2, dtype=torch.float64), SHAPE + 1e-4 * torch.eye(2)):
        symmetry = EllipticalRotation(center=[1.0, -2.0], shape=wrong)
        root = torch.linalg.cholesky(wrong)
        certificate = certify_at(ellipse, [1.0, -2.0], root, symmetry=symmetry, statistics=BOTH)
        assert not certificate["correlation"].verdict.is_exact
        assert certificate["mean"].verdict is Verdict.PROVED  # the point reflection inside it does hold


def test_axis_flips_of_a_correlated_law_do_not_hold() -> None:
    certificate = certify_at(ellipse, [1.0, -2.0], ROOT, symmetry=AxisFlips(), statistics=BOTH)
    assert not any(verdict.is_exact for verdict in certificate["mean"].verdicts)
    assert not certificate["correlation"].verdict.is_exact


def test_coordinates_outside_the_symmetry_stay_unknown() -> None:
    certificate = certify_at(normal, [0.0, 0.0, 0.0], symmetry=PointReflection(coordinates=[1]))
    assert certificate["mean"].verdicts == [Verdict.UNKNOWN, Verdict.PROVED, Verdict.UNKNOWN]


def test_a_symmetry_of_the_guide_alone_is_refuted_with_a_witness() -> None:
    certificate = certify_at(skew_normal(5.0), [5.0], symmetry=PointReflection())
    entry = certificate["mean"].entries[0]
    assert entry.verdict is Verdict.REFUTED
    assert entry.witness is not None
    (witness,) = entry.witness
    density = certificate.subject.density
    center = float(certificate.tests[0].action.center[0])
    image = density(vector(2 * center - witness))
    residual = float(image - density(vector(witness)))
    assert residual == pytest.approx(certificate.tests[0].witness_residual, rel=1e-6)


def test_not_elliptical_but_even() -> None:
    """A sheared product of logistic laws is even, not elliptical."""

    def log_p(z: torch.Tensor) -> torch.Tensor:
        y = z @ torch.tensor([[1.0, 0.5], [0.0, 1.0]], dtype=torch.float64)
        return (-y - 2 * torch.nn.functional.softplus(-y)).sum(-1)

    certificate = certify_at(log_p, [0.0, 0.0], statistics=BOTH)
    assert certificate["mean"].verdict is Verdict.VERIFIED
    assert not certificate["correlation"].verdict.is_exact
