"""Lifted Brownian motion and Langevin dynamics, by the samplers' own step, against laws known in closed form.

Brownian motion of the quotient lifts to dx = P dw - H/2 dt, the Euler-Maruyama step ``Run.diffuse`` with tau = dt / 2.
Everything about P and H at one point is in tests/groups/test_orbit_geometry.py, for every action by isometries: the
projection's divergence -H, Ito = Stratonovich ((I - P) div P = 0), Euler's identity <x, -H> = dim of the orbit, Dyson's
drift; straight and nearly straight clouds, and one straight horizontal step under Kabsch's alignment, are in
tests/groups/test_point_clouds.py. The sign of the curvature is in tests/regressions/test_curvature_sign.py.

Kolmogorov distances of n draws have a standard error of 0.26 / sqrt(n) about a mean of 0.87 / sqrt(n); p-values below
1e-4 count as a difference. Seeds are fixed.
"""

import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from pyro_symvi.groups import (
    Action,
    Conjugation,
    HermitianConjugation,
    PhaseAction,
    PointCloudAction,
    SpecialEuclidean,
    SpecialOrthogonal,
    SpecialUnitary,
    SphereRotation,
    TorusAction,
    UnitaryAction,
)
from pyro_symvi.quotient import Context, Diffusion
from pyro_symvi.quotient.samplers import LangevinCorrector, ODESampler, SDESampler
from pyro_symvi.quotient.samplers._lift import DERIVED, NONE, PRINTED, Run, curvature_step

RIGID = PointCloudAction(SpecialEuclidean(3))
MASSES = torch.tensor([1.0, 2.0, 0.5, 3.0, 1.5], dtype=torch.float64)
ACTIONS: dict[str, tuple[Action, tuple[int, ...]]] = {
    "SO(2)": (SphereRotation(2), (2,)),
    "SO(4)": (SphereRotation(4), (4,)),
    "U(1)": (PhaseAction(2), (4,)),
    "torus": (TorusAction(2), (4,)),
    "SU(2)": (UnitaryAction(SpecialUnitary(2)), (4,)),
    "planar clouds": (PointCloudAction(SpecialEuclidean(2)), (4, 2)),
    "clouds": (RIGID, (5, 3)),
    "clouds about the origin": (PointCloudAction(SpecialOrthogonal(3)), (4, 3)),
    "clouds with masses": (PointCloudAction(SpecialEuclidean(3), MASSES), (5, 3)),
    "symmetric matrices": (Conjugation(3), (3, 3)),
    "Hermitian matrices": (HermitianConjugation(3), (3, 3, 2)),
}


def nothing(x: Tensor, t: Tensor, context: Context | None) -> Tensor:
    return torch.zeros_like(x)


def brownian(action: Action, x: Tensor, time: float, steps: int, curvature: float = DERIVED, seed: int = 0) -> Tensor:
    """Lifted Brownian motion from x ``[*batch, *event_shape]``."""
    run = Run(Diffusion(action), nothing, None, torch.Generator().manual_seed(seed), curvature=curvature)
    tau, still = x.new_tensor(time / steps / 2), torch.zeros_like(x)
    for _ in range(steps):
        x = run.diffuse(x, still, tau)
    return x


def spread(action: Action, x: Tensor, seed: int = 1) -> Tensor:
    """A standard normal draw of the space, where Brownian motion of the total space is after a time of 1."""
    return Diffusion(action).noise(x, generator=torch.Generator().manual_seed(seed))


def draws(action: Action, *shape: int, seed: int = 0) -> Tensor:
    return spread(action, torch.zeros(shape, dtype=torch.float64), seed)


def same_law(a: Tensor, b: Tensor) -> float:
    return float(stats.ks_2samp(a.numpy(), b.numpy()).pvalue)


def chi_square(values: Tensor, degrees: int, noncentral: float = 0.0) -> float:
    law = stats.ncx2(degrees, noncentral) if noncentral else stats.chi2(degrees)
    return float(stats.kstest(values.numpy(), law.cdf).pvalue)


# -- one step ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", list(ACTIONS))
def test_growth_of_one_step(name: str) -> None:
    """E |x|^2 of a step of Brownian motion grows by k dt exactly, k the dimension of the space, whatever the step.

    E |x + sqrt(dt) P z + c|^2 = |x|^2 + dt tr P + 2 <x, c> + |c|^2 with the correction c, and tr P = k - m where m is
    the orbit's dimension. Without a correction it grows by (k - m) dt, with the printed sign by (k - 2 m) dt as
    dt -> 0: for SO(3) clouds of n + 1 points 3n, 3n - 3, 3n - 6.
    """
    action, event = ACTIONS[name]
    diffusion, x = Diffusion(action), draws(action, 4, *event)
    weight = MASSES[:, None] if name == "clouds with masses" else torch.ones(1, dtype=torch.float64)

    def total(v: Tensor) -> Tensor:
        return v.flatten(v.ndim - len(event)).sum(-1)

    basis = torch.eye(math.prod(event), dtype=torch.float64).reshape(-1, 1, *event)
    inside = diffusion.centre(basis)
    k = float(total(basis * inside).sum())
    trace = total(basis * action.project(x, inside)).sum(0)
    m = k - trace
    assert float((m - m.round()).abs().max()) < 1e-9
    for dt in (1e-6, 0.01, 10.0):
        step = curvature_step(diffusion, x, x.new_tensor(dt / 2))
        grown = total(weight * ((x + step).square() - x.square()))
        assert float((grown / dt + trace - k).abs().max()) < 1e-8
        assert float(total(weight * step.square()).max()) <= dt * float(m.max()) * (1 + 1e-9), "the limit of its length"
        assert bool((total(weight * step * -action.mean_curvature(x)) > 0).all()), "never turned round"
        if dt == 1e-6:
            wrong = total(weight * ((x - step).square() - x.square()))
            assert float((wrong / dt + trace - (k - 2 * m)).abs().max()) < 1e-3
            assert float((step + dt / 2 * action.mean_curvature(x)).abs().max()) < 1e-3 * float(step.abs().max())


@pytest.mark.parametrize("name", list(ACTIONS))
def test_straight_horizontal_lines_stay_horizontal(name: str) -> None:
    """A horizontal v at x is horizontal all along x + s v: a step by Euler's method is a geodesic of the quotient."""
    action, event = ACTIONS[name]
    x, v = draws(action, 4, *event), draws(action, 4, *event, seed=1)
    v = action.project(x, v)
    for s in (-0.7, 0.3, 2.0):
        assert float((action.project(x + s * v, v) - v).abs().max()) < 1e-9


# -- processes of one radius ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["SO(2)", "SO(4)", "U(1)", "SU(2)"])
def test_radius_is_a_bessel_process(name: str) -> None:
    """|x_t|^2 / t is noncentral chi-square with n degrees (Rice's law for n = 2), from |x_0| = 1.5, in 25 steps.

    Under SO(n) and SU(2), whose orbits are spheres, the direction does not change. Rotations of R^2 and R^3 with
    shorter steps: tests/groups/test_orbit_geometry.py.
    """
    action, event = ACTIONS[name]
    start = torch.zeros(8000, *event, dtype=torch.float64)
    start[:, 0], start[:, 1] = 1.2, 0.9
    end = brownian(action, start, 1.0, 25)
    square = end.square().sum(-1)
    assert chi_square(square, event[0], 2.25) > 1e-4
    if name != "U(1)":
        assert float(((end / square.sqrt()[:, None]).abs() - start[0].abs() / 1.5).abs().max()) < 1e-9
    wrong = brownian(action, start, 1.0, 25, NONE).square().sum(-1)
    assert chi_square(wrong, event[0], 2.25) < 1e-30


def test_hopf_base_of_two_phases() -> None:
    """U(1) on C^2: the Hopf image u of Brownian motion is harmonic, E u_t = u_0, on the quotient as in R^4.

    Within 5 standard errors, and in law that of Brownian motion of the total space, whose draws are exact.
    """
    action, _ = ACTIONS["U(1)"]
    start = torch.tensor([1.2, 0.5, -0.3, 0.8], dtype=torch.float64).expand(8000, 4)
    ends = brownian(action, start, 1.0, 25), start + spread(action, start)
    images, still = [hopf(e) for e in ends], hopf(start)[0]
    for u, v, u0 in zip(*[i.unbind(-1) for i in (*images, still[None])], strict=True):
        assert abs(float(u.mean() - u0)) < 5 * float(u.std()) / 8000**0.5
        assert same_law(u, v) > 1e-4


def hopf(x: Tensor) -> Tensor:
    """(2 Re z1 conj z2, 2 Im z1 conj z2, |z1|^2 - |z2|^2) for C^2 as ``[..., 4]``."""
    a, b = torch.view_as_complex(x.unflatten(-1, (2, 2)).contiguous()).unbind(-1)
    cross = 2 * a * b.conj()
    return torch.stack([cross.real, cross.imag, a.abs() ** 2 - b.abs() ** 2], -1)


def test_torus_is_a_product_of_bessel_processes() -> None:
    """T^2 on C^2: each modulus is a Bessel-2 process, and they are independent (correlation within 5 errors of 0)."""
    action, _ = ACTIONS["torus"]
    start = torch.tensor([1.0, 0.0, 0.0, 0.5], dtype=torch.float64).expand(8000, 4)
    squares = brownian(action, start, 1.0, 25).unflatten(-1, (2, 2)).square().sum(-1)
    assert chi_square(squares[:, 0], 2, 1.0) > 1e-4 and chi_square(squares[:, 1], 2, 0.25) > 1e-4
    assert abs(float(torch.corrcoef(squares.mT)[0, 1])) < 5 / 8000**0.5


def test_a_bond_in_space_is_a_bessel_3_process() -> None:
    """Two atoms under rigid motions, where the inertia tensor is singular: |x|^2 has 3 degrees, the axis stays."""
    start = torch.tensor([[0.5, 0.2, 0.1], [-0.5, -0.2, -0.1]], dtype=torch.float64).expand(2000, 2, 3)
    end = brownian(RIGID, start, 1.0, 25)
    assert chi_square(end.square().sum((-2, -1)), 3, float(start[0].square().sum())) > 1e-4
    assert float(torch.linalg.cross(end[:, 0], start[:, 0]).abs().max()) < 1e-9


def test_stationary_radius_is_rayleigh() -> None:
    """Langevin dynamics of N(0, 1) in the plane modulo rotations forgets its start: r is Rayleigh's.

    Kolmogorov distance of 8,000 draws (mean 0.01, error 0.003) below 0.03 for steps of size 0.02. Steps smear the
    repulsion from the origin over r = sqrt(2 size): the law of r is off by 0.05 at size 0.1.
    """
    diffusion = Diffusion(SphereRotation(2))
    start = torch.tensor([1.5, 0.0], dtype=torch.float64).expand(8000, 2)
    corrector = LangevinCorrector(120, 0.02)
    end = corrector.refine(diffusion, nothing, start, 0.0, generator=torch.Generator().manual_seed(0))
    assert stats.kstest(end.norm(dim=-1).numpy(), stats.rayleigh.cdf).statistic < 0.03
    wrong = corrector._refine(diffusion, nothing, start, 0.0, None, True, torch.Generator().manual_seed(0), False, NONE)
    assert stats.kstest(wrong.norm(dim=-1).numpy(), stats.rayleigh.cdf).statistic > 0.15


# -- eigenvalues ---------------------------------------------------------------------------------------------------
def test_bru_process_of_clouds() -> None:
    """Eigenvalues of S = X^T X, distances and signed volumes of 5 points: lifted Brownian motion has the law of that
    of the total space, whose draws are exact; E tr S grows at the rate 3 n = 12. Without a correction, at 9."""
    start = 1.5 * draws(RIGID, 5, 3, seed=5).expand(4000, 5, 3)
    lifted, plain = brownian(RIGID, start, 1.0, 20), start + spread(RIGID, start)
    for a, b in zip(shape_functions(lifted), shape_functions(plain), strict=True):
        assert same_law(a, b) > 1e-4
    growth = (lifted.square() - start.square()).sum((-2, -1))
    assert abs(float(growth.mean()) - 12) < 5 * float(growth.std()) / 4000**0.5
    uncorrected = brownian(RIGID, start, 1.0, 20, NONE)
    assert min(same_law(a, b) for a, b in zip(shape_functions(uncorrected), shape_functions(plain), strict=True)) < 1e-9


def shape_functions(x: Tensor) -> list[Tensor]:
    """Three eigenvalues, ten distances and two signed volumes, each ``[n]``."""
    i, j = torch.triu_indices(5, 5, offset=1)
    edges = x[:, 1:] - x[:, :1]
    volumes = torch.stack([torch.linalg.det(edges[:, :3]), torch.linalg.det(edges[:, 1:])], -1)
    values = torch.linalg.eigvalsh(x.mT @ x)
    return [f for block in (values, (x[:, i] - x[:, j]).norm(dim=-1), volumes) for f in block.unbind(-1)]


@pytest.mark.parametrize("name", ["symmetric matrices", "Hermitian matrices"])
def test_eigenvalues_are_dysons(name: str) -> None:
    """SO(3) on symmetric, U(3) on Hermitian matrices: eigenvalues in law those of X_0 + sqrt(t) times a Gaussian
    matrix (Dyson's Brownian motion with factors 1/2 and 1); eigenvectors stay; without the repulsion, another law."""
    action, event = ACTIONS[name]
    start = torch.diag(torch.tensor([-0.8, 0.1, 0.6], dtype=torch.float64))
    if name == "Hermitian matrices":
        start = torch.stack([start, torch.zeros_like(start)], -1)
    start = start.expand(2500, *event)
    end = brownian(action, start, 1.0, 25)
    off = end.clone()
    off[:, range(3), range(3)] = 0
    assert float(off.abs().max()) < 1e-9
    found, wanted = eigenvalues(end), eigenvalues(start + spread(action, start))
    for a, b in zip(found.unbind(-1), wanted.unbind(-1), strict=True):
        assert same_law(a, b) > 1e-4
    wrong = eigenvalues(brownian(action, start, 1.0, 25, NONE))
    assert same_law(wrong[:, 2], wanted[:, 2]) < 1e-9


def eigenvalues(x: Tensor) -> Tensor:
    return torch.linalg.eigvalsh(torch.view_as_complex(x.contiguous()) if x.ndim == 4 else x)


def test_dyson_gap_of_hermitian_pairs() -> None:
    """2 x 2 Hermitian matrices: gap / sqrt 2 is a Bessel-3 process (symmetric ones, Bessel-2: tests/groups)."""
    start = torch.zeros(8000, 2, 2, 2, dtype=torch.float64)
    start[:, 0, 0, 0], start[:, 1, 1, 0] = 0.4, -0.4
    values = eigenvalues(brownian(HermitianConjugation(2), start, 1.0, 25))
    assert chi_square((values[:, 1] - values[:, 0]).square() / 2, 3, 0.32) > 1e-4


# -- shapes --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("points", [3, 4])
def test_shapes_of_planar_gaussian_points(points: int) -> None:
    """Langevin dynamics of Gaussian points in the plane, started at one shape, spreads uniformly over shapes.

    Three points: each coordinate on Kendall's sphere is uniform on (-1, 1). N points: directions are Fubini-Study on
    CP^(N-2), |z_j|^2 / |z|^2 in Helmert coordinates being Beta(1, N - 2).
    """
    diffusion = Diffusion(PointCloudAction(SpecialEuclidean(2)))
    start = draws(diffusion.action, points, 2, seed=2).expand(6000, points, 2)
    corrector = LangevinCorrector(30, 0.2)
    end = corrector.refine(diffusion, nothing, start, 0.0, generator=torch.Generator().manual_seed(0))
    z = torch.view_as_complex((helmert(points) @ end).contiguous())
    share = z.abs() ** 2 / (z.abs() ** 2).sum(-1, keepdim=True)
    for s in share.unbind(-1):
        assert stats.kstest(s.numpy(), stats.beta(1, points - 2).cdf).pvalue > 1e-4
    if points == 3:
        coordinates = hopf(torch.view_as_real(z).flatten(-2)) / (z.abs() ** 2).sum(-1, keepdim=True)
        for u in coordinates.unbind(-1):
            assert stats.kstest(u.numpy(), stats.uniform(-1, 2).cdf).pvalue > 1e-4


def helmert(n: int) -> Tensor:
    """Orthonormal rows ``[n - 1, n]`` orthogonal to (1, ..., 1)."""
    rows = torch.zeros(n - 1, n, dtype=torch.float64)
    for k in range(1, n):
        rows[k - 1, :k], rows[k - 1, k] = 1, -k
    return rows / rows.norm(dim=-1, keepdim=True)


def test_the_wishart_law_is_stationary() -> None:
    """Langevin dynamics of N(0, I) on clouds of 5 points for a time of 3, from a stretched start: S = X^T X ends as
    Wishart_3(I, n), n = 4. E S = n I, E det S = n (n - 1)(n - 2), E tr S^2 = 3 n (n + 4), and log det S is a sum of
    logs of independent chi-squares with n, n - 1, n - 2 degrees.

    Within 5 standard errors of 3,000 clouds, plus the step's share (size 0.05: 2 per cent of S, 4 of its square, 6 of
    its determinant).
    """
    diffusion, count = Diffusion(), 3000
    start = draws(RIGID, count, 5, 3) * torch.tensor([1.5, 1.0, 0.5], dtype=torch.float64)
    x = LangevinCorrector(60, 0.05).refine(diffusion, nothing, start, 0.0, generator=torch.Generator().manual_seed(1))
    s = x.mT @ x
    determinant, square = torch.linalg.det(s), s.square().sum((-2, -1))
    for value, truth, share in (
        *((s[:, i, j], 4.0 * (i == j), 0.02) for i in range(3) for j in range(i + 1)),
        (determinant, 24.0, 0.06),
        (square, 96.0, 0.04),
    ):
        assert abs(float(value.mean()) - truth) < 5 * float(value.std()) / count**0.5 + share * truth
    generator = torch.Generator().manual_seed(2)
    logs = [torch.randn(count, k, generator=generator, dtype=torch.float64).square().sum(-1).log() for k in (4, 3, 2)]
    assert same_law(determinant.log(), logs[0] + logs[1] + logs[2]) > 1e-4


# -- paths of the samplers -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("sampler", [SDESampler(20), ODESampler(20, "euler")], ids=["SDE", "ODE"])
def test_paths_have_no_angular_momentum(sampler: SDESampler | ODESampler) -> None:
    """sum_n x_n(t_k) x x_n(t_k+1) = 0 for a denoiser that turns what it is given; total-space paths do turn.

    So Kabsch's rotation from one state to the next is the identity where steps are short, that is where the symmetric
    matrix sum_n x_n(t_k) x_n(t_k+1)^T has positive sums of two eigenvalues.
    """

    def turning(x: Tensor, t: Tensor, context: Context | None) -> Tensor:
        return 0.3 * x + torch.linalg.cross(x.new_tensor([0.5, -1.0, 0.3]).expand(x.shape), x)

    path = sampler.sample(
        Diffusion(),
        turning,
        (50, 5, 3),
        dtype=torch.float64,
        generator=torch.Generator().manual_seed(0),
        trajectory=True,
    )
    momentum = torch.linalg.cross(path[:-1], path[1:]).sum(-2)
    assert float(momentum.abs().max()) < 1e-12
    values = torch.linalg.eigvalsh(path[1:].mT @ path[:-1])  # symmetric, so that 1 is a critical rotation
    short = values[..., 0] + values[..., 1] > 1e-3
    turn = RIGID.align(path[1:], path[:-1])[..., :3] - torch.eye(3, dtype=torch.float64)
    assert float(short.double().mean()) > 0.8 and float(turn[short].abs().max()) < 1e-9
    plain = type(sampler)(20, horizontal=False)
    free = plain.sample(
        Diffusion(),
        turning,
        (50, 5, 3),
        dtype=torch.float64,
        generator=torch.Generator().manual_seed(0),
        trajectory=True,
    )
    assert float(torch.linalg.cross(free[:-1], free[1:]).sum(-2).abs().mean()) > 1e-3


def test_printed_sign_collapses_triangles() -> None:
    """Three atoms in space: p / det K is not integrable near straight lines. 4 area^2 = 3 det(X X^T), whose law is
    chi^2_3 chi^2_2 with mean 6; with the printed sign triangles fall onto lines, to within the step."""
    diffusion = Diffusion()
    start = draws(RIGID, 1000, 3, 3)
    areas = []
    for curvature in (DERIVED, PRINTED):
        x = LangevinCorrector(40, 0.05)._refine(
            diffusion, nothing, start, 0.0, None, True, torch.Generator().manual_seed(0), False, curvature
        )
        y = helmert(3) @ x
        areas.append(torch.linalg.det(y @ y.mT))
    assert abs(float(areas[0].mean()) - 6) < 5 * float(areas[0].std()) / 1000**0.5 + 0.3
    assert float(areas[1].mean()) < 1.0
    assert float(areas[1].median()) < 0.05 * float(areas[0].median())
