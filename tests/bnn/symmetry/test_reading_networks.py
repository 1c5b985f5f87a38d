"""Which layers are read, as what, and that every claim leaves the function of the module as it is."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from pyro_symvi.bnn import Activation, GaussianNoise, NetworkPosterior, NormalPrior, register_activation
from pyro_symvi.bnn.symmetry import NetworkSymmetry, SymmetricLayer
from pyro_symvi.groups import HiddenLayer


class SquaredReLU(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return z.relu().square()


class Functional(nn.Module):
    """A forward of its own, with functions and methods instead of modules."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third, self.last = (
            nn.Linear(3, 4), nn.Linear(4, 3), nn.Linear(3, 5, bias=False), nn.Linear(5, 2)
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.first(x))
        h = functional.leaky_relu(self.second(h), 0.2)
        return self.last(self.third(h).sin() * 2.0)


class Bare(nn.Module):
    """Weights as parameters of the module itself."""

    def __init__(self) -> None:
        super().__init__()
        self.w, self.b = nn.Parameter(torch.ones(4, 3)), nn.Parameter(torch.ones(4))
        self.v = nn.Parameter(torch.ones(2, 4))

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(functional.relu(functional.linear(x, self.w, self.b)) ** 2, self.v)


class ByHand(nn.Module):
    """Products of matrices and sums of vectors, weights both ways round."""

    def __init__(self) -> None:
        super().__init__()
        self.w, self.b = nn.Parameter(torch.ones(3, 4)), nn.Parameter(torch.ones(4))
        self.v, self.u = nn.Parameter(torch.ones(5, 4)), nn.Parameter(torch.ones(5, 2))

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(x @ self.w + self.b)
        z = h @ self.v.T
        return torch.matmul(z**3, self.u)


class Embedded(nn.Module):
    """Rows of integers; what comes after the table of vectors is read."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.body, self.last = nn.Embedding(5, 3), nn.Linear(3, 4), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.body(self.table(x).mean(1))))


class Convolutional(nn.Module):
    """Two convolutions, both kinds of pooling, then linear layers on flattened positions."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 3, 3, padding=1)
        self.body, self.last = nn.Linear(12, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.a(x)), 2)
        x = functional.avg_pool2d(torch.tanh(self.b(x)), 2)
        return self.last(functional.gelu(self.body(x.view(x.size(0), -1))))


class Gated(nn.Module):
    """A hidden layer used twice, by two maps and through two functions, and a concatenation with the input."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.body, self.side, self.last = nn.Linear(3, 4), nn.Linear(4, 3), nn.Linear(4, 2), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        z = self.into(x)
        h = z * torch.sigmoid(z)
        joined = torch.cat([torch.relu(self.body(h)), x, torch.tanh(self.side(h))], -1)
        return self.last(joined)


class Residual(nn.Module):
    """Only the units inside the branch are free: those of the stream are tied across the skip."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.up, self.down, self.last = nn.Linear(3, 4), nn.Linear(4, 6), nn.Linear(6, 4), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.into(x))
        return self.last(h + self.down(torch.relu(self.up(h))))


class ChannelsLast(nn.Module):
    """Channels moved behind the positions before flattening: columns of a unit lie apart."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.last = nn.Conv1d(2, 3, 3), nn.Linear(12, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.a(x)).permute(0, 2, 1).flatten(1))


def normalised(norm: nn.BatchNorm1d, activation: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), norm, activation, nn.Linear(4, 1)).eval()


def trained_statistics(n: int, affine: bool = True, shift: bool = True) -> nn.BatchNorm1d:
    norm = nn.BatchNorm1d(n, affine=affine)
    norm.running_var.copy_(torch.arange(1.0, n + 1))  # type: ignore[union-attr, operator]
    if shift:
        norm.running_mean.copy_(torch.arange(n) / 3)  # type: ignore[union-attr, operator]
    return norm


def frozen_scales() -> nn.Sequential:
    network = normalised(nn.BatchNorm1d(4), nn.ReLU())
    network[1].requires_grad_(False)
    return network


def frozen_bias(value: Tensor, activation: nn.Module) -> nn.Sequential:
    first = nn.Linear(3, 4)
    first.bias.data.copy_(value)
    first.bias.requires_grad_(False)
    return nn.Sequential(first, activation, nn.Linear(4, 1))


P, S, R, M = "permutations", "signs", "rescaling", "invertible matrices"
READ: dict[str, tuple[nn.Module, list[tuple[str, int, int, int, tuple[str, ...]]]]] = {
    "sequence": (
        nn.Sequential(
            nn.Flatten(), nn.Linear(3, 4), nn.Tanh(), nn.Sequential(nn.Linear(4, 5), nn.ReLU()), nn.Dropout(0.5),
            nn.Linear(5, 6), nn.Softplus(), nn.Linear(6, 3, bias=False), nn.Linear(3, 2), nn.LogSoftmax(-1),
        ).eval(),
        [("1", 4, 4, 5, (P, S)), ("3.0", 5, 5, 6, (P, R)), ("5", 6, 6, 3, (P,)), ("7", 3, 6, 2, (P, S, R, M))],
    ),
    "functional": (
        Functional(),
        [("first", 4, 4, 3, (P, S)), ("second", 3, 5, 5, (P, R)), ("third", 5, 3, 2, (P, S))],
    ),
    "bare": (Bare(), [("w", 4, 4, 2, (P, "rescaling of degree 2"))]),
    "by hand": (ByHand(), [("w", 4, 4, 5, (P, R)), ("v", 5, 4, 2, (P, S, "rescaling of degree 3"))]),
    "embedded": (Embedded(), [("body", 4, 4, 1, (P, S))]),
    "batch norm, frozen scales": (frozen_scales(), [("0", 4, 4, 1, (P, R))]),
    "squared relu": (
        nn.Sequential(nn.Linear(2, 3), SquaredReLU(), nn.Linear(3, 1)),
        [("0", 3, 3, 1, (P, "rescaling of degree 2"))],
    ),
    "convolutional": (
        Convolutional(),
        [("a", 4, 10, 27, (P, R)), ("b", 3, 37, 20, (P, S)), ("body", 5, 13, 2, (P,))],
    ),
    "maximum of odd": (
        nn.Sequential(nn.Conv1d(1, 2, 2), nn.Tanh(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(6, 1)),
        [("0", 2, 3, 3, (P,))],
    ),
    "global average": (
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)),
        [("0", 3, 19, 2, (P, R))],
    ),
    "channels last": (ChannelsLast(), [("a", 3, 7, 4, (P, R))]),
    "gated": (Gated(), [("into", 4, 4, 5, (P,)), ("body", 3, 5, 1, (P, R)), ("side", 2, 5, 1, (P, S))]),
    "residual": (Residual(), [("up", 6, 5, 4, (P, R))]),
    "batch norm, trained": (normalised(trained_statistics(4), nn.ReLU()), [("1", 4, 2, 1, (R,))]),
    "batch norm of channels": (
        nn.Sequential(nn.Conv1d(1, 3, 2), trained_statistics(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 1)).eval(),
        [("1", 3, 2, 4, (R,))],
    ),
    "batch norm, fresh": (normalised(nn.BatchNorm1d(4), nn.ReLU()), [("0", 4, 6, 1, (P,))]),
    "batch norm, no scales": (normalised(trained_statistics(4, False, False), nn.Tanh()), [("0", 4, 4, 1, (S,))]),
    "layer norm": (
        nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 1)),
        [("0", 4, 6, 1, (P,))],
    ),
    "bias frozen at zero": (frozen_bias(torch.zeros(4), nn.ReLU()), [("0", 4, 3, 1, (P, R))]),
    "bias frozen at one": (frozen_bias(torch.ones(4), nn.ReLU()), [("0", 4, 3, 1, (P,))]),
    "prelu": (nn.Sequential(nn.Linear(3, 4), nn.PReLU(), nn.Linear(4, 1)), [("0", 4, 4, 1, (P, R))]),
}  # fmt: skip


def shape_of(network: nn.Module) -> tuple[int, ...]:
    return {"Convolutional": (1, 10, 10), "ChannelsLast": (2, 6)}.get(type(network).__name__, (3,))


def described(layer: SymmetricLayer) -> tuple[str, int, int, int, tuple[str, ...]]:
    return layer.name, layer.h, layer.p, layer.q, layer.groups


@pytest.mark.parametrize("name", READ)
def test_layers_are_read(name: str) -> None:
    network, wanted = READ[name]
    x = torch.randn(5, 3) if isinstance(network, Bare | ByHand) else None
    x = torch.arange(10).reshape(5, 2) % 5 if isinstance(network, Embedded) else x
    symmetry = NetworkSymmetry.from_module(network, x=x)
    assert [described(layer) for layer in symmetry.layers] == wanted
    assert [item.name for item in symmetry.unplaced] == {"residual": ["into", "down"], "embedded": ["table"]}.get(
        name, []
    )


@pytest.mark.parametrize("name", ["functional", "by hand", "convolutional", "gated", "residual", "batch norm, trained"])
def test_the_function_stays(name: str) -> None:
    """Independently of the check at construction: the module itself, with names from the layout, in float64."""
    network = READ[name][0].double()
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(7, *shape_of(network), generator=generator, dtype=torch.float64)
    symmetry = NetworkSymmetry.from_module(network, 1, x=x)
    theta = 0.5 * torch.randn(symmetry.dim, generator=generator, dtype=torch.float64)

    def outputs(vector: Tensor) -> Tensor:
        tensors = symmetry.layout.unflatten(vector)
        names = [n for n, _ in network.named_parameters()]
        return functional_call(network, {n: tensors[n] for n in names}, (x,)).detach()

    before = outputs(theta)
    for layer in symmetry.layers:
        for action in (layer.permutation, layer.sign_flip, layer.rotation):
            if action is not None:
                g = action.group.sample(1, generator=generator)[0]
                assert torch.allclose(outputs(action.act(g, theta)), before, atol=1e-12)
        if layer.rescaling is not None:
            c = torch.rand(layer.h, generator=generator, dtype=torch.float64) * 2 + 0.3
            assert torch.allclose(outputs(layer.rescaling.act(c, theta)), before, atol=1e-12)
            assert not torch.allclose(layer.rescaling.act(c, theta), theta)
    moved = symmetry.act(symmetry.random(1, generator), theta)[0]
    assert torch.allclose(outputs(moved), before, atol=1e-12)
    assert moved[-1] == theta[-1]  # the likelihood's scalar


def test_places_are_those_of_a_perceptron() -> None:
    """Indices against HiddenLayer.of_mlp, which knows the order of parameters_to_vector."""
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    first, second = NetworkSymmetry.from_module(network).layers
    assert first.units == HiddenLayer.of_mlp([3, 4, 5, 2], 1)
    assert second.units == HiddenLayer.of_mlp([3, 4, 5, 2], 2)


def test_registered_activation() -> None:
    class Cubic(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return z * z * z

    register_activation(Cubic, lambda m: Activation("cubic", m, degree=3.0, odd=True))
    (layer,) = NetworkSymmetry.from_module(nn.Sequential(nn.Linear(2, 3), Cubic(), nn.Linear(3, 1))).layers
    assert (layer.activation.name, layer.degree, layer.odd, layer.linear) == ("cubic", 3.0, True, False)


def test_verification_on_a_posterior() -> None:
    network = READ["sequence"][0]
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    posterior = NetworkPosterior(network, GaussianNoise(1.0), NormalPrior(1.0), x, x[:, :2])
    symmetry = NetworkSymmetry.of(posterior)
    checks = symmetry.verify(posterior)
    assert all(checks) and len(checks) == 2 + 2 + 1 + 4 and max(c.error for c in checks) < 1e-12
    false = NetworkSymmetry(symmetry.layout, [SymmetricLayer("0", layer.units, symmetry.layers[0].activation)
                                              for layer in symmetry.layers])  # fmt: skip
    assert [bool(check) for check in false.verify(posterior)] == [True, True, True, False, True, False, True, True]


def test_the_table_is_readable() -> None:
    text = str(NetworkSymmetry.from_module(Residual()))
    assert "up         6   5    4  relu        permutations, rescaling" in text
    assert "into: its units are tied to those of another layer by a sum or product" in text
    assert f"equal copies of generic weights by permutations and signs: {math.factorial(6)}" in text
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "no hidden layer whose symmetry is known" in str(NetworkSymmetry.from_module(nn.Linear(3, 1)))
