"""Every form of the gradient of every divergence, on twelve targets, against quadrature.

One estimate has K = 1,000 particles; R = 40 independent ones are made side by side, and their mean is compared
componentwise with the truth within 5 of its own standard errors (some 3,000 comparisons) plus the O(1/K) bias of a
self-normalised estimate, bounded by the squared relative noise of one estimate. Seeds are fixed.
"""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pyro_symvi.divergences import (
    Alpha,
    ChiSquare,
    Divergence,
    FDivergence,
    ForwardKL,
    Hellinger,
    Jeffreys,
    ReverseKL,
    TailAdaptive,
    estimators,
)
from pyro_symvi.divergences.generators import jensen_shannon, triangular
from tests.divergences.targets import TARGETS, Target, base_noise

PARTICLES, REPETITIONS = 1_000, 40
DIVERGENCES = [
    ReverseKL(),
    ForwardKL(),
    Alpha(0.3),
    Alpha(0.8),
    ChiSquare(),
    ChiSquare(reverse=True),
    Hellinger(),
    Jeffreys(),
    FDivergence(jensen_shannon, 0.0),
    FDivergence(triangular, 0.0),
]
FORMS = ("pathwise", "weighted", "doubly_reparameterized")


def guide_base(target: Target, divergence: Divergence) -> str:
    light = divergence.in_alpha_family and divergence.alpha <= 0.5
    return "normal" if light else target.heavy


def gradients(
    target: Target, divergence: Divergence, form: str, base: str, particles: int = PARTICLES, repeats: int = REPETITIONS
) -> Tensor:
    """``[R, 2 d]``: one row an independent estimate of the gradient in location and log-scale."""
    torch.manual_seed(5)
    loc, log_scale = (start.expand(repeats, -1).clone().requires_grad_() for start in target.start())
    noise = base_noise(base, (particles, repeats, target.dim))
    z = (loc + log_scale.exp() * noise) @ target.frame.mT
    if form in ("weighted", "leave_one_out"):
        z = z.detach()
    log_q = target.log_guide(z, loc, log_scale, base)
    l = target.log_prob(z) - log_q
    if form == "pathwise":
        loss = divergence.objective(l)
    elif form == "weighted":
        loss = divergence.score_surrogate(l, log_q)
    elif form == "leave_one_out":
        loss = divergence.leave_one_out_surrogate(l, log_q)
    else:
        frozen = target.log_guide(z, loc.detach(), log_scale.detach(), base)
        path = target.log_prob(z) - frozen
        loss = divergence.path_surrogate(path) if form == "doubly_reparameterized" else divergence.objective(path)
    return torch.cat(torch.autograd.grad(loss.sum(), (loc, log_scale)), -1)


def truth_of(target: Target, divergence: Divergence, base: str) -> Tensor:
    parameters = [start.clone().requires_grad_() for start in target.start()]
    return torch.cat(torch.autograd.grad(target.exact_objective(divergence, *parameters, base), parameters))


def agrees(estimates: Tensor, truth: Tensor, errors: float = 5.0) -> bool:
    spread = estimates.std(0)
    bias = spread.square() / truth.abs().clamp_min(0.3)
    return bool(((estimates.mean(0) - truth).abs() <= errors * spread / math.sqrt(len(estimates)) + bias + 1e-6).all())


def distance(estimates: Tensor, truth: Tensor) -> float:
    """The largest distance of a component, in standard errors; no allowance for bias."""
    return float(((estimates.mean(0) - truth).abs() / estimates.std(0)).max()) * math.sqrt(len(estimates))


CASES = [
    (target, divergence)
    for target in TARGETS
    for divergence in DIVERGENCES
    if (target.neyman or divergence != ChiSquare(reverse=True))
    and (target.dim <= 2 or not isinstance(divergence, FDivergence))
]


@pytest.mark.parametrize(
    ("target", "divergence"), CASES, ids=lambda case: getattr(case, "name", None) or repr(case)[:24]
)
def test_every_form_against_quadrature(target: Target, divergence: Divergence) -> None:
    base = guide_base(target, divergence)
    truth = truth_of(target, divergence, base)
    assert float(truth.abs().max()) > 0.01
    seen = []
    for form in FORMS:
        if form in divergence.gradient_forms:
            estimates = gradients(target, divergence, form, base)
            assert agrees(estimates, truth), form
            assert distance(estimates, -truth) > 5.0, form  # the wrong sign
            seen.append(distance(estimates, 1.5 * truth))
    assert max(seen) > 5.0  # half as much again would have been seen


@pytest.mark.parametrize("target", [t for t in TARGETS if t.dim == 10], ids=lambda t: t.name)
@pytest.mark.parametrize("f", [jensen_shannon, triangular])
def test_general_f_in_ten_dimensions_against_many_draws(target: Target, f: Callable[[Tensor], Tensor]) -> None:
    """No product formula: three forms from 40,000 draws each against the plain score estimate from 4 * 10^5, whose
    standard error is below 3 % of the largest component."""
    divergence, base = FDivergence(f, 0.0), target.heavy
    rows = []
    for seed in range(10):
        loc, log_scale = (start.clone().requires_grad_() for start in target.start())
        torch.manual_seed(100 + seed)
        with torch.no_grad():
            z = (loc + log_scale.exp() * base_noise(base, (40_000, target.dim))) @ target.frame.mT
        log_q = target.log_guide(z, loc, log_scale, base)
        with torch.no_grad():
            u = (target.log_prob(z) - log_q).exp()
            # h(u) = f(u) - u f'(u), written out
            h = -0.5 * torch.log((1 + u) / 2) if f is jensen_shannon else (1 - u) * (1 + 3 * u) / (1 + u) ** 2
        rows.append(torch.cat(torch.autograd.grad(((h - h.mean()) * log_q).mean(), (loc, log_scale))))
    reference, error = torch.stack(rows).mean(0), torch.stack(rows).std(0) / math.sqrt(10)
    assert float(error.max()) < 0.03 * float(reference.abs().max())
    for form in FORMS:
        estimates = gradients(target, divergence, form, base)
        spread = estimates.std(0) / math.sqrt(REPETITIONS)
        assert bool(((estimates.mean(0) - reference).abs() <= 5 * (spread.square() + error.square()).sqrt()).all()), (
            form
        )


def test_a_divergence_in_the_wrong_direction_is_caught() -> None:
    """Forward for reverse, Pearson for Neyman, alpha for 1 - alpha: the comparison tells them apart."""
    target = TARGETS[0]
    for right, wrong in ((ReverseKL(), ForwardKL()), (Alpha(0.2), Alpha(0.8)), (ChiSquare(reverse=True), ChiSquare())):
        truth, base = truth_of(target, right, "normal"), "normal"
        assert agrees(gradients(target, right, "pathwise", base), truth)
        assert not agrees(gradients(target, wrong, wrong.preferred_gradient, base), truth)


# the same expectation at a small K: what the forms promise exactly

SMALL, MANY = 4, 30_000


def same_mean(a: Tensor, b: Tensor, errors: float = 4.5) -> bool:
    spread = (a.var(0) / len(a) + b.var(0) / len(b)).sqrt()
    return bool(((a.mean(0) - b.mean(0)).abs() <= errors * spread).all())


@pytest.mark.parametrize("alpha", [-0.5, 0.0, 0.3, 0.5, 0.8, 1.0, 1.5])
def test_the_doubly_reparameterised_form_keeps_the_expectation_at_four_particles(alpha: float) -> None:
    target, divergence = TARGETS[5], Alpha(alpha)
    like = gradients(target, divergence, divergence.preferred_gradient, "logistic", SMALL, MANY)
    ours = gradients(target, divergence, "doubly_reparameterized", "logistic", SMALL, MANY)
    assert same_mean(ours, like)
    assert float(like.mean(0).abs().max()) > 0.05


@pytest.mark.parametrize("alpha", [-0.5, 0.3, 0.5])
def test_dropping_the_score_term_is_biased_but_at_alpha_zero(alpha: float) -> None:
    """Sticking the landing on another objective than that of KL(Q || P): a known wrong estimator, caught."""
    target = TARGETS[5]
    like = gradients(target, Alpha(alpha), "pathwise", "logistic", SMALL, MANY)
    assert not same_mean(gradients(target, Alpha(alpha), "stuck", "logistic", SMALL, MANY), like)
    zero = gradients(target, ReverseKL(), "pathwise", "logistic", SMALL, MANY)
    assert same_mean(gradients(target, ReverseKL(), "stuck", "logistic", SMALL, MANY), zero)


@pytest.mark.parametrize("divergence", [ReverseKL(), Alpha(0.3), ForwardKL(), Jeffreys(), TailAdaptive()], ids=repr)
def test_path_gradients_vanish_where_the_guide_is_the_target(divergence: Divergence) -> None:
    z0 = torch.randn(50, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    loc = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    z = loc + z0
    frozen = torch.distributions.Normal(loc.detach(), 1.0).log_prob(z)
    path = torch.distributions.Normal(torch.tensor(0.3, dtype=torch.float64), 1.0).log_prob(z) + 2.0 - frozen
    assert abs(float(torch.autograd.grad(divergence.path_surrogate(path), loc)[0])) < 1e-14
    plain = path.detach() + torch.distributions.Normal(loc.detach(), 1.0).log_prob(z.detach())
    total = plain + 0.1 * z - torch.distributions.Normal(loc, 1.0).log_prob(z.detach())
    if divergence == ReverseKL():  # whereas the score form of the same thing is noise
        assert abs(float(torch.autograd.grad(divergence.objective(total), loc)[0])) > 1e-3


# score functions with control variates, exactly, by summing over all outcomes of a discrete guide

LOG_P = torch.tensor([0.1, 0.6, 0.3], dtype=torch.float64).log()
DISCRETE = [
    ReverseKL(), ForwardKL(), Alpha(-0.7), Alpha(0.4), ChiSquare(), Hellinger(), Jeffreys(),
    FDivergence(jensen_shannon, 0.0), FDivergence(triangular, 0.2),
]  # fmt: skip


def enumerated(
    objective: Callable[[Tensor], Tensor], surrogate: Callable[[Tensor, Tensor], Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Exact gradient of E J for three particles on three atoms; mean and variance of the estimator's gradient."""
    logits = torch.tensor([0.2, -0.3, 0.5], dtype=torch.float64, requires_grad=True)
    atoms = torch.cartesian_prod(*[torch.arange(3)] * 3)  # 27 outcomes
    log_q = torch.log_softmax(logits, 0)
    joint = log_q[atoms].sum(1).exp()
    values = objective((LOG_P[atoms] - log_q[atoms]).T)
    (truth,) = torch.autograd.grad((joint * values).sum(), logits)
    rows = []
    for outcome in atoms:
        log_guide = torch.log_softmax(logits, 0)[outcome]
        loss = surrogate(LOG_P[outcome] - log_guide, log_guide)
        rows.append(torch.autograd.grad(loss, logits)[0])
    estimates, mass = torch.stack(rows), joint.detach()[:, None]
    mean = (mass * estimates).sum(0)
    return truth, mean, (mass * (estimates - mean) ** 2).sum()


@pytest.mark.parametrize("divergence", DISCRETE, ids=repr)
def test_leave_one_out_is_unbiased_at_three_particles(divergence: Divergence) -> None:
    truth, mean, variance = enumerated(divergence.objective, divergence.leave_one_out_surrogate)
    assert torch.allclose(mean, truth, rtol=1e-10, atol=1e-13)
    assert float(truth.abs().max()) > 1e-3

    def plain(l: Tensor, log_guide: Tensor) -> Tensor:  # no baselines: unbiased, too, and noisier
        leaf = l.detach().requires_grad_()
        value = divergence.objective(leaf)
        (slopes,) = torch.autograd.grad(value, leaf)
        return ((value.detach() - slopes) * log_guide).sum()

    truth_too, mean_too, variance_too = enumerated(divergence.objective, plain)
    assert torch.allclose(mean_too, truth_too, rtol=1e-10, atol=1e-13)
    if divergence.alpha == 0.0 if divergence.in_alpha_family else False:
        assert float(variance) < 0.5 * float(variance_too)


def test_leave_one_out_of_the_importance_weighted_bound() -> None:
    truth, mean, _ = enumerated(estimators.importance_weighted_bound, estimators.leave_one_out_bound)
    assert torch.allclose(mean, truth, rtol=1e-10)
    _, wrong, _ = enumerated(estimators.importance_weighted_bound, ReverseKL().leave_one_out_surrogate)
    assert not torch.allclose(wrong, truth, rtol=1e-2)


def test_leave_one_out_of_the_elbo_is_the_known_formula() -> None:
    l = torch.tensor([0.3, -1.0, 2.0, 0.0], dtype=torch.float64)
    weights = torch.autograd.grad(
        ReverseKL().leave_one_out_surrogate(l, leaf := torch.zeros(4, dtype=torch.float64, requires_grad=True)), leaf
    )[0]
    assert torch.allclose(weights, -(l - l.mean()) / 3, rtol=1e-12)
    with pytest.raises(ValueError, match="at least two particles"):
        ReverseKL().leave_one_out_surrogate(l[:1], l[:1])


def test_the_doubly_reparameterised_bound_is_unbiased() -> None:
    torch.manual_seed(3)
    loc = torch.zeros(40_000, dtype=torch.float64, requires_grad=True)
    z = loc + torch.randn(3, 40_000, dtype=torch.float64)
    normal = torch.distributions.Normal
    log_p = normal(torch.tensor(1.0, dtype=torch.float64), 0.7).log_prob(z)
    total = estimators.importance_weighted_bound(log_p - normal(loc, 1.0).log_prob(z))
    path = estimators.doubly_reparameterized_bound(log_p - normal(loc.detach(), 1.0).log_prob(z))
    a, b = (torch.autograd.grad(loss.sum(), loc, retain_graph=True)[0] for loss in (total, path))
    assert same_mean(a[:, None], b[:, None]) and float(b.var()) < float(a.var())
    stuck = estimators.stick_the_landing(log_p - normal(loc.detach(), 1.0).log_prob(z))
    assert torch.allclose(stuck, -(log_p - normal(loc.detach(), 1.0).log_prob(z)).mean(0))


def test_tail_adaptive_weights_are_ranks() -> None:
    """By the definition, pair by pair; what sorting indices gives instead (Pyro's TraceTailAdaptive_ELBO) is not it."""
    l = torch.tensor([3.0, 1.0, 2.0, 2.0, -5.0], dtype=torch.float64)
    tail = torch.tensor([sum(float(b >= a) for b in l) / 5 for a in l], dtype=torch.float64)
    for beta in (-1.0, -0.5, 0.0):
        gamma = tail**beta / (tail**beta).sum()
        assert torch.allclose(-TailAdaptive(beta)._path_weights(l), gamma, rtol=1e-12)
    wrong = l.argsort(descending=True).double() + 1
    assert not torch.allclose(tail * 5, wrong)
    assert torch.allclose(TailAdaptive(0.0)._path_weights(l), ReverseKL()._path_weights(l))
    generator = torch.Generator().manual_seed(0)
    correlations = {"ours": 0.0, "theirs": 0.0}
    for _ in range(200):
        l = torch.randn(20, generator=generator, dtype=torch.float64)
        ours = TailAdaptive()._path_weights(l)
        theirs = -1.0 / (l.argsort(descending=True).double() + 1)
        for name, weights in (("ours", ours), ("theirs", theirs)):
            ranks = weights.argsort().argsort().double()
            correlations[name] += (
                float(torch.corrcoef(torch.stack([-ranks, l.argsort().argsort().double()]))[0, 1]) / 200
            )
    assert correlations["ours"] == pytest.approx(1.0) and abs(correlations["theirs"]) < 0.15


@pytest.mark.parametrize("bad", [0.5, -math.inf, math.nan])
def test_tail_adaptive_exponents_out_of_range(bad: float) -> None:
    with pytest.raises(ValueError, match="beta <= 0"):
        TailAdaptive(bad)
    with pytest.raises(TypeError, match="expected beta to be a number"):
        TailAdaptive("a")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("f", "kind", "match"),
    [
        (lambda l: -((l.exp() - 1) ** 2), ValueError, "convex"),
        (lambda l: l, ValueError, "convex"),
        (lambda l: -l + 1.0, ValueError, "f\\(1\\) = 0"),
        (lambda l: l.sum(), TypeError, "tensor of its shape"),
        ("kl", TypeError, "function of log u"),
    ],
)
def test_generators_that_are_none(f: object, kind: type, match: str) -> None:
    with pytest.raises(kind, match=match):
        FDivergence(f)  # type: ignore[arg-type]


def test_a_general_f_needs_the_normaliser() -> None:
    divergence, l = FDivergence(jensen_shannon), torch.zeros(3)
    for call in (divergence.objective, divergence.path_surrogate):
        with pytest.raises(ValueError, match=r"log_normalizer=0\.0"):
            call(l)
    assert float(divergence.value(l + 7.0)) == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(ValueError, match="finite"):
        FDivergence(jensen_shannon, math.inf)
    with pytest.raises(TypeError, match="member of the alpha family"):
        _ = divergence.alpha


@pytest.mark.parametrize(
    ("f", "alpha"), [(lambda l: l * l.exp(), 1.0), (lambda l: -l, 0.0), (lambda l: torch.expm1(2 * l) / 2, 2.0)]
)
def test_general_f_contains_the_alpha_family(f: Callable[[Tensor], Tensor], alpha: float) -> None:
    l = torch.randn(30, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    assert float(FDivergence(f).value(l)) == pytest.approx(float(Alpha(alpha).value(l)), rel=1e-10)
