"""Reading a run back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..._layout import Layout
from .._draws import Draws
from ._store import _FORMAT, COLUMNS, STATS, open_store, zarr_module


def load_draws(path: str | os.PathLike[str], *, device: torch.device | str = "cpu") -> Draws:
    """The draws of a checkpoint of :func:`sample`, finished or running; nothing in it is executed.

    Args:
        path: the store.
        device: where the draws are put.

    Returns:
        Draws that all chains have; ``info["complete"]`` says whether these are all that were asked for.

    Raises:
        ValueError: no such store, or not a block finished in all packs.
    """
    zarr_module()
    if not (Path(path) / "zarr.json").exists():
        raise ValueError(f"expected a checkpoint of sample, got {str(path)!r}, because no Zarr store is there")
    root = open_store(path, "r")
    if root.attrs.get("format") != _FORMAT or any(name not in root for name in ("draws", "blocks", "warmed", *STATS)):
        raise ValueError(
            f"expected a checkpoint of sample ({_FORMAT}), got {str(path)!r}, because it is of another kind or was "
            "just begun; try again later, or another path"
        )
    names, shapes, extras = root.attrs["layout"]
    layout = Layout(names, [tuple(shape) for shape in shapes], extras)
    block, asked = root.attrs["fingerprint"]["block"], root["draws"].shape[1]
    rows = np.asarray(root["blocks"][...])
    common = min(_leading(pack, block) for pack in rows[:, :, 0])
    if common == 0:
        raise ValueError(f"expected a checkpoint with draws, got {str(path)!r} before its first block; try again later")
    try:
        theta = torch.tensor(np.asarray(root["draws"][:, :common]), device=device)
        stats = {name: torch.tensor(np.asarray(root[name][:, :common]), device=device) for name in STATS}
        info = info_of(root, rows)
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"expected a whole checkpoint of sample, got {str(path)!r} with a part missing or damaged: {error}; try a "
            "copy of it"
        ) from error
    return Draws(theta, layout, root.attrs["source"], stats, {**info, "complete": common == asked})


def _leading(draws: np.ndarray, block: int) -> int:
    """Draws in the leading blocks that are finished; one with fewer than ``block`` is the last."""
    total = 0
    for number in draws:
        total += int(number)
        if number < block:
            break
    return total


def info_of(root: Any, rows: np.ndarray) -> dict[str, Any]:
    """What the store knows besides draws."""
    records = [root[f"packs/{pack:05d}"].attrs["record"] for pack in range(len(rows))]
    tunings = [root[f"packs/{pack:05d}/tuning"] for pack in range(len(rows))]
    return summary(
        root.attrs["fingerprint"],
        rows,
        np.asarray(root["warmed"][...]),
        records,
        [float(np.mean(t["step_size"][...])) for t in tunings],
        [float(np.mean(t["length"][...])) for t in tunings],
    )


def summary(
    settings: dict[str, Any],
    rows: np.ndarray,
    warmed: np.ndarray,
    records: list[Any],
    step_sizes: list[float],
    lengths: list[float],
) -> dict[str, Any]:
    """The ``info`` of draws from ``rows`` ``[packs, blocks, columns]`` and ``warmed`` ``[packs, 3]``."""
    columns = dict(zip(COLUMNS, np.moveaxis(rows, -1, 0), strict=True))
    draws = columns["draws"]
    chains = np.array([min(settings["pack"], settings["chains"] - p * settings["pack"]) for p in range(len(rows))])
    weight = draws * chains[:, None] / max((draws * chains[:, None]).sum(), 1.0)
    gradients = (columns["gradients"].sum(1) * chains).sum()
    return {
        "settings": dict(settings),
        "seconds_warm_up": float(warmed[:, 1].sum()),
        "seconds_sampling": float(columns["seconds"].sum()),
        "gradients_warm_up": float((warmed[:, 2] * chains).sum()),
        "gradients": int(gradients),
        "acceptance": float((columns["acceptance"] * weight).sum()),
        "energy_error_rms": float((columns["squared_error"] * weight).sum() ** 0.5),
        "non_finite": int(columns["non_finite"].sum()),
        "divergences": int(columns["divergences"].sum()),
        "step_size": step_sizes,
        "length": lengths,
        "warm_up": records,
    }
