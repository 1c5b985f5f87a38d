"""Log-likelihoods by the probability flow against closed forms and quadrature, and the ODE's order of convergence."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from pyro_symvi.groups import (
    Action,
    Conjugation,
    HermitianConjugation,
    PhaseAction,
    PointCloudAction,
    SpecialEuclidean,
    SpecialOrthogonal,
    TorusAction,
)
from pyro_symvi.quotient import Context, Diffusion, GaussianPrior, HarmonicPrior, Interpolant, Linear, Trigonometric
from pyro_symvi.quotient.samplers import ODESampler, log_likelihood

PLANAR = Diffusion(PointCloudAction(SpecialEuclidean(2)))


@dataclass(frozen=True)
class Gaussian:
    """The denoiser of data N(0, s^2), D = beta s^2 / (C + beta^2 s^2) x, for a prior with Sigma = scale^2."""

    s: float
    path: Interpolant = dataclasses.field(default_factory=Linear)
    scale: float = 1.0

    def __call__(self, x: Tensor, t: Tensor, context: Context | None = None) -> Tensor:
        t = t.reshape(*t.shape, *(1,) * (x.ndim - t.ndim))
        beta, variance = self.path.beta(t), self.path.variance(t, torch.tensor(self.scale**2))
        return beta * self.s**2 / (variance + beta**2 * self.s**2) * x


class Blurred:
    """Planar shapes turned at random, each point then moved by N(0, s^2): density and denoiser by Bessel functions."""

    def __init__(self, shapes: Tensor, weights: Tensor, s: float) -> None:
        self.shapes, self.weights, self.s = shapes - shapes.mean(-2, keepdim=True), weights, s

    def denoise(self, x: Tensor, t: Tensor, context: Context | None = None) -> Tensor:
        t = t[..., None]
        spread = (1 - t) ** 2 + t**2 * self.s**2
        z, points = torch.view_as_complex(self.shapes), torch.complex(x[..., 0], x[..., 1])
        c = torch.einsum("...n,mn->...m", points, z.conj())
        size = (c.real.square() + c.imag.square()).sqrt()
        kappa = t * size / spread
        square = self.shapes.square().sum((-2, -1))
        logits = self.weights.log() - t**2 * square / (2 * spread) + torch.special.i0e(kappa).log() + kappa
        ratio = torch.special.i1e(kappa) / torch.special.i0e(kappa)
        mean = torch.einsum("...m,mn->...n", torch.softmax(logits, -1) * ratio * c / size, z)
        wide = torch.stack([mean.real, mean.imag], -1)
        spread, t = spread[..., None], t[..., None]
        return wide + t * self.s**2 / spread * (x - t * wide)

    def log_density(self, x: Tensor) -> Tensor:
        """By the trapezoid rule over the angle, on centred clouds ``[*batch, N, 2]``."""
        angles = torch.arange(400, dtype=x.dtype) * (2 * math.pi / 400)
        turns = torch.stack([angles.cos(), -angles.sin(), angles.sin(), angles.cos()], -1).reshape(400, 1, 2, 2)
        images = self.shapes @ turns.mT
        square = (x[..., None, None, :, :] - images).square().sum((-2, -1))
        terms = self.weights.log() - math.log(400) - square / (2 * self.s**2)
        return terms.flatten(-2).logsumexp(-1) - (x.shape[-2] - 1) * math.log(2 * math.pi * self.s**2)


TRIANGLES = torch.tensor(
    [[[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]], [[1.4, 0.0], [0.0, 0.3], [-1.0, 0.0]]], dtype=torch.float64
)
MIXTURE = Blurred(TRIANGLES, torch.tensor([0.7, 0.3], dtype=torch.float64), 0.35)


def draws(diffusion: Diffusion, shape: tuple[int, ...], context: Context | None = None, seed: int = 0) -> Tensor:
    like = torch.zeros(shape, dtype=torch.float64)
    return diffusion.noise(like, context, generator=torch.Generator().manual_seed(seed))


MASSES = torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64)
SPACES: dict[str, tuple[Action, tuple[int, ...], int]] = {
    "clouds": (PointCloudAction(SpecialEuclidean(3)), (4, 3), 9),
    "clouds about the origin": (PointCloudAction(SpecialOrthogonal(3)), (3, 3), 9),
    "masses": (PointCloudAction(SpecialEuclidean(3), MASSES), (4, 3), 9),
    "phase": (PhaseAction(2), (4,), 4),
    "torus": (TorusAction(2), (4,), 4),
    "symmetric matrices": (Conjugation(3), (3, 3), 6),
    "Hermitian matrices": (HermitianConjugation(2), (2, 2, 2), 4),
}


@pytest.mark.parametrize("name", list(SPACES))
def test_gaussian_data(name: str) -> None:
    """Data N(0, s^2) in the action's metric, of the space's true dimension k: -|x|^2/(2 s^2) - k/2 log(2 pi s^2).

    On the quotient the orbit's log volume is added, and nothing else. Errors of the integration are below 8e-3.
    """
    action, event, k = SPACES[name]
    diffusion, s = Diffusion(action, prior=GaussianPrior(1.3)), 0.5
    x = s * draws(diffusion, (3, *event))
    weight = MASSES[:, None] if name == "masses" else torch.ones(1, dtype=torch.float64)
    wanted = -(weight * x.square()).flatten(1).sum(-1) / (2 * s**2) - k / 2 * math.log(2 * math.pi * s**2)
    denoiser = Gaussian(s, scale=1.3)
    quotient = log_likelihood(diffusion, denoiser, x, space="quotient", steps=6)
    assert float((quotient - wanted - action.log_orbit_volume(x)).abs().max()) < 8e-3
    moved = x if k == 9 else action.act(action.group.sample(3, generator=torch.Generator().manual_seed(1)), x)
    total = log_likelihood(diffusion, denoiser, moved, space="total", steps=6)
    assert float((total - wanted).abs().max()) < 8e-3


def test_masked_clouds_have_the_density_of_their_points() -> None:
    """Ragged clouds of 3 and 4 points: (N - 1) d dimensions each; single precision alike."""
    context = Context(mask=torch.tensor([[True, True, True, False], [True] * 4]))
    x = 0.5 * draws(Diffusion(), (2, 4, 3), context)
    k = torch.tensor([6.0, 9.0], dtype=torch.float64)
    wanted = -x.square().sum((-2, -1)) / 0.5 - k / 2 * math.log(2 * math.pi * 0.25)
    found = log_likelihood(Diffusion(), Gaussian(0.5), x, context, space="total", steps=8)
    assert float((found - wanted).abs().max()) < 3e-3
    single = log_likelihood(Diffusion(), Gaussian(0.5), x.float(), context, space="total", steps=8)
    assert single.dtype == torch.float32 and float((single - found).abs().max()) < 1e-3


def test_harmonic_prior() -> None:
    """Data with the prior's law itself: x_t is N(0, (alpha^2 + beta^2) Sigma), log p is that of N(0, Sigma)."""
    edges = torch.tensor([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    context, diffusion = Context(edges=edges), Diffusion(prior=HarmonicPrior(2.0))
    like = torch.zeros(5, 3, 3, dtype=torch.float64)
    x = diffusion.sample_prior(like, context, generator=torch.Generator().manual_seed(0))

    def denoiser(y: Tensor, t: Tensor, c: Context | None) -> Tensor:
        t = t.reshape(-1, 1, 1)
        return t / ((1 - t) ** 2 + t**2) * y

    found = log_likelihood(diffusion, denoiser, x, context, space="total", steps=12)
    energy = -(x[:, 1:] - x[:, :-1]).square().sum((-2, -1))  # stiffness / 2 = 1
    # det' of twice the path's Laplacian is 2^2 x 3 (its spanning trees times N), once a dimension of space
    wanted = energy + 1.5 * math.log(12) - 3 * math.log(2 * math.pi)
    assert float((found - wanted).abs().max()) < 1e-3


def test_planar_mixture_against_quadrature() -> None:
    """Two blurred triangles under planar motions: within 0.002 of the density by quadrature over the angle."""
    x = PLANAR.centre(torch.cat([TRIANGLES, TRIANGLES]) + 0.3 * draws(PLANAR, (4, 3, 2)))
    found = log_likelihood(PLANAR, MIXTURE.denoise, x, space="total", steps=16)
    assert float((found - MIXTURE.log_density(x)).abs().max()) < 2e-3


def test_the_quotient_density_integrates_to_one() -> None:
    """Triangles in the plane modulo motions are a cone over the sphere of radius 1/2 with volume r^2 dr dOmega / 4.

    The integral of 2 pi exp(log p + log orbit volume) is 1 (2 pi being the volume of SO(2)), by a Gauss rule in r
    and in the sphere's height and a trapezoid in its angle. That of the total-space density over this cone is not.
    """
    r, wr = gauss(14, 0.0, 3.6)
    height, wh = gauss(9, -1.0, 1.0)
    angle = torch.arange(12, dtype=torch.float64) * (2 * math.pi / 12)
    grid = torch.cartesian_prod(r, height, angle)
    weight = torch.cartesian_prod(wr, wh, torch.full((12,), 2 * math.pi / 12, dtype=torch.float64)).prod(-1)
    radius, u, phi = grid.unbind(-1)
    big, small = ((1 + u) / 2).sqrt(), ((1 - u) / 2).sqrt()
    first = torch.stack([radius * big, torch.zeros_like(radius)], -1)
    second = torch.stack([radius * small * phi.cos(), radius * small * phi.sin()], -1)
    x = torch.stack(
        [first / 2**0.5 + second / 6**0.5, -first / 2**0.5 + second / 6**0.5, -2 * second / 6**0.5], -2
    )  # Helmert coordinates (first, second): their Hopf image has height u and angle phi
    measure = weight * radius**2 / 4 * 2 * math.pi
    quotient = log_likelihood(PLANAR, MIXTURE.denoise, x, steps=7)
    assert float((measure * quotient.exp()).sum()) == pytest.approx(1.0, abs=0.01)
    total = quotient - PLANAR.log_orbit_volume(x)
    assert abs(float((measure * total.exp()).sum()) - 1.0) > 0.1


def gauss(n: int, low: float, high: float) -> tuple[Tensor, Tensor]:
    import numpy as np

    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(n))
    return low + (high - low) * (nodes + 1) / 2, weights * (high - low) / 2


def test_hutchinson_is_unbiased() -> None:
    """The mean over 400 probes is within 4 standard errors of the exact divergence, which is resolved to 0.2."""
    x = 0.5 * draws(Diffusion(), (1, 4, 3)).expand(400, 4, 3)
    exact = log_likelihood(Diffusion(), Gaussian(0.5), x[0], steps=5)
    found = log_likelihood(
        Diffusion(),
        Gaussian(0.5),
        x,
        steps=5,
        divergence="hutchinson",
        generator=torch.Generator().manual_seed(0),
    )
    error = float(found.std()) / 20
    assert 0.001 < error < 0.1
    assert abs(float(found.mean() - exact)) < 4 * error


def test_vertical_output_is_ignored() -> None:
    """A denoiser with a vertical part that is not equivariant: the horizontal flow does not see it, the other does."""

    def restless(x: Tensor, t: Tensor, context: Context | None = None) -> Tensor:
        turned = torch.stack([-x[..., 1], x[..., 0]], -1)
        return MIXTURE.denoise(x, t) + 0.8 * torch.sin(2 * x[..., :1, :1]) * turned

    x = PLANAR.centre(TRIANGLES)
    clean = log_likelihood(PLANAR, MIXTURE.denoise, x, steps=4)
    assert float((log_likelihood(PLANAR, restless, x, steps=4) - clean).abs().max()) < 1e-9
    assert float((log_likelihood(PLANAR, restless, x, steps=4, horizontal=False) - clean).abs().max()) > 0.05
    again = log_likelihood(PLANAR, MIXTURE.denoise, x, steps=4, horizontal=False)
    assert float((again - clean).abs().max()) < 1e-6, "v is horizontal where the denoiser is exact"


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"space": "shape"}, ValueError, 'expected space "quotient" or "total"'),
        ({"divergence": "trace"}, ValueError, 'expected divergence "exact" or "hutchinson"'),
        ({"steps": 0}, ValueError, "expected steps >= 1"),
        ({"probes": 0}, ValueError, "expected probes >= 1"),
        ({"gap": 0.0}, ValueError, "expected gap finite and in"),
        ({"x": torch.full((4, 3), math.inf)}, ValueError, "expected finite x"),
        ({"x": torch.zeros(4, 2)}, ValueError, "expected shape"),
        ({"denoiser": lambda x, t, c: x.detach()}, ValueError, "that autograd can differentiate"),
    ],
)
def test_bad_likelihood_input(options: dict[str, Any], error: type[Exception], text: str) -> None:
    chosen = {"denoiser": Gaussian(0.5), "x": torch.zeros(4, 3), **options}
    with pytest.raises(error, match=text):
        log_likelihood(Diffusion(), **chosen)


@pytest.mark.parametrize("path", [Linear(), Linear(bridge=0.3), Trigonometric()], ids=repr)
def test_order_of_convergence(path: Interpolant) -> None:
    """Gaussian data: x_1 = s x_0 / scale exactly. Twice the steps divide Heun's error by 4, Euler's by 2.

    With bridge noise by 2 in both: the last step x = D then removes more than half a step of the flow would.
    """
    diffusion = Diffusion(interpolant=path, prior=GaussianPrior(2.0))
    start = 2.0 * draws(diffusion, (3, 4, 3))
    wanted = start * 0.6 / 2.0
    for method, order in (("euler", 1), ("heun", 1 if path == Linear(bridge=0.3) else 2)):
        errors = []
        for steps in (30, 60):
            sampler = ODESampler(steps, method)
            found = sampler.sample(diffusion, Gaussian(0.6, path, 2.0), start.shape, start=start)
            errors.append(float((found - wanted).abs().max()))
        assert errors[0] < 0.15
        assert order - 0.3 < math.log2(errors[0] / errors[1]) < order + 0.6, (method, errors)
