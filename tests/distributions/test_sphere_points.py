"""What the laws on the sphere are made of: normals, points at an angle, functions of the cosine, shared parameters."""

import math
from typing import Any

import mpmath
import pytest
import torch
from scipy import stats
from torch import Tensor

from pyro_symvi.distributions import PowerSpherical, SphericalUniform, VonMisesFisher
from pyro_symvi.distributions._cosine import LogCoversine, MinusVersine
from pyro_symvi.distributions._normals import BLOCK, fill_with_normals
from pyro_symvi.distributions._placement import place
from pyro_symvi.special import bessel_ratio

LAWS = {"vmf": VonMisesFisher, "power": PowerSpherical}
LEVEL = 1e-4


def unit(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (x / x.norm(dim=-1, keepdim=True)).to(dtype)


# normals


@pytest.mark.parametrize("count", [1, 63, 64, 65, 1001, BLOCK - 1, BLOCK + 1, 3 * BLOCK + 7])
def test_normals_of_every_count(count: int) -> None:
    """Kolmogorov-Smirnov at level 1e-4; no two alike; repeatable by torch's seed."""
    torch.manual_seed(count)
    x = fill_with_normals(torch.full((count,), math.nan, dtype=torch.float64))
    torch.manual_seed(count)
    assert torch.equal(x, fill_with_normals(torch.empty(count, dtype=torch.float64)))
    assert bool(x.isfinite().all()) and len(x.unique()) == count
    assert stats.kstest(x.numpy(), stats.norm.cdf).pvalue > LEVEL
    if count > 1000:
        assert stats.kstest(1.1 * x.numpy(), stats.norm.cdf).pvalue < 0.01 or count < 2000


def test_normals_are_independent() -> None:
    """Moments of products at each lag up to 3 and at half a block, where pairs are made; 4.5 standard errors."""
    torch.manual_seed(0)
    x = fill_with_normals(torch.empty(4 * BLOCK, dtype=torch.float64))
    for lag in (1, 2, 3, BLOCK // 2, BLOCK):
        a, b = x[lag:], x[:-lag]
        for u, v in ((a, b), (a.square() - 1, b.square() - 1), (a, b.square() - 1)):
            assert abs((u * v).mean().item()) < 4.5 * (u * v).std().item() / math.sqrt(len(a))
    for power, moment in ((2, 1), (4, 3), (6, 15)):
        values = x**power
        assert abs(values.mean().item() - moment) < 4.5 * values.std().item() / math.sqrt(len(x))


# points at an angle


@pytest.mark.parametrize("dim", [2, 3, 4, 31, 32, 200])
@pytest.mark.parametrize("many", [False, True])
def test_points_lie_at_the_angle_uniformly_around(dim: int, many: bool) -> None:
    """The coordinate along a vector across the direction has its symmetric Beta law; Kolmogorov-Smirnov, 1e-4."""
    torch.manual_seed(dim)
    mu = unit(dim, seed=1)
    theta = torch.linspace(0.01, 3.1, 4000, dtype=torch.float64)
    x = place(mu.expand(4000, dim).clone() if many else mu, theta.cos(), theta.sin())
    assert torch.allclose(x @ mu, theta.cos(), rtol=0, atol=5e-15)
    assert torch.allclose(x.norm(dim=-1), torch.ones(4000, dtype=torch.float64), rtol=0, atol=5e-15)
    b = unit(dim, seed=2)
    b = b - (b @ mu) * mu
    across = ((x - theta.cos()[:, None] * mu) @ (b / b.norm())) / theta.sin()
    if dim == 2:
        assert torch.allclose(across.abs(), torch.ones(4000, dtype=torch.float64), atol=1e-12)
        assert abs((across > 0).double().mean().item() - 0.5) < 4 * 0.5 / math.sqrt(4000)
    else:
        half = (dim - 2) / 2
        assert stats.kstest(((1 + across) / 2).numpy(), stats.beta(half, half).cdf).pvalue > LEVEL
        assert stats.kstest(((1 + across) / 2).numpy(), stats.beta(2 * half, 2 * half).cdf).pvalue < LEVEL


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_single_precision_directions_close_to_the_first_axis(sign: float, many: bool) -> None:
    """A reflection along mu - e_1 would lose the direction there: draws at angle 0 are the direction."""
    mu = torch.tensor([sign, 3e-4, -1e-4, 2e-8])
    x = place(mu[None] if many else mu, torch.ones(1), torch.zeros(1))[0]
    assert torch.allclose(x, mu, rtol=0, atol=1e-7)
    assert abs(x[1].item() - 3e-4) < 1e-7 and abs(x[2].item() + 1e-4) < 1e-7


# functions of the cosine


def exact(x: Tensor, mu: Tensor, sign: int) -> Any:
    """|x - sign mu|^2 / 2 of the stored numbers."""
    return sum((mpmath.mpf(a) - sign * mpmath.mpf(b)) ** 2 for a, b in zip(x.tolist(), mu.tolist(), strict=True)) / 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dim", [3, 10, 47, 48, 300])
@pytest.mark.parametrize("scale", [1e-6, 1e-2, 0.4, 1.0, 3.0])
def test_functions_of_the_cosine_keep_their_digits(dim: int, scale: float, dtype: torch.dtype) -> None:
    """1 - cos relative to itself; log((1 + cos)/2) relative near the direction and near the antipode."""
    mu = unit(dim, seed=1, dtype=dtype)
    tangent = unit(40, dim, seed=2)
    tangent = tangent - (tangent @ mu.double())[:, None] * mu.double()
    tangent = tangent / tangent.norm(dim=-1, keepdim=True)
    angles = scale * torch.linspace(0.1, 1, 40, dtype=torch.float64)
    near = (angles.cos()[:, None] * mu.double() + angles.sin()[:, None] * tangent).to(dtype)
    eps = torch.finfo(dtype).eps
    versine, log, far = -MinusVersine.apply(near, mu), LogCoversine.apply(near, mu), LogCoversine.apply(-near, mu)
    one_by_one = torch.stack([-MinusVersine.apply(x, mu) for x in near])
    for i in range(0, 40, 3):
        with mpmath.workdps(40):
            true = exact(near[i], mu, 1)
            assert abs(versine[i].item() / true - 1) < 30 * eps
            assert abs(one_by_one[i].item() / true - 1) < 30 * eps
            if true < 1:
                assert abs(log[i].item() / mpmath.log(1 - true / 2) - 1) < 30 * eps
                assert abs(far[i].item() / mpmath.log(true / 2) - 1) < 30 * eps


@pytest.mark.parametrize("of_cosine", [MinusVersine, LogCoversine])
def test_functions_of_the_cosine_are_differentiable_along_the_sphere(of_cosine: Any) -> None:
    """Against finite differences in the angle, twice; forward mode and vmap agree with reverse mode."""

    def of_angle(theta: Tensor) -> Tensor:
        x = torch.stack([theta.cos(), theta.sin()], -1)
        return of_cosine.apply(x, torch.tensor([1.0, 0.0], dtype=torch.float64))

    theta = torch.tensor([0.3, 1.5, 2.8], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(of_angle, (theta,), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(of_angle, (theta,))
    mu, x = unit(4), unit(5, 4, seed=1)
    by_row = torch.func.vmap(torch.func.grad(lambda m, v: of_cosine.apply(v, m)), (None, 0))(mu, x)
    leaf = mu.expand(5, 4).clone().requires_grad_()
    assert torch.allclose(by_row, torch.autograd.grad(of_cosine.apply(x, leaf).sum(), leaf)[0], rtol=1e-13)


def test_at_the_antipode_the_slope_is_zero() -> None:
    mu = unit(3).requires_grad_()
    log = LogCoversine.apply(-mu.detach(), mu)
    assert log.item() == pytest.approx(math.log(torch.finfo(torch.float64).tiny))
    assert torch.autograd.grad(log, mu)[0].abs().max().item() == 0.0


# log densities as one differentiable function


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("dim", [2, 3, 5, 60])
def test_derivatives_of_log_densities_by_finite_differences(name: str, dim: int) -> None:
    """In value, direction (both moved along the sphere) and concentration; forward mode, twice, batched and not."""

    def log_prob(a: Tensor, m: Tensor, kappa: Tensor) -> Tensor:
        value, mu = (v / v.norm(dim=-1, keepdim=True) for v in (a, m))
        return LAWS[name](mu, kappa, validate_args=False).log_prob(value)

    kappa = torch.tensor([0.5, 7.0, 40.0], dtype=torch.float64)
    every = (
        (unit(3, dim), unit(3, dim, seed=1), kappa),
        (unit(3, dim), unit(dim, seed=1), kappa[1]),
        (unit(dim), unit(dim, seed=1), kappa),
        (unit(2, 1, dim), unit(3, dim, seed=1), kappa[2]),
    )
    for arguments in every if dim <= 5 else every[:1]:
        leaves = tuple(a.clone().requires_grad_() for a in arguments)
        assert torch.autograd.gradcheck(log_prob, leaves, check_forward_ad=True, rtol=2e-3, atol=1e-5, eps=1e-7)
        if dim <= 5:
            assert torch.autograd.gradgradcheck(log_prob, leaves, rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("name", LAWS)
def test_log_densities_mapped_over_each_argument(name: str) -> None:
    """Also where the mapped size is that of another axis."""
    mu, x, kappa = unit(5, 4), unit(5, 4, seed=1), torch.linspace(0.1, 30, 5, dtype=torch.float64)

    def log_prob(m: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return LAWS[name](m, k, validate_args=False).log_prob(v)

    def slopes(m: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        return torch.func.grad(lambda *args: log_prob(*args).sum(), (0, 1, 2))(m, k, v)

    for in_dims in ((None, 0, None), (0, None, None), (None, None, 0), (0, 0, None), (None, 0, 0), (0, 0, 0)):
        arguments = [
            (a if axis == 0 else a[0]) if i != 2 else a  # the values keep an axis of size 5 of their own
            for i, (a, axis) in enumerate(zip((mu, kappa, x), in_dims, strict=True))
        ]
        if in_dims[2] == 0:
            arguments[2] = torch.stack([x.roll(i, 0) for i in range(5)])
        rows = [[a[i] if axis == 0 else a for a, axis in zip(arguments, in_dims, strict=True)] for i in range(5)]
        mapped = torch.func.vmap(log_prob, in_dims)(*arguments)
        assert torch.allclose(mapped, torch.stack([log_prob(*row) for row in rows]), rtol=1e-12)
        found = torch.func.vmap(slopes, in_dims)(*arguments)
        for each, expected in zip(found, zip(*(slopes(*row) for row in rows), strict=True), strict=True):
            assert torch.allclose(each, torch.stack(expected), rtol=1e-11, atol=1e-13)
    hessian = torch.func.hessian(lambda k: log_prob(mu[0], k, x).sum())(kappa[2])
    twice = torch.func.grad(torch.func.grad(lambda k: log_prob(mu[0], k, x).sum()))(kappa[2])
    assert hessian.item() == pytest.approx(twice.item(), rel=1e-10)


# parameters that are shared


@pytest.mark.parametrize("name", LAWS)
def test_an_expanded_parameter_is_one_parameter(name: str) -> None:
    """Values and gradients are those of as many copies, whether the user or the law has expanded it."""
    mu, x = unit(3), unit(6, 2, 3, seed=1)
    kappa = torch.tensor([0.7, 20.0], dtype=torch.float64)

    def gradients(make: Any) -> tuple[Tensor, ...]:
        leaves = mu.clone().requires_grad_(), kappa.clone().requires_grad_()
        law = make(*leaves)
        log = law.log_prob(x)
        assert law.batch_shape == (6, 2) and log.shape == (6, 2)
        total = log.sum() + (law.entropy() * torch.arange(12).view(6, 2)).sum() + law.mean.sum() + law.variance.sum()
        return log, *torch.autograd.grad(total, leaves)

    copies = gradients(lambda m, k: LAWS[name](m + torch.zeros(6, 2, 3).double(), k + torch.zeros(6, 2).double()))
    for make in (
        lambda m, k: LAWS[name](m, k).expand((6, 2)),
        lambda m, k: LAWS[name](m.expand(6, 2, 3), k.expand(6, 2)),
        lambda m, k: LAWS[name](m.expand(6, 1, 3), k.expand(6, 2)),
        lambda m, k: LAWS[name](m, k.expand(1, 2)).expand((6, 2)),
    ):
        for found, expected in zip(gradients(make), copies, strict=True):
            assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    wide = LAWS[name](mu, kappa[0]).expand((4,))
    assert wide.log_prob(x[0, 0]).shape == (4,) and wide.entropy().shape == (4,)
    with pytest.raises((RuntimeError, ValueError)):
        wide.log_prob(x[:, 0])  # six points for four laws


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("dim", [2, 3, 4, 40])
@pytest.mark.parametrize("shape", ["one law", "laws", "directions", "concentrations"])
def test_gradients_of_draws_with_and_without_a_graph_agree(name: str, dim: int, shape: str) -> None:
    """What is computed in few passes, and what may be differentiated again."""
    mu = unit(5, dim, seed=1) if shape in ("laws", "directions") else unit(dim, seed=1)
    kappa = torch.tensor([0.0, 0.05, 1.0, 9.0, 300.0], dtype=torch.float64)
    leaves = mu.requires_grad_(), (kappa if shape in ("laws", "concentrations") else kappa[3]).requires_grad_()
    torch.manual_seed(0)
    x = LAWS[name](*leaves).rsample((300,))
    weight = torch.randn_like(x)
    plain = torch.autograd.grad(x, leaves, weight, retain_graph=True)
    graph = torch.autograd.grad(x, leaves, weight, create_graph=True)
    for a, b in zip(plain, graph, strict=True):
        assert a.shape == b.shape and torch.allclose(a, b, rtol=1e-8, atol=1e-9 * b.abs().max().item())
    assert graph[0].requires_grad and graph[1].requires_grad


@pytest.mark.parametrize("name", LAWS)
def test_one_draw_moves_with_its_parameters_as_the_law_does(name: str) -> None:
    """The angle of a draw moves by the velocity of the law; the direction carries it along."""
    torch.manual_seed(3)
    mu, kappa = unit(4).requires_grad_(), torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    law = LAWS[name](mu, kappa)
    x = law.rsample()
    theta = torch.arccos(x.detach() @ mu.detach())
    (rate,) = torch.autograd.grad(x @ mu.detach(), kappa, retain_graph=True)
    speed = -theta.sin() * law.angle.velocity(theta, kappa.detach())
    assert rate.item() == pytest.approx(speed.item(), rel=1e-9)
    x = x.clone()
    x.mul_(2.0)  # a draw may be changed in place
    assert x.norm().item() == pytest.approx(2.0)
    LAWS[name](mu, kappa).rsample((3,)).add_(1.0)


@pytest.mark.parametrize("dim", [2, 3, 4, 5, 10, 50])
def test_ends_of_the_sphere(dim: int) -> None:
    """A draw at the direction itself, or at its antipode, has a finite gradient, 0 in the concentration."""
    for name in LAWS:
        law = LAWS[name](unit(dim), 2.0).angle
        tiny = torch.tensor([1e-300, 1e-200], dtype=torch.float64)
        for h, g in ((tiny, 2 - tiny), (0 * tiny, 2 - tiny)):
            q = law.pull(h, g, torch.tensor(2.0, dtype=torch.float64))
            constant = law.constant(torch.tensor(2.0, dtype=torch.float64))
            assert torch.allclose(q, (constant / (dim - 1)).expand(2), rtol=1e-9)  # the limit -ET / (d - 1)
    if dim != 2:
        assert bessel_ratio(dim, torch.tensor(2.0)) > 0
    assert SphericalUniform(dim).sample((3,)).shape == (3, dim)


@pytest.mark.parametrize("law", [VonMisesFisher, PowerSpherical])
@pytest.mark.parametrize("functional", [False, True])
def test_each_entry_of_an_expanded_parameter_has_its_own_gradient(law: Any, functional: bool) -> None:
    """As the entries of a tensor that holds five equal numbers, or five equal directions, each in its own place."""
    x = torch.nn.functional.normalize(
        torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), dim=-1
    )
    mu, kappa = torch.eye(4, dtype=torch.float64)[0], torch.tensor(2.0, dtype=torch.float64)

    def total(direction: Tensor, concentration: Tensor) -> Tensor:
        return law(direction, concentration, validate_args=False).log_prob(x).sum()

    def gradients(direction: Tensor, concentration: Tensor) -> tuple[Tensor, ...]:
        if functional:
            return torch.func.grad(total, argnums=(0, 1))(direction, concentration)
        leaves = direction.detach().requires_grad_(), concentration.detach().requires_grad_()
        return torch.autograd.grad(total(*leaves), leaves)

    expanded = gradients(mu.expand(5, 4), kappa.expand(5))
    for found, expected in zip(expanded, gradients(mu.repeat(5, 1), kappa.repeat(5)), strict=True):
        torch.testing.assert_close(found, expected)
        assert len(set(found.reshape(5, -1)[:, 0].tolist())) == 5
