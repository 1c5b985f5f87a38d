"""Strict concavity: by rank, against midpoints; every positive case beside a twin that is flat along one line."""

from __future__ import annotations

from collections.abc import Callable

import pyro
import pyro.distributions as dist
import pytest
import torch

from pyro_symvi.recovery.analysis import analyze
from pyro_symvi.recovery.analysis.log_concavity import log_concavity
from tests.recovery.analysis.quick import expression

F = torch.nn.functional
Function = Callable[[torch.Tensor], torch.Tensor]
X = torch.tensor([[0.3, -1.0], [1.5, 0.7], [-0.2, 0.4]], dtype=torch.float64)
PARALLEL = torch.tensor([[0.25, -1.0], [0.5, -2.0], [-0.75, 3.0]], dtype=torch.float64)


def lse(z: torch.Tensor) -> torch.Tensor:
    return torch.logsumexp(torch.stack([z[0], z[1], torch.zeros((), dtype=torch.float64)]), 0)


STRICT: dict[str, Function] = {
    "a quadratic": lambda z: -(z[0] ** 2) - z[0] * z[1] - z[1] ** 2,
    "softplus in two directions": lambda z: -F.softplus(X @ z).sum(),
    "exponentials in two directions": lambda z: z.sum() - torch.exp(X @ z).sum(),
    "a quadratic in one, an exponential in the other": lambda z: -((z[0] + z[1]) ** 2) - torch.exp(z[0] - z[1]),
    "quartics": lambda z: -((z**4).sum()) + z[0],
    "a normaliser with a reference class": lambda z: z[0] - lse(z),
    "exp of a convex function": lambda z: -torch.exp(z[0] ** 2 + z[1] ** 2),
    "a softplus of a convex function": lambda z: -F.softplus(torch.exp(z[0]) + torch.exp(z[1])),
    "absolute values beside a quadratic": lambda z: -torch.abs(z).sum() - (z**2).sum(),
}
FLAT: dict[str, Function] = {
    "a quadratic of rank one": lambda z: -((z[0] + z[1]) ** 2),
    "softplus in one direction": lambda z: -F.softplus(PARALLEL @ z).sum(),
    "exponentials in one direction": lambda z: z[0] - torch.exp(PARALLEL @ z).sum(),
    "a quadratic and an exponential of one argument": lambda z: -((z[0] - z[1]) ** 2) - torch.exp(z[0] - z[1]),
    "a quartic of one": lambda z: -(z[0] ** 4) + z[1],
    "a normaliser without a reference class": lambda z: z[0] - torch.logsumexp(z, 0),
    "absolute values": lambda z: -torch.abs(z).sum() - torch.abs(z - 1).sum(),
    "absolute values beside a softplus": lambda z: -torch.abs(z).sum() - F.softplus(z[0]),
    "exp of an absolute value": lambda z: -torch.exp(torch.abs(z[0])) - z[1] ** 2,
}


@pytest.mark.parametrize("name", STRICT)
def test_strictly_concave(name: str) -> None:
    function = STRICT[name]
    table, p = expression(function, 2)
    found = log_concavity(table, p, 2)
    assert found.joint and found.strict and found.strict_given_rest == (0, 1)
    generator = torch.Generator().manual_seed(1)
    a, b = torch.randn(2, 200, 2, dtype=torch.float64, generator=generator)
    f = torch.func.vmap(function)
    gap = f((a + b) / 2) - (f(a) + f(b)) / 2
    assert bool((gap > 1e-12 * (1 + f(a).abs() + f(b).abs())).all())


@pytest.mark.parametrize("name", FLAT)
def test_concave_but_not_shown_strict(name: str) -> None:
    table, p = expression(FLAT[name], 2)
    found = log_concavity(table, p, 2)
    assert found.joint and not found.strict


def test_strict_in_a_coordinate_whatever_the_rest() -> None:
    """-z0^2 e^z1 is strictly concave in z0; -z0^2 z1^2 is flat where z1 = 0."""
    table, p = expression(lambda z: -(z[0] ** 2) * torch.exp(z[1]), 2)
    assert log_concavity(table, p, 2).strict_given_rest == (0,)
    table, p = expression(lambda z: -(z[0] ** 2) * z[1] ** 2, 2)
    found = log_concavity(table, p, 2)
    assert found.given_rest == (0, 1) and found.strict_given_rest == ()


@pytest.mark.parametrize("full_rank", [True, False])
def test_flat_prior_logistic_regression_is_strict_iff_its_rows_span(full_rank: bool) -> None:
    x = X if full_rank else PARALLEL

    def model() -> None:
        beta = pyro.sample("beta", dist.Laplace(torch.zeros(2), 1.0).to_event(1))
        with pyro.plate("data", 3):
            pyro.sample("y", dist.Bernoulli(logits=x @ beta), obs=torch.tensor([0.0, 1.0, 1.0]))

    analysis = analyze(model)
    assert analysis.concavity is not None and analysis.is_plain
    assert analysis.concavity.joint and analysis.concavity.strict is full_rank
    assert ("strictly concave" in str(analysis)) is full_rank
