"""A diffusion as a Pyro distribution, against closed forms of normal clouds."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor
from torch.distributions import biject_to

from pyro_symvi.groups import PointCloudAction, SpecialEuclidean, SpecialOrthogonal
from pyro_symvi.quotient import Context, Diffusion, HarmonicPrior, Trigonometric
from pyro_symvi.quotient.laws import CentredClouds, HelmertTransform, ShapeDistribution
from pyro_symvi.quotient.samplers import LangevinCorrector, ODESampler, Sampler, SDESampler
from tests.quotient.laws.normal_clouds import DIFFUSION, NormalDenoiser, clouds, fixed, normal_log_density


@pytest.mark.parametrize("interpolant", ["linear", "trigonometric"])
def test_log_prob_of_a_normal_law(interpolant: str) -> None:
    diffusion = Diffusion(interpolant=Trigonometric()) if interpolant == "trigonometric" else DIFFUSION
    law = ShapeDistribution(diffusion, fixed(0.6, diffusion), 4, steps=12)
    x = 0.6 * clouds(5)
    assert torch.allclose(law.log_prob(x), normal_log_density(x, 0.6), atol=1e-3)


def test_the_error_of_log_prob_falls_with_the_steps() -> None:
    """Fourth order, down to the error of the last Euler step; both ways of computing it."""
    x = 0.6 * clouds(5)
    exact = normal_log_density(x, 0.6)

    def error(n: int, denoiser: NormalDenoiser) -> float:
        law = ShapeDistribution(DIFFUSION, denoiser, 4, steps=n)
        return float((law.log_prob(x).detach() - exact).abs().max())

    assert error(10, fixed(0.6)) < error(3, fixed(0.6)) / 30
    assert error(3, NormalDenoiser(0.6)) == pytest.approx(error(3, fixed(0.6)), rel=1e-6)


def test_the_density_of_the_quotient_carries_the_volume_of_the_orbit() -> None:
    x, denoiser = 0.6 * clouds(5), fixed(0.6)
    total = ShapeDistribution(DIFFUSION, denoiser, 4, steps=3).log_prob(x)
    quotient = ShapeDistribution(DIFFUSION, denoiser, 4, space="quotient", steps=3).log_prob(x)
    scatter = x.mT @ x
    inertia = scatter.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None] * torch.eye(3) - scatter
    volume = torch.linalg.slogdet(inertia).logabsdet / 2
    assert torch.allclose(quotient - total, volume, atol=1e-8)


def test_the_law_of_draws() -> None:
    """|x|^2 / s^2 is chi-square with (N - 1) d = 9 degrees of freedom: mean 9, variance 18."""
    pyro.set_rng_seed(3)
    law = ShapeDistribution(DIFFUSION, fixed(0.6), 4)
    x = law.sample(torch.Size([4000]))
    assert x.shape == (4000, 4, 3) and x.dtype == torch.float64 and not x.requires_grad
    assert float(x.mean(-2).abs().max()) < 1e-12
    size = x.square().sum((-2, -1)) / 0.36
    assert float(size.mean()) == pytest.approx(9.0, abs=4 * math.sqrt(18 / 4000))
    fourth = 9 * 11 * 13 * 15 - 4 * 9 * 9 * 11 * 13 + 6 * 81 * 9 * 11 - 3 * 9**4  # fourth central moment
    assert float(size.var()) == pytest.approx(18.0, abs=4 * math.sqrt((fourth - 18**2) / 4000))
    assert float((x[:, 0] * x[:, 1]).sum(-1).mean()) == pytest.approx(-3 * 0.36 / 4, abs=4 * 0.36 * math.sqrt(3) / 60)


@pytest.mark.parametrize("scale, steps", [(0.1, 50), (0.3, 25), (0.6, 25)])
def test_how_much_too_narrow_draws_are(scale: float, steps: int) -> None:
    z = clouds(3)
    x = ShapeDistribution(DIFFUSION, fixed(scale), 4, sampler=ODESampler(steps)).from_noise(z)
    lost = 1 - float((x.square().sum() / z.square().sum()).sqrt()) / scale
    assert lost == pytest.approx(0.4 * (1.3 / (steps * scale)) ** 2, rel=0.2)


def test_draws_are_differentiable_in_parameters_and_noise() -> None:
    """The flow is x -> (s / s_0) x, exactly so in the limit of many steps; finite differences see the same steps."""
    denoiser = NormalDenoiser(0.6)
    law = ShapeDistribution(DIFFUSION, denoiser, 4)
    noise = clouds(3, seed=1).requires_grad_()
    weights = clouds(3, seed=2)

    def draw(log_scale: float) -> Tensor:
        with torch.no_grad():
            other = NormalDenoiser(math.exp(log_scale))
            return (weights * ShapeDistribution(DIFFUSION, other, 4).from_noise(noise)).sum()

    value = (weights * law.from_noise(noise)).sum()
    slope, by_noise = torch.autograd.grad(value, [denoiser.log_scale, noise])
    at, step = math.log(0.6), 1e-5
    assert float(slope) == pytest.approx(float(draw(at + step) - draw(at - step)) / (2 * step), rel=1e-6)
    assert float(slope) == pytest.approx(float(value.detach()), rel=2e-2)
    assert torch.allclose(by_noise, 0.6 * weights, atol=1e-2)


def test_log_prob_is_differentiable_in_the_value_and_in_parameters() -> None:
    denoiser = NormalDenoiser(0.6)
    law = ShapeDistribution(DIFFUSION, denoiser, 4, steps=6)
    x = (0.6 * clouds(3)).requires_grad_()
    by_value, by_scale = torch.autograd.grad(law.log_prob(x).sum(), [x, denoiser.log_scale])
    assert torch.allclose(by_value, -x.detach() / 0.36, atol=1e-2)
    assert float(by_scale) == pytest.approx(float((x.square().sum((-2, -1)) / 0.36 - 9).sum().detach()), abs=2e-2)


def test_a_reparameterised_objective_finds_the_scale() -> None:
    """KL from N(0, s^2) to N(0, 1): its gradient in log s is 9 (s^2 - 1), one value a draw up to noise."""
    pyro.set_rng_seed(0)
    denoiser = NormalDenoiser(0.6)
    law = ShapeDistribution(DIFFUSION, denoiser, 4, steps=4, sampler=ODESampler(20))
    x = law.rsample(torch.Size([200]))
    divergence = (law.log_prob(x) - normal_log_density(x, 1.0)).mean()
    (slope,) = torch.autograd.grad(divergence, denoiser.log_scale)
    # the draws enter as s^2 |z|^2 - 9, whose standard deviation is s^2 sqrt(18)
    assert float(slope) == pytest.approx(9 * (0.36 - 1), abs=4 * 0.36 * math.sqrt(18 / 200) + 0.05)


@pytest.mark.parametrize("gradients", [False, True], ids=["plain", "with gradients"])
def test_a_random_divergence_is_unbiased(gradients: bool) -> None:
    pyro.set_rng_seed(0)
    denoiser = NormalDenoiser(0.6) if gradients else fixed(0.6)
    x = (0.6 * clouds()).expand(200, 4, 3)
    exact, random = (
        ShapeDistribution(DIFFUSION, denoiser, 4, steps=3, divergence=kind).log_prob(x).detach()
        for kind in ("exact", "hutchinson")
    )
    assert float(random.std()) > 0.1
    assert float(random.mean() - exact[0]) == pytest.approx(0.0, abs=4 * float(random.std()) / math.sqrt(200))


def test_the_law_does_not_see_rotations() -> None:
    law = ShapeDistribution(DIFFUSION, fixed(0.6), 4, steps=5)
    x = clouds(6)
    turned = x @ SpecialOrthogonal(3).sample(6, generator=torch.Generator().manual_seed(0)).mT
    assert torch.allclose(law.log_prob(turned), law.log_prob(x), atol=1e-10)


# -- shapes and Pyro's manners -----------------------------------------------------------------------------------------


def test_batches_expand_and_plates() -> None:
    law = ShapeDistribution(DIFFUSION, fixed(0.6), 4, steps=5)
    assert law.batch_shape == () and law.event_shape == (4, 3) and law.event_dim == 2
    wide = law.expand([2, 3])
    assert wide.batch_shape == (2, 3) and wide.sample(torch.Size([5])).shape == (5, 2, 3, 4, 3)
    assert wide.log_prob(clouds(5, 2, 3)).shape == (5, 2, 3) and wide.log_prob(clouds()).shape == (2, 3)
    assert wide.to_event(1).log_prob(clouds(2, 3)).shape == (2,)

    def model() -> Tensor:
        with pyro.plate("views", 3):
            return pyro.sample("x", law)

    trace = pyro.poutine.trace(model).get_trace()
    assert trace.nodes["x"]["value"].shape == (3, 4, 3)
    trace.compute_log_prob()
    assert trace.nodes["x"]["log_prob"].shape == (3,)


def test_batches_of_contexts() -> None:
    """Each cloud has its own scale, which the denoiser reads from the features."""

    def denoiser(x: Tensor, t: Tensor, context: Context | None) -> Tensor:
        assert context is not None and context.features is not None and context.features.shape[:-1] == x.shape[:-1]
        time, variance = DIFFUSION.column(t, x), context.features.square()
        return time * variance / ((1 - time) ** 2 * 1.69 + time**2 * variance) * x

    scales = torch.tensor([0.5, 0.8], dtype=torch.float64)
    law = ShapeDistribution(
        DIFFUSION,
        denoiser,
        context=Context(features=scales[:, None, None].expand(2, 4, 1)),
        dtype=torch.float64,
        steps=8,
    )
    assert law.batch_shape == (2,) and law.sample().shape == (2, 4, 3)
    x = 0.6 * clouds(3, 2)
    assert torch.allclose(law.log_prob(x), normal_log_density(x, scales), atol=5e-3)
    wide = law.expand([3, 2])
    assert torch.allclose(wide.log_prob(x), law.log_prob(x))
    assert wide.sample(torch.Size([2])).shape == (2, 3, 2, 4, 3)


def test_masked_points_stay_at_zero_and_do_not_count() -> None:
    mask = torch.tensor([True, True, True, False])
    law = ShapeDistribution(DIFFUSION, fixed(0.6), context=Context(mask=mask), steps=8)
    x = law.sample(torch.Size([3]))
    assert bool((x[:, 3] == 0).all()) and float(x.mean(-2).abs().max()) < 1e-12
    assert torch.allclose(law.log_prob(x), normal_log_density(x[:, :3], 0.6), atol=1e-3)
    with pytest.raises(ValueError, match="support"):
        law.log_prob(clouds())
    with pytest.raises(NotImplementedError, match=r"got a mask.*try pyro.poutine.reparam"):
        biject_to(law.support)


def test_the_harmonic_prior_as_the_law_of_a_still_flow() -> None:
    """With a trigonometric path and data of the prior's law the flow stands still: log p is the prior's."""
    edges = torch.diag(torch.ones(3, dtype=torch.int64), 1)
    edges = edges + edges.mT
    prior = HarmonicPrior(2.0)
    diffusion = Diffusion(interpolant=Trigonometric(), prior=prior)

    def denoiser(x: Tensor, t: Tensor, context: Context | None) -> Tensor:
        return diffusion.interpolant.beta(diffusion.column(t, x)) * x

    law = ShapeDistribution(diffusion, denoiser, context=Context(edges=edges), dtype=torch.float64, steps=10)
    pyro.set_rng_seed(1)
    x = law.sample(torch.Size([4]))
    laplacian = torch.diag(edges.sum(-1)) - edges
    basis = HelmertTransform(4)
    columns = basis(torch.eye(3, dtype=torch.float64))
    precision = columns.mT @ (2.0 * laplacian.double()) @ columns
    normal = dist.MultivariateNormal(torch.zeros(3, dtype=torch.float64), precision_matrix=precision)
    assert torch.allclose(law.log_prob(x), normal.log_prob(basis.inv(x).mT).sum(-1), atol=1e-8)


@pytest.mark.parametrize(
    "sampler", [SDESampler(4), ODESampler(4, corrector=LangevinCorrector(1))], ids=["sde", "corrected"]
)
def test_random_samplers_have_no_rsample(sampler: Sampler) -> None:
    law = ShapeDistribution(DIFFUSION, fixed(0.6), 4, sampler=sampler)
    assert not law.has_rsample and not law.expand([2]).has_rsample and law.sample(torch.Size([2])).shape == (2, 4, 3)
    with pytest.raises(NotImplementedError, match="expected an ODE sampler"):
        law.rsample()
    with pytest.raises(NotImplementedError, match="expected an ODE sampler"):
        law.from_noise(law.noise())


def test_the_flow_takes_the_steps_of_the_sampler() -> None:
    sampler = ODESampler(7, method="euler")
    law = ShapeDistribution(DIFFUSION, fixed(0.6), 4, sampler=sampler)
    noise = clouds(3)
    direct = sampler.sample(DIFFUSION, law.denoiser, (3, 4, 3), start=1.3 * noise)
    assert torch.allclose(law.from_noise(noise), direct, rtol=0, atol=1e-12)


def test_seeds_are_those_of_pyro() -> None:
    law = ShapeDistribution(DIFFUSION, fixed(0.6), 4, steps=3)
    draws = []
    for _ in range(2):
        pyro.set_rng_seed(5)
        draws.append(law.sample())
    assert torch.equal(*draws)


# -- the support ---------------------------------------------------------------------------------------------------


def test_values_off_the_support_are_refused() -> None:
    law = ShapeDistribution(DIFFUSION, fixed(0.6), 4, steps=2)
    x = clouds()
    for bad in (x + 0.01, x.masked_fill(torch.eye(4, 3) > 0, math.nan)):
        with pytest.raises(ValueError, match="support"):
            law.log_prob(bad)
    assert bool(CentredClouds(4).check(1e6 * x)) and bool(CentredClouds(4).check(x.float() - x.float().mean(-2)))
    assert not bool(CentredClouds(3).check(x))


def test_helmert_coordinates_are_an_isometry() -> None:
    transform = biject_to(CentredClouds(5))
    y = torch.randn(2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = transform(y)
    assert x.shape == transform.forward_shape(y.shape) and y.shape == transform.inverse_shape(x.shape)
    assert bool(CentredClouds(5).check(x).all()) and torch.allclose(transform.inv(x), y)
    assert torch.allclose(x.square().sum((-2, -1)), y.square().sum((-2, -1)))
    assert torch.equal(transform.log_abs_det_jacobian(y, x), torch.zeros(2))
    assert transform == HelmertTransform(5) and transform != HelmertTransform(4)
    moved = dist.TransformedDistribution(dist.Normal(torch.zeros(4, 3).double(), 0.6).to_event(2), [transform])
    assert torch.allclose(moved.log_prob(x), normal_log_density(x, 0.6))


BAD = {
    "no diffusion": (lambda: ShapeDistribution(None, NormalDenoiser(1.0), 4), TypeError, "expected a Diffusion"),
    "no denoiser": (lambda: ShapeDistribution(DIFFUSION, 3.0, 4), TypeError, "expected a denoiser"),
    "no points": (
        lambda: ShapeDistribution(DIFFUSION, NormalDenoiser(1.0)),
        ValueError,
        "expected points or a context",
    ),
    "one point": (lambda: ShapeDistribution(DIFFUSION, NormalDenoiser(1.0), 1), ValueError, "points >= 2"),
    "contradiction": (
        lambda: ShapeDistribution(DIFFUSION, NormalDenoiser(1.0), 4, Context(features=torch.zeros(5, 1))),
        ValueError,
        "as many points as the context has, 5",
    ),
    "no sampler": (
        lambda: ShapeDistribution(DIFFUSION, NormalDenoiser(1.0), 4, sampler="ode"),
        TypeError,
        "expected a Sampler",
    ),
    "space": (
        lambda: ShapeDistribution(DIFFUSION, NormalDenoiser(1.0), 4, space="shape"),
        ValueError,
        "expected space to be one of total, quotient",
    ),
    "divergence": (
        lambda: ShapeDistribution(DIFFUSION, NormalDenoiser(1.0), 4, divergence="none"),
        ValueError,
        "expected divergence to be one of",
    ),
    "rotations only": (
        lambda: ShapeDistribution(Diffusion(PointCloudAction(SpecialOrthogonal(3))), NormalDenoiser(1.0), 4),
        ValueError,
        "rigid motions",
    ),
    "masses": (
        lambda: ShapeDistribution(Diffusion(PointCloudAction(SpecialEuclidean(3), [1.0, 2.0])), NormalDenoiser(1.0), 2),
        ValueError,
        "without weights",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments(name: str) -> None:
    make, kind, message = BAD[name]
    with pytest.raises(kind, match=message):
        make()
