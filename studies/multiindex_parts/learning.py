"""One cell: guides from all starts at one ratio, over seeds; the bound without draws, climbed by Adam."""

from __future__ import annotations

import functools
import math
from typing import Any

import pyro
import torch
from multiindex_parts import starts
from torch import Tensor

from pyro_symvi.multiindex import (
    CommitteeData,
    Link,
    committee_elbo,
    committee_machine,
    committee_mean,
    order_parameters,
    specialised_guide,
    symmetry_of,
)

RATE, DRAWS = 0.05, 16


def cell(
    activation: str, units: int, dim: int, ratio: float, seeds: list[int], steps: int, kinds: list[str]
) -> dict[str, Any]:
    """For each start and seed: ELBO, gain of the orbit mixture, error, overlap, length of means, rise at the end."""
    link = Link.of(activation)
    data = starts.data_sets(activation, units, dim, ratio, seeds)
    runs = {}
    for kind in kinds:
        loc = starts.first_means(kind, link, data, seeds)
        scale = torch.full_like(loc, starts.SCALES[kind] / math.sqrt(dim))
        found = climb(link, data, loc, scale, steps, tied=kind in ("centred", "tied"))
        runs[kind] = [
            score(link, data, found, index, seeds[index]) | {"rise": float(found[3][index])}
            for index in range(len(seeds))
        ]
    return {"runs": runs, "data": data.y.shape[-1]}


def climb(
    link: Link, data: CommitteeData, loc: Tensor, scale: Tensor, steps: int, *, tied: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Means and scales after Adam on the bound per datum, the bound, and what its last tenth of steps added.

    All seeds at once: Adam treats each number alone, so that they do not meet. Means are in units of the prior's
    scale, scales in logs; the rate falls as a cosine.
    """
    dim, count, shape = loc.shape[-1], data.y.shape[-1], loc.shape
    rows = slice(0, 1) if tied else slice(None)
    u = (loc[:, rows] * math.sqrt(dim)).clone().requires_grad_()
    r = (scale[:, rows] * math.sqrt(dim)).log().clone().requires_grad_()
    optimizer = torch.optim.Adam([u, r], RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    before = torch.zeros(len(loc))

    def bound() -> Tensor:
        m, s = ((part / math.sqrt(dim)).expand(shape) for part in (u, r.exp()))
        return committee_elbo(m, s, data.x, data.y, activation=link, noise=starts.NOISE) / count

    for step in range(steps):
        optimizer.zero_grad()
        value = bound()
        if step == steps - steps // 10:
            before = value.detach()
        (-value.sum()).backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        last = bound()
        m, s = ((part / math.sqrt(dim)).expand(shape).clone() for part in (u, r.exp()))
    return m, s, last, last - before


def score(link: Link, data: CommitteeData, found: tuple[Tensor, ...], index: int, seed: int) -> dict[str, float]:
    """What is reported of one guide: nats per datum, the teacher's signal has variance one."""
    loc, scale, bound, _ = (part[index] for part in found)
    group = symmetry_of(link, len(loc))
    model = functools.partial(committee_machine, units=len(loc), activation=link, noise=starts.NOISE)
    pyro.clear_param_store()
    guide = specialised_guide(model, loc, group)
    guide.set_up(data.x[index], data.y[index])
    guide.component.set_parameters({"loc": loc.flatten(), "scale": scale.flatten()})
    gain = guide.gain(num_samples=DRAWS, generator=torch.Generator().manual_seed(seed))
    pyro.clear_param_store()
    mean = committee_mean(loc, scale, data.x_test[index], activation=link)
    order = order_parameters(loc, data.weights[index], group, normalise=False)
    return {
        "elbo": float(bound),
        "gain": gain.value / len(data.y[index]),
        "gain_part": gain.value / gain.limit,
        "error": float((mean - data.mean_test[index]).square().mean()),
        "q": order.specialisation,
        "length": float(loc.norm(dim=-1).mean()),
    }
