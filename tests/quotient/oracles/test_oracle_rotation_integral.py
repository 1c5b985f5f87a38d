"""Averages of exp tr(R^T F) over SO(2) and SO(3) against Bessel integrals, quadrature over the group and SciPy."""

import numpy as np
import pytest
import scipy.special
import torch

from pyro_symvi.groups import SpecialOrthogonal
from pyro_symvi.quotient.oracles._rotation_integral import best_rotation, proper_svd, rotation_integral

DIAGONALS = [
    (0, 0, 0),
    (1e-3, 0, 0),
    (1, 0.5, -0.3),
    (10, 0, 0),
    (10, 10, -10),
    (10, 10, 10),
    (300, 200, -199.9),
    (1e4, 3, 0),
    (1e6, 0, 0),
    (1e6, 1e6, -1e6),
    (1e6, 1e3, 1),
]


def reference(sizes):
    """E[e^(tr(R^T S) - tr S)] and the E R_ii by the one-dimensional integral over products of Bessel functions.

    Lee, IEEE TAC 63 (2018) 3377, theorem 2.1, and its derivatives in s; Gauss-Legendre on dyadic intervals.
    """
    a, b, c = sizes
    nodes, weights = np.polynomial.legendre.leggauss(60)
    ends = np.concatenate([[0.0], 2.0 ** np.arange(-32, 1)])
    gap = (ends[:-1, None] + (nodes + 1) / 2 * np.diff(ends)[:, None]).ravel()  # from the nearer end
    measure = (weights / 2 * np.diff(ends)[:, None]).ravel()
    below, above = np.concatenate([gap, 2 - gap]), np.concatenate([2 - gap, gap])  # 1 + u, 1 - u
    measure = np.concatenate([measure, measure])
    left, right = (a - b) * above / 2, (a + b) * below / 2
    outer = np.exp(-(b + c) * above) * measure / 2
    i0l, i0r, i1l, i1r = (scipy.special.ive(k, x) for k in (0, 1) for x in (left, right))
    total = (outer * i0l * i0r).sum()
    stretch, turn = (outer * below / 2 * i0l * i1r).sum(), (outer * above / 2 * i1l * i0r).sum()
    last = (outer * (1 - above) * i0l * i0r).sum()
    return np.log(total), np.array([stretch + turn, stretch - turn, last]) / total


@pytest.mark.parametrize("sizes", DIAGONALS, ids=str)
def test_constant_and_mean_on_space_against_bessel_integrals(sizes):
    log_c, mean = rotation_integral(torch.diag(torch.tensor(sizes, dtype=torch.float64)))
    log_scaled, diagonal = reference(sizes)
    assert abs(log_c.item() - sum(sizes) - log_scaled) < 2e-12 + 1e-15 * 2 * max(sizes)
    assert np.abs(mean.diagonal().numpy() - diagonal).max() < 1e-12
    assert (mean - torch.diag(mean.diagonal())).abs().max() < 1e-12


@pytest.mark.parametrize("d", [2, 3])
def test_constant_and_mean_against_quadrature_over_the_group(d):
    natural = 2 * torch.randn(20, d, d, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    natural[0, 0] *= -torch.linalg.det(natural[0]).sign()  # a reflection is nearest to it
    rule = SpecialOrthogonal(d).quadrature(40)
    logs = torch.einsum("rij,bij->br", rule.elements, natural)
    values = rule.weights * logs.exp()
    log_c, mean = rotation_integral(natural)
    torch.testing.assert_close(log_c, values.sum(-1).log(), rtol=1e-11, atol=1e-11)
    expected = torch.einsum("br,rij->bij", values / values.sum(-1, keepdim=True), rule.elements)
    torch.testing.assert_close(mean, expected, rtol=0, atol=1e-11)


def test_plane_against_scipy_at_every_concentration():
    kappa = np.array([0.0, 1e-9, 1e-3, 1.0, 30.0, 1e3, 1e6])
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    log_c, mean = rotation_integral(torch.as_tensor(kappa)[:, None, None] / 2 * turn)
    np.testing.assert_allclose(log_c, np.log(scipy.special.ive(0, kappa)) + kappa, rtol=1e-14, atol=1e-14)
    ratio = scipy.special.ive(1, kappa) / scipy.special.ive(0, kappa)
    np.testing.assert_allclose(mean, ratio[:, None, None] * turn.numpy(), rtol=1e-13)


def test_a_reflection_has_the_mean_of_proper_rotations_only():
    """At F = -k I every maximiser is a turn by pi about some axis: E[R] = -I/3 as k grows, not -I."""
    _, mean = rotation_integral(-1e8 * torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(mean, -torch.eye(3, dtype=torch.float64) / 3, rtol=0, atol=1e-8)
    best = best_rotation(-torch.eye(3, dtype=torch.float64))
    assert torch.linalg.det(best).item() == pytest.approx(1, abs=1e-12)
    assert best.trace().item() == pytest.approx(-1, abs=1e-12)


def test_no_size_overflows():
    natural = torch.diag_embed(torch.tensor([[1e90, 1e80, -1e70], [1e-200, 0, 0]], dtype=torch.float64))
    log_c, mean = rotation_integral(natural)
    torch.testing.assert_close(log_c, torch.tensor([1e90, 0.0], dtype=torch.float64))
    torch.testing.assert_close(mean[0], torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-12)
    assert mean[1].abs().max() < 1e-12


@pytest.mark.parametrize("d", [2, 3])
def test_gradients_by_finite_differences(d):
    natural = torch.randn(3, d, d, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    natural[1] = torch.diag(torch.tensor([2.0, 2.0, -2.0][:d]))  # singular values coincide
    natural[2] = 0
    natural.requires_grad_()
    assert torch.autograd.gradcheck(rotation_integral, (natural,), check_forward_ad=True)


def test_derivatives_pass_through_vmap():
    natural = torch.randn(4, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    mean = torch.func.vmap(torch.func.grad(lambda f: rotation_integral(f)[0]))(natural)
    torch.testing.assert_close(mean, rotation_integral(natural)[1])
    reverse = torch.func.vmap(torch.func.jacrev(lambda f: rotation_integral(f)[1]))(natural)
    forward = torch.func.vmap(torch.func.jacfwd(lambda f: rotation_integral(f)[1]))(natural)
    torch.testing.assert_close(reverse, forward)


def test_proper_svd_is_made_of_rotations():
    matrix = torch.randn(50, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    left, sizes, right = proper_svd(matrix)
    torch.testing.assert_close(left * sizes[:, None, :] @ right.mT, matrix)
    torch.testing.assert_close(torch.linalg.det(left), torch.ones(50).double())
    torch.testing.assert_close(torch.linalg.det(right), torch.ones(50).double())
    torch.testing.assert_close(sizes[:, 2].sign(), torch.linalg.det(matrix).sign())
    assert (sizes[:, 2] < 0).any() and (sizes[:, 0] >= sizes[:, 1]).all() and (sizes[:, 1] >= sizes[:, 2].abs()).all()


def test_nan_stays_with_its_cloud():
    natural = torch.eye(3, dtype=torch.float64).repeat(2, 1, 1)
    natural[0, 0, 0] = float("nan")
    log_c, mean = rotation_integral(natural)
    assert log_c.isnan().tolist() == [True, False]
    assert mean.isnan().all(-1).all(-1).tolist() == [True, False]
