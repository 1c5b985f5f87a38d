"""What is known of each activation function: its symmetry, its value and its slope."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .._value import Value


@dataclass(frozen=True, eq=False, repr=False)
class Activation(Value):
    """An elementwise function phi and what a hidden unit may do without changing the network.

    Attributes:
        name: the usual name.
        function: phi, elementwise on a tensor of any shape.
        degree: k where phi(c z) = c^k phi(z) for every c > 0 (ReLU: 1), else None. Gives the rescaling symmetry.
        odd: whether phi(-z) = -phi(z). Gives the sign symmetry.
        linear: whether phi(z) = z. Gives the symmetry under every invertible matrix.
        slope: (z, phi(z)) -> phi'(z), for backward passes written out; None where only autograd knows.
        in_place: z -> phi(z), written over z, where phi' can be had from phi(z) alone; with ``backward``.
        backward: (d, phi(z)) -> d phi'(z), written over d.

    Raises:
        ValueError: if only one of ``in_place`` and ``backward`` is given; one undoes the other.
    """

    name: str
    function: Callable[[Tensor], Tensor]
    degree: float | None = None
    odd: bool = False
    linear: bool = False
    slope: Callable[[Tensor, Tensor], Tensor] | None = None
    in_place: Callable[[Tensor], Tensor] | None = None
    backward: Callable[[Tensor, Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        if (self.in_place is None) != (self.backward is None):
            raise ValueError("expected in_place and backward together or neither, because one undoes the other")


_aten = torch.ops.aten
IDENTITY = Activation("identity", lambda z: z, degree=1.0, odd=True, linear=True, slope=lambda z, f: torch.ones_like(z))


def _leaky(module: nn.Module) -> Activation:
    slope = float(module.negative_slope)  # type: ignore[arg-type]

    def in_place(z: Tensor) -> Tensor:
        return functional.leaky_relu_(z, slope)

    def backward(d: Tensor, f: Tensor) -> Tensor:  # the value has the sign of z
        return _aten.leaky_relu_backward.grad_input(d, f, slope, True, grad_input=d)

    return Activation(
        "leaky_relu",
        lambda z: functional.leaky_relu(z, slope),
        degree=1.0,
        slope=lambda z, f: torch.where(z > 0, torch.ones_like(z), slope),
        in_place=in_place if slope > 0 else None,
        backward=backward if slope > 0 else None,
    )


_READERS: dict[type[nn.Module], Callable[[nn.Module], Activation]] = {
    nn.Identity: lambda m: IDENTITY,
    nn.ReLU: lambda m: Activation(
        "relu",
        torch.relu,
        degree=1.0,
        slope=lambda z, f: (z > 0).to(z.dtype),
        in_place=torch.relu_,
        backward=lambda d, f: _aten.threshold_backward.grad_input(d, f, 0, grad_input=d),
    ),
    nn.LeakyReLU: _leaky,
    nn.Tanh: lambda m: Activation(
        "tanh",
        torch.tanh,
        odd=True,
        slope=lambda z, f: 1 - f * f,
        in_place=torch.tanh_,
        backward=lambda d, f: _aten.tanh_backward.grad_input(d, f, grad_input=d),
    ),
    nn.Sigmoid: lambda m: Activation(
        "sigmoid",
        torch.sigmoid,
        slope=lambda z, f: f * (1 - f),
        in_place=torch.sigmoid_,
        backward=lambda d, f: _aten.sigmoid_backward.grad_input(d, f, grad_input=d),
    ),
    nn.Softsign: lambda m: Activation("softsign", functional.softsign, odd=True),
    nn.Tanhshrink: lambda m: Activation("tanhshrink", functional.tanhshrink, odd=True),
    nn.Softplus: lambda m: Activation("softplus", m),
    nn.GELU: lambda m: Activation("gelu", m),
    nn.SiLU: lambda m: Activation("silu", m),
    nn.ELU: lambda m: Activation("elu", m),
    nn.SELU: lambda m: Activation("selu", m),
    nn.CELU: lambda m: Activation("celu", m),
    nn.Mish: lambda m: Activation("mish", m),
}


def register_activation(kind: type[nn.Module], read: Callable[[nn.Module], Activation]) -> None:
    """Make an activation of the user known: ``read(module)`` returns its :class:`Activation`.

    The claims (degree, odd, linear) are checked on numbers when a network is read; a false one is refused.

    Raises:
        TypeError: for anything but a class of modules.
    """
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise TypeError(f"expected a class of torch.nn.Module, got {kind!r}")
    _READERS[kind] = read


def read_activation(module: nn.Module) -> Activation | None:
    """The activation of a module, or None where the module is not one that is known."""
    read = _READERS.get(type(module))
    if read is None:
        return None
    activation = read(module)
    _check_claims(activation)
    return activation


def _check_claims(activation: Activation) -> None:
    z = torch.linspace(-3, 3, 41, dtype=torch.float64)
    value = activation.function(z)
    wrong = []
    if activation.degree is not None:
        for c in (0.25, 1.7):
            if not torch.allclose(activation.function(c * z), c**activation.degree * value, rtol=1e-10, atol=1e-12):
                wrong.append(f"homogeneous of degree {activation.degree}")
                break
    if activation.odd and not torch.allclose(activation.function(-z), -value, rtol=1e-10, atol=1e-12):
        wrong.append("odd")
    if activation.linear and not torch.allclose(value, z, rtol=1e-10, atol=1e-12):
        wrong.append("the identity")
    if wrong:
        raise ValueError(
            f"expected what is claimed of activation {activation.name!r} to hold, got numbers that deny that it is "
            f"{' and '.join(wrong)}, because symmetries of the posterior rest on it; try to leave the claim out"
        )
