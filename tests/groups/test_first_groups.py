"""Trivial, SignFlips, Orthogonal: the contract, and a broken group that must fail it."""

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from pyro_symvi.groups import Group, Orthogonal, SignFlips, Trivial, UnsupportedError
from tests.contracts.group import HAAR_THRESHOLD, GroupContract, haar_scores


class TestTrivial(GroupContract):
    @pytest.fixture
    def group(self) -> Group:
        return Trivial()


class TestSignFlips(GroupContract):
    @pytest.fixture(params=[1, 2, 5, 9])
    def group(self, request: pytest.FixtureRequest) -> Group:
        return SignFlips(request.param)


class TestOrthogonal(GroupContract):
    @pytest.fixture(params=[1, 2, 3, 5])
    def group(self, request: pytest.FixtureRequest) -> Group:
        return Orthogonal(request.param)

    def test_both_components_are_reached(self, group: Group) -> None:
        """det = +-1 with probability 1/2 each: 10,000 draws, standard error 0.005, five of them allowed."""
        g = group.sample(10_000, generator=torch.Generator().manual_seed(0))
        assert abs(float((torch.linalg.det(g) > 0).double().mean()) - 0.5) < 0.025

    def test_exponential_is_a_rotation(self, group: Group) -> None:
        t = torch.randn(6, group.dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        g = group.exp(t)
        assert bool(group.contains(g, tolerance=1e-12).all())
        assert bool(torch.allclose(torch.linalg.det(g), torch.ones(6, dtype=torch.float64)))


def test_orthogonal_generators_are_dense() -> None:
    """Averages along random words in the generators approach Haar averages: E Q_11^2 = 1/n, E Q_11^4 = 3/(n(n+2))."""
    group = Orthogonal(3)
    generator = torch.Generator().manual_seed(0)
    steps = group.generators()
    walk = group.identity().expand(20_000, 3, 3)
    for _ in range(150):
        walk = steps[torch.randint(len(steps), (20_000,), generator=generator)] @ walk
    entry = walk[:, 0, 0]
    for power, expected in ((2, 1 / 3), (4, 3 / 15)):
        values = entry**power
        assert abs(float(values.mean()) - expected) < 5 * float(values.std()) / 20_000**0.5


@dataclass(frozen=True, eq=False, repr=False)
class NotAssociative(SignFlips):
    """Signs with the second entry of a product negated: no identity, not associative with three factors."""

    def _compose(self, a: Tensor, b: Tensor) -> Tensor:
        product = a * b
        return torch.cat([product[..., :1], a[..., 1:] * a[..., 1:] * b[..., 1:]], -1)


@dataclass(frozen=True, eq=False, repr=False)
class WrongOrder(SignFlips):
    """Claims twice the elements that it has."""

    @property
    def order(self) -> int:
        return 2 * super().order


@dataclass(frozen=True, eq=False, repr=False)
class NotClosed(Orthogonal):
    """Rotations and reflections, sheared: products leave the set."""

    def _compose(self, a: Tensor, b: Tensor) -> Tensor:
        return a @ b * 1.001


@dataclass(frozen=True, eq=False, repr=False)
class NotHaar(Orthogonal):
    """QR without the sign fix."""

    def _sample(
        self, shape: tuple[int, ...], generator: torch.Generator | None, dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        return torch.linalg.qr(torch.randn(*shape, self.n, self.n, generator=generator, dtype=dtype)).Q


@pytest.mark.parametrize(
    ("group", "checks"),
    [
        (NotAssociative(2), ["test_identity_and_inverse"]),
        (WrongOrder(2), ["test_order_is_the_number_of_distinct_elements"]),
        (NotClosed(2), ["test_associativity_and_closure", "test_identity_and_inverse"]),
    ],
)
def test_the_contract_catches_broken_groups(group: Group, checks: list[str]) -> None:
    for check in checks:
        with pytest.raises(AssertionError):
            getattr(GroupContract(), check)(group)


def test_the_contract_catches_a_sampler_that_is_not_haar() -> None:
    group = NotHaar(3)
    draws = group.sample(20_000, generator=torch.Generator().manual_seed(0))
    h = Orthogonal(3).sample(1, generator=torch.Generator().manual_seed(1))[0]
    assert float(haar_scores(group, h, draws, left=True).abs().max()) > HAAR_THRESHOLD
    with pytest.raises(AssertionError):
        GroupContract().test_haar_invariance(group, True)


def test_members_that_do_not_exist_say_what_to_use() -> None:
    with pytest.raises(UnsupportedError, match=r"expected a finite group.*try sample"):
        Orthogonal(3).elements()
    with pytest.raises(UnsupportedError, match=r"exact quadrature.*Haar draws"):
        Orthogonal(5).quadrature(2)
    with pytest.raises(ValueError, match=r"order of at most 1000000.*try sample"):
        SignFlips(30).elements()
    with pytest.raises(ValueError, match="expected n >= 1, got 0"):
        SignFlips(0)
    with pytest.raises(TypeError, match="expected n to be an int, got 2.0"):
        Orthogonal(2.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected a bandlimit"):
        Orthogonal(2).quadrature(-1)
    with pytest.raises(ValueError, match=r"expected Lie algebra coordinates \[\.\.\., 3\]"):
        Orthogonal(3).exp(torch.zeros(2))
    with pytest.raises(ValueError, match="expected a number of draws"):
        Orthogonal(3).sample(-1)


def test_sizes_and_values() -> None:
    assert Orthogonal(4).order == math.inf and Orthogonal(4).dim == 6 and not Orthogonal(4).is_connected
    assert Orthogonal(1).order == 2 and SignFlips(64).order == 2**64
    assert SignFlips(1500).log_order == pytest.approx(1500 * math.log(2))
    assert SignFlips(3) == SignFlips(3) != SignFlips(4) and len({Trivial(), Trivial()}) == 1
    assert repr(SignFlips(3)) == "SignFlips(3)"
    assert SignFlips(3).sample(2, dtype=torch.float32).dtype == torch.float32
