"""What a newcomer tries first: mistakes are refused in words, before any work is done."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pyro_symvi.groups import Symmetric
from pyro_symvi.multiindex import (
    CommitteeSpec,
    GaussianChannel,
    TiedGuide,
    committee_data,
    committee_elbo,
    committee_thresholds,
    gamp,
    hermite_functions,
    irrep_instability,
    noise_sensitivity,
    order_parameters,
    single_index_data,
    single_index_thresholds,
    spectral_estimator,
    state_evolution,
)

WEIGHTS = torch.eye(2, 3, dtype=torch.float64)
X, Y = torch.ones(4, 3, dtype=torch.float64), torch.ones(4, dtype=torch.float64)
NETWORK = nn.Sequential(nn.Linear(1, 2), nn.Tanh(), nn.Linear(2, 1))


def data(**options: Any) -> Any:
    return committee_data("relu", 2, 4, options.pop("ratio", 2.0), 0.5, **options)


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "class": (partial(noise_sensitivity, nn.ReLU), TypeError, r"got the class ReLU; try ReLU\(\)"),
    "scalar function": (partial(noise_sensitivity, math.tanh), ValueError, "try torch functions that act on each"),
    "branch": (partial(noise_sensitivity, lambda z: z if z > 0 else -z), ValueError, "torch.where in place of if"),
    "network": (partial(noise_sensitivity, NETWORK), ValueError, "adds and removes the axis of features"),
    "float module": (partial(noise_sensitivity, lambda z: NETWORK(z[..., None])[..., 0]), ValueError, "double"),
    "truth values": (partial(noise_sensitivity, lambda z: z > 0), ValueError, r"try .to\(z.dtype\) at its end"),
    "snr text": (partial(single_index_thresholds, "abs", "1"), TypeError, "one number above 0, got '1'"),
    "snr list": (partial(single_index_thresholds, "abs", [1.0, 0.1]), TypeError, "one number above 0"),
    "noise none": (partial(committee_thresholds, "abs", 2, None), TypeError, "one number above 0, got None"),
    "noise text": (partial(committee_elbo, WEIGHTS, X[:2], X, Y, activation="abs", noise="1"), TypeError, "one number"),
    "dtypes": (partial(committee_elbo, WEIGHTS, X[:2], X.float(), Y, activation="abs", noise=1.0), ValueError, "x.to"),
    "no sample": (partial(data, ratio=0.01), ValueError, "at least 0.25 at d = 4"),
    "two sources": (
        partial(data, seeds=[1, 2], generator=torch.Generator()),
        ValueError,
        "expected seeds or generator",
    ),
    "gamp": (partial(gamp, X, Y, "abs"), TypeError, r"try GaussianChannel\(activation, snr\)"),
    "spectral": (partial(spectral_estimator, X, Y, "abs"), TypeError, "GaussianChannel"),
    "evolution": (partial(state_evolution, "abs", 1.0), TypeError, "GaussianChannel"),
    "nan": (partial(spectral_estimator, X, Y * math.nan, lambda y: y), ValueError, "expected finite x and y"),
    "numpy draws": (partial(order_parameters, np.eye(2), WEIGHTS, Symmetric(2)), TypeError, "try torch.as_tensor"),
    "nan draws": (partial(order_parameters, WEIGHTS * math.nan, WEIGHTS, Symmetric(2)), ValueError, "finite"),
    "module": (partial(irrep_instability, torch.sum, NETWORK, Symmetric(2)), TypeError, "module.named_parameters"),
    "half a unit": (partial(TiedGuide, 2.0, 3), TypeError, "expected units to be an int"),
    "no polynomial": (partial(hermite_functions, Y, 0), ValueError, "expected count >= 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_words(name: str) -> None:
    call, kind, words = REFUSED[name]
    with pytest.raises(kind, match=words):
        call()


def test_what_is_as_good_is_taken() -> None:
    assert noise_sensitivity("swish").coefficient == noise_sensitivity("silu").coefficient
    assert 0 < noise_sensitivity("he6", max_power=40).crossover_snr < noise_sensitivity("he6").crossover_snr
    assert GaussianChannel("abs", torch.tensor(1.0)).snr == GaussianChannel("abs", np.float64(1)).snr == 1.0  # type: ignore[arg-type]
    channel = GaussianChannel("abs", 1)
    assert channel.score(2.0) == channel.score(torch.tensor(2.0, dtype=torch.float32))  # type: ignore[arg-type]
    assert CommitteeSpec("abs", np.int64(4), np.float32(0.5)) == CommitteeSpec("abs", 4, 0.5)  # type: ignore[arg-type]


def test_data_print_their_shapes_not_their_numbers() -> None:
    assert repr(single_index_data("abs", 4, 2.0, 1.0)) == (
        "SingleIndexData(x [8, 4], y [8], direction [4], float64, n/d = 2, snr = 1)"
    )
    assert "x_test [3, 4], float64, n/d = 2, noise = 0.5)" in repr(data(tests=3))
