"""Architectures with the number of free scales, ties and reasons worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pyro_symvi.rescaling import RescalingGroup


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make()


class Net(nn.Module):
    """Layers by name, and a forward pass given as a function of the module and its inputs."""

    def __init__(self, run: Callable[..., Tensor], **layers: nn.Module | nn.Parameter) -> None:
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.run = run

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.run(self, *inputs)


class One(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


class Two(Net):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.run(self, x, y)


@dataclass
class Case:
    make: Callable[[], nn.Module]
    shape: object
    scales: int
    ties: dict[tuple[str, ...], int] = field(default_factory=dict)
    fixed: dict[str, str] = field(default_factory=dict)  # layer to a word of the reason; outputs are left out
    skipped: tuple[str, ...] = ()
    batch_norm: str = "barrier"
    skip: bool = False


def conv(a: int, b: int, k: int = 3, **options: object) -> nn.Conv2d:
    return nn.Conv2d(a, b, k, **{"padding": k // 2, **options})  # type: ignore[arg-type]


def lenet() -> nn.Module:
    head = (nn.Flatten(), nn.Linear(6 * 9, 7), nn.ReLU(), nn.Linear(7, 3))
    return nn.Sequential(conv(1, 4), nn.ReLU(), nn.MaxPool2d(2), conv(4, 6), nn.ReLU(), nn.AvgPool2d(2), *head)


def identity_block(m: Net, x: Tensor) -> Tensor:
    x = F.relu(m.stem(x))
    y = m.b(torch.relu(m.a(x)))
    x = F.relu(x + y, inplace=True)
    return m.head(x.mean((2, 3)))


def projection_block(m: Net, x: Tensor) -> Tensor:
    x = m.stem(x).relu()
    y = m.b(F.relu(m.a(x)))
    y += m.project(x)
    return m.head(F.adaptive_avg_pool2d(y.relu(), 1).flatten(1))


def option_a(m: Net, x: Tensor) -> Tensor:
    x = F.relu(m.stem(x))
    shortcut = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 1), "constant", 0)
    return m.head((m.a(x) + shortcut).relu().amax((-2, -1)))


def dense_block(m: Net, x: Tensor) -> Tensor:
    x = F.relu(m.a(x))
    x = torch.cat([x, F.relu(m.b(x))], 1)
    return m.head(x.view(x.size(0), -1))


def decoder(m: Net, x: Tensor) -> Tensor:
    return m.out(m.up(m.fc(x).relu().view(-1, 3, 2, 2)).relu())


def squeeze_excite(m: Net, x: Tensor) -> Tensor:
    x = F.relu(m.stem(x))
    gate = torch.sigmoid(m.up(F.relu(m.down(x.mean((2, 3))))))
    return m.head((x * gate[:, :, None, None]).flatten(1))


def chosen_by_sizes(m: Net, *inputs: Tensor) -> Tensor:
    (x,) = inputs
    assert x.ndim == 4 and len(x.shape) == 4
    if x.dim() == 3 or x.shape[1] != 1:
        raise ValueError("expected images of one channel")
    x = F.relu(m.a(x))
    batch, channels, height, width = x.size()
    parts = [part.relu() for part in x.view(batch, channels, height * width).unbind(-1)]
    return m.b(torch.stack(parts[: len(x)], -1).flatten(1))


CASES = {
    "maximum with a constant": Case(
        lambda: One(lambda m, x: m.b(torch.max(m.a(x), torch.ones(4))), a=nn.Linear(3, 4), b=nn.Linear(4, 2)),
        (3,),
        0,
        fixed={"a": "compared"},
    ),
    "a way chosen by sizes": Case(lambda: Net(chosen_by_sizes, a=conv(1, 4, 1), b=nn.Linear(4, 2)), (1, 1, 1), 4),
    "perceptron": Case(
        lambda: nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3), nn.ReLU(), nn.Linear(3, 2)), (4,), 8
    ),
    "lenet": Case(lenet, (1, 12, 12), 4 + 6 + 7),
    "softmax at the end": Case(
        lambda: nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3), nn.LogSoftmax(-1)), (4,), 5
    ),
    "identity shortcut": Case(
        lambda: One(identity_block, stem=conv(3, 4), a=conv(4, 5), b=conv(5, 4), head=nn.Linear(4, 2)),
        (3, 6, 6),
        4 + 5,
        {("stem", "b"): 4},
    ),
    "projection shortcut": Case(
        lambda: One(
            projection_block, stem=conv(3, 4), a=conv(4, 5), b=conv(5, 6), project=conv(4, 6, 1), head=nn.Linear(6, 2)
        ),
        (3, 6, 6),
        4 + 5 + 6,
        {("b", "project"): 6},
    ),
    "zero-padded shortcut": Case(
        lambda: One(option_a, stem=conv(3, 4), a=conv(4, 6, stride=2), head=nn.Linear(6, 2)),
        (3, 8, 8),
        6,
        {("stem", "a"): 4},
    ),
    "shortcut from the input": Case(
        lambda: One(lambda m, x: m.b((x + m.a(x)).relu()), a=nn.Linear(4, 4), b=nn.Linear(4, 2)),
        (4,),
        0,
        fixed={"a": "added"},
    ),
    "dense block": Case(
        lambda: One(dense_block, a=conv(1, 3), b=conv(3, 2), head=nn.Linear(5 * 16, 2)), (1, 4, 4), 3 + 2
    ),
    "depthwise": Case(
        lambda: nn.Sequential(conv(3, 6), nn.ReLU(), conv(6, 6, groups=6), nn.ReLU(), conv(6, 2, 1)),
        (3, 5, 5),
        6 + 6,
    ),
    "grouped": Case(
        lambda: nn.Sequential(conv(2, 4), nn.PReLU(4), conv(4, 6, groups=2), nn.LeakyReLU(), conv(6, 2)), (2, 5, 5), 10
    ),
    # the linear layer's units differ by position; the transposed convolution reads all positions by the same weights
    "decoder": Case(
        lambda: One(decoder, fc=nn.Linear(5, 12), up=nn.ConvTranspose2d(3, 4, 2, 2), out=conv(4, 1)), (5,), 3 + 4
    ),
    # a kernel as large as the image reads each position by a weight of its own
    "one window": Case(
        lambda: One(lambda m, x: m.b(m.a(x).relu().view(-1, 3, 2, 2)), a=nn.Linear(5, 12), b=nn.Conv2d(3, 2, 2)),
        (5,),
        12,
    ),
    "average over positions of a linear layer": Case(
        lambda: One(
            lambda m, x: m.b(F.avg_pool1d(m.a(x).relu().view(-1, 3, 4), 2).flatten(1)),
            a=nn.Linear(5, 12),
            b=nn.Linear(6, 2),
        ),
        (5,),
        6,
    ),
    "batch norm, barrier": Case(
        lambda: nn.Sequential(conv(1, 4), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)),
        (1, 4, 4),
        4,
        fixed={"0": "batch statistics"},
    ),
    "batch norm, folded": Case(
        lambda: nn.Sequential(conv(1, 4), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)),
        (1, 4, 4),
        4,
        batch_norm="folded",
    ),
    "layer norm": Case(
        lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 2)),
        (3,),
        4,
        fixed={"0": "statistics"},
    ),
    "group norm": Case(
        lambda: nn.Sequential(conv(1, 4), nn.GroupNorm(2, 4), nn.ReLU(), conv(4, 2)),
        (1, 4, 4),
        4,
        fixed={"0": "statistics"},
    ),
    "instance norm without factors": Case(
        lambda: nn.Sequential(conv(1, 4), nn.InstanceNorm2d(4), nn.ReLU(), conv(4, 2)),
        (1, 4, 4),
        0,
        fixed={"0": "statistics"},
    ),
    "functional": Case(
        lambda: One(
            lambda m, x: F.linear(torch.clamp(F.linear(x, m.w, m.b), min=0) + m.c, m.v.t()),
            w=nn.Parameter(torch.randn(5, 4)),
            b=nn.Parameter(torch.randn(5)),
            c=nn.Parameter(torch.randn(5)),
            v=nn.Parameter(torch.randn(5, 2)),
        ),
        (4,),
        5,
    ),
    "factor for each unit": Case(
        lambda: One(
            lambda m, x: m.b(m.a(x).relu() * m.g), a=nn.Linear(3, 4), b=nn.Linear(4, 2), g=nn.Parameter(torch.ones(4))
        ),
        (3,),
        4 + 4,
    ),
    "one factor for all units": Case(
        lambda: One(
            lambda m, x: m.b(m.a(x).relu() * m.g), a=nn.Linear(3, 4), b=nn.Linear(4, 2), g=nn.Parameter(torch.ones(1))
        ),
        (3,),
        4,
    ),
    "gelu skipped": Case(
        lambda: nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)),
        (3,),
        5,
        fixed={"0": "GELU"},
        skipped=("GELU at '1'",),
        skip=True,
    ),
    # the gate has no scale; what it multiplies keeps its own; the squeezing layer has its own
    "squeeze and excite, skipped": Case(
        lambda: One(
            squeeze_excite, stem=conv(1, 4), down=nn.Linear(4, 2), up=nn.Linear(2, 4), head=nn.Linear(4 * 9, 2)
        ),
        (1, 3, 3),
        4 + 2,
        fixed={"up": "sigmoid"},
        skipped=("sigmoid (step 'sigmoid')",),
        skip=True,
    ),
    "called twice": Case(
        lambda: One(lambda m, x: m.b(m.a(m.a(x).relu()).relu()), a=nn.Linear(4, 4), b=nn.Linear(4, 2)),
        (4,),
        0,
        fixed={"a": "several places", "a (call 2)": "several places"},
    ),
    "two branches of shared weights": Case(
        lambda: Two(lambda m, x, y: m.b(m.a(x).relu() - m.a(y).relu()), a=nn.Linear(4, 5), b=nn.Linear(5, 2)),
        [(4,), (4,)],
        5,
        {("a", "a (call 2)"): 5},
    ),
    "squared units": Case(
        lambda: One(lambda m, x: m.b(F.relu(m.a(x)) ** 2), a=nn.Linear(3, 4), b=nn.Linear(4, 2)), (3,), 4
    ),
    "sums of squares": Case(
        lambda: One(
            lambda m, x: m.c(F.relu(m.a(x)) ** 2 + F.relu(m.b(x)).square()),
            a=nn.Linear(3, 4),
            b=nn.Linear(3, 4),
            c=nn.Linear(4, 2),
        ),
        (3,),
        4,
        {("a", "b"): 4},
    ),
    "one weight behind degrees one and two": Case(
        lambda: One(
            lambda m, x: m.c(m.a(x).relu()) + m.c(m.b(x).relu() ** 2),
            a=nn.Linear(3, 4),
            b=nn.Linear(3, 4),
            c=nn.Linear(4, 2),
        ),
        (3,),
        0,
        fixed={"a": "different degrees", "b": "different degrees"},
    ),
    "residual of batch norms": Case(
        lambda: One(
            lambda m, x: m.c((y := m.n(m.a(x)).relu()) + m.k(m.b(y))),
            a=nn.Linear(3, 4),
            n=nn.BatchNorm1d(4),
            b=nn.Linear(4, 4),
            k=nn.BatchNorm1d(4),
            c=nn.Linear(4, 2),
        ),
        (3,),
        4,
        {("n", "k"): 4},
        fixed={"a": "batch statistics", "b": "batch statistics"},
    ),
    "residual of batch norms, folded": Case(
        lambda: One(
            lambda m, x: m.c((y := m.n(m.a(x)).relu()) + m.k(m.b(y))),
            a=nn.Linear(3, 4),
            n=nn.BatchNorm1d(4),
            b=nn.Linear(4, 4),
            k=nn.BatchNorm1d(4),
            c=nn.Linear(4, 2),
        ),
        (3,),
        4,
        {("a", "b"): 4},
        batch_norm="folded",
    ),
    "a batch norm called twice, folded": Case(  # one running mean for both
        lambda: One(
            lambda m, x: m.c(m.n(m.a(x)).relu() + m.n(m.b(x)).relu()),
            a=nn.Linear(3, 4),
            b=nn.Linear(3, 4),
            n=nn.BatchNorm1d(4),
            c=nn.Linear(4, 2),
        ),
        (3,),
        4,
        {("a", "b"): 4},
        batch_norm="folded",
    ),
    "factors of a branch": Case(  # the factors enter the units of the sum and leave those of the branch
        lambda: One(
            lambda m, x: m.c(((y := m.a(x).relu()) + m.g * m.b(y)).relu()),
            a=nn.Linear(3, 4),
            b=nn.Linear(4, 4),
            c=nn.Linear(4, 2),
            g=nn.Parameter(torch.zeros(4)),
        ),
        (3,),
        4 + 4,
        {("a", "g"): 4},
    ),
    "a learnt token": Case(
        lambda: One(
            lambda m, x: m.c(torch.cat([m.t.expand(x.size(0), -1, -1), m.a(x)], 1).relu().flatten(1)),
            a=nn.Linear(3, 4),
            c=nn.Linear(24, 2),
            t=nn.Parameter(torch.ones(1, 1, 4)),
        ),
        (5, 3),
        4 + 4,
    ),
    "largest by name": Case(
        lambda: One(lambda m, x: m.b(m.a(x).view(-1, 3, 2).max(-1).values), a=nn.Linear(3, 6), b=nn.Linear(3, 2)),
        (3,),
        3,
    ),
    "maxout": Case(
        lambda: One(lambda m, x: m.b(m.a(x).view(-1, 3, 2).max(-1)[0]), a=nn.Linear(3, 6), b=nn.Linear(3, 2)), (3,), 3
    ),
    "mixer": Case(  # tokens are mixed by weights that all features share
        lambda: One(
            lambda m, x: m.out(m.tokens(m.features(x).relu().transpose(1, 2)).relu().transpose(1, 2).flatten(1)),
            features=nn.Linear(3, 4),
            tokens=nn.Linear(5, 6),
            out=nn.Linear(24, 2),
        ),
        (5, 3),
        1 + 6,
    ),
    "pixel shuffle": Case(lambda: nn.Sequential(conv(1, 8), nn.ReLU(), nn.PixelShuffle(2), conv(2, 1)), (1, 3, 3), 2),
    "upsampling": Case(
        lambda: nn.Sequential(
            conv(1, 3),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            conv(3, 2),
            nn.ReLU(),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            conv(2, 1),
        ),
        (1, 3, 3),
        5,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_scales_ties_and_reasons(name: str) -> None:
    case = CASES[name]
    model = seeded(case.make)
    attributes = [set(vars(m)) for m in model.modules()]
    group = RescalingGroup.from_module(
        model, case.shape, batch_norm=case.batch_norm, unsupported="skip" if case.skip else "raise"
    )
    assert [set(vars(m)) for m in model.modules()] == attributes  # torch.fx would leave constants there
    report = group.report()
    assert group.num_units == report.scales == case.scales
    assert report.rank == sum(p.numel() for p in model.parameters()) - case.scales
    assert case.ties.items() <= dict(report.ties).items() if case.ties else True
    reasons = {line.name: line.reason for line in report.blocks}
    for layer, word in case.fixed.items():
        assert word in reasons[layer]
    for line in report.blocks:
        assert bool(line.reason) == (line.fixed > 0)
    assert tuple(where for where, _ in report.skipped) == case.skipped
    assert group.verify(model, seed=5).passed


@pytest.mark.parametrize("name", ["batch norm, barrier", "batch norm, folded"])
def test_running_statistics(name: str) -> None:
    case = CASES[name]
    model = seeded(case.make).double().eval()
    model[1].running_mean.normal_(generator=torch.Generator().manual_seed(1))
    group = RescalingGroup.from_module(model, case.shape, batch_norm=case.batch_norm)
    x = torch.randn(5, *case.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))  # type: ignore[misc]
    before, mean = model(x), model[1].running_mean.clone()
    z = torch.randn(4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    group.apply_(model, z)
    assert torch.allclose(model(x), before, rtol=1e-12)
    folded = name.endswith("folded")
    assert torch.allclose(model[1].running_mean, mean * (z / 2).exp() if folded else mean, rtol=1e-14)
    assert torch.equal(model[1].running_var, torch.ones(4, dtype=torch.float64))
    assert group.report().buffers == (("1.running_mean",) if folded else ())
