"""Exact laws of shapes in random orientation against quadrature, autograd, Monte Carlo and closed forms."""

import math

import pytest
import torch

from pyro_symvi.groups import Orthogonal, PointCloudAction, SpecialEuclidean, SpecialOrthogonal
from pyro_symvi.quotient import Context, Diffusion, GaussianPrior, HarmonicPrior, Linear, Trigonometric
from pyro_symvi.quotient.oracles import ShapeMixture, langevin, orbit_mean

TIMES = torch.tensor([0.0, 0.1, 0.5, 0.8, 0.97], dtype=torch.float64)
CHAIN = torch.tensor([[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0]])
MASK = torch.tensor([[True] * 4, [True, True, True, False], *([[True] * 4] * 3)])
MASSES = torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64)
KINDS = ["gaussian", "harmonic", "masked", "masses", "about the origin"]


def setting(kind, d):
    motions = SpecialOrthogonal(d) if kind == "about the origin" else SpecialEuclidean(d)
    action = PointCloudAction(motions, MASSES if kind == "masses" else None)
    prior = HarmonicPrior(1.3) if kind == "harmonic" else GaussianPrior(0.8)
    path = Trigonometric() if kind == "masses" else Linear(bridge=0.3)
    context = {"harmonic": Context(edges=CHAIN.expand(5, 4, 4)), "masked": Context(mask=MASK)}.get(kind)
    return Diffusion(action, path, prior), context


def mixture(d, seed=0):
    shapes = torch.randn(3, 4, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return ShapeMixture(shapes, torch.tensor([0.5, 0.2, 0.3]))


def noisy(diffusion, law, context, times=TIMES):
    generator = torch.Generator().manual_seed(1)
    return diffusion.interpolate(law.sample(len(times), generator=generator), times, context, generator=generator)


def by_quadrature(law, diffusion, x, t, context):
    """log p_t and E[x_1 | x_t] of one cloud by a rule over the group, from normal densities in an orthonormal basis."""
    d = x.shape[-1]
    rule = SpecialOrthogonal(d).quadrature(46 if d == 3 else 1000)
    turned = diffusion.centre(law.shapes[None] @ rule.elements.mT[:, None], context)
    residual = diffusion.centre(x, context) - diffusion.interpolant.beta(t) * turned
    free = diffusion.centre(torch.eye(4, dtype=torch.float64), context)
    cov = diffusion.prior.apply(lambda s: diffusion.interpolant.variance(t, s), free, context)
    if diffusion.action.weights is not None:  # N(0, C) in the metric of masses: unit masses for root(w) x
        root = diffusion.action.weights.sqrt()
        cov, residual = root[:, None] * cov / root, residual * root[:, None]
    values, vectors = torch.linalg.eigh(cov)
    kept = values > 1e-9
    scores = (vectors[:, kept].mT @ residual).square().sum(-1) / values[kept]
    logs = -scores.sum(-1) / 2 - d * (2 * math.pi * values[kept]).log().sum() / 2
    logs = logs + rule.weights.log()[:, None] + law.probabilities.log()
    total = logs.flatten().logsumexp(0)
    return total, torch.einsum("rk,rknd->nd", (logs - total).exp(), turned)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [2, 3])
def test_density_and_denoiser_against_quadrature_over_the_group(kind, d):
    diffusion, context = setting(kind, d)
    law = mixture(d)
    x = noisy(diffusion, law, context)
    density, denoised = law.log_density(diffusion, x, TIMES, context), law.denoiser(diffusion)(x, TIMES, context)
    for i in range(3 if d == 3 else 5):  # in space the rule resolves what t = 0.5 needs, not t = 0.8
        one = None if context is None else context[i]
        total, mean = by_quadrature(law, diffusion, x[i], TIMES[i], one)
        assert density[i].item() == pytest.approx(total.item(), rel=1e-7, abs=1e-7)
        torch.testing.assert_close(denoised[i], mean, rtol=0, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [2, 3])
def test_score_is_the_gradient_of_the_density_and_horizontal(kind, d):
    diffusion, context = setting(kind, d)
    law = mixture(d)
    x = noisy(diffusion, law, context).requires_grad_()
    (gradient,) = torch.autograd.grad(law.log_density(diffusion, x, TIMES, context).sum(), x)
    if kind == "masses":
        gradient = gradient / MASSES[:, None]
    x = x.detach()
    score = diffusion.score(x, TIMES, diffusion.denoise(law.denoiser(diffusion), x, TIMES, context), context)
    torch.testing.assert_close(score, gradient, rtol=1e-12, atol=1e-11)
    torch.testing.assert_close(diffusion.project(x, score, context), score, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("d", [2, 3])
def test_velocity_is_horizontal_for_independent_points_and_not_for_bonded_ones(d):
    for kind, horizontal in (("gaussian", True), ("harmonic", False)):
        diffusion, context = setting(kind, d)
        law = mixture(d)
        x = noisy(diffusion, law, context)
        v = diffusion.velocity(x, TIMES, diffusion.denoise(law.denoiser(diffusion), x, TIMES, context), context)
        gap = (diffusion.project(x, v, context) - v).norm(dim=(-2, -1)) / v.norm(dim=(-2, -1))
        assert (gap[1:] < 1e-12).all() if horizontal else (gap[1:4] > 1e-2).all()


@pytest.mark.parametrize("d", [2, 3])
def test_denoiser_is_equivariant_under_rotations_not_reflections(d):
    diffusion, _ = setting("gaussian", d)
    law = mixture(d)
    denoiser, x = law.denoiser(diffusion), noisy(diffusion, law, None)
    turn = SpecialOrthogonal(d).sample(5, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(denoiser(x @ turn.mT, TIMES, None), denoiser(x, TIMES, None) @ turn.mT)
    mirror = torch.diag(torch.tensor([-1.0, 1.0, 1.0][:d], dtype=torch.float64))
    assert (denoiser(x @ mirror, TIMES, None) - denoiser(x, TIMES, None) @ mirror).abs().max() > 0.1
    both = ShapeMixture(torch.cat([law.shapes, law.shapes @ mirror]), law.probabilities.repeat(2)).denoiser(diffusion)
    torch.testing.assert_close(both(x @ mirror, TIMES, None), both(x, TIMES, None) @ mirror)


def test_chirality_is_kept():
    """The mirror image of a chiral shape is not confused with it near data."""
    z = mixture(3).shapes[:1]
    diffusion, _ = setting("gaussian", 3)
    law = ShapeMixture(torch.cat([z, z * torch.tensor([-1.0, 1, 1])]))
    x = diffusion.centre(z[0] @ SpecialOrthogonal(3).sample(1, generator=torch.Generator().manual_seed(3))[0].mT)
    posterior = law.posterior(diffusion, 0.98 * x, torch.tensor(0.98, dtype=torch.float64))
    assert posterior[0].item() > 1 - 1e-6


@pytest.mark.parametrize("d", [2, 3])
def test_denoiser_by_regression_on_draws(d):
    """E <x_1, f(x_t)> = E <D(x_t), f(x_t)> for any f; here f(x) = x |x|^2. 8,000 draws, within 4 standard errors."""
    diffusion, _ = setting("gaussian", d)
    law, generator = mixture(d), torch.Generator().manual_seed(4)
    x1 = diffusion.centre(law.sample(8000, generator=generator))
    t = torch.tensor(0.6, dtype=torch.float64)
    x = diffusion.interpolate(x1, t, generator=generator)
    test = x * x.square().sum((-2, -1), keepdim=True)
    gap = ((x1 - law.denoiser(diffusion)(x, t.expand(8000), None)) * test).sum((-2, -1))
    aligned = ((x1 - law.aligned_denoiser(diffusion)(x, t.expand(8000), None)) * test).sum((-2, -1))
    assert abs(gap.mean()) < 4 * gap.std() / 8000**0.5
    assert abs(aligned.mean()) > 12 * aligned.std() / 8000**0.5


@pytest.mark.parametrize("d", [2, 3])
def test_aligned_target_is_the_posterior_mean_of_kabsch_aligned_shapes(d):
    diffusion, _ = setting("gaussian", d)
    law = mixture(d)
    x = noisy(diffusion, law, None)
    shapes = diffusion.centre(law.shapes)
    fits = diffusion.action.act(diffusion.action.align(shapes, x[:, None]), shapes)
    expected = (law.posterior(diffusion, x, TIMES)[..., None, None] * fits).sum(1)
    torch.testing.assert_close(law.aligned_denoiser(diffusion)(x, TIMES, None), expected)


def test_one_bond_is_denoised_by_the_langevin_function():
    bond = torch.tensor([[[0.0, 0, 0.7], [0, 0, -0.7]]], dtype=torch.float64)
    diffusion, _ = setting("gaussian", 3)
    law = ShapeMixture(bond)
    times = torch.tensor([0.1, 0.5, 0.99, 0.99999], dtype=torch.float64)
    x = noisy(diffusion, law, None, times)
    y = x[:, 0] - x[:, 1]
    variance = diffusion.interpolant.variance(times, torch.tensor(0.64, dtype=torch.float64))
    size = y.norm(dim=-1)
    kappa = times * 1.4 * size / (2 * variance)
    denoised = law.denoiser(diffusion)(x, times, None)
    expected = 1.4 * langevin(kappa)[:, None] * y / size[:, None]
    torch.testing.assert_close(denoised[:, 0] - denoised[:, 1], expected, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(langevin(kappa), 1 / torch.tanh(kappa) - 1 / kappa, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("d", [2, 3])
def test_at_the_end_the_nearest_point_of_the_nearest_orbit(d):
    diffusion, _ = setting("gaussian", d)
    law = mixture(d)
    x = diffusion.centre(law.sample(6, generator=torch.Generator().manual_seed(5)))
    one = torch.ones(6, dtype=torch.float64)
    torch.testing.assert_close(law.denoiser(diffusion)(x, one, None), x)
    torch.testing.assert_close(law.aligned_denoiser(diffusion)(x, one, None), x)


@pytest.mark.parametrize("d", [2, 3])
def test_all_atoms_at_one_point_are_denoised_to_that_point(d):
    """x = 0 says nothing of the rotation: E[R] = 0."""
    diffusion, _ = setting("gaussian", d)
    denoised = mixture(d).denoiser(diffusion)(torch.zeros(4, d, dtype=torch.float64), torch.tensor(0.5), None)
    assert denoised.abs().max() < 1e-12


@pytest.mark.parametrize("d", [2, 3])
def test_orbit_means_average_to_the_denoiser(d):
    diffusion, context = setting("harmonic", d)
    law = mixture(d)
    x = noisy(diffusion, law, context)
    turn = SpecialOrthogonal(d).sample(5, generator=torch.Generator().manual_seed(6))
    means = [orbit_mean(diffusion, x, z @ turn.mT, TIMES, context) for z in law.shapes]
    expected = (law.posterior(diffusion, x, TIMES, context)[..., None, None] * torch.stack(means, 1)).sum(1)
    torch.testing.assert_close(law.denoiser(diffusion)(x, TIMES, context), expected)


def test_orbit_mean_is_the_limit_of_weighted_rotations():
    """Self-normalised average over 40,000 rotations, within 5 standard errors of the delta method."""
    diffusion, _ = setting("gaussian", 3)
    z, t = diffusion.centre(mixture(3).shapes[0]), torch.tensor(0.4, dtype=torch.float64)
    x = diffusion.interpolate(z, t, generator=torch.Generator().manual_seed(7))
    turned = z @ SpecialOrthogonal(3).sample(40000, generator=torch.Generator().manual_seed(8)).mT
    variance = diffusion.interpolant.variance(t, torch.tensor(0.64, dtype=torch.float64))
    weights = (-(x - t * turned).square().sum((-2, -1)) / (2 * variance)).softmax(0)
    mean = torch.einsum("r,rnd->nd", weights, turned)
    error = torch.einsum("r,rnd->nd", weights.square(), (turned - mean).square()).sqrt()
    assert ((orbit_mean(diffusion, x, z, t) - mean).abs() < 5 * error).all()


@pytest.mark.parametrize("d", [2, 3])
def test_denoiser_can_be_differentiated(d):
    diffusion, _ = setting("gaussian", d)
    law = mixture(d)
    x = noisy(diffusion, law, None)[1:4].requires_grad_()
    assert torch.autograd.gradcheck(lambda y: law.denoiser(diffusion)(y, TIMES[1:4], None), (x,))


def test_samples_have_the_weights_and_the_shapes():
    law = mixture(3)
    draws = law.sample(4000, generator=torch.Generator().manual_seed(9))
    sizes, known = draws.square().sum((-2, -1)), law.shapes.square().sum((-2, -1))
    near = (sizes[:, None] - known).abs().argmin(-1)
    torch.testing.assert_close(sizes, known[near])
    shares = torch.bincount(near, minlength=3) / 4000
    error = (law.probabilities * (1 - law.probabilities) / 4000).sqrt()
    assert ((shares - law.probabilities).abs() < 4 * error).all()
    assert draws.mean(0).abs().max() < 5 * draws.std(0).max() / 4000**0.5


def test_float32_in_float32_out():
    diffusion, _ = setting("gaussian", 3)
    law = mixture(3)
    x = noisy(diffusion, law, None).float()
    exact = law.denoiser(diffusion)(x.double(), TIMES, None)
    torch.testing.assert_close(law.denoiser(diffusion)(x, TIMES.float(), None), exact.float(), rtol=1e-4, atol=1e-5)
    assert law.log_density(diffusion, x, TIMES.float()).dtype == torch.float32


@pytest.mark.parametrize(
    ("shapes", "weights", "message"),
    [
        (torch.zeros(3, 2), None, r"shapes \[K, N, d\]"),
        (torch.zeros(2, 3, 4), None, r"d = 2 or 3"),
        (torch.full((1, 3, 2), math.nan), None, "finite shapes"),
        (torch.zeros(2, 3, 2), torch.ones(3), r"weights \[2\]"),
        (torch.zeros(2, 3, 2), torch.tensor([1.0, -1.0]), "weights >= 0"),
    ],
    ids=["flat", "four dimensions", "nan", "count", "negative"],
)
def test_bad_mixtures_are_refused(shapes, weights, message):
    with pytest.raises(ValueError, match=message):
        ShapeMixture(shapes, weights)


def test_wrong_actions_and_points_are_refused():
    law = mixture(3)
    with pytest.raises(ValueError, match="mirror images"):
        law.denoiser(Diffusion(PointCloudAction(Orthogonal(3))))
    with pytest.raises(ValueError, match=r"shapes \[K, N, 2\]"):
        law.denoiser(Diffusion(PointCloudAction(SpecialEuclidean(2))))
    with pytest.raises(ValueError, match=r"points \[..., 4, 3\]"):
        law.denoiser(Diffusion())(torch.zeros(5, 3), torch.tensor(0.5), None)


@pytest.mark.parametrize("kind", ["gaussian", "harmonic", "masses"])
@pytest.mark.parametrize("d", [2, 3])
def test_density_denoiser_and_velocity_obey_the_continuity_equation(kind, d):
    """The derivative of log p_t in t is -<v, s> - div v, all by autograd."""
    diffusion, context = setting(kind, d)
    law = mixture(d)
    x = noisy(diffusion, law, context)[1:4]
    times = TIMES[1:4].clone().requires_grad_()
    context = None if context is None else context[1:4]
    (rate,) = torch.autograd.grad(law.log_density(diffusion, x, times, context).sum(), times)
    times = times.detach()

    def velocity(y):
        y = diffusion.centre(y, context)
        return diffusion.velocity(y, times, diffusion.denoise(law.denoiser(diffusion), y, times, context), context)

    jacobian = torch.autograd.functional.jacobian(lambda y: velocity(y).sum(0), x)  # [N, d, batch, N, d]
    divergence = torch.einsum("ndbnd->b", jacobian)
    score = diffusion.score(x, times, diffusion.denoise(law.denoiser(diffusion), x, times, context), context)
    masses = MASSES[:, None] if kind == "masses" else 1.0
    transport = (masses * velocity(x) * score).sum((-2, -1))
    torch.testing.assert_close(rate, -transport - divergence, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("d", [2, 3])
def test_denoiser_works_under_functional_transforms(d):
    diffusion, _ = setting("gaussian", d)
    law = mixture(d)
    x = noisy(diffusion, law, None)[1:4]

    def one(y, t):
        return law.denoiser(diffusion)(y, t, None)

    reverse = torch.func.vmap(torch.func.jacrev(one))(x, TIMES[1:4])
    forward = torch.func.vmap(torch.func.jacfwd(one))(x, TIMES[1:4])
    torch.testing.assert_close(forward, reverse)
    step = 1e-6 * torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(10))
    ends = [law.denoiser(diffusion)(x + sign * step, TIMES[1:4], None) for sign in (1, -1)]
    change = (ends[0] - ends[1]) / 2
    torch.testing.assert_close(torch.einsum("bndme,bme->bnd", reverse, step), change, rtol=1e-6, atol=1e-12)
