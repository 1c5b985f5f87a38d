"""Orbit mixtures keep the guide contract; densities and quantiles by hand; the wrapped guide; what is refused."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import SVI, Trace_ELBO
from pyro.infer.autoguide import (
    AutoDiagonalNormal,
    AutoGuideList,
    AutoIAFNormal,
    AutoLaplaceApproximation,
    AutoLowRankMultivariateNormal,
    AutoMultivariateNormal,
    AutoNormal,
)
from pyro.infer.reparam import NeuTraReparam
from scipy import stats

import pyro_symvi as symvi
from pyro_symvi.density import LogDensity
from pyro_symvi.distributions.bases import GeneralizedNormal, Laplace
from pyro_symvi.distributions.orbit_mixture import OrbitMixtureLaw
from pyro_symvi.divergences import ReverseKL
from pyro_symvi.families.location_scale import LearnedDf
from pyro_symvi.groups import (
    AxisFlips,
    ConditionalReflection,
    CoordinatePermutation,
    EllipticalRotation,
    FiniteMatrixGroup,
    NaturalAction,
    PointCloudAction,
    PointReflection,
    SignedCoordinatePermutation,
    SpecialOrthogonal,
    TranslationAction,
)
from pyro_symvi.guides import AutoLocationScale
from pyro_symvi.guides._orbit_actions import label_permutation
from pyro_symvi.guides.orbit_mixture import OrbitMixture
from pyro_symvi.infer import DivergenceELBO
from tests.contracts.guide import GuideContract, Y, latent_of, model, randomize
from tests.guides.orbit_models import clusters, means, swap, two_components


def flips(component: Any) -> AxisFlips:
    return AxisFlips([0, 1], center=0.3)


def all_permutations(component: Any) -> CoordinatePermutation:
    return CoordinatePermutation(component.latent_dim)


@pytest.fixture
def float64() -> None:
    torch.set_default_dtype(torch.float64)


# -- the contract --------------------------------------------------------------------------------------------------

KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "flips of a normal": ({"base": "normal", "scale": "full"}, {"action": flips}),
    "t, 20 permutations of many": (
        {"base": "student_t", "df": 5.0, "scale": "full"},
        {"action": all_permutations, "max_order": 5, "num_elements": 20},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
class TestOrbitMixture(GuideContract):
    @pytest.fixture
    def build(self, kind: str) -> Any:
        inside, around = KINDS[kind]
        return lambda target, **options: OrbitMixture(AutoLocationScale(target, **inside, **options), **around)

    def inner(self, guide: Any) -> Any:
        return guide.component


class TestAroundPyrosGuide(GuideContract):
    """Guides of one of Pyro's classes share parameters through the store by name, unless parameters are module-local.

    With module-local parameters Pyro's `SVI` does not take its own `AutoMultivariateNormal` (a bare ``nn.Parameter``).
    """

    @pytest.fixture
    def build(self) -> Any:
        return lambda target, **options: OrbitMixture(AutoMultivariateNormal(target, **options), flips)

    def inner(self, guide: Any) -> Any:
        return guide.component

    @pytest.mark.parametrize("local", [False])
    def test_svi_steps_move_all_parameters(self, build: Any, local: bool) -> None:
        super().test_svi_steps_move_all_parameters(build, local)

    @pytest.mark.parametrize("local", [True])
    def test_state_dict_round_trip(self, build: Any, local: bool) -> None:
        super().test_state_dict_round_trip(build, local)

    @pytest.mark.parametrize("local", [True, False])
    def test_two_guides_do_not_share_parameters(self, build: Any, local: bool) -> None:
        with pyro.settings.context(module_local_params=local):
            first, second = build(model), build(model)
            first(Y), second(Y)
            self.randomize(second)
            first(Y)
            shared = all(torch.equal(v, self.state(second)[n]) for n, v in self.state(first).items())
            assert shared is not local

    @pytest.mark.parametrize("how", ["copy", "pickle"])
    def test_copies_are_equal_and_independent(self, build: Any, how: str) -> None:
        with pyro.settings.context(module_local_params=True):
            super().test_copies_are_equal_and_independent(build, how)

    def test_copies_before_the_first_call(self, build: Any) -> None:
        with pyro.settings.context(module_local_params=True):
            super().test_copies_before_the_first_call(build)

    def test_initial_location_and_scale(self, build: Any) -> None:
        with pyro.settings.context(module_local_params=True):
            super().test_initial_location_and_scale(build)


def test_the_contract_catches_a_guide_that_leaves_out_its_copies() -> None:
    class Forgetful(OrbitMixture):
        """The draws of all copies, the density of one."""

        def get_posterior(self, *args: Any, **kwargs: Any) -> Any:
            law = super().get_posterior(*args, **kwargs)
            law.log_prob = law.base.log_prob
            return law

    contract = GuideContract()
    with pytest.raises(AssertionError):
        contract.test_svi_elbo_is_that_of_the_flat_density(
            lambda target: _Halved(AutoLocationScale(target), flips), model, True
        )
    guide = Forgetful(AutoLocationScale(model), flips)
    guide(Y)
    randomize(guide.component)
    assert float(guide.gain(Y).value) > 0.1


class _Halved(OrbitMixture):
    """Draws from the first half of the elements only."""

    def sample_latent(self, *args: Any, **kwargs: Any) -> Any:
        law = self.get_posterior(*args, **kwargs)
        half = OrbitMixtureLaw(law.base, law.action, law.elements[:2])
        half.log_prob = law.log_prob  # type: ignore[method-assign]
        return pyro.sample("_Halved_latent", half, infer={"is_auxiliary": True})


# -- log densities by hand -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "inside",
    [
        AutoLocationScale,
        lambda m: AutoLocationScale(m, base="laplace", scale="diagonal"),
        AutoMultivariateNormal,
        AutoDiagonalNormal,
        lambda m: AutoLowRankMultivariateNormal(m, rank=2),
        lambda m: AutoIAFNormal(m, hidden_dim=[8]),
    ],
)
def test_log_density_of_label_switching_by_hand(inside: Any) -> None:
    """The sum over the six relabellings of three means, each a plain reordering of the point."""
    y = clusters([-3.0, 0.0, 3.0])
    guide = OrbitMixture(inside(lambda y: means(y, 3)), lambda component: label_permutation(component, ["mu"]))
    guide.set_up(y)
    GuideContract().randomize(guide)
    one = guide.component.get_posterior(y)
    z = one.sample((5,)) + 0.3
    with torch.no_grad():
        found = guide.get_posterior(y).log_prob(z)
        parts = [one.log_prob(z[:, list(order)].clone()) for order in itertools.permutations(range(3))]
    assert torch.allclose(found, torch.stack(parts).logsumexp(0) - math.log(6), rtol=1e-9)
    assert len(guide.elements) == 6 and guide.is_exact


@pytest.mark.usefixtures("float64")
def test_labels_move_all_their_sites_together() -> None:
    """The swap on (mu, sigma, theta), by hand: theta -> 1 - theta is a sign on its logit."""
    y = clusters([-2.0, 2.0])
    guide = OrbitMixture(AutoLocationScale(two_components), NaturalAction(FiniteMatrixGroup.generated_by([swap()])))
    guide.set_up(y)
    randomize(guide.component)
    z = torch.randn(6, 5, generator=torch.Generator().manual_seed(2))
    density = LogDensity.from_model(two_components, y)
    swapped = torch.stack([z[:, 1], z[:, 0], z[:, 3], z[:, 2], -z[:, 4]], -1)
    assert torch.allclose(density(swapped), density(z), rtol=1e-12)
    law, one = guide.get_posterior(y), guide.component.get_posterior(y)
    with torch.no_grad():
        expected = torch.logaddexp(one.log_prob(z), one.log_prob(swapped)) - math.log(2)
        assert torch.allclose(law.log_prob(z), expected, rtol=1e-12)


@pytest.mark.usefixtures("float64")
def test_labels_and_signs_together_are_signed_permutations() -> None:
    y = clusters([-3.0, 0.0, 3.0])
    inner = AutoLocationScale(lambda y: means(y, 3), base="laplace", scale="diagonal")
    both = OrbitMixture(OrbitMixture(inner, CoordinatePermutation(3)), AxisFlips(center=0.0))
    both.set_up(y)
    randomize(inner)
    whole = OrbitMixture(inner, SignedCoordinatePermutation(3))
    whole.set_up(y)
    z = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    assert len(whole.elements) == 48 and both.is_exact and whole.is_exact
    assert torch.allclose(both.get_posterior(y).log_prob(z), whole.get_posterior(y).log_prob(z), rtol=1e-12)
    for u, v in zip(both.quantiles([0.1, 0.8], y)["mu"], whole.quantiles([0.1, 0.8], y)["mu"], strict=True):
        assert torch.allclose(u, v, atol=1e-9)
    assert torch.equal(both.parameters_["loc"], inner.parameters_["loc"])


# -- quantiles -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("inside", "law"),
    [
        (lambda m: AutoLocationScale(m, base="normal", scale="full"), stats.norm),
        (lambda m: AutoLocationScale(m, base="student_t", df=3.0, scale="full"), stats.t(3)),
        (lambda m: AutoLocationScale(m, base="laplace", scale="diagonal"), stats.laplace),
        (lambda m: AutoLocationScale(m, base="logistic", scale="diagonal"), stats.logistic),
        (AutoMultivariateNormal, stats.norm),
        (AutoDiagonalNormal, stats.norm),
        (lambda m: AutoLowRankMultivariateNormal(m, rank=1), stats.norm),
    ],
)
def test_quantiles_invert_the_average_distribution_function(inside: Any, law: Any) -> None:
    """All three labels have one marginal, the average of the three coordinates' laws."""
    guide = OrbitMixture(inside(lambda y: means(y, 3)), CoordinatePermutation(3))
    y = clusters([-1.0, 0.0, 1.0])
    guide.set_up(y)
    GuideContract().randomize(guide)
    with torch.no_grad():
        loc, scale = (v.numpy() for v in guide.component._loc_scale())
    levels = [1e-4, 0.05, 0.5, 0.77, 1 - 1e-6]
    found = guide.quantiles(levels, y)["mu"].numpy()
    for i in range(3):
        below = law.cdf((found[:, i, None] - loc) / scale).mean(-1)
        assert np.allclose(below, levels, rtol=1e-7, atol=1e-12)
        above = law.sf((found[-1:, i, None] - loc) / scale).mean(-1)
        assert np.allclose(above, [1e-6], rtol=1e-6)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "options",
    [
        {"base": "cauchy"},
        {"base": "uniform_ball"},
        {"base": GeneralizedNormal(4.0)},
        {"base": Laplace(spherical=True), "scale": "low_rank"},
        {"base": "student_t", "df": LearnedDf(4.0), "scale": "isotropic"},
    ],
    ids=str,
)
def test_quantiles_with_every_kind_of_base(options: dict[str, Any]) -> None:
    """Share of 10,000 draws below each quantile, five standard errors; densities of all copies are their average."""
    guide = OrbitMixture(AutoLocationScale(lambda y: means(y, 3), **options), CoordinatePermutation(3))
    y = clusters([-1.0, 0.0, 1.0])
    guide.set_up(y)
    with torch.no_grad():
        guide.component.loc += torch.tensor([-1.0, 0.2, 0.7])
        law, one = guide.get_posterior(y), guide.component.get_posterior(y)
        torch.manual_seed(0)
        draws = law.sample((10_000,))
        z = one.sample((4,))
        parts = [one.log_prob(z[:, list(order)].clone()) for order in itertools.permutations(range(3))]
    assert torch.allclose(law.log_prob(z).detach(), torch.stack(parts).logsumexp(0) - math.log(6), rtol=1e-9)
    for level, value in zip((0.1, 0.6), guide.quantiles([0.1, 0.6], y)["mu"], strict=True):
        error = (level * (1 - level) / 10_000) ** 0.5
        assert float(((draws <= value).double().mean(0) - level).abs().max()) < 5 * error


@pytest.mark.usefixtures("float64")
def test_sums_of_independent_coordinates() -> None:
    """Laplace coordinates mixed by a full scale: 20,000 draws below each quantile, five standard errors."""
    guide = OrbitMixture(AutoLocationScale(means, base="laplace", scale="full"), CoordinatePermutation(2))
    y = clusters([-1.0, 1.0])
    guide.set_up(y)
    guide.component.set_parameters({"loc": torch.tensor([-1.0, 2.0]), "scale": torch.tensor([[0.5, 0.0], [0.6, 0.4]])})
    torch.manual_seed(0)
    draws = guide.get_posterior(y).sample((20_000,))
    for level, value in zip((0.1, 0.6), guide.quantiles([0.1, 0.6], y)["mu"], strict=True):
        assert (
            float(((draws <= value).double().mean(0) - level).abs().max()) < 5 * (level * (1 - level) / 20_000) ** 0.5
        )


@pytest.mark.usefixtures("float64")
def test_between_separated_copies_the_median_is_in_the_middle() -> None:
    guide = OrbitMixture(AutoLocationScale(means), ConditionalReflection([0], [1.0], [[2.0]]))
    y = clusters([-1.0, 1.0])
    guide.set_up(y)
    guide.component.set_parameters({"loc": torch.tensor([50.0, 3.0]), "scale": 0.5 * torch.eye(2)})
    # the copy lies at 2 (1 + 2 * 3) - 50 = -36, with sd sqrt(0.5^2 + (4 * 0.5)^2)
    middle = float(guide.median(y)["mu"][0])
    left, right = -36 + math.sqrt(4.25) * 5.1, 50 - 0.5 * 5.1  # where their tails fall below 1e-7
    assert middle == pytest.approx((left + right) / 2, abs=0.2)
    assert float(guide.median(y)["mu"][1]) == pytest.approx(3.0, abs=1e-9)


# -- the wrapped guide ---------------------------------------------------------------------------------------------


def test_the_wrapped_guide_is_registered_once_and_stays_usable() -> None:
    inner = AutoLocationScale(model)
    inner(Y)
    randomize(inner)
    fitted = {name: value.detach().clone() for name, value in inner.parameters_.items()}
    guide = OrbitMixture(inner, flips)
    guide(Y)
    assert guide.component is inner
    assert {id(p) for p in guide.parameters()} == {id(p) for p in inner.parameters()}
    assert set(pyro.get_param_store()) == {f"{inner._pyro_name}.{n}" for n in ("loc", "scale", "scale_tril")}
    for name, value in guide.parameters_.items():
        assert torch.equal(value, fitted[name])
    svi = SVI(model, inner, pyro.optim.Adam({"lr": 0.1}), Trace_ELBO())
    svi.step(Y)
    assert not torch.equal(guide.parameters_["loc"], fitted["loc"])
    assert torch.equal(guide.parameters_["loc"], inner.loc)
    inner.median(Y), inner(Y)


def test_it_is_a_part_of_a_list_of_guides() -> None:
    guides = AutoGuideList(model)
    part = AutoLocationScale(poutine.block(model, expose=["loc", "sigma"]))
    guides.append(OrbitMixture(part, AxisFlips([0], center=0.0)))
    guides.append(AutoNormal(poutine.block(model, expose=["weights", "local"])))
    assert set(guides(Y)) == {"loc", "sigma", "weights", "local"}
    svi = SVI(model, guides, pyro.optim.Adam({"lr": 0.1}), Trace_ELBO())
    before = part.loc.detach().clone()
    svi.step(Y)
    assert not torch.equal(part.loc, before)


def dependent() -> None:
    top = pyro.sample("top", dist.Gamma(3.0, 1.0))
    low = pyro.sample("low", dist.Uniform(torch.zeros(()), top))
    with pyro.plate("pair", 2):
        pyro.sample("between", dist.Uniform(low, top))


def test_supports_that_depend_on_other_sites_are_followed() -> None:
    guide = OrbitMixture(AutoLocationScale(dependent, scale="diagonal", init_scale=0.8), CoordinatePermutation(4))
    guide.set_up()
    torch.manual_seed(0)
    with torch.no_grad(), pyro.plate("particles", 200, dim=-2):
        draws = guide()
    top, low, between = draws["top"].squeeze(), draws["low"].squeeze(), draws["between"]
    assert bool(((low > 0) & (low < top)).all())
    assert bool(((between > low[:, None]) & (between < top[:, None])).all())
    assert float(top.std() / top.mean()) > 0.1


def test_supports_that_depend_on_other_sites_are_refused_in_pyros_guides() -> None:
    guide = OrbitMixture(AutoMultivariateNormal(dependent), CoordinatePermutation(4))
    with pytest.raises(
        ValueError, match="expected sites of fixed support, got .*low.*because.*; try AutoLocationScale"
    ):
        guide()


def test_the_latent_vector_has_an_auxiliary_site_of_its_own() -> None:
    guide = OrbitMixture(AutoLocationScale(model), flips)
    trace = poutine.trace(guide).get_trace(Y)
    assert trace.nodes["_OrbitMixture_latent"]["infer"]["is_auxiliary"]
    assert latent_of(trace).shape == (8,)


# -- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("guide", "action", "options", "error", "message"),
    [
        (AutoNormal, PointReflection(center=0.0), {}, TypeError, "a guide on the flat latent vector"),
        (AutoLaplaceApproximation, PointReflection(center=0.0), {}, TypeError, "a guide with a density"),
        (AutoLocationScale, "swap", {}, TypeError, "action as an action"),
        (AutoLocationScale, PointReflection, {}, TypeError, "action as an action"),
        (AutoLocationScale, PointReflection(), {}, ValueError, "an action about a known centre"),
        (AutoLocationScale, PointCloudAction(SpecialOrthogonal(3)), {}, ValueError, "an action on flat vectors"),
        (AutoLocationScale, TranslationAction(8), {}, TypeError, "an action of a finite or compact group"),
        (AutoLocationScale, flips, {"max_order": 0}, ValueError, "max_order >= 1"),
        (AutoLocationScale, flips, {"num_elements": 1}, ValueError, "num_elements >= 2"),
        (AutoLocationScale, flips, {"num_elements": 6.0}, TypeError, "num_elements as an int"),
    ],
)
def test_refused_at_once(
    guide: Any, action: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"expected {message}.*got.*because.*; try"):
        OrbitMixture(guide(model), action, **options)


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (CoordinatePermutation(5), ValueError, "length 8 .loc: 0 to 1, sigma: 2, weights: 3 to 4, local: 5 to 7.*got"),
        (AxisFlips([8], center=0.0), ValueError, "coordinates from 0 to 7, got .*local: 5 to 7"),
        (PointReflection(center=[0.0, 1.0]), ValueError, "a center of length 8"),
        (lambda component: "swap", TypeError, "a function that returns an action"),
        (lambda component: TranslationAction(8), TypeError, "an action of a finite or compact group"),
        (lambda component: PointReflection(), ValueError, "an action about a known centre"),
        (lambda component: label_permutation(component, ["weights"]), ValueError, "stick-breaking"),
    ],
)
def test_refused_at_set_up(action: Any, error: type[Exception], message: str) -> None:
    guide = OrbitMixture(AutoLocationScale(model), action)
    for _ in range(2):  # the second call is no better than the first
        with pytest.raises(error, match=f"expected.*{message}"):
            guide(Y)


def test_what_needs_one_location_and_scatter_is_refused() -> None:
    guide = OrbitMixture(AutoLocationScale(model), flips)
    guide(Y)
    for call in (guide.get_base_dist, guide.get_transform, guide._loc_scale):
        with pytest.raises(TypeError, match="expected a guide with one .*got an orbit mixture, because.*; try"):
            call()
    with pytest.raises(ValueError, match="get_transform"):
        poutine.trace(NeuTraReparam(guide).reparam(model)).get_trace(Y)
    assert not isinstance(guide, AutoLocationScale)
    with pytest.raises(TypeError, match="expected a Fit, a guide or a family, got OrbitMixture"):
        symvi.certify(guide, Y)
    elbo = DivergenceELBO(ReverseKL(), num_particles=4, max_plate_nesting=1, symmetry=PointReflection())
    with pytest.raises(ValueError, match="expected an AutoLocationScale guide"):
        elbo.loss(model, guide, Y)
    pyros = OrbitMixture(AutoMultivariateNormal(model), flips)
    pyros(Y)
    with pytest.raises(TypeError, match="expected AutoLocationScale inside, got AutoMultivariateNormal"):
        pyros.parameters_  # noqa: B018


def test_quantiles_without_a_closed_form_are_refused() -> None:
    y = clusters([-1.0, 1.0]).float()
    flow = OrbitMixture(AutoIAFNormal(means, hidden_dim=[4]), CoordinatePermutation(2))
    flow(y)
    with pytest.raises(TypeError, match="expected AutoLocationScale or a normal guide inside.*; try"):
        flow.quantiles([0.5], y)
    turned = EllipticalRotation(center=0.0, shape=torch.eye(2))
    heavy = OrbitMixture(AutoLocationScale(means, base="student_t", df=3.0, scale="diagonal"), turned, num_elements=4)
    heavy(y)
    assert heavy.get_posterior(y).log_prob(torch.zeros(2)).shape == ()
    with pytest.raises(ValueError, match="expected a spherical or light-tailed base in a sum.*; try"):
        heavy.median(y)


def test_methods_need_a_first_call() -> None:
    guide = OrbitMixture(AutoLocationScale(model), flips)
    assert guide.elements is None and guide.is_exact is None
    for call in (guide.gain, guide.resample, guide.get_posterior, lambda: guide.relabel(torch.zeros(8))):
        with pytest.raises(ValueError, match="called once, got one without parameters, .*; try"):
            call()
    guide(Y)
    with pytest.raises(ValueError, match="expected num_samples >= 2, got 1, because.*; try"):
        guide.gain(Y, num_samples=1)
