"""The contract of a guide on a flat latent vector: inherit `GuideContract` and give the fixture ``build``.

``build(model)`` returns a new guide. Everything is checked against the guide's own affine law (``parameters_``,
``family``) and against Pyro's machinery: traces, plates, `Predictive`, `NeuTraReparam`, `SVI`.
"""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import SVI, Predictive, Trace_ELBO
from pyro.infer.mcmc.util import initialize_model
from pyro.infer.reparam import NeuTraReparam
from torch import Tensor
from torch.distributions import biject_to

from pyro_symvi.density import LogDensity

Build = Callable[..., Any]
Y = torch.tensor([0.3, -1.0, 2.2])


def model(y: Tensor) -> None:
    """Real, positive, simplex and plated sites; module level, so that guides for it can be pickled."""
    loc = pyro.sample("loc", dist.Normal(0.0, 2.0).expand([2]).to_event(1))
    sigma = pyro.sample("sigma", dist.Gamma(2.0, 1.0))
    weights = pyro.sample("weights", dist.Dirichlet(torch.tensor([1.0, 2.0, 3.0])))
    with pyro.plate("data", len(y)):
        local = pyro.sample("local", dist.Normal(loc.sum(-1), 1.0))
        pyro.sample("y", dist.Normal(local * weights[..., 0], sigma), obs=y)


def local_only(y: Tensor) -> None:
    """Every site in one plate."""
    with pyro.plate("data", len(y)):
        z = pyro.sample("z", dist.LogNormal(0.0, 1.0))
        pyro.sample("y", dist.Normal(z, 1.0), obs=y)


def randomize(guide: Any, seed: int = 0) -> None:
    """Parameters that are nothing special."""
    generator = torch.Generator().manual_seed(seed)
    family = guide.family
    vector = 0.4 * torch.randn(family.scale_size, generator=generator, dtype=torch.float64) - 0.7
    loc = torch.randn(family.dim, generator=generator, dtype=torch.float64)
    guide.set_parameters({"loc": loc, "scale": family.scale_from_vector(vector)})


class GuideContract:
    @pytest.fixture
    def build(self) -> Build:
        raise NotImplementedError("give a function (model) -> guide as the fixture 'build'")

    @pytest.fixture
    def guide(self, build: Build) -> Any:
        torch.manual_seed(0)
        guide = build(model)
        guide(Y)
        randomize(guide)
        return guide

    # the law

    def test_draws_are_the_affine_image_mapped_to_the_sites(self, guide: Any) -> None:
        density = LogDensity.from_model(model, Y)
        trace = poutine.trace(guide).get_trace(Y)
        (name,) = [n for n, node in trace.nodes.items() if n.endswith("_latent")]
        latent = trace.nodes[name]["value"].detach()
        values = density.unpack(latent.double())
        for site in density.names:
            assert torch.allclose(trace.nodes[site]["value"].detach().double(), values[site], rtol=1e-4, atol=1e-5)

    def test_its_log_density_is_the_familys_less_the_jacobian(self, guide: Any) -> None:
        density = LogDensity.from_model(model, Y)
        for _ in range(3):
            trace = poutine.trace(guide).get_trace(Y)
            (name,) = [n for n in trace.nodes if n.endswith("_latent")]
            latent = trace.nodes[name]["value"].detach()
            parameters = {n: p.detach().double() for n, p in guide.parameters_.items()}
            expected = guide.family.log_prob(latent.double(), parameters) - density.log_abs_det_jacobian(
                latent.double()
            )
            assert float(trace.log_prob_sum().detach()) == pytest.approx(float(expected), rel=1e-4, abs=1e-3)

    def test_posterior_is_base_and_transform(self, guide: Any) -> None:
        posterior = guide.get_posterior(Y)
        z = posterior.sample((5,))
        noise = guide.get_transform(Y).inv(z)
        assert torch.allclose(noise, guide.family.standardize(z, guide.parameters_), rtol=1e-3, atol=1e-4)
        assert torch.allclose(posterior.log_prob(z), guide.family.log_prob(z, guide.parameters_), rtol=1e-4, atol=1e-4)
        assert torch.allclose(guide.get_base_dist().log_prob(noise), guide.family.log_base(noise), rtol=1e-4, atol=1e-4)

    # summaries

    def test_median_and_quantiles_are_those_of_the_family_mapped_to_the_sites(self, guide: Any) -> None:
        density = LogDensity.from_model(model, Y)
        parameters = {n: p.detach().double() for n, p in guide.parameters_.items()}
        levels = [0.05, 0.5, 0.9]
        flat = guide.family.quantiles(torch.tensor(levels, dtype=torch.float64), parameters)
        median, quantiles = guide.median(Y), guide.quantiles(levels, Y)
        for site in density.names:
            expected = density.unpack(flat)[site]
            assert quantiles[site].shape == expected.shape
            assert torch.allclose(quantiles[site].double(), expected, rtol=1e-4, atol=1e-5)
            assert torch.allclose(median[site].double(), expected[1], rtol=1e-4, atol=1e-5)
            assert not quantiles[site].requires_grad

    @pytest.mark.parametrize("levels", [[0.0, 0.5], [1.0], [-0.1], [float("nan")]])
    def test_levels_outside_the_unit_interval_are_refused(self, guide: Any, levels: list[float]) -> None:
        with pytest.raises(ValueError, match=r"expected quantile levels in \(0, 1\), got .* because .*; try"):
            guide.quantiles(levels, Y)

    # Pyro's machinery

    def test_predictive(self, guide: Any) -> None:
        """Share of 400 draws of sigma below its median: standard error 0.025, five of them."""
        samples = Predictive(guide, num_samples=400)(Y)
        assert samples["local"].shape == (400, 3)
        share = (samples["sigma"].reshape(-1) <= guide.median(Y)["sigma"]).double().mean()
        assert abs(float(share) - 0.5) < 5 * 0.025

    def test_neutra_has_the_warped_potential(self, guide: Any) -> None:
        """log p(Cx + v) + log|C| at the base's x, which is what HMC on the warped model sees."""
        density = LogDensity.from_model(model, Y)
        warped = NeuTraReparam(guide).reparam(model)
        initial, potential, _, _ = initialize_model(warped, (Y,))
        (name,) = initial
        parameters = {n: p.detach().double() for n, p in guide.parameters_.items()}
        for seed in range(3):
            x = torch.randn(density.dim, generator=torch.Generator().manual_seed(seed))
            z = parameters["loc"] + guide.family.apply(parameters["scale"], x.double())
            expected = density(z) + guide.family.log_det(parameters["scale"])
            assert float(-potential({name: x}).detach()) == pytest.approx(float(expected.detach()), rel=1e-4)

    @pytest.mark.parametrize("target", [model, local_only], ids=["mixed", "local"])
    @pytest.mark.parametrize("vectorize", [False, True])
    def test_svi_elbo_is_that_of_the_flat_density(self, build: Build, target: Any, vectorize: bool) -> None:
        """Mean of log p - log q over the guide's draws; both sides Monte Carlo, five joint standard errors."""
        torch.manual_seed(3)
        guide, density = build(target), LogDensity.from_model(target, Y)
        guide(Y)
        randomize(guide)
        n, batches = 40, 25
        elbo = Trace_ELBO(num_particles=n, vectorize_particles=vectorize, max_plate_nesting=1)
        losses = torch.tensor([elbo.loss(target, guide, Y) for _ in range(batches if vectorize else 3)])
        parameters = {name: p.detach().double() for name, p in guide.parameters_.items()}
        z = guide.family.distribution(parameters).sample((4000,))
        weights = density(z) - guide.family.log_prob(z, parameters)
        spread = float(weights.std())
        error = spread * (1 / (n * len(losses)) + 1 / 4000) ** 0.5
        assert float(losses.mean()) == pytest.approx(-float(weights.mean()), abs=5 * error)

    def test_svi_steps_move_all_parameters(self, build: Build) -> None:
        torch.manual_seed(1)
        guide = build(model)
        svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.05}), Trace_ELBO(num_particles=8, vectorize_particles=True,
                                                                         max_plate_nesting=1))  # fmt: skip
        svi.step(Y)
        before = {name: p.detach().clone() for name, p in guide.named_parameters()}
        for _ in range(3):
            svi.step(Y)
        for name, parameter in guide.named_parameters():
            assert not torch.equal(parameter, before[name]), name

    # parameters

    def test_set_parameters_is_what_parameters_returns(self, guide: Any) -> None:
        randomize(guide, 4)
        generator_seeded = {n: p.detach().clone() for n, p in guide.parameters_.items()}
        randomize(guide, 5)
        assert not torch.allclose(guide.parameters_["loc"], generator_seeded["loc"])
        guide.set_parameters(generator_seeded)
        for name, value in guide.parameters_.items():
            assert torch.allclose(value, generator_seeded[name], rtol=1e-5)
        guide(Y)  # reading them through Pyro's store changes nothing
        assert torch.allclose(guide.parameters_["loc"], generator_seeded["loc"])

    @pytest.mark.parametrize("local", [True, False])
    def test_state_dict_round_trip(self, build: Build, local: bool) -> None:
        with pyro.settings.context(module_local_params=local):
            first, second = build(model), build(model)
            first.set_up(Y), second.set_up(Y)
            randomize(first, 1), randomize(second, 2)
            second.load_state_dict(first.state_dict())
            for name, value in first.parameters_.items():
                assert torch.equal(second.parameters_[name], value)
            randomize(second, 3)
            assert not torch.equal(second.parameters_["loc"], first.parameters_["loc"])

    @pytest.mark.parametrize("local", [True, False])
    def test_two_guides_do_not_share_parameters(self, build: Build, local: bool) -> None:
        with pyro.settings.context(module_local_params=local):
            first = build(model)
            first(Y)
            randomize(first, 1)
            kept = {n: p.detach().clone() for n, p in first.parameters_.items()}
            second = build(model)
            svi = SVI(model, second, pyro.optim.Adam({"lr": 0.1}), Trace_ELBO())
            svi.step(Y), svi.step(Y)
            first(Y)
            for name, value in first.parameters_.items():
                assert torch.equal(value, kept[name])
            assert not torch.equal(second.parameters_["loc"], kept["loc"])

    def test_a_saved_parameter_store_is_taken_over(self, build: Build, tmp_path: Any) -> None:
        first = build(model)
        first(Y)
        randomize(first, 1)
        kept = {n: p.detach().clone() for n, p in first.parameters_.items()}
        pyro.get_param_store().save(str(tmp_path / "store"))
        pyro.clear_param_store()
        pyro.get_param_store().load(str(tmp_path / "store"))
        second = build(model)  # the first one still lives, but the stored tensors are not its own
        second.set_up(Y)
        for name, value in second.parameters_.items():
            assert torch.allclose(value, kept[name])

    @pytest.mark.parametrize("how", ["copy", "pickle"])
    def test_copies_are_equal_and_independent(self, build: Build, how: str) -> None:
        guide = build(model)
        guide(Y)
        randomize(guide)
        kept = guide.parameters_["loc"].detach().clone()
        twin = copy.deepcopy(guide) if how == "copy" else pickle.loads(pickle.dumps(guide))
        for name, value in guide.parameters_.items():
            assert torch.equal(twin.parameters_[name], value)
        randomize(twin, 9)
        twin(Y), guide(Y)
        assert torch.equal(guide.parameters_["loc"], kept)
        assert not torch.equal(twin.parameters_["loc"], kept)
        assert guide.model is not None
        assert how == "pickle" or twin.model is guide.model
        assert torch.allclose(twin.median(Y)["loc"], twin.loc[:2])

    def test_copies_before_the_first_call(self, build: Build) -> None:
        guide = build(model)
        twin = copy.deepcopy(guide)
        twin(Y), guide(Y)
        randomize(twin, 9)
        assert not torch.equal(guide.parameters_["loc"], twin.parameters_["loc"])

    def test_parameters_need_a_first_call(self, build: Build) -> None:
        guide = build(model)
        for call in (lambda: guide.family, lambda: guide.parameters_, lambda: guide.median(Y),
                     lambda: guide.set_parameters({})):  # fmt: skip
            with pytest.raises(ValueError, match="called once, got one without parameters, .*; try"):
                call()

    def test_set_up_leaves_random_states_alone_and_is_idempotent(self, build: Build) -> None:
        guide = build(model)
        before = torch.get_rng_state()
        guide.set_up(Y)
        assert torch.equal(torch.get_rng_state(), before)
        randomize(guide)
        kept = guide.parameters_["loc"].detach().clone()
        guide.set_up(Y)
        assert torch.equal(guide.parameters_["loc"], kept)

    def test_sites_are_mapped_by_their_own_bijections(self, guide: Any) -> None:
        latent = guide.sample_latent(Y).detach()
        for site, unconstrained in guide._unpack_latent(latent):
            value = biject_to(site["fn"].support)(unconstrained)
            assert bool(site["fn"].support.check(value).all())
