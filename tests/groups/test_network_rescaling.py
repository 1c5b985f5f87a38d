"""Rescaling of whole networks as an action, and as that of one layer where there is one."""

import pytest
import torch
from torch import Tensor

from pyro_symvi.groups import Action, HiddenLayer, HiddenUnitRescaling, NetworkRescaling, NonCompactGroupError
from tests.contracts.action import ActionContract


def of_layer(layer: HiddenLayer, degree: float = 1.0) -> NetworkRescaling:
    """The action on one hidden layer, from its index."""
    enters, leaves = torch.full((layer.dim,), -1), torch.full((layer.dim,), -1)
    for unit, (into, out) in enumerate(zip(layer.incoming, layer.outgoing, strict=True)):
        enters[list(into)], leaves[list(out)] = unit, unit
    degrees = None if degree == 1 else torch.where(leaves >= 0, degree, 1.0).double()
    return NetworkRescaling(enters, leaves, len(layer.incoming), degrees)


LAYER = HiddenLayer.of_mlp([2, 3, 2], 1)
ACTIONS: dict[str, NetworkRescaling] = {
    "one layer": of_layer(LAYER),
    "squared ReLU": of_layer(LAYER, 2.0),
    "1-2-2-1": NetworkRescaling(
        torch.tensor([0, 1, 0, 1, 2, 2, 3, 3, 2, 3, -1, -1, -1]),
        torch.tensor([-1, -1, -1, -1, 0, 1, 0, 1, -1, -1, 2, 3, -1]),
        4,
    ),
    "a shortcut": NetworkRescaling(torch.tensor([0, 0, 0, -1]), torch.tensor([-1, 0, -1, 0]), 1),  # a loop on unit 0
    "no unit": NetworkRescaling(torch.tensor([-1, -1]), torch.tensor([-1, -1]), 0),
}


class TestNetworkRescaling(ActionContract):
    tolerance = 1e-9

    @pytest.fixture(params=list(ACTIONS))
    def action(self, request: pytest.FixtureRequest) -> Action:
        return ACTIONS[request.param]


@pytest.mark.parametrize("degree", [1.0, 2.0])
def test_agreement_with_the_action_on_one_layer(degree: float) -> None:
    layer = HiddenLayer.of_mlp([3, 4, 2, 2], 2)
    one, whole = HiddenUnitRescaling(layer, degree=degree), of_layer(layer, degree)
    x = torch.randn(5, layer.dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    c = torch.rand(5, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.2
    assert torch.allclose(whole.act(c, x), one.act(c, x), rtol=1e-14)
    assert torch.allclose(whole.log_abs_det(c, x), one.log_abs_det(c, x), atol=1e-13)
    assert torch.allclose(whole.vertical_basis(x), one.vertical_basis(x), atol=1e-13)
    assert torch.allclose(whole.log_orbit_volume(x), one.log_orbit_volume(x), atol=1e-12)


def test_incidence_is_the_logarithm_of_the_action() -> None:
    """Theta' = theta exp(-B z / 2) with c = exp(z / 2); -k and +1 are told apart."""
    for action in ACTIONS.values():
        z = torch.randn(action.units, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        x = torch.ones(len(action.enters), dtype=torch.float64)
        wanted = (-action.incidence().to_dense() @ z / 2).exp()
        assert torch.allclose(action.act((z / 2).exp(), x), wanted, rtol=1e-14)
        assert action.units == 0 or not torch.allclose(action.act((-z / 2).exp(), x), wanted)


def test_there_is_no_haar_probability() -> None:
    with pytest.raises(NonCompactGroupError):
        ACTIONS["one layer"].group.sample(1)


@pytest.mark.parametrize(
    ("enters", "leaves", "units", "degrees", "words"),
    [
        ([0.0], [0.0], 1, None, "expected enters as an int64 tensor"),
        ([0], [1], 1, None, "expected leaves between -1 and 0"),
        ([0, -1], [0], 1, None, "expected enters and leaves of one length"),
        ([0], [-1], 1, [0.0], "expected positive degrees"),
        ([0], [-1], 1, [1.0, 1.0], "expected positive degrees"),
        ([-1], [-1], -1, None, "expected units >= 0"),
    ],
    ids=["dtype", "range", "lengths", "zero degree", "degrees", "units"],
)
def test_errors(enters: list[int], leaves: list[int], units: int, degrees: list[float] | None, words: str) -> None:
    degree: Tensor | None = None if degrees is None else torch.tensor(degrees)
    with pytest.raises((ValueError, TypeError), match=words):
        NetworkRescaling(torch.tensor(enters), torch.tensor(leaves), units, degree)
