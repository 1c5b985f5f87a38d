"""Path norms, and how they depend on each parameter."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, fx

from ...groups import UnsupportedError
from ..tracing import TracedNetwork
from ._balance import SPAN, WIDE, balancing_scale, doubtful, moved, spreads
from ._given import Network, traced
from ._modules import MAX_POOLS
from ._perceptron import chain_of, perceptron_weights
from ._squared import SquaredNetwork
from ._squares import Squares, power_of_two

#: Entries that are worked on at once when parameters come as a batch.
CHUNK = 2**24


def path_weights(network: Network, theta: Tensor, *, max_pool: str = "max") -> Tensor:
    """The diagonal of J^T J for J = d Phi / d theta, g_i = dN/du_i at u = theta^2; ``[*batch, dim]`` for theta alike.

    g_i is the sum, over the paths through i, of the squares of the other weights on them (Lebeurrier, Vayer and
    Gribonval 2026). One forward and one backward pass of the squared network. Differentiable in theta. Along an orbit
    g' = g exp(B z). A batch is run by ``torch.func.vmap``,
    in chunks; inside transforms of the user's own, ``grad``, ``jacrev`` and ``jvp`` work, ``vmap`` does not (give the
    batch instead). Where squares under- or overflow, they are taken at a balanced point of the orbit and moved
    back. Perceptrons are done in closed form. Running statistics of batch norm are those that the traced network has at
    the call.

    Args:
        network: a :class:`RescalingGroup`, or a network as traced.
        theta: parameters, float64.
        max_pool: ``"max"`` keeps the branch with the largest sum in each window, ``"sum"`` all.

    Raises:
        ValueError: nan or infinite parameters.
        UnsupportedError: a parameter occurs twice on one path (slices of one tensor count as that tensor), or an
            activation is not of degree one.
    """
    gradient, exponent = _gradient(traced(network), theta, max_pool)
    if exponent is None:
        return gradient
    half = (exponent / 2).floor()
    return gradient * torch.exp2(half) * torch.exp2(exponent - half)


def log_path_weights(network: Network, theta: Tensor, *, max_pool: str = "max") -> Tensor:
    """Log g, ``[*batch, dim]``, -inf where no path is alive; finite also where g itself would under- or overflow."""
    gradient, exponent = _gradient(traced(network), theta, max_pool)
    return gradient.log() if exponent is None else gradient.log() + exponent * math.log(2.0)


def path_norm_squared(network: Network, theta: Tensor, *, max_pool: str = "max") -> Tensor:
    """The squared Euclidean norm of the path lifting, |Phi(theta)|^2 = N(theta^2); ``[*batch]``."""
    return _norm(traced(network), theta, 2.0, max_pool)


def path_norm(network: Network, theta: Tensor, *, p: float = 2.0, max_pool: str = "max") -> Tensor:
    """The l_p norm of the path lifting, ``[*batch]``; rescaling keeps it (Neyshabur, Tomioka and Srebro 2015).

    Raises:
        ValueError: unless ``0 < p < inf``.
    """
    if not 0 < p < float("inf"):
        raise ValueError(f"expected 0 < p < inf, got p={p}")
    return _norm(traced(network), theta, p, max_pool) ** (1 / p)


def _norm(network: TracedNetwork, theta: Tensor, power: float, max_pool: str) -> Tensor:
    check(network, theta, max_pool)
    theta = rows(theta, spreads(network.layout, theta).amax(-1) > WIDE, lambda row: _settled(network, row)[0])

    def one(tensors: dict[str, Tensor], shifts: dict[str, Tensor]) -> Tensor:
        value = total(network, tensors, shifts, power, max_pool)
        return value.tensor * torch.exp2(value.exponent)

    flat = theta.reshape(-1, theta.shape[-1])
    parts = []
    for chunk in flat.split(max(1, CHUNK // theta.shape[-1])):
        given = powers_of(network, chunk, power)
        if len(chunk) == 1:
            parts.append(one(*({name: value[0] for name, value in group.items()} for group in given))[None])
        else:
            parts.append(torch.func.vmap(one)(*given))
    return torch.cat(parts).reshape(theta.shape[:-1])


def _gradient(network: TracedNetwork, theta: Tensor, max_pool: str) -> tuple[Tensor, Tensor | None]:
    """Mantissas and exponents of g, ``[*batch, dim]`` each; None where all exponents are zero."""
    check(network, theta, max_pool)
    bits = spreads(network.layout, theta)
    wide = bits.amax(-1) > WIDE
    mantissa, exponent = _passes(network, theta, max_pool)
    lost = _lost(network, theta, mantissa, bits, max_pool)
    again = wide | doubtful(mantissa.detach()) | lost
    if not bool(again.any()):
        return mantissa, exponent if exponent is None else _spread_out(network, exponent)

    def balanced(row: Tensor) -> tuple[Tensor, Tensor]:
        settled, z = _settled(network, row)
        gradient, power = _passes(network, settled, max_pool)
        if bool(_lost(network, settled, gradient, spreads(network.layout, settled), max_pool)):
            raise ValueError(
                "expected path weights within a range of 2^1000, got some that are smaller beside the largest, because "
                "the paths of a deep network differ by more; try weights nearer to one, or criterion='l2' or 'range'"
            )
        shift = network.action.log_factors(z) / math.log(2.0)  # g = g' exp(-B z)
        whole = shift.floor()
        return gradient * torch.exp2(shift - whole), whole if power is None else whole + _spread_out(network, power)

    exponent = torch.zeros_like(mantissa) if exponent is None else _spread_out(network, exponent)
    flat = theta.reshape(-1, theta.shape[-1])
    pairs = [
        balanced(flat[i]) if chosen else (old, power)
        for i, (chosen, old, power) in enumerate(
            zip(
                again.reshape(-1).tolist(), mantissa.reshape(flat.shape), exponent.reshape(flat.shape), strict=True
            )
        )
    ]  # fmt: skip
    first, second = zip(*pairs, strict=True)
    return torch.stack(first).reshape(theta.shape), torch.stack(second).reshape(theta.shape)


def _lost(network: TracedNetwork, theta: Tensor, mantissa: Tensor, bits: Tensor, max_pool: str) -> Tensor:
    """Rows in which a path weight is zero by its size alone, not because it is dead."""
    suspects = (mantissa.detach() == 0).any(-1) & (2 * bits.sum(-1) > SPAN)
    chosen = max_pool == "max" and any(_chooses(network, node) for node in network.graph.graph.nodes)
    if chosen or not bool(suspects.any()):  # the branches that a pool keeps differ from weights to weights
        return torch.zeros_like(suspects)
    live = torch.where(theta.detach() != 0, 1.0, 0.0).to(theta)
    reached, _ = _passes(network, live, max_pool)
    return suspects & ((reached > 0) & (mantissa.detach() == 0)).any(-1)


def _chooses(network: TracedNetwork, node: fx.Node) -> bool:
    """Whether a node keeps one of several branches."""
    if node.op == "call_module":
        return isinstance(network.graph.get_submodule(str(node.target)), MAX_POOLS)
    name = str(getattr(node.target, "__name__", node.target))
    return any(word in name for word in ("max", "min", "where")) and "softm" not in name


def _settled(network: TracedNetwork, theta: Tensor) -> tuple[Tensor, Tensor]:
    """A balanced point of the orbit of theta ``[dim]``, and the z that leads there."""
    z = balancing_scale(network.action, theta).to(theta)
    return moved(network.action, theta, z), z


def rows(theta: Tensor, chosen: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Theta with a function applied to some of its rows."""
    if not bool(chosen.any()):
        return theta
    flat = theta.reshape(-1, theta.shape[-1])
    parts = [function(row) if c else row for row, c in zip(flat, chosen.reshape(-1).tolist(), strict=True)]
    return torch.stack(parts).reshape(theta.shape)


def _passes(network: TracedNetwork, theta: Tensor, max_pool: str) -> tuple[Tensor, Tensor | None]:
    """One forward and one backward pass for each chunk of the batch; exponents ``[*batch, tensors]``, or None for 0."""
    flat = theta.reshape(-1, theta.shape[-1])
    parts = [_pass(network, chunk, max_pool) for chunk in flat.split(max(1, CHUNK // theta.shape[-1]))]
    mantissa, exponent = (torch.cat(part) if len(part) > 1 else part[0] for part in zip(*parts, strict=True))
    some = bool((exponent != 0).any())
    return mantissa.reshape(theta.shape), exponent.reshape(*theta.shape[:-1], -1) if some else None


def _spread_out(network: TracedNetwork, exponent: Tensor) -> Tensor:
    """Exponents of tensors as exponents of entries."""
    return exponent.repeat_interleave(torch.tensor(network.layout.sizes), -1)


def _pass(network: TracedNetwork, theta: Tensor, max_pool: str) -> tuple[Tensor, Tensor]:
    """Mantissas ``[B, dim]`` and exponents ``[B, tensors]`` of g for theta ``[B, dim]``."""
    tensors, shifts = powers_of(network, theta, 2.0)

    layers = chain_of(network.graph, network.input_shapes, set(network.layout.names))
    if layers is not None:
        found, powers = perceptron_weights(layers, tensors, shifts)
        flat = {name: found.get(name, torch.zeros_like(t)) for name, t in tensors.items()}
        return network.layout.flatten(flat), torch.stack([powers.get(n, 0 * shifts[n]) for n in tensors], -1)

    def mantissa(tensors: dict[str, Tensor], shifts: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        value = total(network, tensors, shifts, 2.0, max_pool)
        return value.tensor, value.exponent

    if transformed():
        gradients, exponent = torch.func.vmap(torch.func.grad(mantissa, has_aux=True))(tensors, shifts)
    else:
        again = torch.is_grad_enabled() and theta.requires_grad
        with torch.enable_grad():
            tensors = {name: t if t.requires_grad else t.detach().requires_grad_() for name, t in tensors.items()}
            if len(theta) == 1:
                first = ({name: value[0] for name, value in group.items()} for group in (tensors, shifts))
                value, exponent = mantissa(*first)
                exponent = exponent[None]
            else:
                value, exponent = torch.func.vmap(mantissa)(tensors, shifts)
            sources = list(tensors.values())
            results = torch.autograd.grad(value.sum(), sources, create_graph=again, materialize_grads=True)
        gradients = dict(zip(tensors, results, strict=True))
    exponents = torch.stack([exponent - shifts[name] for name in gradients], -1)
    return network.layout.flatten(gradients), exponents


def transformed() -> bool:
    """Whether this runs inside a transform of ``torch.func``, where ``torch.autograd.grad`` may not be used."""
    try:
        torch.empty(0).requires_grad_()
    except RuntimeError:
        return True
    return False


def powers_of(network: TracedNetwork, theta: Tensor, power: float) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """|theta|^p by parameter for theta ``[B, dim]``: mantissas ``[B, *shape]`` and powers of two ``[B]``."""
    tensors, shifts = {}, {}
    for name, tensor in network.layout.unflatten(theta).items():
        shift = torch.stack([power_of_two(row) for row in tensor])
        mantissa = tensor * torch.exp2(-shift).reshape(-1, *(1,) * (tensor.ndim - 1))
        tensors[name] = mantissa.square() if power == 2 else mantissa.abs() ** power
        shifts[name] = power * shift
    return tensors, shifts


def total(
    network: TracedNetwork, tensors: dict[str, Tensor], shifts: dict[str, Tensor], power: float, max_pool: str
) -> Squares:
    """N of one network."""
    powers = {name: Squares(t, shifts[name], False, frozenset((name,))) for name, t in tensors.items()}
    like = next(iter(tensors.values()))
    return SquaredNetwork(network, powers, power, max_pool).norm(
        *(like.new_ones(shape) for shape in network.input_shapes)
    )


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
