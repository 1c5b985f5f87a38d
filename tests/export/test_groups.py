"""What stands in each group: names, shapes, log likelihoods against scipy, sums against the joint density."""

import math

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from scipy import stats

import pyro_symvi as symvi
from pyro_symvi.density import LogDensity
from pyro_symvi.distributions import SphericalUniform, VonMisesFisher
from pyro_symvi.export._dimensions import Dimensions
from pyro_symvi.groups import PointReflection
from pyro_symvi.guides import AutoLocationScale, AutoSphere, AutoSymmetric, OrbitMixture
from tests.export import models

pytest.importorskip("arviz_base")
F64 = torch.float64


def exported(*args, **options):
    return symvi.to_arviz(*args, kind="datatree", **{"num_samples": 20, **options})


def log_sum(array):
    return array.values.reshape(array.sizes["chain"], array.sizes["draw"], -1).sum(-1)


def test_several_sites_with_plates_events_factors_and_scales():
    density = LogDensity.from_model(models.several, models.WEIGHTS, models.COUNTS)
    guide = AutoLocationScale(models.several)
    tree = exported(guide, models.WEIGHTS, models.COUNTS, offset=0.5)
    posterior, likelihood = tree["posterior"], tree["log_likelihood"]
    assert posterior["rate"].dims == ("chain", "draw", "groups", "rate_dim_1") and posterior["rate"].shape[2:] == (2, 1)
    assert posterior["beta"].dims == ("chain", "draw", "beta_dim_0")
    assert posterior["share"].dims == ("chain", "draw", "share_dim_0")
    assert likelihood["counts"].dims == ("chain", "draw", "groups", "times") and "tilt" not in likelihood
    rate, share, total = (posterior[name].values[0] for name in ("rate", "share", "total"))
    assert np.allclose(total, posterior["beta"].values[0].sum(-1) + 0.5)
    counts = stats.poisson.logpmf(models.COUNTS.numpy(), rate * share[:, None, :] * 3)
    weights = stats.t.logpdf(models.WEIGHTS.numpy(), 4.0, total[:, None], 1.5)
    assert np.allclose(likelihood["counts"].values[0], counts, atol=1e-10)
    assert np.allclose(likelihood["weights"].values[0], weights, atol=1e-10)  # not doubled by poutine.scale
    beta = posterior["beta"].values[0]
    prior = stats.norm.logpdf(beta).sum(-1) + stats.gamma.logpdf(rate, 2.0).sum((1, 2)) + math.log(2.0)
    joint = prior - 0.1 * beta[:, 0] ** 2 + counts.sum((1, 2)) + 2 * weights.sum(-1)
    points = {n: torch.as_tensor(posterior[n].values[0]) for n in density.names}
    z = torch.stack([density.pack({n: v[i] for n, v in points.items()}) for i in range(20)])
    lp = tree["sample_stats"]["lp"].values[0]
    assert np.allclose(lp, density(z).numpy(), atol=1e-8)
    assert np.allclose(lp, joint + density.log_abs_det_jacobian(z).numpy(), atol=1e-8)
    log_q = guide.get_posterior().log_prob(z.float()).detach().numpy()
    assert np.allclose(tree["sample_stats"]["log_weight"][0], lp - log_q, atol=1e-3)
    assert set(tree["observed_data"].data_vars) == {"counts", "weights"}
    assert dict(tree["constant_data"].data_vars).keys() == {"offset"} and float(tree["constant_data"]["offset"]) == 0.5
    assert tree["posterior_predictive"]["counts"].shape == (1, 20, 2, 3)


def test_a_fit_is_exported_in_float64_and_its_weights_are_flat_where_the_guide_is_the_posterior():
    guide = AutoLocationScale(models.known_variance)
    fit = symvi.fit(models.known_variance, guide, models.Y)
    tree = exported(fit, num_samples=2000)
    weight = tree["sample_stats"]["log_weight"].values
    m, v = models.exact(models.Y)
    evidence = torch.distributions.MultivariateNormal(
        torch.zeros(10, dtype=F64), models.SIGMA**2 * torch.eye(10, dtype=F64) + models.TAU**2
    ).log_prob(models.Y)
    assert np.abs(weight - float(evidence)).max() < 1e-9  # p(z, y) / q(z) = p(y) at every z
    mu = tree["posterior"]["mu"].values
    assert abs(mu.mean() - float(m)) < 4 * float(v.sqrt()) / math.sqrt(2000)
    new = tree["posterior_predictive"]["y"].values[0]
    assert np.abs(new.mean(0) - float(m)).max() < 4 * math.sqrt((float(v) + models.SIGMA**2) / 2000)
    assert np.abs(new.std(0) / math.sqrt(float(v) + models.SIGMA**2) - 1).max() < 4 / math.sqrt(4000)
    assert tree.attrs["fit_status"] == "CONVERGED" and tree.attrs["divergence"] == "ReverseKL()"
    again, other = exported(fit), exported(fit, generator=torch.Generator().manual_seed(1))
    assert np.array_equal(again["posterior"]["mu"].values, exported(fit)["posterior"]["mu"].values)
    assert not np.array_equal(again["posterior"]["mu"].values, other["posterior"]["mu"].values)
    assert "pareto_k" not in again.attrs  # twenty weights have no tail
    one = exported(fit, num_samples=1, log_likelihood=False, posterior_predictive=False)
    assert one["posterior"]["mu"].shape == (1, 1) and "log_likelihood" not in one.children
    of_certificate = exported(symvi.certify(fit))
    assert np.array_equal(of_certificate["posterior"]["mu"].values, again["posterior"]["mu"].values)


def test_samples_with_and_without_chains_and_without_a_model():
    grouped = {"mu": torch.linspace(0, 1, 12).reshape(2, 6)}
    tree = exported(grouped, models.known_variance, models.Y)
    assert tree["posterior"]["mu"].shape == (2, 6) and "log_weight" not in tree["sample_stats"]
    expected = stats.norm.logpdf(models.Y.numpy(), grouped["mu"].numpy()[..., None], models.SIGMA)
    assert np.allclose(tree["log_likelihood"]["y"].values, expected, atol=1e-6)  # draws are float32
    prior = stats.norm.logpdf(grouped["mu"].numpy(), 0, models.TAU)
    assert np.allclose(tree["sample_stats"]["lp"].values, expected.sum(-1) + prior, atol=1e-5)
    flat = exported({"mu": grouped["mu"].reshape(-1)}, models.known_variance, models.Y)
    assert flat["posterior"]["mu"].shape == (1, 12)
    assert np.array_equal(
        flat["log_likelihood"]["y"].values.reshape(-1), tree["log_likelihood"]["y"].values.reshape(-1)
    )
    alone = exported({"mu": torch.zeros(5), "beta": torch.zeros(5, 2)})
    assert alone["posterior"]["beta"].shape == (1, 5, 2) and set(alone.children) == {"posterior"}
    with pytest.raises(ValueError, match=r"expected group_by_chain=True or False.*giving the model"):
        exported({"beta": torch.zeros(5, 2)})
    assert exported({"beta": torch.zeros(2, 5)}, group_by_chain=True)["posterior"]["beta"].shape == (2, 5)


def test_certificates_of_draws_and_of_guides_of_no_family_are_exported_as_what_they_certify():
    draws = {"mu": 1.2 + 0.3 * torch.randn(2, 100, generator=torch.Generator().manual_seed(0), dtype=F64)}
    tree = exported(symvi.certify(draws, models.known_variance, models.Y))
    assert np.array_equal(tree["posterior"]["mu"].values, draws["mu"].numpy())
    assert "log_weight" not in tree["sample_stats"]
    guide = pyro.infer.autoguide.AutoLowRankMultivariateNormal(models.known_variance, rank=1)
    guide(models.Y)
    stats_of = exported(symvi.certify(guide, models.Y))
    law = guide.get_posterior()
    log_q = stats.norm.logpdf(stats_of["posterior"]["mu"], law.mean.item(), law.variance.item() ** 0.5)
    found = stats_of["sample_stats"]
    assert np.allclose(found["lp"] - found["log_weight"], log_q, atol=1e-5)


def test_a_plate_of_another_size_gives_no_name():
    dimensions = Dimensions(None)
    for name, size in (("a", 3), ("b", 4), ("c", 3)):
        dimensions.add(name, (size,), {-1: "rows"})
    assert dimensions.by_variable == {"a": ["rows"], "b": ["b_dim_0"], "c": ["rows"]}


def masked(y, keep):
    mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
    with pyro.plate("rows", len(y)), poutine.mask(mask=keep):
        pyro.sample("y", dist.Normal(mu, 1.0), obs=y)
    with pyro.plate("a", 2, dim=-2), pyro.plate("b", 3, dim=-1):
        pyro.sample("w", dist.Normal(mu, 2.0).mask(torch.tensor([[True, False, True], [True, True, False]])), obs=0.5)


def test_masked_entries_are_no_data():
    y, keep = torch.tensor([0.3, math.nan, -1.0, 2.0]), torch.tensor([True, False, True, True])
    tree = exported({"mu": torch.tensor([0.0, 1.0])}, masked, y, keep)
    density = tree["log_likelihood"]
    assert density["y"].dims[-1] == "y_observed" and density["y_observed"].values.tolist() == [0, 2, 3]
    assert np.allclose(density["y"][0, 1], stats.norm.logpdf([0.3, -1.0, 2.0], 1.0), atol=1e-6)
    assert density["w"].shape == (1, 2, 4) and density["w_observed"].values.tolist() == [0, 2, 3, 4]
    assert tree["observed_data"]["y"].values.tolist() == pytest.approx([0.3, -1.0, 2.0])
    assert tree["posterior_predictive"]["w"].shape == (1, 2, 4)
    expected = stats.norm.logpdf([0.0, 1.0]) + density["y"].values[0].sum(-1) + density["w"].values[0].sum(-1)
    assert np.allclose(tree["sample_stats"]["lp"].values[0], expected)


def minibatch(y, taken=None, local=False):
    mu = pyro.sample("mu", dist.Normal(0.0, models.TAU))
    with pyro.plate("rows", len(y), subsample_size=taken) as rows:
        if local:
            mu = pyro.sample("each", dist.Normal(mu, 1.0))
        pyro.sample("y", dist.Normal(mu, models.SIGMA), obs=y[rows])


def test_minibatches_are_undone_and_local_ones_refused():
    guide = pyro.infer.autoguide.AutoNormal(models.known_variance, init_scale=0.3)
    whole = exported(guide, models.known_variance, models.Y)
    parts = exported(guide, minibatch, models.Y, taken=4)  # ten rows in blocks of four
    for group, name in (
        ("log_likelihood", "y"),
        ("sample_stats", "lp"),
        ("sample_stats", "log_weight"),
        ("posterior", "mu"),
    ):
        assert np.allclose(parts[group][name], whole[group][name], rtol=1e-12, atol=1e-12)
    assert np.array_equal(parts["observed_data"]["y"].values, models.Y.numpy())
    new = parts["posterior_predictive"]["y"].values[0]
    assert len(np.unique(new)) == new.size  # no row was drawn twice
    with pytest.raises(ValueError, match=r"plate 'rows', got 4 of 10 with the latent site 'each'"):
        exported({"mu": torch.zeros(3), "each": torch.zeros(3, 10)}, minibatch, models.Y, 4, True)


def directions(x):
    mu = pyro.sample("mu", SphericalUniform(3))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", VonMisesFisher(mu, 5.0), obs=x)


def test_a_direction_has_flat_weights_under_its_exact_guide():
    x = torch.nn.functional.normalize(
        torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=F64) + 1, dim=-1
    )
    guide = AutoSphere(directions)
    guide.initialize_from_laplace(x)  # exact: the posterior is a von Mises-Fisher law
    tree = exported(guide, x, posterior_predictive=False)
    assert tree["posterior"]["mu"].dims[2:] == ("mu_dim_0",) and tree["log_likelihood"]["x"].dims[2:] == ("rows",)
    assert np.ptp(tree["sample_stats"]["log_weight"].values) < 1e-4  # the guide is the posterior, in float32 parameters
    assert tree["observed_data"]["x"].dims == ("rows", "x_dim_1")
    evidence = float(tree["sample_stats"]["log_weight"].mean())
    again = exported(symvi.certify(guide, x), posterior_predictive=False)
    assert np.allclose(again["sample_stats"]["log_weight"], evidence, atol=1e-4)
    table = symvi.summary(guide, x)
    assert table["statistic"].tolist() == ["direction"] * 3 and set(table["verdict"]) == {"PROVED"}
    assert np.allclose(table["value"], (x.sum(0) / x.sum(0).norm()).numpy(), atol=1e-3)
    mu = tree["posterior"]["mu"].values[0]
    expected = stats.vonmises_fisher(mu[3], 5.0).logpdf(x.numpy())
    assert np.allclose(tree["log_likelihood"]["x"].values[0, 3], expected, atol=1e-8)


def test_any_guide_and_a_guide_that_is_a_function():
    def guide(y):
        pyro.sample("mu", dist.Normal(pyro.param("m", torch.tensor(1.0)), 0.3))

    tree = exported(guide, models.known_variance, models.Y, posterior_predictive=False)
    mu = tree["posterior"]["mu"].values[0]
    joint = stats.norm.logpdf(models.Y.numpy(), mu[:, None], models.SIGMA).sum(-1) + stats.norm.logpdf(
        mu, 0, models.TAU
    )
    assert np.allclose(tree["sample_stats"]["log_weight"].values[0], joint - stats.norm.logpdf(mu, 1.0, 0.3), atol=1e-6)
    mixture = OrbitMixture(AutoLocationScale(models.known_variance), PointReflection(center=torch.zeros(1)))
    auto = pyro.infer.autoguide
    several = (mixture, AutoSymmetric(models.known_variance), auto.AutoMultivariateNormal(models.known_variance))
    for one in several:
        found = exported(one, models.Y, log_likelihood=False, posterior_predictive=False)
        assert (
            found["sample_stats"]["log_weight"].dtype == np.float64 and np.unique(found["posterior"]["mu"]).size == 20
        )
    with pytest.raises(TypeError, match=r"expected the model of this guide"):
        exported(guide)
    with pytest.raises(ValueError, match="AutoDelta, a point"):
        exported(auto.AutoDelta(models.known_variance), models.Y)


def no_data():
    pyro.sample("sigma", dist.HalfNormal(1.0))


def autoregression(y):
    a = pyro.sample("a", dist.Normal(0.0, 1.0))
    last = torch.zeros(())
    for t in range(3):
        last = pyro.sample(f"y_{t}", dist.Normal(10 * a + last, 1e-3), obs=y[t])


def labels(y):
    p = pyro.sample("p", dist.Beta(1.0, 1.0))
    k = pyro.sample("k", dist.Bernoulli(p))
    pyro.sample("y", dist.Normal(k, 1.0), obs=y)


def test_scaling_a_guide_changes_no_weight():
    """The mean weight is the evidence, whatever ``poutine.scale`` is around the guide: its draws are the same."""
    m, v = models.exact(models.Y)

    def guide(y):
        with pyro.poutine.scale(scale=0.1):
            pyro.sample("mu", dist.Normal(m, v.sqrt()))

    data = symvi.to_arviz(guide, models.known_variance, models.Y, num_samples=50)
    covariance = models.SIGMA**2 * torch.eye(10, dtype=torch.float64) + models.TAU**2
    evidence = dist.MultivariateNormal(torch.zeros(10, dtype=torch.float64), covariance).log_prob(models.Y)
    weights = torch.as_tensor(data["sample_stats"]["log_weight"].to_numpy())
    assert torch.allclose(weights, evidence.expand(1, 50), rtol=1e-6)


def test_no_data_scalar_data_and_data_that_feed_data():
    assert set(exported(AutoLocationScale(no_data)).children) == {"posterior", "sample_stats"}
    tree = exported({"a": torch.tensor([0.0, 1.0])}, autoregression, torch.zeros(3))
    assert tree["log_likelihood"]["y_2"].dims == ("chain", "draw")
    new = tree["posterior_predictive"]
    assert np.abs(new["y_2"].values[0] - [0.0, 30.0]).max() < 0.02  # 10 a + y_1 as drawn, not as observed


def test_discrete_sites_need_draws():
    y = torch.tensor(0.7)
    with pytest.raises(ValueError, match=r"none of the discrete site 'k'.*summing it out"):
        exported({"p": torch.tensor([0.2, 0.6])}, labels, y)
    hidden = pyro.infer.autoguide.AutoNormal(poutine.block(labels, hide=["k"]))
    with pytest.raises(ValueError, match=r"none of the discrete site 'k'"):  # not drawn anew behind poutine.block
        exported(hidden, y)

    def inside(y):
        p = pyro.sample("p", dist.Beta(1.0, 1.0))
        with poutine.block():
            k = pyro.sample("k", dist.Bernoulli(0.99))  # nearly always the same
        pyro.sample("y", dist.Normal(k + p, 1.0), obs=y)

    with pytest.raises(ValueError, match=r"got one that uses up random numbers"):
        exported({"p": torch.tensor([0.4, 0.6])}, inside, y)
    tree = exported({"p": torch.tensor([0.2, 0.6]), "k": torch.tensor([0.0, 1.0])}, labels, y)
    p = np.array([0.2, 0.6])
    expected = stats.bernoulli.logpmf([0, 1], p) + stats.norm.logpdf(0.7, [0, 1]) + np.log(p * (1 - p))
    assert np.allclose(tree["sample_stats"]["lp"].values[0], expected, atol=1e-6)


def test_names_of_dimensions_labels_and_constants():
    names = {"coords": {"rows": list("abcdefghij")}, "dims": {"mu": []}}
    tree = exported({"mu": torch.zeros(4)}, models.known_variance, models.Y, **names)
    assert float(tree["log_likelihood"]["y"].sel(rows="c")[0, 0]) == pytest.approx(stats.norm.logpdf(1.1, 0, 0.8))
    with pytest.raises(ValueError, match=r"expected 0 names in dims\['mu'\]"):
        exported({"mu": torch.zeros(4)}, models.known_variance, models.Y, dims={"mu": ["k"]})

    def regression(x, y):
        b = pyro.sample("b", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        with pyro.plate("x", len(x)):  # called like the argument
            pyro.sample("y", dist.Normal(x @ b, 1.0), obs=y)

    tree = exported({"b": torch.zeros(4, 2)}, regression, torch.ones(5, 2), torch.zeros(5))
    assert tree["constant_data"]["x_argument"].dims == ("x", "x_argument_dim_1")
