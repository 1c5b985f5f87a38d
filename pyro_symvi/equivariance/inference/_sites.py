"""The laws of a guide or encoder at given inputs, by site."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from pyro.poutine.messenger import Messenger
from torch import Tensor, nn
from torch import distributions as torch_dist

from ._law import PARAMETERS, Kind, Law, law_of

ENCODER = "q"
"""Name of the one law that an encoder returns."""


class AtLocations(Messenger):
    """Runs a Pyro guide without chance: every latent site takes its location, and its law is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.laws: dict[str, Law] = {}

    def _pyro_sample(self, msg: Any) -> None:
        if msg["is_observed"] or type(msg["fn"]).__name__ == "_Subsample":
            return
        law = law_of(msg["fn"], f"the law of site {msg['name']!r}")
        self.laws[msg["name"]] = law
        if msg["value"] is None:
            shape = msg["fn"].batch_shape + msg["fn"].event_shape
            msg["value"] = law.loc.reshape(shape).to(_dtype_of(msg["fn"]))
            msg["done"] = True


def _dtype_of(law: Any) -> torch.dtype:
    for value in (*vars(law).values(), *vars(getattr(law, "base_dist", law)).values()):
        if isinstance(value, Tensor) and value.is_floating_point():
            return value.dtype
    return torch.get_default_dtype()


class Reader(nn.Module):
    """A guide as a model of tensors: locations and spreads by site, for a sweep.

    Attributes:
        kinds: of the sites, after the first call.
        wanted: sites that count; None for all.
    """

    def __init__(self, guide: Callable[..., Any], wanted: set[str] | None) -> None:
        super().__init__()
        self.guide, self.wanted = guide, wanted
        self.training = isinstance(guide, nn.Module) and guide.training
        self.kinds: dict[str, Kind] = {}
        self.traced = False

    def forward(self, *x: Any, **named: Any) -> dict[str, dict[str, Tensor]]:
        """Tensors by site."""
        with AtLocations() as run:
            output = self.guide(*x, **named)
        self.traced = bool(run.laws)
        laws = run.laws or _returned(output)
        if self.wanted is not None:
            missing = self.wanted - set(laws)
            if missing:
                raise ValueError(f"expected rho_latent for sites among {sorted(laws)}, got {sorted(missing)}")
            laws = {name: law for name, law in laws.items() if name in self.wanted}
        self.kinds = {name: law.kind for name, law in laws.items()}
        return {name: law.tensors() for name, law in laws.items()}


def _returned(output: Any) -> dict[str, Law]:
    if isinstance(output, dict) and not {"loc", *PARAMETERS} & set(output):
        return {name: law_of(value, f"the law of {name!r}") for name, value in output.items()}
    if isinstance(output, tuple | list) and output and all(isinstance(v, torch_dist.Distribution) for v in output):
        return {f"{ENCODER}{i}": law_of(value, f"law {i}") for i, value in enumerate(output)}
    return {ENCODER: law_of(output)}
