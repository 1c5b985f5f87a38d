"""The built-in examples: data against published figures, log densities against scipy, registry errors."""

import json

import numpy as np
import pyro
import pytest
import torch
from pyro import poutine
from pyro.poutine.util import site_is_subsample
from scipy import stats

from pyro_symvi import examples
from pyro_symvi.examples._data import read_columns
from pyro_symvi.examples.planets import poles

F64 = torch.float64

POINTS = {
    "challenger": {"intercept": -1.3, "slope": -1.7},
    "darwin": {"mu": 18.0, "sigma": 33.0},
    "eight-schools": {"mu": 4.0, "tau": 3.0, "eta": [0.5, -0.25, 1.0, 0.0, -1.5, 2.0, 0.75, -0.5]},
    "nile": {"level": np.linspace(1150.0, 950.0, 30).tolist()},
    "planets": {"mu": [2 / 7, -3 / 7, 6 / 7], "kappa": 7.5},
    "stackloss": {"beta": [-38.0, 0.7, 1.25, -0.1], "sigma": 3.5},
    "stackloss-robust": {"beta": [-38.0, 0.7, 1.25, -0.1], "sigma": 3.5},
}


def values(name):
    return {site: torch.tensor(value, dtype=F64) for site, value in POINTS[name].items()}


def joint_log_density(name, point=None):
    example = examples.get(name)
    model = poutine.condition(example.model, data=values(name) if point is None else point)
    trace = poutine.trace(model).get_trace(*example.args, **example.kwargs)
    return trace.log_prob_sum()


def expected_log_density(name):
    """The same joint log density, written with scipy from the model's formula."""
    args = [a.numpy() for a in examples.get(name).args]
    v = {site: np.asarray(value) for site, value in POINTS[name].items()}
    if name == "challenger":
        probability = 1 / (1 + np.exp(-(v["intercept"] + v["slope"] * args[0])))
        likelihood = stats.bernoulli.logpmf(args[1].astype(int), probability).sum()
        return likelihood + stats.norm.logpdf([v["intercept"], v["slope"]], 0, 2.5).sum()
    if name == "darwin":
        return stats.norm.logpdf(args[0], v["mu"], v["sigma"]).sum()
    if name == "eight-schools":
        prior = stats.norm.logpdf(v["mu"], 0, 5) + stats.halfcauchy.logpdf(v["tau"], 0, 5)
        prior += stats.norm.logpdf(v["eta"]).sum()
        return prior + stats.norm.logpdf(args[0], v["mu"] + v["tau"] * v["eta"], args[1]).sum()
    if name == "nile":
        walk = stats.norm.logpdf(np.diff(v["level"]), 0, np.sqrt(1469.1)).sum()
        return walk + stats.norm.logpdf(args[0], v["level"], np.sqrt(15099)).sum()
    if name == "planets":
        prior = stats.lognorm.logpdf(v["kappa"], 3, scale=10) - np.log(4 * np.pi)
        return prior + stats.vonmises_fisher(v["mu"], float(v["kappa"])).logpdf(args[0]).sum()
    mean = args[0] @ v["beta"]
    if name == "stackloss":
        return stats.norm.logpdf(args[1], mean, v["sigma"]).sum()
    return stats.t.logpdf(args[1], 4, mean, v["sigma"]).sum() + stats.halfcauchy.logpdf(v["sigma"], 0, 10)


def least_squares(design, response):
    return np.linalg.lstsq(design.numpy(), response.numpy(), rcond=None)[0]


@pytest.mark.parametrize("name", examples.names())
def test_log_density_is_that_of_the_formula(name):
    assert joint_log_density(name).item() == pytest.approx(expected_log_density(name), rel=1e-12)


@pytest.mark.parametrize("name", examples.names())
def test_the_points_name_every_latent_site(name):
    example = examples.get(name)
    model = poutine.condition(example.model, data=values(name))
    trace = poutine.trace(model).get_trace(*example.args, **example.kwargs)
    free = [
        site
        for site, node in trace.nodes.items()
        if node["type"] == "sample" and not node["is_observed"] and not site_is_subsample(node)
    ]
    assert free == [] and set(POINTS[name]) <= set(trace.nodes)


@pytest.mark.parametrize("name", examples.names())
def test_models_broadcast_over_particles(name):
    """Inside a plate of particles to the left of their own, the models return one log density a particle."""
    example, particles = examples.get(name), 3
    inner = 0 if name == "nile" else 1
    stacked = {}
    for site, value in values(name).items():
        event = value.shape
        padding = () if site == "eta" or name == "nile" else (1,) * inner
        stacked[site] = value.expand(particles, *padding, *event).clone()

    def batched(*args):
        with pyro.plate("particles", particles, dim=-1 - inner):
            return example.model(*args)

    trace = poutine.trace(poutine.condition(batched, data=stacked)).get_trace(*example.args)
    assert trace.log_prob_sum().item() == pytest.approx(particles * expected_log_density(name), rel=1e-12)


@pytest.mark.parametrize("name", examples.names())
def test_an_example_says_what_it_is(name):
    example = examples.get(name)
    assert example.name == name
    for text in (example.title, example.description, example.source, example.expected):
        assert text.strip() == text and len(text) > 20
    assert all(a.dtype == F64 and torch.isfinite(a).all() for a in example.args)


def test_stackloss_least_squares_is_the_published_one():
    """Coefficients, standard error of regression and R^2 as printed in Draper and Smith and in R's ``stackloss``."""
    design, loss = examples.get("stackloss").args
    assert design.shape == (21, 4)
    beta = least_squares(design, loss)
    assert beta == pytest.approx([-39.9197, 0.7156, 1.2953, -0.1521], abs=5e-5)
    residual = loss.numpy() - design.numpy() @ beta
    assert np.sqrt(residual @ residual / 17) == pytest.approx(3.243, abs=5e-4)
    assert 1 - residual @ residual / (20 * loss.numpy().var(ddof=1)) == pytest.approx(0.9136, abs=5e-5)
    assert loss.sum().item() == 368


def test_darwin_mean_and_t_are_fishers():
    (difference,) = examples.get("darwin").args
    assert difference.tolist() == [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    assert difference.mean().item() == pytest.approx(20.9333, abs=5e-5)
    assert stats.ttest_1samp(difference.numpy(), 0).statistic == pytest.approx(2.148, abs=5e-4)


def test_eight_schools_pooled_estimate_is_the_published_one():
    effect, standard_error = examples.get("eight-schools").args
    weight = standard_error**-2
    assert ((weight * effect).sum() / weight.sum()).item() == pytest.approx(7.7, abs=0.05)
    assert weight.sum().rsqrt().item() == pytest.approx(4.1, abs=0.05)


def test_eight_schools_are_those_of_the_posterior_database(shared_data):
    data = json.loads(
        (shared_data / "posteriordb" / "eight_schools-eight_schools_noncentered" / "data.json").read_text()
    )
    assert [column.tolist() for column in examples.get("eight-schools").args] == [data["y"], data["sigma"]]


def test_challenger_maximum_likelihood_is_the_published_one():
    """Intercept 15.0429 and slope -0.2322 on the raw temperature, by Newton's method."""
    temperature, distress = examples.get("challenger").args
    raw, _ = read_columns("challenger.csv", "temperature", "distress")
    assert (raw.min().item(), raw.max().item(), distress.sum().item(), len(raw)) == (53, 81, 7, 23)
    assert temperature.numpy() == pytest.approx(stats.zscore(raw.numpy(), ddof=1), abs=1e-14)
    design, beta = np.column_stack([np.ones(23), temperature.numpy()]), np.zeros(2)
    for _ in range(30):
        mean = 1 / (1 + np.exp(-design @ beta))
        beta += np.linalg.solve((design.T * mean * (1 - mean)) @ design, design.T @ (distress.numpy() - mean))
    slope = beta[1] / raw.std().item()
    assert slope == pytest.approx(-0.2322, abs=5e-5)
    assert beta[0] - slope * raw.mean().item() == pytest.approx(15.0429, abs=5e-5)


def test_nile_has_the_published_mean_before_the_changepoint():
    """1871 to 1898, before Cobb's changepoint: mean 1097.75."""
    (flow,) = examples.get("nile").args
    assert flow.shape == (30,)
    assert flow[:28].mean().item() == pytest.approx(1097.75, abs=5e-3)
    assert (flow.sum().item(), flow[0].item(), flow[-1].item()) == (32351, 1120, 840)


def test_nile_gradient_vanishes_at_the_kalman_smoother():
    """The stationary point of the model's log density is the exact-diffuse Kalman smoother's mean."""
    (flow,) = examples.get("nile").args
    y, noise, drift = flow.numpy(), 15099.0, 1469.1
    mean, variance = [y[0]], [noise]
    for value in y[1:]:
        predicted = variance[-1] + drift
        gain = predicted / (predicted + noise)
        mean.append(mean[-1] + gain * (value - mean[-1]))
        variance.append(predicted * (1 - gain))
    smooth = [mean[-1]]
    for filtered, v in zip(mean[-2::-1], variance[-2::-1], strict=True):
        smooth.insert(0, filtered + v / (v + drift) * (smooth[0] - filtered))
    level = torch.tensor(smooth, dtype=F64, requires_grad=True)
    joint_log_density("nile", {"level": level}).backward()
    assert level.grad.abs().max().item() < 1e-12


def angle(a, b):
    """Degrees between unit vectors, row by row."""
    return np.degrees(2 * np.arcsin(np.linalg.norm(np.asarray(a) - np.asarray(b), axis=-1) / 2))


def test_planets_orbits_are_those_of_another_theory():
    """Poles within 0.01 degrees of those from the elements of Standish (JPL, valid 1800 to 2050) at J2000."""
    inclination = [7.00497902, 3.39467605, 0.0, 1.84969142, 1.30439695, 2.48599187, 0.77263783, 1.77004347]
    node = [48.33076593, 76.67984255, 0.0, 49.55953891, 100.47390909, 113.66242448, 74.01692503, 131.78422574]
    (found,) = examples.get("planets").args
    assert found.shape == (8, 3) and found.norm(dim=-1).numpy() == pytest.approx(1.0, abs=1e-15)
    other = poles(torch.tensor(inclination, dtype=F64), torch.tensor(node, dtype=F64))
    assert angle(found, other).max() < 0.01
    assert angle(found, [0.0, 0.0, 1.0]) == pytest.approx(inclination, abs=0.004)  # the angle to the ecliptic's pole


def test_planets_weighted_by_angular_momentum_give_the_invariable_plane():
    """Souami and Souchay, Astronomy and Astrophysics 543 (2012) A133: inclination 1.5787, node 107.582 degrees.

    Weights m sqrt(a (1 - e^2)); 98 % of them are Jupiter's and Saturn's. Within 0.003 degrees.
    """
    (found,) = examples.get("planets").args
    inverse_mass = [6023600, 408523.7, 328900.6, 3098708, 1047.3486, 3497.898, 22902.98, 19412.24]  # of the sun's mass
    axis = [0.38710, 0.72333, 1.00000, 1.52368, 5.20260, 9.55491, 19.21845, 30.11039]  # astronomical units
    eccentricity = [0.2056, 0.0068, 0.0167, 0.0934, 0.0485, 0.0555, 0.0463, 0.0090]
    weight = np.sqrt(np.array(axis) * (1 - np.square(eccentricity))) / inverse_mass
    total = weight @ found.numpy()
    plane = poles(torch.tensor(1.5787, dtype=F64), torch.tensor(107.582, dtype=F64))
    assert angle(total / np.linalg.norm(total), plane) < 0.003


def test_planets_with_a_known_concentration_have_the_posterior_they_say():
    """The log joint density differs from that of VonMisesFisher.from_natural(kappa sum x) by a constant."""
    example = examples.get("planets")
    assert example.sphere_sites == ("mu",) and examples.get("darwin").sphere_sites == ()
    (pole,) = example.args
    eta = 300.0 * pole.sum(0)
    law = stats.vonmises_fisher((eta / eta.norm()).numpy(), float(eta.norm()))
    gaps = []
    for mu in (pole[0], pole[3], torch.tensor([0.6, 0.0, -0.8], dtype=F64)):
        model = poutine.condition(example.model, data={"mu": mu})
        trace = poutine.trace(model).get_trace(pole, concentration=300.0)
        assert "kappa" not in trace.nodes
        gaps.append(float(trace.log_prob_sum()) - float(law.logpdf(mu.numpy())))
    assert gaps == pytest.approx([gaps[0]] * 3, abs=1e-9)


def test_examples_do_not_share_tensors():
    examples.get("darwin").args[0].zero_()
    assert examples.get("darwin").args[0].abs().min() > 0


def test_the_registry_is_a_read_only_mapping():
    assert tuple(examples.EXAMPLES) == examples.names() and len(examples.EXAMPLES) == 7
    assert "nile" in examples.EXAMPLES and "tigris" not in examples.EXAMPLES
    assert examples.EXAMPLES["nile"].name == "nile"
    assert "stackloss-robust" in repr(examples.EXAMPLES)
    with pytest.raises(KeyError):
        examples.EXAMPLES["tigris"]
    with pytest.raises(TypeError):
        examples.EXAMPLES["nile"] = None


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ("stacklos", "try 'stackloss'$"),
        ("Eight_Schools", "try 'eight-schools'$"),
        ("qqqqqqqq", "try one of these names$"),
    ],
)
def test_an_unknown_name_lists_the_names_and_the_nearest(wrong, advice):
    with pytest.raises(ValueError, match=rf"expected one of challenger, darwin, .*got '{wrong}', because .*{advice}"):
        examples.get(wrong)


def test_a_name_that_is_no_string_is_a_type_error():
    with pytest.raises(TypeError, match="expected the name of a built-in example as a string, got int"):
        examples.get(3)


def test_an_unknown_column_is_named():
    with pytest.raises(ValueError, match="expected a column of nile.csv, got 'depth', .* try one of year, flow"):
        read_columns("nile.csv", "depth")
