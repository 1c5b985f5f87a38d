"""Networks, priors and symmetries for the tests of moves."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from pyro_symvi._value import Value
from pyro_symvi.bnn import FlatPrior, GaussianNoise, LaplacePrior, NetworkPosterior, NetworkPrior, NormalPrior
from pyro_symvi.bnn._streams import stream
from pyro_symvi.bnn.samplers import ChainState
from pyro_symvi.groups import HiddenLayer

WIDTHS = (2, 3, 4, 1)


@dataclass(frozen=True, eq=False, repr=False)
class Layer(Value):
    name: str
    units: HiddenLayer
    degree: float | None = 1.0
    odd: bool = False
    permutable: bool = True


@dataclass(frozen=True, eq=False, repr=False)
class Layers(Value):
    """What a NetworkSymmetry is to the moves, written by hand."""

    layers: Sequence[Layer]


class Squared(nn.Module):
    """Homogeneous of degree 2; goes through the general kernel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x) ** 2


def symmetry(widths: Sequence[int] = WIDTHS, **claims: object) -> Layers:
    return Layers(
        tuple(Layer(f"{2 * i}", HiddenLayer.of_mlp(widths, i + 1), **claims) for i in range(len(widths) - 2))  # type: ignore[arg-type]
    )


PRIORS = {
    "normal": NetworkPrior(NormalPrior(0.7), {"2.*": NormalPrior(1.5)}),
    "laplace": LaplacePrior(0.8),
    "mixed": NetworkPrior(NormalPrior(1.2), {"2.weight": LaplacePrior(0.6), "0.bias": NormalPrior(2.0)}),
    "flat": NetworkPrior(NormalPrior(1.0), {"*.bias": FlatPrior()}),
}


def posterior(
    prior: str = "normal", activation: type[nn.Module] = nn.ReLU, rows: int = 5, widths: Sequence[int] = WIDTHS
) -> NetworkPosterior:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, widths[0], generator=generator, dtype=torch.float64)
    layers: list[nn.Module] = []
    for i in range(len(widths) - 1):
        layers += [nn.Linear(widths[i], widths[i + 1]), activation()]
    y = torch.randn(rows, widths[-1], generator=generator, dtype=torch.float64)
    return NetworkPosterior(nn.Sequential(*layers[:-1]), GaussianNoise(0.5), PRIORS[prior], x, y)


def state_at(target: NetworkPosterior, position: torch.Tensor) -> ChainState:
    momentum = torch.randn(position.shape, generator=torch.Generator().manual_seed(9), dtype=position.dtype)
    return ChainState(position, *target.value_and_grad(position), momentum)


def generators(chains: int, purpose: int = 0) -> list[torch.Generator]:
    return [stream(1, chain, purpose, 7) for chain in range(chains)]
