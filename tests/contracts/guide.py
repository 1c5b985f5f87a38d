"""What every guide keeps: inherit `GuideContract`, or `FlatGuideContract` for a guide with a ``family``, and give the
fixture ``build``.

``build(model, **options)`` returns a new guide; options are ``init_loc_fn`` and ``init_scale``. Everything is checked
against the law of the flat latent vector (``get_posterior``; in `FlatGuideContract` the affine law of ``parameters_``
and ``family``) and against Pyro's machinery: traces, plates, `Predictive`, `NeuTraReparam`, `SVI`.
"""

import copy
import pickle
from collections.abc import Callable
from functools import cache
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import SVI, Predictive, Trace_ELBO
from pyro.infer.autoguide import init_to_value
from pyro.infer.mcmc.util import initialize_model
from pyro.infer.reparam import NeuTraReparam
from torch import Tensor
from torch.distributions import biject_to

from pyro_symvi.density import LogDensity
from pyro_symvi.divergences import Alpha, Divergence, ForwardKL, ReverseKL
from pyro_symvi.infer import DivergenceELBO

Build = Callable[..., Any]
Y = torch.tensor([0.3, -1.0, 2.2])
MANY = torch.linspace(-2.0, 3.0, 12)


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


def minibatches(y: Tensor, size: int | None = None) -> None:
    """Global sites, and data of which ``size`` are seen in a run."""
    loc = pyro.sample("loc", dist.Normal(0.0, 2.0))
    scale = pyro.sample("scale", dist.LogNormal(0.0, 0.5))
    with pyro.plate("data", len(y), subsample_size=size) as index:
        pyro.sample("y", dist.Normal(loc, scale), obs=y[index])


@cache
def flat_density(target: Callable[..., None], data: Tensor) -> LogDensity:
    """The density of the flat latent vector, read once: it holds nothing that tests change."""
    return LogDensity.from_model(target, data)


def randomize(guide: Any, seed: int = 0) -> None:
    """Parameters of a family that are nothing special."""
    generator = torch.Generator().manual_seed(seed)
    family = guide.family
    vector = 0.3 * torch.randn(family.scale_size, generator=generator, dtype=torch.float64)
    loc = torch.randn(family.dim, generator=generator, dtype=torch.float64)
    start = family.initial(0.5, loc)["scale"]
    now = {name: value.detach() for name, value in guide.parameters_.items()}
    now = {name: value + seed if name == "df" else value for name, value in now.items()}
    guide.set_parameters({**now, "loc": loc, "scale": family.pattern.around(start, vector)})


def latent_of(trace: Any, attached: bool = False) -> Tensor:
    """The flat latent vector of a guide's trace."""
    (name,) = [n for n in trace.nodes if n.endswith("_latent")]
    value: Tensor = trace.nodes[name]["value"]
    return value if attached else value.detach()


class GuideContract:
    @pytest.fixture
    def build(self) -> Build:
        raise NotImplementedError("give a function (model, **options) -> guide as the fixture 'build'")

    def randomize(self, guide: Any, seed: int = 0) -> None:
        """Parameters that are nothing special."""
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in guide.parameters():
                parameter += 0.4 * torch.randn(parameter.shape, generator=generator).to(parameter)

    def state(self, guide: Any) -> dict[str, Tensor]:
        """Copies of the guide's parameters."""
        return {name: p.detach().clone() for name, p in guide.named_parameters()}

    def inner(self, guide: Any) -> Any:
        """The guide that ``init_loc_fn`` and ``init_scale`` are given to: itself, if it wraps no other."""
        return guide

    @pytest.fixture
    def guide(self, build: Build) -> Any:
        torch.manual_seed(0)
        guide = build(model)
        guide(Y)
        self.randomize(guide)
        return guide

    # the law

    def test_draws_are_the_latent_vector_mapped_to_the_sites(self, guide: Any) -> None:
        density = flat_density(model, Y)
        trace = poutine.trace(guide).get_trace(Y)
        values = density.unpack(latent_of(trace).double())
        for site in density.names:
            assert torch.allclose(trace.nodes[site]["value"].detach().double(), values[site], rtol=1e-4, atol=1e-5)

    def test_its_log_density_is_the_posteriors_less_the_jacobian(self, guide: Any) -> None:
        density = flat_density(model, Y)
        for _ in range(3):
            trace = poutine.trace(guide).get_trace(Y)
            latent = latent_of(trace)
            expected = guide.get_posterior(Y).log_prob(latent).detach() - density.log_abs_det_jacobian(latent.double())
            assert float(trace.log_prob_sum().detach()) == pytest.approx(float(expected), rel=1e-4, abs=1e-3)

    def test_posterior_is_a_law_of_flat_vectors(self, guide: Any) -> None:
        law = guide.get_posterior(Y)
        assert law.batch_shape == () and law.event_shape == (guide.latent_dim,) and law.has_rsample
        z = law.rsample((5, 2))
        assert z.shape == (5, 2, guide.latent_dim) and z.requires_grad
        assert law.log_prob(z).shape == law.expand([5, 2]).log_prob(z).shape == (5, 2)
        assert torch.allclose(law.expand([2]).log_prob(z), law.log_prob(z), rtol=1e-4, atol=1e-5)

    # summaries

    def test_quantiles_have_the_share_of_draws_below_them(self, guide: Any) -> None:
        """Sites whose map is elementwise; 4000 draws, five standard errors sqrt(u(1-u)/4000)."""
        levels = torch.tensor([0.05, 0.3, 0.5, 0.9])
        torch.manual_seed(11)
        with torch.no_grad():
            draws = flat_density(model, Y).unpack(guide.get_posterior(Y).sample((4000,)).double())
        quantiles, median = guide.quantiles(levels.tolist(), Y), guide.median(Y)
        for site in ("loc", "sigma", "local"):
            assert quantiles[site].shape == (4, *median[site].shape) and not quantiles[site].requires_grad
            assert torch.allclose(median[site], quantiles[site][2], rtol=1e-4, atol=1e-5)
            assert bool((quantiles[site].diff(dim=0) > 0).all())
            for u, value in zip(levels.tolist(), quantiles[site], strict=True):
                share = (draws[site] <= value).double().mean(0)
                assert float((share - u).abs().max()) < 5 * (u * (1 - u) / 4000) ** 0.5
        assert quantiles["weights"].shape == (4, 3)

    @pytest.mark.parametrize("levels", [[0.0, 0.5], [1.0], [-0.1], [float("nan")]])
    def test_levels_outside_the_unit_interval_are_refused(self, guide: Any, levels: list[float]) -> None:
        with pytest.raises(ValueError, match=r"expected levels in \(0, 1\), got .* because .*; try"):
            guide.quantiles(levels, Y)

    def test_sample_draws_every_site_from_the_law(self, guide: Any) -> None:
        """Share of 4000 draws below the quantiles of sigma and local, five standard errors; reproducible on request."""
        before = torch.get_rng_state()
        draws = guide.sample(4000, Y, generator=torch.Generator().manual_seed(1))
        assert torch.equal(torch.get_rng_state(), before)
        assert set(draws) == {"loc", "sigma", "weights", "local"}
        assert draws["weights"].shape == (4000, 3) and not draws["sigma"].requires_grad
        assert torch.allclose(draws["weights"].sum(-1), torch.ones(4000), atol=1e-5)
        quantiles = guide.quantiles([0.2, 0.7], Y)
        for site in ("sigma", "local"):
            for u, value in zip((0.2, 0.7), quantiles[site], strict=True):
                share = (draws[site] <= value).double().mean(0)
                assert float((share - u).abs().max()) < 5 * (u * (1 - u) / 4000) ** 0.5
        again = guide.sample(4000, Y, generator=torch.Generator().manual_seed(1))
        assert all(torch.equal(again[name], value) for name, value in draws.items())
        assert not torch.equal(guide.sample(4000, Y)["sigma"], draws["sigma"])
        for bad, error in ((0, ValueError), (2.5, TypeError)):
            with pytest.raises(error, match="expected num_samples .* got .* because .*; try"):
                guide.sample(bad, Y)

    # Pyro's machinery

    def test_predictive(self, guide: Any) -> None:
        """Share of 80 draws of sigma below its median: standard error 0.056, five of them."""
        samples = Predictive(guide, num_samples=80)(Y)
        assert samples["local"].shape == (80, 3)
        share = (samples["sigma"].reshape(-1) <= guide.median(Y)["sigma"]).double().mean()
        assert abs(float(share) - 0.5) < 5 * 0.056
        data = Predictive(model, guide=guide, num_samples=7)(Y)
        assert data["y"].shape == (7, 3)

    @pytest.mark.parametrize("target", [model, local_only], ids=["mixed", "local"])
    @pytest.mark.parametrize("vectorize", [False, True])
    def test_svi_elbo_is_that_of_the_flat_density(self, build: Build, target: Any, vectorize: bool) -> None:
        """Mean of log p - log q over the guide's draws; both sides Monte Carlo, five joint standard errors."""
        torch.manual_seed(3)
        guide, density = build(target), flat_density(target, Y)
        guide(Y)
        self.randomize(guide)
        n, batches = (40, 12) if vectorize else (20, 1)  # one after another: 20 particles
        elbo = Trace_ELBO(num_particles=n, vectorize_particles=vectorize, max_plate_nesting=1)
        losses = torch.tensor([elbo.loss(target, guide, Y) for _ in range(batches)])
        mean, spread = self.flat_elbo(guide, density, Y)
        error = spread * (1 / (n * len(losses)) + 1 / 4000) ** 0.5
        assert float(losses.mean()) == pytest.approx(-mean, abs=5 * error)

    def flat_elbo(self, guide: Any, density: LogDensity, *args: Any) -> tuple[float, float]:
        """Mean and standard deviation of log p - log q over 4000 draws."""
        with torch.no_grad():
            law = guide.get_posterior(*args)
            z = law.sample((4000,))
            weights = density(z.double()) - law.log_prob(z)
        return float(weights.mean()), float(weights.std())

    def test_minibatches_are_unbiased(self, build: Build) -> None:
        """40 losses of 4 of 12 data each average to that of all data; five joint standard errors. Pyro's are alike."""
        torch.manual_seed(5)
        guide, density = build(minibatches), flat_density(minibatches, MANY)
        guide(MANY, 4)
        self.randomize(guide)
        options: dict[str, Any] = {"num_particles": 20, "vectorize_particles": True, "max_plate_nesting": 1}
        pairs = []
        for elbo in (DivergenceELBO(ReverseKL(), **options), Trace_ELBO(**options)):
            elbo.loss(minibatches, guide, MANY, 4)  # the first run draws more, to check the particle plate
            torch.manual_seed(6)
            pairs.append([elbo.loss(minibatches, guide, MANY, 4) for _ in range(3)])
            if isinstance(elbo, DivergenceELBO):
                losses = torch.tensor([elbo.loss(minibatches, guide, MANY, 4) for _ in range(40)])
        assert pairs[0] == pytest.approx(pairs[1], rel=1e-5)
        mean, spread = self.flat_elbo(guide, density, MANY, 4)
        assert float(losses.std()) > 0
        error = (float(losses.var()) / len(losses) + spread**2 / 4000) ** 0.5
        assert float(losses.mean()) == pytest.approx(-mean, abs=5 * error)

    @pytest.mark.parametrize("local", [True, False])
    def test_svi_steps_move_all_parameters(self, build: Build, local: bool) -> None:
        torch.manual_seed(1)
        with pyro.settings.context(module_local_params=local):
            guide = build(model)
            elbo = Trace_ELBO(num_particles=8, vectorize_particles=True, max_plate_nesting=1)
            svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.05}), elbo)
            svi.step(Y)
            before = self.state(guide)
            for _ in range(3):
                svi.step(Y)
            for name, value in self.state(guide).items():
                assert not torch.equal(value, before[name]), name

    @pytest.mark.parametrize("divergence", [ReverseKL(), Alpha(0.5), ForwardKL()], ids=str)
    def test_divergence_and_its_gradient_are_those_of_the_flat_density(
        self, build: Build, divergence: Divergence
    ) -> None:
        """On the same draws, from log p - log q of the flat density: the objective, and the gradient it asks for."""
        torch.set_default_dtype(torch.float64)
        y = Y.double()
        torch.manual_seed(2)
        guide, density = build(model), LogDensity.from_model(model, y)
        guide(y)
        self.randomize(guide)
        elbo = DivergenceELBO(divergence, num_particles=16, max_plate_nesting=1)
        elbo.loss(model, guide, y)  # the first run draws more, to check the particle plate
        torch.manual_seed(7)
        guide.zero_grad()
        loss = elbo.loss_and_grads(model, guide, y)
        found = {name: p.grad.clone() for name, p in guide.named_parameters()}
        torch.manual_seed(7)
        trace = poutine.trace(elbo._vectorized_num_particles(guide)).get_trace(y)
        z = latent_of(trace, attached=not elbo.weighted).reshape(16, density.dim)
        law = guide.get_posterior(y)
        log_weights = density(z) - law.log_prob(z)
        value = divergence.objective(log_weights)
        assert loss == pytest.approx(float(value.detach()), rel=1e-9)
        guide.zero_grad()
        if elbo.weighted:
            value = divergence.score_surrogate(log_weights.detach(), law.log_prob(z))
        value.backward()
        for name, p in guide.named_parameters():
            assert bool((p.grad != 0).any()), name
            assert torch.allclose(found[name], p.grad, rtol=1e-8, atol=1e-10)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
    def test_everything_is_in_the_default_dtype(self, build: Build, dtype: torch.dtype) -> None:
        torch.set_default_dtype(dtype)
        y = Y.to(dtype)
        guide, density = build(model), LogDensity.from_model(model, y)
        guide.set_up(y)
        self.randomize(guide)
        assert {p.dtype for p in guide.parameters()} == {dtype}
        with torch.no_grad():
            trace = poutine.trace(guide).get_trace(y)
        assert all(v.dtype == dtype for v in (*guide.quantiles([0.2], y).values(), *guide.median(y).values()))
        latent, law = latent_of(trace), guide.get_posterior(y)
        assert latent.dtype == law.log_prob(latent).dtype == dtype
        expected = law.log_prob(latent).detach().double() - density.log_abs_det_jacobian(latent.double())
        rtol = 1e-4 if dtype == torch.float32 else 1e-12
        assert float(trace.log_prob_sum().detach()) == pytest.approx(float(expected), rel=rtol)

    # parameters

    @pytest.mark.parametrize("local", [True, False])
    def test_state_dict_round_trip(self, build: Build, local: bool) -> None:
        with pyro.settings.context(module_local_params=local):
            first, second = build(model), build(model)
            first.set_up(Y), second.set_up(Y)
            self.randomize(first, 1), self.randomize(second, 2)
            second.load_state_dict(first.state_dict())
            kept = self.state(first)
            for name, value in self.state(second).items():
                assert torch.equal(kept[name], value)
            z = first.get_posterior(Y).sample((3,))
            second(Y)  # reading them through Pyro's store changes nothing
            assert torch.equal(second.get_posterior(Y).log_prob(z), first.get_posterior(Y).log_prob(z))
            self.randomize(second, 3)
            now = self.state(second)
            assert all(torch.equal(value, kept[name]) for name, value in self.state(first).items())
            assert not all(torch.equal(value, kept[name]) for name, value in now.items())

    @pytest.mark.parametrize("local", [True, False])
    def test_two_guides_do_not_share_parameters(self, build: Build, local: bool) -> None:
        with pyro.settings.context(module_local_params=local):
            first = build(model)
            first(Y)
            self.randomize(first, 1)
            kept = self.state(first)
            second = build(model)
            svi = SVI(model, second, pyro.optim.Adam({"lr": 0.1}), Trace_ELBO())
            svi.step(Y), svi.step(Y)
            first(Y)
            for name, value in self.state(first).items():
                assert torch.equal(value, kept[name])
            assert not torch.equal(self.state(second)[name], kept[name])

    def test_a_saved_parameter_store_is_taken_over(self, build: Build, tmp_path: Any) -> None:
        first = build(model)
        first(Y)
        self.randomize(first, 1)
        kept = self.state(first)
        pyro.get_param_store().save(str(tmp_path / "store"))
        pyro.clear_param_store()
        pyro.get_param_store().load(str(tmp_path / "store"))
        second = build(model)  # the first one still lives, but the stored tensors are not its own
        second.set_up(Y)
        for name, value in self.state(second).items():
            assert torch.allclose(value, kept[name])

    @pytest.mark.parametrize("how", ["copy", "pickle"])
    def test_copies_are_equal_and_independent(self, build: Build, how: str) -> None:
        guide = build(model)
        guide(Y)
        self.randomize(guide)
        kept = self.state(guide)
        twin = copy.deepcopy(guide) if how == "copy" else pickle.loads(pickle.dumps(guide))
        for name, value in self.state(twin).items():
            assert torch.equal(value, kept[name])
        for name, value in guide.quantiles([0.2, 0.7], Y).items():
            assert torch.equal(twin.quantiles([0.2, 0.7], Y)[name], value)
        self.randomize(twin, 9)
        twin(Y), guide(Y)
        for name, value in self.state(guide).items():
            assert torch.equal(value, kept[name])
        assert not all(torch.equal(value, kept[name]) for name, value in self.state(twin).items())
        assert guide.model is not None
        assert how == "pickle" or twin.model is guide.model

    def test_copies_before_the_first_call(self, build: Build) -> None:
        guide = build(model)
        twin = copy.deepcopy(guide)
        twin(Y), guide(Y)
        kept = self.state(guide)
        self.randomize(twin, 9)
        guide(Y)
        assert all(torch.equal(value, kept[name]) for name, value in self.state(guide).items())
        assert not all(torch.equal(value, kept[name]) for name, value in self.state(twin).items())

    def test_summaries_need_a_first_call(self, build: Build) -> None:
        guide = build(model)
        for call in (lambda: guide.median(Y), lambda: guide.quantiles([0.5], Y)):
            with pytest.raises(ValueError, match="called once, got one without parameters, .*; try"):
                call()

    def test_set_up_leaves_random_states_alone_and_is_idempotent(self, build: Build) -> None:
        guide = build(model)
        before = torch.get_rng_state()
        guide.set_up(Y)
        assert torch.equal(torch.get_rng_state(), before)
        self.randomize(guide)
        kept = self.state(guide)
        guide.set_up(Y)
        assert all(torch.equal(value, kept[name]) for name, value in self.state(guide).items())

    def test_initial_location_and_scale(self, build: Build) -> None:
        """The initial values are the medians, and twice the scale is twice the spread in unconstrained space."""
        start = torch.tensor([1.0, 2.0, 3.0])
        spreads = []
        for scale in (0.15, 0.3):
            guide = build(local_only, init_loc_fn=init_to_value(values={"z": start}), init_scale=scale)
            guide.set_up(Y)
            inner = self.inner(guide)
            assert torch.allclose(inner.median(Y)["z"], start, rtol=1e-4)
            spreads.append((inner.quantiles([0.9], Y)["z"][0] / start).log())
        assert bool((spreads[0] > 0).all())
        assert torch.allclose(spreads[1], 2 * spreads[0], rtol=1e-3)

    def test_sites_are_mapped_by_their_own_bijections(self, guide: Any) -> None:
        latent = guide.sample_latent(Y).detach()
        for site, unconstrained in guide._unpack_latent(latent):
            value = biject_to(site["fn"].support)(unconstrained)
            assert bool(site["fn"].support.check(value).all())


class FlatGuideContract(GuideContract):
    """Guides whose law is the affine one of ``parameters_`` in a ``family``."""

    def randomize(self, guide: Any, seed: int = 0) -> None:
        randomize(guide, seed)

    def state(self, guide: Any) -> dict[str, Tensor]:
        return {name: p.detach().clone() for name, p in guide.parameters_.items()}

    # the law

    def test_its_log_density_is_the_familys_less_the_jacobian(self, guide: Any) -> None:
        density = flat_density(model, Y)
        for _ in range(3):
            trace = poutine.trace(guide).get_trace(Y)
            latent = latent_of(trace)
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
        base = guide.family.log_base(noise, guide.parameters_)
        assert torch.allclose(guide.get_base_dist().log_prob(noise), base, rtol=1e-4, atol=1e-4)

    # summaries

    def test_median_and_quantiles_are_those_of_the_family_mapped_to_the_sites(self, guide: Any) -> None:
        density = flat_density(model, Y)
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

    # Pyro's machinery

    def test_neutra_has_the_warped_potential(self, guide: Any) -> None:
        """log p(Cx + v) + log|C| at the base's x, which is what HMC on the warped model sees."""
        density = flat_density(model, Y)
        warped = NeuTraReparam(guide).reparam(model)
        initial, potential, _, _ = initialize_model(warped, (Y,))
        (name,) = initial
        parameters = {n: p.detach().double() for n, p in guide.parameters_.items()}
        for seed in range(3):
            x = torch.randn(density.dim, generator=torch.Generator().manual_seed(seed))
            z = parameters["loc"] + guide.family.apply(parameters["scale"], x.double())
            expected = density(z) + guide.family.log_det(parameters["scale"])
            assert float(-potential({name: x}).detach()) == pytest.approx(float(expected.detach()), rel=1e-4)

    def test_svi_moves_the_raw_parameters(self, build: Build) -> None:
        torch.manual_seed(1)
        guide = build(model)
        svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.05}), Trace_ELBO(num_particles=8))
        svi.step(Y)
        before = {name: p.detach().clone() for name, p in guide.named_parameters()}
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

    def test_the_median_is_the_location_also_of_a_copy(self, guide: Any) -> None:
        twin = copy.deepcopy(guide)
        randomize(twin, 9)
        for one in (guide, twin):
            assert torch.allclose(one.median(Y)["loc"], one.loc[:2])

    def test_parameters_need_a_first_call(self, build: Build) -> None:
        guide = build(model)
        for call in (lambda: guide.family, lambda: guide.parameters_, lambda: guide.set_parameters({})):
            with pytest.raises(ValueError, match="called once, got one without parameters, .*; try"):
                call()
