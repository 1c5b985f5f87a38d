"""Laws and guides on smoothed mixtures of triangles in the plane, whose densities and posteriors are known exactly."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from pyro_symvi.groups import PointCloudAction, SpecialEuclidean, SpecialOrthogonal
from pyro_symvi.quotient import Context, Diffusion, GaussianPrior
from pyro_symvi.quotient.laws import ShapeDistribution, ShapeGuide
from pyro_symvi.quotient.oracles import ShapeMixture
from pyro_symvi.quotient.samplers import ODESampler

SIZE = 0.8
DIFFUSION = Diffusion(PointCloudAction(SpecialEuclidean(2)), prior=GaussianPrior(SIZE))
WIDTH, NOISE = 0.15, 0.3
PRIOR = torch.tensor([0.7, 0.3], dtype=torch.float64)


def triangle(a: Tensor, b: Tensor, theta: Tensor) -> Tensor:
    """Sides a, b about point 1 and the angle there, to the left; centred ``[*batch, 3, 2]``."""
    zero = torch.zeros_like(a)
    corner = torch.stack([b * theta.cos(), b * theta.sin()], -1)
    x = torch.stack([torch.stack([a, zero], -1), torch.stack([zero, zero], -1), corner], -2)
    return x - x.mean(-2, keepdim=True)


SHAPES = torch.stack([triangle(*torch.tensor([1.0, 1.0, angle]).double()) for angle in (1.2, 2.4)])


class Smoothed:
    """x_1 = R z_k + WIDTH eps. x_t is that of the mixture without eps at an earlier time, in other units."""

    def __init__(self, weights: Tensor) -> None:
        self.mixture = ShapeMixture(SHAPES, weights)

    def earlier(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        variance = (1 - t) ** 2 * SIZE**2 + t**2 * WIDTH**2
        rate = SIZE / variance.sqrt()
        return t * rate / (1 + t * rate), rate / (1 + t * rate), variance

    def __call__(self, x: Tensor, t: Tensor, context: Context | None = None) -> Tensor:
        time, ratio, variance = self.earlier(t)
        clean = self.mixture.denoiser(DIFFUSION)(ratio[..., None, None] * x, time)
        column = t[..., None, None]
        return clean + column * WIDTH**2 / variance[..., None, None] * (x - column * clean)

    def log_density(self, x: Tensor) -> Tensor:
        time, ratio, _ = self.earlier(torch.tensor(1.0, dtype=torch.float64))
        return self.mixture.log_density(DIFFUSION, ratio * x, time) + 4 * ratio.log()


def opening(x: Tensor) -> Tensor:
    """The angle at point 1, without sign."""
    a, b = x[..., 0, :] - x[..., 1, :], x[..., 2, :] - x[..., 1, :]
    return ((a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1))).clamp(-1, 1).acos()


def end_to_end(x: Tensor) -> Tensor:
    return (x[..., 0, :] - x[..., 2, :]).norm(dim=-1)


def test_log_prob_is_the_exact_log_density() -> None:
    exact = Smoothed(PRIOR)
    law = ShapeDistribution(DIFFUSION, exact, 3, dtype=torch.float64, steps=10)
    generator = torch.Generator().manual_seed(0)
    x = exact.mixture.sample(10, generator=generator)
    x = DIFFUSION.centre(x + WIDTH * torch.randn(x.shape, dtype=torch.float64, generator=generator))
    with torch.no_grad():
        value = law.log_prob(x)
        assert torch.allclose(value, exact.log_density(x), atol=1e-2)
        turned = x @ SpecialOrthogonal(2).sample(10, generator=generator).mT
        assert torch.allclose(law.log_prob(turned), value, atol=1e-8)
        # a mirror image is another shape
        assert float((law.log_prob(x * torch.tensor([1.0, -1.0])) - value).abs().median()) > 1


def test_draws_fill_the_wells() -> None:
    pyro.set_rng_seed(0)
    law = ShapeDistribution(DIFFUSION, Smoothed(PRIOR), 3, dtype=torch.float64, sampler=ODESampler(40))
    x = law.sample(torch.Size([2000]))
    gaps = torch.stack(
        [PointCloudAction(SpecialEuclidean(2)).distance(x, shape.expand(2000, 3, 2)) for shape in SHAPES]
    )
    assert float((gaps.argmin(0) == 1).double().mean()) == pytest.approx(0.3, abs=4 * math.sqrt(0.21 / 2000) + 0.01)


def quadrature(observed: float) -> tuple[float, float, float]:
    """Log evidence, probability of an angle above 1.8 and the mean angle, given the noisy end-to-end distance.

    Lebesgue measure on centred planar triangles is (2 pi / 3) a b da db dtheta, the pose integrated out.
    """
    lengths = torch.linspace(0.05, 2.2, 44, dtype=torch.float64)
    angles = torch.linspace(-math.pi, math.pi, 101, dtype=torch.float64)[:-1]
    a, b, theta = torch.meshgrid(lengths, lengths, angles, indexing="ij")
    x = triangle(a, b, theta)
    log_p = Smoothed(PRIOR).log_density(x) + dist.Normal(end_to_end(x), NOISE).log_prob(torch.tensor(observed))
    cell = float((lengths[1] - lengths[0]) ** 2 * (angles[1] - angles[0]))
    mass = log_p.exp() * 2 * math.pi / 3 * a * b * cell
    total = float(mass.sum())
    return math.log(total), float(mass[theta.abs() > 1.8].sum()) / total, float((mass * theta.abs()).sum()) / total


@pytest.mark.parametrize("observed", [1.2, 1.5])
def test_an_amortised_guide_against_quadrature(observed: float) -> None:
    """The guide's denoiser reads the data: wells weighted by the likelihood at their clean shapes, prior times fit.

    It is not exact (smoothing bends the likelihood); importance weights make it so, and few draws are lost.
    """
    pyro.set_rng_seed(1)
    prior = ShapeDistribution(DIFFUSION, Smoothed(PRIOR), 3, dtype=torch.float64, steps=8)

    def model(distance: Tensor) -> None:
        x = pyro.sample("x", prior)
        pyro.sample("distance", dist.Normal(end_to_end(x), NOISE), obs=distance)

    def denoiser(x: Tensor, t: Tensor, context: Context | None) -> Tensor:
        assert context is not None and context.features is not None
        seen = context.features.flatten()[0]
        spread = math.hypot(NOISE, WIDTH)
        weights = PRIOR * dist.Normal(end_to_end(SHAPES), spread).log_prob(seen).exp()
        return Smoothed(weights)(x, t)

    def condition(distance: Tensor) -> Context:
        return Context(features=distance.expand(3, 1))

    guide = ShapeGuide("x", DIFFUSION, denoiser, condition, dtype=torch.float64, steps=8, sampler=ODESampler(30))
    posterior = guide.posterior(model, torch.tensor(observed, dtype=torch.float64), draws=400)
    evidence, chance, mean = quadrature(observed)
    assert posterior.effective > 280
    value, error = posterior.log_evidence
    assert float(value) == pytest.approx(evidence, abs=4 * float(error) + 0.01) and float(error) < 0.06
    value, error = posterior.mean(lambda x: (opening(x) > 1.8).double())
    assert float(value) == pytest.approx(chance, abs=4 * float(error)) and float(error) < 0.04
    value, error = posterior.mean(opening)
    assert float(value) == pytest.approx(mean, abs=4 * float(error))
