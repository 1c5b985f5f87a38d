"""Path norms, and how they depend on each parameter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...groups import UnsupportedError
from ..tracing import TracedNetwork
from ._squared import SquaredNetwork
from ._squares import Squares, power_of_two

#: Entries that are worked on at once when parameters come as a batch.
CHUNK = 2**24


def path_weights(network: TracedNetwork, theta: Tensor, *, max_pool: str = "max") -> Tensor:
    """The diagonal of J^T J for J = d Phi / d theta, g_i = dN/du_i at u = theta^2; ``[*batch, dim]`` for theta alike.

    g_i is the sum, over the paths through i, of the squares of the other weights on them (Lebeurrier, Vayer and
    Gribonval 2026). One forward and one backward pass of the squared network. Differentiable in theta. Along an orbit
    g' = g exp(B z). A batch is run by ``torch.func.vmap``.

    Args:
        network: as traced.
        theta: parameters, float64.
        max_pool: ``"max"`` keeps the branch with the largest sum in each window, ``"sum"`` all.

    Raises:
        ValueError: nan or infinite parameters.
        UnsupportedError: a parameter occurs twice on one path, or an activation is not of degree one.
    """
    gradient, exponent = _gradient(network, theta, max_pool)
    half = (exponent / 2).floor()
    return gradient * torch.exp2(half) * torch.exp2(exponent - half)


def log_path_weights(network: TracedNetwork, theta: Tensor, *, max_pool: str = "max") -> Tensor:
    """Log g, ``[*batch, dim]``, -inf where no path is alive; finite also where g itself would under- or overflow."""
    gradient, exponent = _gradient(network, theta, max_pool)
    return gradient.log() + exponent * torch.log(torch.tensor(2.0, dtype=exponent.dtype))


def path_norm_squared(network: TracedNetwork, theta: Tensor, *, max_pool: str = "max") -> Tensor:
    """The squared Euclidean norm of the path lifting, |Phi(theta)|^2 = N(theta^2); ``[*batch]``."""
    return _norm(network, theta, 2.0, max_pool)


def path_norm(network: TracedNetwork, theta: Tensor, *, p: float = 2.0, max_pool: str = "max") -> Tensor:
    """The l_p norm of the path lifting, ``[*batch]``; rescaling keeps it (Neyshabur, Tomioka and Srebro 2015)."""
    if not 0 < p < float("inf"):
        raise ValueError(f"expected 0 < p < inf, got p={p}")
    return _norm(network, theta, p, max_pool) ** (1 / p)


def _norm(network: TracedNetwork, theta: Tensor, power: float, max_pool: str) -> Tensor:
    check(network, theta, max_pool)

    def one(vector: Tensor) -> Tensor:
        value = total(network, powers_of(network, vector, power), power, max_pool)
        return value.tensor * torch.exp2(value.exponent)

    return batched(one, theta)


def _gradient(network: TracedNetwork, theta: Tensor, max_pool: str) -> tuple[Tensor, Tensor]:
    """Mantissas and exponents of g."""
    check(network, theta, max_pool)

    def one(vector: Tensor) -> tuple[Tensor, Tensor]:
        squares = powers_of(network, vector, 2.0)

        def mantissa(tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
            given = {name: squares[name].moved(tensor) for name, tensor in tensors.items()}
            value = total(network, given, 2.0, max_pool)
            return value.tensor, value.exponent

        tensors = {name: value.tensor for name, value in squares.items()}
        gradients, exponent = torch.func.grad(mantissa, has_aux=True)(tensors)
        exponents = {
            name: (exponent - squares[name].exponent).expand(tensor.shape) for name, tensor in gradients.items()
        }
        return network.layout.flatten(gradients), network.layout.flatten(exponents)

    return batched(one, theta)


def powers_of(network: TracedNetwork, theta: Tensor, power: float) -> dict[str, Squares]:
    """|theta|^p of each parameter of one network."""
    result = {}
    for name, tensor in network.layout.unflatten(theta).items():
        shift = power_of_two(tensor)
        mantissa = tensor * torch.exp2(-shift)
        raised = mantissa.square() if power == 2 else mantissa.abs() ** power
        result[name] = Squares(raised, power * shift, False, frozenset((name,)))
    return result


def total(network: TracedNetwork, powers: dict[str, Squares], power: float, max_pool: str) -> Squares:
    """N of one network."""
    like = next(iter(powers.values())).tensor
    return SquaredNetwork(network.graph, powers, power, max_pool).norm(
        *(like.new_ones(shape) for shape in network.input_shapes)
    )


def batched(function: Callable[[Tensor], Any], theta: Tensor) -> Any:
    """A function of one vector on ``[*batch, dim]``."""
    if theta.ndim == 1:
        return function(theta)
    batch = theta.shape[:-1]
    size = max(1, CHUNK // theta.shape[-1])
    result = torch.func.vmap(function, chunk_size=size)(theta.reshape(-1, theta.shape[-1]))
    if isinstance(result, tuple):
        return tuple(part.reshape(*batch, *part.shape[1:]) for part in result)
    return result.reshape(*batch, *result.shape[1:])


def check(network: TracedNetwork, theta: Tensor, max_pool: str) -> None:
    """Refuse what has no path norm."""
    network.layout.check(theta)
    if max_pool not in ("max", "sum"):
        raise ValueError(f"expected max_pool to be 'max' or 'sum', got {max_pool!r}")
    if network.action.degrees is not None and bool((network.action.degrees != 1).any()):
        raise UnsupportedError(
            "expected activations of degree 1, got one of another degree, because the output is then no sum over "
            "paths; try criterion='l2' or 'range'"
        )
    if not bool(torch.isfinite(theta.detach()).all()):
        for name, tensor in network.layout.unflatten(theta.detach()).items():
            if not bool(torch.isfinite(tensor).all()):
                raise ValueError(f"expected finite parameters, got nan or infinity in {name}")
