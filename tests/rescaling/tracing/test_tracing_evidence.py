"""The test that every group passes when it is read: it catches wrong rules, and H is the right number."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pyro_symvi.groups import UnsupportedError
from pyro_symvi.rescaling import RescalingGroup
from pyro_symvi.rescaling.tracing import _tables
from pyro_symvi.rescaling.tracing._pointwise import keep, keep_module
from pyro_symvi.rescaling.tracing._reading import without_scales
from pyro_symvi.rescaling.tracing._signal import Signal
from pyro_symvi.rescaling.tracing._units import FIXED, ZERO, UnitTable
from pyro_symvi.rescaling.tracing._windows import windows


class Run(nn.Module):
    def __init__(self, run: Callable[..., Tensor], **layers: nn.Module | nn.Parameter) -> None:
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.run = run

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make()


def untied(flow: Any, input: Signal, other: Signal) -> Signal:
    """A wrong rule: the sum has the units of its first term."""
    return input


def residual(m: Any, x: Tensor) -> Tensor:
    x = m.a(x).relu()
    return m.d(torch.add(x, m.c(m.b(x).relu())).relu())


def blocks() -> nn.Module:
    return Run(residual, a=nn.Linear(3, 4), b=nn.Linear(4, 5), c=nn.Linear(5, 4), d=nn.Linear(4, 2))


PLANTED: dict[str, tuple[str, Any, Any, Callable[[], nn.Module]]] = {
    "gelu of degree one": (
        "MODULES",
        nn.GELU,
        keep_module,
        lambda: nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 2)),
    ),
    "tanh of degree one": (
        "FUNCTIONS",
        torch.tanh,
        keep,
        lambda: Run(lambda m, x: m.b(torch.tanh(m.a(x))), a=nn.Linear(3, 4), b=nn.Linear(4, 2)),
    ),
    "sums that tie nothing": ("FUNCTIONS", torch.add, untied, blocks),
    "squares of degree one": (
        "FUNCTIONS",
        torch.square,
        keep,
        lambda: Run(lambda m, x: m.b(torch.square(m.a(x))), a=nn.Linear(3, 4), b=nn.Linear(4, 2)),
    ),
    "a flip that moves nothing": (
        "FUNCTIONS",
        torch.flip,
        keep,
        lambda: Run(lambda m, x: m.b(torch.flip(m.a(x).relu(), (1,))), a=nn.Linear(3, 4), b=nn.Linear(4, 2)),
    ),
    "batch norm of degree one": (
        "MODULES",
        nn.BatchNorm1d,
        keep_module,
        lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)),
    ),
}


@pytest.mark.parametrize("zero", [False, True], ids=["random", "zero"])
@pytest.mark.parametrize("name", PLANTED)
def test_a_wrong_rule_is_caught(name: str, zero: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    table, key, rule, make = PLANTED[name]
    model = seeded(make)
    if zero:  # nothing shows at such weights: the last layer starts at zero in many networks
        list(model.modules())[-1].weight.data.zero_()  # type: ignore[operator]
    assert RescalingGroup.from_module(model, (3,), unsupported="skip").verify(model).passed
    monkeypatch.setitem(getattr(_tables, table), key, rule)
    with pytest.raises(UnsupportedError, match="expected outputs that do not change"):
        RescalingGroup.from_module(model, (3,))
    repaired = RescalingGroup.from_module(model, (3,), unsupported="skip")
    assert repaired.verify(model, seed=9).passed
    assert any("changes the outputs" in line.reason for line in repaired.report().blocks)


def test_scales_that_are_innocent_stay_where_others_are_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_tables.MODULES, nn.GELU, keep_module)
    net = seeded(
        lambda: nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 6), nn.ReLU6())
    )
    group = RescalingGroup.from_module(net, (3,), unsupported="skip")
    assert group.num_units == 5
    assert [line.free for line in group.report().blocks] == [0, 5, 0]


def test_verification_of_another_network_and_on_given_inputs() -> None:
    net = seeded(lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)))
    other = seeded(lambda: nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 2)))
    group = RescalingGroup.from_module(net, (3,))
    assert group.verify(net, torch.ones(6, 3)).change <= 1e-12
    assert not group.verify(other, torch.ones(6, 3)).passed


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "perceptron": (
        lambda: nn.Sequential(nn.Linear(2, 3), nn.LeakyReLU(), nn.Linear(3, 2), nn.LeakyReLU(), nn.Linear(2, 1)),
        (2,),
    ),
    "residual": (
        lambda: Run(
            lambda m, x: m.d(F.leaky_relu((y := F.leaky_relu(m.a(x))) + m.c(F.leaky_relu(m.b(y))))),
            a=nn.Linear(2, 2),
            b=nn.Linear(2, 3),
            c=nn.Linear(3, 2),
            d=nn.Linear(2, 1),
        ),
        (2,),
    ),
    "convolution": (
        lambda: nn.Sequential(
            nn.Conv1d(1, 2, 2),
            nn.LeakyReLU(),
            nn.Conv1d(2, 2, 2),
            nn.LeakyReLU(),
            nn.AvgPool1d(2),
            nn.Flatten(),
            nn.Linear(2, 1),
        ),
        (1, 4),
    ),
    "factors": (
        lambda: Run(
            lambda m, x: m.b(F.leaky_relu(m.a(x)) * m.g),
            a=nn.Linear(2, 3),
            b=nn.Linear(3, 1),
            g=nn.Parameter(torch.randn(3)),
        ),
        (2,),
    ),
    "depthwise": (
        lambda: nn.Sequential(
            nn.Conv1d(1, 2, 2),
            nn.LeakyReLU(),
            nn.Conv1d(2, 2, 2, groups=2),
            nn.LeakyReLU(),
            nn.Flatten(),
            nn.Linear(4, 1),
        ),
        (1, 4),
    ),
    "concatenation": (
        lambda: Run(
            lambda m, x: m.c(torch.cat([F.leaky_relu(m.a(x)), F.leaky_relu(m.b(x))], 1)),
            a=nn.Linear(2, 2),
            b=nn.Linear(2, 1),
            c=nn.Linear(3, 1),
        ),
        (2,),
    ),
    "squares": (lambda: Run(lambda m, x: m.b(F.relu(m.a(x)) ** 2), a=nn.Linear(2, 3), b=nn.Linear(3, 1)), (2,)),
}


@pytest.mark.parametrize("name", NETS)
def test_rank_is_parameters_less_scales(name: str) -> None:
    """The kernel of the outputs' Jacobian over many inputs, by autograd, is the tangent of the orbit."""
    make, shape = NETS[name]
    net = seeded(make).double()
    # seeds at which each unit is on at some inputs and off at others; a unit that never switches lowers the rank
    generator = torch.Generator().manual_seed(5 if name == "residual" else 0)
    for p in net.parameters():
        p.data = torch.randn(p.shape, generator=generator, dtype=torch.float64) * (0.3 if p.ndim == 1 else 1.0)
    group = RescalingGroup.from_module(net, shape)
    x = 3 * torch.randn(150, *shape, dtype=torch.float64, generator=generator)
    theta = group.parameters(net)

    def outputs(flat: Tensor) -> Tensor:
        return torch.func.functional_call(net, group.layout.unflatten(flat), (x,)).reshape(-1)

    jacobian = torch.autograd.functional.jacobian(outputs, theta)
    sizes = torch.linalg.svdvals(jacobian)
    assert int((sizes > 1e-9 * sizes[0]).sum()) == group.dim - group.num_units == group.report().rank
    tangents = theta[:, None] * group.incidence().to_dense()
    assert torch.linalg.matrix_rank(tangents) == group.num_units
    assert (jacobian @ tangents).abs().max() <= 1e-11 * jacobian.abs().max() * tangents.abs().max()


def test_report_is_plain_data_and_a_table() -> None:
    report = RescalingGroup.from_module(seeded(blocks), (3,)).report()
    data = json.loads(json.dumps(report.to_dict()))
    assert data["free_scales"] == 9 and data["rank"] == data["parameters"] - 9
    assert data["ties"] == [{"layers": ["a", "c"], "scales": 4}]
    text = str(report)
    assert "shares scales with c" in text and "fixed: it is an output of the network" in text
    assert "9 free scales" in text and max(map(len, text.splitlines())) < 120


def test_units_share_scales_through_chains_and_zero_ties_nothing() -> None:
    table = UnitTable()
    a, b = table.fresh("a", 4), table.fresh("b", 4)
    table.tie(a, b.flip(0), "joined")
    table.tie(a[:1], b[:1], "joined")
    table.tie(a, torch.tensor(ZERO), "nothing")
    table.pin(b[1:2], "told so")
    scales, free = table.compressed()
    # a0-b3, a3-b0 and a0-b0 make one scale; a2-b1 is pinned; a1-b2 is free
    assert free == 2 and scales[a].tolist() == [0, 1, -1, 0] and scales[b].tolist() == [0, -1, 1, 0]
    assert table.reasons() == {2: ("told so",), 6: ("told so",)}
    assert not table.free(torch.tensor([ZERO, FIXED])) and table.free(a)


@pytest.mark.parametrize(("stride", "padding", "dilation"), [(1, 0, 1), (2, 1, 1), (1, 2, 2)])
def test_windows_are_those_of_unfold(stride: int, padding: int, dilation: int) -> None:
    units = torch.arange(1, 2 * 7 * 6 + 1).reshape(1, 2, 7, 6)
    shape = F.conv2d(units.double(), torch.ones(1, 2, 3, 2).double(), None, stride, padding, dilation).shape
    two = ((3, 2), (stride,) * 2, (padding,) * 2, (dilation,) * 2)
    view = windows(units, *two, shape[-2:])
    expected = F.unfold(units.double(), (3, 2), dilation, padding, stride)
    assert torch.equal(view.permute(0, 1, 4, 5, 2, 3).reshape(expected.shape), expected.long())


def test_scales_taken_out() -> None:
    group = RescalingGroup.from_module(seeded(blocks), (3,))
    traced = without_scales(group.traced, (0, 2))
    assert traced.action.units == 7
    moved = {int(s): int(t) for s, t in zip(group.action.enters, traced.action.enters, strict=True)}
    assert moved == {-1: -1, 0: -1, 1: 0, 2: -1, **{k: k - 2 for k in range(3, 9)}}
