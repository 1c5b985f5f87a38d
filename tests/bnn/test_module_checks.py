"""Modules and data that make no posterior are refused before any work; modules that vmap cannot take still count."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import vector_to_parameters

from pyro_symvi.bnn import LearnedGaussianNoise, NetworkPosterior, NormalPrior

X = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = X[:, 0]


def posterior(network, x=X, y=Y, **options):
    return NetworkPosterior(network, LearnedGaussianNoise(), NormalPrior(1.0), x, y, **options)


class Recurrent(nn.Module):
    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        self.cell, self.head = nn.LSTM(3, 2, batch_first=batch_first), nn.Linear(2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states = self.cell(x)[0]
        return self.head(states[:, -1])


class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(nn.functional.dropout(x, 0.5, training=True))


class Centred(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x - x.mean(0))


def test_recurrent_networks_are_evaluated_one_weight_vector_after_another():
    network = Recurrent().double()
    made = posterior(network, torch.stack([X, X.flip(0)], 1))
    theta = made.sample_prior(3, generator=torch.Generator().manual_seed(1))
    for vector, outputs in zip(theta, made.outputs(theta), strict=True):
        other = copy.deepcopy(network)
        vector_to_parameters(vector[: made.layout.network_dim], other.parameters())
        torch.testing.assert_close(outputs, other(made.x).detach())
    leaf = theta.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(made.log_prob(leaf).sum(), leaf)
    torch.testing.assert_close(made.value_and_grad(theta)[1], gradient)


@pytest.mark.parametrize(
    ("network", "match"),
    [
        (lambda: Noisy(), "deterministic .* Noisy"),
        (lambda: Centred(), "one row at a time, got Centred"),
        (lambda: nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False), nn.Linear(3, 1)).eval(), "running"),
        (lambda: nn.Sequential(nn.LazyLinear(2), nn.Tanh(), nn.Linear(2, 1)), "lazy layer; try to call"),
        (lambda: nn.Linear(3, 1, device="meta"), "meta; try"),
    ],
    ids=["noise", "rows", "batch-norm", "lazy", "meta"],
)
def test_no_functions_of_weights_and_one_row(network, match):
    with pytest.raises(ValueError, match=match):
        posterior(network())


@pytest.mark.parametrize(
    ("error", "options", "match"),
    [
        (ValueError, {"x": X.numpy()}, r"ndarray; try torch.as_tensor"),
        (TypeError, {"y": Y.numpy()}, r"ndarray; try torch.as_tensor"),
        (TypeError, {"y": Y.tolist()}, r"list; try torch.as_tensor"),
        (ValueError, {"dtype": torch.int64}, "dtype of floats"),
        (ValueError, {"x": X.long()}, r"try x.float\(\)"),
    ],
    ids=["x-numpy", "y-numpy", "y-list", "dtype", "x-ints"],
)
def test_data_that_are_no_tensors_of_floats(error, options, match):
    with pytest.raises(error, match=match):
        posterior(nn.Linear(3, 1), **options)


def test_parameters_and_inputs_in_other_dtypes_and_shapes():
    made = posterior(nn.Linear(3, 1))
    theta = torch.zeros(made.dim, dtype=torch.float32)
    for call in (made.log_prob, made.value_and_grad, made.outputs):
        with pytest.raises(ValueError, match=r"float64, got torch.float32.*try theta.to"):
            call(theta)
    with pytest.raises(ValueError, match=r"\[n, 3\] like the data, got \[2, 7\]"):
        made.outputs(theta.double(), torch.zeros(2, 7))
    with pytest.raises(ValueError, match="ndarray"):
        made.outputs(theta.double(), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="n >= 0"):
        made.sample_prior(-1)
