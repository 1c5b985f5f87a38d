"""Calpha traces of real proteins, from the files that the package MDAnalysisTests ships."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..._value import positive_int
from .._context import Context
from .._dataset import CloudDataset

BREAK = 4.2
"""Neighbouring Calpha atoms further apart than this (angstrom) are not bonded: trans 3.8, cis 2.9 to 3.0."""

_NOT_CHAINS = ("1mr1D_failing", "wrong_hydrogens")  # a second copy of a chain, and a dummy of two residues


@dataclass(frozen=True, eq=False, repr=False)
class FragmentDataset(CloudDataset):
    """A :class:`CloudDataset` of protein fragments, whose parts by ``split`` share no chain; shapes as there.

    Names are ``chain`` or, where residue types are features, ``chain/first-last`` (places in the chain from 1).
    """

    def chains(self) -> tuple[str, ...]:
        """The chain of each kind."""
        return tuple(name.split("/")[0] for name in self.names)

    def of_kinds(self, chosen: Sequence[int]) -> FragmentDataset:
        """The fragments of some kinds, renumbered in the order given."""
        part = super().of_kinds(chosen)
        return FragmentDataset(part.clouds, part.kinds, part.names, part.context)

    def split(self, *shares: float, seed: int = 0) -> tuple[FragmentDataset, ...]:
        """Parts that share no chain; shares are of the number of chains."""
        owners = self.chains()
        chains = tuple(dict.fromkeys(owners))
        index = torch.arange(len(chains))
        parts = CloudDataset(torch.zeros(len(chains), 1, 3), index, chains).split(*shares, seed=seed)
        return tuple(
            self.of_kinds([k for chain in part.names for k, owner in enumerate(owners) if owner == chain])
            for part in parts
        )


def protein_fragments(
    length: int = 32,
    *,
    stride: int = 8,
    chains: Sequence[str] | int | None = None,
    residues: bool = False,
    dtype: torch.dtype = torch.float32,
) -> FragmentDataset:
    """Windows of ``length`` consecutive residues of real protein chains, as clouds of their Calpha atoms.

    Chains are 50 entries of the Protein Data Bank that MDAnalysisTests ships for its tests of secondary structure. A
    window never spans a break of the chain (neighbours more than 4.2 angstrom apart). Clouds are centred, in angstrom.
    Windows of one chain overlap where ``stride < length``: split by chain, as ``split`` does. Whether chains are
    related to one another has not been looked into.

    Args:
        length: N, residues a window, at least 4.
        stride: between the first residues of neighbouring windows.
        chains: names (``"1ahsA"``) or how many in alphabetical order; all by default.
        residues: put residue types (one-hot, 20 and unknown) into the features. Then each window is a kind of its
            own, as its sequence is; otherwise each chain is a kind.
        dtype: of the clouds.

    Returns:
        Data with a context of edges (kind 1 between neighbours) and features (place n / N in the window, then
        residue types if wanted).

    Raises:
        ImportError: where MDAnalysisTests is not installed, naming the extra.
        ValueError: for names of chains that are not there, or windows longer than any unbroken stretch.
    """
    from ..files._pdb import RESIDUES, parse_pdb

    positive_int(length, "length", minimum=4)
    positive_int(stride, "stride")
    files = _chain_files()
    if isinstance(chains, int):
        wanted = list(files)[: positive_int(chains, "chains")]
    else:
        wanted = list(files) if chains is None else [str(name) for name in chains]
    unknown = [name for name in wanted if name not in files]
    if unknown:
        raise ValueError(
            f"expected names of chains, got {unknown}; try some of {list(files)[:5]} ({len(files)} in all)"
        )
    windows: list[Tensor] = []
    kinds: list[int] = []
    names: list[str] = []
    types: list[Tensor] = []
    alphabet = {name: k for k, name in enumerate(RESIDUES)}
    for chain in wanted:
        frame = parse_pdb(files[chain])[0]
        points = torch.tensor(frame.points, dtype=torch.float64)
        starts = window_starts(points, length, stride)
        if starts and not residues:
            names.append(chain)
        for start in starts:
            window = points[start : start + length]
            windows.append(window - window.mean(0))
            if residues:
                names.append(f"{chain}/{start + 1}-{start + length}")
                codes = [alphabet.get(symbol, len(alphabet)) for symbol in frame.symbols[start : start + length]]
                types.append(torch.nn.functional.one_hot(torch.tensor(codes), len(alphabet) + 1))
            kinds.append(len(names) - 1)
    if not windows:
        raise ValueError(f"expected stretches of {length} residues without a break, got none; try a shorter length")
    places = torch.arange(length)
    edges = ((places[:, None] - places).abs() == 1).long().expand(len(names), length, length)
    features = (places.to(dtype) / length)[:, None].expand(len(names), length, 1)
    if residues:
        features = torch.cat([features, torch.stack(types).to(dtype)], -1)
    context = Context(features=features.contiguous(), edges=edges.contiguous())
    return FragmentDataset(torch.stack(windows).to(dtype), torch.tensor(kinds), tuple(names), context)


def window_starts(points: Tensor, length: int, stride: int, *, gap: float = BREAK) -> list[int]:
    """Where windows of a trace ``[N, 3]`` start that span no break; the grid starts anew after each break."""
    broken = ((points.diff(dim=0).norm(dim=-1) > gap).nonzero()[:, 0] + 1).tolist()
    starts: list[int] = []
    for first, end in zip([0, *broken], [*broken, len(points)], strict=True):
        starts += range(first, end - length + 1, stride)
    return starts


def _chain_files() -> dict[str, Path]:
    """Paths by name of chain. The package is found, not imported: importing it loads test machinery."""
    found = importlib.util.find_spec("MDAnalysisTests")
    if found is None or found.origin is None:
        raise ImportError(
            "expected the package MDAnalysisTests to be installed, because it ships the protein chains; "
            "try pip install 'pyro-symvi[proteins]'"
        )
    folder = Path(found.origin).parent / "data" / "dssp"
    files = {path.name.removesuffix(".pdb.gz"): path for path in sorted(folder.glob("*.pdb.gz"))}
    files = {name: path for name, path in files.items() if name not in _NOT_CHAINS}
    if not files:
        raise ImportError(
            f"expected protein chains in {str(folder)!r}, got none; try another version of MDAnalysisTests"
        )
    return files
