"""The checkpoint of a run: a Zarr v3 store of draws, numbers of each block, and the state after it.

Layout, C chains in packs of P, blocks of B draws:

- ``draws`` ``[C, draws, dim]`` and ``log_density``, ``energy_error``, ``acceptance`` ``[C, draws]``, one chunk a pack
  and block;
- ``blocks`` ``[packs, blocks, columns]``, one chunk a pack and block, written after that block's draws and state;
- ``warmed`` ``[packs, 3]`` (1, seconds, gradients), written after a pack's tuning and state;
- ``packs/00000`` with the tuning, the record of warm-up, and ``state`` ``[2, chains, 3 dim + 1]``, one chunk a slot:
  block b writes slot b mod 2, so that the state after the block before it lives on;
- attributes of the root: format, fingerprint, layout, source.

Each chunk appears whole or not at all (Zarr writes a file beside and renames it), and a block counts once its row of
``blocks`` is there. So a process killed at any moment leaves a store that goes on after the last block that counts.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..._layout import Layout
from ..samplers import ChainState, Tuning
from ._block import Block, Warmed
from ._fingerprint import Plain, differences
from ._plan import Plan

_FORMAT = "pyro_symvi.bnn.runs 1"
COLUMNS = ("draws", "seconds", "gradients", "non_finite", "divergences", "squared_error", "acceptance")
#: Shape, chunks, names of dimensions.
_Shape = tuple[tuple[int, ...], tuple[int, ...], tuple[str, ...]]
STATS = ("log_density", "energy_error", "acceptance")


def zarr_module() -> Any:
    """The library, or an error that says how to install it."""
    try:
        import zarr
    except ImportError as error:
        raise ImportError(
            "expected the library zarr for checkpoints, got none; try pip install 'pyro-symvi[checkpoints]'"
        ) from error
    return zarr


def open_store(path: str | os.PathLike[str], mode: str) -> Any:
    """The Zarr group at ``path``, or an error that says that none can be read there."""
    zarr = zarr_module()
    try:
        return zarr.open_group(str(path), mode=mode)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"expected a checkpoint of sample, got {str(path)!r}, which cannot be read as a Zarr group, because: "
            f"{error}; try another path"
        ) from error


class Store:
    """An open store; each chunk has one process that writes it."""

    def __init__(self, path: Path, plan: Plan) -> None:
        self.plan = plan
        self.root = open_store(path, "r+")
        self._arrays = {name: self.root[name] for name in ("draws", *STATS, "blocks", "warmed")}
        self._states: dict[int, Any] = {}

    # -- making and checking ---------------------------------------------------------------------------------------
    @staticmethod
    def prepare(path: Path, plan: Plan, layout: Layout, dtype: torch.dtype, source: str, wanted: Plain) -> None:
        """Make the store, or check that it is of this run and make room for more draws; by one process alone.

        Raises:
            ValueError: something else lies there, or the run differs, or has more draws than are asked for.
        """
        zarr = zarr_module()
        if not (path / "zarr.json").exists():
            if path.exists() and (not path.is_dir() or any(not p.name.endswith(".partial") for p in path.iterdir())):
                raise ValueError(
                    f"expected a checkpoint or a path where nothing is, got {str(path)!r}, because something else "
                    "would be written over; try another path"
                )
            attributes = {
                "format": _FORMAT,
                "source": source,
                "layout": [list(layout.names), [list(shape) for shape in layout.shapes], layout.extras],
                "fingerprint": wanted,
            }
            zarr.create_group(str(path), attributes=json.loads(json.dumps(attributes)))
        root = open_store(path, "r+")
        _check(path, root, wanted)
        arrays = _arrays(plan, layout)
        for name, (shape, _, _) in arrays.items():
            if name in root and any(there > here for there, here in zip(root[name].shape, shape, strict=True)):
                raise ValueError(
                    f"expected draws of at least {root['draws'].shape[1]}, got {plan.draws}, because the run of "
                    f"{str(path)!r} was asked for that many; try load_draws to read them, or another path"
                )
        for name, (shape, chunks, dimensions) in arrays.items():
            if name not in root:
                of = "float64" if name in ("blocks", "warmed") else str(dtype).removeprefix("torch.")
                root.create_array(
                    name, shape=shape, chunks=chunks, dtype=of, dimension_names=dimensions, fill_value=0,
                    compressors=None,
                )  # fmt: skip
            elif root[name].shape != shape:
                root[name].resize(shape)
        root.require_group("packs")

    # -- writing ---------------------------------------------------------------------------------------------------
    def write_warm_up(self, pack: int, warmed: Warmed) -> None:
        """Tuning, state and record of a pack, then the row that makes them count."""
        result = warmed.result
        group = self.root.create_group(f"packs/{pack:05d}", overwrite=True, attributes={"record": plain(result.record)})
        tuning = group.create_group("tuning")
        for name, values in result.tuning._asdict().items():
            numbers = values.detach().cpu().numpy()
            tuning.create_array(name, shape=numbers.shape, chunks=numbers.shape, dtype=numbers.dtype, compressors=None)
            tuning[name][...] = numbers
        rows = _rows(result.state)
        self._states[pack] = group.create_array(
            "state", shape=(2, *rows.shape), chunks=(1, *rows.shape), dtype=rows.dtype, compressors=None
        )
        self._states[pack][1] = rows
        self._arrays["warmed"][pack] = np.array([1.0, warmed.seconds, warmed.gradients])

    def write_block(self, pack: int, block: int, result: Block) -> None:
        """Draws, numbers and state of a block, then the row that makes them count."""
        ids, first = self.plan.chain_ids(pack), block * self.plan.block
        chains, draws = slice(ids.start, ids.stop), slice(first, first + result.theta.shape[1])
        for name, values in (("draws", result.theta), *result.stats.items()):
            self._arrays[name][chains, draws] = values.numpy()
        self._state(pack)[block % 2] = _rows(result.state)
        self._arrays["blocks"][pack, block] = np.array(row_of(result))

    # -- reading ---------------------------------------------------------------------------------------------------
    def finished(self, pack: int) -> int:
        """How many blocks of a pack count, from the first on; -1 before the end of warm-up."""
        if self._arrays["warmed"][pack, 0] != 1:
            return -1
        draws = self._arrays["blocks"][pack, :, 0]
        wanted = [self.plan.draws_in(block) for block in range(self.plan.blocks)]
        return next(
            (b for b, (there, here) in enumerate(zip(draws, wanted, strict=True)) if there != here), len(wanted)
        )

    def read_state(self, pack: int, blocks: int, device: torch.device | str) -> tuple[ChainState, Tuning]:
        """The state after so many blocks, and the tuning."""
        rows = torch.tensor(self._state(pack)[(blocks - 1) % 2], device=device)
        dim = self._arrays["draws"].shape[2]
        position, log_density, gradient, momentum = rows.split([dim, 1, dim, dim], -1)
        state = ChainState(position.clone(), log_density[:, 0].clone(), gradient.clone(), momentum.clone())
        tuning = self.root[f"packs/{pack:05d}/tuning"]
        return state, Tuning(*(torch.tensor(np.asarray(tuning[name][...]), device=device) for name in Tuning._fields))

    def _state(self, pack: int) -> Any:
        if pack not in self._states:
            self._states[pack] = self.root[f"packs/{pack:05d}/state"]
        return self._states[pack]


def _arrays(plan: Plan, layout: Layout) -> dict[str, _Shape]:
    """Name to shape, chunks and names of dimensions."""
    return {
        "draws": (
            (plan.chains, plan.draws, layout.dim),
            (plan.pack, plan.block, layout.dim),
            ("chain", "draw", "parameter"),
        ),
        **{name: ((plan.chains, plan.draws), (plan.pack, plan.block), ("chain", "draw")) for name in STATS},
        "blocks": ((plan.packs, plan.blocks, len(COLUMNS)), (1, 1, len(COLUMNS)), ("pack", "block", "column")),
        "warmed": ((plan.packs, 3), (1, 3), ("pack", "column")),
    }  # fmt: skip


def _check(path: Path, root: Any, wanted: Plain) -> None:
    """That the store is one of `sample`, and of this run."""
    if root.attrs.get("format") != _FORMAT:
        raise ValueError(
            f"expected a checkpoint of sample ({_FORMAT}), got {str(path)!r} with format "
            f"{root.attrs.get('format')!r}; try another path"
        )
    differs = differences(root.attrs["fingerprint"], json.loads(json.dumps(wanted)))
    if differs:
        raise ValueError(
            f"expected a checkpoint of this run, got {str(path)!r} of another, because of {'; '.join(differs)}; try "
            "another path, or the arguments of that run"
        )


def row_of(block: Block) -> list[float]:
    """The numbers of a block, as in ``COLUMNS``."""
    first = [block.theta.shape[1], block.seconds, block.gradients, block.non_finite, block.divergences]
    return [*map(float, first), block.squared_error, block.acceptance]


def plain(value: Any) -> Any:
    """As JSON has it: tensors as lists, numbers that are not finite as words, all else as its text."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, Tensor | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if isinstance(value, str | int | type(None)) else str(value)


def _rows(state: ChainState) -> np.ndarray:
    """Position, log density, gradient, momentum of each chain in one row."""
    parts = [state.position, state.log_density[:, None], state.gradient, state.momentum]
    return torch.cat(parts, 1).detach().cpu().numpy()
