"""Activations by name."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ._hermite import hermite_functions

Activation = Callable[[Tensor], Tensor]

ACTIVATIONS: dict[str, Activation] = {
    "linear": lambda z: z,
    "square": lambda z: z.square(),
    "cube": lambda z: z**3,
    "quartic": lambda z: z**4 - 6 * z.square(),
    "abs": torch.abs,
    "cos": torch.cos,
    "sin": torch.sin,
    "sin2": lambda z: torch.sin(2 * z),
    "gaussian": lambda z: torch.exp(-0.5 * z.square()),
    "b4": lambda z: torch.cos(z) - 0.25 * math.exp(1.5) * torch.cos(2 * z),
    "relu": torch.relu,
    "relu2": lambda z: torch.relu(z).square(),
    "relu6": F.relu6,
    "leaky_relu": F.leaky_relu,
    "leaky_relu_0.1": lambda z: F.leaky_relu(z, 0.1),
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "silu": F.silu,
    "mish": F.mish,
    "softplus": lambda z: torch.logaddexp(z, torch.zeros_like(z)),
    "hardtanh": F.hardtanh,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softsign": F.softsign,
    "erf": lambda z: torch.erf(z / math.sqrt(2)),
    "sign": torch.sign,
    "step": lambda z: (z > 0).to(z.dtype),
}
"""Names of activations, as functions of a tensor; beside them ``he1``, ``he2``, ... for the Hermite polynomials.

``erf`` is erf(z / sqrt 2), as in the literature on soft committees; ``gaussian`` exp(-z^2 / 2); ``leaky_relu`` has the
slope 0.01 of PyTorch; ``b4`` is cos z - (e^{3/2} / 4) cos 2z, bounded and even without a second Hermite coefficient.
"""

ALIASES = {"identity": "linear", "swish": "silu", "heaviside": "step"}
_HERMITE = re.compile(r"he([1-9]\d?)")
LARGEST_HERMITE = 20


def activation_named(name: str) -> Activation:
    """The activation of this name.

    Raises:
        ValueError: for a name that is not known; near ones are listed.
    """
    plain = name.strip().lower().replace("-", "_")
    plain = ALIASES.get(plain, plain)
    if plain in ACTIVATIONS:
        return ACTIVATIONS[plain]
    found = _HERMITE.fullmatch(plain)
    if found and int(found.group(1)) <= LARGEST_HERMITE:
        return _hermite(int(found.group(1)))
    near = difflib.get_close_matches(plain, [*ACTIVATIONS, *(f"he{k}" for k in range(1, 11))], n=3, cutoff=0.5)
    raise ValueError(
        f"expected the name of an activation, got {name!r}; try "
        + (f"{', '.join(near)}; " if near else "")
        + f"one of {', '.join(ACTIVATIONS)}, he1 to he{LARGEST_HERMITE}, or a function of a tensor"
    )


def _hermite(degree: int) -> Activation:
    def polynomial(z: Tensor) -> Tensor:
        return hermite_functions(z, degree + 1)[degree]

    return polynomial
