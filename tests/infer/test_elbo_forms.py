"""DivergenceELBO with every divergence and every form of the gradient; reports of its own weights."""

import math
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import TraceTailAdaptive_ELBO
from pyro.infer.autoguide import AutoDelta, AutoDiagonalNormal, AutoMultivariateNormal, AutoNormal, AutoNormalMessenger
from torch import Tensor

from pyro_symvi.divergences import (
    Alpha,
    ChiSquare,
    FDivergence,
    ForwardKL,
    Hellinger,
    Jeffreys,
    ReverseKL,
    TailAdaptive,
)
from pyro_symvi.divergences.generators import jensen_shannon
from pyro_symvi.divergences.weights import effective_sample_size, pareto_k
from pyro_symvi.guides import AutoLocationScale
from pyro_symvi.infer import DivergenceELBO, fit


@pytest.fixture(autouse=True)
def double_precision() -> None:
    torch.set_default_dtype(torch.float64)
    pyro.clear_param_store()
    pyro.set_rng_seed(0)


DATA = torch.tensor([0.3, -1.2, 0.8, 1.9, -0.4], dtype=torch.float64)


def conjugate(x: Tensor) -> None:
    """Posterior of z: N(sum x / (n + 1), 1 / (n + 1))."""
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    with pyro.plate("d", len(x)):
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


MEAN, SD = float(DATA.sum()) / 6, 6**-0.5


def log_evidence() -> float:
    cov = torch.eye(5, dtype=torch.float64) + 1.0
    return float(dist.MultivariateNormal(torch.zeros_like(DATA), cov).log_prob(DATA))


EVERY = [
    (ReverseKL(), "doubly_reparameterized"),
    (ReverseKL(), "leave_one_out"),
    (Alpha(0.5), "doubly_reparameterized"),
    (Alpha(0.5), "leave_one_out"),
    (ForwardKL(), "doubly_reparameterized"),
    (ChiSquare(), "auto"),
    (ChiSquare(reverse=True), "auto"),
    (Hellinger(), "auto"),
    (Jeffreys(), "auto"),
    (Jeffreys(), "weighted"),
    (FDivergence(jensen_shannon, log_evidence()), "auto"),
    (FDivergence(jensen_shannon, log_evidence()), "weighted"),
    (TailAdaptive(), "auto"),
]


@pytest.mark.parametrize(("divergence", "gradient"), EVERY, ids=repr)
@pytest.mark.parametrize("guide_class", [AutoDiagonalNormal, AutoNormalMessenger], ids=lambda g: g.__name__)
def test_svi_finds_the_posterior(divergence: Any, gradient: Any, guide_class: Any) -> None:
    """The guide holds the posterior; with a falling step the noise left is below 3 % of a standard deviation."""
    if guide_class is AutoNormalMessenger and gradient in ("auto", "weighted") and divergence != TailAdaptive():
        pytest.skip("nothing that the other guide does not show")
    guide = guide_class(conjugate, init_scale=0.6)
    guide(DATA)
    elbo = DivergenceELBO(divergence, 64, max_plate_nesting=1, gradient=gradient)
    optimizer = pyro.optim.ExponentialLR({"optimizer": torch.optim.Adam, "optim_args": {"lr": 0.05}, "gamma": 0.975})
    svi = pyro.infer.SVI(conjugate, guide, optimizer, elbo)
    for _ in range(120):
        svi.step(DATA)
        optimizer.step()
    loc = guide.loc if guide_class is AutoDiagonalNormal else guide.locs.z
    scale = guide.scale if guide_class is AutoDiagonalNormal else guide.scales.z
    assert float(loc.detach().squeeze()) == pytest.approx(MEAN, abs=0.06 * SD)
    assert float(scale.detach().squeeze()) == pytest.approx(SD, rel=0.06)
    assert elbo.effective_sample_size > 60.0


def positive() -> None:
    pyro.sample("z", dist.Gamma(3.0, 2.0))


@pytest.mark.parametrize("guide_class", [AutoNormal, AutoDiagonalNormal, AutoNormalMessenger, AutoMultivariateNormal])
@pytest.mark.parametrize("divergence", [ReverseKL(), Alpha(0.4), ForwardKL()], ids=repr)
def test_doubly_reparameterised_gradients_on_a_positive_site(guide_class: Any, divergence: Any) -> None:
    """The change of variables belongs to the path: against the plain form, of one expectation, 40 runs."""
    guide = guide_class(positive, init_scale=0.7)
    guide()

    def runs(gradient: Any) -> Tensor:
        elbo, rows = DivergenceELBO(divergence, 500, max_plate_nesting=0, gradient=gradient), []
        for seed in range(40):
            pyro.set_rng_seed(seed)
            elbo.loss_and_grads(positive, guide)
            named = [(n, p) for n, p in guide.named_parameters() if "tril" not in n]
            rows.append(torch.cat([p.grad.reshape(-1) for _, p in named]))
            for p in guide.parameters():
                p.grad = None
        return torch.stack(rows)

    ours, plain = runs("doubly_reparameterized"), runs("auto")
    error = (ours.var(0) / 40 + plain.var(0) / 40).sqrt()
    assert bool(((ours.mean(0) - plain.mean(0)).abs() < 4.5 * error + 1e-12).all())
    assert float(ours.std(0).sum()) < float(plain.std(0).sum())
    assert not bool(((ours.mean(0) + plain.mean(0)).abs() < 4.5 * error).all())


def test_sticking_the_landing_has_no_noise_at_the_posterior() -> None:
    guide = AutoDiagonalNormal(conjugate, init_scale=SD)
    guide(DATA)
    with torch.no_grad():
        guide.loc.fill_(MEAN)
    for gradient, largest in (("doubly_reparameterized", 1e-10), ("auto", math.inf)):
        guide.zero_grad()
        DivergenceELBO(ReverseKL(), 10, max_plate_nesting=1, gradient=gradient).loss_and_grads(conjugate, guide, DATA)
        noise = max(float(p.grad.abs().max()) for p in guide.parameters())
        assert noise < largest
    assert noise > 1e-3  # the plain form


@pytest.mark.parametrize("divergence", [ReverseKL(), Alpha(0.5), ForwardKL()], ids=repr)
def test_a_discrete_guide_learns_by_leave_one_out(divergence: Any) -> None:
    def model() -> None:
        k = pyro.sample("k", dist.Bernoulli(0.3))
        pyro.sample("x", dist.Normal(k, 1.0), obs=torch.tensor(0.8))

    def guide() -> None:
        pyro.sample("k", dist.Bernoulli(logits=pyro.param("logit", torch.tensor(0.0))))

    odds = 0.3 / 0.7 * math.exp(-0.5 * (0.2**2 - 0.8**2))
    elbo = DivergenceELBO(divergence, 60, max_plate_nesting=0, gradient="leave_one_out")
    svi = pyro.infer.SVI(model, guide, pyro.optim.Adam({"lr": 0.03}), elbo)
    for _ in range(200):
        svi.step()
    assert float(pyro.param("logit").sigmoid().detach()) == pytest.approx(odds / (1 + odds), abs=0.05)


def test_tail_adaptive_steps_by_ranks_where_pyro_sorts() -> None:
    """One step, by hand, from the definition; Pyro's ranks are the sorting permutation."""
    guide = AutoDiagonalNormal(conjugate, init_scale=0.6)
    guide(DATA)
    elbo = DivergenceELBO(TailAdaptive(), 12, max_plate_nesting=1)
    elbo.loss(conjugate, guide, DATA)
    pyro.set_rng_seed(3)
    elbo.loss_and_grads(conjugate, guide, DATA)
    ours = guide.loc.grad.clone()
    pyro.set_rng_seed(3)
    z = guide.get_posterior().rsample((12,))[:, 0]
    log_p = dist.Normal(0.0, 1.0).log_prob(z) + dist.Normal(z[:, None], 1.0).log_prob(DATA).sum(-1)
    path = log_p - dist.Normal(guide.loc.detach(), guide.scale.detach()).log_prob(z)
    at_least = (path[None, :] >= path[:, None]).double().sum(1)
    gamma = (1 / at_least / (1 / at_least).sum()).detach()
    by_hand = torch.autograd.grad(-(gamma * path).sum(), guide.loc)[0]
    assert torch.allclose(ours, by_hand, rtol=1e-9)
    guide.zero_grad()
    pyro.set_rng_seed(3)
    theirs = TraceTailAdaptive_ELBO(num_particles=12, vectorize_particles=True, max_plate_nesting=1)
    theirs.loss_and_grads(conjugate, guide, DATA)
    assert not torch.allclose(guide.loc.grad, by_hand, rtol=1e-2)


def test_reports_speak_of_the_last_weights() -> None:
    guide = AutoDiagonalNormal(conjugate, init_scale=0.2)
    guide(DATA)
    elbo = DivergenceELBO(ForwardKL(), 400, max_plate_nesting=1)
    for report in ("effective_sample_size", "pareto_k"):
        with pytest.raises(ValueError, match="has been evaluated"):
            getattr(elbo, report)
    pyro.set_rng_seed(5)
    elbo.loss(conjugate, guide, DATA)
    pyro.set_rng_seed(5)
    l = elbo.log_weights(conjugate, guide, DATA)
    assert elbo.effective_sample_size == pytest.approx(float(effective_sample_size(l)), rel=1e-12)
    assert elbo.pareto_k == pytest.approx(float(pareto_k(l)), rel=1e-12)
    narrow = elbo.pareto_k
    with torch.no_grad():
        guide.loc.fill_(MEAN)
        guide.scale_unconstrained.fill_(float(torch.tensor(1.2 * SD).expm1().log()))
    elbo.loss_and_grads(conjugate, guide, DATA)
    assert elbo.effective_sample_size > 350.0
    assert elbo.pareto_k < 0.5 < narrow  # bounded weights, against a guide that is too narrow
    assert not elbo._last_weights().requires_grad


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="normaliser cancels"):
        DivergenceELBO(FDivergence(jensen_shannon), 10)
    for gradient in ("pathwise", "weighted", "leave_one_out"):
        with pytest.raises(ValueError, match="gradient='doubly_reparameterized'"):
            DivergenceELBO(TailAdaptive(), 10, gradient=gradient)
    for divergence in (Jeffreys(), TailAdaptive(), FDivergence(jensen_shannon, 0.0)):
        if divergence.is_biased:
            with pytest.raises(ValueError, match="num_particles >= 2"):
                DivergenceELBO(divergence, 1)
        else:
            DivergenceELBO(divergence, 1)
        with pytest.raises((ValueError, TypeError), match="alpha family"):
            fit(conjugate, AutoLocationScale(conjugate), DATA, divergence=divergence)

    def bernoulli() -> None:
        pyro.sample("k", dist.Bernoulli(0.3))

    def guide() -> None:
        pyro.sample("k", dist.Bernoulli(logits=pyro.param("logit", torch.tensor(0.0))))

    elbo = DivergenceELBO(ReverseKL(), 10, max_plate_nesting=0, gradient="doubly_reparameterized")
    with pytest.raises(ValueError, match="leave_one_out"):
        elbo.loss_and_grads(bernoulli, guide)
    points = AutoDelta(conjugate)
    points(DATA)
    with pytest.raises(ValueError, match="for the leave_one_out gradient"):
        elbo = DivergenceELBO(ReverseKL(), 10, max_plate_nesting=1, gradient="leave_one_out")
        elbo.loss_and_grads(conjugate, points, DATA)

    def learnable(x: Tensor) -> None:
        z = pyro.sample("z", dist.Normal(pyro.param("m", torch.tensor(0.0)), 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x[0])

    guide_ = AutoDiagonalNormal(learnable)
    for divergence, gradient, reason in (
        (ReverseKL(), "doubly_reparameterized", "moves the guide alone"),
        (Jeffreys(), "pathwise", "bounds no evidence"),
    ):
        with pytest.raises(ValueError, match=reason):
            elbo = DivergenceELBO(divergence, 10, max_plate_nesting=0, gradient=gradient)
            elbo.loss_and_grads(learnable, guide_, DATA)
