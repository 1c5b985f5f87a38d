"""Base samples: closed under the symmetry, with the right moments and the base's law."""

import numpy as np
import pytest
import torch
from scipy import stats

from pyro_symvi.families import LocationScale
from pyro_symvi.infer.noise import orbit_closed_noise

FAMILIES = [
    LocationScale(4),
    LocationScale(4, scale="diagonal"),
    LocationScale(4, base="student_t", df=5.0),
    LocationScale(4, base="student_t", scale="diagonal", df=5.0),
    LocationScale(4, base="laplace"),
    LocationScale(4, base="logistic", scale="isotropic"),
]


def noise(family: LocationScale, count: int, reflect: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    return orbit_closed_noise(family, count, reflect=reflect, generator=torch.Generator().manual_seed(seed))


def as_set(rows: torch.Tensor) -> set[tuple[float, ...]]:
    return {tuple(row) for row in (rows + 0.0).round(decimals=9).add(0.0).tolist()}


@pytest.mark.parametrize("family", FAMILIES, ids=repr)
@pytest.mark.parametrize("reflect", [(), (0, 1, 2, 3), (1, 3), (2,)])
def test_closed_under_the_reflection(family: LocationScale, reflect: tuple[int, ...]) -> None:
    xi = noise(family, 64, reflect)
    signs = torch.ones(4, dtype=torch.float64)
    signs[list(reflect) if reflect else slice(None)] = -1
    assert as_set(xi) == as_set(xi * signs)
    assert len(xi) >= 64


def test_not_closed_under_another_reflection() -> None:
    xi = noise(LocationScale(4, base="laplace"), 64, (1, 3))
    assert as_set(xi) != as_set(xi * torch.tensor([1.0, -1.0, 1.0, 1.0], dtype=torch.float64))


@pytest.mark.parametrize("reflect", [(), (0, 2, 3)])
@pytest.mark.parametrize("family", [LocationScale(4), LocationScale(4, base="student_t", df=5.0)], ids=repr)
def test_spherical_noise_is_a_two_design_in_the_block(family: LocationScale, reflect: tuple[int, ...]) -> None:
    block = list(reflect) if reflect else [0, 1, 2, 3]
    xi = noise(family, 48, reflect)[:, block]
    second = xi.mT @ xi / len(xi)
    level = second.diagonal().mean()
    torch.testing.assert_close(second, level * torch.eye(len(block), dtype=torch.float64), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("reflect", [(), (0, 2)])
def test_normal_noise_has_unit_second_moments(reflect: tuple[int, ...]) -> None:
    xi = noise(LocationScale(4), 48, reflect)
    torch.testing.assert_close(xi.square().mean(0), torch.ones(4, dtype=torch.float64), rtol=1e-12, atol=0)


@pytest.mark.parametrize("family", FAMILIES, ids=repr)
def test_marginals_are_those_of_the_base(family: LocationScale) -> None:
    """The KS distance of 4096 draws stays under 1.63 / sqrt(4096) = 0.025, the 1 % point for random draws."""
    xi = noise(family, 4096, ())
    law = {
        "normal": stats.norm,
        "student_t": stats.t(family.df or 1.0),
        "laplace": stats.laplace,
        "logistic": stats.logistic,
    }
    for column in xi.mT.numpy():
        assert stats.kstest(np.asarray(column), law[family.base].cdf).statistic < 0.025


def test_wrong_base_would_be_seen() -> None:
    xi = noise(LocationScale(4, base="laplace"), 4096, ())
    assert stats.kstest(xi[:, 0].numpy(), stats.norm.cdf).statistic > 0.04


def test_full_scale_gets_spanning_pairs() -> None:
    for base in ("normal", "laplace"):
        assert torch.linalg.matrix_rank(noise(LocationScale(6, base=base), 1, ())) == 6


def test_repeats_with_the_seed_and_leaves_global_state_alone() -> None:
    state = torch.get_rng_state()
    numpy_state = np.random.get_state()[1].copy()  # type: ignore[index]
    a, b, c = (noise(LocationScale(3), 32, (), seed) for seed in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert torch.equal(state, torch.get_rng_state())
    assert np.array_equal(numpy_state, np.random.get_state()[1])  # type: ignore[index]
