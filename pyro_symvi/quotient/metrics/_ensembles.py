"""Coverage of whole data sets, molecule by molecule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .._dataset import CloudDataset
from ._alignment import rmsd_matrix
from ._coverage import Coverage, coverage
from ._symmetry import graph_automorphisms


def ensemble_coverage(
    samples: CloudDataset,
    references: CloudDataset,
    thresholds: Sequence[float] | Tensor = (0.25, 0.5, 0.75, 1.0),
    *,
    permutations: Mapping[str, Tensor] | None = None,
) -> Coverage:
    """``coverage`` of each kind that both data sets hold, matched by name, with symmetry-corrected RMSD.

    Args:
        samples: clouds of the model.
        references: clouds to be found.
        thresholds: in units of the data.
        permutations: by name, ``[A, n]`` on the n points that a kind has or ``[A, N]`` with padding; for molecules
            ``{name: automorphisms(name) for name in references.names}``. Names that are missing, or all without it,
            take ``graph_automorphisms`` of the reference's context.

    Raises:
        ValueError: for kinds of the references that have no samples (they are named), or other numbers of points.
    """
    empty = [
        name
        for k, name in enumerate(references.names)
        if name not in samples.names
        or not bool((samples.kinds == samples.names.index(name)).any())
        or not bool((references.kinds == k).any())
    ]
    if empty:
        raise ValueError(
            f"expected clouds of each kind on both sides, got none for {len(empty)} of {len(references.names)}: "
            f"{', '.join(empty[:5])}; try references.of_kinds(...)"
        )
    distances = []
    for k, name in enumerate(references.names):
        ours, theirs = (
            samples.clouds[samples.kinds == samples.names.index(name)],
            references.clouds[references.kinds == k],
        )
        context = None if references.context is None else references.context[k]
        mask = torch.ones(theirs.shape[1], dtype=torch.bool)
        if context is not None and context.mask is not None:
            mask = context.mask.cpu()
        count = len(mask)
        if ours.shape[1] < count:
            raise ValueError(f"expected samples of {count} points, got {ours.shape[1]} for {name}")
        table = (permutations or {}).get(name)
        if table is None and context is not None and context.shape is not None:
            table = graph_automorphisms(context)
        if table is not None and table.shape[-1] == int(mask.sum()) < count:
            kept = mask.nonzero()[:, 0]
            full = torch.arange(count).repeat(len(table), 1)
            full[:, kept] = kept[table]
            table = full
        distances.append(rmsd_matrix(ours[:, :count], theirs, table, mask))
    return coverage(distances, thresholds, names=references.names)
