"""Permutations, signed or not: each kind found and proved, none where data or constants differ."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch

from pyro_symvi.recovery.analysis import Analysis, analyze, analyze_function
from pyro_symvi.recovery.analysis.findings import SignedPermutation
from pyro_symvi.recovery.analysis.permutations import Permutations, find_permutations
from tests.recovery.analysis.quick import expression

Function = Callable[[torch.Tensor], torch.Tensor]
F = torch.nn.functional


def found(function: Function, dim: int, sites: tuple[tuple[int, ...], ...] = ()) -> Permutations:
    table, p = expression(function, dim)
    return find_permutations(table, p, dim, sites)


def group(generators: list[tuple[int, ...]], dim: int) -> set[tuple[int, ...]]:
    """All products."""
    known = {tuple(range(dim))}
    fresh = list(known)
    while fresh:
        fresh = [tuple(h[k] for k in g) for g in generators for h in fresh]
        fresh = [g for g in set(fresh) if g not in known]
        known.update(fresh)
    return known


def invariance_group(function: Function, dim: int) -> set[tuple[int, ...]]:
    """By brute force, in floating point."""
    z = torch.randn(6, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    value = torch.func.vmap(function)
    here = value(z)
    return {
        g
        for g in itertools.permutations(range(dim))
        if bool(((value(z[:, list(g)]) - here).abs() < 1e-9 * (1 + here.abs())).all())
    }


def test_any_two_coordinates_not_only_neighbours() -> None:
    """z_0 and z_2 share their law, z_1 and z_3 theirs."""
    offsets = torch.tensor([0.5, 1.0, 0.5, 1.0], dtype=torch.float64)
    perms = found(lambda z: -torch.log1p((z - offsets) ** 2).sum(), 4)
    assert perms.exchangeable == ((0, 2), (1, 3))


def test_a_funnel_with_a_hundred_arms() -> None:
    perms = found(lambda z: -(z[0] ** 2) / 18 - 50 * z[0] - 0.5 * torch.exp(-z[0]) * (z[1:] ** 2).sum(), 101)
    assert perms.exchangeable == (tuple(range(1, 101)),) and len(perms.generators) == 99


def mixture(y: torch.Tensor) -> None:
    """Three components with their own weights, locations and scales; weights by softmax of free numbers."""
    weight = pyro.sample("weight", dist.Normal(torch.zeros(3), 1.0).to_event(1))
    loc = pyro.sample("loc", dist.Normal(torch.zeros(3), 3.0).to_event(1))
    spread = pyro.sample("spread", dist.Normal(torch.zeros(3), 1.0).to_event(1))
    parts = dist.Normal(loc, spread.exp()).log_prob(y[:, None]) + weight
    pyro.factor("y", (parts.logsumexp(-1) - weight.logsumexp(-1)).sum())


def test_labels_of_a_mixture_with_weights_and_scales() -> None:
    analysis = analyze(mixture, torch.tensor([0.1, 2.0, -1.0, 0.7], dtype=torch.float64))
    assert analysis.exchangeable == () and analysis.swaps == ()
    assert analysis.exchangeable_blocks == (((0, 3, 6), (1, 4, 7), (2, 5, 8)),)
    assert len(group(list(analysis.permutations), 9)) == 6


def test_weights_by_stick_breaking_are_not_permuted() -> None:
    """A simplex is mapped to free numbers by breaking sticks, which treats its entries unequally."""

    def model(y: torch.Tensor) -> None:
        weight = pyro.sample("weight", dist.Dirichlet(torch.ones(3)))
        loc = pyro.sample("loc", dist.Normal(torch.zeros(3), 3.0).to_event(1))
        pyro.sample("y", dist.MixtureSameFamily(dist.Categorical(weight), dist.Normal(loc, 1.0)), obs=y)

    analysis = analyze(model, torch.tensor(0.3, dtype=torch.float64))
    assert analysis.permutations == () and analysis.exchangeable_blocks == ()


def test_plate_indices_in_all_sites_at_once() -> None:
    """Groups with equal data: their effects and log-scales move together; with data that differ they do not."""

    def model(y: torch.Tensor) -> None:
        effect = pyro.sample("effect", dist.Normal(torch.zeros(4), 1.0).to_event(1))
        spread = pyro.sample("spread", dist.Normal(torch.zeros(4), 1.0).to_event(1))
        pyro.sample("y", dist.Normal(effect[:, None], spread.exp()[:, None]).to_event(2), obs=y)

    rows = torch.tensor([[0.3, 1.0], [0.3, 1.0], [0.3, 1.0], [2.0, 1.0]], dtype=torch.float64)
    analysis = analyze(model, rows)
    assert analysis.exchangeable == () and analysis.exchangeable_blocks == (((0, 4), (1, 5), (2, 6)),)
    rows[1, 0] = np.nextafter(0.3, 1)
    assert analyze(model, rows).exchangeable_blocks == (((0, 4), (2, 6)),)
    assert analyze(model, rows[[0, 1, 3, 3]] + torch.arange(4).double()[:, None]).permutations == ()


def test_order_of_data_does_not_matter() -> None:
    """The likelihood of a group depends on its data as a multiset."""

    def function(z: torch.Tensor) -> torch.Tensor:
        y = torch.tensor([[0.3, 1.0, 2.0], [1.0, 2.0, 0.3]], dtype=torch.float64)
        return -torch.log1p((y - z[:, None]) ** 2).sum()

    assert found(function, 2).exchangeable == ((0, 1),)


def test_whole_sites() -> None:
    weights = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)

    def function(z: torch.Tensor) -> torch.Tensor:
        return -(weights * (z[:3] ** 4 + z[3:] ** 4)).sum() - (z[:3] * z[3:]).sum() ** 2 - (z[:3] - z[3:]).sum() ** 4

    perms = found(function, 6, ((0, 1, 2), (3, 4, 5)))
    assert group([g.images for g in perms.generators], 6) == {(0, 1, 2, 3, 4, 5), (3, 4, 5, 0, 1, 2)}


def ring(z: torch.Tensor) -> torch.Tensor:
    return -((z - z.roll(1)) ** 2).sum() - (z**4).sum()


def directed_ring(z: torch.Tensor) -> torch.Tensor:
    return -(torch.exp(z - z.roll(1))).sum() - torch.log1p(z**2).sum()


@pytest.mark.parametrize(("function", "order"), [(ring, 12), (directed_ring, 6)])
def test_dihedral_and_cyclic_shifts(function: Function, order: int) -> None:
    perms = found(function, 6)
    assert perms.exchangeable == ()
    assert len(group([g.images for g in perms.generators], 6)) == order


def test_a_reflected_swap() -> None:
    """softplus of one coordinate beside softplus of minus the other."""
    perms = found(lambda z: -F.softplus(z[0]) - F.softplus(-z[1]) - (z**4).sum(), 2)
    assert perms.exchangeable == ()
    assert perms.generators == [SignedPermutation((1, 0), (-1, -1), (Fraction(0),) * 2)]


def test_a_shifted_swap() -> None:
    """One skewed law about 1 and about -2: z_0 -> z_1 + 3."""

    def function(z: torch.Tensor) -> torch.Tensor:
        u = z - torch.tensor([1.0, -2.0], dtype=torch.float64)
        return -torch.log1p(u**2).sum() - torch.exp(u).sum()

    analysis = analyze_function(function, 2)
    assert analysis.permutations == ()
    assert analysis.signed_permutations == (SignedPermutation((1, 0), (1, 1), (Fraction(3), Fraction(-3))),)


def test_signs_by_products() -> None:
    """z_0 z_1 - z_1 z_2: z_0 and z_2 change places with a sign."""
    perms = found(lambda z: -(z**4).sum() + z[0] * z[1] - z[1] * z[2] - torch.log1p(torch.exp(z[1]) + z[1] ** 2), 3)
    (g,) = [g for g in perms.generators if not g.is_permutation]
    assert g.images == (2, 1, 0) and g.signs == (-1, 1, -1)


@pytest.mark.parametrize("seed", range(24))
def test_random_densities_against_brute_force(seed: int) -> None:
    """Every generator is an invariance; single-coordinate exchangeability is found whole."""
    rng = random.Random(seed)
    dim = rng.randint(3, 5)
    steps: list[Function] = [torch.tanh, torch.abs, torch.cos, F.softplus, torch.exp, lambda u: torch.log1p(u**2)]
    parts = []
    for _ in range(rng.randint(1, 3)):
        row = torch.tensor([float(rng.choice([-1, 0, 1, 1, 2])) for _ in range(dim)], dtype=torch.float64)
        images = torch.stack([row[list(g)] for g in rng.choice(_GROUPS[dim])])
        parts.append((images, rng.choice(steps)))
    offset = rng.choice([0.0, 0.25])

    def function(z: torch.Tensor) -> torch.Tensor:
        value = -0.1 * (z**2).sum()
        for images, step in parts:
            value = value - step(0.5 * (images @ z) - offset).sum()
        return value

    perms = found(function, dim)
    true = invariance_group(function, dim)
    assert all(g.images in true for g in perms.generators if g.is_permutation)
    pairs = {(a, b) for a, b in itertools.combinations(range(dim), 2) if _transposition(a, b, dim) in true}
    assert pairs == {pair for part in perms.exchangeable for pair in itertools.combinations(part, 2)}
    z = torch.randn(20, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    value = torch.func.vmap(function)
    for g in perms.generators:
        image = z[:, list(g.images)] * torch.tensor(g.signs) + torch.tensor([float(b) for b in g.offset]).double()
        assert torch.allclose(value(image), value(z), rtol=1e-9, atol=1e-9)


def _transposition(a: int, b: int, dim: int) -> tuple[int, ...]:
    images = list(range(dim))
    images[a], images[b] = b, a
    return tuple(images)


_GROUPS = {
    d: [
        sorted(group([tuple(range(d))], d)),
        sorted(group([_transposition(0, 1, d)], d)),
        sorted(group([_transposition(0, 2, d)], d)),
        sorted(group([(*range(1, d), 0)], d)),
        sorted(group([_transposition(0, 1, d), (*range(1, d), 0)], d)),
    ]
    for d in (3, 4, 5)
}


def test_the_report_names_them() -> None:
    analysis: Analysis = analyze_function(lambda z: -(z**4).sum(), 3)
    assert analysis.exchangeable == ((0, 1, 2),)
    assert analysis.permutations == ((1, 0, 2), (0, 2, 1))
    for g in analysis.permutations:
        matrix = [[int(k == g[j]) for k in range(3)] for j in range(3)]
        assert analysis.prove_invariance(matrix)
