"""What DivergenceELBO refuses, each with a message that says what was expected, what came, why, and what to try."""

import math
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import SVI, config_enumerate
from pyro.infer.autoguide import AutoDelta, AutoNormal, AutoNormalMessenger, AutoStructured
from pyro.nn import PyroModule, PyroParam
from torch import Tensor

from pyro_symvi.divergences import Alpha, ForwardKL, ReverseKL
from pyro_symvi.infer import DivergenceELBO

X = torch.tensor([0.5, -0.3, 1.0, 0.2])


@pytest.fixture(autouse=True)
def seeded() -> None:
    pyro.set_rng_seed(0)


def model(x: Tensor) -> None:
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def refuse(elbo: Any, model: Callable[..., Any], guide: Any, *args: Any, match: str, kind: type = ValueError) -> None:
    with pytest.raises(kind, match=match) as error:
        elbo.loss_and_grads(model, guide, *args)
    assert_style(error)


def assert_style(error: pytest.ExceptionInfo[Any]) -> None:
    message = str(error.value)
    for part in ("expected ", ", got ", ", because ", "; try "):
        assert part in message, message


# construction


@pytest.mark.parametrize(
    ("arguments", "kind", "match"),
    [
        ({"divergence": "kl"}, TypeError, "ReverseKL"),
        ({"divergence": 0.5}, TypeError, "Alpha"),
        ({"divergence": ReverseKL}, TypeError, "ReverseKL"),
        ({"divergence": ReverseKL(), "num_particles": 0}, ValueError, "num_particles >= 1"),
        ({"divergence": ReverseKL(), "num_particles": True}, TypeError, "integer"),
        ({"divergence": ReverseKL(), "num_particles": 2.5}, TypeError, "integer"),
        ({"divergence": ForwardKL()}, ValueError, "num_particles >= 2"),
        ({"divergence": Alpha(0.5), "num_particles": 1}, ValueError, "num_particles >= 2"),
        ({"divergence": ReverseKL(), "gradient": "score"}, ValueError, "'pathwise'"),
        ({"divergence": ReverseKL(), "gradient": "weighted"}, ValueError, "alpha = 0"),
        ({"divergence": ReverseKL(), "max_plate_nesting": -1}, ValueError, "max_plate_nesting"),
        ({"divergence": ReverseKL(), "max_plate_nesting": math.nan}, ValueError, "max_plate_nesting"),
        ({"divergence": ReverseKL(), "max_plate_nesting": "2"}, TypeError, "max_plate_nesting"),
        ({"divergence": ReverseKL(), "symmetry": object(), "vectorize_particles": False}, ValueError, "symmetry"),
    ],
)
def test_arguments(arguments: dict[str, Any], kind: type, match: str) -> None:
    with pytest.raises(kind, match=match) as error:
        DivergenceELBO(**arguments)
    assert_style(error)


def test_limits_of_the_alpha_family_are_accepted_as_such() -> None:
    assert not DivergenceELBO(Alpha(0), 1).weighted
    assert DivergenceELBO(Alpha(1), 2).weighted
    assert not DivergenceELBO(Alpha(1), 2, gradient="pathwise").weighted


# programs


@pytest.mark.filterwarnings("ignore:Found vars in model but not guide")
def test_enumerated_sites() -> None:
    @config_enumerate
    def guide(x: Tensor) -> None:
        pyro.sample("k", dist.Categorical(torch.ones(2)))

    def mixture(x: Tensor) -> None:
        k = pyro.sample("k", dist.Categorical(torch.ones(2)))
        pyro.sample("x", dist.Normal(k.to(x.dtype), 1.0), obs=x[0])

    refuse(DivergenceELBO(ForwardKL(), 4), mixture, guide, X, match="enumerated.*'k'.*TraceEnum_ELBO")
    refuse(
        DivergenceELBO(ReverseKL(), 4),
        config_enumerate(mixture),
        lambda x: None,
        X,
        match="enumerated.*'k'.*TraceEnum_ELBO",
    )


@pytest.mark.filterwarnings("ignore:Found vars in model but not guide")
def test_latent_sites_the_guide_lacks() -> None:
    refuse(DivergenceELBO(ReverseKL(), 4), model, lambda x: None, X, match=r"every latent site.*\['z'\]")


@pytest.mark.parametrize("divergence", [ForwardKL(), Alpha(0.5), Alpha(1e-9), Alpha(-1.0)], ids=repr)
@pytest.mark.parametrize("vectorized", [True, False])
@pytest.mark.parametrize("guide_class", [AutoNormal, AutoNormalMessenger])
def test_minibatches(divergence: Any, vectorized: bool, guide_class: type) -> None:
    def subsampled(x: Tensor) -> None:
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", len(x), subsample_size=2) as rows:
            pyro.sample("x", dist.Normal(z, 1.0), obs=x[rows])

    guide = guide_class(subsampled)
    refuse(DivergenceELBO(divergence, 4, vectorized), subsampled, guide, X, match="'rows' with 2 of 4 at site 'x'")
    assert math.isfinite(DivergenceELBO(ReverseKL(), 4, vectorized).loss_and_grads(subsampled, guide, X))


def test_full_size_subsample_is_no_minibatch() -> None:
    def full(x: Tensor) -> None:
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", len(x), subsample_size=4) as rows:
            pyro.sample("x", dist.Normal(z, 1.0), obs=x[rows])

    assert math.isfinite(DivergenceELBO(ForwardKL(), 4).loss_and_grads(full, AutoNormal(full), X))


def count_model() -> None:
    k = pyro.sample("k", dist.Poisson(2.0))
    pyro.sample("x", dist.Normal(k, 1.0), obs=torch.tensor(2.5))


def count_guide() -> None:
    pyro.sample("k", dist.Poisson(pyro.param("rate", torch.tensor(2.0))))


def test_guide_sites_without_reparameterised_draws() -> None:
    refuse(DivergenceELBO(ReverseKL(), 4), count_model, count_guide, match="Poisson at site 'k'.*Trace_ELBO")
    refuse(DivergenceELBO(Alpha(0.5), 4), count_model, count_guide, match="Poisson at site 'k'.*gradient='weighted'")
    refuse(DivergenceELBO(ForwardKL(), 4, gradient="pathwise"), count_model, count_guide, match="reparameterised")

    def continuous(x: Tensor) -> None:  # has_rsample switched off by hand, as Pyro allows
        loc = pyro.param("loc", torch.tensor(0.0))
        pyro.sample("z", dist.Normal(loc, 1.0).has_rsample_(False))

    refuse(DivergenceELBO(ReverseKL(), 4), model, continuous, X, match="Normal at site 'z'")
    assert math.isfinite(DivergenceELBO(Alpha(0.5), 4, gradient="weighted").loss_and_grads(count_model, count_guide))


def test_rejection_samplers_are_not_purely_reparameterised() -> None:
    from pyro.distributions.testing.rejection_gamma import ShapeAugmentedGamma

    def positive() -> None:
        pyro.sample("z", dist.Gamma(2.0, 1.0))

    def guide() -> None:
        pyro.sample("z", ShapeAugmentedGamma(pyro.param("shape", torch.tensor(2.0)), torch.tensor(1.0)))

    refuse(DivergenceELBO(ReverseKL(), 4), positive, guide, match="'z'.*differentiable function")


def test_moving_point_masses_under_the_weighted_gradient() -> None:
    for guide_class in (AutoDelta, AutoStructured):
        pyro.clear_param_store()
        refuse(DivergenceELBO(ForwardKL(), 4), model, guide_class(model), X, match="Delta.*'z'.*AutoNormal")

    def moved_noise(x: Tensor) -> None:
        loc = pyro.param("loc", torch.tensor(0.0))
        noise = pyro.sample("noise", dist.Normal(0.0, 1.0), infer={"is_auxiliary": True})
        pyro.sample("z", dist.Delta(loc + noise).mask(True))

    refuse(DivergenceELBO(ForwardKL(), 4), model, moved_noise, X, match="Delta.*'z'")
    assert math.isfinite(DivergenceELBO(Alpha(0.5), 4).loss_and_grads(model, moved_noise, X))

    class PointMessenger(AutoNormalMessenger):
        def get_posterior(self, name: str, prior: Any) -> Any:
            return pyro.param("point", torch.tensor(0.3))

    refuse(DivergenceELBO(ForwardKL(), 4), model, PointMessenger(model), X, match="Delta.*'z'")


def test_a_transform_without_an_inverse_under_the_weighted_gradient() -> None:
    from pyro.distributions.transforms import Planar

    def pair() -> None:
        pyro.sample("z", dist.Normal(0.0, 1.0).expand([2]).to_event(1))

    flow = Planar(2)

    def guide() -> None:
        pyro.module("flow", flow)
        base = dist.Normal(torch.zeros(2), torch.ones(2)).to_event(1)
        pyro.sample("z", dist.TransformedDistribution(base, [flow]))

    refuse(DivergenceELBO(ForwardKL(), 4), pair, guide, match="any given point.*gradient='pathwise'")
    assert math.isfinite(DivergenceELBO(ReverseKL(), 4).loss_and_grads(pair, guide))


class LearnableModel(PyroModule):
    def __init__(self) -> None:
        super().__init__()
        self.sigma = PyroParam(torch.tensor(1.0), constraint=dist.constraints.positive)

    def forward(self, x: Tensor) -> None:
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(z, self.sigma), obs=x)


def learnable_by_param(x: Tensor) -> None:
    sigma = pyro.param("sigma", torch.tensor(1.0), constraint=dist.constraints.positive)
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(z, sigma), obs=x)


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("guide_class", [AutoNormal, AutoNormalMessenger])
@pytest.mark.parametrize("vectorized", [True, False])
def test_learnable_models(local: bool, guide_class: type, vectorized: bool) -> None:
    with pyro.settings.context(module_local_params=local):
        # Pyro has no global pyro.param under local parameters
        for program in (LearnableModel(),) if local else (LearnableModel(), learnable_by_param):
            for elbo in (
                DivergenceELBO(ForwardKL(), 4, vectorized),
                DivergenceELBO(Alpha(0.8), 4, vectorized),
                DivergenceELBO(Alpha(2.0), 4, vectorized, gradient="pathwise"),
            ):
                pyro.clear_param_store()
                refuse(elbo, program, guide_class(program), X, match="without learnable parameters")
            for divergence in (ReverseKL(), Alpha(0.5), Alpha(-1.0)):  # lower bounds of log Z
                elbo = DivergenceELBO(divergence, 4, vectorized)
                assert math.isfinite(elbo.loss_and_grads(program, guide_class(program), X))


def test_a_frozen_model_is_accepted() -> None:
    with pyro.settings.context(module_local_params=True):
        frozen = LearnableModel()
        frozen.requires_grad_(False)
        guide = AutoNormal(frozen)
        loss = DivergenceELBO(ForwardKL(), 4)(frozen, guide)
        loss(X).backward()
    assert all(parameter.grad is not None for parameter in guide.parameters())


# the particle plate


def left_indexed(x: Tensor) -> None:
    z = pyro.sample("z", dist.Normal(0.0, 1.0).expand([3]).to_event(1))
    pyro.sample("x", dist.Normal(z[0], 1.0), obs=x[0])


def right_indexed(x: Tensor) -> None:
    z = pyro.sample("z", dist.Normal(0.0, 1.0).expand([3]).to_event(1))
    pyro.sample("x", dist.Normal(z[..., 0], 1.0), obs=x[0])


def total_noise(x: Tensor) -> None:
    with pyro.plate("rows", len(x)):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
    pyro.sample("x", dist.Normal(z.sum(), 1.0), obs=x[0])


@pytest.mark.parametrize("program", [left_indexed, total_noise])
@pytest.mark.parametrize("guide_class", [AutoNormal, AutoNormalMessenger])
@pytest.mark.parametrize("divergence", [ReverseKL(), ForwardKL()], ids=repr)
def test_a_model_that_mixes_up_particles_without_a_word(program: Any, guide_class: type, divergence: Any) -> None:
    """With three particles z[0] is the first *particle*, shape (3,): Pyro sees nothing wrong in it."""
    guide = guide_class(program)
    refuse(DivergenceELBO(divergence, 3), program, guide, X, match="'x'.*vectorize_particles=False")
    assert math.isfinite(DivergenceELBO(divergence, 3, vectorize_particles=False).loss_and_grads(program, guide, X))


def test_a_model_that_breaks_under_the_plate() -> None:
    guide = AutoNormal(left_indexed)
    refuse(DivergenceELBO(ReverseKL(), 5), left_indexed, guide, X, match="particle plate.*vectorize_particles=False")
    for divergence in (ReverseKL(), ForwardKL()):
        elbo = DivergenceELBO(divergence, 3)
        assert math.isfinite(elbo.loss_and_grads(right_indexed, AutoNormal(right_indexed), X))


def test_a_guide_that_mixes_up_particles() -> None:
    def guide(x: Tensor) -> None:
        first = pyro.sample("first", dist.Normal(0.0, 1.0).expand([2]).to_event(1))
        pyro.sample("second", dist.Normal(first[0] - first[1], 1.0))

    def pair(x: Tensor) -> None:
        pyro.sample("first", dist.Normal(0.0, 1.0).expand([2]).to_event(1))
        pyro.sample("second", dist.Normal(0.0, 1.0))

    refuse(DivergenceELBO(ReverseKL(), 2), pair, guide, X, match="'second'.*vectorize_particles=False")


def test_errors_of_the_program_itself_come_through_untouched() -> None:
    def broken(x: Tensor) -> None:
        pyro.sample("z", dist.Normal(0.0, 1.0))
        raise KeyError("my own mistake")

    def guide(x: Tensor) -> None:
        pyro.sample("z", dist.Normal(0.0, 1.0))

    with pytest.raises(KeyError, match="my own mistake"):
        DivergenceELBO(ReverseKL(), 4, max_plate_nesting=0).loss(broken, guide, X)


def test_too_small_a_plate_nesting_is_explained() -> None:
    refuse(
        DivergenceELBO(ReverseKL(), 4, max_plate_nesting=0),
        model,
        AutoNormal(model),
        X,
        match="plate stack overflow.*max_plate_nesting",
    )


def test_a_random_model_is_not_mistaken_for_one_that_cannot_be_vectorised() -> None:
    def dropout(x: Tensor) -> None:
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(z + torch.randn(()), 1.0), obs=x)

    assert math.isfinite(DivergenceELBO(ReverseKL(), 4).loss(dropout, AutoNormal(dropout), X))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_check_does_not_fire_on_rounding(dtype: torch.dtype) -> None:
    """Ten thousand badly scaled data and a correlated prior: sums in another order differ in the last digits only."""
    torch.set_default_dtype(dtype)
    x = 1e3 * torch.randn(10_000) + 5e3
    inputs = torch.linspace(0.0, 1.0, 20)
    covariance = torch.exp(-0.5 * (inputs[:, None] - inputs) ** 2 / 0.04) + 1e-3 * torch.eye(20)

    def process(x: Tensor) -> None:
        scale = pyro.sample("scale", dist.LogNormal(0.0, 1.0))
        f = pyro.sample("f", dist.MultivariateNormal(torch.zeros(20), covariance))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.StudentT(4.0, f[..., 3:4] * 1e3, 1e3 * scale[..., None]), obs=x)

    def guided(x: Tensor) -> None:
        scale = pyro.sample("scale", dist.LogNormal(0.0, 1.0))
        f = pyro.sample("f", dist.MultivariateNormal(torch.zeros(20), covariance))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.StudentT(4.0, f[..., 3] * 1e3, 1e3 * scale), obs=x)

    for elbo in (DivergenceELBO(ReverseKL(), 8), DivergenceELBO(ForwardKL(), 8)):
        elbo.loss_and_grads(guided, AutoNormal(guided), x)


def test_the_check_runs_once_for_a_pair() -> None:
    runs = []

    def counted(x: Tensor) -> None:
        runs.append(1)
        model(x)

    svi = SVI(counted, AutoNormal(counted), pyro.optim.Adam({"lr": 0.01}), DivergenceELBO(ForwardKL(), 4))
    svi.step(X)
    first = len(runs)
    svi.step(X)
    assert len(runs) == first + 1


# symmetry


def test_a_symmetry_surrounds_the_guide_run_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    class OrbitClosedNoise(poutine.messenger.Messenger):
        copies = 1

        def __init__(self, symmetry: object) -> None:
            super().__init__()
            assert symmetry == "an action"

        def _pyro_sample(self, msg: Any) -> None:
            seen.append(msg["name"])

    stand_in = ModuleType("pyro_symvi.infer.svi.orbit_noise")
    stand_in.OrbitClosedNoise = OrbitClosedNoise
    monkeypatch.setitem(sys.modules, "pyro_symvi.infer.svi.orbit_noise", stand_in)
    guide = AutoNormal(model)
    for divergence in (ReverseKL(), ForwardKL()):
        seen.clear()
        DivergenceELBO(divergence, 4, symmetry="an action").loss_and_grads(model, guide, X)
        assert [name for name in seen if name.startswith("z")] == ["z_unconstrained", "z"]
        assert "x" not in seen
