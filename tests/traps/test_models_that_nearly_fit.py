"""Models that look as if a theorem applied (section 5.3 a to e, and others): the truth, and nothing exact."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from scipy import integrate

from pyro_symvi.density import LogDensity
from pyro_symvi.recovery import Verdict, certify
from tests.recovery.targets import Function, vector

ZERO = vector(0.0)[0]


def exact(model_or_function: object, *args: object, statistics: str = "mean", dim: int = 0) -> dict[str, float]:
    """Exact entries of the target's own certificate, by label."""
    if dim:
        density = LogDensity.from_callable(model_or_function, dim)
    else:
        density = LogDensity.from_model(model_or_function, *args)
    report = certify(density, statistics=statistics)[statistics]
    return {e.label: e.exact for e in report.entries if e.verdict.is_exact and "by definition" not in e.reason}


def plate(data: torch.Tensor, sds: torch.Tensor) -> None:
    mu = pyro.sample("mu", dist.Normal(ZERO, 1.0))
    with pyro.plate("groups", 3):
        theta = pyro.sample("theta", dist.Normal(mu, sds))
        pyro.sample("y", dist.StudentT(4.0 + ZERO, theta, 1.0), obs=data)


@pytest.mark.parametrize("which", ["data", "scales"])
def test_5_3a_an_exchangeable_plate_with_one_datum_off_by_an_ulp(which: str) -> None:
    equal, off = vector(0.5, 0.5, 0.5), vector(0.5, 0.5, math.nextafter(0.5, 1.0))
    assert len(exact(plate, equal, equal, statistics="contrast")) == 2
    left = exact(plate, *((off, equal) if which == "data" else (equal, off)), statistics="contrast")
    assert set(left) == {"contrast of theta[1] - theta[0]"}


def test_5_3b_a_prior_about_zero_makes_no_posterior_even() -> None:
    def model() -> None:
        z = pyro.sample("z", dist.Normal(ZERO, 1.0))
        pyro.sample("y", dist.Bernoulli(logits=z), obs=1 + ZERO)

    assert exact(model) == {}


def test_5_3d_the_mean_of_a_positive_variable_is_not_that_of_its_logarithm() -> None:
    """log z is normal about zero: its mean and the median of z are exact, the mean 1.65 of z is not claimed."""

    def model() -> None:
        pyro.sample("z", dist.LogNormal(ZERO, 1.0))

    assert exact(model) == {"mean of log z": 0.0}
    assert exact(model, statistics="median") == {"median of z": pytest.approx(1.0)}


def test_5_3e_a_mode_is_no_centre() -> None:
    """Modes of unequal width and equal height at +-3: the climb ends at a stationary point that is not the mean."""

    def log_p(z: torch.Tensor) -> torch.Tensor:
        return torch.logaddexp(-0.5 * (z[..., 0] - 3).square(), -0.125 * (z[..., 0] + 3).square())

    assert exact(log_p, dim=1) == {}


def test_a_likelihood_masked_by_the_unknown() -> None:
    def model() -> None:
        z = pyro.sample("z", dist.Normal(ZERO, 1.0))
        with poutine.mask(mask=z > 0):
            pyro.sample("y", dist.Normal(z, 1.0), obs=ZERO)

    assert exact(model) == {}


@pytest.mark.filterwarnings("ignore:the density is evaluated point by point")
def test_a_branch_on_the_unknown() -> None:
    def model() -> None:
        z = pyro.sample("z", dist.Normal(ZERO, 1.0))
        if z > 5:
            pyro.factor("far", -0.01 * z)

    density = LogDensity.from_model(model)
    assert not certify(density, numerics=False)["mean"].verdict.is_exact


def test_a_model_that_counts_its_calls() -> None:
    calls = []

    def model() -> None:
        z = pyro.sample("z", dist.Normal(ZERO, 1.0))
        calls.append(None)
        pyro.factor("now and then", z if len(calls) % 2 else -z)

    with pytest.raises(ValueError, match="same log density"):
        exact(model)


def test_a_clamp_with_unequal_ends() -> None:
    """clamp(sigmoid(z), 1e-6, 1 - 1e-7) by hand: even without it, not with it."""

    def model() -> None:
        p = torch.clamp(torch.sigmoid(pyro.sample("z", dist.Normal(ZERO, 3.0))), 1e-6, 1 - 1e-7)
        pyro.factor("likelihood", p.log() + (1 - p).log())

    assert exact(model) == {}


def test_a_scale_with_heavy_tails_leaves_no_mean() -> None:
    """z | s ~ N(0, s), s half-Cauchy: E|z| is infinite; the median 0 is exact."""

    def model() -> None:
        s = pyro.sample("s", dist.HalfCauchy(1 + ZERO))
        pyro.sample("z", dist.Normal(ZERO, s))

    assert exact(model) == {}
    assert exact(model, statistics="median") == {"median of z": 0.0}


@pytest.mark.parametrize("count", [1, 2])
def test_an_improper_scale_and_a_normal_block(count: int) -> None:
    """One datum: the posterior is improper; two: it is proper, but log s has a heavy left tail near equal data."""
    data = vector(0.3, -1.2)[:count]

    def model() -> None:
        s = pyro.sample("s", dist.ImproperUniform(dist.constraints.positive, (), ()))
        z = pyro.sample("z", dist.Normal(ZERO, 10.0))
        with pyro.plate("data", count):
            pyro.sample("y", dist.Normal(z, s), obs=data)

    assert exact(model) == {}


def tail(df: float) -> Function:
    """Elliptical, correlation -1/2."""
    return lambda z: -(df + 2) / 2 * torch.log1p((z[..., 0] ** 2 + z[..., 1] ** 2 + z[..., 0] * z[..., 1]) / df)


@pytest.mark.parametrize(("df", "mean", "correlation"), [(1.0, 0, 0), (1.01, 2, 0), (2.0, 2, 0), (2.01, 2, 2)])
def test_tails_of_index_near_one_and_two(df: float, mean: int, correlation: int) -> None:
    """E|z| is finite for df > 1, covariances for df > 2: one hundredth decides."""
    assert len(exact(tail(df), dim=2)) == mean
    assert len(exact(tail(df), dim=2, statistics="correlation")) == correlation


def test_a_logarithm_decides_whether_there_is_a_mean() -> None:
    """p = 1 / ((1 + z^2)(1 + log(1 + z^2))): z p(z) falls like 1 / (z log z), whose integral is log log z."""

    def log_p(z: torch.Tensor) -> torch.Tensor:
        growing = torch.log1p(z[..., 0] ** 2)
        return -growing - torch.log1p(growing)

    pieces = [
        integrate.quad(lambda t: math.exp(2 * t) / ((1 + math.exp(2 * t)) * (1 + math.log1p(math.exp(2 * t)))), *ends)[
            0
        ]
        for ends in ((16, 64), (64, 256))
    ]
    assert pieces == pytest.approx([math.log(2)] * 2, rel=0.03)  # the same for every fourfold: it diverges
    assert exact(log_p, dim=1) == {}


@pytest.mark.parametrize("size", [1e-3, 1e-6, 1e-9])
def test_a_conditional_centre_that_moves_a_little(size: float) -> None:
    """x | y ~ N(size y^2, 1): normal given y, about a centre that is not affine; E x = size, not 0."""

    def log_p(z: torch.Tensor) -> torch.Tensor:
        return -0.5 * (z[..., 0] - size * z[..., 1] ** 2) ** 2 - 0.5 * z[..., 1] ** 2

    density = LogDensity.from_callable(log_p, 2)
    for numerics in (False, True):
        entry = certify(density, numerics=numerics)["mean"].entries[0]
        assert entry.verdict is not Verdict.PROVED
        assert not entry.verdict.is_exact or abs(entry.exact - size) < 2e-6
