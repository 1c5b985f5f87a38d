"""Closed forms of projection, volume and curvature against their derivation, and the laws of lifted Brownian motion."""

import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from pyro_symvi.groups import (
    Action,
    AxialRotation,
    Conjugation,
    EllipticalRotation,
    HermitianConjugation,
    NaturalAction,
    Orthogonal,
    PhaseAction,
    PointCloudAction,
    SpecialEuclidean,
    SpecialOrthogonal,
    SpecialUnitary,
    SphereRotation,
    TorusAction,
    TranslationAction,
    Unitary,
    UnitaryAction,
)

WEIGHTS = torch.tensor([1.0, 2.0, 0.5, 3.0, 1.5], dtype=torch.float64)

ISOMETRIC: dict[str, Action] = {
    "SO(2)": SphereRotation(2),
    "SO(3)": SphereRotation(3),
    "O(5)": SphereRotation(5, improper=True),
    "generic O(3)": NaturalAction(Orthogonal(3)),
    "axis": AxialRotation([1.0, 2.0, 3.0]),
    "elliptical about a centre": EllipticalRotation(shape=torch.eye(3, dtype=torch.float64)).bind(3, [0.3, 0.2, 0.1]),
    "phase": PhaseAction(3),
    "torus": TorusAction(3),
    "SU(2)": UnitaryAction(SpecialUnitary(2)),
    "U(2)": UnitaryAction(Unitary(2)),
    "SU(3)": UnitaryAction(SpecialUnitary(3)),
    "clouds SO(2)": PointCloudAction(SpecialOrthogonal(2)),
    "clouds SE(2)": PointCloudAction(SpecialEuclidean(2)),
    "clouds SO(3)": PointCloudAction(SpecialOrthogonal(3)),
    "clouds O(3)": PointCloudAction(Orthogonal(3)),
    "clouds SE(3)": PointCloudAction(SpecialEuclidean(3)),
    "clouds SE(4)": PointCloudAction(SpecialEuclidean(4)),
    "conjugation": Conjugation(3),
    "Hermitian": HermitianConjugation(3),
    "translation": TranslationAction(3, [[1.0], [2.0], [0.0]]),
}
HOMOGENEOUS = [k for k in ISOMETRIC if k not in ("elliptical about a centre", "translation") and "SE" not in k]


def points(action: Action, n: int = 4, seed: int = 0) -> Tensor:
    shape = [5 if size == -1 else size for size in action.event_shape]
    x = torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if isinstance(action, HermitianConjugation):
        z = torch.view_as_complex(x)
        return torch.view_as_real((z + z.mH) / 2)
    return (x + x.mT) / 2 if isinstance(action, Conjugation) else x


def inner(action: Action, v: Tensor, w: Tensor) -> Tensor:
    return (v * w).flatten(v.ndim - len(action.event_shape)).sum(-1)


@pytest.fixture(params=list(ISOMETRIC))
def action(request: pytest.FixtureRequest) -> Action:
    return ISOMETRIC[request.param]


def test_closed_forms_against_the_derivation(action: Action) -> None:
    """P from V (V^T V)^+ V^T, the volume up to a constant, the curvature by autograd: all to 1e-10."""
    x, v = points(action), points(action, seed=1)
    assert float((action.project(x, v) - Action._project(action, x, v)).abs().max()) < 1e-10
    difference = action.log_orbit_volume(x) - Action._log_orbit_volume(action, x)
    assert float(difference.max() - difference.min()) < 1e-10
    derived = -torch.func.grad(lambda y: Action._log_orbit_volume(action, y).sum())(x)
    assert float((action.mean_curvature(x) - derived).abs().max()) < 1e-10 * max(1.0, float(derived.abs().max()))
    gram = action.gram(x)
    basis = Action._vertical_basis(action, x).flatten(1, -2)
    assert float((gram - basis.mT @ basis).abs().max()) < 1e-10


def test_volume_and_curvature_are_consistent(action: Action) -> None:
    """H = -grad log vol also for the closed forms themselves, at single precision to single accuracy."""
    x = points(action)
    if isinstance(action, Conjugation):
        gradient = torch.func.grad(lambda y: action._log_orbit_volume(y).sum())(x)
    elif isinstance(action, HermitianConjugation):
        (gradient,) = torch.autograd.grad(action._log_orbit_volume(x.requires_grad_()).sum(), x)
        x = x.detach()
    else:
        gradient = torch.func.grad(lambda y: action.log_orbit_volume(y).sum())(x)
    assert float((action.mean_curvature(x) + gradient).abs().max()) < 1e-9
    single = action.mean_curvature(x.float())
    assert single.dtype == torch.float32
    assert float((single.double() - action.mean_curvature(x)).abs().max()) < 2e-3 * float(gradient.abs().max() + 1)


def test_divergence_of_the_projection(action: Action) -> None:
    """div P = -H over columns, and (I - P) div P = 0: Ito and Stratonovich agree."""
    if isinstance(action, Conjugation):
        basis = []
        for i in range(action.n):
            for j in range(i + 1):
                e = torch.zeros(action.n, action.n, dtype=torch.float64)
                e[i, j] = e[j, i] = 1 if i == j else 0.5**0.5
                basis.append(e)
    elif isinstance(action, HermitianConjugation):
        basis = []
        for i in range(action.n):
            for j in range(i + 1):
                for unit in (1.0,) if i == j else (0.5**0.5, 0.5**0.5 * 1j):
                    e = torch.zeros(action.n, action.n, dtype=torch.complex128)
                    e[i, j], e[j, i] = unit, unit.conjugate()
                    basis.append(torch.view_as_real(e))
    else:
        shape = points(action, 1)[0].shape
        basis = list(torch.eye(math.prod(shape), dtype=torch.float64).reshape(-1, *shape))
    x = points(action, 1)[0]
    divergence = torch.zeros_like(x)
    for e in basis:
        ahead, back = action.project(x + 1e-5 * e, e), action.project(x - 1e-5 * e, e)
        divergence += (ahead - back) / 2e-5
    h = action.mean_curvature(x)
    assert float((divergence + h).abs().max()) < 1e-7 * max(1.0, float(h.abs().max()))
    assert float((action.project(x, h) - h).abs().max()) < 1e-9 * max(1.0, float(h.abs().max())), "H is horizontal"


@pytest.mark.parametrize("name", HOMOGENEOUS)
def test_euler_identity(name: str) -> None:
    """<x, grad log vol> = dimension of the orbit, which is also n - tr P: |x|^2 of lifted motion grows at rate n."""
    action = ISOMETRIC[name]
    x = points(action)
    found = inner(action, x, -action.mean_curvature(x))
    rank = torch.linalg.matrix_rank(action.gram(x), hermitian=True, rtol=1e-10).double()
    assert torch.allclose(found, rank, atol=1e-9)


def test_autograd_curvature_of_a_linear_action() -> None:
    """H = sum_ab (M^-1)_ab A_a A_b x for skew generators."""
    action = PointCloudAction(SpecialOrthogonal(3))
    x = points(action, 1)[0]
    step = torch.eye(3, dtype=torch.float64)
    generators = [torch.func.jvp(action.group.exp, (torch.zeros(3, dtype=torch.float64),), (e,))[1] for e in step]
    inverse = torch.linalg.inv(action.gram(x))
    total = sum(inverse[a, b] * x @ (generators[a] @ generators[b]).mT for a in range(3) for b in range(3))
    assert float((total - action.mean_curvature(x)).abs().max()) < 1e-12


def lifted_motion(action: Action, x: Tensor, steps: int, dt: float, correction: float, seed: int = 0) -> Tensor:
    """dx = P dw - correction * H dt / 2; the derived law has correction 1."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype) * dt**0.5
        if isinstance(action, Conjugation):
            off = (noise + noise.mT) / 2  # unit variance on the diagonal, 1/2 off it: isotropic for Frobenius
            noise = off
        drift = -0.5 * correction * action.mean_curvature(x) * dt
        size = drift.flatten(1).norm(dim=-1).clamp_min(1e-30)
        drift = drift * (0.3 * dt**0.5 / size).clamp(max=1.0).reshape(-1, *(1,) * (x.ndim - 1))
        x = x + action.project(x, noise) + drift
    return x


@pytest.mark.parametrize(("n", "dt"), [(2, 0.004), (3, 0.008)])
def test_radius_is_a_bessel_process(n: int, dt: float) -> None:
    """SO(n) on R^n: r_t^2 / t is noncentral chi-square with n degrees and r_0^2 / t; angles stay constant.

    Kolmogorov distance of 20,000 paths below 0.02 (its standard error is about 0.004, the discretisation's share
    about 0.005); without the curvature drift it is above 0.05.
    """
    action = SphereRotation(n)
    start = torch.zeros(20_000, n, dtype=torch.float64)
    start[:, 0], start[:, 1] = 1.2, 0.9
    law = stats.ncx2(n, 1.5**2)
    end = lifted_motion(action, start, round(1 / dt), dt, 1.0)
    direction = end / end.norm(dim=-1, keepdim=True)
    assert float((direction.abs() - start[0].abs() / 1.5).abs().max()) < 1e-9
    assert stats.kstest(end.square().sum(-1).numpy(), law.cdf).statistic < 0.02
    uncorrected = lifted_motion(action, start, round(1 / dt), dt, 0.0)
    assert stats.kstest(uncorrected.square().sum(-1).numpy(), law.cdf).statistic > 0.05


def test_eigenvalues_follow_dyson() -> None:
    """Conjugation on 2 x 2 matrices: gap / sqrt 2 is a Bessel-2 process, trace / sqrt 2 a Brownian motion."""
    action = Conjugation(2)
    start = torch.diag(torch.tensor([1.0, -1.0], dtype=torch.float64)).expand(10_000, 2, 2)
    dt = 0.005
    values = torch.linalg.eigvalsh(lifted_motion(action, start, 200, dt, 1.0))
    gap = (values[:, 1] - values[:, 0]) / math.sqrt(2)
    assert stats.kstest(gap.square().numpy(), stats.ncx2(2, 2.0).cdf).statistic < 0.03
    assert stats.kstest((values.sum(-1) / math.sqrt(2)).numpy(), stats.norm.cdf).statistic < 0.03


def test_dyson_drift() -> None:
    """-H/2 in the eigenbasis is diag(1/2 sum 1/(l_i - l_j))."""
    x = points(Conjugation(4))
    values, vectors = torch.linalg.eigh(x)
    gaps = values[..., :, None] - values[..., None, :]
    wanted = torch.where(gaps == 0, 0.0, 0.5 / torch.where(gaps == 0, 1.0, gaps)).sum(-1)
    inside = vectors.mT @ (-Conjugation(4).mean_curvature(x) / 2) @ vectors
    assert float((inside - torch.diag_embed(wanted)).abs().max()) < 1e-10 * float(wanted.abs().max())


def helmert(n: int) -> Tensor:
    """(n - 1) x n orthonormal rows orthogonal to (1, ..., 1)."""
    rows = torch.zeros(n - 1, n, dtype=torch.float64)
    for k in range(1, n):
        rows[k - 1, :k], rows[k - 1, k] = 1, -k
    return rows / rows.norm(dim=-1, keepdim=True)


def test_langevin_on_clouds_keeps_the_wishart_law() -> None:
    """dx = -(x + H)/2 dt + P dw started in its stationary law N(0, I) on centred clouds of 5 points, time 2.

    S = X^T X is Wishart_3(I, 4): E tr S = 12, E tr S^2 = 3n(n + 4) = 96. Means of 3,000 clouds within 5 standard
    errors plus 2 per cent for the step; without the curvature drift E tr S would fall to 9 + 3 e^-2 = 9.4.
    """
    action = PointCloudAction(SpecialEuclidean(3))
    shape = torch.randn(3000, 4, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    start = helmert(5).mT @ shape

    def run(correction: float) -> Tensor:
        x, dt, generator = start, 0.02, torch.Generator().manual_seed(4)
        for _ in range(100):
            noise = torch.randn(x.shape, generator=generator, dtype=x.dtype) * dt**0.5
            drift = -0.5 * (x + correction * action.mean_curvature(x)) * dt
            x = x + action.project(x, noise) + drift
        return x.mT @ x

    s = run(1.0)
    trace, square = s.diagonal(dim1=-2, dim2=-1).sum(-1), s.square().sum((-2, -1))
    assert abs(float(trace.mean()) - 12) < 5 * float(trace.std()) / 3000**0.5 + 0.24
    assert abs(float(square.mean()) - 96) / 96 < 5 * float(square.std()) / 3000**0.5 / 96 + 0.04
    assert float(run(0.0).diagonal(dim1=-2, dim2=-1).sum(-1).mean()) < 10.2


def test_shapes_of_gaussian_triangles_are_uniform() -> None:
    """Three planar Gaussian points modulo SO(2) and scale: each Kendall coordinate is uniform on (-1, 1)."""
    z = torch.randn(20_000, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    canonical, _ = PhaseAction(2).canonicalize(z.flatten(1))
    a, b = torch.view_as_complex(canonical.unflatten(-1, (2, 2))).unbind(-1)
    total = a.abs() ** 2 + b.abs() ** 2
    for u in (2 * (a * b.conj()).real / total, 2 * (a * b.conj()).imag / total, (a.abs() ** 2 - b.abs() ** 2) / total):
        assert stats.kstest(u.numpy(), stats.uniform(-1, 2).cdf).pvalue > 1e-4


def test_canonical_clouds_forget_the_motion() -> None:
    action = PointCloudAction(SpecialEuclidean(3))
    x = points(action)
    representative, g = action.canonicalize(x)
    assert bool(action.group.contains(g, tolerance=1e-9).all())
    assert float(representative.mean(-2).abs().max()) < 1e-12
    mirrored = x * torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)
    assert float((action.canonicalize(mirrored)[0] - representative).abs().amax()) > 1e-2, "mirror images differ"
    flipped = PointCloudAction(Orthogonal(3))
    assert torch.allclose(flipped.canonicalize(mirrored)[0], flipped.canonicalize(x)[0])
