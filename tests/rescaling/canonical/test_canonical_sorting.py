"""Sorting of units: independent of where they stood, whatever the network, and only where they may be permuted."""

import functools
import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.rescaling import Canonicaliser, RescalingGroup
from pyro_symvi.rescaling.canonical import UnitOrder, permutable_units


class Residual(nn.Module):
    """An identity shortcut around two convolutions: its units are tied."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.up, self.down = nn.Conv2d(1, 3, 1), nn.Conv2d(3, 2, 3, padding=1), nn.Conv2d(2, 3, 1)
        self.head = nn.Linear(3 * 4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        x = (x + self.down(self.up(x).relu())).relu()
        return self.head(x.flatten(1))


class Loop(nn.Module):
    """A shortcut around one map: its weights lead from tied units into the same."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.map, self.head = nn.Linear(2, 4), nn.Linear(4, 4), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        return self.head((x + self.map(x)).relu())


def perceptron(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def convolutions() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 3, 2), nn.ReLU(), nn.Conv2d(3, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 4, 2)
    )


def depthwise() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 2, groups=4), nn.ReLU(), nn.Conv2d(4, 1, 1), nn.Flatten()
    )


def grouped() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 4, 1), nn.ReLU(), nn.Conv2d(4, 6, 2, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 4, 2)
    )


def normalised() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 1, 2), nn.Flatten())


NETWORKS = {
    "perceptron": (lambda: perceptron(2, 4, 3, 2), (2,), [(4, 1), (3, 1)]),
    "convolutions": (convolutions, (1, 4, 4), [(3, 1), (2, 1)]),
    "residual": (Residual, (1, 2, 2), [(3, 1), (2, 1)]),
    "loop": (Loop, (2,), [(4, 1)]),
    "depthwise": (depthwise, (1, 3, 3), [(4, 2)]),  # units before and after the kernel move together
    "grouped": (grouped, (1, 3, 3), [(2, 1), (2, 1), (3, 1), (3, 1)]),  # within each group
}


@functools.cache
def group_of(name: str) -> RescalingGroup:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        build, shape, _ = NETWORKS[name]
        return RescalingGroup.from_module(build(), shape)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def permuted(canon: Canonicaliser, theta: Tensor, seed: int) -> Tensor:
    table, classes, _ = permutable_units(canon.group.traced)
    random = np.random.default_rng(seed)
    source = table.source(table.images(classes, [random.permutation(one.count) for one in classes]))
    return theta[..., torch.from_numpy(source)]


@pytest.mark.parametrize(
    ("name", "criterion"), [*((name, "l2") for name in NETWORKS), ("perceptron", "path"), ("depthwise", "path")]
)
def test_canonical_points_are_invariant_under_the_wreath_product(name: str, criterion: str) -> None:
    canon = Canonicaliser(group_of(name), criterion)
    assert [one.members.shape for one in canon.classes] == NETWORKS[name][2] and canon.unsorted == ()
    theta = normal(canon.group.dim, seed=1)
    moved = permuted(canon, theta, seed=2)
    assert not torch.equal(moved, theta)
    assert torch.equal(canon.canonicalize(moved), canon.canonicalize(theta))  # to the last bit
    point, scale = canon(theta)
    both = canon.group.act(moved, normal(canon.group.num_units, seed=3))
    assert torch.allclose(canon.canonicalize(both), point, rtol=1e-11, atol=1e-13)
    assert torch.allclose(canon.canonicalize(point), point, rtol=1e-12, atol=1e-14)
    plain = canon.group.act(theta, scale)  # z is that of the units as theta has them
    assert torch.allclose(plain.sort().values, point.sort().values, rtol=1e-12)
    assert torch.allclose(plain, canon.section(theta), rtol=1e-11)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_canonical_points_realise_the_same_function(name: str) -> None:
    canon = Canonicaliser(group_of(name), "l2")
    graph, shape = canon.group.traced.graph.double(), NETWORKS[name][1]
    theta, x = normal(canon.group.dim, seed=4), normal(5, *shape, seed=5)
    outputs = [
        torch.func.functional_call(graph, canon.group.layout.unflatten(point), (x,))
        for point in (theta, canon.canonicalize(theta))
    ]
    assert float((outputs[0] - outputs[1]).detach().abs().max()) < 1e-12 * float(outputs[0].detach().abs().max())


def test_derivatives_through_the_sorted_form() -> None:
    canon = Canonicaliser(group_of("perceptron"), "path")
    theta = normal(2, canon.group.dim, seed=6).requires_grad_()
    assert torch.autograd.gradcheck(canon, (theta,), fast_mode=True)


def test_batches_are_rows() -> None:
    canon = Canonicaliser(group_of("loop"), "l2")
    theta = normal(2, 3, canon.group.dim, seed=7)
    point, scale = canon(theta)
    assert point.shape == theta.shape and scale.shape == (2, 3, canon.group.num_units)
    for i, j in itertools.product(range(2), range(3)):
        assert torch.equal(point[i, j], canon(theta[i, j])[0]) and torch.equal(scale[i, j], canon(theta[i, j])[1])
    single = canon(theta.float())[0]
    assert single.dtype == torch.float32 and torch.allclose(single.double(), point, atol=1e-5)
    assert canon(theta[:, :0])[0].shape == (2, 0, canon.group.dim)


def every_permutation(order: UnitOrder) -> list[np.ndarray]:
    table, classes = order.table, order.classes
    choices = (map(np.array, itertools.permutations(range(one.count))) for one in classes)
    return [table.source(table.images(classes, orders)) for orders in itertools.product(*choices)]


@pytest.mark.parametrize("name", ["perceptron", "loop"])
def test_sorting_tells_orbits_apart_exhaustively(name: str) -> None:
    """Small whole numbers, so that ties abound: one sorted vector an orbit, and it lies on the orbit."""
    table, classes, _ = permutable_units(group_of(name).traced)
    order = UnitOrder(table, classes)
    random, everything = np.random.default_rng(0), every_permutation(order)
    naive_fails = False
    for trial in range(12):
        values = random.integers(0, 2 if trial % 2 else 3, len(table.tensors)).astype(float)
        orbit = {tuple(values[source]) for source in everything}
        picked = [everything[k] for k in random.choice(len(everything), 8)]
        found = {tuple(values[source][order(values[source]).source]) for source in picked}
        assert len(found) == 1 and found <= orbit and order(values).exact
        naive = {tuple(values[source][by_norm(order, values[source])]) for source in picked}
        naive_fails |= len(naive) > 1
    assert naive_fails


def by_norm(order: UnitOrder, values: np.ndarray) -> np.ndarray:
    """A planted bug: units in the order of their norms, ties as they come."""
    table, classes = order.table, order.classes
    orders = []
    for one in classes:
        norms = [np.square(values[table.heads == unit]).sum() for unit in one.members[:, 0]]
        orders.append(np.argsort(norms, kind="stable"))
    return table.source(table.images(classes, orders))


def two_by_two(weight: np.ndarray) -> tuple[UnitOrder, np.ndarray]:
    """A 1-k-k-1 net without biases, ones around ``weight`` ``[k, k]``."""
    k = len(weight)
    maps = [nn.Linear(1, k, bias=False), nn.ReLU(), nn.Linear(k, k, bias=False), nn.ReLU(), nn.Linear(k, 1, bias=False)]
    table, classes, _ = permutable_units(RescalingGroup.from_module(nn.Sequential(*maps), (1,)).traced)
    return UnitOrder(table, classes), np.concatenate([np.ones(k), weight.reshape(-1), np.ones(k)])


def test_ties_that_no_sum_tells_apart() -> None:
    order, values = two_by_two(np.array([[1.0, 2.0], [2.0, 1.0]]))
    images = {tuple(values[s]) for s in every_permutation(order)}
    assert len(images) == 2
    assert len({tuple(np.array(v)[order(np.array(v)).source]) for v in images}) == 1


def test_copies_cost_nothing_and_hopeless_ties_are_said() -> None:
    order, values = two_by_two(np.ones((8, 8)))
    assert order(values).exact
    ring = np.eye(4) + np.roll(np.eye(4), 1, 0)
    order, values = two_by_two(np.kron(np.eye(3), ring))  # 3! 8^3 ways
    found = order(values)
    assert not found.exact
    assert sorted(found.source) == list(range(len(values)))


def test_units_whose_partners_have_no_scale_are_left_alone() -> None:
    """Behind batch normalisation the weights of the unit itself and its statistics would have to move along."""
    group = RescalingGroup.from_module(normalised(), (1, 4, 4))
    canon = Canonicaliser(group, "l2")
    assert canon.classes == () and len(canon.unsorted) == 1
    assert canon.unsorted[0].units == (0, 1, 2) and "the function changes" in canon.unsorted[0].reason
    theta = normal(group.dim, seed=8)
    assert torch.equal(canon.canonicalize(theta), canon.section(theta))


def test_dead_units_keep_their_scale_and_have_a_place() -> None:
    canon = Canonicaliser(group_of("perceptron"), "path")
    theta = normal(canon.group.dim, seed=9)
    dead = canon.group.action.leaves == 1
    theta = torch.where(dead, torch.zeros(()).double(), theta)
    point, scale = canon(theta)
    assert float(scale[1]) == 0.0 and bool(torch.isfinite(point).all())
    assert torch.equal(canon.canonicalize(permuted(canon, theta, seed=10)), point)
    others = normal(canon.group.num_units, seed=11)
    others[1] = 0.0
    assert torch.allclose(canon.canonicalize(canon.group.act(theta, others)), point, rtol=1e-10, atol=1e-12)
    gradient = torch.autograd.functional.jacobian(lambda t: canon(t)[1], theta)
    assert bool(torch.isfinite(gradient).all()) and float(gradient[1].abs().max()) == 0.0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda c: c(torch.zeros(3)), ValueError, r"expected parameters \[\*batch, 31\]"),
        (lambda c: c(torch.zeros(31).long()), TypeError, "expected parameters of a floating dtype"),
        (lambda c: c(torch.full((31,), float("nan"))), ValueError, "expected finite parameters"),
        (lambda c: Canonicaliser(c), TypeError, "expected a RescalingGroup"),
        (lambda c: Canonicaliser(c.group, solver="magic"), ValueError, "expected a solver among"),
        (lambda c: Canonicaliser(c.group, "magic"), ValueError, "expected a criterion among"),
        (
            lambda c: c.average(lambda t: t, torch.ones(31), window=-1.0),
            ValueError,
            "expected a finite positive window",
        ),
    ],
    ids=["length", "dtype", "nan", "group", "solver", "criterion", "window"],
)
def test_errors(call: Callable[[Canonicaliser], object], error: type[Exception], words: str) -> None:
    canon = Canonicaliser(RescalingGroup.from_module(perceptron(2, 4, 3, 1), (2,)), "l2")
    with pytest.raises(error, match=words):
        call(canon)
