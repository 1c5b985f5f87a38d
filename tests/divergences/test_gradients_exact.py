"""Population gradients of every form in 1 and 2 dimensions, without sampling noise: errors of a factor 1.02 are seen.

Nine targets, every member of the alpha family: the rule's masses are folded into the log-weights (``quadrature.py``)
and the gradient of each form is compared with the derivative of the exact objective, which other nodes give
(``targets.py``). In one dimension Jeffreys' and two general f, which take particles of equal mass alone, on 20,000
quantiles of the guide. Every comparison is shown to fail for a wrong factor, the wrong sign and a wrong order.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
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
)
from pyro_symvi.divergences.generators import jensen_shannon, triangular
from tests.divergences.targets import BASES, TARGETS, Target

FAMILY = [
    ReverseKL(), ForwardKL(), Alpha(-0.5), Alpha(0.3), Alpha(0.8), Alpha(1.5), ChiSquare(), ChiSquare(reverse=True),
    Hellinger(),
]  # fmt: skip
OTHERS = [Jeffreys(), FDivergence(jensen_shannon, 0.0), FDivergence(triangular, 0.0)]
NAMES = {repr(d): n for d, n in zip(OTHERS, ("Jeffreys", "jensen_shannon", "triangular"), strict=True)}
TOLERANCES = {"pathwise": 1e-5, "weighted": 1e-5, "doubly_reparameterized": 0.02}
"""Relative to the largest component. The doubly reparameterised form has terms of order 1/K, K the nodes that count."""

Rule = tuple[Tensor, Tensor]


def guide_base(target: Target, divergence: Divergence) -> str:
    light = divergence.in_alpha_family and divergence.alpha <= 0.5
    return "normal" if light else target.heavy


def masses(base: str, dim: int) -> Rule:
    """Nodes and log masses of the base law: ``xi = 2 sinh t``, the trapezoidal rule in t."""
    reach, nodes = {"normal": 2.5, "logistic": 4.2, "t": 9.0}[base], 4001 if dim == 1 else 321
    s = torch.linspace(-reach, reach, nodes, dtype=torch.float64)
    x = 2 * s.sinh()
    log_mass = BASES[base](x) + (2 * s.cosh()).log() + (s[1] - s[0]).log()
    if dim == 1:
        return x[:, None], log_mass
    return torch.cartesian_prod(x, x), (log_mass[:, None] + log_mass).flatten()


def quantiles(base: str) -> Rule:
    """20,000 particles of equal mass."""
    u = (np.arange(20_000) + 0.5) / 20_000
    law = {"normal": stats.norm(), "t": stats.t(5), "logistic": stats.logistic(scale=0.65)}[base]
    return torch.from_numpy(law.ppf(u))[:, None], torch.full((20_000,), -math.log(20_000), dtype=torch.float64)


def folded(l: Tensor, log_mass: Tensor, alpha: float) -> Tensor:
    if alpha == 0.0:
        return len(l) * log_mass.exp() * l
    return l + (log_mass + math.log(len(l))) / alpha


def gradient(target: Target, divergence: Divergence, form: str, base: str, rule: Rule) -> Tensor:
    """``[2 d]``: in location and log-scale."""
    loc, log_scale = (start.clone().requires_grad_() for start in target.start())
    noise, log_mass = rule
    z = (loc + log_scale.exp() * noise) @ target.frame.mT
    z = z.detach() if form == "weighted" else z
    log_q = target.log_guide(z, loc, log_scale, base)
    if form == "doubly_reparameterized":
        log_q = target.log_guide(z, loc.detach(), log_scale.detach(), base)
    l = target.log_prob(z) - log_q
    if divergence.in_alpha_family:
        l = folded(l, log_mass, divergence.alpha)
    if form == "pathwise" and divergence.in_alpha_family and divergence.alpha == 1.0:
        # sum_k s_k l_k holds a mean of l itself, in which the folded masses (constants) are taken out again
        loss = divergence.objective(l) - (torch.softmax(l, 0) * (log_mass + math.log(len(l)))).sum()
    elif form == "pathwise":
        loss = divergence.objective(l)
    elif form == "weighted":
        loss = divergence.score_surrogate(l, log_q)
    else:
        loss = divergence.path_surrogate(l)
    return torch.cat(torch.autograd.grad(loss, (loc, log_scale)))


def truth_of(target: Target, divergence: Divergence, base: str) -> Tensor:
    parameters = [start.clone().requires_grad_() for start in target.start()]
    return torch.cat(torch.autograd.grad(target.exact_objective(divergence, *parameters, base), parameters))


def error(found: Tensor, truth: Tensor) -> float:
    return float((found - truth).abs().max() / truth.abs().max())


def check(
    target: Target, divergence: Divergence, rule: Callable[[str, int], Rule], tolerances: dict[str, float]
) -> None:
    """Each form agrees; a wrong factor or sign does not."""
    base = guide_base(target, divergence)
    truth = truth_of(target, divergence, base)
    assert float(truth.abs().max()) > 0.01
    for form, tolerance in tolerances.items():
        if form in divergence.gradient_forms:
            found = gradient(target, divergence, form, base, rule(base, target.dim))
            assert error(found, truth) < tolerance, form
            for factor in (-1.0, 0.9, 1.1):
                assert error(factor * found, truth) > tolerance, (form, factor)


SMALL = [target for target in TARGETS if target.dim <= 2]


CASES = [(target, d) for target in SMALL for d in FAMILY if target.neyman or d.alpha >= 0]  # the others are infinite


@pytest.mark.parametrize(("target", "divergence"), CASES, ids=[f"{target.name}-{d!r}" for target, d in CASES])
def test_the_alpha_family_by_quadrature(target: Target, divergence: Divergence) -> None:
    tolerances = dict(TOLERANCES)
    if target.name == "laplace":  # the slope jumps between two nodes
        tolerances.update(pathwise=5e-3, weighted=1e-4)
    check(target, divergence, masses, tolerances)


@pytest.mark.parametrize("target", [t for t in TARGETS if t.dim == 1], ids=lambda target: target.name)
@pytest.mark.parametrize("divergence", OTHERS, ids=lambda divergence: NAMES[repr(divergence)])
def test_divergences_outside_the_family_on_quantiles(target: Target, divergence: Divergence) -> None:
    check(target, divergence, lambda base, dim: quantiles(base), dict.fromkeys(TOLERANCES, 0.02))


class WrongSign(ForwardKL):
    """Raises the forward divergence."""

    def _score_weights(self, log_weights: Tensor) -> Tensor:
        return -super()._score_weights(log_weights)


class Doubled(ForwardKL):
    """A factor 2."""

    def _score_weights(self, log_weights: Tensor) -> Tensor:
        return 2.0 * super()._score_weights(log_weights)


class OrderLost(Alpha):
    """Forgets the factor 1 / alpha of the escort form."""

    def _score_weights(self, log_weights: Tensor) -> Tensor:
        return self.alpha * super()._score_weights(log_weights)


class OtherDensity(Alpha):
    """The exponent on the guide: alpha for 1 - alpha."""

    def _objective(self, log_weights: Tensor) -> Tensor:
        return Alpha(1.0 - self.alpha)._objective(log_weights)


class Undoubled(Alpha):
    """The path weights of KL(Q || P) at another order: sticking the landing where that is biased."""

    def _path_weights(self, log_weights: Tensor) -> Tensor:
        return torch.full_like(log_weights, -1.0 / len(log_weights))


@pytest.mark.parametrize(
    ("broken", "form"),
    [
        (WrongSign(), "weighted"),
        (Doubled(), "weighted"),
        (OrderLost(0.8), "weighted"),
        (OtherDensity(0.3), "pathwise"),
        (Undoubled(0.3), "doubly_reparameterized"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Divergence) else value,
)
@pytest.mark.parametrize("target", SMALL, ids=lambda target: target.name)
def test_broken_divergences_are_seen_on_every_target(broken: Divergence, form: str, target: Target) -> None:
    with pytest.raises(AssertionError):
        check(target, broken, masses, {form: TOLERANCES[form]})


@pytest.mark.parametrize("target", [t for t in TARGETS if t.dim == 1], ids=lambda target: target.name)
def test_tail_adaptive_weights_by_the_distribution_of_the_weight(target: Target) -> None:
    """beta = -1/5: gamma(z) = 0.8 T(z)^(-1/5) with T(z) = Q(l >= l(z)), here from the masses of the quadrature rule.

    On 20,000 quantiles within 2 %; the ranks of other things (of the draw, not of its weight) are not.
    """
    noise, log_mass = masses("logistic", 1)
    loc, log_scale = (start.clone().requires_grad_() for start in target.start())

    def path(noise: Tensor) -> Tensor:
        z = loc + log_scale.exp() * noise
        return target.log_prob(z) - target.log_guide(z, loc.detach(), log_scale.detach(), "logistic")

    def slopes(loss: Tensor) -> Tensor:
        return torch.cat(torch.autograd.grad(loss, (loc, log_scale)))

    l, mass = path(noise), log_mass.exp()
    order = l.detach().argsort(descending=True)
    tail = torch.empty_like(mass)
    tail[order] = mass[order].cumsum(0) - mass[order] / 2
    gamma = 0.8 * mass * tail**-0.2
    assert float(gamma.sum()) == pytest.approx(1.0, abs=0.02)
    truth = slopes(-(gamma / gamma.sum() * l).sum())
    found = slopes(TailAdaptive(-0.2).path_surrogate(path(quantiles("logistic")[0])))
    assert error(found, truth) < 0.02
    assert error(slopes(ReverseKL().path_surrogate(path(quantiles("logistic")[0]))), truth) > 0.05
    by_draw = torch.full_like(mass, 1.0)
    by_draw[noise[:, 0].argsort()] = mass[noise[:, 0].argsort()].cumsum(0)
    wrong = mass * by_draw**-0.2
    assert error(slopes(-(wrong / wrong.sum() * path(noise)).sum()), truth) > 0.05
