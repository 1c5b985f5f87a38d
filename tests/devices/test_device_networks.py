"""The companions where the network lies on a GPU: posteriors and samplers, diffusions, measured symmetry, rescaling."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.bnn import (
    Categorical,
    GaussianNoise,
    HeteroscedasticGaussian,
    LearnedGaussianNoise,
    NetworkPosterior,
    NormalPrior,
)
from pyro_symvi.bnn.approximations import DeepEnsemble, Laplace, MeanField
from pyro_symvi.bnn.convergence import check_convergence
from pyro_symvi.bnn.moves import OrbitRefresh, RandomPermutation
from pyro_symvi.bnn.runs import sample
from pyro_symvi.bnn.samplers import HMC, MAMS, MCLMC, Sampler
from pyro_symvi.bnn.symmetry import NetworkSymmetry
from pyro_symvi.equivariance import (
    PointCloudTransformer,
    PointNet,
    equivariance_error,
    lie_error,
    spectrum,
    symmetrize,
)
from pyro_symvi.groups import NaturalAction, Orthogonal, PointCloudAction, SpecialOrthogonal
from pyro_symvi.quotient import CloudDataset, Context, Diffusion, GaussianPrior, HarmonicPrior, training
from pyro_symvi.quotient.losses import AF3Aligned, GeoDiffAligned, Loss, OrbitAveraged, Plain, Quotient
from pyro_symvi.quotient.networks import CloudNetwork, EquivariantNetwork, PointTransformer
from pyro_symvi.quotient.oracles import ShapeMixture
from pyro_symvi.quotient.samplers import AlignedSampler, LangevinCorrector, ODESampler, SDESampler, log_likelihood
from pyro_symvi.quotient.samplers import Sampler as CloudSampler
from pyro_symvi.rescaling import Canonicaliser, RescalingGroup, log_path_weights, path_condition, path_norm
from tests.devices.device import NAME, normal, own, required, same, there

DEVICE = required()

# -- networks' posteriors ----------------------------------------------------------------------------------------------


def network(outputs: int = 1, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    parts = nn.Sequential(nn.Linear(2, 4), activation(), nn.Linear(4, 3), activation(), nn.Linear(3, outputs))
    for i, p in enumerate(parts.parameters()):
        p.data = normal(*p.shape, seed=i)
    return parts.double()


class Residual(nn.Module):
    """Not a perceptron: goes through the general kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(2, 2), nn.Linear(2, 1)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(x + torch.tanh(self.inner(x)))


X = normal(30, 2, seed=50)
Y = X.sum(-1).sin()
LIKELIHOODS: dict[str, tuple[Any, int, Tensor]] = {
    "fixed noise": (GaussianNoise(0.3), 1, Y),
    "learned noise": (LearnedGaussianNoise(), 1, Y),
    "two outputs": (HeteroscedasticGaussian(), 2, Y),
    "classes": (Categorical(3), 3, (X[:, 0] > 0).long() + (X[:, 1] > 0).long()),
}


def posterior(move: Any = there, name: str = "learned noise", net: nn.Module | None = None) -> NetworkPosterior:
    likelihood, outputs, y = LIKELIHOODS[name]
    return NetworkPosterior(move(net or network(outputs)), likelihood, NormalPrior(1.0), move(X), move(y))


@pytest.mark.parametrize("name", list(LIKELIHOODS))
def test_posterior(name: str) -> None:
    here, away = posterior(copy.deepcopy, name), posterior(name=name)
    theta = 0.5 * normal(5, here.dim, seed=9)
    same(away.value_and_grad(there(theta)), here.value_and_grad(theta))
    same(away.log_prob(there(theta)), here.log_prob(theta))
    same(away.outputs(there(theta)), here.outputs(theta))
    same(away.predictive(there(theta)).log_prob(away.y), here.predictive(theta).log_prob(here.y))
    drawn = away.sample_prior(500, generator=own())
    assert drawn.device == DEVICE and bool((drawn.std(0) > 0.3).all())


def test_posterior_of_another_module_and_compiled() -> None:
    here, away = posterior(copy.deepcopy, net=Residual()), posterior(net=Residual())
    theta = normal(4, here.dim, seed=9)
    here.network.load_state_dict({k: v.cpu() for k, v in away.network.state_dict().items()})
    same(away.value_and_grad(there(theta)), here.value_and_grad(theta))
    compiled = posterior().compile(4)
    theta = normal(4, compiled.dim, seed=9)
    first = compiled.value_and_grad(there(theta))
    compiled.value_and_grad(there(2 * theta))  # what was returned stays
    same(first, posterior(copy.deepcopy).value_and_grad(theta))


@pytest.mark.parametrize("sampler", [MCLMC(), MAMS(), HMC()], ids=["MCLMC", "MAMS", "HMC"])
def test_samplers(sampler: Sampler) -> None:
    target = posterior()
    moves = (OrbitRefresh(NetworkSymmetry.of(target)), RandomPermutation(NetworkSymmetry.of(target)))
    draws = sample(target, sampler, chains=3, draws=8, warmup=20, moves=moves, seed=1)
    assert draws.theta.device == DEVICE and draws.theta.shape == (3, 8, target.dim)
    assert bool(torch.isfinite(draws.theta).all())
    assert torch.allclose(draws.stats["log_density"][:, -1], target.value_and_grad(draws.theta[:, -1])[0])
    again = sample(target, sampler, chains=3, draws=8, warmup=20, moves=moves, seed=1)
    assert torch.equal(again.theta, draws.theta)
    assert "R-hat" in str(check_convergence(target, draws))


@pytest.mark.parametrize("approximation", [Laplace(), MeanField(max_steps=30), DeepEnsemble(2)], ids=repr)
def test_approximations(approximation: Any) -> None:
    fitted = approximation.fit(posterior())
    draws = fitted.sample(5, own())
    assert draws.theta.device == DEVICE and bool(torch.isfinite(draws.theta).all())


def test_symmetries_of_networks() -> None:
    here, away = (NetworkSymmetry.of(posterior(move)) for move in (copy.deepcopy, there))
    theta = normal(4, here.dim, seed=9)
    g = here.random(4, torch.Generator().manual_seed(0))
    same(away.act(there(g), there(theta)), here.act(g, theta))
    assert away.random(4, own()).device == DEVICE
    same(away.match(there(theta), there(theta[0])), here.match(theta, theta[0]))
    same(away.canonicalize(there(theta)), here.canonicalize(theta))
    assert all(check for check in away.verify(posterior()))


# -- diffusions --------------------------------------------------------------------------------------------------------


def equivariant(x: Tensor, t: Tensor, context: Context | None = None) -> Tensor:
    return x * (0.3 + torch.tanh(x.square().sum(-1, keepdim=True)) + t[..., None, None])


def chain(points: int = 5) -> Context:
    edges = torch.diag_embed(torch.ones(points - 1), 1).long()
    return Context(features=normal(1, points, 4), edges=(edges + edges.mT)[None])


@pytest.mark.parametrize("loss", [Plain(), Quotient(), GeoDiffAligned(), AF3Aligned(), OrbitAveraged()], ids=repr)
def test_losses(loss: Loss) -> None:
    value = loss(Diffusion(), equivariant, there(normal(6, 5, 3)), there(torch.linspace(0, 0.9, 6)).double(),
                 generator=own())  # fmt: skip
    assert value.device == DEVICE and value.dtype == torch.float64 and bool((value > 0).all())
    t = torch.zeros(6, dtype=torch.float64)  # nothing of x_1 is left in x_t: only the law of the noise counts
    many = torch.stack([loss(Diffusion(), lambda x, t, c: 0 * x, there(normal(6, 5, 3)), there(t), generator=own(k))
                        for k in range(40)])  # fmt: skip
    few = torch.stack([loss(Diffusion(), lambda x, t, c: 0 * x, normal(6, 5, 3), t,
                            generator=torch.Generator().manual_seed(k)) for k in range(40)])  # fmt: skip
    error = ((many.var() + few.var().to(DEVICE)) / 240).sqrt()
    assert abs(float(many.mean()) - float(few.mean())) <= 6 * float(error) + 1e-9


def test_geometry_of_clouds() -> None:
    for diffusion in (Diffusion(), Diffusion(prior=HarmonicPrior())):
        x, v = diffusion.centre(normal(4, 5, 3)), normal(4, 5, 3, seed=1)
        t, denoised = torch.linspace(0.1, 0.9, 4).double(), normal(4, 5, 3, seed=2)
        known = chain()
        away = known.to(DEVICE)
        same(diffusion.project(there(x), there(v), away), diffusion.project(x, v, known))
        same(diffusion.mean_curvature(there(x), away), diffusion.mean_curvature(x, known))
        same(diffusion.velocity(there(x), there(t), there(denoised), away), diffusion.velocity(x, t, denoised, known))
        same(diffusion.score(there(x), there(t), there(denoised), away), diffusion.score(x, t, denoised, known))
        assert diffusion.noise(there(x), away, generator=own()).device == DEVICE


@pytest.mark.parametrize("kind", [EquivariantNetwork, PointTransformer], ids=["equivariant", "transformer"])
def test_networks_of_clouds(kind: type[CloudNetwork]) -> None:
    here = kind(features=4, edge_kinds=1).double()
    away = copy.deepcopy(here).to(DEVICE)
    x, t, known = normal(3, 5, 3), torch.tensor([0.1, 0.5, 0.9]).double(), chain()[torch.zeros(3, dtype=torch.int64)]
    same(away(there(x), there(t), known.to(DEVICE)).detach(), here(x, t, known).detach(), 1e-8)


SAMPLERS: list[CloudSampler] = [
    ODESampler(4), SDESampler(4), AlignedSampler(4), ODESampler(3, corrector=LangevinCorrector()),
]  # fmt: skip


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_samplers_of_clouds(sampler: CloudSampler) -> None:
    start = Diffusion().centre(normal(6, 5, 3))
    found = sampler.sample(Diffusion(), equivariant, (6, 5, 3), start=there(start), generator=own())
    assert found.device == DEVICE and bool(torch.isfinite(found).all())
    if type(sampler) is ODESampler and sampler.corrector is None:  # no noise after the start
        same(found, sampler.sample(Diffusion(), equivariant, (6, 5, 3), start=start), 1e-8)


def test_exact_denoisers_and_likelihoods() -> None:
    shapes = normal(2, 4, 3)
    here, away = ShapeMixture(shapes), ShapeMixture(there(shapes))
    diffusion = Diffusion(prior=GaussianPrior())
    x, t = diffusion.centre(normal(3, 4, 3, seed=1)), torch.tensor([0.2, 0.5, 0.8]).double()
    same(away.denoiser(diffusion)(there(x), there(t)), here.denoiser(diffusion)(x, t), 1e-8)
    found = [log_likelihood(diffusion, law.denoiser(diffusion), x, steps=3)
             for law, x in ((away, there(x)), (here, x))]  # fmt: skip
    same(found[0], found[1], 1e-7)


def test_training_of_a_denoiser(tmp_path: Any) -> None:
    data = CloudDataset(normal(40, 5, 3).float(), torch.zeros(40, dtype=torch.int64), ("normal",), chain())
    net = EquivariantNetwork(16, 2, features=4, edge_kinds=1).to(DEVICE)
    state = torch.cuda.get_rng_state() if NAME == "cuda" else torch.get_rng_state()
    result = training.train(Diffusion(), net, data, steps=6, batch_size=8, checkpoint=tmp_path / "run.pt")
    after = torch.cuda.get_rng_state() if NAME == "cuda" else torch.get_rng_state()
    assert torch.equal(state, after) and len(result.history.loss) == 6
    assert all(p.device == DEVICE for p in result.ema.parameters())
    training.save_model(tmp_path / "model.pt", Diffusion(), net)
    assert next(training.load_model(tmp_path / "model.pt").network.parameters()).device.type == "cpu"


# -- measured symmetry -------------------------------------------------------------------------------------------------

O3, SO3 = Orthogonal(3), SpecialOrthogonal(3)


def clouds(points: int = 6) -> dict[str, Tensor]:
    kinds = 1 + torch.arange(points).remainder(4).expand(3, points)
    return {"positions": normal(3, points, 3), "species": kinds, "mask": torch.ones(3, points, dtype=torch.bool)}


def test_errors_and_spectra_of_a_model() -> None:
    here = PointCloudTransformer((3,)).double().eval()
    away = copy.deepcopy(here).to(DEVICE)
    rho = {"positions": NaturalAction(O3)}
    one = equivariance_error(here, clouds(), O3, rho, NaturalAction(O3), degree=4)
    other = equivariance_error(away, there(clouds()), O3, rho, NaturalAction(O3), degree=4)
    assert float(other.A) == pytest.approx(float(one.A), rel=1e-6)
    assert float(other.relative) == pytest.approx(float(one.relative), rel=1e-6)
    a, b = (spectrum(m, x, O3, 2, rho_in=rho, degree=4) for m, x in ((here, clouds()), (away, there(clouds()))))
    assert str(a) == str(b)
    turn = NaturalAction(SO3)
    one, other = (
        lie_error(m, x, SO3, {"positions": turn}, turn) for m, x in ((here, clouds()), (away, there(clouds())))
    )
    assert float(other.relative) == pytest.approx(float(one.relative), rel=1e-4)


def test_symmetrised_model() -> None:
    points = {"positions": normal(3, 6, 3), "charges": normal(3, 6, 1, seed=1), "mask": clouds()["mask"]}
    model = there(PointNet((3,)).double().eval())
    action = NaturalAction(O3)
    exact = symmetrize(model, O3, {"positions": action}, action, degree=4)
    found = exact(**there(points))
    assert found.device == DEVICE
    assert PointCloudAction(SO3).act(SO3.sample(3, generator=own(), dtype=torch.float64, device=DEVICE),
                                     there(points["positions"])).device == DEVICE  # fmt: skip


# -- rescaling ---------------------------------------------------------------------------------------------------------


def test_conditioning_a_model() -> None:
    here = network()
    away = there(copy.deepcopy(here))
    one, other = path_condition(here), path_condition(away)
    same(other.log_scale.to(DEVICE), one.log_scale, 1e-8)
    one.apply_()
    other.apply_()
    for p, q in zip(away.parameters(), here.parameters(), strict=True):
        same(p.detach(), q.detach(), 1e-8)


@pytest.mark.parametrize("criterion", ["l2", "path"])
def test_canonical_weights(criterion: str) -> None:
    group = RescalingGroup.from_module(network(), (2,))
    away = RescalingGroup.from_module(there(network()), (2,))
    theta = normal(3, group.dim, seed=9)
    z = 0.3 * normal(3, group.num_units, seed=10)
    same(away.act(there(theta), there(z)), group.act(theta, z))
    same(Canonicaliser(away, criterion).canonicalize(there(theta[0])), Canonicaliser(group, criterion).canonicalize(
        theta[0]), 1e-7)  # fmt: skip
    same(log_path_weights(away.traced, there(theta[0])), log_path_weights(group.traced, theta[0]))
    same(path_norm(away.traced, there(theta[0])), path_norm(group.traced, theta[0]))
