"""What is refused, with the reason; and that reading a network leaves no trace on it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune

from pyro_symvi.groups import UnsupportedError
from pyro_symvi.rescaling import RescalingGroup


class Run(nn.Module):
    """A forward pass given as a function of three layers and the input."""

    def __init__(self, run: Callable[[Any, Tensor], Any], last: int = 4) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(3, 4), nn.Linear(3, 4), nn.Linear(last, 2)
        self.g = nn.Parameter(torch.full((4,), 2.0))
        self.run = run

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


def chain(*middle: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), *middle, nn.Linear(4, 2))


def pruned() -> nn.Module:
    net = chain(nn.ReLU())
    prune.l1_unstructured(net[0], "weight", 3)
    return net


def parametrized() -> nn.Module:
    net = chain(nn.ReLU())
    parametrizations.weight_norm(net[0])
    return net


def hooked() -> nn.Module:
    net = chain(nn.ReLU())
    net[0].register_forward_hook(lambda module, inputs, output: output + 1)
    return net


def written_alias(m: Run, x: Tensor) -> Tensor:
    y = m.a(x)
    alias = y.view(-1, 2, 2)
    y *= m.g
    return m.c((y + alias.flatten(1)).relu())


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "gelu": (lambda: chain(nn.GELU()), "GELU at '1': gelu\\(c x\\) is not c gelu\\(x\\); try ReLU"),
    "relu6": (lambda: chain(nn.ReLU6()), "ReLU6 at '1'"),
    "nested": (lambda: chain(nn.Sequential(nn.Dropout(), nn.SiLU())), "SiLU at '1.1'"),
    "functional": (lambda: Run(lambda m, x: m.c(F.softplus(m.a(x)))), "softplus \\(step"),
    "method": (lambda: Run(lambda m, x: m.c(m.a(x).tanh())), "tanh\\(c x\\) is not c tanh\\(x\\)"),
    "clamp": (lambda: Run(lambda m, x: m.c(m.a(x).clamp(0, 6))), "bounds 0 and 6 have a scale"),
    "threshold": (lambda: chain(nn.Threshold(0.5, 0.0)), "a threshold at 0.5"),
    "comparison": (lambda: Run(lambda m, x: m.c(m.a(x) * (m.a(x) > 1))), "a comparison with something other than zero"),
    "product": (lambda: Run(lambda m, x: m.c(m.a(x) * m.b(x))), "the scales of two factors are not followed"),
    "quotient": (lambda: Run(lambda m, x: m.c(m.a(x) / m.b(x))), "a divisor with a scale"),
    "attention": (lambda: Run(lambda m, x: m.c(m.a(x) @ (m.b(x).t() @ m.b(x)))), "two factors"),
    "degrees added": (lambda: Run(lambda m, x: m.c(m.a(x) + m.b(x) ** 2)), r"terms of degrees \[1.0, 2.0\]"),
    "degrees joined": (lambda: Run(lambda m, x: m.c(torch.cat([m.a(x), m.b(x) ** 2], 1)), 8), "terms of degrees"),
    "bias on squares": (lambda: Run(lambda m, x: m.c(m.a(x) ** 2 + m.g)), "terms of degrees"),
    "computed factor": (lambda: Run(lambda m, x: m.c(m.a(x) * m.g.exp())), "exp\\(c x\\) is not"),
    "normalised": (lambda: Run(lambda m, x: m.c(F.normalize(m.a(x)))), "normalize"),
    "parametrization": (parametrized, "remove_parametrizations"),
    "pruning": (pruned, "computed by a hook \\(weight_norm, pruning\\)"),
    "recurrence": (lambda: nn.Sequential(nn.LSTM(3, 4)), "LSTM at '0'"),
    "hook": (hooked, "relative change of .* for 0, because"),
    "write into shared memory": (lambda: Run(written_alias), "whose graph gives other outputs than itself"),
    "control flow": (lambda: Run(lambda m, x: m.c(m.a(x)) if x.sum() > 0 else m.b(x)), "the same way for every input"),
    "alpha dropout": (lambda: chain(nn.AlphaDropout()), "AlphaDropout at '1': .* in training"),
    "other way for a batch": (
        lambda: Run(lambda m, x: m.c(m.a(x).relu() if x.shape[0] == 1 else m.a(x).tanh())),
        "depends on the batch",
    ),
    # with a batch of one the view is harmless; with three it mixes samples and units
    "batch in the units": (lambda: Run(lambda m, x: m.c(m.a(x).relu().view(4, -1).t())), "depends on the batch"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(UnsupportedError, match=message):
        RescalingGroup.from_module(make(), (5, 3) if name == "recurrence" else (3,))


@pytest.mark.parametrize("name", [n for n in REFUSED if n not in ("control flow", "write into shared memory")])
def test_skipped_instead(name: str) -> None:
    model = REFUSED[name][0]()
    group = RescalingGroup.from_module(model, (5, 3) if name == "recurrence" else (3,), unsupported="skip")
    assert group.verify(model, seed=3).passed
    expected = {"product": 4, "quotient": 4, "attention": 1, "computed factor": 4, "comparison": 0}
    assert group.num_units == expected.get(name, 0)
    report = group.report()
    assert report.skipped or name in ("hook", "batch in the units", "other way for a batch")
    assert all(reason for _, reason in report.skipped)


@pytest.mark.parametrize(
    ("model", "shape", "options", "message"),
    [
        (chain(nn.ReLU()), (5,), {}, r"got \(5,\), because the network does not take"),
        (chain(nn.ReLU()), "x", {}, "positive integers"),
        (chain(nn.ReLU()), (3,), {"batch_norm": "fold"}, "batch_norm among"),
        (chain(nn.ReLU()), (3,), {"unsupported": "ignore"}, "unsupported among"),
        (nn.Sequential(nn.LazyLinear(3), nn.ReLU()), (3,), {}, "run the network once"),
        (nn.Sequential(nn.Linear(3, 2, device="meta")), (3,), {}, "without any"),
        (nn.Sequential(nn.ReLU()), (3,), {}, "a network with parameters"),
    ],
    ids=["misfit", "no shape", "batch norm", "unsupported", "lazy", "meta", "no parameters"],
)
def test_arguments(model: nn.Module, shape: Any, options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RescalingGroup.from_module(model, shape, **options)


def test_no_module_and_not_a_number() -> None:
    with pytest.raises(TypeError, match="torch.nn.Module, got function"):
        RescalingGroup.from_module(lambda x: x, (3,))  # type: ignore[arg-type]
    for value in (float("nan"), float("inf")):
        net = chain(nn.ReLU())
        net[2].weight.data[0, 1] = value
        with pytest.raises(ValueError, match="nan or inf in '2.weight'"):
            RescalingGroup.from_module(net, (3,))


@pytest.mark.parametrize("shape", [(1, 5, 5), (1, 1, 5, 5)])
def test_a_leading_batch_axis_of_one(shape: tuple[int, ...]) -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(18, 2))
    assert RescalingGroup.from_module(net, shape).traced.input_shapes == ((1, 1, 5, 5),)


def test_a_network_comes_back_as_it_was() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(4, 2))
    net.train()
    net[3].eval()
    net[4].weight.requires_grad_(False)
    net[0].weight.grad = torch.ones(4, 3)
    seen: list[Any] = []
    net[2].register_forward_hook(lambda module, inputs, output: seen.append(output))
    state, modes = copy.deepcopy(net.state_dict()), [m.training for m in net.modules()]
    attributes, rng = [set(vars(m)) for m in net.modules()], torch.get_rng_state()
    group = RescalingGroup.from_module(net, (3,))
    assert group.num_units == 4 and group.dim == sum(p.numel() for p in net.parameters())
    assert all(torch.equal(v, state[n]) for n, v in net.state_dict().items())
    assert [m.training for m in net.modules()] == modes and [set(vars(m)) for m in net.modules()] == attributes
    assert torch.equal(torch.get_rng_state(), rng) and torch.equal(net[0].weight.grad, torch.ones(4, 3))
    assert not net[4].weight.requires_grad and len(net[2]._forward_hooks) == 1
    inner = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    inner.register_forward_hook(lambda module, inputs, output: seen.append(output))
    assert RescalingGroup.from_module(nn.Sequential(inner, nn.Linear(4, 2)), (3,)).num_units == 4
    assert all(isinstance(output, Tensor) for output in seen)  # no stand-ins of the trace in the user's records


def test_default_arguments_of_forward_stay_what_they_are() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.c = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor, mask: Tensor | None = None, flip: bool = False) -> Tensor:
            h = F.relu(self.a(x))
            h = h if mask is None else torch.tanh(h) * mask
            return self.c(h.flip(1) if flip else h)

    assert RescalingGroup.from_module(Masked(), (3,)).num_units == 4
