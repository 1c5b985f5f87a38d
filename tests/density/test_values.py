"""`LogDensity` of a model: values against SciPy and Pyro's own potential function, Jacobians against autograd."""

import math
from collections.abc import Callable

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer.autoguide import AutoDiagonalNormal
from pyro.infer.mcmc.util import initialize_model
from scipy import stats
from torch import Tensor
from torch.distributions import constraints

from pyro_symvi.density import LogDensity


def double(values: object) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float64)


def points(dim: int, n: int = 7, seed: int = 0) -> Tensor:
    return 1.3 * torch.randn(n, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def one_site(law: dist.TorchDistribution) -> LogDensity:
    return LogDensity.from_model(lambda: pyro.sample("x", law))


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


# One site: the map, its derivative and SciPy's density, written out. (law, value at z, log|dx/dz|, SciPy's law)
ELEMENTWISE = {
    "real": (dist.Normal(0.3, 1.7), lambda z: z, lambda z: 0 * z, stats.norm(0.3, 1.7)),
    "positive": (dist.LogNormal(0.2, 0.7), np.exp, lambda z: z, stats.lognorm(0.7, scale=math.exp(0.2))),
    "nonnegative": (dist.Exponential(1.5), np.exp, lambda z: z, stats.expon(scale=1 / 1.5)),
    "gamma": (dist.Gamma(2.5, 0.8), np.exp, lambda z: z, stats.gamma(2.5, scale=1 / 0.8)),
    "half_cauchy": (dist.HalfCauchy(5.0), np.exp, lambda z: z, stats.halfcauchy(scale=5)),
    "unit_interval": (
        dist.Beta(2.0, 3.5),
        sigmoid,
        lambda z: -z - 2 * np.log1p(np.exp(-z)),
        stats.beta(2, 3.5),
    ),
    "interval": (
        dist.Uniform(-1.0, 3.0),
        lambda z: -1 + 4 * sigmoid(z),
        lambda z: math.log(4) - z - 2 * np.log1p(np.exp(-z)),
        stats.uniform(-1, 4),
    ),
    "greater_than": (
        dist.Pareto(2.0, 3.0),
        lambda z: 2 + np.exp(z),
        lambda z: z,
        stats.pareto(3.0, scale=2.0),
    ),
    "less_than": (
        dist.ImproperUniform(constraints.less_than(4.0), (), ()),
        lambda z: 4 - np.exp(z),
        lambda z: z,
        None,
    ),
}


@pytest.mark.parametrize("support", ELEMENTWISE)
def test_elementwise_supports_against_scipy(support: str) -> None:
    law, value, jacobian, reference = ELEMENTWISE[support]
    density, z = one_site(law), points(1)
    x = value(z[:, 0].numpy())
    log_p = 0.0 if reference is None else reference.logpdf(x)
    assert np.allclose(density.unpack(z)["x"].numpy(), x, rtol=1e-6)  # the laws above hold float32 numbers
    assert np.allclose(density.log_abs_det_jacobian(z).numpy(), jacobian(z[:, 0].numpy()), rtol=1e-6, atol=1e-6)
    assert np.allclose(density(z).numpy(), log_p + jacobian(z[:, 0].numpy()), rtol=1e-6, atol=1e-6)


VECTORS: dict[str, tuple[dist.TorchDistribution, int, Callable[[Tensor], Tensor], Callable[[np.ndarray], float]]] = {
    # law, dim, coordinates of the value in which it has a density, SciPy's log density of the value
    "real_vector": (
        dist.MultivariateNormal(double([1.0, 2.0]), double([[2.0, 0.4], [0.4, 1.0]])),
        2,
        lambda x: x,
        lambda x: stats.multivariate_normal([1, 2], [[2, 0.4], [0.4, 1]]).logpdf(x),
    ),
    "simplex": (
        dist.Dirichlet(double([1.5, 2.0, 0.7, 3.0])),
        3,
        lambda x: x[:-1],
        lambda x: stats.dirichlet([1.5, 2, 0.7, 3]).logpdf(x[:-1]),
    ),
    "corr_cholesky": (
        dist.LKJCholesky(3, double(2.0)),
        3,
        lambda x: x[torch.tril_indices(3, 3, -1)[0], torch.tril_indices(3, 3, -1)[1]],
        # Lewandowski, Kurowicka & Joe (2009): prod_k L_kk^(d - k + 2 eta - 2), k = 2..d, up to its normaliser
        lambda x: 3 * math.log(x[1, 1]) + 2 * math.log(x[2, 2]) - LKJ_NORMALISER,
    ),
    "independent": (
        dist.Gamma(double([[2.0, 3.0], [1.0, 4.0]]), double(1.5)).to_event(2),
        4,
        lambda x: x.reshape(-1),
        lambda x: stats.gamma([[2, 3], [1, 4]], scale=1 / 1.5).logpdf(x).sum(),
    ),
    "plate-shaped": (
        dist.Beta(double([2.0, 3.0, 4.0]), double(1.5)),
        3,
        lambda x: x,
        lambda x: stats.beta([2, 3, 4], 1.5).logpdf(x).sum(),
    ),
}
# the law of L21 = r12 is (1 + r12) / 2 ~ Beta(a, a), a = eta + (d - 2) / 2 = 2.5, and so on down the vines:
# partial correlations at level k are Beta(a_k, a_k) with a_1 = 2.5, a_2 = 2 on (-1, 1)
LKJ_NORMALISER = float(
    2 * ((2 * 2.5 - 1) * math.log(2) + math.lgamma(2.5) * 2 - math.lgamma(5.0))
    + ((2 * 2.0 - 1) * math.log(2) + math.lgamma(2.0) * 2 - math.lgamma(4.0))
)


@pytest.mark.parametrize("support", VECTORS)
def test_vector_supports_against_scipy_and_the_autograd_jacobian(support: str) -> None:
    law, dim, coordinates, log_p = VECTORS[support]
    density = one_site(law)
    assert density.dim == dim
    for z in points(dim):
        x = density.unpack(z)["x"]
        jacobian = torch.autograd.functional.jacobian(lambda v: coordinates(density.unpack(v)["x"]), z)
        log_det = float(torch.linalg.slogdet(jacobian)[1])
        assert float(density.log_abs_det_jacobian(z)) == pytest.approx(log_det, abs=1e-9)
        assert float(density(z)) == pytest.approx(float(log_p(x.numpy())) + log_det, abs=1e-8)


def test_ordered_sites_by_hand() -> None:
    flat = dist.ImproperUniform(dist.constraints.ordered_vector, (), (3,))

    def model() -> None:
        x = pyro.sample("x", flat)
        pyro.sample("y", dist.Normal(x, 1.0).to_event(1), obs=double([0.0, 1.0, 2.0]))

    density, z = LogDensity.from_model(model), points(3)
    x = torch.stack([z[:, 0], z[:, 0] + z[:, 1].exp(), z[:, 0] + z[:, 1].exp() + z[:, 2].exp()], -1)
    assert torch.allclose(density.unpack(z)["x"], x)
    expected = stats.norm.logpdf(x.numpy(), loc=[0.0, 1.0, 2.0]).sum(-1) + (z[:, 1] + z[:, 2]).numpy()
    assert np.allclose(density(z).numpy(), expected)


def test_vector_bounds_have_names_and_values() -> None:
    density = one_site(dist.Uniform(double([0.0, -1.0]), double([1.0, 4.0])).to_event(1))
    z = points(2)
    assert density.coordinates == ("unconstrained x[0]", "unconstrained x[1]")
    assert torch.allclose(density.unpack(z)["x"], double([0.0, -1.0]) + double([1.0, 5.0]) * torch.sigmoid(z))
    assert one_site(dist.HalfNormal(double([1.0, 2.0])).to_event(1)).coordinates == ("log x[0]", "log x[1]")
    from_zero = dist.ImproperUniform(constraints.greater_than(double([0.0, 0.0])), (), (2,))
    assert one_site(from_zero).coordinates == ("log x[0]", "log x[1]")
    assert one_site(dist.Pareto(2.0, 1.0)).coordinates == ("unconstrained x",)


# -- many sites ----------------------------------------------------------------------------------------------------


def hierarchical(y: Tensor, mask: Tensor) -> None:
    """Nested plates, scale, mask, factor and deterministic."""
    scale = pyro.sample("scale", dist.HalfNormal(2.0))
    weights = pyro.sample("weights", dist.Dirichlet(torch.ones(3)))
    with pyro.plate("groups", 3, dim=-1):
        mean = pyro.sample("mean", dist.Normal(0.0, scale))
        with pyro.plate("items", 4, dim=-2):
            item = pyro.sample("item", dist.StudentT(4.0, mean, 1.0))
            pyro.deterministic("shifted", item + 1)
            with poutine.mask(mask=mask), poutine.scale(scale=2.5):
                pyro.sample("y", dist.Normal(item * weights, 0.5), obs=y)
    pyro.factor("penalty", -0.3 * (mean**2).sum())


HIERARCHICAL = (torch.linspace(-1, 1, 12).double().reshape(4, 3), torch.arange(12).reshape(4, 3) % 4 != 0)


def test_plates_scale_mask_factor_and_deterministic_against_scipy() -> None:
    density = LogDensity.from_model(hierarchical, *HIERARCHICAL)
    assert density.names == ("scale", "weights", "mean", "item")
    assert density.dim == 1 + 2 + 3 + 12
    y, mask = (t.numpy() for t in HIERARCHICAL)
    for z in points(density.dim):
        x = {name: value.numpy() for name, value in density.unpack(z).items()}
        expected = (
            stats.halfnorm(scale=2).logpdf(x["scale"])
            + stats.dirichlet(np.ones(3)).logpdf(x["weights"][:-1])
            + stats.norm(0, x["scale"]).logpdf(x["mean"]).sum()
            + stats.t(4, x["mean"]).logpdf(x["item"]).sum()
            + 2.5 * (mask * stats.norm(x["item"] * x["weights"], 0.5).logpdf(y)).sum()
            - 0.3 * (x["mean"] ** 2).sum()
        )
        log_det = float(z[0] + density.log_abs_det_jacobian(z) - z[0])
        assert float(density(z)) == pytest.approx(expected + log_det, abs=1e-9)


def regression(x: Tensor, y: Tensor) -> None:
    beta = pyro.sample("beta", dist.Normal(0.0, 3.0).expand([2]).to_event(1))
    sigma = pyro.sample("sigma", dist.HalfCauchy(1.0))
    with pyro.plate("data", len(y)):
        pyro.sample("y", dist.Normal(x @ beta, sigma), obs=y)


def dependent() -> None:
    top = pyro.sample("top", dist.Gamma(3.0, 1.0))
    low = pyro.sample("low", dist.Uniform(0.0, top))
    pyro.sample("y", dist.Normal(low, 0.3), obs=double(0.4))


def partly_observed(y: Tensor, seen: Tensor) -> None:
    loc = pyro.sample("loc", dist.Normal(0.0, 1.0))
    with pyro.plate("data", 3):
        pyro.sample("y", dist.Normal(loc, 1.0), obs=y, obs_mask=seen)


MODELS = {
    "hierarchical": (hierarchical, HIERARCHICAL),
    "regression": (regression, (points(6, 5)[:, :2], points(5, 1)[0])),
    "correlation": (lambda: pyro.sample("L", dist.LKJCholesky(4, double(1.0))), ()),
}


@pytest.mark.parametrize("name", MODELS)
def test_agreement_with_pyros_potential_function(name: str) -> None:
    torch.set_default_dtype(torch.float64)
    model, args = MODELS[name]
    density = LogDensity.from_model(model, *args)
    with pyro.validation_enabled(False):
        initial, potential, _, _ = initialize_model(model, args)
        for z in points(density.dim):
            values = {site.name: z[site.slice].reshape(site.unconstrained_shape) for site in density.sites}
            assert set(values) == set(initial)
            assert float(density(z)) == pytest.approx(-float(potential(values)), rel=1e-9)


@pytest.mark.parametrize("name", [*MODELS, "dependent"])
def test_order_of_sites_is_that_of_autocontinuous(name: str) -> None:
    torch.set_default_dtype(torch.float64)
    model, args = MODELS.get(name, (dependent, ()))
    density = LogDensity.from_model(model, *args)
    guide = AutoDiagonalNormal(model)
    guide(*args)
    order = [(site["name"], value.shape) for site, value in guide._unpack_latent(torch.zeros(guide.latent_dim))]
    assert order == [(site.name, site.unconstrained_shape) for site in density.sites]
    assert guide.latent_dim == density.dim
    assert [density.slices[n].start for n in density.names] == list(
        np.cumsum([0, *[s.slice.stop - s.slice.start for s in density.sites[:-1]]])
    )


def test_a_support_that_depends_on_another_site_is_followed() -> None:
    density, z = LogDensity.from_model(dependent), points(2)
    assert density.dependent_supports and density.vectorized
    top = np.exp(z[:, 0].numpy())
    share = sigmoid(z[:, 1].numpy())
    low = top * share
    expected = (
        stats.gamma(3).logpdf(top) + z[:, 0].numpy()
        - np.log(top) + np.log(top * share * (1 - share))
        + stats.norm(low, 0.3).logpdf(0.4)
    )  # fmt: skip
    assert np.allclose(density(z).numpy(), expected, rtol=1e-9)
    assert np.allclose(density.unpack(z)["low"].numpy(), low)
    assert torch.allclose(density.pack({"top": top[0], "low": low[0]}), z[0])


def test_data_outside_a_support_that_moves_are_impossible() -> None:
    def model() -> None:
        start = pyro.sample("start", dist.Gamma(2.0, 1.0))
        pyro.sample("y", dist.Pareto(start, 2.0).expand([2]).to_event(1), obs=double([1.5, 2.0]))

    density = LogDensity.from_model(model)
    inside, outside = density(double([[math.log(1.2)], [math.log(1.6)]]))
    y = np.array([1.5, 2.0])
    expected = stats.gamma(2).logpdf(1.2) + math.log(1.2) + stats.pareto(2, scale=1.2).logpdf(y).sum()
    assert float(inside) == pytest.approx(expected, abs=1e-6)
    assert float(outside) == -math.inf  # torch's formula alone gives a finite number there


def test_the_unobserved_part_of_a_site_is_latent_and_noted_where_masked() -> None:
    density = LogDensity.from_model(partly_observed, double([0.5, 0.0, -1.0]), torch.tensor([True, False, True]))
    assert density.names == ("loc", "y_unobserved")
    z = points(4)
    expected = stats.norm.logpdf(z[:, 0]) + stats.norm.logpdf(z[:, 2], z[:, 0])
    expected += stats.norm.logpdf(0.5, z[:, 0]) + stats.norm.logpdf(-1.0, z[:, 0])
    assert np.allclose(density(z).numpy(), expected)
    assert any("y_unobserved[0], y_unobserved[2]" in note for note in density.notes)


def test_a_sign_error_in_the_jacobian_would_be_seen() -> None:
    density, z = one_site(dist.Gamma(double(2.5), double(0.8))), points(1)
    wrong = stats.gamma(2.5, scale=1 / 0.8).logpdf(z[:, 0].exp().numpy()) - z[:, 0].numpy()
    assert np.abs(density(z).numpy() - wrong).max() > 0.1


# -- packing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*MODELS, "dependent"])
def test_pack_is_the_inverse_of_unpack(name: str) -> None:
    model, args = MODELS.get(name, (dependent, ()))
    density = LogDensity.from_model(model, *args)
    for z in points(density.dim, 3):
        assert torch.allclose(density.pack(density.unpack(z)), z, atol=1e-7)


@pytest.mark.parametrize("batch", [(), (1,), (5,), (2, 3), (0,), (2, 0, 3), (2, 1, 2, 2)])
@pytest.mark.parametrize("looped", [False, True])
def test_batches_of_any_leading_shape(batch: tuple[int, ...], looped: bool) -> None:
    density = LogDensity.from_model(hierarchical, *HIERARCHICAL)
    density.vectorized = not looped
    z = torch.randn(*batch, density.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    values, gradients = density.value_and_grad(z)
    assert density(z).shape == values.shape == density.log_abs_det_jacobian(z).shape == batch
    assert gradients.shape == z.shape
    assert density.hessian(z).shape == (*z.shape, density.dim)
    assert {n: v.shape for n, v in density.unpack(z).items()} == {
        "scale": batch, "weights": (*batch, 3), "mean": (*batch, 3), "item": (*batch, 4, 3),
    }  # fmt: skip
    flat = z.reshape(-1, density.dim)
    alone = torch.stack([torch.zeros(()).double(), *(density(row) for row in flat)])[1:]
    assert torch.allclose(density(z).reshape(-1), alone, rtol=1e-12)


def test_long_batches_are_cut_and_joined() -> None:
    density = LogDensity.from_callable(lambda z: -(z**2).sum(), 2)
    z = points(2, 9001)
    assert torch.allclose(density(z), -(z**2).sum(-1))
    assert torch.allclose(density.value_and_grad(z)[1], -2 * z)
