"""Discovery finds the whole known group of Pyro models, and invents none."""

import pytest

from pyro_symvi import examples
from pyro_symvi.recovery import Evidence, find_symmetries
from tests.recovery.discovery.checks import check
from tests.recovery.discovery.known_groups import MODELS


@pytest.mark.parametrize("name", list(MODELS))
def test_the_known_group_is_found_and_no_other(name: str) -> None:
    check(name)


def test_flat_priors_need_no_draws() -> None:
    """A regression with improper priors: its coefficients are elliptical."""
    example = examples.get("stackloss")
    (found,) = find_symmetries(example.model, *example.args)
    assert found.evidence is Evidence.PROVED
    assert found.pins.means == (0, 1, 2, 3)
