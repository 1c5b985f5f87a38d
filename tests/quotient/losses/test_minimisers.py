"""What each loss is minimised by, against the exact posterior of planar chains of three points.

x_t is held fixed and x_1 runs over a grid of two shapes and all turns of them, each with its posterior weight given
x_t (Bessel functions only as a check). For a denoiser whose output at x_t is free, the gradient of the weighted loss
tells whether that output is the minimiser.
"""

import dataclasses

import pytest
import scipy.special
import torch
from torch import Tensor

from pyro_symvi.groups import Conjugation, PointCloudAction, PointReflection, SpecialEuclidean
from pyro_symvi.quotient import Diffusion
from pyro_symvi.quotient.losses import AF3Aligned, GeoDiffAligned, Loss, OrbitAveraged, Plain, Quotient

TIME, TURNS = 0.45, 720
SHAPES = torch.tensor(
    [[[-1.0, 0.2], [0.1, -0.6], [0.9, 0.4]], [[-0.4, 0.9], [0.0, -0.8], [0.4, -0.1]]], dtype=torch.float64
)
POINT = torch.tensor([[0.7, -0.4], [-0.2, 0.5], [-0.5, -0.1]], dtype=torch.float64)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class At(Diffusion):
    """A diffusion whose noisy point is given."""

    action: PointCloudAction = dataclasses.field(default_factory=lambda: PointCloudAction(SpecialEuclidean(2)))
    given: Tensor = dataclasses.field(default_factory=lambda: POINT)

    def interpolate(self, x1, t, context=None, *, generator=None):
        return self.given.expand(x1.shape)


def turns(angle: Tensor) -> Tensor:
    c, s = angle.cos(), angle.sin()
    return torch.stack([c, -s, s, c], -1).reshape(*angle.shape, 2, 2)


def posterior() -> tuple[Tensor, Tensor]:
    """All x_1 ``[K, 3, 2]`` and their weights given x_t = POINT; the trapezoidal rule is exact here."""
    shapes = SHAPES - SHAPES.mean(-2, keepdim=True)
    x1 = shapes[:, None] @ turns(torch.arange(TURNS, dtype=torch.float64) * (2 * torch.pi / TURNS)).mT
    point = POINT - POINT.mean(-2, keepdim=True)
    log_p = -(point - TIME * x1).square().sum((-2, -1)) / (2 * (1 - TIME) ** 2)
    return x1.reshape(-1, 3, 2), log_p.reshape(-1).softmax(0)


X1, WEIGHTS = posterior()
CENTRED = POINT - POINT.mean(-2, keepdim=True)
MEAN = (WEIGHTS[:, None, None] * X1).sum(0)
ACTION = PointCloudAction(SpecialEuclidean(2))
ALIGNED_MEAN = (WEIGHTS[:, None, None] * ACTION.act(ACTION.align(X1, CENTRED.expand_as(X1)), X1)).sum(0)
SPIN = CENTRED @ torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)  # vertical at x_t


def gradient(loss: Loss, output: Tensor, copies: int = 1, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Gradient of the posterior mean of the loss at an output, and its standard error over the loss's own draws."""
    found = []
    generator = torch.Generator().manual_seed(seed)
    for _ in range(copies):
        free = output.clone().requires_grad_()
        t = torch.full(WEIGHTS.shape, TIME, dtype=torch.float64)
        losses = loss(At(), lambda x, t, c, free=free: free.expand_as(x), X1, t, generator=generator)
        found.append(torch.autograd.grad((WEIGHTS * losses).sum(), free)[0])
    table = torch.stack(found)
    return table.mean(0), table.std(0, correction=0) / copies**0.5


def test_the_posterior_is_that_of_bessel_functions() -> None:
    """One shape alone: E[R z | x_t] = (I_1 / I_0)(kappa) R* z, R* the turn closest to x_t."""
    x1, weights = X1[:TURNS], WEIGHTS[:TURNS] / WEIGHTS[:TURNS].sum()
    best = ACTION.act(ACTION.align(x1[:1], CENTRED[None]), x1[:1])[0]
    kappa = TIME * float((CENTRED * best).sum()) / (1 - TIME) ** 2
    ratio = scipy.special.i1e(kappa) / scipy.special.i0e(kappa)
    assert torch.allclose((weights[:, None, None] * x1).sum(0), ratio * best, atol=1e-12)


def test_plain_is_minimised_by_the_posterior_mean_alone() -> None:
    assert gradient(Plain(), MEAN)[0].abs().max() < 1e-12
    assert gradient(Plain(), MEAN + 0.3 * SPIN)[0].abs().max() > 0.1
    assert gradient(Plain(), ALIGNED_MEAN)[0].abs().max() > 0.1


@pytest.mark.parametrize("omega", [0.0, 0.3, -5.0])
def test_quotient_is_minimised_by_it_plus_any_vertical_vector(omega: float) -> None:
    assert gradient(Quotient(), MEAN + omega * SPIN)[0].abs().max() < 1e-12


def test_quotient_is_not_blind_to_a_finite_turn_of_the_output() -> None:
    turned = MEAN @ turns(torch.tensor(0.8, dtype=torch.float64)).mT
    assert gradient(Quotient(), turned)[0].abs().max() > 0.02
    assert gradient(Quotient(), ALIGNED_MEAN)[0].abs().max() > 0.1


def test_geodiff_is_minimised_by_the_mean_of_aligned_points_and_not_by_the_posterior_mean() -> None:
    assert gradient(GeoDiffAligned(), ALIGNED_MEAN)[0].abs().max() < 1e-12
    assert gradient(GeoDiffAligned(), MEAN)[0].abs().max() > 0.1


def test_af3_does_not_see_a_finite_turn_and_is_not_minimised_by_the_posterior_mean() -> None:
    t = torch.full(WEIGHTS.shape, TIME, dtype=torch.float64)
    turned = MEAN @ turns(torch.tensor(2.1, dtype=torch.float64)).mT
    losses = [AF3Aligned()(At(), lambda x, t, c, out=out: out.expand_as(x), X1, t) for out in (MEAN, turned)]
    assert torch.allclose(*losses, rtol=1e-12)
    assert gradient(AF3Aligned(), MEAN)[0].abs().max() > 0.1


def test_af3_is_minimised_by_a_mean_of_shapes_aligned_to_itself() -> None:
    """Not by the mean of points aligned to x_t, which is near it and not it when there are two shapes."""
    mean = ALIGNED_MEAN
    for _ in range(60):
        turned = ACTION.act(ACTION.align(X1, mean.expand_as(X1)), X1)
        mean = (WEIGHTS[:, None, None] * turned).sum(0)
    assert gradient(AF3Aligned(), mean)[0].abs().max() < 1e-9
    assert 0.005 < gradient(AF3Aligned(), ALIGNED_MEAN)[0].abs().max() < 0.05


def test_af3_with_one_shape_is_minimised_by_every_turn_of_it() -> None:
    t = torch.full((TURNS,), TIME, dtype=torch.float64)
    losses = AF3Aligned()(At(), lambda x, t, c: X1[17].expand_as(x), X1[:TURNS], t)
    assert float(losses.max()) < 1e-24


def test_the_exact_orbit_average_is_minimised_by_the_posterior_mean() -> None:
    assert gradient(OrbitAveraged(), MEAN)[0].abs().max() < 1e-9
    assert gradient(OrbitAveraged(), MEAN + 0.3 * SPIN)[0].abs().max() > 0.1


def test_finite_groups_are_summed_over_whole() -> None:
    """Two signs by hand; without an exact mean, other groups ask for a number of draws."""
    action = PointReflection(torch.zeros(2, dtype=torch.float64))
    x1 = torch.tensor([[0.9, -0.3]], dtype=torch.float64)
    diffusion, t = Diffusion(action), torch.tensor([0.6], dtype=torch.float64)
    seen: list[Tensor] = []

    def zero(x: Tensor, t: Tensor, context: object) -> Tensor:
        seen.append(x)
        return 0 * x

    value = OrbitAveraged()(diffusion, zero, x1, t, generator=torch.Generator().manual_seed(0))
    mean = torch.tanh(0.6 * (seen[0] * x1).sum() / 0.4**2) * x1
    assert float(value) == pytest.approx(float(mean.square().sum()) / 0.4**2, rel=1e-12)
    with pytest.raises(ValueError, match=r"try OrbitAveraged\(rotations=16\)"):
        OrbitAveraged()(Diffusion(Conjugation(3)), lambda x, t, c: x, torch.eye(3)[None], torch.rand(1))


@pytest.mark.parametrize("rotations", [1, 4])
def test_the_orbit_average_has_the_posterior_mean_for_any_number_of_rotations(rotations: int) -> None:
    """Within 4.5 standard errors (some 0.003, the gradient at 1.05 MEAN being 0.1 off)."""
    value, error = gradient(OrbitAveraged(rotations=rotations), MEAN, copies=60)
    assert bool((value.abs() < 4.5 * error).all()) and float(error.max()) < 0.02
    off, error = gradient(OrbitAveraged(rotations=rotations), 1.05 * MEAN, copies=60)
    assert float((off.abs() / error).max()) > 6


def test_weights_over_haar_draws_alone_would_be_biased() -> None:
    """Four turns, weighted by their likelihood and normalised by their sum: off by many standard errors."""
    shapes = SHAPES - SHAPES.mean(-2, keepdim=True)
    generator = torch.Generator().manual_seed(0)
    shares = torch.stack([WEIGHTS[:TURNS].sum(), WEIGHTS[TURNS:].sum()])
    angles = 2 * torch.pi * torch.rand(4, 40000, 2, generator=generator, dtype=torch.float64)
    images = shapes @ turns(angles).mT
    log_p = TIME * (CENTRED * images).sum((-2, -1)) / (1 - TIME) ** 2
    averaged = (log_p.softmax(0)[..., None, None] * images).sum(0)
    draws = (shares[:, None, None] * averaged).sum(1)
    error = draws.std(0) / len(draws) ** 0.5
    assert float(((draws.mean(0) - MEAN).abs() / error).max()) > 20
