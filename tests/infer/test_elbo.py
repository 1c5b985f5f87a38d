"""DivergenceELBO inside Pyro: Trace_ELBO on common random numbers, both call forms, plates, particles."""

import math
import random
from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import SVI, RenyiELBO, Trace_ELBO
from pyro.infer.autoguide import (
    AutoDelta,
    AutoDiagonalNormal,
    AutoGuideList,
    AutoLowRankMultivariateNormal,
    AutoMultivariateNormal,
    AutoNormal,
    AutoNormalMessenger,
    AutoStructured,
)
from pyro.nn import PyroModule, PyroParam
from torch import Tensor

from pyro_symvi.divergences import Alpha, ForwardKL, ReverseKL
from pyro_symvi.infer import DivergenceELBO
from pyro_symvi.infer.svi._traces import particle_log_prob

DATA = torch.tensor([[0.3, -1.2], [0.8, 0.1], [1.9, -0.4]], dtype=torch.float64)


@pytest.fixture(autouse=True)
def double_precision() -> None:
    torch.set_default_dtype(torch.float64)
    pyro.set_rng_seed(0)


# models with two latent sites, one of them constrained


def plain(x: Tensor) -> None:
    a = pyro.sample("a", dist.Normal(0, 2))
    b = pyro.sample("b", dist.Gamma(3, 2))
    law = dist.Normal(a[..., None, None], b[..., None, None])
    pyro.sample("x", law.expand(a.shape + x.shape).to_event(2), obs=x)


def nested_plates(x: Tensor) -> None:
    b = pyro.sample("b", dist.Gamma(3, 2))
    with pyro.plate("columns", 2, dim=-1):
        c = pyro.sample("c", dist.Normal(0, b))
        with pyro.plate("rows", 3, dim=-2):
            z = pyro.sample("z", dist.Normal(c, 1))
            pyro.sample("x", dist.Normal(z, b), obs=x)


def sequential_plate(x: Tensor) -> None:
    b = pyro.sample("b", dist.Gamma(3, 2))
    for i in pyro.plate("rows", 3):
        z = pyro.sample(f"z{i}", dist.Normal(0, b))
        pyro.sample(f"x{i}", dist.Normal(z, 1), obs=x[i, 0])


def subsampled(x: Tensor) -> None:
    a = pyro.sample("a", dist.Normal(0, 2))
    with pyro.plate("rows", 3, subsample_size=2) as rows:
        pyro.sample("x", dist.Normal(a, 1), obs=x[rows, 0])


def scaled_masked_factor(x: Tensor) -> None:
    a = pyro.sample("a", dist.Normal(0, 2))
    with poutine.scale(scale=3.0):
        b = pyro.sample("b", dist.LogNormal(0, 1))
        pyro.factor("tilt", -0.3 * a**4)
    with pyro.plate("rows", 3, dim=-1), poutine.mask(mask=torch.tensor([True, False, True])):
        pyro.sample("x", dist.Normal(a, b), obs=x[:, 0])


def learnable(x: Tensor) -> None:
    sigma = pyro.param("sigma", torch.tensor(0.7), constraint=dist.constraints.positive)
    a = pyro.sample("a", dist.Normal(0, 2))
    with pyro.plate("rows", 3):
        pyro.sample("x", dist.Normal(a, sigma), obs=x[:, 0])


MODELS = [plain, nested_plates, subsampled, scaled_masked_factor, learnable]
GUIDES = [
    AutoNormal,
    AutoDiagonalNormal,
    AutoMultivariateNormal,
    AutoLowRankMultivariateNormal,
    AutoNormalMessenger,
    AutoStructured,
    AutoDelta,
]


def prepared(guide: Any, *args: Any) -> Any:
    """Makes the guide's parameters and moves them off their initial values."""
    guide(*args)
    with torch.no_grad():
        for i, parameter in enumerate(guide.parameters()):
            parameter += 0.1 * torch.sin(torch.arange(1.0, parameter.numel() + 1).reshape(parameter.shape) + i)
    return guide


def loss_and_gradients(
    elbo: Any, model: Callable[..., Any], guide: Any, *args: Any, seed: int = 3
) -> dict[str, Tensor]:
    pyro.set_rng_seed(seed)
    with poutine.trace(param_only=True) as capture:
        loss = elbo.loss_and_grads(model, guide, *args)
    results = {"loss": torch.as_tensor(loss)}
    for name, site in capture.trace.nodes.items():
        parameter = site["value"].unconstrained()
        results[name], parameter.grad = parameter.grad, None
    return results


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@pytest.mark.parametrize("guide_class", GUIDES, ids=lambda guide: guide.__name__)
@pytest.mark.parametrize("particles", [1, 7])
@pytest.mark.parametrize("vectorized", [True, False])
def test_reverse_kl_is_trace_elbo_on_common_random_numbers(
    model: Callable[..., Any], guide_class: type, particles: int, vectorized: bool
) -> None:
    guide = prepared(guide_class(model), DATA)
    theirs = loss_and_gradients(Trace_ELBO(particles, vectorize_particles=vectorized), model, guide, DATA)
    ours = loss_and_gradients(DivergenceELBO(ReverseKL(), particles, vectorized), model, guide, DATA)
    assert theirs.keys() == ours.keys() and len(ours) > 1
    for name, value in theirs.items():
        assert torch.allclose(ours[name], value, rtol=1e-10, atol=1e-10), name


def hand_written(x: Tensor) -> None:
    loc = pyro.param("loc", torch.tensor(0.4))
    scale = pyro.param("scale", torch.tensor(0.6), constraint=dist.constraints.positive)
    a = pyro.sample("a", dist.Normal(loc, scale))
    pyro.sample("b", dist.LogNormal(0.2 * a + loc, scale))


def hand_written_sequential(x: Tensor) -> None:
    scale = pyro.param("scale", torch.tensor(0.6), constraint=dist.constraints.positive)
    b = pyro.sample("b", dist.LogNormal(0.3, scale))
    for i in pyro.plate("rows", 3):
        pyro.sample(f"z{i}", dist.Normal(0.1 * i * b, scale))


@pytest.mark.parametrize(("model", "guide"), [(plain, hand_written), (sequential_plate, hand_written_sequential)])
def test_hand_written_guides_agree_too(model: Callable[..., Any], guide: Callable[..., Any]) -> None:
    theirs = loss_and_gradients(Trace_ELBO(9, vectorize_particles=True), model, guide, DATA)
    ours = loss_and_gradients(DivergenceELBO(ReverseKL(), 9), model, guide, DATA)
    for name, value in theirs.items():
        assert torch.allclose(ours[name], value, rtol=1e-10, atol=1e-10), name


def test_alpha_near_zero_and_reverse_kl_agree() -> None:
    guide = prepared(AutoNormal(plain), DATA)
    near = loss_and_gradients(DivergenceELBO(Alpha(1e-9), 16), plain, guide, DATA)
    limit = loss_and_gradients(DivergenceELBO(ReverseKL(), 16), plain, guide, DATA)
    for name, value in limit.items():
        assert torch.allclose(near[name], value, rtol=1e-6, atol=1e-6), name


@pytest.mark.parametrize("vectorized", [True, False])
@pytest.mark.parametrize("divergence", [ReverseKL(), ForwardKL(), Alpha(0.5), Alpha(2.0)], ids=repr)
def test_no_randomness_beyond_pyros_own(divergence: Any, vectorized: bool) -> None:
    guide = prepared(AutoNormal(plain), DATA)
    states = []
    for elbo in (
        Trace_ELBO(6, vectorize_particles=vectorized),
        DivergenceELBO(divergence, 6, vectorized),
    ):
        pyro.set_rng_seed(8)
        elbo.loss_and_grads(plain, guide, DATA)
        states.append((torch.get_rng_state().tolist(), random.getstate()))
    assert states[0] == states[1]


# call forms


@pytest.mark.parametrize("divergence", [ReverseKL(), ForwardKL(), Alpha(0.5), Alpha(2.0), Alpha(-1.0)], ids=repr)
@pytest.mark.parametrize("guide_class", [AutoNormal, AutoMultivariateNormal, AutoNormalMessenger])
def test_svi_finds_a_gaussian_posterior_whatever_the_divergence(divergence: Any, guide_class: type) -> None:
    """Prior N(0, 1), two data of unit noise: the posterior N(0.4, 1/3) is in the family, so every divergence finds it.

    200 particles leave a bias of O(1/200) of a posterior sd and steps of 0.02 a jitter below 0.05."""

    def model(x: Tensor) -> None:
        z = pyro.sample("z", dist.Normal(0, 1))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(z, 1), obs=x)

    x = torch.tensor([0.5, 0.7])
    guide = guide_class(model, init_scale=0.5)
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.02}), DivergenceELBO(divergence, 200))
    losses = [svi.step(x) for _ in range(120)]
    assert all(isinstance(loss, float) and math.isfinite(loss) for loss in losses)
    assert isinstance(svi.evaluate_loss(x), float)
    if guide_class is AutoMultivariateNormal:
        loc, scale = guide.loc[0], guide.scale[0]
    else:
        loc, scale = guide.locs.z, guide.scales.z
    assert abs(float(loc.detach()) - 0.4) < 0.06
    assert abs(float(scale.detach()) - 3**-0.5) < 0.06


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("divergence", [ReverseKL(), ForwardKL(), Alpha(0.5)], ids=repr)
@pytest.mark.parametrize("guide_class", [AutoNormal, AutoMultivariateNormal, AutoNormalMessenger])
def test_module_form_with_a_torch_optimiser(divergence: Any, guide_class: type, local: bool) -> None:
    class Model(PyroModule):
        def forward(self, x: Tensor) -> None:
            z = pyro.sample("z", dist.Normal(0, 1))
            with pyro.plate("rows", len(x)):
                pyro.sample("x", dist.Normal(z, 1), obs=x)

    x = torch.tensor([0.5, 0.7])
    with pyro.settings.context(module_local_params=local):
        model = Model()
        guide = guide_class(model, init_scale=0.5)
        loss = DivergenceELBO(divergence, 100)(model, guide)
        loss(x)
        optimiser = torch.optim.Adam(loss.parameters(), lr=0.1)
        for _ in range(30):
            optimiser.zero_grad()
            value = loss(x)
            assert value.shape == () and value.requires_grad
            value.backward()
            optimiser.step()
        found = guide.median(x)["z"]
    assert abs(float(found.detach()) - 0.4) < 0.15


@pytest.mark.parametrize("local", [True, False])
def test_model_parameters_are_learnt_under_reverse_kl(local: bool) -> None:
    class Model(PyroModule):
        def __init__(self) -> None:
            super().__init__()
            self.shift = PyroParam(torch.tensor(0.0))

        def forward(self, x: Tensor) -> None:
            z = pyro.sample("z", dist.Normal(self.shift, 1))
            pyro.sample("x", dist.Normal(z, 1), obs=x)

    with pyro.settings.context(module_local_params=local):
        model = Model()
        guide = AutoNormal(model, init_scale=0.5)
        loss = DivergenceELBO(ReverseKL(), 50)(model, guide)
        loss(torch.tensor(2.0))
        optimiser = torch.optim.Adam(loss.parameters(), lr=0.05)
        for _ in range(300):
            optimiser.zero_grad()
            loss(torch.tensor(2.0)).backward()
            optimiser.step()
    assert abs(float(model.shift_unconstrained.detach()) - 2.0) < 0.15  # the maximum of the evidence N(2; shift, 2)


def test_differentiable_loss_leaves_grad_alone_and_loss_and_grads_adds() -> None:
    guide = prepared(AutoNormal(plain), DATA)
    elbo = DivergenceELBO(ForwardKL(), 8)
    pyro.set_rng_seed(1)
    elbo.differentiable_loss(plain, guide, DATA)
    assert all(parameter.grad is None for parameter in guide.parameters())
    pyro.set_rng_seed(1)
    elbo.loss_and_grads(plain, guide, DATA)
    once = [parameter.grad.clone() for parameter in guide.parameters()]
    pyro.set_rng_seed(1)
    elbo.loss_and_grads(plain, guide, DATA)
    assert all(torch.allclose(p.grad, 2 * g) for p, g in zip(guide.parameters(), once, strict=True))


def test_one_objective_for_all_ways_to_ask() -> None:
    guide = prepared(AutoMultivariateNormal(plain), DATA)
    for divergence in (ReverseKL(), ForwardKL(), Alpha(0.5), Alpha(2.0)):
        elbo = DivergenceELBO(divergence, 12)
        elbo.loss(plain, guide, DATA)  # the first call also guesses the nesting
        values = []
        for call in (elbo.loss, elbo.differentiable_loss, elbo.loss_and_grads):
            pyro.set_rng_seed(5)
            values.append(float(torch.as_tensor(call(plain, guide, DATA)).detach()))
        pyro.set_rng_seed(5)
        log_weights = elbo.log_weights(plain, guide, DATA)
        assert log_weights.shape == (12,) and not log_weights.requires_grad
        values.append(float(divergence.objective(log_weights)))
        assert max(values) - min(values) < 1e-12


def test_nothing_to_learn_is_a_plain_number() -> None:
    def guide(x: Tensor) -> None:
        pyro.sample("a", dist.Normal(0.0, 1.0))
        pyro.sample("b", dist.LogNormal(0.0, 1.0))

    for divergence in (ReverseKL(), ForwardKL()):
        assert math.isfinite(DivergenceELBO(divergence, 4).loss_and_grads(plain, guide, DATA))

    def no_latents(x: Tensor) -> None:
        pyro.sample("x", dist.Normal(0, 1).expand(x.shape).to_event(2), obs=x)

    expected = -float(dist.Normal(0, 1).log_prob(DATA).sum())
    assert DivergenceELBO(ReverseKL(), 4).loss_and_grads(no_latents, lambda x: None, DATA) == pytest.approx(expected)


def test_nan_warns_and_shows() -> None:
    def model() -> None:
        z = pyro.sample("z", dist.Normal(0, 1))
        pyro.factor("broken", (z - z) / 0.0)

    def guide() -> None:
        pyro.sample("z", dist.Normal(pyro.param("loc", torch.tensor(0.0)), 1))

    with pyro.validation_enabled(False), pytest.warns(UserWarning, match="NaN: loss"):
        assert math.isnan(DivergenceELBO(ForwardKL(), 4).loss(model, guide))


# particles


@pytest.mark.parametrize("divergence", [ReverseKL(), ForwardKL(), Alpha(0.5), Alpha(2.0)], ids=repr)
def test_loop_and_vectorised_particles_have_one_expectation(divergence: Any) -> None:
    """12 repetitions of 8 particles each way; loss and gradients within 4 standard errors of each other."""
    guide = prepared(AutoNormal(nested_plates, init_scale=0.3), DATA)
    samples = []
    for vectorized in (True, False):
        elbo = DivergenceELBO(divergence, 8, vectorized)
        runs = [loss_and_gradients(elbo, nested_plates, guide, DATA, seed=100 + i) for i in range(12)]
        samples.append({name: torch.stack([run[name].sum() for run in runs]) for name in runs[0]})
    for name in samples[0]:
        a, b = samples[0][name], samples[1][name]
        error = float(((a.var() + b.var()) / 12).sqrt())
        assert abs(float(a.mean() - b.mean())) < 4 * error, name


@torch.no_grad()
def test_log_weights_sum_the_whole_model_for_each_particle() -> None:
    guide = prepared(AutoNormal(nested_plates), DATA)
    elbo = DivergenceELBO(ReverseKL(), 5, max_plate_nesting=2)
    pyro.set_rng_seed(4)
    log_weights = elbo.log_weights(nested_plates, guide, DATA)
    pyro.set_rng_seed(4)
    plate = pyro.plate("particles", 5, dim=-3)
    draws = plate(guide)(DATA)
    for k in range(5):
        values = {name: value[k].reshape(guide.median(DATA)[name].shape) for name, value in draws.items()}
        log_p = poutine.trace(poutine.condition(nested_plates, values)).get_trace(DATA).log_prob_sum()
        log_q = 0.0
        for name, value in values.items():
            loc, scale = getattr(guide.locs, name), getattr(guide.scales, name)
            law = dist.LogNormal(loc, scale) if name == "b" else dist.Normal(loc, scale)
            log_q = log_q + law.log_prob(value).sum()
        assert float(log_weights[k]) == pytest.approx(float(log_p - log_q), rel=1e-10)


@pytest.mark.parametrize(
    ("shape", "particle_dim", "expected"),
    [
        ((), -1, [6.0] * 4),  # knows nothing of the particles
        ((4,), -1, [0.0, 1.0, 2.0, 3.0]),
        ((3,), -2, [3.0] * 4),  # a plate right of the particles only
        ((1, 3), -2, [3.0] * 4),
        ((4, 3), -2, [3.0, 12.0, 21.0, 30.0]),
        ((4, 1, 3), -3, [3.0, 12.0, 21.0, 30.0]),
        ((4,), None, [6.0] * 4),
    ],
)
def test_summing_all_but_the_particles(shape: tuple[int, ...], particle_dim: int | None, expected: list[float]) -> None:
    log_prob = torch.arange(float(math.prod(shape))).reshape(shape) if shape else torch.tensor(6.0)
    assert particle_log_prob(log_prob, 4, particle_dim).tolist() == expected


# plates: one joint problem


def local_latents(x: Tensor) -> None:
    with pyro.plate("d", len(x)):
        z = pyro.sample("z", dist.Normal(0, 1))
        pyro.sample("x", dist.Normal(z, 1), obs=x)


def test_plates_shared_by_all_sites_are_one_problem() -> None:
    """Known defect: Pyro's RenyiELBO subtracts a joint guide's density once per datum; its "bound" passes log Z."""
    x = torch.tensor([0.3, -1.2, 0.8, 0.1, 1.9])
    log_z = float(dist.Normal(0, math.sqrt(2)).log_prob(x).sum())

    def renyi_bound(guide: Any) -> float:
        return -RenyiELBO(alpha=0.0, num_particles=2000, vectorize_particles=True, max_plate_nesting=1).loss(
            local_latents, guide, x
        )

    def our_bound(guide: Any) -> float:
        log_weights = DivergenceELBO(Alpha(0.5), 2000, max_plate_nesting=1).log_weights(local_latents, guide, x)
        return float(torch.logsumexp(log_weights, 0)) - math.log(2000)

    wide = prepared(AutoDiagonalNormal(local_latents, init_scale=1.0), x)
    assert renyi_bound(wide) > log_z + 20
    # log mean w is below log Z in expectation: 40 repetitions, mean within 4 standard errors of it or below
    ours = torch.tensor([our_bound(wide) for _ in range(40)])
    assert float(ours.mean()) < log_z + 4 * float(ours.std()) / math.sqrt(40)
    assert float(ours.mean()) > log_z - 0.5

    exact = AutoDiagonalNormal(local_latents, init_scale=1.0)
    exact(x)
    with torch.no_grad():
        exact.loc.copy_(x / 2)
        exact.scale_unconstrained.fill_(math.log(math.expm1(2**-0.5)))
    for alpha in (-1.0, 0.3, 0.5, 2.0):  # at p = q all weights are Z: no Monte-Carlo error at all
        elbo = DivergenceELBO(Alpha(alpha), 10)
        assert elbo.loss(local_latents, exact, x) == pytest.approx(log_z / (alpha - 1), rel=1e-10)
        assert torch.allclose(elbo.log_weights(local_latents, exact, x), torch.tensor(log_z), rtol=0, atol=1e-10)
    assert DivergenceELBO(ForwardKL(), 10).loss(local_latents, exact, x) == pytest.approx(0.0, abs=1e-10)


def test_the_joint_problem_is_the_same_with_and_without_plates() -> None:
    def without_plates(x: Tensor) -> None:
        z = pyro.sample("z", dist.Normal(0, 1).expand([len(x)]).to_event(1))
        pyro.sample("x", dist.Normal(z, 1).to_event(1), obs=x)

    x = torch.tensor([0.3, -1.2, 0.8])
    for divergence in (ForwardKL(), Alpha(0.5), Alpha(-1.0)):
        losses = []
        for model in (local_latents, without_plates):
            pyro.clear_param_store()
            guide = prepared(
                AutoDiagonalNormal(
                    model, init_loc_fn=pyro.infer.autoguide.init_to_value(values={"z": torch.zeros(3)}), init_scale=0.5
                ),
                x,
            )
            elbo = DivergenceELBO(divergence, 30)
            elbo.loss(model, guide, x)
            losses.append(loss_and_gradients(elbo, model, guide, x))
        assert losses[0].keys() == losses[1].keys() and len(losses[0]) == 3
        for name, value in losses[0].items():
            assert torch.allclose(losses[1][name], value, rtol=1e-10, atol=1e-12), name


def test_lists_of_guides_and_point_mass_parts() -> None:
    guide = AutoGuideList(plain)
    guide.append(AutoNormal(poutine.block(plain, hide=["b"])))
    guide.append(AutoDelta(poutine.block(plain, hide=["a"])))
    prepared(guide, DATA)
    theirs = loss_and_gradients(Trace_ELBO(7, vectorize_particles=True), plain, guide, DATA)
    ours = loss_and_gradients(DivergenceELBO(ReverseKL(), 7), plain, guide, DATA)
    for name, value in theirs.items():
        assert torch.allclose(ours[name], value, rtol=1e-10, atol=1e-10), name
    with pytest.raises(ValueError, match="Delta whose point depends on guide parameters at site 'b'"):
        DivergenceELBO(ForwardKL(), 7).loss_and_grads(plain, guide, DATA)
