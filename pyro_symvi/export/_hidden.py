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
    """Refuse a model that uses up random numbers although every latent site has a value, as `LogDensity` does.

    Its log density would be that of one draw of what it hides, without the draw's own density.
    """
    with seeded(0), torch.no_grad():
        before = torch.get_rng_state()
        log_prob()
        if torch.equal(before, torch.get_rng_state()):
            return
    raise Refusal(
        "expected a model that draws nothing once its latent sites have values, got one that uses up random numbers, "
        "because it draws something that no handler sees (poutine.block inside it, torch's own random functions, "
        "random initial parameters); try pyro.sample without poutine.block, initial parameters made before, or summing "
        "the hidden site out of the model"
    )
