"""Every divergence keeps the contract, and divergences that break it are caught."""

from dataclasses import dataclass

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
)
from pyro_symvi.divergences.generators import jensen_shannon, triangular
from tests.contracts.divergence import DivergenceContract, weights


class TestReverseKL(DivergenceContract):
    @pytest.fixture
    def divergence(self) -> Divergence:
        return ReverseKL()


class TestForwardKL(DivergenceContract):
    @pytest.fixture
    def divergence(self) -> Divergence:
        return ForwardKL()


class TestAlpha(DivergenceContract):
    @pytest.fixture(params=[-3.0, -1.0, -1e-9, 0.0, 1e-12, 1e-3, 0.25, 0.5, 0.75, 1.0 - 1e-6, 1.0, 1.5, 2, 10.0])
    def divergence(self, request: pytest.FixtureRequest) -> Divergence:
        return Alpha(request.param)


class TestNamedMembers(DivergenceContract):
    @pytest.fixture(params=[ChiSquare(), ChiSquare(reverse=True), Hellinger()], ids=repr)
    def divergence(self, request: pytest.FixtureRequest) -> Divergence:
        return request.param


class TestJeffreys(DivergenceContract):
    @pytest.fixture
    def divergence(self) -> Divergence:
        return Jeffreys()


class TestFDivergence(DivergenceContract):
    finite_at_zero = True

    @pytest.fixture(params=[(jensen_shannon, 0.0), (triangular, 1.5)], ids=["jensen_shannon", "triangular"])
    def divergence(self, request: pytest.FixtureRequest) -> Divergence:
        return FDivergence(*request.param)


class TestTailAdaptive(DivergenceContract):
    finite_at_zero = False

    @pytest.fixture(params=[-1.0, -0.3])
    def divergence(self, request: pytest.FixtureRequest) -> Divergence:
        return TailAdaptive(request.param)

    def test_value_is_zero_for_equal_weights_and_positive_otherwise(self, divergence: Divergence) -> None:
        with pytest.raises(ValueError, match="its f changes with the guide"):
            divergence.value(torch.zeros(4))

    def test_derivatives_agree_with_finite_differences(self, divergence: Divergence) -> None:
        l = weights(5, 2).requires_grad_()
        assert torch.autograd.gradcheck(divergence.objective, l)

    def test_a_zero_weight_is_the_limit_of_small_ones(self, divergence: Divergence) -> None:
        l = weights()
        l[3] = -torch.inf
        assert float(divergence.objective(l)) == float("inf")

    def test_additive_means_linear_in_the_log_weights(self, divergence: Divergence) -> None:
        assert not divergence.is_additive

    # those that ask for a value; the rest of each is in test_particles_and_batches
    test_value_does_not_depend_on_the_normaliser = None
    test_trailing_dimensions_are_separate_problems = None
    test_order_of_particles_is_irrelevant = None
    test_nan_stays_nan = None

    @pytest.mark.parametrize("shift", [0.0, 3.0])
    def test_particles_and_batches(self, divergence: Divergence, shift: float) -> None:
        l = weights(12, 3, 2) + shift
        order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
        assert torch.allclose(divergence.objective(l[order]), divergence.objective(l), rtol=1e-12)
        assert torch.allclose(divergence.objective(l)[1, 1], divergence.objective(l[:, 1, 1]), rtol=1e-12)
        l[2, 0, 0] = torch.nan
        bad = divergence.objective(l).isnan()
        assert bool(bad[0, 0]) and int(bad.sum()) == 1


@dataclass(frozen=True)
class NotSelfNormalised(Divergence):
    """Depends on Z: what a forward KL from raw weights does."""

    alpha: float = 1.0

    def _objective(self, log_weights: Tensor) -> Tensor:
        return (log_weights.exp() * log_weights).mean(0)

    def _value(self, log_weights: Tensor) -> Tensor:
        return self._objective(log_weights)


@dataclass(frozen=True)
class ParticlesLast(Divergence):
    """Sums the wrong dimension."""

    alpha: float = 0.0

    def _objective(self, log_weights: Tensor) -> Tensor:
        return -log_weights.mean(-1)

    def _value(self, log_weights: Tensor) -> Tensor:
        return torch.logsumexp(log_weights, -1) - log_weights.mean(-1)


@dataclass(frozen=True)
class SwallowsNan(Divergence):
    """Hides a failed particle."""

    alpha: float = 0.0

    def _objective(self, log_weights: Tensor) -> Tensor:
        return -log_weights.nan_to_num().mean(0)

    def _value(self, log_weights: Tensor) -> Tensor:
        return self._objective(log_weights)


def test_the_contract_catches_broken_divergences() -> None:
    contract = DivergenceContract()
    with pytest.raises(AssertionError):
        contract.test_value_does_not_depend_on_the_normaliser(NotSelfNormalised())
    with pytest.raises(AssertionError):
        contract.test_the_normaliser_shifts_the_objective_by_a_constant(NotSelfNormalised())
    with pytest.raises(AssertionError):
        contract.test_extreme_weights_stay_finite(NotSelfNormalised(), torch.float64)
    with pytest.raises((AssertionError, RuntimeError)):
        contract.test_trailing_dimensions_are_separate_problems(ParticlesLast(), "objective")
    with pytest.raises(AssertionError):
        contract.test_nan_stays_nan(SwallowsNan(), "objective")


@pytest.mark.parametrize("name", ["objective", "value", "escort_weights", "score_surrogate", "path_surrogate", "exact"])
def test_checked_methods_cannot_be_overridden(name: str) -> None:
    with pytest.raises(TypeError, match=f"override of {name}"):
        type("Rogue", (Divergence,), {name: lambda self, log_weights: log_weights})


def test_the_base_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Divergence()  # type: ignore[abstract]
