"""Path weights of perceptrons in closed form: one outer product a layer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from ._modules import ACTIVATIONS
from ._operations import POINTWISE
from ._squares import power_of_two


@dataclass(frozen=True)
class Layer:
    """Names of the weight and the bias (None without one) of one layer."""

    weight: str
    bias: str | None


def chain_of(graph: fx.GraphModule, shapes: tuple[tuple[int, ...], ...], names: set[str]) -> list[Layer] | None:
    """The layers of a network that is nothing but linear layers and pointwise functions, one after the other.

    None for any other network; a flattening of the input may come first.
    """
    if len(shapes) != 1:
        return None
    by_id = {id(p): name for name, p in graph.named_parameters(remove_duplicate=False) if name in names}
    modules = dict(graph.named_modules())
    shape, layers = shapes[0], []
    last: fx.Node | None = None
    for node in graph.graph.nodes:
        if node.op == "placeholder":
            last = node
            continue
        if node.all_input_nodes != [last]:
            return None
        last = node
        if node.op == "output":
            if not isinstance(node.args[0], fx.Node):
                return None
            break
        if node.op == "call_module":
            module = modules[str(node.target)]
            if type(module) is nn.Linear and len(shape) == 2:
                bias = None if module.bias is None else by_id.get(id(module.bias), "")
                layers.append(Layer(by_id.get(id(module.weight), ""), bias))
            elif isinstance(module, nn.Flatten) and not layers and (module.start_dim, module.end_dim) == (1, -1):
                shape = (shape[0], math.prod(shape[1:]))
            elif not isinstance(module, ACTIVATIONS):
                return None
        elif node.op == "call_function":
            if getattr(node.target, "__name__", "").rstrip("_") not in POINTWISE:
                return None
        elif node.op != "call_method" or str(node.target).rstrip("_") not in POINTWISE:
            return None
    used = [name for layer in layers for name in (layer.weight, layer.bias) if name is not None]
    return layers if layers and "" not in used and len(set(used)) == len(used) else None


def perceptron_weights(
    layers: list[Layer], squares: dict[str, Tensor], shifts: dict[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Mantissas ``[B, *shape]`` and powers of two ``[B]`` of g, by name.

    With S_l the squared weights: f_0 = 1, f_l = S_l f_(l-1) + b_l^2; r_L = 1, r_(l-1) = S_l^T r_l; then g(W_l) =
    r_l f_(l-1)^T and g(b_l) = r_l. f and r have powers of two of their own, so depth does no harm.
    """
    first = squares[layers[0].weight]
    f, power = first.new_ones(len(first), first.shape[-1]), first.new_zeros(len(first))
    before = []
    for layer in layers:
        before.append((f, power))
        f, power = torch.einsum("bji,bi->bj", squares[layer.weight], f), power + shifts[layer.weight]
        if layer.bias is not None:
            top = torch.maximum(power, shifts[layer.bias])
            f = f * _exp2(power - top) + squares[layer.bias] * _exp2(shifts[layer.bias] - top)
            power = top
        f, power = _settled(f, power)
    weights, powers = {}, {}
    r, power = torch.ones_like(f), torch.zeros_like(power)
    for layer, (f, own) in zip(reversed(layers), reversed(before), strict=True):
        weights[layer.weight], powers[layer.weight] = r[:, :, None] * f[:, None, :], power + own
        if layer.bias is not None:
            weights[layer.bias], powers[layer.bias] = r, power
        r, power = _settled(torch.einsum("bji,bj->bi", squares[layer.weight], r), power + shifts[layer.weight])
    return weights, powers


def _exp2(power: Tensor) -> Tensor:
    return torch.exp2(power)[:, None]


def _settled(f: Tensor, power: Tensor) -> tuple[Tensor, Tensor]:
    shift = torch.stack([power_of_two(row) for row in f])
    return f * _exp2(-shift), power + shift
