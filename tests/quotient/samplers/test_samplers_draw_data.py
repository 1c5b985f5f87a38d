"""Whole runs from noise to data with exact denoisers: the law of what is drawn, under every kind of action."""

import dataclasses
import math
from dataclasses import dataclass

import pytest
import torch
from scipy import stats
from torch import Tensor

from pyro_symvi.groups import (
    Action,
    Conjugation,
    CoordinatePermutation,
    HermitianConjugation,
    Orthogonal,
    PhaseAction,
    PointCloudAction,
    SpecialEuclidean,
    SphereRotation,
    TorusAction,
)
from pyro_symvi.quotient import Context, Diffusion, GaussianPrior, HarmonicPrior, Interpolant, Linear, Trigonometric
from pyro_symvi.quotient.samplers import AlignedSampler, LangevinCorrector, ODESampler, SDESampler

MASSES = torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64)
CASES: dict[str, tuple[Action, tuple[int, ...], int]] = {
    "SE(3)": (PointCloudAction(SpecialEuclidean(3)), (4, 3), 9),
    "SE(2)": (PointCloudAction(SpecialEuclidean(2)), (3, 2), 4),
    "O(3)": (PointCloudAction(Orthogonal(3)), (3, 3), 9),
    "masses": (PointCloudAction(SpecialEuclidean(3), MASSES), (4, 3), 9),
    "SO(3) on space": (SphereRotation(3), (3,), 3),
    "U(1)": (PhaseAction(2), (4,), 4),
    "torus": (TorusAction(2), (4,), 4),
    "symmetric matrices": (Conjugation(3), (3, 3), 6),
    "Hermitian matrices": (HermitianConjugation(2), (2, 2, 2), 4),
    "permutations": (CoordinatePermutation(3), (3,), 3),
}


@dataclass(frozen=True)
class Gaussian:
    """The denoiser of data N(0, s^2), D = beta s^2 (C + beta^2 s^2)^-1 x, for any prior."""

    diffusion: Diffusion
    s: float

    def __call__(self, x: Tensor, t: Tensor, context: Context | None = None) -> Tensor:
        time, path = self.diffusion.column(t, x), self.diffusion.interpolant
        beta = path.beta(time)
        return self.diffusion.prior.apply(
            lambda v: beta * self.s**2 / (path.variance(time, v) + beta**2 * self.s**2), x, context
        )


def distance(square: Tensor, degrees: int) -> float:
    return float(stats.kstest(square.double().numpy(), stats.chi2(degrees).cdf).statistic)


@pytest.mark.parametrize("horizontal", [True, False], ids=["lifted", "total"])
@pytest.mark.parametrize("name", list(CASES))
def test_gaussian_data_by_the_sde(name: str, horizontal: bool) -> None:
    """|x_1|^2 / s^2 is chi-square with as many degrees as the space has dimensions.

    Kolmogorov distance of 1,500 draws after 40 steps below 0.07 (draws alone: mean 0.022, 0.05 once in a thousand).
    """
    action, event, k = CASES[name]
    diffusion, s = Diffusion(action, prior=GaussianPrior(1.5)), 0.6
    sampler = SDESampler(40, horizontal=horizontal)
    x = sampler.sample(diffusion, Gaussian(diffusion, s), (1500, *event), generator=torch.Generator().manual_seed(0))
    assert x.dtype == torch.float32
    weight = MASSES[:, None] if name == "masses" else torch.ones(1)
    assert distance((weight * x.square()).flatten(1).sum(-1) / s**2, k) < 0.07


@pytest.mark.parametrize("path", [Linear(bridge=0.4), Trigonometric()], ids=repr)
def test_other_paths(path: Interpolant) -> None:
    """Bridge noise and the trigonometric path, with much noise (its limit is met) and a corrector."""
    diffusion = Diffusion(interpolant=path)
    sampler = SDESampler(40, noise=20.0, corrector=LangevinCorrector(1, 0.05))
    x = sampler.sample(diffusion, Gaussian(diffusion, 0.6), (1500, 4, 3), generator=torch.Generator().manual_seed(0))
    assert distance(x.square().sum((-2, -1)) / 0.36, 9) < 0.07


class Bends:
    """Planar chains of three atoms with unit bonds and bond angles 1 (share 0.7) and 2.4, turned at random.

    Exact for priors that correlate points: with C the covariance of x_t given x_1, weights w_m exp(-beta^2 <z, C^-1 z>
    / 2) I_0(k), mean rotation I_1(k) / I_0(k) towards c / |c|, where c = <x, C^-1 z_m> and k = beta |c|.
    """

    def __init__(self, diffusion: Diffusion) -> None:
        self.diffusion = diffusion
        angles = torch.tensor([1.0, 2.4], dtype=torch.float64)
        ends = torch.stack([angles.cos(), angles.sin()], -1)
        first, middle = torch.tensor([1.0, 0.0]).double().expand(2, 2), torch.zeros(2, 2, dtype=torch.float64)
        self.shapes = diffusion.centre(torch.stack([first, middle, ends], 1))
        self.weights = torch.tensor([0.7, 0.3], dtype=torch.float64)

    def __call__(self, x: Tensor, t: Tensor, context: Context | None = None) -> Tensor:
        time = self.diffusion.column(t, x)
        pulled = -self.diffusion.score(x, t, torch.zeros_like(x), context)  # C^-1 x
        z = self.shapes.expand(len(x), 2, 3, 2).transpose(0, 1)
        pulled_shapes = torch.stack([-self.diffusion.score(s, t, torch.zeros_like(s), context) for s in z], 1)
        square = (self.shapes * pulled_shapes).sum((-2, -1))
        a, b = torch.view_as_complex(pulled.contiguous()), torch.view_as_complex(self.shapes)
        c = a @ b.conj().mT
        kappa = t[:, None] * c.abs()
        even, odd = torch.special.i0e(kappa), torch.special.i1e(kappa)
        logits = self.weights.log() - time[:, 0] ** 2 * square / 2 + even.log() + kappa
        return torch.view_as_real((torch.softmax(logits, -1) * odd / even * c / c.abs()) @ b)


@pytest.mark.parametrize("sampler", [SDESampler(50), ODESampler(30), ODESampler(30, horizontal=False)], ids=repr)
def test_harmonic_prior_with_a_vertical_velocity(sampler: SDESampler | ODESampler) -> None:
    """Points that start correlated turn on their way: v is not horizontal. Without that part the law is the same.

    2,000 chains with two bond angles: shares within 4.5 standard errors (0.046), bond lengths on average to 0.02.
    """
    edges = torch.tensor([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    context = Context(edges=edges).expand(2000)
    diffusion = Diffusion(PointCloudAction(SpecialEuclidean(2)), prior=HarmonicPrior(1.0))
    chains = Bends(diffusion)
    x = sampler.sample(
        diffusion, chains, (2000, 3, 2), context, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    bonds = x[:, [0, 2]] - x[:, 1:2]
    assert float((bonds.norm(dim=-1) - 1).abs().mean()) < 0.02
    cosine = (bonds[:, 0] * bonds[:, 1]).sum(-1) / bonds.norm(dim=-1).prod(-1)
    share = float((cosine > math.cos(1.7)).double().mean())
    assert share == pytest.approx(0.7, abs=4.5 * (0.21 / 2000) ** 0.5)
    t = torch.tensor(0.5, dtype=torch.float64)
    middle = diffusion.interpolate(x, t, context, generator=torch.Generator().manual_seed(1))
    v = diffusion.velocity(middle, t, diffusion.denoise(chains, middle, t, context), context)
    assert float((v - diffusion.project(middle, v)).abs().mean()) > 0.01


def test_ragged_clouds_by_the_sde() -> None:
    """Clouds of 3 and 5 points side by side: 6 and 12 degrees of freedom."""
    mask = torch.ones(2000, 5, dtype=torch.bool)
    mask[:1000, 3:] = False
    diffusion = Diffusion()
    x = SDESampler(40).sample(
        diffusion,
        Gaussian(diffusion, 0.6),
        (2000, 5, 3),
        Context(mask=mask),
        generator=torch.Generator().manual_seed(0),
    )
    square = x.square().sum((-2, -1)) / 0.36
    assert distance(square[:1000], 6) < 0.075 and distance(square[1000:], 12) < 0.075


def test_corrector_mends_coarse_steps() -> None:
    """Ten Euler steps leave Gaussian data too narrow, by a share known in closed form; Langevin steps mend that.

    Without: x_1 = x_0 times the product of 1 + dt (D - x) / ((1 - t) x), to rounding. With 5 corrector steps a level
    the variance's error falls by more than a third.
    """
    diffusion, s, steps = Diffusion(), 0.6, 10
    ratio = 1.0
    for k in range(steps):
        t = k / steps
        d = t * s**2 / ((1 - t) ** 2 + t**2 * s**2)
        ratio *= 1 + (d - 1) / (1 - t) / steps
    like = torch.zeros(2000, 4, 3, dtype=torch.float64)
    start = diffusion.sample_prior(like, generator=torch.Generator().manual_seed(0))
    plain = ODESampler(steps, "euler").sample(diffusion, Gaussian(diffusion, s), start.shape, start=start)
    assert float((plain - ratio * start).abs().max()) < 1e-12
    corrected = ODESampler(steps, "euler", corrector=LangevinCorrector(5, 0.3)).sample(
        diffusion, Gaussian(diffusion, s), start.shape, start=start, generator=torch.Generator().manual_seed(1)
    )
    square = corrected.square().sum((-2, -1)) / s**2
    error = float(square.std()) / 2000**0.5
    assert abs(float(square.mean()) - 9) < 9 * abs(ratio**2 / s**2 - 1) * 2 / 3 - 2 * error


def test_sde_without_noise_is_eulers_method() -> None:
    diffusion = Diffusion()
    start = diffusion.noise(torch.zeros(10, 4, 3, dtype=torch.float64), generator=torch.Generator().manual_seed(0))
    denoiser = Gaussian(diffusion, 0.6)
    wanted = ODESampler(15, "euler").sample(diffusion, denoiser, start.shape, start=start)
    for sampler in (SDESampler(15, noise=0.0), SDESampler(15, until=0.0)):
        found = sampler.sample(diffusion, denoiser, start.shape, start=start)
        assert float((found - wanted).abs().max()) < 1e-12


def test_noise_stops_near_data() -> None:
    """After ``until`` a path is that of the ODE from where it is: the generator is drawn from no more."""
    diffusion, generator = Diffusion(), torch.Generator().manual_seed(0)
    states = []

    def denoiser(x: Tensor, t: Tensor, context: Context | None) -> Tensor:
        states.append((float(t.max()), generator.get_state()))
        return Gaussian(diffusion, 0.6)(x, t, context)

    SDESampler(20, until=0.7).sample(diffusion, denoiser, (4, 3), generator=generator)
    late = [state for t, state in states if t > 0.69]
    assert all(torch.equal(state, late[0]) for state in late)
    assert not torch.equal(states[3][1], states[4][1])


def test_alignment_undoes_what_a_denoiser_turns() -> None:
    """The aligned baseline draws the same shapes for D and for D turned by any rotation at each step; Euler's method
    of the total space does so for D alone. With an exact denoiser the two agree, since x is aligned to D."""
    action = PointCloudAction(SpecialEuclidean(2))
    diffusion, generator = Diffusion(action), torch.Generator().manual_seed(0)
    start = diffusion.noise(torch.zeros(20, 4, 2, dtype=torch.float64), generator=generator)
    exact = Gaussian(diffusion, 0.6)

    def turned(x: Tensor, t: Tensor, context: Context | None) -> Tensor:
        angle = 3 * t + 0.5
        turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1).reshape(-1, 2, 2)
        return exact(x, t, context) @ turn.mT

    def shapes(sampler: AlignedSampler | ODESampler, denoiser: object) -> Tensor:
        x = sampler.sample(diffusion, denoiser, start.shape, start=start)  # type: ignore[arg-type]
        return torch.cdist(x, x)

    euler = ODESampler(12, "euler", horizontal=False)
    wanted = shapes(euler, exact)
    assert float((shapes(AlignedSampler(12), exact) - wanted).abs().max()) < 1e-9
    assert float((shapes(AlignedSampler(12), turned) - wanted).abs().max()) < 1e-9
    assert float((shapes(euler, turned) - wanted).abs().max()) > 0.1


def test_aligned_noise_is_that_of_the_total_space() -> None:
    """With noise the baseline draws Gaussian data, too, where the denoiser is exact."""
    diffusion = Diffusion()
    x = AlignedSampler(40, noise=1.0).sample(
        diffusion, Gaussian(diffusion, 0.6), (1500, 4, 3), generator=torch.Generator().manual_seed(0)
    )
    assert distance(x.square().sum((-2, -1)) / 0.36, 9) < 0.07


def test_harmonic_prior_needs_its_graph() -> None:
    with pytest.raises(ValueError, match="expected a context with edges"):
        SDESampler(3).sample(Diffusion(prior=HarmonicPrior()), lambda x, t, c: x, (4, 3))


def test_values() -> None:
    """Samplers are values: equal by their fields, printed as they are made, replaced field by field."""
    assert SDESampler(10) == SDESampler(10) != SDESampler(11)
    assert repr(SDESampler(10, noise=2.0)) == "SDESampler(steps=10, noise=2.0)"
    assert dataclasses.replace(ODESampler(), steps=7).steps == 7
    assert math.isclose(SDESampler().noise, 1.0)
