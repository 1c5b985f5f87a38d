"""The weighted gradient with truncated and Pareto-smoothed weights."""

from functools import cache
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide import AutoDiagonalNormal
from torch import Tensor

from pyro_symvi.divergences import Alpha, ForwardKL, Jeffreys, ReverseKL, TailAdaptive
from pyro_symvi.divergences.weights import pareto_smooth, tame, truncate
from pyro_symvi.groups import PointReflection
from pyro_symvi.guides import AutoLocationScale
from pyro_symvi.infer import DivergenceELBO


@pytest.fixture(autouse=True)
def double_precision() -> None:
    torch.set_default_dtype(torch.float64)
    pyro.set_rng_seed(0)


def heavy() -> None:
    pyro.sample("z", dist.StudentT(2.0, torch.tensor([0.5, -1.0]), 1.0).to_event(1))


def light() -> None:
    pyro.sample("z", dist.Normal(torch.tensor([0.1, -0.1]), 0.9).to_event(1))


def guide_for(model: Any) -> AutoDiagonalNormal:
    guide = AutoDiagonalNormal(model, init_scale=1.0)
    guide()
    with torch.no_grad():
        guide.loc.zero_()
    return guide


@cache
def gradients(model: Any, weights: Any, divergence: Any, runs: int, particles: int = 200) -> Tensor:
    """Gradients in location and scale of independent evaluations, ``[runs, 4]``."""
    guide = guide_for(model)
    elbo = DivergenceELBO(divergence, particles, max_plate_nesting=0, weights=weights, gradient="weighted")
    rows = []
    for seed in range(runs):
        pyro.set_rng_seed(seed)
        guide.zero_grad()
        elbo.loss_and_grads(model, guide)
        rows.append(torch.cat([p.grad for p in guide.parameters()]))
    return torch.stack(rows)


@pytest.mark.parametrize("divergence", [ForwardKL(), Alpha(0.7), Alpha(2.0), Alpha(-1.0)], ids=repr)
@pytest.mark.parametrize("weights", ["truncated", "pareto_smoothed"])
def test_gradient_is_the_hand_computation(divergence: Any, weights: Any) -> None:
    guide = guide_for(heavy)
    with torch.no_grad():
        guide.loc.fill_(4.0)
    elbo = DivergenceELBO(divergence, 300, max_plate_nesting=0, weights=weights, gradient="weighted")
    elbo.loss(heavy, guide)
    pyro.set_rng_seed(3)
    loss = elbo.loss_and_grads(heavy, guide)
    pyro.set_rng_seed(3)
    z = guide.get_posterior().sample((300,))
    log_q = dist.Normal(guide.loc, guide.scale).log_prob(z).sum(-1)
    log_p = dist.StudentT(2.0, torch.tensor([0.5, -1.0]), 1.0).log_prob(z).sum(-1)
    l = (log_p - log_q).detach()
    change = truncate if weights == "truncated" else lambda a: pareto_smooth(a)[0]
    tamed = change(divergence.alpha * l)
    expected = torch.autograd.grad(-(torch.softmax(tamed, 0) * log_q).sum() / divergence.alpha, [*guide.parameters()])
    raw = torch.autograd.grad(
        -(torch.softmax(divergence.alpha * l, 0) * dist.Normal(guide.loc, guide.scale).log_prob(z).sum(-1)).sum()
        / divergence.alpha,
        [*guide.parameters()],
    )
    for parameter, value, plain in zip(guide.parameters(), expected, raw, strict=True):
        torch.testing.assert_close(parameter.grad, value, rtol=1e-10, atol=1e-12)
        if divergence.alpha > 0:  # at alpha = -1 the weights q/p have no tail to cut
            assert not torch.allclose(value, plain, rtol=1e-6)
    assert loss == pytest.approx(float(divergence.objective(l)), rel=1e-12)  # the value is the raw objective


@pytest.mark.parametrize("weights", ["truncated", "pareto_smoothed"])
def test_less_noise_on_a_heavy_tail_and_the_same_on_a_light_one(weights: Any) -> None:
    """Variances of 144 gradients; the standard error of a log ratio of two variances is from the squares."""

    def log_ratio(model: Any) -> tuple[float, float]:
        tamed, plain = (
            (g - g.mean(0)).square().sum(-1) for g in (gradients(model, how, ForwardKL(), 144) for how in HOW)
        )
        error = (tamed / tamed.mean() - plain / plain.mean()).std() / 12
        return float((tamed.mean() / plain.mean()).log()), float(error)

    HOW = (weights, "plain")
    ratio, error = log_ratio(heavy)
    assert ratio < -0.3 and ratio + 4 * error < 0
    ratio, error = log_ratio(light)  # bounded weights
    assert abs(ratio) < 0.05 + 4 * error


def test_truncation_is_biased_at_few_particles() -> None:
    """What less noise costs: 300 runs of 30 particles, more than five standard errors from the plain mean."""
    tamed, plain = (gradients(heavy, how, ForwardKL(), 300, 30) for how in ("truncated", "plain"))
    difference = (tamed - plain).mean(0)
    assert bool((difference.abs() > 5 * (tamed - plain).std(0) / 300**0.5).any())


# -- with orbit-closed noise ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["truncated", "pareto_smoothed"])
def test_whole_orbits_are_tamed_alike(how: Any) -> None:
    """Equal weights of an orbit stay equal to the last bit; taming particle by particle tears them apart."""
    generator = torch.Generator().manual_seed(1)
    drawn = 2.0 * torch.randn(200, generator=generator)
    l = torch.cat([drawn, drawn])
    tamed = tame(l, how, copies=2)
    assert torch.equal(tamed[:200], tamed[200:])
    torch.testing.assert_close(tamed[:200], tame(drawn, how), rtol=1e-12, atol=1e-12)
    if how == "pareto_smoothed":
        apart = pareto_smooth(l)[0]
        assert float((apart[:200] - apart[200:]).abs().max()) > 1e-2
    uneven = torch.stack([l[:200], l[200:] + 0.3])
    factor = tame(uneven.flatten(), how, copies=2).reshape(2, 200) - uneven
    torch.testing.assert_close(factor[0], factor[1], rtol=1e-12, atol=1e-12)
    assert float(factor.abs().max()) > 0.1


def test_zero_weights_survive_taming_by_orbits() -> None:
    l = torch.full((60,), -torch.inf)
    l[:25] = torch.linspace(0.0, 3.0, 25)
    tamed = tame(l, "truncated", copies=2)
    assert torch.equal(torch.isneginf(tamed), torch.isneginf(l)) and not bool(tamed.isnan().any())


@pytest.mark.parametrize("weights", ["plain", "truncated", "pareto_smoothed"])
def test_pinned_locations_stay_pinned(weights: Any) -> None:
    """At the centre every draw's location gradient is zero; a constant step stays there to rounding."""
    guide = AutoLocationScale(heavy, "normal", "diagonal", init_scale=1.0)
    guide()
    with torch.no_grad():
        guide.loc.copy_(torch.tensor([0.5, -1.0]))
    elbo = DivergenceELBO(ForwardKL(), 200, max_plate_nesting=0, symmetry=PointReflection(), weights=weights)
    svi = pyro.infer.SVI(heavy, guide, pyro.optim.SGD({"lr": 0.02}), elbo)
    for _ in range(20):
        elbo.loss_and_grads(heavy, guide)
        assert float(guide.loc.grad.abs().max()) < 1e-13
        assert float(guide.scale_unconstrained.grad.abs().max()) > 1e-3
        guide.zero_grad()
    for _ in range(60):
        svi.step()
    assert float((guide.loc.detach() - torch.tensor([0.5, -1.0])).abs().max()) < 1e-13


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("divergence", "gradient", "particles", "weights", "message"),
    [
        (ReverseKL(), "auto", 100, "truncated", "pathwise gradient.*differentiates the weights.*try weights='plain'"),
        (Alpha(0.4), "auto", 100, "truncated", "pathwise gradient.*try gradient='weighted'"),
        (ForwardKL(), "doubly_reparameterized", 100, "pareto_smoothed", "identity that holds for the raw weights"),
        (ForwardKL(), "leave_one_out", 100, "truncated", "control variates"),
        (Jeffreys(), "weighted", 100, "truncated", "no power of p/q"),
        (TailAdaptive(), "auto", 100, "truncated", "no power of p/q"),
        (ForwardKL(), "auto", 20, "pareto_smoothed", "at least 21 particles.*got 20.*try num_particles=100"),
        (ForwardKL(), "auto", 100, "smoothed", "ways to treat the largest weights"),
    ],
    ids=str,
)
def test_refusals(divergence: Any, gradient: Any, particles: int, weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DivergenceELBO(divergence, particles, gradient=gradient, weights=weights)


def test_too_few_orbits_for_a_tail_are_refused() -> None:
    elbo = DivergenceELBO(ForwardKL(), 40, symmetry=PointReflection(), weights="pareto_smoothed", max_plate_nesting=0)
    with pytest.raises(ValueError, match="at least 21 orbits of 2 particles.*got 20.*try num_particles=200"):
        elbo.loss(heavy, AutoLocationScale(heavy))
    with pytest.raises(ValueError, match="multiple of 3, got 40"):
        tame(torch.zeros(40), "truncated", copies=3)
    with pytest.raises(ValueError, match="ways to tame weights"):
        tame(torch.zeros(40), "smooth")  # type: ignore[arg-type]
