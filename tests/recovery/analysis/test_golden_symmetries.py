"""What is symmetric in models whose symmetries are known by hand, and how claims move with the model."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch

from pyro_symvi.recovery.analysis import Analysis, analyze, analyze_function

Function = Callable[[torch.Tensor], torch.Tensor]
F = torch.nn.functional
X = torch.tensor([[1.0, 0.3], [1.0, -1.2], [1.0, 2.0], [1.0, 0.1], [1.0, 0.7]], dtype=torch.float64)
Y = torch.tensor([0.5, -1.0, 2.2, 0.4, 0.1], dtype=torch.float64)
ZERO = torch.tensor(0.0, dtype=torch.float64)


def known_noise() -> None:
    b = pyro.sample("b", dist.Normal(torch.zeros(2).double(), 2.0).to_event(1))
    pyro.sample("y", dist.Normal(X @ b, 0.5).to_event(1), obs=Y)


def fixed_prior() -> None:
    b = pyro.sample("b", dist.Normal(torch.zeros(2).double(), 2.0).to_event(1))
    s = pyro.sample("s", dist.HalfCauchy(ZERO + 1))
    pyro.sample("y", dist.Normal(X @ b, s).to_event(1), obs=Y)


def logistic() -> None:
    b = pyro.sample("b", dist.Normal(torch.zeros(2).double(), 2.0).to_event(1))
    pyro.sample("y", dist.Bernoulli(logits=X @ b).to_event(1), obs=(Y > 0.3).double())


def mirrored_logistic() -> None:
    b = pyro.sample("b", dist.Normal(torch.zeros(2).double(), 2.0).to_event(1))
    labels = torch.cat([torch.ones(5), torch.zeros(5)]).double()
    pyro.sample("y", dist.Bernoulli(logits=torch.cat([X, X]) @ b).to_event(1), obs=labels)


def poisson() -> None:
    b = pyro.sample("b", dist.Normal(torch.zeros(2).double(), 2.0).to_event(1))
    pyro.sample("y", dist.Poisson((X @ b).exp()).to_event(1), obs=torch.arange(5).double())


def student_priors() -> None:
    pyro.sample("x", dist.StudentT(4.0, torch.tensor([0.5, -1.0, 2.0]).double(), 1.0).to_event(1))


def laplace_prior() -> None:
    b = pyro.sample("b", dist.Laplace(torch.zeros(2).double(), 1.0).to_event(1))
    pyro.sample("y", dist.Normal(X @ b, 0.5).to_event(1), obs=Y)


def funnel() -> None:
    v = pyro.sample("v", dist.Normal(ZERO, 3.0))
    pyro.sample("x", dist.Normal(torch.zeros(4).double(), torch.exp(v / 2)).to_event(1))


def two_components() -> None:
    m = pyro.sample("m", dist.Normal(torch.zeros(2).double(), 3.0).to_event(1))
    parts = dist.Normal(m, 1.0).log_prob(Y[:, None])
    pyro.factor("y", parts.logsumexp(-1).sum())


def factor() -> None:
    w = pyro.sample("w", dist.Normal(torch.zeros(3).double(), 1.0).to_event(1))
    z = pyro.sample("z", dist.Normal(ZERO, 1.0))
    pyro.sample("y", dist.Normal(w * z, 1.0).to_event(1), obs=Y[:3])


def beta_binomial() -> None:
    p = pyro.sample("p", dist.Beta(ZERO + 2, ZERO + 2))
    pyro.sample("y", dist.Binomial(10, p), obs=ZERO + 5)


def gamma_poisson() -> None:
    rate = pyro.sample("rate", dist.Gamma(ZERO + 2, ZERO + 1))
    pyro.sample("y", dist.Poisson(rate), obs=ZERO + 3)


def tied_mvn() -> None:
    t = pyro.sample("t", dist.LogNormal(ZERO, 1.0))
    root = torch.tensor([[2.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.0, -0.5, 1.5]]).double()
    pyro.sample("b", dist.MultivariateNormal(torch.tensor([1.0, -2.0, 0.5]).double(), scale_tril=t * root))


def even_parts(analysis: Analysis) -> set[tuple[int, ...]]:
    parts = [*analysis.reflections, *(b for b in analysis.blocks if b.is_symmetric), *analysis.ellipses]
    return {part.coordinates for part in parts}


# model: reflected sets, exchangeable sets, coordinates of affine centres that move
GOLDEN: dict[Callable[[], None], tuple[set[tuple[int, ...]], tuple[tuple[int, ...], ...], set[tuple[int, ...]]]] = {
    known_noise: ({(0, 1)}, (), {(0,), (1,)}),
    fixed_prior: (set(), (), set()),
    logistic: (set(), (), set()),
    mirrored_logistic: ({(0, 1)}, (), set()),
    poisson: (set(), (), set()),
    student_priors: ({(0,), (1,), (2,)}, (), set()),
    laplace_prior: (set(), (), set()),
    funnel: ({(1, 2, 3, 4), (1,), (2,), (3,), (4,)}, ((1, 2, 3, 4),), set()),
    two_components: (set(), ((0, 1),), set()),
    factor: ({(0, 1, 2, 3)}, (), set()),
    beta_binomial: ({(0,)}, (), set()),
    gamma_poisson: (set(), (), set()),
    tied_mvn: ({(1, 2, 3)}, (), {(1,), (2,), (3,)}),
}


@pytest.mark.parametrize("model", GOLDEN, ids=lambda m: m.__name__)
def test_golden(model: Callable[[], None]) -> None:
    reflected, exchangeable, affine = GOLDEN[model]
    analysis = analyze(model)
    assert not analysis.refusal
    assert even_parts(analysis) == reflected
    assert analysis.exchangeable == exchangeable
    assert {c.coordinates for c in analysis.affine_centers} == affine
    assert analysis.rotations == ()


# -- how claims move ------------------------------------------------------------------------------------------------


def hierarchy(z: torch.Tensor) -> torch.Tensor:
    """A reflection, a conditional centre, an exchangeable pair, an elliptical pair."""
    m, s, a, e = z[0], z[1], z[2:4], z[4:6]
    return (
        -((a - 0.5 * m - 0.25) ** 2).sum() * torch.exp(-s)
        - torch.exp(m)
        + m
        - s**4
        - s
        - 3 * torch.log1p((e[0] - 0.5) ** 2 + (e[0] - 0.5 + 2 * (e[1] - 1)) ** 2)
    )


def test_reordered_sites() -> None:
    order = [4, 2, 0, 5, 3, 1]

    def reordered(z: torch.Tensor) -> torch.Tensor:
        original = torch.zeros(6, dtype=z.dtype).index_put((torch.tensor(order),), z)
        return hierarchy(original)

    place = {old: new for new, old in enumerate(order)}

    def moved(parts: set[tuple[int, ...]]) -> set[tuple[int, ...]]:
        return {tuple(sorted(place[j] for j in part)) for part in parts}

    before, after = analyze_function(hierarchy, 6), analyze_function(reordered, 6)
    assert even_parts(after) == moved(even_parts(before)) and even_parts(before)
    assert set(after.exchangeable) == moved(set(before.exchangeable)) == moved({(2, 3)})
    assert {e.coordinates for e in after.ellipses} == moved({(4, 5)})
    lines = {(c.coordinates, c.on): (c.intercept, c.slope) for c in before.affine_centers}
    assert ((2,), (0,)) in lines or ((2, 3), (0,)) in lines
    assert {(c.coordinates, c.on): (c.intercept, c.slope) for c in after.affine_centers} == {
        (tuple(place[j] for j in block), tuple(place[k] for k in on)): line for (block, on), line in lines.items()
    }


@pytest.mark.parametrize("seed", range(4))
def test_rational_affine_coordinates(seed: int) -> None:
    """w = T z + t, T triangular: centres become T c + t, conditional slopes those of the new coordinates."""
    rng = random.Random(seed)
    d = 3
    root = torch.tensor([[2.0, 0.0, 0.0], [1.0, 1.0, 0.0], [-1.0, 0.5, 1.0]], dtype=torch.float64)
    center = torch.tensor([rng.randint(-4, 4) / 4 for _ in range(d)], dtype=torch.float64)
    lower = torch.eye(d, dtype=torch.float64)
    lower[1, 0], lower[2, 0], lower[2, 1] = (rng.randint(-2, 2) / 2 for _ in range(3))
    shift = torch.tensor([rng.randint(-4, 4) / 2 for _ in range(d)], dtype=torch.float64)
    back = torch.linalg.inv(lower)  # entries are dyadic

    def student(z: torch.Tensor) -> torch.Tensor:
        u = root @ (z - center)
        return -4 * torch.log1p((u**2).sum())

    (before,) = analyze_function(student, d).ellipses
    (after,) = analyze_function(lambda w: student(back @ (w - shift)), d).ellipses
    assert [float(c) for c in after.center] == (lower @ center + shift).tolist()
    old, new = (torch.tensor([[float(x) for x in row] for row in e.block.shape]).double() for e in (before, after))
    image = back.mT @ old @ back
    assert torch.allclose(new / new[0, 0], image / image[0, 0], rtol=1e-12)


def test_duplicated_data_with_half_the_weight() -> None:
    def times(n: int) -> Function:
        x, y = torch.cat([X] * n), torch.cat([Y] * n)
        return lambda z: -((y - x @ z[:2]) ** 2).sum() / n * torch.exp(-z[2]) - torch.exp(z[2]) - z[2]

    first, second = analyze_function(times(1), 3), analyze_function(times(2), 3)
    (a,), (b,) = ([x for x in analysis.blocks if x.is_symmetric] for analysis in (first, second))
    assert a.center == b.center and a.correlation == b.correlation


def _next(x: float) -> float:
    return float(np.nextafter(x, 9.0))


def symmetric(constants: list[float]) -> Function:
    """Even about 0.3 in z_0; z_1 and z_2 exchangeable; z_3 about 0.1 + 0.7 z_0 ... with every constant used twice."""
    a, b, c, d, e, f = constants

    def function(z: torch.Tensor) -> torch.Tensor:
        return (
            -torch.log1p((z[0] - a) ** 2)
            - (z[0] - b) ** 4
            - c * z[1] ** 4
            - d * z[2] ** 4
            + torch.tanh(z[1])
            + torch.tanh(z[2])
            - (z[3] - e * z[1]) ** 2 * torch.exp(z[1] + z[2])
            - (z[3] - f * z[1]) ** 2
            - (z[3] - f * z[2]) ** 2 * 0
        )

    return function


BASE = [0.3, 0.3, 0.7, 0.7, 0.1, 0.1]


def claims(function: Function) -> tuple[bool, bool, bool]:
    analysis = analyze_function(function, 4)
    return (
        (0,) in even_parts(analysis),
        any(g[1] == 2 for g in analysis.permutations),
        any(c.coordinates == (3,) and c.slope == ((Fraction(0.1),),) for c in analysis.affine_centers),
    )


def test_before_mutation() -> None:
    assert claims(symmetric(BASE)) == (True, False, True)
    pair = symmetric([0.3, 0.3, 0.7, 0.7, 0.0, 0.0])
    assert claims(pair)[:2] == (True, True)


@pytest.mark.parametrize("which", range(6))
def test_a_unit_in_the_last_place_removes_what_rests_on_it(which: int) -> None:
    constants = [*BASE[:4], 0.1, 0.1] if which in (0, 1, 4, 5) else [*BASE[:4], 0.0, 0.0]
    constants[which] = _next(constants[which])
    even, exchangeable, line = claims(symmetric(constants))
    assert even == (which not in (0, 1))
    if which in (2, 3):
        assert not exchangeable
    if which in (4, 5):
        assert not line


@pytest.mark.parametrize("mutation", ["a swapped row", "a sign"])
def test_mirrored_data_with_one_change(mutation: str) -> None:
    rows = torch.cat([X, X])
    labels = torch.cat([torch.ones(5), torch.zeros(5)]).double()
    if mutation == "a swapped row":
        labels[[1, 6]] = labels[[6, 1]]
        labels[0] = 0.0
    else:
        rows[3, 1] = -rows[3, 1]

    def function(z: torch.Tensor) -> torch.Tensor:
        eta = rows @ z
        return (labels * eta - F.softplus(eta)).sum() - (z**2).sum()

    assert even_parts(analyze_function(function, 2)) == set()
