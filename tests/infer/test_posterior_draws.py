"""Forward KL from the user's posterior draws: closed forms, other people's likelihoods, refusals."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from scipy import optimize, stats

import pyro_symvi as symvi
from pyro_symvi.density import LogDensity
from pyro_symvi.divergences import Alpha, ForwardKL, ReverseKL
from pyro_symvi.families import LearnedDf, LocationScale
from pyro_symvi.guides import AutoLocationScale
from pyro_symvi.infer import Fit, FitStatus

DOUBLE = torch.float64


def model() -> None:
    beta = pyro.sample("beta", dist.Normal(torch.zeros(2), 1.0).to_event(1))
    sigma = pyro.sample("sigma", dist.HalfNormal(1.0))
    pyro.sample("share", dist.Uniform(torch.tensor([0.0, -1.0]), torch.tensor([2.0, 1.0])).to_event(1))
    pyro.factor("tie", -0.1 * beta.sum(-1) * sigma)


def draws(chains: int = 4, length: int = 500, seed: int = 0) -> dict[str, torch.Tensor]:
    """Independent draws: any law will do, as the likelihood knows only them."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(chains, length, *shape, generator=generator, dtype=DOUBLE)

    share = torch.tensor([0.0, -1.0]) + 2 * torch.sigmoid(normal(2))
    return {"beta": normal(2).cumsum(-1), "sigma": (0.3 * normal() + 1).exp(), "share": share}


def flat(given: dict[str, torch.Tensor]) -> torch.Tensor:
    """The unconstrained values by hand: log, and logit of the place in the interval."""
    place = (given["share"] - torch.tensor([0.0, -1.0])) / 2
    return torch.cat([given["beta"], given["sigma"].log()[..., None], torch.logit(place)], -1)


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("as_tensor", [True, False])
def test_a_normal_guide_gets_the_moments_of_the_draws(grouped: bool, as_tensor: bool) -> None:
    given = draws()
    z = flat(given).reshape(-1, 5)
    handed: Any = given if grouped else {name: v.reshape(-1, *v.shape[2:]) for name, v in given.items()}
    if as_tensor:
        handed = flat(given) if grouped else z
    guide = AutoLocationScale(model)
    fit = symvi.fit(model, guide, divergence=ForwardKL(), draws=handed)
    assert fit.status is FitStatus.CONVERGED
    torch.testing.assert_close(fit.loc, z.mean(0), rtol=1e-9, atol=1e-9)
    scale = fit.parameters["scale"]
    torch.testing.assert_close(scale @ scale.mT, torch.cov(z.mT, correction=0), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(guide.median()["beta"].double(), fit.loc[:2], rtol=1e-5, atol=1e-5)
    assert fit.num_particles == 0 and math.isnan(fit.pareto_k)


def test_another_likelihood_against_scipy() -> None:
    """Univariate t with learned df: scipy.stats.t.fit maximises the same likelihood."""
    z = torch.from_numpy(stats.t.rvs(4.0, 1.5, 2.0, size=1500, random_state=1))
    family = LocationScale(1, "student_t", df=LearnedDf())
    density = LogDensity.from_callable(lambda z: -z.square().sum(-1), 1)
    fit = symvi.fit(density, family, divergence=ForwardKL(), draws=z[:, None])

    def loss(x: np.ndarray) -> float:
        return float(-stats.t.logpdf(z.numpy(), x[0], x[1], math.exp(x[2])).mean())

    best = optimize.minimize(loss, [1.0, 1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-14})
    found = [float(fit.parameters["df"]), float(fit.loc[0]), float(fit.parameters["scale"][0, 0])]
    np.testing.assert_allclose(found, [best.x[0], best.x[1], math.exp(best.x[2])], rtol=1e-5)


def autoregressive(chains: int, length: int, rho: float, seed: int) -> torch.Tensor:
    """Stationary chains of unit variance, ``[chains, length, 1]``."""
    noise = torch.randn(chains, length, 1, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)
    z = noise.clone()
    for i in range(1, length):
        z[:, i] = rho * z[:, i - 1] + math.sqrt(1 - rho**2) * noise[:, i]
    return z


def fit_chain(z: torch.Tensor) -> Fit:
    density = LogDensity.from_callable(lambda z: -0.5 * z.square().sum(-1), z.shape[-1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return symvi.fit(density, LocationScale(z.shape[-1]), divergence=ForwardKL(), draws=z)


@pytest.mark.parametrize("rho", [0.0, 0.7])
def test_standard_errors_count_the_effective_draws(rho: float) -> None:
    """sd of the mean of n AR(1) values: sqrt((1 + rho) / (1 - rho) / n). Over 60 repetitions the spread is known to
    1/sqrt(120) = 9 %, and the mean of the stated errors to a few percent more: 25 %."""
    fits = [fit_chain(autoregressive(4, 250, rho, seed)) for seed in range(60)]
    spread = float(torch.stack([f.loc for f in fits]).std())
    stated = float(torch.stack([f.standard_error["loc"] for f in fits]).mean())
    exact = math.sqrt((1 + rho) / (1 - rho) / 1000)
    assert abs(spread / exact - 1) < 0.25 and abs(stated / spread - 1) < 0.25


def test_standard_error_of_independent_draws_in_closed_form() -> None:
    """loc: sd / sqrt(n); the scale of a normal law: sd / sqrt(2 n). ESS is known to 10 %."""
    z = torch.randn(1, 4000, 1, generator=torch.Generator().manual_seed(3), dtype=DOUBLE)
    fit = fit_chain(z)
    assert float(fit.standard_error["loc"]) == pytest.approx(1 / math.sqrt(4000), rel=0.1)
    assert float(fit.standard_error["scale"]) == pytest.approx(1 / math.sqrt(8000), rel=0.1)


def test_chains_that_have_not_mixed_are_warned_of() -> None:
    z = torch.randn(2, 200, 1, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    z[1] += 1.0
    density = LogDensity.from_callable(lambda z: -0.5 * z.square().sum(-1), 1)
    with pytest.warns(UserWarning, match=r"have not mixed: split R-hat 1\.\d+ of z\[0\]") as caught:
        symvi.fit(density, LocationScale(1), divergence=ForwardKL(), draws=z)
    assert caught[0].filename == __file__


def test_few_effective_draws_are_a_status() -> None:
    fit = fit_chain(autoregressive(2, 300, 0.98, 0))
    assert fit.status is FitStatus.FEW_EFFECTIVE_PARTICLES
    assert fit.effective_particles < 50


def spoilt(name: str, value: Any) -> dict[str, torch.Tensor]:
    given = draws()
    given[name] = value(given[name])
    return given


def first(x: torch.Tensor, value: float) -> torch.Tensor:
    x = x.clone()
    x.view(-1)[7] = value
    return x


REFUSALS = {
    "missing": (lambda: {"beta": draws()["beta"]}, r"none of \['sigma', 'share'\]"),
    "shape": (lambda: spoilt("beta", lambda x: x[..., :1]), r"'beta' of shape \[n, 2\]"),
    "lengths": (lambda: spoilt("sigma", lambda x: x[:, :-1]), "expected as many draws of each site"),
    "nan": (
        lambda: spoilt("sigma", lambda x: first(x, math.nan)),
        r"'sigma' inside its support .*got nan in 1 of 2000",
    ),
    "outside": (lambda: spoilt("sigma", lambda x: first(x, -1.0)), r"outside it or on its boundary in 1 .*number 7\)"),
    "boundary": (lambda: spoilt("sigma", lambda x: first(x, 0.0)), "on its boundary"),
    "interval": (lambda: spoilt("share", lambda x: first(x, 5.0)), "'share' inside its support"),
    "flat": (lambda: torch.zeros(10, 3), r"shape \[n, 5\]"),
    "infinite": (lambda: first(torch.zeros(10, 5), math.inf), "expected finite draws, got 1 of 10"),
    "few": (lambda: flat(draws())[0, :5], "at least 6 different draws for a full scale of 5 coordinates, got 5"),
    "repeated": (lambda: flat(draws())[0, :5].repeat(4, 1), "at least 6 different draws"),
    "still": (lambda: flat(draws()) * torch.tensor([1.0, 1, 0, 1, 1]), "got a constant log sigma"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(case: str) -> None:
    make, message = REFUSALS[case]
    with pytest.raises(ValueError, match=message):
        symvi.fit(model, AutoLocationScale(model), divergence=ForwardKL(), draws=make())


@pytest.mark.parametrize("divergence", [ReverseKL(), Alpha(0.5)], ids=str)
def test_draws_mean_nothing_to_other_divergences(divergence: Any) -> None:
    with pytest.raises(ValueError, match="expected draws=None for .*because only the forward KL.*try divergence"):
        symvi.fit(model, AutoLocationScale(model), divergence=divergence, draws=draws())


def test_draws_of_another_kind() -> None:
    with pytest.raises(TypeError, match="expected draws as a dict"):
        symvi.fit(model, AutoLocationScale(model), divergence=ForwardKL(), draws=[1, 2])


def test_supports_that_depend_on_other_sites() -> None:
    def nested() -> None:
        top = pyro.sample("top", dist.Exponential(1.0))
        pyro.sample("x", dist.Uniform(0.0, top))

    generator = torch.Generator().manual_seed(0)
    top, place = 0.5 + torch.rand(2, 600, generator=generator, dtype=DOUBLE)
    place = place / 2
    given = {"top": top, "x": top * place}
    fit = symvi.fit(nested, AutoLocationScale(nested, scale="diagonal"), divergence=ForwardKL(), draws=given)
    torch.testing.assert_close(fit.loc, torch.stack([top.log().mean(), torch.logit(place).mean()]))
