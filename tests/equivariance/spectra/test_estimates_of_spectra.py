"""Energies from random elements: unbiased where the plug-in is not, and with honest standard errors."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from pyro_symvi.equivariance import MonteCarlo, spectrum
from pyro_symvi.equivariance.spectra._estimates import DrawSums
from pyro_symvi.groups import (
    CoordinatePermutation,
    Cyclic,
    FiniteMatrixGroup,
    Group,
    NaturalAction,
    SpecialOrthogonal,
    Symmetric,
    UnsupportedError,
    wigner_d,
)

SO3 = SpecialOrthogonal(3)


def test_plug_in_is_biased_and_the_u_statistic_is_not() -> None:
    """Degree 4, where the true energy is 0: at n = 500 the plug-in shows 81 E u^2 / 500 = 0.0281 in the mean."""
    n, repeats = 500, 24
    scale = math.sqrt(0.17346 / 0.6)
    elements = SO3.sample((repeats * n,), generator=torch.Generator().manual_seed(1))
    images = elements @ torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64)
    u = scale * (1.5 * images[:, 2] ** 2 - 0.5 + images[:, 0] * math.sqrt(1.2))  # E u^2 = scale^2 (1/5 + 2/5)
    matrices = wigner_d(4, elements).reshape(repeats, n, 81)
    plain, fixed = [], []
    irreps = [SO3.irreps(0)[0], SO3.irreps(4)[4]]
    for m, v in zip(matrices, u.reshape(repeats, n), strict=True):
        plain.append(9 * (m.mT @ v / n).square().sum())
        sums = DrawSums(irreps, n)
        sums.add_block(torch.cat([torch.ones(n, 1, dtype=torch.float64), m], 1), torch.ones(n), v[:, None])
        fixed.append(sums.estimates()[0][0, 1, 0])
    plug_in, unbiased = torch.stack(plain), torch.stack(fixed)
    error = float(plug_in.std()) / math.sqrt(repeats)  # about 1e-3
    assert float(plug_in.mean()) == pytest.approx(81 * 0.17346 / n, abs=3 * error)
    assert float(plug_in.mean()) > 20 * error
    assert abs(float(unbiased.mean())) < 3 * float(unbiased.std()) / math.sqrt(repeats)
    assert float(unbiased.min()) < 0


def _quaternion_group() -> Group:
    i = torch.tensor([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0.0]], dtype=torch.float64)
    j = torch.tensor([[0, 0, -1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, -1, 0, 0.0]], dtype=torch.float64)
    return FiniteMatrixGroup.generated_by([i, j])


@pytest.mark.parametrize(
    "group", [Symmetric(3), Cyclic(4), _quaternion_group()], ids=["real", "complex", "quaternionic"]
)
def test_mean_over_all_pairs_of_draws_is_exact_for_every_kind(group: Group) -> None:
    """Two draws from a finite group: the mean over all pairs of elements is the expectation, with no noise."""
    elements = group.elements()
    u = torch.randn(len(elements), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    irreps = group.irreps()
    matrices = torch.cat([r.matrix(elements).flatten(1) for r in irreps], 1)
    sums, centre = DrawSums(irreps, 16), torch.tensor([0.7], dtype=torch.float64)
    found, totals, plug_in = [], [], []
    factors = [r.dimension / {"real": 1, "complex": 2, "quaternionic": 4}[r.kind] for r in irreps]
    for pair in itertools.product(range(len(elements)), repeat=2):
        v, m = u[list(pair), None] - centre, matrices[list(pair)]
        energies, total = sums._from(centre, v.sum(0), v.square().sum(0), m.mT @ v, 2.0)
        found.append(energies[:, 0])
        totals.append(total)
        parts = (m.mT @ u[list(pair)] / 2).split([r.dimension**2 for r in irreps])
        plug_in.append(torch.stack([f * p.square().sum() for f, p in zip(factors, parts, strict=True)]))
    parts = (matrices.mT @ u / len(u)).split([r.dimension**2 for r in irreps])
    exact = torch.stack([f * p.square().sum() for f, p in zip(factors, parts, strict=True)])
    assert float(exact.sum()) == pytest.approx(float(u.square().mean()), rel=1e-12)
    torch.testing.assert_close(torch.stack(found).mean(0), exact, rtol=0, atol=1e-13)
    assert float(torch.stack(totals).mean()) == pytest.approx(float(u.square().mean()), rel=1e-12)
    sizes = [f * r.dimension for f, r in zip(factors, irreps, strict=True)]
    bias = torch.tensor(sizes, dtype=torch.float64) * u.square().mean() / 2
    torch.testing.assert_close(torch.stack(plug_in).mean(0), exact / 2 + bias, rtol=1e-12, atol=0)


def model(x: Tensor) -> Tensor:
    return torch.stack([1 + x[:, 0] + x[:, 1] * x[:, 2], 3 + x[:, 2] ** 2], 1)


def test_estimates_scatter_about_the_exact_values_as_their_standard_errors_say() -> None:
    x = torch.tensor([[0.3, -1.2, 0.8], [1.0, 0.5, -0.2]], dtype=torch.float64)
    exact = spectrum(model, x, SO3, 2, degree=6).output
    seeds = 40
    runs = [spectrum(model, x, SO3, 2, rule=MonteCarlo(128, seed=seed), batch=400).output for seed in range(seeds)]
    fractions = torch.stack([run.fractions for run in runs])
    spread = fractions.std(0)
    # the exact values within 3.5 standard errors of the means (ratios have a bias of order 1 / n, far below that)
    assert bool(((fractions.mean(0) - exact.fractions).abs() < 3.5 * spread / math.sqrt(seeds)).all())
    energies = torch.stack([run.energies for run in runs])
    away = (energies.mean(0) - exact.energies).abs() / (energies.std(0) / math.sqrt(seeds))
    assert float(away.max()) < 3.5
    stated = torch.stack([run.standard_errors for run in runs]).square().mean(0).sqrt()
    # the spread over 40 seeds is known to 11 %; the jackknife errs upwards, by up to 1.5
    assert bool((stated > 0.8 * spread).all()) and bool((stated < 1.7 * spread).all())
    residuals = torch.tensor([run.residual for run in runs])
    assert abs(float(residuals.mean())) < 3.5 * float(residuals.std()) / math.sqrt(seeds)
    assert float(residuals.min()) < 0 < float(residuals.max())


def test_a_large_constant_does_not_drown_an_estimate() -> None:
    x = torch.tensor([[0.3, -1.2, 0.8]], dtype=torch.float64)
    plain = spectrum(lambda x: x[:, :1], x, SO3, 2, rule=MonteCarlo(400)).output
    lifted = spectrum(lambda x: x[:, :1] + 1e6, x, SO3, 2, rule=MonteCarlo(400)).output
    torch.testing.assert_close(lifted.energies[1:], plain.energies[1:], rtol=1e-6, atol=1e-8)
    assert lifted.energy(1) == pytest.approx(float(x.square().sum()) / 3, rel=0.2)
    assert lifted.variable_fractions[1] == pytest.approx(1, abs=0.1)


def test_a_result_says_that_it_is_an_estimate() -> None:
    x = torch.tensor([[0.3, -1.2, 0.8]], dtype=torch.float64)
    found = spectrum(model, x, SO3, 2, rule=MonteCarlo(64, seed=3))
    assert found.is_estimate and found.output.is_estimate and found.degree == -1 and found.evaluations == 64
    assert "estimates from 64 random elements" in str(found) and "+-" in str(found)
    exact = spectrum(model, x, SO3, 2)
    assert not exact.is_estimate and exact.standard_errors is None and exact.output.residual_error is None
    assert "+-" not in str(exact)
    channels = found.output.standard_error(lambda layer: layer.per_channel)
    assert channels is not None and channels.shape == (3, 2)


def test_blocks_of_draws_do_not_depend_on_the_batch() -> None:
    x = torch.tensor([[0.3, -1.2, 0.8], [1.0, 0.5, -0.2]], dtype=torch.float64)
    found = [spectrum(model, x, SO3, 2, rule=MonteCarlo(37), batch=batch).output for batch in (2, 14, 400)]
    for other in found[1:]:
        torch.testing.assert_close(other.energies, found[0].energies, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(other.replicates.energies, found[0].replicates.energies, rtol=1e-10, atol=1e-12)


def test_groups_without_an_exact_rule_and_finite_ones() -> None:
    """Random permutations of five points: one entry has its mean in the trivial part and its variance beyond."""
    x = torch.tensor([[0.3, -1.2, 0.8, 2.0, 0.1]], dtype=torch.float64)
    found = spectrum(lambda x: x[:, :1], x, Symmetric(5), rho_in=CoordinatePermutation(5), rule=MonteCarlo(2000)).output
    errors = found.standard_error(lambda layer: layer.energies[:, 0, 0])
    assert errors is not None
    assert abs(found.energy(found.labels[0]) - float(x.mean()) ** 2) < 4 * float(errors[0])
    rotations = SpecialOrthogonal(5)
    with pytest.raises(UnsupportedError, match="n = 2 and n = 3"):
        spectrum(lambda x: x, x, rotations, 1, rho_in=NaturalAction(rotations), rule=MonteCarlo(100))
