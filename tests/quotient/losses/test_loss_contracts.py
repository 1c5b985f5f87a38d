"""Every loss keeps the contract."""

import pytest

from pyro_symvi.quotient.losses import AF3Aligned, GeoDiffAligned, Loss, OrbitAveraged, Plain, Quotient
from tests.contracts.loss import LossContract


class TestPlain(LossContract):
    @pytest.fixture
    def loss(self) -> Loss:
        return Plain()


class TestQuotient(LossContract):
    @pytest.fixture
    def loss(self) -> Loss:
        return Quotient()


class TestGeoDiffAligned(LossContract):
    @pytest.fixture
    def loss(self) -> Loss:
        return GeoDiffAligned()


class TestAF3Aligned(LossContract):
    @pytest.fixture
    def loss(self) -> Loss:
        return AF3Aligned()


class TestOrbitAveraged(LossContract):
    @pytest.fixture
    def loss(self) -> Loss:
        return OrbitAveraged()


class TestOrbitAveragedOverDraws(LossContract):
    exactly_equivariant = False

    @pytest.fixture
    def loss(self) -> Loss:
        return OrbitAveraged(rotations=3)
