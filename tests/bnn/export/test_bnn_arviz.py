"""What ArviZ reads: every number in its place, its own functions run on it, leave-one-out against refitting."""

import functools
import importlib
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from arviz_stats.base import array_stats
from torch import Tensor, nn

from pyro_symvi.bnn import Categorical, Draws, GaussianNoise, LearnedGaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn.convergence import rhat
from pyro_symvi.bnn.export import to_arviz as exported

F64 = torch.float64
to_arviz = functools.partial(exported, kind="datatree")


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def setting(likelihood: Any, y: Tensor, outputs: int, **stats: Tensor) -> tuple[NetworkPosterior, Draws]:
    network = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 3, bias=False), nn.ReLU(), nn.Linear(3, outputs))
    posterior = NetworkPosterior(network, likelihood, NormalPrior(0.5), normal(len(y), 2, seed=5), y)
    theta = posterior.sample_prior(3 * 30, generator=torch.Generator().manual_seed(1)).reshape(3, 30, -1)
    return posterior, Draws(theta, posterior.layout, "prior", stats, {"settings": {"seed": 7}, "seconds": 1.5})


def test_every_number_is_in_its_named_place() -> None:
    y, error = normal(6, 1, seed=2), normal(3, 30, seed=3)
    error[1, 2] = 2000.0
    stats = {"energy_error": error, "acceptance": torch.full((3, 30), 0.75), "log_density": normal(3, 30)}
    posterior, draws = setting(LearnedGaussianNoise(), y, 1, **stats)
    tree = to_arviz(posterior, draws)
    parts = posterior.layout.unflatten(draws.theta)
    found = tree["posterior"]
    assert found["0.weight"].dims == ("chain", "draw", "hidden_1", "input")
    assert found["2.weight"].dims == ("chain", "draw", "hidden_2", "hidden_1")
    assert found["4.weight"].dims == ("chain", "draw", "output", "hidden_2")
    assert found["0.bias"].dims == ("chain", "draw", "hidden_1") and found["noise.scale"].dims == ("chain", "draw")
    for name, values in parts.items():
        assert np.array_equal(found[name].values, values.numpy())
    assert np.allclose(found["noise.scale"].values, parts["noise.log_scale"].exp().numpy())
    # shared dimensions: xarray itself runs the network
    h = np.tanh((found["0.weight"] * tree["constant_data"]["x"]).sum("input") + found["0.bias"])
    h = np.maximum((found["2.weight"] * h).sum("hidden_1"), 0)
    f = ((found["4.weight"] * h).sum("hidden_2") + found["4.bias"]).sel(output=0).transpose("chain", "draw", "row")
    assert np.allclose(f.values, posterior.outputs(draws.theta)[..., 0].numpy(), atol=1e-12)
    density = posterior.pointwise_log_likelihood(draws.theta).numpy()
    assert np.allclose(tree["log_likelihood"]["y"].values, density) and tree["log_likelihood"]["y"].dims[-1] == "row"
    assert tree["observed_data"]["y"].dims == ("row",) and np.array_equal(tree["observed_data"]["y"], y[:, 0])
    stats_found = tree["sample_stats"]
    assert np.array_equal(stats_found["lp"], stats["log_density"])
    assert float(stats_found["acceptance_rate"].mean()) == 0.75
    assert int(stats_found["diverging"].sum()) == 1 and bool(stats_found["diverging"][1, 2])
    assert tree.attrs["seed"] == 7 and tree.attrs["source"] == "prior" and tree.attrs["seconds"] == 1.5
    assert json.loads(tree.attrs["layout"])["0.weight"] == [4, 2]


def test_drawn_targets_have_the_predictive_law() -> None:
    y = normal(2, 1)
    posterior, draws = setting(GaussianNoise(0.3), y, 1)
    many = Draws(draws.theta[:1, :1].expand(2, 2000, -1), posterior.layout, "one theta")
    values = to_arviz(posterior, many)["posterior_predictive"]["y"].values.reshape(-1, 2)
    mean = posterior.outputs(many.theta[0, 0])[:, 0].numpy()
    assert np.abs(values.mean(0) - mean).max() < 4 * 0.3 / math.sqrt(4000)
    assert np.abs(values.std(0) / 0.3 - 1).max() < 4 / math.sqrt(8000)
    assert abs(np.corrcoef(values.T)[0, 1]) < 4 / math.sqrt(4000)
    again, other = to_arviz(posterior, many), to_arviz(posterior, many, seed=1)
    assert np.array_equal(again["posterior_predictive"]["y"].values.reshape(-1, 2), values)
    assert not np.array_equal(other["posterior_predictive"]["y"].values.reshape(-1, 2), values)


def test_classes_images_and_several_targets() -> None:
    y = torch.randint(3, (5,), generator=torch.Generator().manual_seed(0))
    posterior, draws = setting(Categorical(3), y, 3)
    theta = draws.theta[:1, :1].expand(1, 6000, -1)
    tree = to_arviz(posterior, Draws(theta, posterior.layout, "one theta"))
    drawn, p = tree["posterior_predictive"]["y"], torch.softmax(posterior.outputs(theta[0, 0]), -1).numpy()
    assert drawn.dims == ("chain", "draw", "row")
    for k in range(3):
        assert np.abs((drawn.values[0] == k).mean(0) - p[:, k]).max() < 4 * 0.5 / math.sqrt(6000)
    posterior, draws = setting(GaussianNoise(), normal(5, 2), 2)
    tree = to_arviz(posterior, draws, predictions=False)
    assert tree["observed_data"]["y"].dims == ("row", "target") and "posterior_predictive" not in tree.children
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 1))
    posterior = NetworkPosterior(network, GaussianNoise(), NormalPrior(), normal(3, 1, 4, 4), normal(3, 1))
    theta = posterior.sample_prior(8).reshape(2, 4, -1)
    tree = to_arviz(posterior, Draws(theta, posterior.layout, "prior"), log_likelihood=False)
    assert tree["posterior"]["0.weight"].dims[2:] == ("0.weight_out", "0.weight_in", "0.weight_2", "0.weight_3")
    assert tree["constant_data"]["x"].dims == ("row", "input_1", "input_2", "input_3")
    assert "log_likelihood" not in tree.children
    prior_only = NetworkPosterior(nn.Linear(2, 1), GaussianNoise(), NormalPrior(), normal(0, 2), normal(0, 1))
    draws = Draws(prior_only.sample_prior(8).reshape(2, 4, -1), prior_only.layout, "prior")
    assert set(to_arviz(prior_only, draws).children) == {"posterior"}


def test_functions_of_arviz_run_and_leave_one_out_is_that_of_refitting() -> None:
    """Linear regression with known noise: the posterior and each leave-one-out density are normal."""
    x, noise, prior = normal(20, 2), 0.7, 1.5
    y = x @ torch.tensor([[1.0], [-0.5]], dtype=F64) + noise * normal(20, 1, seed=1)
    posterior = NetworkPosterior(nn.Linear(2, 1, bias=False), GaussianNoise(noise), NormalPrior(prior), x, y)

    def exact(keep: Tensor) -> tuple[Tensor, Tensor]:
        covariance = torch.linalg.inv(x[keep].T @ x[keep] / noise**2 + torch.eye(2, dtype=F64) / prior**2)
        return covariance @ x[keep].T @ y[keep][:, 0] / noise**2, covariance

    mean, covariance = exact(torch.ones(20, dtype=torch.bool))
    theta = mean + normal(4, 2500, 2, seed=2) @ torch.linalg.cholesky(covariance).T
    tree = to_arviz(posterior, Draws(theta, posterior.layout, "exact"))
    expected = np.empty(20)
    for i in range(20):
        m, c = exact(torch.arange(20) != i)
        law = torch.distributions.Normal(x[i] @ m, (x[i] @ c @ x[i] + noise**2).sqrt())
        expected[i] = float(law.log_prob(y[i, 0]))
    density = tree["log_likelihood"]["y"].transpose("row", "chain", "draw")
    pointwise, pareto, _ = array_stats.loo(density.values)
    fine = pareto < 0.5  # elsewhere importance sampling has too large an error
    assert fine.sum() >= 18 and np.abs(pointwise - expected)[fine].max() < 0.05  # standard errors up to .015
    weight = tree["posterior"]["weight"].values
    assert np.allclose(array_stats.rhat(weight, chain_axis=0, draw_axis=1)[0], rhat(theta).numpy(), rtol=1e-10)


@pytest.mark.filterwarnings("ignore:Estimated shape parameter")
def test_the_functions_on_data_trees_run() -> None:
    """They need the extra ``arviz-stats[xarray]``, which is not asked for by the package."""
    pytest.importorskip("xarray_einstats")
    arviz_stats = importlib.import_module("arviz_stats")
    posterior, draws = setting(GaussianNoise(), normal(8, 1), 1, energy_error=normal(3, 30))
    tree = to_arviz(posterior, draws)
    assert np.allclose(arviz_stats.rhat(tree)["0.bias"], rhat(draws.theta[..., posterior.layout.slices["0.bias"]]))
    assert arviz_stats.ess(tree)["4.weight"].shape == (1, 3)
    density = tree["log_likelihood"]["y"].transpose("row", "chain", "draw").values
    expected = float(np.sum(array_stats.loo(density, r_eff=1.0)[0]))
    assert float(arviz_stats.loo(tree, reff=1.0).elpd) == pytest.approx(expected, rel=1e-9)


def test_what_does_not_fit_is_refused() -> None:
    posterior, draws = setting(GaussianNoise(), normal(5, 1), 1)
    with pytest.raises(ValueError, match="both x and y"):
        to_arviz(posterior, draws, x=posterior.x)
    with pytest.raises(ValueError, match="as many targets"):
        to_arviz(posterior, draws, x=posterior.x[:3], y=posterior.y)
    with pytest.raises(TypeError, match="Draws"):
        to_arviz(posterior, draws.theta)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected kind as one of"):
        exported(posterior, draws, kind="netcdf")
    held_out = to_arviz(posterior, draws, x=posterior.x[:3] + 1, y=posterior.y[:3])
    assert held_out["log_likelihood"]["y"].shape == (3, 30, 3)
