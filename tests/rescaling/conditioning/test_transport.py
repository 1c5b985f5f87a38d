"""What optimisers remember, carried along: against runs whose gradients transform as they must."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn, optim

from pyro_symvi.rescaling import RescaleEvery, RescalingGroup, path_condition, transport_

OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {
    "sgd": lambda p: optim.SGD(p, lr=0.0, momentum=0.9),
    "nesterov": lambda p: optim.SGD(p, lr=0.0, momentum=0.9, nesterov=True),
    "adam": lambda p: optim.Adam(p, lr=0.0, eps=1e-30),
    "amsgrad": lambda p: optim.Adam(p, lr=0.0, eps=1e-30, amsgrad=True),
    "adamw": lambda p: optim.AdamW(p, lr=0.0, eps=1e-30),
    "nadam": lambda p: optim.NAdam(p, lr=0.0, eps=1e-30),
    "radam": lambda p: optim.RAdam(p, lr=0.0, eps=1e-30),
    "adamax": lambda p: optim.Adamax(p, lr=0.0, eps=1e-30),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.0, eps=1e-30, momentum=0.5, centered=True),
    "adagrad": lambda p: optim.Adagrad(p, lr=0.0, eps=1e-30),
}


def perceptron(*widths: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).to(dtype)


@functools.cache
def group() -> RescalingGroup:
    return RescalingGroup.from_module(perceptron(3, 6, 4, 1), (3,))


def step(model: nn.Module, optimizer: optim.Optimizer, seed: int) -> None:
    x = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    (model(x) - x[:, :1].sin()).square().mean().backward()
    optimizer.step()


def buffers(model: nn.Module, optimizer: optim.Optimizer) -> list[Any]:
    return [
        {key: value for key, value in optimizer.state[p].items() if torch.is_tensor(value) and value.shape == p.shape}
        for p in model.parameters()
    ]


def agree(first: list[Any], second: list[Any], rtol: float = 1e-9) -> bool:
    return all(
        a.keys() == b.keys() and all(torch.allclose(a[key], b[key], rtol=rtol, atol=1e-25) for key in a)
        for a, b in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_is_that_of_a_run_at_the_rescaled_point(name: str) -> None:
    """Learning rate zero: gradients at theta' are exp(-l) times those at theta, from backpropagation at theta'."""
    model = perceptron(3, 6, 4, 1)
    result = path_condition(model, group())
    moved = result.copy()
    mine, truth = OPTIMIZERS[name](model.parameters()), OPTIMIZERS[name](moved.parameters())
    for seed in range(2):
        step(model, mine, seed)
        step(moved, truth, seed)
    result.apply_(mine)
    assert all(torch.allclose(a, b, rtol=1e-12) for a, b in zip(model.parameters(), moved.parameters(), strict=True))
    assert all(
        torch.allclose(a.grad, b.grad, rtol=1e-9, atol=1e-300)
        for a, b in zip(model.parameters(), moved.parameters(), strict=True)
    )
    assert agree(buffers(model, mine), buffers(moved, truth))
    step(model, mine, 9)
    step(moved, truth, 9)
    assert agree(buffers(model, mine), buffers(moved, truth))


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_without_transport_the_state_is_another(name: str) -> None:
    model = perceptron(3, 6, 4, 1)
    moved = path_condition(model, group()).copy()
    mine, truth = OPTIMIZERS[name](model.parameters()), OPTIMIZERS[name](moved.parameters())
    step(model, mine, 0)
    step(moved, truth, 0)
    path_condition(model, group(), inplace=True)
    assert not agree(buffers(model, mine), buffers(moved, truth), 0.01)


def test_momentum_run_by_hand() -> None:
    """One weight in, one out: v' = 0.9 v + g in the rescaled coordinates, gradients given, not computed."""
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU(), nn.Linear(1, 1, bias=False)).double()
    with torch.no_grad():
        model[0].weight.fill_(4.0), model[2].weight.fill_(1.0)
    optimizer = optim.SGD(model.parameters(), lr=0.0, momentum=0.9)
    for first, second in ((1.0, 3.0), (-2.0, 5.0)):
        model[0].weight.grad = torch.full((1, 1), first, dtype=torch.float64)
        model[2].weight.grad = torch.full((1, 1), second, dtype=torch.float64)
        optimizer.step()
    path_condition(model, inplace=True, optimizer=optimizer)  # |w1| = |w2| = 2: factors 1/2 and 2
    assert torch.allclose(model[0].weight, torch.tensor(2.0).double())
    found = [optimizer.state[model[i].weight]["momentum_buffer"].item() for i in (0, 2)]
    assert found == pytest.approx([(0.9 * 1.0 - 2.0) * 2, (0.9 * 3.0 + 5.0) / 2], rel=1e-7)
    assert model[0].weight.grad.item() == pytest.approx(-4.0) and model[2].weight.grad.item() == pytest.approx(2.5)


def test_weight_decay_does_not_move_along() -> None:
    """The docstring's warning: with decay inside the gradient the transported momentum is not the one at theta'."""
    model = perceptron(3, 6, 4, 1)
    moved = path_condition(model).copy()
    pair = [optim.SGD(m.parameters(), lr=0.0, momentum=0.9, weight_decay=0.1) for m in (model, moved)]
    step(model, pair[0], 0)
    step(moved, pair[1], 0)
    path_condition(model, inplace=True, optimizer=pair[0])
    assert not agree(buffers(model, pair[0]), buffers(moved, pair[1]), 0.01)


class Mine(optim.SGD):
    """A subclass may mean something else by its buffers."""


@pytest.mark.parametrize("make", [optim.Adadelta, optim.Rprop, lambda p: Mine(p, lr=0.1, momentum=0.9)])
def test_unknown_state_is_refused_before_any_change(make: Callable[..., optim.Optimizer]) -> None:
    model = perceptron(3, 4, 1)
    optimizer = make(model.parameters())
    transport_(optimizer, model, {})  # no state yet: nothing to do
    step(model, optimizer, 0)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match="expected the state of an optimiser among SGD, Adam"):
        path_condition(model, inplace=True, optimizer=optimizer)
    result = path_condition(model)
    with pytest.raises(ValueError, match="fresh optimiser"):
        result.apply_(optimizer)
    assert not result.applied and all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_an_optimizer_of_another_network_is_refused() -> None:
    model = perceptron(3, 4, 1)
    other = optim.SGD(perceptron(3, 4, 1).parameters(), lr=0.1)
    with pytest.raises(ValueError, match="none of its parameters"):
        path_condition(model, inplace=True, optimizer=other)
    with pytest.raises(ValueError, match="inplace=True"):
        path_condition(model, optimizer=optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(TypeError, match=r"torch\.optim\.Optimizer"):
        path_condition(model, inplace=True, optimizer="sgd")  # type: ignore[arg-type]


@pytest.mark.parametrize("criterion", ["path", "l2"])
def test_rescaling_while_learning(criterion: str) -> None:
    """After a step that rescales, the weights are the optimum; with SGD the step before it is plain SGD's."""
    model, plain = perceptron(3, 6, 4, 1), perceptron(3, 6, 4, 1)
    one, two = (optim.SGD(m.parameters(), lr=0.05, momentum=0.9) for m in (model, plain))
    with RescaleEvery(model, group(), one, every=3, criterion=criterion, tol=1e-10) as rescaling:
        for seed in range(3):
            step(model, one, seed)
            step(plain, two, seed)
        assert (rescaling.steps, rescaling.count, rescaling.converged) == (3, 1, True)
        path_condition(plain, group(), criterion=criterion, tol=1e-10, inplace=True, optimizer=two)
        assert all(torch.allclose(a, b, rtol=1e-9) for a, b in zip(model.parameters(), plain.parameters(), strict=True))
        assert agree(buffers(model, one), buffers(plain, two))
    for seed in range(3):
        step(model, one, seed)
    assert rescaling.steps == 3
    for every in (0, True, 1.5):
        with pytest.raises(ValueError, match="every >= 1"):
            RescaleEvery(model, group(), one, every=every)  # type: ignore[arg-type]
