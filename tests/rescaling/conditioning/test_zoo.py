"""The whole call on networks of all kinds, random and trained: function kept, one optimum, monotone, certified."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pyro_symvi.rescaling import RescalingGroup, path_condition


class LeNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 4, 3)
        self.f1, self.f2 = nn.Linear(16, 7), nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.avg_pool2d(self.c2(x).relu(), 2, 1)[:, :, ::1]
        x = F.adaptive_avg_pool2d(x, 2).view(x.size(0), -1)
        out: Tensor = self.f2(torch.relu(self.f1(x)))
        return out


class Block(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(before, after, 3, padding=1), nn.Conv2d(after, after, 3, padding=1)
        self.n1 = nn.BatchNorm2d(after)
        self.skip = nn.Conv2d(before, after, 1) if before != after else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.c2(torch.relu(self.n1(self.c1(x)))) + self.skip(x))


class Twice(nn.Module):
    """One linear layer called twice: its units are tied to one another, and paths use its weights twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again, self.last = nn.Linear(4, 5), nn.Linear(5, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.again(torch.relu(self.first(x))))
        out: Tensor = self.last(torch.relu(self.again(x)))
        return out


def head(channels: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 3)]


def depthwise() -> nn.Module:
    first, deep, point = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 8, 3, groups=4, bias=False), nn.Conv2d(8, 5, 1)
    return nn.Sequential(first, nn.ReLU(), deep, nn.LeakyReLU(0.1), point, nn.PReLU(5), *head(5))


def vgg() -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in ((1, 4), (4, 4), (4, 6)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(
        *layers, nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(), nn.Linear(96, 5), nn.ReLU(), nn.Linear(5, 3)
    )


def autoencoder() -> nn.Module:
    down = [nn.Linear(9, 6), nn.ReLU(), nn.Linear(6, 2), nn.ReLU(), nn.Linear(2, 6), nn.ReLU()]
    return nn.Sequential(*down, nn.Linear(6, 9), nn.Sigmoid())


ZOO: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (lambda: nn.Sequential(nn.Linear(5, 12), nn.ReLU(), nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 3)), (5,)),
    "lenet": (LeNet, (1, 8, 8)),
    "vgg": (vgg, (1, 8, 8)),
    "resnet, projection": (lambda: nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), Block(3, 4), *head(4)), (1, 6, 6)),
    "resnet, identity": (lambda: nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), Block(3, 3), *head(3)), (1, 6, 6)),
    "autoencoder": (autoencoder, (9,)),
    "depthwise": (depthwise, (1, 7, 7)),
}


@functools.cache
def made(name: str, trained: bool) -> tuple[nn.Module, Tensor, tuple[int, ...]]:
    """A network, inputs and their shape; trained ones are fitted to random targets for some steps."""
    build, shape = ZOO[name]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model, x = build().double(), torch.randn(6, *shape, dtype=torch.float64)
        if trained:
            optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
            y, losses = torch.bernoulli(torch.full(model(x).shape, 0.5, dtype=torch.float64)), []
            for _ in range(15):
                optimizer.zero_grad()
                loss = (model(x) - y).square().mean()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            assert losses[-1] < 0.8 * losses[0]
            optimizer.zero_grad()
    return model.eval(), x, shape


CASES = [
    (name, criterion, trained) for name in ZOO for criterion, trained in (("path", False), ("path", True), ("l2", True))
]
CASES += [("mlp", "range", False), ("resnet, projection", "range", True)]


@functools.cache
def group_of(name: str) -> RescalingGroup:
    return RescalingGroup.from_module(*made(name, False)[::2])


@pytest.mark.parametrize(
    ("name", "criterion", "trained"), CASES, ids=[f"{n}, {c}{', trained' * t}" for n, c, t in CASES]
)
def test_function_kept_and_one_optimum_from_the_whole_orbit(name: str, criterion: str, trained: bool) -> None:
    model, x, _ = made(name, trained)
    before = model(x)
    group = group_of(name)
    moved = copy.deepcopy(model)
    z = 2 * torch.randn(group.num_units, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    group.apply_(moved, z)
    results = [path_condition(m, group, criterion=criterion, tol=1e-11) for m in (model, moved)]
    for result in results:
        assert result.converged and result.grad_norm <= 1e-11 and len(result.frozen) == 0
        assert all(b <= a for a, b in zip(result.history, result.history[1:], strict=False))
        assert result.objective[1] <= result.objective[0]
        assert result.max_rel_output_change <= 1e-12
    copies = [result.copy() for result in results]
    assert all((m(x) - before).abs().max() <= 1e-12 * before.abs().max() for m in copies)
    points = [group.parameters(m) for m in copies]
    assert torch.allclose(*points, rtol=1e-8, atol=0)
    again = path_condition(copies[0], group, criterion=criterion, tol=1e-11)
    assert again.log_scale.abs().max() <= 1e-8
    assert again.objective[0] == pytest.approx(results[0].objective[1], rel=1e-9, abs=1e-12)


def test_a_rescaling_that_is_wrong_would_be_seen() -> None:
    """The planted bug: the biases of a layer are left behind; neither the function nor the optimum survives it."""
    model, x, shape = made("mlp", False)
    result = path_condition(model, input_shape=shape)
    twin = result.copy()
    with torch.no_grad():
        twin[0].bias.copy_(model[0].bias)  # type: ignore[index, operator, union-attr, arg-type]
    before = model(x)
    assert (twin(x) - before).abs().max() > 1e-4 * before.abs().max()
    assert path_condition(twin, input_shape=shape).log_scale.abs().max() > 1e-4


def test_a_module_called_twice() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Twice().double()
    x = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 4)
    for criterion in ("l2", "range"):
        result = path_condition(model, criterion=criterion)
        assert result.converged and result.group.num_units < 15 and result.max_rel_output_change <= 1e-12
        assert torch.allclose(result.copy()(x), model(x), rtol=1e-12, atol=0)
    with pytest.raises((TypeError, ValueError), match="path"):
        path_condition(model)


class Branches(nn.Module):
    """One layer that two branches share, and a parameter that two layers share; no path meets either twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.one, self.two, self.last = nn.Linear(4, 5), nn.Linear(5, 3), nn.Linear(5, 3), nn.Linear(3, 2)
        self.two.weight = self.one.weight

    def forward(self, x: Tensor) -> Tensor:
        left, right = torch.relu(self.first(x)), torch.relu(self.first(x.flip(-1)))
        out: Tensor = self.last(torch.relu(self.one(left)) + torch.relu(self.two(right)))
        return out


@pytest.mark.parametrize("criterion", ["path", "l2", "range"])
def test_weights_that_branches_share(criterion: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Branches().double()
    x = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 4)
    result = path_condition(model, (4,), criterion=criterion)
    twin = result.copy()
    assert result.converged and result.group.num_units == 5 + 3 and result.log_scale.abs().max() > 0.1
    assert torch.allclose(twin(x), model(x), rtol=1e-12, atol=0) and twin.two.weight is twin.one.weight


@pytest.mark.parametrize("criterion", ["path", "l2", "range"])
def test_zero_channels(criterion: str) -> None:
    """A channel that nothing enters, one that nothing leaves, one with a zero kernel but a bias: the last is alive."""
    model, x, shape = made("depthwise", False)
    model = copy.deepcopy(model)
    with torch.no_grad():
        model[0].weight[0], model[0].bias[0] = 0.0, 0.0  # type: ignore[index, operator, union-attr]
        model[0].weight[1] = 0.0  # type: ignore[index, operator, union-attr]
        model[4].weight[:, 7] = 0.0  # type: ignore[index, operator, union-attr]
    result = path_condition(model, shape, criterion=criterion)
    before, after = model(x), result.copy()(x)
    assert result.frozen.tolist() == [0, 4, 5, 11] and result.log_scale[[0, 4, 5, 11]].tolist() == [0.0] * 4
    assert result.converged and (after - before).abs().max() <= 1e-12 * before.abs().max()
    assert 0 < result.log_scale[1].abs() < 50
