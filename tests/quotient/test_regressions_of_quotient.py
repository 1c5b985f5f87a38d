"""Defects of the mathematics that were found by reading, each against a closed form."""

import copy
import pickle

import pytest
import torch

from pyro_symvi.groups import (
    Conjugation,
    EllipticalRotation,
    HermitianConjugation,
    NaturalAction,
    PhaseAction,
    PointCloudAction,
    PointReflection,
    SpecialEuclidean,
    SpecialOrthogonal,
)
from pyro_symvi.quotient import Context, Diffusion, HarmonicPrior, Linear, Trigonometric
from pyro_symvi.quotient.losses import OrbitAveraged, Plain
from pyro_symvi.quotient.losses._loss import Case
from pyro_symvi.quotient.oracles import ShapeMixture, orbit_mean
from pyro_symvi.quotient.samplers import LangevinCorrector, SDESampler, log_likelihood
from pyro_symvi.quotient.samplers._lift import Run


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=seeded(seed))


def chain(points):
    edges = torch.zeros(points, points, dtype=torch.long)
    for k in range(points - 1):
        edges[k, k + 1] = edges[k + 1, k] = 1
    return Context(edges=edges)


# -- times that round to 1 in the dtype of the points ------------------------------------------------------------------
@pytest.mark.parametrize("path", [Linear(), Linear(bridge=0.4), Trigonometric()], ids=["linear", "bridge", "circle"])
def test_weight_is_clip_for_times_that_round_to_one(path):
    process, ones = Diffusion(interpolant=path), torch.ones(1, 4, 3)
    t = torch.tensor([1 - 1e-9], dtype=torch.float64)
    assert torch.equal(process.velocity_error(t, ones, clip=10.0), 10 * ones)
    assert bool(torch.isfinite(Plain()(process, lambda x, t, context: x, normal(1, 4, 3).float(), t)).all())


def test_circle_is_accurate_and_exact_at_its_ends_in_single_precision():
    t = torch.tensor([0.0, 0.5, 0.999, 1 - 2.0**-20, 1.0])
    wide = torch.pi / 2 * t.double()
    path = Trigonometric()
    torch.testing.assert_close(path.alpha(t).double()[:4], wide.cos()[:4], rtol=3e-7, atol=0)
    torch.testing.assert_close(path.beta(t).double(), wide.sin(), rtol=3e-7, atol=0)
    torch.testing.assert_close(path.beta_rate(t).double()[:4], torch.pi / 2 * wide.cos()[:4], rtol=3e-7, atol=0)
    assert path.alpha(t)[-1] == 0 and path.beta(t)[0] == 0 and path.beta_rate(t)[-1] == 0 and path.alpha(t)[0] == 1


# -- orbit averages in single precision --------------------------------------------------------------------------------
@pytest.mark.parametrize("time", [0.9, 0.999, 0.9999])
def test_orbit_average_of_single_precision_has_less_noise_than_data_up_to_late_times(time):
    process, n = Diffusion(), 300
    x1 = process.centre(3 * normal(20, 3)).float().expand(n, 20, 3)
    t = torch.full((n,), time)
    xt = process.interpolate(x1, t, generator=seeded(1))
    exact = orbit_mean(process, xt.double(), x1.double(), t.double())
    target = OrbitAveraged(rotations=16)._target(Case(process, x1, xt, t, x1, None, seeded(2)))
    assert target.dtype == torch.float32
    # 17 draws from proposals sqrt(2) wider than the posterior: about 0.79 of the error, standard error 0.02
    ratio = (target - exact).square().mean().sqrt() / (x1 - exact).square().mean().sqrt()
    assert 0.7 < float(ratio) < 0.9


# -- copies of a context -----------------------------------------------------------------------------------------------
def pickled(context):
    return pickle.loads(pickle.dumps(context))


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, pickled])
def test_copies_of_a_context_remember_nothing_under_the_id_of_an_object(copied):
    context = Context(mask=torch.tensor([True, True, True, False]))
    first = Diffusion(PointCloudAction(SpecialEuclidean(3), weights=[1.0, 2.0, 3.0, 4.0])).action_for(context)
    twin = copied(context)
    assert twin == context and not twin.__dict__["_remembered"] and context.__dict__["_remembered"]
    assert torch.equal(first.weights, torch.tensor([1.0, 2.0, 3.0, 0.0], dtype=torch.float64))


# -- the harmonic prior ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("stiffness", [0.01, 1.0, 100.0])
def test_noise_of_a_harmonic_path_scales_with_the_unit_of_length(stiffness):
    context, x = chain(5), normal(3, 5, 3)
    mask = torch.tensor([True] * 5 + [False] * 2)
    edges = torch.zeros(7, 7, dtype=torch.long)
    edges[:5, :5] = context.edges
    # the Laplacian of a path of five points: 2 - 2 cos(pi k / 5)
    least = 1 / (stiffness * (2 + 2 * torch.tensor(torch.pi / 5, dtype=torch.float64).cos()))
    for known, y in ((context, x), (Context(mask=mask, edges=edges), torch.cat([x, 0 * x[:, :2]], -2))):
        process = Diffusion(prior=HarmonicPrior(stiffness))
        run = Run(process, lambda x, t, context: x, known, None)
        torch.testing.assert_close(run.smallest_variance(y, 0.5).flatten(), least[None] / 4)
        k = torch.arange(1, 5, dtype=torch.float64)
        spread = (1 / (stiffness * (2 - 2 * (torch.pi * k / 5).cos()))).mean().sqrt()
        assert process.prior.spread(known) == pytest.approx(float(spread))


@pytest.mark.parametrize("bridge", [0.0, 0.5])
@pytest.mark.parametrize("padded", [False, True], ids=["full", "padded"])
def test_what_a_horizontal_loss_leaves_open_moves_no_sampler_under_a_harmonic_prior(bridge, padded):
    process = Diffusion(interpolant=Linear(bridge=bridge), prior=HarmonicPrior(2.0))
    context, shapes = chain(4), process.centre(normal(2, 4, 3))
    if padded:
        edges = torch.zeros(6, 6, dtype=torch.long)
        edges[:4, :4] = context.edges
        context = Context(mask=torch.tensor([True] * 4 + [False] * 2), edges=edges)
        shapes = torch.cat([shapes, 0 * shapes[:, :2]], -2)
    exact = ShapeMixture(shapes).denoiser(process)

    def free(x, t, context):
        """A vertical vector, divided by the weight of the loss."""
        spin = torch.linalg.cross(x, (1 + x[..., :1, :].square()).expand(x.shape))
        column = process.column(t, x)

        def inverse(s):
            ratio = process.interpolant.half_variance_rate(column, s) / process.interpolant.variance(column, s)
            return 1 / (process.interpolant.beta_rate(column) - process.interpolant.beta(column) * ratio)

        return process.prior.apply(inverse, spin, context)

    def other(x, t, context):
        return exact(x, t, context) + free(x, t, context)

    shape = (6, *shapes.shape[1:])
    draws = [
        SDESampler(20).sample(process, d, shape, context, dtype=torch.float64, generator=seeded(3), trajectory=True)
        for d in (exact, other)
    ]
    torch.testing.assert_close(draws[1][:-1], draws[0][:-1], rtol=0, atol=1e-9)
    x = process.centre(normal(*shape, seed=5), context.expand(6))
    moved = [LangevinCorrector(5).refine(process, d, x, 0.6, context, generator=seeded(4)) for d in (exact, other)]
    torch.testing.assert_close(moved[1], moved[0], rtol=0, atol=1e-9)
    # an exact score is horizontal already
    t = torch.full((6,), 0.6, dtype=torch.float64)
    wide = context.expand(6)
    score = process.score(x, t, exact(x, t, wide), wide)
    run = Run(process, exact, wide, None)
    torch.testing.assert_close(run.score(x, 0.6, exact(x, t, wide)), score, rtol=0, atol=1e-10)
    # which a projection by itself does not bring about
    off = process.project(x, process.score(x, t, other(x, t, wide), wide), wide)
    assert float((off - score).abs().max()) > 0.01


# -- what would be silently wrong --------------------------------------------------------------------------------------
def test_times_that_round_to_data_are_refused():
    process, x = Diffusion(), normal(2, 5, 3).float()
    with pytest.raises(ValueError, match="rounds to 1"):
        LangevinCorrector(1).refine(process, lambda x, t, context: x / 2, x, 1 - 1e-9)
    with pytest.raises(ValueError, match="rounds to 1"):
        log_likelihood(process, lambda x, t, context: x / 2, x, gap=1e-9)
    late = LangevinCorrector(1).refine(process, lambda x, t, context: x / 2, x.double(), 1 - 1e-9)
    assert bool(torch.isfinite(late).all())


@pytest.mark.parametrize(
    "action",
    [
        EllipticalRotation(0.0, [[4.0, 0.0], [0.0, 1.0]]).bind(2),
        PointReflection([1.0, 0.0]).bind(2),
    ],
    ids=["ellipses", "another centre"],
)
def test_actions_that_change_lengths_are_refused(action):
    with pytest.raises(ValueError, match="isometries"):
        Diffusion(action)


@pytest.mark.parametrize(
    "action",
    [
        Conjugation(3),
        HermitianConjugation(2),
        PhaseAction(2),
        NaturalAction(SpecialOrthogonal(3)),
        EllipticalRotation(0.0, [[2.0, 0.0], [0.0, 2.0]]).bind(2),
    ],
    ids=["symmetric", "hermitian", "phase", "rotations", "circles"],
)
def test_isometries_are_accepted(action):
    assert Diffusion(action).action == action
