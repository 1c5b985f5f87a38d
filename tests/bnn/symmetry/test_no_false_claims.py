"""Networks made to mislead: what is not a symmetry must be reported, with a reason, and never claimed."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pyro_symvi.bnn import Activation, Layout, register_activation
from pyro_symvi.bnn.symmetry import NetworkSymmetry


def chain(*middle: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), *middle, nn.Linear(4, 2))


class Custom(nn.Module):
    """Two or three linear layers and a forward given as a function."""

    def __init__(self, forward: Callable[..., Tensor], out: int = 2) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, out)
        self.scale = nn.Parameter(torch.ones(4))
        self.register_buffer("mask", torch.arange(1.0, 5.0))
        self._run = forward

    def forward(self, x: Tensor) -> Tensor:
        return self._run(self, x)


def tied() -> nn.Module:
    network = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    network[2].weight = network[0].weight
    return network


def frozen(index: int) -> nn.Module:
    network = chain(nn.Tanh())
    network[index].weight.requires_grad_(False)
    return network


def hooked() -> nn.Module:
    network = chain(nn.Tanh())
    network[0].register_forward_hook(lambda module, args, output: output + torch.arange(4.0, dtype=output.dtype))
    return network


def frozen_biases_that_differ() -> nn.Module:
    network = chain(nn.Tanh())
    network[0].bias.requires_grad_(False)
    return network


def grouped() -> nn.Module:
    return nn.Sequential(nn.Conv1d(4, 4, 2, groups=2), nn.Tanh(), nn.Flatten(), nn.Linear(12, 1))


def layer_norm_over_positions() -> nn.Module:
    return nn.Sequential(nn.Conv1d(1, 3, 2), nn.LayerNorm([3, 4]), nn.Flatten(), nn.Linear(12, 1))


def as_images(m: Custom, x: Tensor) -> Tensor:
    h = torch.relu(m.a(x)).reshape(-1, 2, 2).transpose(1, 2).cumsum(-1)
    return m.c(h.flatten(1))


TANH, RELU = torch.tanh, torch.relu
UNPLACED: dict[str, tuple[nn.Module, dict[str, str]]] = {
    "weight tying": (tied(), {"0": "used more than once", "2": "used more than once"}),
    "layer used twice": (
        Custom(lambda m, x: m.c(TANH(m.a(TANH(m.a(x)))))),
        {"a": "used more than once"},
    ),
    "transposed weights": (
        Custom(lambda m, x: functional.linear(TANH(m.a(x)), m.a.weight.t())),
        {"a": "used more than once"},
    ),
    "transposed weights by hand": (
        Custom(lambda m, x: torch.tanh(x @ (w := m.b.weight.T)) @ w),
        {"b": "used more than once"},
    ),
    "bias by hand, added twice": (
        Custom(lambda m, x: m.c(TANH(x @ m.b.weight + m.scale) + m.scale)),
        {"b": "in a way that is not read"},
    ),
    "scale by hand": (Custom(lambda m, x: m.c(TANH(x @ m.b.weight * m.scale))), {"b": "does not move with its units"}),
    "skip": (Custom(lambda m, x: m.c(TANH(m.a(x)) + TANH(m.b(x)))), {"a": "skip", "b": "skip"}),
    "skip from the input": (Custom(lambda m, x: m.c(x + TANH(m.a(x)))), {"a": "does not move with its units"}),
    "hidden units among the outputs": (
        Custom(lambda m, x: torch.cat([m.c(h := TANH(m.a(x))), h], -1)),
        {"a": "outputs of the network besides"},
    ),
    "weights looked at": (
        Custom(lambda m, x: m.c(TANH(m.a(x))) * m.a.weight.norm()),
        {"a": "used more than once"},
    ),
    "masked units": (Custom(lambda m, x: m.c(TANH(m.a(x)) * m.mask)), {"a": "does not move with its units"}),
    "cumulative sum over units": (Custom(lambda m, x: m.c(TANH(m.a(x)).cumsum(-1))), {"a": "'cumsum'"}),
    "sum of units": (Custom(lambda m, x: TANH(m.a(x)).sum(-1, keepdim=True)), {"a": "mixed by 'sum'"}),
    "mixed after a transposition": (Custom(as_images), {"a": "'cumsum'"}),
    "half of the units": (Custom(lambda m, x: m.c(TANH(m.a(x))[:, [0, 1, 2, 0]])), {"a": "not used alike"}),
    "halves through different functions": (
        Custom(lambda m, x: m.c(torch.cat([TANH((z := m.a(x))[:, :2]), RELU(z[:, 2:])], -1))),
        {"a": "taken apart"},
    ),
    "computed weights": (
        Custom(lambda m, x: functional.linear(TANH(m.a(x)), m.b.weight * m.mask)),
        {"a": "computed weights"},
    ),
    "branch on the data": (
        Custom(lambda m, x: m.c(TANH(m.a(x))) if x.sum() > 0 else m.c(RELU(m.a(x)))),
        {"Custom": "cannot be traced"},
    ),
    "dropout in training": (chain(nn.Tanh(), nn.Dropout(0.5)).train(), {"Sequential": "random"}),
    "functional dropout": (Custom(lambda m, x: m.c(functional.dropout(TANH(m.a(x)), 0.5))), {"Custom": "random"}),
    "batch norm in training": (chain(nn.BatchNorm1d(4), nn.ReLU()).train(), {"0": "statistics of the batch"}),
    "frozen incoming weights": (frozen(0), {"0": "incoming weights are frozen"}),
    "frozen outgoing weights": (frozen(2), {"0": "weights out of it, at '2', are frozen"}),
    "frozen biases that differ": (frozen_biases_that_differ(), {"0": "differ between its units"}),
    "hook": (hooked(), {"0": "hooks"}),
    "grouped convolution": (grouped(), {"0": "in groups"}),
    "recurrent": (
        Custom(lambda m, x: m.c(TANH(m.b(TANH(m.b(TANH(m.a(x)))))))),
        {"a": "used more than once", "b": "used more than once"},
    ),
    "layer norm over positions": (layer_norm_over_positions(), {"0": "LayerNorm"}),
    "a slope for each unit": (chain(nn.PReLU(4)), {"0": "PReLU"}),
}


@pytest.mark.parametrize("name", UNPLACED)
def test_not_placed_and_why(name: str) -> None:
    network, wanted = UNPLACED[name]
    x = torch.randn(5, 1, 5) if name == "layer norm over positions" else None
    symmetry = NetworkSymmetry.from_module(network, x=x)
    assert symmetry.layers == ()
    reasons = dict(symmetry.unplaced)
    for layer, reason in wanted.items():
        assert reason in reasons[layer], reasons
        assert reasons[layer] in " ".join(str(symmetry).split())  # shown in the table
    others = {item.name for item in symmetry.unplaced if "does not use it" not in item.reason}
    assert others == set(wanted) | (others & {"a.weight", "b.weight", "scale"})  # nothing is said of the outputs


def groups_of(*middle: nn.Module) -> tuple[str, ...]:
    (layer,) = NetworkSymmetry.from_module(chain(*middle)).layers
    return layer.groups


class NearlyOdd(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(z) + 1e-3 * z**2


class Shifted(nn.Tanh):
    """Named and typed like tanh, and not odd."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(z + 0.1)


class Bumped(nn.Module):
    """Odd and homogeneous but for inputs in a small window, where a grid may miss it."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.relu(z) + torch.exp(-((z - 0.4) ** 2))


@pytest.mark.parametrize("middle", [NearlyOdd(), Shifted(), Bumped(), nn.GELU(), nn.Hardtanh(-1.0, 1.1)], ids=str)
def test_activations_that_look_odd_or_homogeneous(middle: nn.Module) -> None:
    assert groups_of(middle) == ("permutations",)


def test_a_module_whose_forward_was_replaced_is_caught_by_numbers() -> None:
    network = chain(nn.Tanh())
    network[1].forward = lambda z: torch.tanh(z) + 0.1  # type: ignore[method-assign]
    symmetry = NetworkSymmetry.from_module(network)
    assert symmetry.layers == () and "under signs" in symmetry.unplaced[0].reason


def test_zeros_as_rows_do_not_hide_anything() -> None:
    """On x = 0 and without a bias every unit is silent; random rows are looked at besides."""
    network = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Tanh(), nn.Linear(4, 2))
    network[1].forward = lambda z: torch.tanh(z) + z**2  # type: ignore[method-assign]
    assert NetworkSymmetry.from_module(network, x=torch.zeros(1, 3)).layers == ()


def test_in_place_functions_do_not_hide() -> None:
    """z is changed under the hands of its second user."""

    def run(m: Custom, x: Tensor) -> Tensor:
        z = m.a(x)
        h = functional.relu(z, inplace=True)
        return m.c(h) + m.b(z)

    symmetry = NetworkSymmetry.from_module(Custom(run, out=4))
    for layer in symmetry.layers:
        assert "signs" not in layer.groups and "invertible matrices" not in layer.groups


def test_a_false_claim_of_an_activation_is_refused() -> None:
    class Liar(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return torch.sigmoid(z)

    register_activation(Liar, lambda m: Activation("liar", m, odd=True))
    with pytest.raises(ValueError, match="is claimed of activation 'liar'"):
        NetworkSymmetry.from_module(chain(Liar()))


def test_errors() -> None:
    with pytest.raises(TypeError, match=r"expected a torch\.nn\.Module"):
        NetworkSymmetry.from_module("net")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected extras"):
        NetworkSymmetry.from_module(chain(nn.Tanh()), -1)
    with pytest.raises(ValueError, match="expected rows that the network takes"):
        NetworkSymmetry.from_module(chain(nn.Tanh()), x=torch.zeros(2, 7))
    with pytest.raises(ValueError, match="expected a layout of the trainable parameters"):
        NetworkSymmetry.from_module(chain(nn.Tanh()), Layout(("w",), ((26,),)))
    nothing_known = nn.Sequential(nn.Bilinear(2, 2, 1))
    with pytest.raises(ValueError, match="expected rows to check on"):
        NetworkSymmetry.from_module(nothing_known)
    symmetry = NetworkSymmetry.from_module(chain(nn.Tanh()))
    theta = torch.zeros(symmetry.dim)
    with pytest.raises(ValueError, match="expected one of the layers"):
        symmetry.layer("7")
    with pytest.raises(TypeError, match="expected an order of units"):
        symmetry.canonicalize(theta, "norm")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected a gauge"):
        symmetry.canonicalize(theta, gauge=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected one reference"):
        symmetry.match(theta, theta[None])
    with pytest.raises(ValueError, match="expected the prior of 26 parameters"):
        symmetry.balance(theta, None)  # type: ignore[arg-type]
