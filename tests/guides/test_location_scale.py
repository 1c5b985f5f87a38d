"""`AutoLocationScale` keeps the guide contract with every scale; agreement with Pyro's guides; hard models."""

import copy
import math
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import Trace_ELBO
from pyro.infer.autoguide import AutoDiagonalNormal, AutoGuideList, AutoMultivariateNormal, AutoNormal, init_to_value
from scipy import stats
from torch import Tensor

from pyro_symvi.guides import AutoLocationScale
from tests.contracts.guide import FlatGuideContract, Y, local_only, model, randomize

KINDS = [
    ("normal", "full", None),
    ("student_t", "full", 5.0),
    ("student_t", "diagonal", 4.0),
    ("laplace", "isotropic", None),
    ("logistic", "full", None),
]


@pytest.mark.parametrize(("base", "scale", "df"), KINDS)
class TestAutoLocationScale(FlatGuideContract):
    @pytest.fixture
    def build(self, base: str, scale: str, df: float | None) -> Any:
        return lambda target, **options: AutoLocationScale(target, base=base, scale=scale, df=df, **options)


class _NormalQuantiles(AutoLocationScale):
    """What a guide does that leaves ``quantiles`` to its parent."""

    def quantiles(self, quantiles: Any, *args: Any, **kwargs: Any) -> Any:
        return super(AutoLocationScale, self).quantiles(quantiles, *args, **kwargs)


class _Transposed(AutoLocationScale):
    """C' in place of C in the law, not in the family."""

    def get_transform(self, *args: Any, **kwargs: Any) -> Any:
        parameters = self.parameters_
        return dist.transforms.LowerCholeskyAffine(parameters["loc"], parameters["scale"].flip(0, 1).mT.tril())


def test_the_contract_catches_broken_guides() -> None:
    contract = FlatGuideContract()
    broken = _NormalQuantiles(model, base="logistic")
    broken(Y)
    randomize(broken)
    with pytest.raises(AssertionError):
        contract.test_median_and_quantiles_are_those_of_the_family_mapped_to_the_sites(broken)
    broken = _Transposed(model)
    broken(Y)
    randomize(broken)
    with pytest.raises(AssertionError):
        contract.test_posterior_is_base_and_transform(broken)
    with pytest.raises(AssertionError):
        contract.test_its_log_density_is_the_familys_less_the_jacobian(broken)


# -- against Pyro --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", ["full", "diagonal"])
def test_with_a_normal_base_it_is_pyros_guide(scale: str) -> None:
    theirs = (AutoMultivariateNormal if scale == "full" else AutoDiagonalNormal)(model)
    ours = AutoLocationScale(model, scale=scale)
    theirs(Y), ours(Y)
    randomize(ours)
    parameters = {name: p.detach() for name, p in ours.parameters_.items()}
    theirs.loc.data.copy_(parameters["loc"])
    if scale == "full":
        diagonal = parameters["scale"].diagonal()
        theirs.scale, theirs.scale_tril = diagonal, parameters["scale"] / diagonal[:, None]
    else:
        theirs.scale = parameters["scale"]
    z = theirs.get_posterior().sample((6,))
    assert torch.allclose(theirs.get_posterior().log_prob(z), ours.get_posterior().log_prob(z), rtol=1e-4)
    for name, value in theirs.quantiles([0.1, 0.8], Y).items():
        assert torch.allclose(ours.quantiles([0.1, 0.8], Y)[name], value, rtol=1e-4, atol=1e-5)
    torch.manual_seed(5)
    a = Trace_ELBO(num_particles=20).loss(model, theirs, Y)
    torch.manual_seed(5)
    assert Trace_ELBO(num_particles=20).loss(model, ours, Y) == pytest.approx(a, rel=1e-4)


@pytest.mark.parametrize(
    ("base", "df", "law"),
    [("student_t", 3.0, stats.t(3)), ("laplace", None, stats.laplace), ("logistic", None, stats.logistic),
     ("normal", None, stats.norm)],
)  # fmt: skip
def test_quantiles_are_those_of_the_base_not_of_a_normal(base: str, df: float | None, law: Any) -> None:
    guide = AutoLocationScale(local_only, base=base, scale="diagonal", df=df, init_scale=0.5)
    guide(Y)
    levels = [0.02, 0.4, 0.95]
    expected = np.exp(guide.loc.detach().numpy() + 0.5 * law.ppf(levels)[:, None])
    assert np.allclose(guide.quantiles(levels, Y)["z"].numpy(), expected, rtol=1e-4)
    if base != "normal":
        normal = np.exp(guide.loc.detach().numpy() + 0.5 * stats.norm.ppf(levels)[:, None])
        assert not np.allclose(guide.quantiles(levels, Y)["z"].numpy(), normal, rtol=1e-2)


def test_the_isotropic_scale_counts_once_a_coordinate() -> None:
    guide = AutoLocationScale(model, scale="isotropic", init_scale=0.2)
    guide(Y)
    assert guide.scale.shape == ()
    at_centre = guide.get_posterior().log_prob(guide.loc).detach()
    assert float(at_centre) == pytest.approx(
        -guide.latent_dim * (0.5 * math.log(2 * math.pi) + math.log(0.2)), rel=1e-5
    )


# -- initial values ------------------------------------------------------------------------------------------------


def test_initial_parameters() -> None:
    guide = AutoLocationScale(
        local_only,
        scale="full",
        init_scale=0.25,
        init_loc_fn=init_to_value(values={"z": torch.tensor([1.0, 2.0, 3.0])}),
    )
    guide(Y)
    assert torch.allclose(guide.loc, torch.tensor([1.0, 2.0, 3.0]).log())
    assert torch.allclose(guide.parameters_["scale"], 0.25 * torch.eye(3))


def improper() -> None:
    a = pyro.sample("a", dist.ImproperUniform(dist.constraints.real, (), (2,)))
    b = pyro.sample("b", dist.ImproperUniform(dist.constraints.positive, (), ()))
    pyro.sample("y", dist.Normal(a.sum(-1), b), obs=torch.tensor(0.3))


def test_flat_priors_start_at_the_origin() -> None:
    guide = AutoLocationScale(improper)
    guide.set_up()
    assert torch.equal(guide.loc, torch.zeros(3))
    assert guide.median()["b"] == 1.0
    assert np.isfinite(Trace_ELBO().loss(improper, guide))


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
def test_initial_scales_out_of_range_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="expected init_scale > 0, got .* because .*; try"):
        AutoLocationScale(model, init_scale=bad)


@pytest.mark.parametrize("bad", ["0.1", None, True, torch.tensor(0.1)])
def test_initial_scales_of_another_type_are_refused(bad: Any) -> None:
    with pytest.raises(TypeError, match="expected init_scale as a number, got .* because .*; try"):
        AutoLocationScale(model, init_scale=bad)


@pytest.mark.parametrize("arguments", [{"base": "gumbel"}, {"scale": "tall"}, {"base": "student_t"}, {"df": 3.0}])
def test_families_that_do_not_exist_are_refused_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected .* got .* because .*; try"):
        AutoLocationScale(model, **arguments)


def test_an_error_of_the_init_function_reaches_the_user() -> None:
    def broken(site: Any) -> Tensor:
        raise RuntimeError("no start for " + site["name"])

    with pytest.raises(RuntimeError, match="no start for loc"):
        AutoLocationScale(model, init_loc_fn=broken)(Y)


@pytest.mark.parametrize(
    ("scale", "parameters", "message"),
    [
        ("full", {"loc": torch.zeros(2), "scale": torch.eye(3)}, r"loc of shape \(3,\), got \(2,\)"),
        ("full", {"loc": torch.zeros(3), "scale": torch.ones(3)}, r"scale of shape \(3, 3\), got \(3,\)"),
        ("full", {"loc": torch.zeros(3), "scale": torch.ones(3, 3)}, "scale to be lower triangular"),
        (
            "full",
            {"loc": torch.zeros(3), "scale": -torch.eye(3)},
            "scale to be lower triangular, its diagonal positive",
        ),
        ("diagonal", {"loc": torch.zeros(3), "scale": torch.tensor([1.0, 0.0, 1.0])}, "scale to be positive"),
        ("isotropic", {"loc": torch.zeros(3), "scale": torch.tensor(torch.nan)}, "scale to be positive"),
        ("diagonal", {"loc": torch.full((3,), torch.inf), "scale": torch.ones(3)}, "loc to be finite"),
    ],
)
def test_parameters_that_are_none_are_refused_and_change_nothing(
    scale: str, parameters: dict[str, Tensor], message: str
) -> None:
    guide = AutoLocationScale(local_only, scale=scale)
    guide.set_up(Y)
    before = {name: value.detach().clone() for name, value in guide.parameters_.items()}
    with pytest.raises(ValueError, match=f"expected {message}.*because .*; try"):
        guide.set_parameters(parameters)
    for name, value in guide.parameters_.items():
        assert torch.equal(value, before[name])


# -- precision -----------------------------------------------------------------------------------------------------


def linear(x: Tensor, y: Tensor) -> None:
    beta = pyro.sample("beta", dist.Normal(0.0, 3.0).expand([2]).to_event(1))
    with pyro.plate("data", len(y)):
        pyro.sample("y", dist.Normal(x @ beta, 1.0), obs=y)


def test_float64_data_under_a_float32_default() -> None:
    x, y = torch.randn(4, 2, generator=torch.Generator().manual_seed(0)).double(), torch.zeros(4).double()
    guide = AutoLocationScale(linear)
    guide.set_up(x, y)
    assert guide.loc.dtype == guide.parameters_["scale"].dtype == torch.float64
    assert torch.get_default_dtype() == torch.float32
    assert guide(x, y)["beta"].dtype == torch.float64


def test_parameters_set_in_float64_come_back_exactly() -> None:
    torch.set_default_dtype(torch.float64)
    guide = AutoLocationScale(local_only)
    guide.set_up(Y)
    lower = torch.linalg.cholesky(
        torch.tensor([[2.0, 0.3, 0.1], [0.3, 1e-6, 0.0], [0.1, 0.0, 1e6]]) + 0.2 * torch.eye(3)
    )
    guide.set_parameters({"loc": torch.tensor([1.0, -1e-9, 1e9]), "scale": lower})
    assert torch.allclose(guide.parameters_["scale"], lower, rtol=1e-14)
    assert torch.equal(guide.parameters_["loc"], torch.tensor([1.0, -1e-9, 1e9]))


# -- supports that depend on other sites ---------------------------------------------------------------------------


def dependent() -> None:
    top = pyro.sample("top", dist.Gamma(3.0, 1.0))
    low = pyro.sample("low", dist.Uniform(torch.zeros(()), top))
    with pyro.plate("pair", 2):
        pyro.sample("between", dist.Uniform(low, top))


def ready(scale: str = "diagonal") -> AutoLocationScale:
    guide = AutoLocationScale(dependent, scale=scale)
    guide.set_up()
    randomize(guide)
    return guide


@pytest.mark.parametrize("vectorize", [False, True])
def test_draws_lie_in_supports_that_depend_on_other_sites(vectorize: bool) -> None:
    guide = ready()
    torch.manual_seed(0)
    if vectorize:
        with torch.no_grad(), pyro.plate("particles", 200, dim=-2):
            draws = guide()
        top, low, between = draws["top"].squeeze(), draws["low"].squeeze(), draws["between"]
    else:
        with torch.no_grad():
            several = [guide() for _ in range(50)]
        top, low, between = (torch.stack([d[n] for d in several]) for n in ("top", "low", "between"))
    assert between.shape == (len(top), 2)
    assert float(top.std() / top.mean()) > 0.1
    assert bool(((low > 0) & (low < top)).all())
    assert bool(((between > low[:, None]) & (between < top[:, None])).all())


def test_the_density_of_a_dependent_guide_integrates_to_one() -> None:
    """The guide's log density at the sites, over the triangle 0 < low < top, by quadrature in x = log top, share."""

    def two() -> None:
        top = pyro.sample("top", dist.Gamma(3.0, 1.0))
        pyro.sample("low", dist.Uniform(torch.zeros(()), top))

    torch.set_default_dtype(torch.float64)
    guide = AutoLocationScale(two)
    guide.set_up()
    guide.set_parameters({"loc": torch.tensor([0.5, 0.2]), "scale": torch.tensor([[0.4, 0.0], [0.3, 0.5]])})
    axis = torch.linspace(-4.0, 4.0, 33)
    total, mean = 0.0, 0.0
    for x, s in torch.cartesian_prod(0.5 + axis * 0.4, 0.2 + axis * 0.7):
        latent = torch.stack([x, s])
        with torch.no_grad():
            trace = poutine.trace(poutine.condition(guide, {f"_{guide._pyro_name}_latent": latent})).get_trace()
        sites = [trace.nodes[n] for n in ("top", "low")]
        # density of (top, low): that of the latent vector times the guide's own factors
        log_q = trace.log_prob_sum().detach()
        top, low = (node["value"] for node in sites)
        assert torch.allclose(top, x.exp()) and torch.allclose(low, top * torch.sigmoid(s))
        area = top * top * torch.sigmoid(s) * torch.sigmoid(-s)  # d(top, low) / d(x, s)
        weight = float(log_q.exp() * area) * float(axis[1] - axis[0]) ** 2 * 0.4 * 0.7
        total, mean = total + weight, mean + weight * float(top)
    assert total == pytest.approx(1.0, abs=2e-3)  # 4 sd on either side, unequally cut
    assert mean / total == pytest.approx(math.exp(0.5 + 0.08), rel=2e-3)


def test_supports_taken_from_the_first_run_would_be_wrong() -> None:
    guide = ready()
    guide._dependent = False
    torch.manual_seed(0)
    with torch.no_grad():
        draws = [guide() for _ in range(50)]
    assert any(float(d["low"]) > float(d["top"]) for d in draws)


def test_a_copy_of_a_dependent_guide_still_follows() -> None:
    twin = copy.deepcopy(ready())
    torch.manual_seed(0)
    with torch.no_grad():
        assert all(float(d["low"]) < float(d["top"]) for d in (twin() for _ in range(30)))


# -- names and lists -----------------------------------------------------------------------------------------------


def test_numbers_are_given_only_where_needed() -> None:
    class Fresh(AutoLocationScale):
        """A name that no other test uses."""

    first, second, third = (Fresh(model) for _ in range(3))
    for guide in (first, second):
        guide.set_up(Y)
    assert set(pyro.get_param_store()) == {f"Fresh{n}.{p}" for n in ("", "_2") for p in ("loc", "scale", "scale_tril")}
    del second, guide
    third.set_up(Y)
    assert third._pyro_name == "Fresh_2"  # the name of a guide that is no more, and its values, as in Pyro


def test_after_clearing_the_store_two_living_guides_stay_apart() -> None:
    first = AutoLocationScale(model)
    first.set_up(Y)
    randomize(first, 1)
    kept = first.parameters_["loc"].detach().clone()
    pyro.clear_param_store()
    second = AutoLocationScale(model)
    second(Y)
    randomize(second, 2)
    first(Y)
    assert torch.equal(first.parameters_["loc"], kept)


def test_a_store_loaded_later_counts() -> None:
    guide = AutoLocationScale(model)
    guide.set_up(Y)
    randomize(guide, 1)
    state = {k: v.copy() for k, v in pyro.get_param_store().get_state().items()}
    kept = guide.parameters_["loc"].detach().clone()
    state["params"] = {k: v.detach().clone().requires_grad_() for k, v in state["params"].items()}
    randomize(guide, 2)
    pyro.get_param_store().set_state(state)
    assert torch.equal(guide.parameters_["loc"], kept)
    randomize(guide, 3)
    kept = guide.parameters_["loc"].detach().clone()
    guide(Y)
    assert torch.equal(guide.parameters_["loc"], kept)


def test_it_is_a_part_of_a_list_of_guides() -> None:
    guides = AutoGuideList(model)
    guides.append(AutoLocationScale(poutine.block(model, expose=["loc", "sigma"]), base="laplace"))
    guides.append(AutoNormal(poutine.block(model, expose=["weights", "local"])))
    assert set(guides(Y)) == {"loc", "sigma", "weights", "local"}
    assert "AutoGuideList.0.loc" in pyro.get_param_store()
    assert np.isfinite(Trace_ELBO().loss(model, guides, Y))


def test_sequential_plates_are_refused_by_pyro() -> None:
    def sequential() -> None:
        for i in pyro.plate("steps", 2):
            pyro.sample(f"x{i}", dist.Normal(0.0, 1.0))

    with pytest.raises(NotImplementedError, match="sequential"):
        AutoLocationScale(sequential)()
