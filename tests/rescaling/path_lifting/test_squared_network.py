"""The squared network against paths listed one by one, for every kind of layer."""

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from pyro_symvi._layout import Layout
from pyro_symvi.groups import NetworkRescaling, UnsupportedError
from pyro_symvi.rescaling.path_lifting import log_path_weights, path_norm, path_norm_squared, path_weights, paths
from pyro_symvi.rescaling.tracing import TracedNetwork


class Function(nn.Module):
    """A network written as a function of its layers and one activation."""

    def __init__(self, forward: Callable[[nn.Module, Tensor], Tensor], **layers: nn.Module | nn.Parameter) -> None:
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.function = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def traced(module: nn.Module, *shape: int) -> TracedNetwork:
    """A graph without units: path weights need none."""
    layout = Layout.of(module, frozen=True)
    none = torch.full((layout.dim,), -1)
    return TracedNetwork(fx.symbolic_trace(module), ((1, *shape),), layout, NetworkRescaling(none, none, 0), ())


def random_theta(network: TracedNetwork, seed: int = 0) -> Tensor:
    return torch.randn(network.layout.dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(channels)
    layer.running_mean, layer.running_var = torch.linspace(-1, 1, channels), torch.linspace(0.3, 2, channels)
    return layer


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.ones(shape))


CONV, LINEAR, RELU = nn.Conv2d, nn.Linear, nn.ReLU
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "perceptron": (
        lambda: nn.Sequential(LINEAR(3, 4), RELU(), LINEAR(4, 2, bias=False), nn.PReLU(), LINEAR(2, 2)),
        (3,),
    ),
    "convolution": (lambda: nn.Sequential(CONV(2, 2, 2), RELU(), CONV(2, 1, 2, padding=1, stride=2)), (2, 3, 3)),
    "grouped": (lambda: nn.Sequential(CONV(4, 4, 2, groups=2), RELU(), CONV(4, 4, 1, groups=4)), (4, 2, 3)),
    "circular": (
        lambda: nn.Sequential(nn.Conv1d(1, 2, 3, padding=1, padding_mode="circular"), nn.Conv1d(2, 1, 3)),
        (1, 4),
    ),
    "transposed": (
        lambda: nn.Sequential(nn.ConvTranspose1d(2, 2, 3, 2, 1, output_padding=1), RELU(), nn.Conv1d(2, 1, 2)),
        (2, 2),
    ),
    "average pools": (
        lambda: nn.Sequential(
            CONV(1, 2, 2), nn.AvgPool2d(2, 1, 1), nn.AdaptiveAvgPool2d((2, 1)), nn.Flatten(), LINEAR(4, 1)
        ),
        (1, 3, 3),
    ),
    "pool counting no padding": (
        lambda: nn.Sequential(
            nn.Conv1d(1, 1, 2), nn.AvgPool1d(2, 2, 1, True, count_include_pad=False), nn.Conv1d(1, 1, 2)
        ),
        (1, 5),
    ),
    "largest": (
        lambda: nn.Sequential(CONV(1, 2, 2, padding=1), nn.MaxPool2d(2), nn.Flatten(), LINEAR(8, 2)),
        (1, 3, 3),
    ),
    "batch norm": (lambda: nn.Sequential(CONV(1, 2, 2), batch_norm(2), RELU(), CONV(2, 1, 2)), (1, 3, 3)),
    "residual": (
        lambda: Function(
            lambda m, x: m.c(torch.sub(torch.relu(m.a(x)) + F.relu(m.b(x)), x, alpha=0.5)),
            a=CONV(2, 2, 1),
            b=CONV(2, 2, 3, padding=1),
            c=CONV(2, 1, 1),
        ),
        (2, 2, 2),
    ),
    "concatenation": (
        lambda: Function(
            lambda m, x: m.c(torch.cat([m.a(x).relu(), F.pad(m.b(x), (0, 1), value=2.0)], 1)),
            a=nn.Conv1d(1, 2, 2),
            b=nn.Conv1d(1, 1, 3),
            c=nn.Conv1d(3, 1, 1),
        ),
        (1, 4),
    ),
    "functional": (
        lambda: Function(
            lambda m, x: F.linear(torch.matmul(x.view(x.size(0), -1), m.w) * m.s + m.b, m.v).clamp(min=0) / 3,
            w=parameter(4, 3),
            s=parameter(3),
            b=parameter(3),
            v=parameter(2, 3),
        ),
        (2, 2),
    ),
    "means": (
        lambda: Function(
            lambda m, x: m.v(m.c(x).relu().mean((2, 3)) + m.c(x).amax((2, 3))), c=CONV(1, 2, 2), v=LINEAR(2, 1)
        ),
        (1, 3, 3),
    ),
    "upsampling": (
        lambda: nn.Sequential(CONV(1, 4, 1), nn.PixelShuffle(2), nn.Upsample(scale_factor=2), CONV(1, 1, 3)),
        (1, 1, 1),
    ),
    "group norm": (lambda: nn.Sequential(nn.Conv1d(1, 4, 2), nn.GroupNorm(2, 4), RELU(), nn.Conv1d(4, 2, 2)), (1, 4)),
    "parallel use": (
        lambda: Function(lambda m, x: m.v(m.a(x).relu() + m.a(2 * x)), a=LINEAR(2, 2), v=LINEAR(2, 1)),
        (2,),
    ),
}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> TracedNetwork:
    make, shape = NETWORKS[request.param]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return traced(make(), *shape)


def test_squared_network_is_the_sum_over_paths(network: TracedNetwork) -> None:
    theta = random_theta(network)
    listed = paths(network, theta)
    phi, jacobian = listed.lift(theta), listed.jacobian(theta)
    assert len(listed) > 3
    torch.testing.assert_close(path_norm_squared(network, theta), phi.square().sum(), rtol=1e-12, atol=0)
    torch.testing.assert_close(path_weights(network, theta), jacobian.square().sum(0), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(log_path_weights(network, theta).exp(), jacobian.square().sum(0), rtol=1e-12, atol=1e-14)


def test_other_exponents(network: TracedNetwork) -> None:
    theta = random_theta(network)
    torch.testing.assert_close(
        path_norm(network, theta).square(), path_norm_squared(network, theta), rtol=1e-12, atol=0
    )
    if not any("max" in str(node.target).lower() for node in network.graph.graph.nodes):  # listed for squares alone
        expected = paths(network, theta).lift(theta).abs().pow(0.7).sum() ** (1 / 0.7)
        torch.testing.assert_close(path_norm(network, theta, p=0.7), expected, rtol=1e-12, atol=0)


def test_an_average_pool_is_squared_exactly() -> None:
    network = traced(nn.Sequential(nn.Conv1d(1, 1, 1, bias=False), nn.AvgPool1d(2)), 1, 2)
    theta = torch.tensor([3.0], dtype=torch.float64)
    assert path_norm_squared(network, theta) == 2 * (3 / 2) ** 2  # two paths; the pool of squares would give 9
    assert path_weights(network, theta) == 1 / 2


def test_listed_paths_of_a_perceptron_are_node_sequences() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2)).double()
    network = traced(net, 2)
    theta = random_theta(network)
    w1, b1, w2, b2, w3, b3 = network.layout.unflatten(theta).values()
    ends = [w3[k, j] for k in range(2) for j in range(2)]
    by_hand = [
        w3[k, j] * w2[j, i] * w1[i, h] for k, j, i, h in itertools.product(range(2), range(2), range(3), range(2))
    ]
    by_hand += [w3[k, j] * w2[j, i] * b1[i] for k, j, i in itertools.product(range(2), range(2), range(3))]
    by_hand += [end * b2[j % 2] for j, end in enumerate(ends)] + list(b3)
    found = paths(network, theta).lift(theta)
    torch.testing.assert_close(found.sort().values, torch.stack(by_hand).sort().values)


def test_listed_paths_add_up_to_the_network_without_its_activations() -> None:
    make, shape = NETWORKS["residual"]
    module = make().double()
    network = traced(module, *shape)
    theta = random_theta(network)
    x = torch.ones(1, *shape, dtype=torch.float64)
    c, a, b = (network.layout.unflatten(theta)[f"{n}.weight"] for n in "cab")
    cb, ab, bb = (network.layout.unflatten(theta)[f"{n}.bias"] for n in "cab")
    linear = F.conv2d(F.conv2d(x, a, ab) + F.conv2d(x, b, bb, padding=1) - 0.5 * x, c, cb)
    torch.testing.assert_close(paths(network, theta).lift(theta).sum(), linear.sum())


def test_a_batch_is_the_same_as_one_by_one(network: TracedNetwork) -> None:
    thetas = torch.stack([random_theta(network, s) for s in range(3)])
    expected = torch.stack([path_weights(network, theta) for theta in thetas])
    torch.testing.assert_close(path_weights(network, thetas[:, None])[:, 0], expected, rtol=1e-12, atol=1e-14)
    assert path_norm_squared(network, thetas[None]).shape == (1, 3)


def test_derivative_in_theta() -> None:
    network = traced(NETWORKS["batch norm"][0](), 1, 3, 3)
    theta = random_theta(network).requires_grad_()
    listed = paths(network, theta)
    found = torch.autograd.functional.jacobian(lambda t: path_weights(network, t), theta)
    expected = torch.autograd.functional.jacobian(lambda t: listed.jacobian(t).square().sum(0), theta)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_sum_of_all_branches_of_a_max_pool() -> None:
    network = traced(nn.Sequential(nn.Conv1d(1, 1, 1), nn.MaxPool1d(2), nn.Conv1d(1, 1, 1, bias=False)), 1, 4)
    theta = torch.tensor([2.0, 3.0, 5.0], dtype=torch.float64)
    assert path_norm_squared(network, theta) == 2 * 25 * (4 + 9)
    assert path_norm_squared(network, theta, max_pool="sum") == 4 * 25 * (4 + 9)


def test_a_weight_twice_on_one_path_is_refused() -> None:
    twice = traced(Function(lambda m, x: m.a(torch.relu(m.a(x))), a=nn.Linear(2, 2)), 2)
    with pytest.raises(UnsupportedError, match=r"a\.weight.*twice on one path.*l2"):
        path_weights(twice, random_theta(twice))
    gated = traced(Function(lambda m, x: m.a(x) * m.b(x), a=nn.Linear(2, 2), b=nn.Linear(2, 2)), 2)
    with pytest.raises(UnsupportedError, match="product of two activations"):
        path_weights(gated, random_theta(gated))
    with pytest.raises(UnsupportedError, match="expected operations linear"):
        paths(gated, random_theta(gated))
