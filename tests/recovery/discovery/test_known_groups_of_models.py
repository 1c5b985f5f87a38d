"""Discovery finds the whole known group of Pyro models, and invents none."""

import pytest

from tests.recovery.discovery.checks import check
from tests.recovery.discovery.known_groups import MODELS


@pytest.mark.parametrize("name", list(MODELS))
def test_the_known_group_is_found_and_no_other(name: str) -> None:
    check(name)
