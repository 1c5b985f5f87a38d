"""AutoSymmetric."""

from typing import Any

import pytest

from pyro_symvi.guides.symmetric import AutoSymmetric
from tests.contracts.site_guide import Build, SiteGuideContract


class TestNormal(SiteGuideContract):
    @pytest.fixture
    def build(self) -> Build:
        return AutoSymmetric


class TestFullStudent(SiteGuideContract):
    exact = False

    @pytest.fixture
    def build(self) -> Build:
        def make(model: Any, **options: Any) -> AutoSymmetric:
            return AutoSymmetric(model, base="student_t", df=5.0, scale="full", sphere="power_spherical", **options)

        return make
