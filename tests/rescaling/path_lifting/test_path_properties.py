"""What theory says of path weights, on traced networks with their scalings."""

import itertools
import math
from collections.abc import Callable

import mpmath
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pyro_symvi.groups import UnsupportedError
from pyro_symvi.rescaling import RescalingGroup
from pyro_symvi.rescaling.path_lifting import (
    expected_path_weights,
    initial_second_moments,
    log_path_weights,
    path_norm,
    path_norm_squared,
    path_weights,
    paths,
)
from pyro_symvi.rescaling.path_lifting._perceptron import chain_of


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner = nn.Conv2d(1, 2, 2), nn.Conv2d(2, 2, 3, padding=1)
        self.norm, self.shortcut, self.head = nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1), nn.Linear(2, 2)
        self.norm.running_mean.copy_(torch.tensor([0.3, -1.0]))
        self.norm.running_var.copy_(torch.tensor([0.5, 2.0]))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        x = F.relu(self.norm(self.inner(x)) + self.shortcut(x))
        return F.softmax(self.head(F.avg_pool2d(x, 2).flatten(1)), -1)


def perceptron(*widths: int, bias: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n, m in itertools.pairwise(widths):
        layers += [nn.Linear(n, m, bias=bias), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "perceptron": (lambda: perceptron(2, 3, 2, 1), (2,)),
    "convolutions": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 2, padding=1), nn.ReLU(), nn.Conv2d(2, 4, 2, groups=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(4, 2),
        ),
        (1, 3, 3),
    ),
    "residual": (Residual, (1, 3, 3)),
    "folded": (Residual, (1, 3, 3)),
}  # fmt: skip


def random(size: int, seed: int = 0) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module", params=NETWORKS)
def group(request: pytest.FixtureRequest) -> RescalingGroup:
    make, shape = NETWORKS[request.param]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        norm = "folded" if request.param == "folded" else "barrier"
        return RescalingGroup.from_module(make().eval(), shape, batch_norm=norm)


def test_along_an_orbit(group: RescalingGroup) -> None:
    theta, z, B = random(group.dim), random(group.num_units, 1), group.incidence().to_dense()
    moved = group.act(theta, z)
    listed = paths(group, theta)
    torch.testing.assert_close(listed.lift(moved), listed.lift(theta), rtol=1e-12, atol=0)
    for p in (1.0, 2.0):
        torch.testing.assert_close(
            path_norm(group.traced, moved, p=p), path_norm(group.traced, theta, p=p), rtol=1e-12, atol=0
        )
    expected = path_weights(group.traced, theta) * (B @ z).exp()
    torch.testing.assert_close(path_weights(group.traced, moved), expected, rtol=1e-12, atol=0)
    wrong = path_weights(group.traced, theta) * (-B @ z).exp()
    assert not torch.allclose(path_weights(group.traced, moved), wrong, rtol=1e-2)


def test_flow_through_each_unit_is_conserved(group: RescalingGroup) -> None:
    theta = random(group.dim)
    B, mass = group.incidence().to_dense(), theta.square() * path_weights(group.traced, theta)
    through = B.abs().mT @ mass
    assert float(((B.mT @ mass).abs() / through).max()) < 1e-13
    wrong = theta.square() * path_weights(group.traced, theta.abs().sqrt())  # path weights of other parameters
    assert float(((B.mT @ wrong).abs() / through).max()) > 1e-2


def test_rank_is_live_parameters_less_units(group: RescalingGroup) -> None:
    # folded: running means aside, each of two channels has one more scale, between its convolution and gamma
    more = 2 if group.traced.batch_norm == "folded" else 0
    theta = random(group.dim)
    listed = paths(group, theta)
    jacobian, G = listed.jacobian(theta), listed.magnitude(theta)
    live = int((G.diagonal() > 0).sum())
    assert int(torch.linalg.matrix_rank(jacobian, rtol=1e-10)) == live - group.num_units - more
    tangent = theta[:, None] * group.incidence().to_dense()
    assert float((jacobian @ tangent).abs().max()) < 1e-12 * float(jacobian.abs().max())


def test_pseudo_determinant_along_an_orbit() -> None:
    group = RescalingGroup.from_module(perceptron(2, 3, 2, 1), (2,))
    theta, z, B = random(group.dim), random(group.num_units, 1), group.incidence().to_dense()
    moved = group.act(theta, z)

    def log_pdet(theta: Tensor) -> Tensor:
        values = torch.linalg.eigvalsh(paths(group, theta).magnitude(theta))
        return values[group.num_units :].log().sum()

    def log_volume(theta: Tensor) -> Tensor:
        return torch.logdet(B.mT @ (theta.square()[:, None] * B))

    expected = (B @ z).sum() + log_volume(moved) - log_volume(theta)
    torch.testing.assert_close(log_pdet(moved) - log_pdet(theta), expected, rtol=1e-9, atol=1e-9)
    assert abs(float(log_volume(moved) - log_volume(theta))) > 0.1  # the term is no trifle


def test_every_path_without_biases_has_one_weight_a_layer() -> None:
    """Euler: N is homogeneous of degree one in the squared weights of each layer."""
    group = RescalingGroup.from_module(perceptron(3, 4, 2, 2, bias=False), (3,))
    theta = random(group.dim)
    shares = group.layout.unflatten(theta.square() * path_weights(group.traced, theta))
    norm = path_norm_squared(group.traced, theta)
    for share in shares.values():
        torch.testing.assert_close(share.sum(), norm, rtol=1e-12, atol=0)


def test_closed_form_of_perceptrons_is_the_squared_network() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.LeakyReLU(), nn.Linear(4, 3, bias=False), nn.PReLU())
    other = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.Flatten(), nn.Linear(4, 3, bias=False), nn.PReLU())
    chain, general = (RescalingGroup.from_module(n, (2, 3)).traced for n in (net, other))
    found = [chain_of(n.graph, n.input_shapes, set(n.layout.names)) for n in (chain, general)]
    assert found[0] is not None and len(found[0]) == 2 and found[1] is None
    theta = random(3 * chain.layout.dim).reshape(3, -1)
    torch.testing.assert_close(path_weights(chain, theta), path_weights(general, theta), rtol=1e-13, atol=0)
    assert not path_weights(chain, theta)[:, -1].any()  # slopes are no part of paths


@pytest.mark.parametrize("size", [30.0, 600.0])
def test_far_out_on_an_orbit(group: RescalingGroup, size: float) -> None:
    theta, B = random(group.dim), group.incidence().to_dense()
    z = size * random(group.num_units, 2).clamp(-2, 2)
    expected = log_path_weights(group.traced, theta) + B @ z
    torch.testing.assert_close(log_path_weights(group.traced, group.act(theta, z)), expected, rtol=1e-12, atol=1e-10)
    both = torch.stack([theta, group.act(theta, z)])
    norm = path_norm_squared(group.traced, theta).expand(2)
    torch.testing.assert_close(path_norm_squared(group.traced, both), norm, rtol=1e-11, atol=0)
    torch.testing.assert_close(log_path_weights(group.traced, both)[1], expected, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("name", ["perceptron", "convolutions"])
def test_inside_transforms(name: str) -> None:
    make, shape = NETWORKS[name]
    group = RescalingGroup.from_module(make(), shape)
    theta = random(group.dim)

    def function(t: Tensor) -> Tensor:
        return path_weights(group.traced, t)

    expected = torch.autograd.functional.jacobian(function, theta)
    torch.testing.assert_close(torch.func.jacrev(function)(theta), expected, rtol=1e-12, atol=1e-13)
    listed = paths(group, theta)
    direct = torch.autograd.functional.jacobian(lambda t: listed.jacobian(t).square().sum(0), theta)
    torch.testing.assert_close(expected, direct, rtol=1e-10, atol=1e-12)


def test_gradient_far_out_on_an_orbit() -> None:
    group = RescalingGroup.from_module(perceptron(2, 3, 2, 1), (2,))
    z = torch.zeros(group.num_units, dtype=torch.float64)
    z[0] = 700.0  # in-weights times e^350, out-weights times e^-350: squares overflow
    theta = random(group.dim)
    near, far = (t.detach().requires_grad_() for t in (theta, group.act(theta, z)))
    log_path_weights(group.traced, near).sum().backward()
    log_path_weights(group.traced, far).sum().backward()
    torch.testing.assert_close(far.grad * far.detach(), near.grad * theta, rtol=1e-9, atol=1e-9)


def test_a_hundred_layers() -> None:
    """Against arithmetic with unbounded exponents."""
    group = RescalingGroup.from_module(perceptron(*[2] * 101), (2,))
    theta = 1e-8 * random(group.dim)
    found = list(group.layout.unflatten(log_path_weights(group.traced, theta)).values())
    squares = [mpmath.matrix(t.square().tolist()) for t in group.layout.unflatten(theta).values()]
    f, forward = mpmath.matrix([1, 1]), []
    for S, b in zip(squares[::2], squares[1::2], strict=True):
        forward.append(f)
        f = S * f + b
    r = mpmath.matrix([1, 1])
    for layer in reversed(range(100)):
        for j in range(2):
            assert math.isclose(found[2 * layer + 1][j], mpmath.log(r[j]), rel_tol=1e-12, abs_tol=1e-12)
            for i in range(2):
                expected = mpmath.log(r[j] * forward[layer][i])
                assert math.isclose(found[2 * layer][j, i], expected, rel_tol=1e-12, abs_tol=1e-12)
        r = squares[2 * layer].T * r
    assert found[0].max() < -3000  # e^-3000 is zero in floating numbers


def test_paths_too_far_apart_are_no_dead_ones() -> None:
    layers: list[nn.Module] = [layer for _ in range(30) for layer in (nn.Conv1d(1, 1, 1), nn.ReLU())]
    group = RescalingGroup.from_module(nn.Sequential(*layers), (1, 1))
    theta = torch.full((group.dim,), 1e-16, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"within a range of 2\^1000.*nearer to one"):
        path_weights(group.traced, theta)  # that of the first layer is 1e-928 of that of the last
    assert bool((path_weights(group.traced, theta**0.02) > 0).all())
    group = RescalingGroup.from_module(nn.Sequential(*(nn.Linear(2, 2, bias=False) for _ in range(8))), (2,))
    theta = torch.tensor([1.0, 0.0, 0.0, 1e-60], dtype=torch.float64).repeat(8)  # one path of ones, one of 1e-480
    with pytest.raises(ValueError, match=r"within a range of 2\^1000"):
        path_weights(group.traced, theta)


def test_dead_parameters_have_weight_zero() -> None:
    group = RescalingGroup.from_module(perceptron(2, 3, 2), (2,))
    theta = random(group.dim)
    parts = group.layout.unflatten(theta)
    parts["2.weight"][:, 1] = 0  # nothing leaves unit 1
    g = group.layout.unflatten(path_weights(group.traced, theta))
    assert not g["0.weight"][1].any() and g["0.bias"][1] == 0
    assert bool((g["2.weight"] > 0).all())  # a zero weight may be alive itself


def test_expected_path_weights_of_kaiming_initialisation() -> None:
    widths = (5, 4, 2, 6, 3)
    network = RescalingGroup.from_module(perceptron(*widths), (5,)).traced
    depth = len(widths) - 1
    expected = network.layout.unflatten(expected_path_weights(network))
    for layer in range(1, depth + 1):
        name, ratio = 2 * (layer - 1), widths[-1] / widths[layer]
        weight, bias = expected[f"{name}.weight"], expected[f"{name}.bias"]
        torch.testing.assert_close(weight, torch.full_like(weight, 2 ** (depth - 1) * ratio))
        torch.testing.assert_close(bias, torch.full_like(bias, 2 ** (depth - layer) * ratio))
    narrow = expected["2.weight"].mean() / expected["4.weight"].mean()
    assert float(narrow) == pytest.approx(3)  # widths 2 and 6


def test_expected_path_weights_are_means_over_draws() -> None:
    net = nn.Sequential(nn.Conv1d(1, 2, 2), nn.ReLU(), nn.Conv1d(2, 2, 2), nn.AvgPool1d(2))
    network = RescalingGroup.from_module(net, (1, 4)).traced
    moments = initial_second_moments(network, "uniform")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        squares = torch.stack([nn.Conv1d(1, 2, 2).weight.detach().double().square() for _ in range(500)])
    assert abs(float(squares.mean() / moments[0]) - 1) < 0.08  # 4 standard errors, sqrt(0.8 / 2000) each
    bound = (3 * moments).sqrt()
    uniform = torch.rand(1500, network.layout.dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    draws = path_weights(network, bound * (2 * uniform - 1))
    error = draws.std(0) / math.sqrt(len(draws))
    expected = expected_path_weights(network, "uniform")
    assert float(((draws.mean(0) - expected).abs() - 4.5 * error).max()) < 1e-12  # 4.5 standard errors, 18 entries
    named = expected_path_weights(network, {name: 0.25 for name in network.layout.names})
    torch.testing.assert_close(named, path_weights(network, torch.full((network.layout.dim,), 0.5).double()))
    with pytest.raises(ValueError, match=r"difference in \['0\.bias'"):
        expected_path_weights(network, {"0.weight": 1.0, "2.weight": 1.0, "2.bias": 1.0})


def test_the_network_is_neither_run_nor_changed() -> None:
    net = nn.Sequential(nn.Conv1d(1, 2, 2), nn.BatchNorm1d(2), nn.ReLU(), nn.ConvTranspose1d(2, 1, 2), nn.Dropout())
    group = RescalingGroup.from_module(net, (1, 4))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    calls: list[nn.Module] = []
    for module in net.modules():
        module.register_forward_hook(lambda module, args, result: calls.append(module))
    state = torch.random.get_rng_state()
    path_weights(group.traced, random(group.dim).requires_grad_()).sum().backward()
    assert net.training and not calls and all(p.grad is None for p in net.parameters())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_what_has_no_path_norm_is_refused() -> None:
    group = RescalingGroup.from_module(perceptron(2, 3, 2), (2,))
    theta = random(group.dim)
    for broken in (math.nan, math.inf):
        bad = theta.clone()
        bad[7] = broken
        with pytest.raises(ValueError, match=r"nan or infinity in 0\.bias"):
            path_weights(group.traced, bad)
    with pytest.raises(ValueError, match="max_pool"):
        path_weights(group.traced, theta, max_pool="mean")
    with pytest.raises(ValueError, match="0 < p"):
        path_norm(group.traced, theta, p=-1.0)
    with pytest.raises(ValueError, match="at most 3 paths"):
        paths(group, theta, limit=3)
    with pytest.raises(ValueError, match="scheme"):
        expected_path_weights(group.traced, "he")


class Squared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(2, 3), nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.relu(self.a(x)) ** 2)


def test_an_activation_of_degree_two_is_refused() -> None:
    group = RescalingGroup.from_module(Squared(), (2,))
    with pytest.raises(UnsupportedError, match=r"degree 1.*l2"):
        path_weights(group.traced, random(group.dim))
