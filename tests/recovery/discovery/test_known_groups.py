"""Discovery finds the whole known group of plain densities, and invents none."""

import pytest

from tests.recovery.discovery.checks import check
from tests.recovery.discovery.known_groups import KNOWN, MODELS


@pytest.mark.parametrize("name", sorted(set(KNOWN) - set(MODELS)))
def test_the_known_group_is_found_and_no_other(name: str) -> None:
    check(name)
