"""The untrusted search: it must propose every true reflection, and strike what a gradient refutes."""

import pytest
import torch

from pyro_symvi.density import LogDensity
from pyro_symvi.infer.fitting.reflections import candidate_reflection

EYE = torch.eye(3, dtype=torch.float64)


def propose(function, center: list[float]) -> tuple[int, ...]:  # type: ignore[no-untyped-def]
    return candidate_reflection(LogDensity.from_callable(function, 3), torch.tensor(center, dtype=torch.float64), EYE)


CASES = {
    "all": (lambda z: -(z - 1).pow(4).sum(-1) - (z[..., 0] - 1) ** 2, [1.0, 1.0, 1.0], (0, 1, 2)),
    "given the rest": (
        lambda z: -0.5 * (z[..., :2] - 0.5).square().sum(-1) * (-2 * z[..., 2]).exp() - z[..., 2].exp() - 2 * z[..., 2],
        [0.5, 0.5, 0.0],
        (0, 1),
    ),
    "jointly only": (
        lambda z: -z.square().sum(-1) - (z[..., 0] * z[..., 1] - 1) ** 2 - z[..., 2].exp(),
        [0.0, 0.0, 0.0],
        (0, 1),
    ),
    "even along every axis, reflecting in two": (
        lambda z: -(z[..., 0] ** 2) / 2 - z[..., 0] - z[..., 1] ** 2 * (-2 * z[..., 0]).exp() / 2 - z[..., 2] ** 4,
        [-1.0, 0.0, 0.0],
        (1, 2),
    ),
    "none": (lambda z: (3 * z - z.exp()).sum(-1) - z[..., 0] * z[..., 1], [1.0986, 1.0986, 1.0986], ()),
}


@pytest.mark.parametrize("name", CASES)
def test_proposals(name: str) -> None:
    function, center, expected = CASES[name]
    assert propose(function, center) == expected


def test_a_centre_that_is_off_is_struck() -> None:
    assert propose(lambda z: -z.square().sum(-1), [0.0, 1e-3, 0.0]) == (0, 2)
