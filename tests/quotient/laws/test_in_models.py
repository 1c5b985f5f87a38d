"""Shapes in Pyro models: priors and guides, against quadrature over triangles and closed forms."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import Trace_ELBO
from pyro.infer.autoguide import AutoDelta, AutoNormal
from pyro.infer.autoguide.initialization import init_to_sample
from pyro.infer.mcmc.util import initialize_model
from torch import Tensor

from pyro_symvi.distributions import SphericalUniform
from pyro_symvi.quotient import CloudDataset, Context, Diffusion
from pyro_symvi.quotient.laws import (
    CentredClouds,
    HelmertTransform,
    NoiseReparam,
    ShapeDistribution,
    ShapeGuide,
    WeightedShapes,
    simulate,
)
from pyro_symvi.quotient.samplers import ODESampler, SDESampler
from tests.quotient.laws.normal_clouds import DIFFUSION, NormalDenoiser, clouds, fixed, normal_log_density

SIDES = torch.tensor([[0, 1], [1, 2], [0, 2]])
OBSERVED = torch.tensor([1.1, 0.9, 1.7], dtype=torch.float64)
NOISE = 0.3


def sides(x: Tensor) -> Tensor:
    """Lengths of the sides 01, 12 and 02 of triangles, ``[*batch, 3]``."""
    return (x[..., SIDES[:, 0], :] - x[..., SIDES[:, 1], :]).norm(dim=-1)


def bend(x: Tensor) -> Tensor:
    """The angle at point 1."""
    a, b, c = sides(x).unbind(-1)
    return ((a**2 + b**2 - c**2) / (2 * a * b)).clamp(-1, 1).acos()


def model(distances: Tensor | None = None, scale: float = 0.8) -> Tensor:
    x = pyro.sample("x", ShapeDistribution(DIFFUSION, fixed(scale), 3, steps=6, sampler=ODESampler(15)))
    pyro.sample("distances", dist.Normal(sides(x), NOISE).to_event(1), obs=distances)
    return x


def no_condition(distances: Tensor | None = None, **_: object) -> Context:
    return Context(features=torch.zeros(3, 1, dtype=torch.float64))


def quadrature(scale: float, noise: float = NOISE) -> tuple[float, float, float]:
    """Log evidence, posterior mean and standard deviation of the bend angle.

    Lebesgue measure on centred triangles is 8 pi^2 3^(-3/2) a^2 b^2 sin(theta) da db dtheta, poses integrated out.
    """
    lengths = torch.linspace(0, 4, 61, dtype=torch.float64)
    angles = torch.linspace(0, math.pi, 61, dtype=torch.float64)
    a, b, theta = torch.meshgrid(lengths, lengths, angles, indexing="ij")
    zero = torch.zeros_like(a)
    points = torch.stack([torch.stack([a, zero], -1), torch.stack([zero, zero], -1),
                          torch.stack([b * theta.cos(), b * theta.sin()], -1)], -2)  # fmt: skip
    x = torch.cat([points, torch.zeros(*a.shape, 3, 1, dtype=torch.float64)], -1)
    x = x - x.mean(-2, keepdim=True)
    log_p = normal_log_density(x, scale) + dist.Normal(sides(x), noise).log_prob(OBSERVED).sum(-1)
    volume = 8 * math.pi**2 * 3**-1.5 * a**2 * b**2 * theta.sin()
    cell = float((lengths[1] - lengths[0]) ** 2 * (angles[1] - angles[0]))
    mass = log_p.exp() * volume * cell
    total = float(mass.sum())
    mean = float((mass * theta).sum()) / total
    return math.log(total), mean, math.sqrt(float((mass * (theta - mean) ** 2).sum()) / total)


@pytest.mark.parametrize("space", ["total", "quotient"])
def test_importance_weights_against_quadrature(space: str) -> None:
    """Prior scale 0.8, a guide that is a wider normal law: weights carry two densities and a likelihood.

    With both densities on the quotient weights are the same: the volume of the orbit cancels.
    """
    pyro.set_rng_seed(0)
    evidence, mean, deviation = quadrature(0.8)
    guide = ShapeGuide("x", DIFFUSION, fixed(0.9), no_condition, steps=5, sampler=ODESampler(15))

    def in_space(distances: Tensor) -> None:
        x = pyro.sample("x", ShapeDistribution(DIFFUSION, fixed(0.8), 3, steps=5, space=space))
        pyro.sample("distances", dist.Normal(sides(x), NOISE).to_event(1), obs=distances)

    guide.options["space"] = space
    posterior = guide.posterior(in_space, OBSERVED, draws=1500)
    assert posterior.shapes.shape == (1500, 3, 3) and 50 < posterior.effective < 1500
    value, error = posterior.log_evidence
    assert float(error) < 0.2 and float(value) == pytest.approx(evidence, abs=4 * float(error))
    angle, spread = posterior.mean(bend)
    assert float(spread) == pytest.approx(deviation / math.sqrt(posterior.effective), rel=0.3)
    assert float(angle) == pytest.approx(mean, abs=4 * float(spread))


def test_quadrature_has_the_right_measure() -> None:
    """With data that say nothing the evidence is that of the data alone."""
    evidence = quadrature(0.5, noise=1e6)[0]
    assert evidence + 3 * math.log(1e6 * math.sqrt(2 * math.pi)) == pytest.approx(0.0, abs=1e-3)


def test_the_density_of_the_quotient_on_one_side_only_is_wrong() -> None:
    """The guard of the docstring: a prior on the quotient against a guide on the total space is off by the volume."""
    pyro.set_rng_seed(0)
    law = ShapeDistribution(DIFFUSION, fixed(0.8), 3, steps=5, space="quotient")
    guide = ShapeGuide("x", DIFFUSION, fixed(0.8), no_condition, steps=5, sampler=ODESampler(5))
    posterior = guide.posterior(lambda distances: pyro.sample("x", law), OBSERVED, draws=50)
    assert torch.allclose(posterior.log_weights, DIFFUSION.log_orbit_volume(posterior.shapes), atol=1e-8)


# -- the guide ---------------------------------------------------------------------------------------------------------


def test_a_guide_has_parameters_that_an_objective_trains() -> None:
    """One site, no data: the ELBO's gradient in log s is -9 (s^2 / s_0^2 - 1)."""
    pyro.set_rng_seed(0)
    guide = ShapeGuide("x", DIFFUSION, NormalDenoiser(0.6), lambda: Context(features=torch.zeros(300, 4, 1)), steps=5)
    prior = dist.Normal(torch.zeros(4, 3, dtype=torch.float64), 1.0).to_event(2)

    def joint() -> None:
        with pyro.plate("rows", 300):
            pyro.sample("x", prior)

    module = _InPlate(guide)
    elbo = Trace_ELBO()(joint, module)
    loss = elbo() / 300
    loss.backward()
    slope = guide.denoiser.log_scale.grad
    assert slope is not None
    assert float(slope) == pytest.approx(9 * (0.36 - 1), abs=4 * 0.36 * math.sqrt(18 / 300) + 0.1)


class _InPlate(torch.nn.Module):
    def __init__(self, guide: ShapeGuide) -> None:
        super().__init__()
        self.guide = guide

    def forward(self) -> Tensor:
        with pyro.plate("rows", 300):
            return self.guide()


def test_a_condition_must_be_a_context() -> None:
    guide = ShapeGuide("x", DIFFUSION, NormalDenoiser(0.6), lambda distances: distances)
    with pytest.raises(TypeError, match="expected condition to return a Context"):
        guide(OBSERVED)


def rotation(q: Tensor) -> Tensor:
    """Rotation matrices ``[*batch, 3, 3]`` of unit quaternions ``[*batch, 4]``; q and -q give the same one."""
    w, x, y, z = q.unbind(-1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
    ]
    return torch.stack(rows, -2)


def test_poses_beside_shapes() -> None:
    """Coordinates seen in an unknown frame: y = R x + noise. R is a site of its own, in a guide derived from the
    shape's. The law of R x is that of x, so that the evidence is that of N(0, s^2 + noise^2) whatever is done with R.
    """
    pyro.set_rng_seed(0)
    noise, basis = 0.8, HelmertTransform(3)
    y = basis.inv(0.7 * clouds(points=3, seed=3))
    law = ShapeDistribution(DIFFUSION, fixed(0.5), 3, steps=5, sampler=ODESampler(20))
    pose = SphericalUniform(4, dtype=torch.float64)

    def seen(y: Tensor) -> None:
        x = pyro.sample("x", law)
        turned = x @ rotation(pyro.sample("pose", pose)).mT
        pyro.sample("y", dist.Normal(basis.inv(turned), noise).to_event(2), obs=y)

    class WithPose(ShapeGuide):
        def forward(self, y: Tensor) -> Tensor:
            x = super().forward(y)
            pyro.sample("pose", pose)
            return x

    def condition(y: Tensor) -> Context:
        return no_condition()

    guide = WithPose("x", DIFFUSION, fixed(0.5), condition, steps=5, sampler=ODESampler(20))
    value, error = guide.posterior(seen, y, draws=1500).log_evidence
    expected = dist.Normal(0.0, math.hypot(0.5, noise)).log_prob(y).sum()
    assert float(error) < 0.06 and float(value) == pytest.approx(float(expected), abs=4 * float(error))


# -- noise -------------------------------------------------------------------------------------------------------------


def test_noise_instead_of_shapes() -> None:
    """The joint density is that of a standard normal and the likelihood at the flow's end; x itself adds nothing."""
    pyro.set_rng_seed(1)
    moved = poutine.reparam(model, config={"x": NoiseReparam()})
    trace = poutine.trace(moved).get_trace(OBSERVED)
    z, x = (trace.nodes[name]["value"].detach() for name in ("x_noise", "x"))
    assert z.shape == (2, 3) and x.shape == (3, 3)
    # the exact flow multiplies by 0.8 / 1.3, prior noise has the scale 1.3
    assert float((x.square().sum() / z.square().sum()).sqrt()) == pytest.approx(0.8, rel=1e-2)
    expected = dist.Normal(0.0, 1.0).log_prob(z).sum() + dist.Normal(sides(x), NOISE).log_prob(OBSERVED).sum()
    assert float(trace.log_prob_sum().detach()) == pytest.approx(float(expected), abs=1e-10)


def test_noise_in_plates_and_under_masks() -> None:
    mask = torch.tensor([[True, True, True, False], [True, True, True, True]])

    def ragged() -> None:
        with pyro.plate("clouds", 2):
            pyro.sample("x", ShapeDistribution(DIFFUSION, fixed(0.8), context=Context(mask=mask)))

    trace = poutine.trace(poutine.reparam(ragged, config={"x": NoiseReparam()})).get_trace()
    assert trace.nodes["x_noise"]["value"].shape == (2, 4, 3)
    assert bool((trace.nodes["x"]["value"][0, 3] == 0).all()) and trace.nodes["x"]["value"].shape == (2, 4, 3)
    trace.compute_log_prob()
    assert trace.nodes["x_noise"]["log_prob"].shape == (2,)


def test_noise_needs_a_latent_shape_and_an_ode() -> None:
    def sde() -> None:
        pyro.sample("x", ShapeDistribution(DIFFUSION, fixed(0.8), 3, sampler=SDESampler(3)))

    def normal() -> None:
        pyro.sample("x", dist.Normal(0.0, 1.0))

    config = {"x": NoiseReparam()}
    with pytest.raises(NotImplementedError, match="expected an ODE sampler"):
        poutine.reparam(sde, config=config)()
    with pytest.raises(TypeError, match="expected a ShapeDistribution at 'x'"):
        poutine.reparam(normal, config=config)()
    with pytest.raises(NotImplementedError, match="observed site 'x'"):
        poutine.reparam(poutine.condition(model, {"x": clouds(points=3)}), config=config)()


# -- automatic guides --------------------------------------------------------------------------------------------------


def test_automatic_guides_work_in_helmert_coordinates() -> None:
    """AutoDelta goes to the mode of N(0, s^2), the origin; the guide's density has no Jacobian."""
    pyro.set_rng_seed(0)
    law = ShapeDistribution(DIFFUSION, fixed(0.8), 3, steps=3)

    def prior() -> None:
        pyro.sample("x", law)

    guide = AutoNormal(prior)
    trace = poutine.trace(guide).get_trace()
    x = trace.nodes["x"]["value"].detach()
    assert x.shape == (3, 3) and float(x.mean(-2).abs().max()) < 1e-12
    trace.compute_log_prob()
    assert float(trace.nodes["x"]["log_prob"].detach()) == 0.0  # minus the log Jacobian
    point = AutoDelta(prior, init_loc_fn=init_to_sample)
    elbo = Trace_ELBO()(prior, point)
    elbo()
    start = point()["x"].detach().clone()
    optimizer = torch.optim.SGD(elbo.parameters(), lr=0.32)  # half of s^2: each step halves x
    for _ in range(2):
        optimizer.zero_grad()
        elbo().backward()
        optimizer.step()
    assert torch.allclose(point()["x"].detach(), start / 4, rtol=2e-2)


# -- what Hamiltonian Monte Carlo asks for -----------------------------------------------------------------------------


def test_the_potential_energy_of_a_shape() -> None:
    """In Helmert coordinates y it is |y|^2 / 2 s^2 and a constant, without a Jacobian; its gradient y / s^2."""
    law = ShapeDistribution(DIFFUSION, fixed(0.8), 3, steps=4)

    def prior() -> None:
        pyro.sample("x", law)

    _, potential, transforms, _ = initialize_model(prior, initial_params={"x": torch.zeros(2, 3).double()})
    y = torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    energy = potential({"x": y})
    (slope,) = torch.autograd.grad(energy, y)
    assert transforms["x"].inv == HelmertTransform(3)
    exact = -float(normal_log_density(transforms["x"].inv(y.detach()), 0.8))
    assert float(energy.detach()) == pytest.approx(exact, abs=2e-2)
    assert torch.allclose(slope, y.detach() / 0.64, atol=2e-2)


def test_the_potential_energy_of_noise() -> None:
    """Its gradient passes through the flow: finite differences see the same."""
    moved = poutine.reparam(model, config={"x": NoiseReparam()})
    z = torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    _, potential, _, _ = initialize_model(moved, (OBSERVED,), initial_params={"x_noise": z})
    leaf = z.clone().requires_grad_()
    (slope,) = torch.autograd.grad(potential({"x_noise": leaf}), leaf)
    step = 1e-5 * torch.randn(z.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        change = potential({"x_noise": z + step}) - potential({"x_noise": z - step})
    assert float(change) == pytest.approx(2 * float((slope * step).sum()), rel=1e-6)


# -- weights and simulations -------------------------------------------------------------------------------------------


def test_weighted_means_and_errors() -> None:
    """Weights exp(x) on N(0, 1) tilt to N(1, 1), evidence exp(1/2); 400 repetitions show the errors to be right."""
    generator = torch.Generator().manual_seed(0)
    means, errors, evidences = [], [], []
    for _ in range(400):
        x = torch.randn(500, 1, 1, dtype=torch.float64, generator=generator)
        weighted = WeightedShapes(x, x[:, 0, 0])
        mean = weighted.mean(lambda shapes: shapes[:, 0, 0])
        means.append(float(mean.value))
        errors.append(float(mean.error))
        evidences.append(weighted.log_evidence)
    m, e = torch.tensor(means), torch.tensor(errors)
    assert float(m.mean()) == pytest.approx(1.0, abs=0.03) and float(e.mean()) == pytest.approx(
        float(m.std()), rel=0.15
    )
    values = torch.stack([value for value, _ in evidences])
    assert float(values.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(torch.stack([error for _, error in evidences]).mean()) == pytest.approx(float(values.std()), rel=0.15)
    assert 500 / math.e * 0.5 < weighted.effective < 500
    assert float(weighted.resample(4000, generator=generator).mean()) == pytest.approx(means[-1], abs=0.07)
    with pytest.raises(ValueError, match="one value a shape"):
        weighted.mean(lambda shapes: shapes.sum())


def test_simulated_pairs() -> None:
    pyro.set_rng_seed(0)

    def condition(distances: Tensor, scale: float = 1.0) -> Context:
        return Context(features=distances[..., None])

    pairs = simulate(model, "x", condition, ["distances"], 200, scale=0.5)
    assert isinstance(pairs, CloudDataset) and pairs.clouds.shape == (200, 3, 3) and len(pairs.names) == 200
    x, context = pairs.batch(torch.arange(200))
    assert context is not None and context.features is not None
    residuals = (context.features[..., 0] - sides(x)) / NOISE
    assert float(residuals.square().mean()) == pytest.approx(1.0, abs=4 * math.sqrt(2 / 600))
    given = simulate(model, "x", condition, ["distances"], 7, shapes=clouds(7, points=3))
    assert torch.equal(given.clouds, clouds(7, points=3))


def test_simulations_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"expected the sites \['angles'\] in the model, got"):
        simulate(model, "x", no_condition, ["angles"], 2)
    with pytest.raises(ValueError, match="as many shapes as count, 3, got 2"):
        simulate(model, "x", no_condition, ["distances"], 3, shapes=clouds(2, points=3))
    with pytest.raises(ValueError, match=r"expected a context \[3, N\]"):
        simulate(model, "x", no_condition, ["distances"], 3)


def test_planar_shapes() -> None:
    """The same in the plane: (N - 1) d = 4."""
    from pyro_symvi.groups import PointCloudAction, SpecialEuclidean

    diffusion = Diffusion(PointCloudAction(SpecialEuclidean(2)), prior=DIFFUSION.prior)
    law = ShapeDistribution(diffusion, fixed(0.6, diffusion), 3, steps=10)
    x = 0.6 * clouds(4, points=3, d=2)
    assert law.event_shape == (3, 2)
    assert torch.allclose(law.log_prob(x), normal_log_density(x, 0.6), atol=5e-3)


def test_guides_and_weights_refuse_at_once() -> None:
    for arguments, options in (
        ((None, DIFFUSION, fixed(0.8), Context), {}),
        (("x", None, fixed(0.8), Context), {}),
        (("x", DIFFUSION, None, Context), {}),
        (("x", DIFFUSION, fixed(0.8), None), {}),
        (("x", DIFFUSION, fixed(0.8), Context), {"step": 5}),
    ):
        with pytest.raises(TypeError, match="expected "):
            ShapeGuide(*arguments, **options)  # type: ignore[arg-type]
    guide = ShapeGuide("x", DIFFUSION, fixed(0.8), no_condition, steps=2, sampler=ODESampler(2))
    elsewhere = ShapeDistribution(DIFFUSION, fixed(0.8), 3, steps=2, sampler=ODESampler(2))
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="expected the site 'x' in the model"):
        guide.posterior(lambda distances: pyro.sample("shape", elsewhere), OBSERVED, draws=3)
    with pytest.raises(ValueError, match="expected draws >= 1, got 0"):
        guide.posterior(lambda distances: pyro.sample("x", elsewhere), OBSERVED, draws=0)
    with pytest.raises(TypeError, match="expected a Pyro model"):
        guide.posterior(None, OBSERVED)  # type: ignore[arg-type]
    for points, error in ((1, ValueError), ("a", TypeError)):
        with pytest.raises(error, match="expected points"):
            HelmertTransform(points)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"expected mask \[\*batch, 4\]"):
        CentredClouds(4, torch.ones(3, dtype=torch.bool))
    with pytest.raises(ValueError, match="expected one log weight a shape"):
        WeightedShapes(torch.zeros(3, 4, 3), torch.zeros(2))
