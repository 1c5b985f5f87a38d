"""Probit, norms, powers of exponentials, and signs from ranges: against scipy, second differences and random values."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from scipy import special

from pyro_symvi.recovery.analysis import Analysis, analyze, signs
from pyro_symvi.recovery.analysis.expressions import Expressions
from pyro_symvi.recovery.analysis.log_concavity import log_concavity
from pyro_symvi.recovery.analysis.numerics import Evaluator
from pyro_symvi.recovery.analysis.polynomials import Polynomial
from pyro_symvi.recovery.analysis.values import Values, clearly_differs
from tests.recovery.analysis.quick import expression

Function = Callable[[torch.Tensor], torch.Tensor]
X = torch.tensor([[0.3, -1.0], [1.5, 0.7], [-0.2, 0.4], [0.9, -1.3], [-1.1, 0.2]], dtype=torch.float64)
Y = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0], dtype=torch.float64)
log_ndtr = torch.special.log_ndtr


def cdf(u: torch.Tensor) -> torch.Tensor:
    return dist.Normal(0.0, 1.0, validate_args=False).cdf(u)


CONCAVE: dict[str, tuple[Function, bool]] = {
    "log Phi of rows": (lambda z: log_ndtr(X @ z).sum(), True),
    "log Phi of one row": (lambda z: log_ndtr(X[0] @ z), False),
    "log of the distribution function": (lambda z: torch.log(cdf(X @ z)).sum(), True),
    "log of its complement": (lambda z: torch.log(1 - cdf(X @ z)).sum(), True),
    "log of erfc": (lambda z: torch.log(torch.special.erfc(X @ z)).sum(), True),
    "log Phi of a concave function": (lambda z: log_ndtr(1 - (z**2).sum()), True),
    "a pseudo-Huber loss": (lambda z: -torch.sqrt(1 + (X @ z) ** 2).sum(), True),
    "a norm": (lambda z: -torch.sqrt((z**2).sum()), False),
    "a norm to the power 3/2": (lambda z: -(((X @ z) ** 2).sum() ** 0.75), False),
    "a multivariate hyperbolic law": (lambda z: -torch.sqrt(1 + (z**2).sum() + z[0] * z[1]), True),
    "log sech^2": (lambda z: torch.log(1 - torch.tanh(X @ z) ** 2).sum(), True),
    "a Weibull likelihood": (lambda z: (z.sum() - (0.7 * torch.exp(X @ z)) ** 1.3).sum(), True),
    "a power of a convex function": (lambda z: -((torch.exp(z[0]) + torch.exp(-z[1])) ** 1.5), True),
}
NOT_CONCAVE: dict[str, Function] = {
    "log Phi of a convex function": lambda z: log_ndtr((z**2).sum()) - 0.01 * (z**2).sum(),
    "minus log Phi": lambda z: -log_ndtr(z[0]) - 0.01 * (z**2).sum(),
    "Phi": lambda z: cdf(z[0]) - 0.01 * (z**2).sum(),
    "log of 2 + erf": lambda z: torch.log(2 + torch.erf(z[0])) - 0.01 * (z**2).sum(),
    "a clamped distribution function": lambda z: (
        torch.log(torch.clamp(cdf(z[0]), 1e-7, 1 - 1e-7)) - 0.01 * (z**2).sum()
    ),
    "a power below 1/2 of a square": lambda z: -((1 + (z**2).sum()) ** 0.4),
    "a root of a product of squares": lambda z: -torch.sqrt(1 + z[0] ** 2 * z[1] ** 2) - 0.001 * (z**2).sum(),
    "a root of a shifted square": lambda z: -torch.sqrt(1 + (z[0] ** 2 - 1) ** 2) - 0 * z[1],
    "log(1 - tanh^4)": lambda z: torch.log(1 - torch.tanh(z[0]) ** 4) - 0.01 * (z**2).sum(),
    "plus a norm": lambda z: torch.sqrt(1 + (z**2).sum()) - 0.001 * (z**2).sum(),
}


@pytest.mark.parametrize("name", CONCAVE)
def test_concave(name: str) -> None:
    function, strict = CONCAVE[name]
    table, p = expression(function, 2)
    assert not table.open_obligations
    found = log_concavity(table, p, 2)
    assert found.joint and found.full_support and found.strict is strict
    a, b = 1.5 * torch.randn(2, 300, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))

    def f(z: torch.Tensor) -> torch.Tensor:
        return torch.stack([function(point) for point in z])  # log_ndtr has no batching rule

    gap = f((a + b) / 2) - (f(a) + f(b)) / 2
    gap = gap[torch.isfinite(gap)]
    assert bool((gap > (1e-12 if strict else -1e-9)).all())


@pytest.mark.parametrize("name", NOT_CONCAVE)
def test_not_concave(name: str) -> None:
    table, p = expression(NOT_CONCAVE[name], 2)
    assert table.open_obligations or not log_concavity(table, p, 2).joint


@pytest.mark.parametrize("kind", ["log_ndtr", "log_half_erfc"])
def test_values_and_slopes_of_log_phi(kind: str) -> None:
    table = Expressions()
    p = table.function(kind, table.coordinate(0), sign=signs.NEGATIVE)
    z = np.linspace(-6, 3, 19)[:, None]
    value, slope, _ = Evaluator(table, z, np.ones_like(z))(p)
    root = 1.0 if kind == "log_ndtr" else math.sqrt(2)
    t = root * z[:, 0]
    assert np.allclose(np.asarray(value, float), special.log_ndtr(t), rtol=1e-12)
    hazard = root * np.exp(-t * t / 2 - special.log_ndtr(t)) / math.sqrt(2 * math.pi)
    assert np.allclose(np.asarray(slope, float), hazard, rtol=1e-12)
    assert np.allclose(Values(table, p)(z)[0], special.log_ndtr(t), rtol=1e-12)


def probit(link: str) -> Analysis:
    def model() -> None:
        beta = pyro.sample("beta", dist.Normal(torch.zeros(2), 2.0).to_event(1))
        eta = X @ beta
        if link == "clamped":
            pyro.sample("y", dist.Bernoulli(probs=cdf(eta)).to_event(1), obs=Y)
        else:
            signed = (2 * Y - 1) * eta
            pyro.factor("y", (log_ndtr(signed) if link == "log_ndtr" else torch.log(cdf(signed))).sum())

    return analyze(model)


def test_probit_regression() -> None:
    exact = probit("log_ndtr")
    assert exact.concavity is not None and exact.is_plain
    assert exact.concavity.joint and exact.concavity.strict and 0.24 < exact.concavity.modulus <= 0.25
    assert exact.has_moments(2)
    rounded = probit("log of cdf")
    assert rounded.concavity is not None and rounded.concavity.joint and rounded.concavity.strict
    assert not rounded.is_plain and "log(1 + erf(u))" in rounded.idealisations[0]


def test_a_probit_whose_probabilities_are_clamped_is_refused() -> None:
    assert "logarithm's argument" in probit("clamped").refusal


def test_a_dirichlet_prior_and_a_correlation_matrix_are_read() -> None:
    """Obligations on products of sigmoids and of 1 - tanh^2 are met; the saturation of the transforms is said."""

    def simplex() -> None:
        pyro.sample("p", dist.Dirichlet(torch.tensor([2.0, 3.0, 4.0, 1.5])))

    def correlated() -> None:
        root = pyro.sample("root", dist.LKJCholesky(3, 1.5))
        pyro.sample("x", dist.MultivariateNormal(torch.zeros(3), scale_tril=root))

    found = analyze(simplex)
    assert found.refusal == "" and not found.is_plain and found.concavity is not None
    assert found.concavity.joint and found.has_moments(2)
    found = analyze(correlated)
    assert found.refusal == "" and not found.is_plain and any("tanh" in text for text in found.idealisations)
    assert found.concavity is not None and not found.concavity.joint
    assert 5 in found.concavity.given_rest


# -- signs from ranges ---------------------------------------------------------------------------------------------


def sign_of(function: Function, dim: int) -> tuple[Expressions, Polynomial, int]:
    table, p = expression(function, dim)
    bare = Polynomial(p.terms, p.denominator, signs.ANY)
    return table, p, table.sign(bare)


@pytest.mark.parametrize(
    ("function", "sign"),
    [
        (lambda z: (1 - torch.sigmoid(z[0])) * (1 - torch.sigmoid(z[1])), signs.POSITIVE),
        (lambda z: (1 - torch.sigmoid(z[0])) * (1 - torch.tanh(z[1]) ** 2), signs.POSITIVE),
        (lambda z: torch.tanh(z[0]) * torch.tanh(z[1]) - 1, signs.NEGATIVE),
        (lambda z: torch.sigmoid(z[0]) - torch.sigmoid(z[0]) * torch.tanh(z[1]) ** 2, signs.POSITIVE),
        (lambda z: torch.tanh(z[0] ** 2) * (1 - torch.sigmoid(z[1])), signs.NON_NEGATIVE),
        (lambda z: torch.sigmoid(z[0]) - torch.sigmoid(z[1]), signs.ANY),
        (lambda z: 1 - torch.tanh(z[0]) - torch.tanh(z[1]), signs.ANY),
        (lambda z: torch.tanh(z[0]) ** 2 - torch.tanh(z[0]) ** 2 * torch.sigmoid(z[1]), signs.NON_NEGATIVE),
        (lambda z: 1 - 2 * torch.sigmoid(z[0]) + torch.sigmoid(z[1]), signs.ANY),
    ],
)
def test_signs_from_ranges(function: Function, sign: int) -> None:
    assert sign_of(function, 2)[2] == sign


@pytest.mark.parametrize("seed", range(60))
def test_random_multilinear_signs(seed: int) -> None:
    rng = random.Random(seed)
    even = [lambda u: torch.tanh(u) ** 2, lambda u: torch.erf(u**2), lambda u: torch.ones(())]
    atoms = [torch.sigmoid, torch.tanh, *even]
    terms = [
        (rng.randint(-2, 2), [rng.choice(atoms) for _ in range(3)], [rng.randint(0, 2) for _ in range(3)])
        for _ in range(rng.randint(1, 5))
    ]

    def function(z: torch.Tensor) -> torch.Tensor:
        value = torch.tensor(float(rng_constant), dtype=torch.float64) + 0 * z.sum()
        for c, functions, places in terms:
            part = torch.tensor(float(c), dtype=torch.float64)
            for f, j in zip(functions, places, strict=True):
                part = part * f(z[j])
            value = value + part
        return value

    rng_constant = rng.randint(-3, 4)
    sign = sign_of(function, 3)[2]
    spread = torch.tensor([0.0, 0.1, 1.0, 4.0], dtype=torch.float64).repeat_interleave(100)[:, None]
    z = torch.randn(400, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * spread
    values = torch.func.vmap(function)(z)
    for bit, wrong in ((signs.POSITIVE, values > 1e-9), (signs.NEGATIVE, values < -1e-9), (signs.ZERO, z[:, 0] == 9)):
        if not sign & bit:
            assert not bool(wrong.any())
    if not sign & signs.ZERO and sign != 0:
        assert bool((values.abs() > 1e-30).all())


def test_the_filter_sees_differences_and_lets_invariance_pass() -> None:
    table, p = expression(lambda z: -(z**2).sum() - torch.exp(z[0] - z[1]) - torch.exp(z[1] - z[0]), 2)
    swap = {0: table.coordinate(1), 1: table.coordinate(0)}
    flip = {0: table.scaled(table.coordinate(0), -1)}
    assert not clearly_differs(table, p, swap) and clearly_differs(table, p, flip)
