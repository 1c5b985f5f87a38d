"""Path weights that are to be expected at an initialisation."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ._given import Network, traced
from ._weights import path_weights


def expected_path_weights(
    network: Network, second_moments: str | Tensor | Mapping[str, float] = "kaiming", *, max_pool: str = "max"
) -> Tensor:
    """E g, ``[dim]``, for independent parameters with given E theta^2.

    The path norm is linear in each squared weight, so the expectation is g at the mean squares: exact for any
    distribution, shared convolution weights included (with max pools, up to the choice of branches). For a perceptron
    of widths n_0, ..., n_L with weights of variance 2 / n_(l-1) and no biases (He et al. 2015) it is
    E g(W_l) = 2^(L-1) n_L / n_l and E g(b_l) = 2^(L-l) n_L / n_l: layers of equal width are conditioned on average,
    narrow ones are not. Single draws scatter around it, the more the deeper and thinner the network.

    Args:
        network: a :class:`RescalingGroup`, or a network as traced.
        second_moments: the name of a scheme (see :func:`initial_second_moments`), E theta^2 for each entry ``[dim]``,
            or one number by parameter name.
        max_pool: as in :func:`path_weights`.

    Raises:
        ValueError: for negative second moments, and unless there is one for each parameter.
    """
    network = traced(network)
    if isinstance(second_moments, str):
        second_moments = initial_second_moments(network, second_moments)
    if isinstance(second_moments, Mapping):
        if missing := sorted(set(network.layout.names) ^ set(second_moments)):
            raise ValueError(
                f"expected one second moment for each parameter, got a difference in {missing}; the parameters are "
                f"{list(network.layout.names)}"
            )
        shapes = dict(zip(network.layout.names, network.layout.shapes, strict=True))
        second_moments = network.layout.flatten(
            {n: torch.full(shapes[n], float(v), dtype=torch.float64) for n, v in second_moments.items()}
        )
    if not bool((second_moments >= 0).all()):
        raise ValueError("expected second moments E theta^2 >= 0, got a negative number or nan")
    return path_weights(network, second_moments.double().sqrt(), max_pool=max_pool)


def initial_second_moments(network: Network, scheme: str = "kaiming") -> Tensor:
    """E theta^2 of each entry at an initialisation, ``[dim]``.

    ``"kaiming"``: weights of layers 2 / fan_in, biases 0 (``nn.init.kaiming_normal_``). ``"xavier"``: 2 / (fan_in +
    fan_out), biases 0. ``"uniform"``: what layers of torch do by themselves, uniform up to 1 / sqrt(fan_in), weights
    and biases 1 / (3 fan_in). Everything that is no layer with a weight matrix (batch norms, slopes, bare parameters)
    has its present values.

    Raises:
        ValueError: another name.
    """
    if scheme not in ("kaiming", "xavier", "uniform"):
        raise ValueError(f"expected a scheme among 'kaiming', 'xavier', 'uniform', got {scheme!r}")
    network = traced(network)
    given = dict(network.graph.named_parameters(remove_duplicate=False))
    result = {}
    for name, shape in zip(network.layout.names, network.layout.shapes, strict=True):
        present = given[name].detach().double().square() if name in given else torch.zeros(shape, dtype=torch.float64)
        owner, _, kind = name.rpartition(".")
        weight = given.get(f"{owner}.weight" if owner else "weight")
        if kind not in ("weight", "bias") or weight is None or weight.ndim < 2:
            result[name] = present
            continue
        fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(weight)
        if scheme == "uniform":
            value = 1 / (3 * fan_in)
        elif kind == "bias":
            value = 0.0
        else:
            value = 2 / (fan_in if scheme == "kaiming" else fan_in + fan_out)
        result[name] = torch.full_like(present, value)
    return network.layout.flatten(result)
