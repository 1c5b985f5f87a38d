"""The posterior of all the data, from a model whose plate takes random minibatches."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from pyro import poutine
from pyro.poutine.messenger import Messenger
from torch.distributions import biject_to

from ...density import LogDensity
from ...density._explore import is_subsample
from ...density._model import read_model, seeded, without_initialisation
from ...density._state import own_parameter_store


@dataclass(frozen=True)
class Subsampled:
    """A plate that takes ``taken`` of its ``size`` rows at random."""

    name: str
    size: int
    taken: int
    latent: str = ""
    """A latent site inside it, if there is one."""


class Rows(Messenger):
    """Gives one plate these indices, and hides that from the messengers outside."""

    def __init__(self, plate: Subsampled, indices: torch.Tensor, hide: bool = False) -> None:
        super().__init__()
        self.plate, self.indices, self.hide = plate, indices, hide

    def _pyro_sample(self, message: Any) -> None:
        if is_subsample(message) and message["name"] == self.plate.name:
            message["value"], message["done"] = self.indices, True
            message["stop"] = message["stop"] or self.hide


class _FindPlates(Messenger):
    """Notes the plates that leave rows out; latent sites take some value, also those without draws."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, Subsampled] = {}

    def _pyro_sample(self, message: Any) -> None:
        if is_subsample(message) or message["is_observed"] or message["done"] or message["value"] is not None:
            return
        transform = biject_to(message["fn"].support)
        unconstrained = torch.empty(transform.inverse_shape(message["fn"].shape())).uniform_(-0.5, 0.5)
        message["value"], message["done"] = transform(unconstrained), True
        for frame in message["cond_indep_stack"]:
            if frame.name in self.found:
                self.found[frame.name] = replace(self.found[frame.name], latent=message["name"])

    def _pyro_post_sample(self, message: Any) -> None:
        if is_subsample(message) and message["value"] is not None and len(message["value"]) < message["fn"].size:
            plate = Subsampled(message["name"], int(message["fn"].size), len(message["value"]))
            self.found[plate.name] = plate


def subsampled_plates(model: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Subsampled]:
    """The plates of a model that leave rows out, by one run of it; those met so far if that fails."""
    finder = _FindPlates()
    with seeded(0), torch.no_grad(), own_parameter_store(), poutine.block(), finder:
        try:
            without_initialisation(model)(*args, **kwargs)
        except Exception:  # whatever it is, `LogDensity.from_model` says it better
            pass
    return list(finder.found.values())


def whole_data_density(
    model: Callable[..., Any], plate: Subsampled, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> LogDensity:
    r"""The log density with every row counted once, as a weighted sum of the minibatch one, L(rows).

    A plate of N rows that takes B scales their log likelihood by N/B. So, with q whole blocks of B rows, one block of
    the r left over filled up with B - r copies of row 0, and one block of copies of row 0,

    .. math:: \log p = \tfrac BN\Bigl(\sum_{k=1}^{q} L(\text{block}_k) + L(\text{rest})\Bigr)
              - \tfrac{B-r}{N}\,L(0,\dots,0),

    where the weights add up to one (the prior counts once). One call costs one pass over the data.

    Args:
        model: The model.
        plate: Its one plate that leaves rows out.
        args: Its arguments.
        kwargs: Its keyword arguments.

    Raises:
        ValueError: The model has latent sites inside the plate, or does not use the plate's indices (its arguments are
            one minibatch), or is no flat density for another reason.
    """
    if plate.latent:
        raise ValueError(
            f"expected no latent sites inside plate '{plate.name}', got '{plate.latent}', because each row has one of "
            "its own and a minibatch would see other ones every time; try all data (subsample_size=None)"
        )
    inner, blocks, weights = without_initialisation(model), *_blocks(plate)
    current = [blocks[0]]

    def at_rows(*args: Any, **kwargs: Any) -> Any:
        with Rows(plate, current[0], hide=True):
            return inner(*args, **kwargs)

    reading = read_model(at_rows, args, kwargs)
    one, call = reading.log_prob, reading.call

    def log_prob(z: torch.Tensor) -> torch.Tensor:
        def of(rows: torch.Tensor) -> torch.Tensor:
            current[0] = rows
            try:
                return one(z)
            finally:
                current[0] = blocks[0]

        return weights @ torch.func.vmap(of)(blocks)

    _require_indices_used(one, reading.starts[0], plate, blocks, current)
    reading = replace(
        reading,
        log_prob=log_prob,
        elements=reading.elements * len(blocks),
        call=None if call is None else call._replace(model=inner),
        notes=(*reading.notes, f"all {plate.size} rows of plate '{plate.name}' are used"),
    )
    return LogDensity(reading)


def _blocks(plate: Subsampled) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices ``[k, B]`` and weights ``[k]``."""
    size, taken = plate.size, plate.taken
    count = math.ceil(size / taken)
    short = count * taken - size
    rows = torch.cat([torch.arange(size), torch.zeros(short, dtype=torch.long)]).reshape(count, taken)
    weights = torch.full((count,), taken / size, dtype=torch.float64)
    if short:
        rows = torch.cat([rows, torch.zeros(1, taken, dtype=torch.long)])
        weights = torch.cat([weights, torch.tensor([-short / size], dtype=torch.float64)])
    return rows, weights


def _require_indices_used(
    one: Callable[[torch.Tensor], torch.Tensor],
    z: torch.Tensor,
    plate: Subsampled,
    blocks: torch.Tensor,
    current: list[torch.Tensor],
) -> None:
    """Refuse a model whose log density is the same for other rows."""
    values = []
    for rows in (blocks[0], blocks[1], blocks[0].flip(0) * 0 + plate.size - 1):
        current[0] = rows
        values.append(float(one(z).detach()))
    current[0] = blocks[0]
    if values[0] == values[1] == values[2]:
        raise ValueError(
            f"expected a model that looks up its rows by the indices of plate '{plate.name}', got one whose density is "
            "the same for other indices, because its arguments are one minibatch, not the data; try passing all data "
            f"and writing: with pyro.plate({plate.name!r}, len(data), subsample_size={plate.taken}) as rows: "
            "... obs=data[rows]"
        )
