"""Every divergence keeps the contract, and divergences that break it are caught."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from pyro_symvi.divergences import Alpha, Divergence, ForwardKL, ReverseKL
from tests.contracts.divergence import DivergenceContract


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


@pytest.mark.parametrize("name", ["objective", "value", "escort_weights", "score_surrogate"])
def test_checked_methods_cannot_be_overridden(name: str) -> None:
    with pytest.raises(TypeError, match=f"override of {name}"):
        type("Rogue", (Divergence,), {name: lambda self, log_weights: log_weights})


def test_the_base_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Divergence()  # type: ignore[abstract]
