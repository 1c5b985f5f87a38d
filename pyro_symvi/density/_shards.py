"""Is a model on shards of its data one posterior? What can be told from a run of it on each rank."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ._explore import is_subsample
from ._ranks import Ranks

_PARTICLES = "num_particles_vectorized"


@dataclass(frozen=True)
class Described:
    """A rank's sample sites.

    Attributes:
        latents: ``{site: (names of its plates, shape)}``.
        observed: ``{site: (names of its plates, length of the data's first dimension, digest of the data)}``, factors
            included.
    """

    latents: dict[str, tuple[frozenset[str], torch.Size]]
    observed: dict[str, tuple[frozenset[str], int, str]]

    @property
    def plates(self) -> set[str]:
        """Names of all plates."""
        names = [*(plates for plates, _ in self.latents.values()), *(plates for plates, *_ in self.observed.values())]
        return set().union(*names)


def describe(trace: Any) -> Described:
    """Read a trace; the plate of vectorised particles is left out."""
    latents, observed = {}, {}
    for name, node in trace.nodes.items():
        if node["type"] != "sample" or is_subsample(node) or node["infer"].get("_deterministic", False):
            continue
        frames = {frame.name: frame.dim for frame in node["cond_indep_stack"]}
        particles = next((dim for plate, dim in frames.items() if plate.startswith(_PARTICLES)), None)
        plates = frozenset(plate for plate in frames if not plate.startswith(_PARTICLES))
        if node["is_observed"]:
            value = torch.as_tensor(node["value"])
            observed[name] = plates, (value.shape[0] if value.dim() else 1), _digest(value)
        else:
            latents[name] = plates, _without(node["fn"], particles)
    return Described(latents, observed)


def _without(law: Any, particles: int | None) -> torch.Size:
    batch = list(law.batch_shape)
    if particles is not None and len(batch) >= -particles:
        del batch[particles]
    return torch.Size([*batch, *law.event_shape])


def _digest(value: torch.Tensor) -> str:
    data = value.detach().cpu().contiguous().numpy()
    return hashlib.sha256(repr((data.dtype, data.shape)).encode() + data.tobytes()).hexdigest()


def refuse_local_latents(described: Described, common: Collection[str]) -> None:
    """Latent sites that go with the rows: each rank would hold others of the same name.

    Raises:
        ValueError: A latent site shares a plate with sharded data, or is as long as they are.
    """
    for name, (plates, shape) in described.latents.items():
        if name in common:
            continue
        for site, (theirs, rows, _) in described.observed.items():
            if site in common:
                continue
            shared = sorted((plates & theirs) - set(common))
            if shared:
                told = f"'{name}' in plate '{shared[0]}' together with the data of site '{site}'"
                remedy = f"common=('{shared[0]}',) if that plate means the same things on every rank"
            elif rows > 1 and rows in shape and not plates & theirs:
                told = f"'{name}' of shape {tuple(shape)} beside {rows} rows of site '{site}'"
                remedy = f"common=('{name}',) if it means the same on every rank"
            else:
                continue
            raise ValueError(
                f"expected latent sites that all rows share, got {told}, because a latent variable of a row would be "
                "another variable on each rank under one name, and the sum over ranks no posterior; try integrating "
                f"it out, or {remedy}"
            )


def refuse_unknown(described: Described, common: Collection[str], sharded: Collection[str]) -> None:
    """Names in ``common`` or ``sharded`` that the model lacks.

    Raises:
        TypeError: A bare string.
        ValueError: A name that is no site or plate.
    """
    for argument, names, known in (
        ("common", common, {*described.latents, *described.observed, *described.plates}),
        ("sharded", sharded, set(described.observed)),
    ):
        if isinstance(names, str):
            raise TypeError(f"expected {argument} as a tuple of names, got {names!r}; try {argument}=({names!r},)")
        unknown = sorted(set(names) - known)
        if unknown:
            raise ValueError(
                f"expected {argument} to name some of {sorted(known)}, got {unknown}, because these are the names in "
                "this model; try one of them"
            )


def refuse_differences(ranks: Ranks, layouts: Mapping[str, Any]) -> None:
    """Anything in ``layouts`` (``{what: value}``) that is not the same on each rank.

    Raises:
        ValueError: On every rank, naming what differs and where.
    """
    first, *others = ranks.gather(dict(layouts))
    for rank, other in enumerate(others, start=1):
        for what, value in first.items():
            if other[what] != value:
                raise ValueError(
                    f"expected the same {what} on every rank, got {value} on rank 0 and {other[what]} on rank {rank}, "
                    "because ranks hold one model on different rows of data; try a model whose latent sites do not "
                    "depend on the shard, and the same arguments on each rank"
                )


def refuse_double_counting(
    ranks: Ranks,
    described: Described,
    prior: torch.Tensor,
    observed: Mapping[str, torch.Tensor],
    common: Collection[str],
    sharded: Collection[str],
) -> None:
    """Terms that are not what they are taken for: a prior that differs by rank, data that do not.

    Args:
        ranks: The ranks.
        described: This rank's sites.
        prior: Log prior ``[n]`` at ``n`` points, the same points on each rank.
        observed: Log probabilities ``[n]`` of each observed site there.
        common: Observed sites to be counted once.
        sharded: Observed sites known to differ in spite of appearances.

    Raises:
        ValueError: On every rank.
    """
    if ranks.size == 1:
        return
    mine = {name: (described.observed[name][2], value.tolist()) for name, value in observed.items()}
    told = ranks.gather((prior.tolist(), mine))
    tolerance = 1e3 * torch.finfo(prior.dtype).eps
    priors = [torch.tensor(other, dtype=torch.float64) for other, _ in told]
    for rank, other in enumerate(priors):
        if not torch.allclose(other, priors[0], rtol=tolerance, atol=tolerance, equal_nan=True):
            raise ValueError(
                f"expected the same prior on every rank, got log densities {priors[0].tolist()} on rank 0 and "
                f"{other.tolist()} on rank {rank} at the same points, because it counts once; try a prior that does "
                "not depend on the rows of the shard (constants computed from all rows before)"
            )
    for name in mine:
        alike = all(site[name] == told[0][1][name] for _, site in told)
        if not alike and name in common:
            raise ValueError(
                f"expected site '{name}' to be the same on every rank, got different data or log probabilities, "
                "because common= says that it is to be counted once; try leaving it out there"
            )
        if not alike or name in sharded or not any(mine[name][1]):
            continue
        if name not in common:
            raise ValueError(
                f"expected the rows of site '{name}' to be divided among the ranks, got the same data and log "
                f"probability on each, because they would count {ranks.size} times; try giving each rank its own rows, "
                f"common=('{name}',) if the term is to count once, or sharded=('{name}',) if the rows just look alike"
            )
