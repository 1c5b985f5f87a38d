"""What every effect guide with one family a site keeps: inherit `SiteGuideContract` and give the fixture ``build``.

``build(model)`` returns a new guide. The contract runs it on two models, ``mixed`` and ``conjugate``, which a guide for
fewer kinds of sites replaces by its own. Everything is checked against the guide's families (``family_of``,
``parameters_of``) evaluated at the values in a trace, and against Pyro's machinery; ``conjugate`` has a posterior and
an evidence in closed form.
"""

import copy
import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.distributions import constraints
from pyro.infer import SVI, Predictive, Trace_ELBO
from pyro.infer.autoguide import init_to_value
from torch import Tensor
from torch.distributions import biject_to

from pyro_symvi.distributions import SphericalUniform, VonMisesFisher
from pyro_symvi.divergences import Alpha, Divergence, ForwardKL, ReverseKL
from pyro_symvi.infer import DivergenceELBO
from pyro_symvi.special import log_sphere_area, log_vmf_normalizer

Build = Callable[..., Any]
F64 = torch.float64
KNOWN = 4.0
"""The concentration of the data in ``conjugate``."""


def unit(*shape: int, seed: int = 0) -> Tensor:
    x = torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))
    return x / x.norm(dim=-1, keepdim=True)


X = unit(6, 3) + torch.tensor([0.0, 0.0, 2.0], dtype=F64)
X = X / X.norm(dim=-1, keepdim=True)
Y = torch.tensor([0.3, -1.0, 2.2, 0.4, 1.1, -0.2], dtype=F64)


def mixed(x: Tensor, y: Tensor, size: int | None = None) -> None:
    """A direction, positive, simplex and dependent interval sites, and a plate, subsampled if ``size`` is given."""
    mu = pyro.sample("mu", SphericalUniform(3, dtype=F64))
    kappa = pyro.sample("kappa", dist.Gamma(y.new_tensor(2.0), y.new_tensor(0.5)))
    weights = pyro.sample("weights", dist.Dirichlet(y.new_tensor([1.0, 2.0, 3.0])))
    share = pyro.sample("share", dist.Uniform(torch.zeros_like(kappa), kappa))
    with pyro.plate("data", 6, subsample_size=size) as index:
        local = pyro.sample("local", dist.Normal(y.new_zeros(2), 1.0).to_event(1))
        pyro.sample("x", VonMisesFisher(mu, kappa), obs=x[index] if len(x) == 6 else x)
        pyro.sample("y", dist.Normal(local.sum(-1) + weights[..., 0] * share, 1.0), obs=y[index] if len(y) == 6 else y)


def conjugate(x: Tensor, y: Tensor) -> None:
    """Uniform direction with von Mises-Fisher data, normal locations with normal data: a product posterior."""
    mu = pyro.sample("mu", SphericalUniform(3, dtype=F64))
    with pyro.plate("data", len(x)):
        local = pyro.sample("local", dist.Normal(y.new_zeros(()), 2.0))
        pyro.sample("x", VonMisesFisher(mu, KNOWN), obs=x)
        pyro.sample("y", dist.Normal(local, 1.0), obs=y)


def log_evidence_of_directions(x: Tensor, concentration: float) -> float:
    """log of Z(kappa R) / (Z(kappa)^n area), the mean of exp(kappa mu.S) / Z(kappa)^n over uniform mu."""
    dim, kappa = x.shape[-1], torch.tensor(concentration, dtype=F64)
    top = log_vmf_normalizer(dim, kappa * x.sum(0).norm()) - len(x) * log_vmf_normalizer(dim, kappa)
    return float(top) - log_sphere_area(dim)


@dataclass(frozen=True)
class Case:
    """A model with its data."""

    model: Callable[..., Any]
    args: tuple[Any, ...]
    log_evidence: float = math.nan


def expected_log_q(guide: Any, nodes: dict[str, Any]) -> dict[str, Tensor]:
    """For each latent site of a trace, its families' log density at its value less the log-Jacobian, ``[*batch]``."""
    found = {}
    for name, node in nodes.items():
        if node["type"] != "sample" or node["is_observed"] or type(node["fn"]).__name__ == "_Subsample":
            continue
        prior, value, family = node["infer"]["prior"], node["value"].detach(), guide.family_of(name)
        parameters = {kind: p.detach() for kind, p in guide.parameters_of(name).items()}
        for frame in node["cond_indep_stack"]:
            index = nodes[frame.name]["value"] if frame.name in nodes else None
            if index is not None and frame.dim == -1 and parameters:
                parameters = {
                    k: p[index] if p.ndim and p.shape[0] == frame.full_size else p for k, p in parameters.items()
                }
        base = prior.support
        while isinstance(base, constraints.independent):
            base = base.base_constraint
        if base is constraints.sphere:
            found[name] = family.log_prob(value, parameters)
            continue
        transform = biject_to(prior.support)
        flat = transform.inv(value)
        missing = prior.event_dim - transform.codomain.event_dim
        jacobian = transform.log_abs_det_jacobian(flat, value)
        jacobian = jacobian.sum(tuple(range(-missing, 0))) if missing else jacobian
        event = flat.ndim - (value.ndim - prior.event_dim)
        flat = flat.reshape(*flat.shape[: flat.ndim - event], family.dim)
        found[name] = family.log_prob(flat, parameters) - jacobian
    return found


class SiteGuideContract:
    exact = True
    """Whether the guide's families contain the posterior of ``conjugate``."""

    def mixed(self) -> Case:
        """A model with plates; its third argument is the size of a subsample."""
        return Case(mixed, (X, Y))

    def conjugate(self) -> Case:
        """A model with known evidence; float64, product posterior."""
        normal = dist.Normal(torch.tensor(0.0, dtype=F64), math.sqrt(5.0)).log_prob(Y).sum()
        return Case(conjugate, (X, Y), log_evidence_of_directions(X, KNOWN) + float(normal))

    @pytest.fixture
    def build(self) -> Build:
        raise NotImplementedError("give a function (model) -> guide as the fixture 'build'")

    def randomize(self, guide: Any, seed: int = 0) -> None:
        """Parameters that are nothing special."""
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in guide.parameters():
                parameter += 0.4 * torch.randn(parameter.shape, generator=generator, dtype=F64).to(parameter)

    def state(self, guide: Any) -> dict[str, Tensor]:
        """Copies of the guide's parameters."""
        return {name: p.detach().clone() for name, p in guide.named_parameters()}

    def made(self, build: Build, case: Case) -> Any:
        """A guide with its parameters, nothing special."""
        torch.manual_seed(0)
        guide = build(case.model)
        guide(*case.args)
        self.randomize(guide)
        return guide

    # the law

    def test_log_density_is_the_families_less_the_jacobians(self, build: Build) -> None:
        case = self.mixed()
        guide = self.made(build, case)
        for _ in range(3):
            nodes = dict(poutine.trace(guide).get_trace(*case.args).nodes)
            expected = expected_log_q(guide, nodes)
            assert expected.keys() == {n for n, node in nodes.items() if n in expected}
            for name, log_q in expected.items():
                site = nodes[name]
                assert site["fn"].batch_shape == log_q.shape
                actual = site["fn"].log_prob(site["value"]).detach()
                assert torch.allclose(actual, log_q, rtol=1e-8, atol=1e-8), name

    def test_values_lie_in_their_supports_and_have_their_shapes(self, build: Build) -> None:
        case = self.mixed()
        guide = self.made(build, case)
        trace = poutine.trace(case.model).get_trace(*case.args)
        values = guide(*case.args)
        for name, node in trace.nodes.items():
            if node["type"] == "sample" and name in values:
                assert values[name].shape == node["value"].shape and values[name].dtype == node["value"].dtype
        for node in poutine.trace(guide).get_trace(*case.args).nodes.values():
            if "prior" in node.get("infer", {}):
                assert bool(node["infer"]["prior"].support.check(node["value"]).all())

    def test_particles_leave_parameters_alone_and_are_independent_draws(self, build: Build) -> None:
        """Also where the very first call is inside the particle plate."""
        case = self.mixed()
        shapes = {name: p.shape for name, p in self.made(build, case).named_parameters()}
        pyro.clear_param_store()
        guide = build(case.model)

        def batched(*args: Any) -> Any:
            with pyro.plate("particles", 5, dim=-3):
                return guide(*args)

        nodes = dict(poutine.trace(batched).get_trace(*case.args).nodes)
        assert {name: p.shape for name, p in guide.named_parameters()} == shapes
        for name, log_q in expected_log_q(guide, nodes).items():
            site = nodes[name]
            assert log_q.shape[0] == 5 and site["fn"].batch_shape[0] == 5 and len(site["fn"].batch_shape) == 3
            assert torch.allclose(site["fn"].log_prob(site["value"]).detach(), log_q, rtol=1e-7, atol=1e-7), name
            assert not torch.equal(site["value"][0], site["value"][1])

    # plates

    def test_parameters_have_the_full_plates_and_minibatches_use_their_share(self, build: Build) -> None:
        case = self.mixed()
        guide = build(case.model)
        guide(*case.args, 2)  # made in a minibatch
        whole = self.made(build, case)
        assert self.state(guide).keys() == self.state(whole).keys()
        assert {n: p.shape for n, p in guide.named_parameters()} == {n: p.shape for n, p in whole.named_parameters()}
        self.randomize(guide, 2)
        seen = set()
        for _ in range(4):
            trace = poutine.trace(guide).get_trace(*case.args, 2)
            nodes = dict(trace.nodes)
            index = nodes["data"]["value"]
            assert index.shape == (2,)
            seen |= set(index.tolist())
            trace.compute_log_prob()
            for name, log_q in expected_log_q(guide, nodes).items():
                scale = 3.0 if nodes[name]["cond_indep_stack"] else 1.0
                assert torch.allclose(nodes[name]["log_prob"].detach(), scale * log_q, rtol=1e-7, atol=1e-7), name
        assert len(seen) > 2

    def test_a_subsample_of_all_is_the_full_batch(self, build: Build) -> None:
        case = self.mixed()
        guide = self.made(build, case)
        elbo = Trace_ELBO(num_particles=3, vectorize_particles=True, max_plate_nesting=2)
        losses = []
        for size in (None, 6):
            torch.manual_seed(7)
            losses.append(elbo.loss(case.model, guide, *case.args, size))
        assert losses[0] == pytest.approx(losses[1], rel=1e-12)

    def test_minibatches_are_unbiased(self, build: Build) -> None:
        """Mean Trace_ELBO loss over 60 minibatches of 3 against 60 full batches; five joint standard errors."""
        case = self.mixed()
        guide = self.made(build, case)
        elbo = Trace_ELBO(max_plate_nesting=2)
        torch.manual_seed(8)
        with torch.no_grad():
            runs = [torch.tensor([elbo.loss(case.model, guide, *case.args, s) for _ in range(60)]) for s in (None, 3)]
        error = sum(float(r.var()) / len(r) for r in runs) ** 0.5
        assert float(runs[0].mean()) == pytest.approx(float(runs[1].mean()), abs=5 * error)

    # summaries

    def test_median_is_the_centre_and_quantiles_split_the_draws(self, build: Build) -> None:
        """Share of 2,000 draws below each quantile, entry by entry: standard error below 0.0112, five of them."""
        case = self.mixed()
        guide = self.made(build, case)
        levels = torch.tensor([0.1, 0.5, 0.8], dtype=F64)
        quantiles, angles, median = (
            guide.quantiles(levels, *case.args),
            guide.cap_angles(levels),
            guide.median(*case.args),
        )
        assert quantiles.keys() | angles.keys() == median.keys() and not quantiles.keys() & angles.keys()
        torch.manual_seed(9)
        draws = Predictive(guide, num_samples=2000, parallel=True)(*case.args)
        for name, centre in median.items():
            prior = poutine.trace(guide).get_trace(*case.args).nodes[name]["infer"]["prior"]
            drawn = draws[name].reshape(2000, *centre.shape)
            assert bool(prior.support.check(centre).all()) and not centre.requires_grad
            if name in angles:
                assert torch.allclose(centre, guide.parameters_of(name)["direction"])
                inside = (drawn * centre).sum(-1)[None] >= angles[name][:, None].cos()
            elif name in ("weights", "share"):  # a simplex; and an interval that moves with another site
                assert quantiles[name].shape == (3, *centre.shape)
                assert torch.allclose(quantiles[name][1], centre)
                continue
            else:
                assert torch.allclose(quantiles[name][1], centre)
                inside = drawn[None] <= quantiles[name][:, None]
            share = inside.double().mean(1)
            wanted = levels.reshape(-1, *(1,) * (share.ndim - 1))
            assert bool(((share - wanted).abs() <= 5 * 0.0112).all()), name

    def test_summaries_come_in_full_from_a_minibatch(self, build: Build) -> None:
        case = self.mixed()
        guide = self.made(build, case)
        whole, part = guide.median(*case.args), guide.median(*case.args, 2)
        assert whole.keys() == part.keys()
        for name, value in whole.items():
            assert torch.allclose(part[name], value), name
        levels = [0.2, 0.7]
        for name, value in guide.quantiles(levels, *case.args).items():
            assert torch.allclose(guide.quantiles(levels, *case.args, 2)[name], value), name

    @pytest.mark.parametrize("levels", [[0.0, 0.5], [1.0], [-0.1], [float("nan")]])
    def test_levels_outside_the_unit_interval_are_refused(self, build: Build, levels: list[float]) -> None:
        case = self.mixed()
        guide = self.made(build, case)
        for call in (lambda: guide.quantiles(levels, *case.args), lambda: guide.cap_angles(levels)):
            with pytest.raises(ValueError, match=r"expected levels in \(0, 1\), got .* because .*; try"):
                call()

    def test_sample_draws_every_site(self, build: Build) -> None:
        """Share of 150 draws below the quantiles, five standard errors; caps hold their mass; reproducible."""
        case = self.mixed()
        guide = self.made(build, case)
        before = torch.get_rng_state()
        draws = guide.sample(150, *case.args, generator=torch.Generator().manual_seed(1))
        assert torch.equal(torch.get_rng_state(), before)
        median = guide.median(*case.args)
        assert set(draws) == set(median)
        for name, value in median.items():
            assert draws[name].shape == (150, *value.shape) and not draws[name].requires_grad
        error = (0.3 * 0.7 / 150) ** 0.5
        for name, values in guide.quantiles([0.3], *case.args).items():
            if name not in ("weights", "share"):  # a simplex; an interval that moves with another site
                assert float(((draws[name] <= values[0]).double().mean(0) - 0.3).abs().max()) < 5 * error
        for name, angles in guide.cap_angles([0.3]).items():
            cosine = (draws[name] * median[name]).sum(-1)
            assert float(((cosine >= angles[0].cos()).double().mean(0) - 0.3).abs().max()) < 5 * error
        first, again, other = (
            guide.sample(5, *case.args, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
        )
        assert all(torch.equal(again[name], value) for name, value in first.items())
        assert not any(torch.equal(other[name], value) for name, value in first.items())

    def test_predictive_with_the_model(self, build: Build) -> None:
        case = self.mixed()
        guide = self.made(build, case)
        for parallel in (False, True):
            draws = Predictive(case.model, guide=guide, num_samples=4, parallel=parallel)(*case.args)
            for name, value in guide.median(*case.args).items():
                assert draws[name].shape[0] == 4 and draws[name].numel() == 4 * value.numel()

    # inference

    def test_it_starts_at_the_exact_posterior_where_its_families_hold_it(self, build: Build) -> None:
        """All log-weights of our loss, for any divergence, are the log evidence: to 1e-9."""
        case = self.conjugate()
        guide = build(case.model)
        start = guide.initialize_from_laplace(*case.args)
        assert start.is_mode and bool(start)
        elbo = DivergenceELBO(ReverseKL(), num_particles=7, max_plate_nesting=2)
        weights = elbo.log_weights(case.model, guide, *case.args)
        if self.exact:
            assert torch.allclose(weights, torch.full((7,), case.log_evidence, dtype=F64), rtol=0, atol=1e-9)
        else:  # a proper law all the same: the mean of 20,000 weights is the evidence, within five standard errors
            many = DivergenceELBO(ReverseKL(), num_particles=20_000, max_plate_nesting=2)
            w = (many.log_weights(case.model, guide, *case.args) - case.log_evidence).exp()
            assert float(w.mean()) == pytest.approx(1.0, abs=5 * float(w.std()) / 20_000**0.5)

    @pytest.mark.parametrize("loss", [None, ForwardKL(), Alpha(0.5)], ids=str)
    def test_svi_improves_the_bound(self, build: Build, loss: Divergence | None) -> None:
        """From random parameters, 60 steps halve the bound's gap to the evidence, which it never exceeds.

        The bound is measured with 2,000 draws before and after; its standard error is allowed for five times.
        """
        case = self.conjugate()
        torch.manual_seed(3)
        guide = self.made(build, case)
        self.randomize(guide, 6)
        measure = DivergenceELBO(ReverseKL(), num_particles=2000, max_plate_nesting=2)

        def gap() -> tuple[float, float]:
            weights = measure.log_weights(case.model, guide, *case.args)
            return case.log_evidence - float(weights.mean()), float(weights.std()) / 2000**0.5

        before, _ = gap()
        if loss is None:
            elbo: Any = Trace_ELBO(num_particles=8, vectorize_particles=True, max_plate_nesting=2)
        else:
            elbo = DivergenceELBO(loss, num_particles=32, max_plate_nesting=2)
        svi = SVI(case.model, guide, pyro.optim.Adam({"lr": 0.1}), loss=elbo)
        losses = [svi.step(*case.args) for _ in range(60)]
        after, error = gap()
        assert all(math.isfinite(value) for value in losses)
        assert -5 * error <= after < 0.5 * before

    # parameters

    @pytest.mark.parametrize("local", [True, False])
    def test_state_dicts_and_both_parameter_modes(self, build: Build, local: bool, tmp_path: Any) -> None:
        case = self.mixed()
        with pyro.settings.context(module_local_params=local):
            first, second = build(case.model), build(case.model)
            first(*case.args), second(*case.args)
            self.randomize(first, 1), self.randomize(second, 2)
            torch.save(first.state_dict(), tmp_path / "state")
            second.load_state_dict(torch.load(tmp_path / "state"))
            second(*case.args)
            for name, value in self.state(first).items():
                assert torch.equal(self.state(second)[name], value)
            svi = SVI(case.model, second, pyro.optim.Adam({"lr": 0.05}), Trace_ELBO(num_particles=2))
            before = self.state(second)
            svi.step(*case.args), svi.step(*case.args)
            for name, value in self.state(second).items():  # a triangular 1 x 1 matrix of unit diagonal has no freedom
                assert not torch.equal(before[name], value) or value.shape[-2:] == (1, 1), name
            for name, value in self.state(first).items():  # the other guide is not touched
                assert torch.equal(value, before[name])
            assert bool(len(pyro.get_param_store())) is not local

    def test_a_saved_parameter_store_is_taken_over(self, build: Build, tmp_path: Any) -> None:
        case = self.mixed()
        kept = self.state(first := self.made(build, case))
        pyro.get_param_store().save(str(tmp_path / "store"))
        pyro.clear_param_store()
        pyro.get_param_store().load(str(tmp_path / "store"))
        second = build(case.model)  # the first one still lives, but the stored tensors are not its own
        second.set_up(*case.args)
        second(*case.args)
        for name, value in self.state(second).items():
            assert torch.allclose(value, kept[name])
        assert first is not second

    @pytest.mark.parametrize("how", ["copy", "pickle", "pickle of an unpickled one"])
    def test_copies_are_equal_and_independent(self, build: Build, how: str) -> None:
        case = self.mixed()
        guide = self.made(build, case)
        guide(*case.args)
        kept = self.state(guide)
        twin = copy.deepcopy(guide) if how == "copy" else pickle.loads(pickle.dumps(guide))
        twin = pickle.loads(pickle.dumps(twin)) if how == "pickle of an unpickled one" else twin
        assert twin.model is guide.model
        for name, value in self.state(twin).items():
            assert torch.equal(value, kept[name])
        self.randomize(twin, 9)
        moved = self.state(twin)
        twin(*case.args), guide(*case.args)
        for name, value in kept.items():
            assert torch.equal(self.state(guide)[name], value) and torch.equal(self.state(twin)[name], moved[name])
            assert not torch.equal(moved[name], value)

    def test_copies_before_the_first_call(self, build: Build) -> None:
        case = self.mixed()
        guide = build(case.model)
        twin = copy.deepcopy(guide)
        twin(*case.args), guide(*case.args)
        self.randomize(twin, 9)
        assert all(not torch.equal(self.state(guide)[name], value) for name, value in self.state(twin).items())

    def test_set_parameters_is_what_parameters_of_returns(self, build: Build) -> None:
        case = self.mixed()
        guide = self.made(build, case)
        names = list(guide.median(*case.args))
        kept = {name: {k: p.detach().clone() for k, p in guide.parameters_of(name).items()} for name in names}
        self.randomize(guide, 5)
        guide.set_parameters(kept)
        guide(*case.args)
        for name in names:
            for kind, value in guide.parameters_of(name).items():
                assert torch.allclose(value, kept[name][kind], rtol=1e-12)
        bad = {kind: torch.full_like(value, math.nan) for kind, value in kept[names[0]].items()}
        before = self.state(guide)
        with pytest.raises(ValueError, match="expected .* of site .* got .* because .*; try parameters_of"):
            guide.set_parameters({names[-1]: kept[names[-1]], names[0]: bad})
        with pytest.raises(ValueError, match="expected one of the latent sites .*, got 'nobody'"):
            guide.set_parameters({"nobody": {}})
        with pytest.raises(ValueError, match="expected parameters .* for site"):
            guide.set_parameters({names[0]: {}})
        for name, value in self.state(guide).items():
            assert torch.equal(value, before[name])

    def test_set_up_leaves_random_states_alone_and_is_idempotent(self, build: Build) -> None:
        case = self.mixed()
        guide = build(case.model)
        before = torch.get_rng_state()
        guide.set_up(*case.args)
        assert torch.equal(torch.get_rng_state(), before)
        self.randomize(guide)
        kept = self.state(guide)
        guide.set_up(*case.args)
        for name, value in self.state(guide).items():
            assert torch.equal(value, kept[name])

    def test_summaries_need_a_first_call(self, build: Build) -> None:
        case = self.mixed()
        guide = build(case.model)
        calls: list[Callable[[], Any]] = [
            lambda: guide.median(*case.args),
            lambda: guide.quantiles([0.5], *case.args),
            lambda: guide.cap_angles([0.5]),
            lambda: guide.parameters_of("mu"),
            lambda: guide.family_of("mu"),
            lambda: guide.set_parameters({"mu": {}}),
        ]
        for call in calls:
            with pytest.raises(ValueError, match="called once, got one without parameters, .*; try"):
                call()

    def test_initial_values_are_the_users(self, build: Build) -> None:
        case = self.conjugate()
        wanted = {name: node["value"] for name, node in poutine.trace(case.model).get_trace(*case.args).nodes.items()
                  if node["type"] == "sample" and not node["is_observed"] and name != "data"}  # fmt: skip
        guide = build(case.model, init_loc_fn=init_to_value(values=wanted))
        guide.set_up(*case.args)
        for name, value in guide.median(*case.args).items():
            assert torch.allclose(value, wanted[name])
