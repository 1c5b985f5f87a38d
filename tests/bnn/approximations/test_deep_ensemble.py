"""Deep ensembles: batching mixes no members, stopping restores the best weights, bad members are left out."""

import math

import pytest
import torch
from torch import nn

from pyro_symvi.bnn import (
    Categorical,
    GaussianNoise,
    HeteroscedasticGaussian,
    LaplacePrior,
    LearnedGaussianNoise,
    NetworkPosterior,
    NormalPrior,
)
from pyro_symvi.bnn.approximations import DeepEnsemble
from pyro_symvi.bnn.approximations._initial import initial_weights
from pyro_symvi.bnn.approximations._minibatch import value_and_grad


def rows(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    noise = torch.randn(n, generator=generator, dtype=torch.float64)
    return x, torch.sin(2 * x[:, 0]) + 0.5 * x[:, 1] + 0.3 * noise


def tanh_posterior(n: int = 60) -> NetworkPosterior:
    network = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1))
    return NetworkPosterior(network, LearnedGaussianNoise(), NormalPrior(1.0), *rows(n))


@pytest.mark.parametrize(
    ("likelihood", "outputs"),
    [(GaussianNoise(0.3), 1), (LearnedGaussianNoise(-1.0), 1), (HeteroscedasticGaussian(), 2), (Categorical(3), 3)],
    ids=["gaussian", "learned", "heteroscedastic", "categorical"],
)
def test_gradient_of_a_minibatch(likelihood, outputs):
    x, y = rows(12)
    y = y.mul(2).long().clamp(0, 2) if likelihood.is_classification else y
    network = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, outputs))
    posterior = NetworkPosterior(network, likelihood, LaplacePrior(0.7), x, y)
    theta = posterior.sample_prior(3, generator=torch.Generator().manual_seed(1)).requires_grad_()
    some = slice(3, 8)
    by_hand = 2.4 * posterior.pointwise_log_likelihood(theta)[:, some].sum(-1) + posterior.log_prior(theta)
    (gradient,) = torch.autograd.grad(by_hand.sum(), theta)
    found = value_and_grad(posterior, theta.detach(), posterior.x[some], posterior.y[some], 2.4)
    torch.testing.assert_close(found[0], by_hand.detach())
    torch.testing.assert_close(found[1], gradient)


def test_a_member_trained_alone_ends_where_it_ends_in_the_ensemble():
    posterior, validation = tanh_posterior(), rows(40, 1)
    options = {"epochs": 30, "batch_size": 16, "patience": 4, "drop": 100.0}
    together = DeepEnsemble(4, **options).fit(posterior, validation=validation, seed=3)
    for member in (0, 2):
        start = initial_weights(posterior, 3, member)[None]
        alone = DeepEnsemble(1, start=start, **options).fit(posterior, validation=validation, seed=3)
        torch.testing.assert_close(alone.members[0], together.members[member], rtol=1e-7, atol=1e-9)
        score = -posterior.pointwise_log_likelihood(alone.members[0], *validation).mean()
        torch.testing.assert_close(together.info["validation_score"][member], score, rtol=1e-7, atol=0)
    distances = torch.cdist(together.members, together.members) + 10 * torch.eye(4)
    assert float(distances.min()) > 0.5
    with pytest.raises(AssertionError):  # starts of another member lead elsewhere
        torch.testing.assert_close(alone.members[0], together.members[1], rtol=1e-7, atol=1e-9)


def test_stopping_restores_the_best_weights_and_stops_each_member_by_itself():
    posterior, validation = tanh_posterior(20), rows(30, 1)
    seen: list[float] = []
    fitted = DeepEnsemble(1, epochs=80, batch_size=8, learning_rate=0.05, patience=5, decays=0).fit(
        posterior, validation=validation, progress=lambda epoch, score: seen.append(score)
    )
    best, last = int(fitted.info["best_epoch"]), int(fitted.info["epochs"])
    assert last == best + 5 == len(seen) < 80
    score = float(-posterior.pointwise_log_likelihood(fitted.members[0], *validation).mean())
    assert score == pytest.approx(min(seen), abs=1e-12)
    to_best = DeepEnsemble(1, epochs=best, batch_size=8, learning_rate=0.05, patience=best, decays=0).fit(
        posterior, validation=validation
    )
    torch.testing.assert_close(to_best.members, fitted.members)


def test_a_diverging_member_is_dropped_and_recorded():
    posterior, validation = tanh_posterior(), rows(40, 1)
    start = torch.stack([initial_weights(posterior, 0, member) for member in range(5)])
    start[2] = 60.0  # all units saturated alike, noise of e^60: no gradient leads out of there
    fitted = DeepEnsemble(5, epochs=30, start=start).fit(posterior, validation=validation)
    assert fitted.info["dropped"] == [2]
    assert len(fitted.members) == 4
    assert float(fitted.info["validation_score"][2]) > fitted.info["threshold"]
    start[2] = math.nan
    assert DeepEnsemble(5, epochs=5, start=start).fit(posterior, validation=validation).info["dropped"] == [2]
    start[:] = math.nan
    with pytest.raises(ValueError, match="diverged"):
        DeepEnsemble(5, epochs=5, start=start).fit(posterior, validation=validation)


def test_rest_is_the_mode_of_a_linear_model():
    x, y = rows(50)
    noise, tau = 0.3, 0.05
    posterior = NetworkPosterior(nn.Linear(2, 1, bias=False), GaussianNoise(noise), NormalPrior(tau), x, y)
    precision = x.T @ x / noise**2 + torch.eye(2, dtype=torch.float64) / tau**2
    mode = torch.linalg.solve(precision, x.T @ y / noise**2)
    prior_as_rows = noise / tau * torch.eye(2, dtype=torch.float64)  # the validation score is then the log posterior
    validation = (torch.cat([x, prior_as_rows]), torch.cat([y, y.new_zeros(2)]))
    fitted = DeepEnsemble(2, epochs=400, batch_size=50, learning_rate=0.05).fit(posterior, validation=validation)
    torch.testing.assert_close(fitted.members, mode.expand(2, 2), rtol=0, atol=2e-3)
    least_squares = torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
    assert float((least_squares - mode).abs().max()) > 0.1  # without the prior's gradient it would rest there


def test_hold_out_is_not_trained_on():
    posterior = tanh_posterior(40)
    fitted = DeepEnsemble(2, epochs=3).fit(posterior, seed=1)
    assert fitted.info["held_out"] == 4
    assert int(fitted.info["row_gradients"]) == 3 * 2 * 36
    assert DeepEnsemble(2, epochs=3).fit(tanh_posterior(10)).info["held_out"] == 0


def test_draws_are_members_equally_often():
    fitted = DeepEnsemble(3, epochs=2).fit(tanh_posterior(), seed=1)
    draws = fitted.sample(7, torch.Generator().manual_seed(0))
    assert draws.theta.shape == (1, 7, 22)
    which = (draws.flat[:, None] == fitted.members).all(-1)
    assert (which.sum(1) == 1).all()
    assert sorted(which.sum(0).tolist()) == [2, 2, 3]
    torch.testing.assert_close(fitted.draws.flat, fitted.members)
    assert torch.equal(fitted.sample(6).flat, fitted.members.repeat(2, 1))  # whatever the global generator
    with pytest.raises(TypeError, match="density"):
        fitted.log_prob(fitted.members)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"members": 0}, "members"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"holdout": 1.0}, "holdout"),
        ({"start": torch.zeros(2, 3)}, "start"),
    ],
    ids=["members", "rate", "holdout", "start"],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        DeepEnsemble(**options).fit(tanh_posterior())
