"""Latent sites that a model keeps from those who run it: behind ``poutine.block``, or drawn outside ``pyro.sample``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from pyro.poutine.block_messenger import BlockMessenger
from pyro.poutine.messenger import Messenger
from torch import Tensor

from ..density._refusals import Refusal
from ..density._state import seeded

_TRIES = 8


def unblocked(model: Any) -> Any:
    """The model without ``poutine.block`` around it.

    A guide for a part of the sites is made of ``poutine.block(model, hide=[...])`` and knows the model as that. Run so,
    it would draw the hidden sites anew each time, and leave their density out.
    """
    wrapped = getattr(model, "func", None) if isinstance(model, functools.partial) else None
    if wrapped is None or len(model.args) < 2 or not isinstance(model.args[0], Messenger):
        return model
    messenger, inner, *rest = model.args
    if isinstance(messenger, BlockMessenger):
        return unblocked(inner)
    return functools.partial(wrapped, messenger, unblocked(inner), *rest, **model.keywords)


def refuse_hidden(log_prob: Callable[[], Tensor]) -> None:
    """Refuse a model whose log density is random although every latent site has a value.

    Only where random numbers are drawn at all is it evaluated again; those of an initial value do no harm.
    """
    with seeded(0), torch.no_grad():
        before = torch.get_rng_state()
        first = float(log_prob())
        if torch.equal(before, torch.get_rng_state()):
            return
    for seed in range(1, _TRIES):
        with seeded(seed), torch.no_grad():
            again = float(log_prob())
        if again != first and not (again != again and first != first):
            raise Refusal(
                f"expected one log density at one set of draws, got {first:.6g} and {again:.6g}, because the model "
                "draws something that no handler sees (poutine.block inside it, torch's own random functions); try "
                "pyro.sample without poutine.block, or summing the hidden site out of the model"
            )
