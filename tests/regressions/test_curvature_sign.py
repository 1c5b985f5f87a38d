"""The sign of the curvature in diffusion on quotients: with H = -grad log vol(orbit) the lifted SDE carries -eta H.

Xu et al., arXiv 2604.21809: the lift of their theorem 4, drift P f - (sigma^2 / 2) H with sigma^2 = 2 eta, is right.
Their sampler (equation 12, algorithm 3) prints +eta H. Langevin dynamics then tends to p / vol^2 instead of p, and
without any correction to p / vol. Each test states the law for the three signs: ``DERIVED`` is what the public
samplers do, ``NONE`` and ``PRINTED`` can be had through private functions only.
"""

import inspect

import pytest
import torch
from scipy import stats
from torch import Tensor

from pyro_symvi.groups import PointCloudAction, SpecialEuclidean
from pyro_symvi.quotient import Context, Diffusion
from pyro_symvi.quotient.samplers import LangevinCorrector, SDESampler
from pyro_symvi.quotient.samplers._lift import DERIVED, NONE, PRINTED, Run

PLANAR = Diffusion(PointCloudAction(SpecialEuclidean(2)))
SIGNS = {"derived": DERIVED, "none": NONE, "printed": PRINTED}


def nothing(x: Tensor, t: Tensor, context: Context | None) -> Tensor:
    return torch.zeros_like(x)


def langevin(diffusion: Diffusion, start: Tensor, sign: str, steps: int, size: float) -> Tensor:
    """Langevin dynamics of the prior N(0, I)."""
    generator = torch.Generator().manual_seed(0)
    corrector = LangevinCorrector(steps, size)
    return corrector._refine(diffusion, nothing, start, 0.0, None, True, generator, False, SIGNS[sign])


def normal(diffusion: Diffusion, *shape: int) -> Tensor:
    return diffusion.noise(torch.zeros(shape, dtype=torch.float64), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("sign", "rate"), [("derived", 12), ("none", 9), ("printed", 6)])
def test_growth_of_brownian_motion(sign: str, rate: int) -> None:
    """E |x|^2 of lifted Brownian motion of n + 1 = 5 points in space grows at the rate 3n, 3n - 3, 3n - 6.

    One short step of 10,000 copies of a cloud; within 5 standard errors (0.7) of the rate, 3 apart from the others'.
    """
    x, dt = normal(Diffusion(), 5, 3).expand(10_000, 5, 3), 0.01
    generator = torch.Generator().manual_seed(0)
    run = Run(Diffusion(), nothing, None, generator, curvature=SIGNS[sign])
    noise = Run(Diffusion(), nothing, None, torch.Generator().manual_seed(0), curvature=NONE)
    tau, still = x.new_tensor(dt / 2), torch.zeros_like(x)
    move, martingale = run.diffuse(x, still, tau) - x, noise.diffuse(x, still, tau) - x
    growth = ((x + move).square() - x.square() - 2 * x * martingale).sum((-2, -1)) / dt  # its mean is that of |x|^2
    error = float(growth.std()) / 10_000**0.5
    assert error < 0.14
    assert abs(float(growth.mean()) - rate) < 5 * error + 0.1


@pytest.mark.parametrize("points", [5, 8])
def test_langevin_dynamics_of_gaussian_clouds(points: int) -> None:
    """Stationary E |x|^2 is 3n with the derived sign, 3n - 3 with none, 3n - 6 with the printed one, n = N - 1.

    N = 5: 12, 9, 6; N = 8: 21, 18, 15. 1,000 clouds for a time of 2 (what is left of the start: 2 per cent of 3 or
    6); standard error at most 0.22, steps of size 0.1 add up to 5 per cent, hence 0.6 + 4 standard errors < 1.5.
    """
    n, found = points - 1, {}
    start = normal(Diffusion(), 1000, points, 3)
    for sign, wanted in (("derived", 3 * n), ("none", 3 * n - 3), ("printed", 3 * n - 6)):
        square = langevin(Diffusion(), start, sign, 20, 0.1).square().sum((-2, -1)) * 0.95  # 1 - size / 2
        found[sign], error = float(square.mean()), float(square.std()) / 1000**0.5
        assert error < 0.22
        assert abs(found[sign] - wanted) < 4 * error + 0.6, found
    assert found["derived"] - found["none"] > 2 and found["none"] - found["printed"] > 2


def test_laws_of_the_size_of_planar_clouds() -> None:
    """Four points in the plane: vol = 2 pi |x|, so that |x|^2 is chi-square with 6 degrees under p, 5 under p / vol,
    4 under p / vol^2. Kolmogorov distance of 2,500 clouds below 0.045 (steps of size 0.05 have a share of 0.02), and
    above 0.1 from the law of each other sign."""
    start = normal(PLANAR, 2500, 4, 2)
    laws = {"derived": 6, "none": 5, "printed": 4}
    for sign in laws:
        square = langevin(PLANAR, start, sign, 50, 0.05).square().sum((-2, -1)) * 0.975
        for other, degrees in laws.items():
            distance = float(stats.kstest(square.numpy(), stats.chi2(degrees).cdf).statistic)
            assert distance < 0.045 if other == sign else distance > 0.1, (sign, other, distance)


class Chains:
    """Three atoms in the plane with unit bonds and 20 bond angles in two wells, turned at random: exact denoiser."""

    def __init__(self) -> None:
        z = torch.special.ndtri((torch.arange(10, dtype=torch.float64) + 0.5) / 10)
        self.angles = torch.cat([1.1 + 0.25 * z, 2.4 + 0.2 * z])
        self.weights = torch.tensor([0.06] * 10 + [0.04] * 10, dtype=torch.float64)
        ends = torch.polar(torch.ones_like(self.angles), self.angles)
        shapes = torch.stack([torch.ones_like(ends), torch.zeros_like(ends), ends], -1)
        self.shapes = shapes - shapes.mean(-1, keepdim=True)

    def __call__(self, x: Tensor, t: Tensor, context: Context | None = None) -> Tensor:
        """E[x_1 | x_t]: posterior of the angle by I_0, mean rotation I_1 / I_0 (a von Mises law)."""
        t = t[..., None]
        spread = (1 - t) ** 2
        overlap = torch.view_as_complex(x.contiguous()) @ self.shapes.conj().mT
        kappa = t * overlap.abs() / spread
        even, odd = torch.special.i0e(kappa), torch.special.i1e(kappa)
        square = (self.shapes.abs() ** 2).sum(-1)
        logits = self.weights.log() - t**2 * square / (2 * spread) + even.log() + kappa
        mean = torch.softmax(logits, -1) * odd / even * overlap / overlap.abs()
        return torch.view_as_real(mean @ self.shapes)

    def distance(self, x: Tensor) -> float:
        """Wasserstein-1 distance of the bond angles of x from those of the data, in radians."""
        z = torch.view_as_complex(x.contiguous())
        found = ((z[:, 2] - z[:, 1]) / (z[:, 0] - z[:, 1])).angle().abs()
        return float(stats.wasserstein_distance(found.numpy(), self.angles.numpy(), None, self.weights.numpy()))


def test_from_noise_to_data() -> None:
    """The whole sampler with an exact denoiser, 40 steps, 2,000 chains. Distance of the bond angle's law from the
    data's: 0.02 with the derived sign (0.013 by the ODE; draws alone give 0.01), 0.10 with none, 0.22 as printed."""
    chains = Chains()
    found = {}
    for sign, curvature in SIGNS.items():
        x = SDESampler(40)._sample(
            PLANAR,
            chains,
            (2000, 3, 2),
            None,
            None,
            torch.float64,
            None,
            torch.Generator().manual_seed(0),
            False,
            False,
            curvature,
        )
        found[sign] = chains.distance(x)
    assert found["derived"] < 0.045, found
    assert found["none"] > 0.07, found
    assert found["printed"] > 0.16, found


def test_the_public_samplers_have_the_derived_sign() -> None:
    """The same draws as with ``DERIVED``, and no public argument for another sign."""
    options = (None, None, torch.float64, None)
    private = SDESampler(5)._sample(
        PLANAR, Chains(), (4, 3, 2), *options, torch.Generator().manual_seed(0), False, False, DERIVED
    )
    public = SDESampler(5).sample(
        PLANAR, Chains(), (4, 3, 2), dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    assert torch.equal(private, public)
    start = normal(PLANAR, 4, 3, 2)
    corrector = LangevinCorrector(5)
    refined = corrector.refine(PLANAR, nothing, start, 0.0, generator=torch.Generator().manual_seed(0))
    assert torch.equal(refined, langevin(PLANAR, start, "derived", 5, 0.1))
    for function in (SDESampler, SDESampler.sample, LangevinCorrector, LangevinCorrector.refine):
        assert not {"curvature", "correction", "sign"} & set(inspect.signature(function).parameters)
