"""Root mean square deviation after the best rigid motion."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...groups import PointCloudAction, SpecialEuclidean
from ._checks import mask_of, points


def rmsd(x: Tensor, y: Tensor, mask: Tensor | None = None) -> Tensor:
    """Root mean square deviation min over rigid motions g of (sum_n |g x_n - y_n|^2 / N)^(1/2), in units of x.

    Rotations are proper: a mirror image is another molecule. Clouds ``[*batch, N, d]`` broadcast; ``[*batch]`` is
    returned. No rotation is built: with centred clouds, C = Y^T X and its singular values s_1 >= ... >= s_d, the
    minimum is (|X|^2 + |Y|^2 - 2 (s_1 + ... + sign(det C) s_d)) / N. Pairs that agree to 1e-4 of their size lose digits
    in that difference and are aligned by ``PointCloudAction`` instead. float64 inside.

    Args:
        x: clouds.
        y: clouds with as many points, in the same order; see ``symmetric_rmsd`` for atoms that may change places.
        mask: ``[N]`` or with the batch dimensions, True where there is a point.

    Raises:
        ValueError: for shapes that do not fit, coordinates that are not finite, an empty mask.

    Reading: conformers of a drug-like molecule below 0.5 A are usually called the same, above 2 A different.

    >>> x = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    >>> rmsd(x[:2], 3 * x[:2] + 7).item(), round(rmsd(x, -x).item(), 3)
    (1.0, 0.5)

    Source: Kabsch, Acta Cryst. A32 (1976) 922; Umeyama, IEEE PAMI 13 (1991) 376.
    """
    _check_pair(x, y)
    try:
        shape = torch.broadcast_shapes(x.shape, y.shape)
    except RuntimeError:
        raise ValueError(
            f"expected batches that broadcast, got {list(x.shape)} and {list(y.shape)}; "
            "try x[:, None] and y[None], or rmsd_matrix, for all pairs"
        ) from None
    there = mask_of(mask, x.expand(shape))
    action = PointCloudAction(SpecialEuclidean(x.shape[-1]), weights=there.double())
    weight = there.double()[..., None]
    a, b = action.centre(x.double())[0] * weight, action.centre(y.double())[0] * weight
    sizes = a.square().sum((-2, -1)) + b.square().sum((-2, -1))
    square = _least_square(b.mT @ a, sizes)
    close = square < 1e-8 * sizes
    if bool(close.any()):
        full = close.expand(shape[:-2])
        weights = there.double().expand(shape[:-1])[full]
        exact = PointCloudAction(action.motions, weights=weights).distance(a.expand(shape)[full], b.expand(shape)[full])
        square = square.expand(shape[:-2]).clone()
        square[full] = exact.square()
    return (square / there.sum(-1)).sqrt().to(torch.promote_types(x.dtype, y.dtype))


def symmetric_rmsd(x: Tensor, y: Tensor, permutations: Tensor, mask: Tensor | None = None) -> Tensor:
    """The least ``rmsd`` of x from y with its points renumbered, min over a of rmsd(x, y[permutations[a]]).

    Args:
        x: clouds ``[*batch, N, d]``.
        y: clouds ``[*batch, N, d]``.
        permutations: ``[A, N]``, the automorphisms of the molecular graph; see ``automorphisms``.
        mask: as for ``rmsd``.

    Agrees with ``rdkit.Chem.rdMolAlign.GetBestRMS``. Time is A alignments a pair.
    """
    _check_pair(x, y)
    first, *others = _check_permutations(permutations, x.shape[-2])
    best = rmsd(x, y[..., first, :], mask)
    for permutation in others:
        best = torch.minimum(best, rmsd(x, y[..., permutation, :], mask))
    return best


def rmsd_matrix(
    samples: Tensor, references: Tensor, permutations: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """All pairs at once: ``[S, N, d]`` and ``[R, N, d]`` give ``[S, R]``, what ``coverage`` asks for.

    The same as ``symmetric_rmsd(samples[:, None], references[None], permutations, mask)`` for a ``mask`` of shape
    ``[N]``, in memory for one permutation at a time.

    Raises:
        ValueError: unless both sides are clouds of one number of points, at least one each, and the mask ``[N]``.
    """
    _check_pair(samples, references)
    if samples.ndim != 3 or references.ndim != 3:
        raise ValueError(f"expected [S, N, d] and [R, N, d], got {list(samples.shape)} and {list(references.shape)}")
    if not len(samples) or not len(references):
        raise ValueError(f"expected at least one cloud on each side, got {len(samples)} and {len(references)}")
    if mask is not None and mask.ndim != 1:
        raise ValueError(f"expected a mask [N], got {list(mask.shape)}, because the clouds are of one molecule")
    there = mask_of(mask, samples)
    order = torch.arange(samples.shape[-2])[None] if permutations is None else permutations
    order = _check_permutations(order, samples.shape[-2]).to(samples.device)
    weight = there.double()[:, None]
    action = PointCloudAction(SpecialEuclidean(samples.shape[-1]), weights=there.double())
    a, b = action.centre(samples.double())[0] * weight, action.centre(references.double())[0] * weight
    sizes = a.square().sum((-2, -1))[:, None] + b.square().sum((-2, -1))
    best, which = torch.full_like(sizes, torch.inf), torch.zeros(sizes.shape, dtype=torch.int64, device=a.device)
    for k, permutation in enumerate(order):
        square = _least_square(torch.einsum("rne,snd->sred", b[:, permutation], a), sizes)
        which = torch.where(square < best, k, which)
        best = torch.minimum(best, square)
    for s, r in (best < 1e-8 * sizes).nonzero().tolist():
        best[s, r] = action.distance(a[s], b[r][order[which[s, r]]]).square()
    return (best / there.sum()).sqrt().to(torch.promote_types(samples.dtype, references.dtype))


def _least_square(covariance: Tensor, sizes: Tensor) -> Tensor:
    """The least |g X - Y|^2 over rotations, from C = Y^T X and |X|^2 + |Y|^2."""
    values = torch.linalg.svdvals(covariance)
    last = values[..., -1] * torch.where(torch.linalg.det(covariance) < 0, -1.0, 1.0)
    return (sizes - 2 * (values[..., :-1].sum(-1) + last)).clamp(min=0.0)


def _check_pair(x: Tensor, y: Tensor) -> None:
    points(x, "x")
    points(y, "y")
    if x.shape[-2:] != y.shape[-2:]:
        raise ValueError(f"expected clouds of as many points [*batch, N, d], got {list(x.shape)} and {list(y.shape)}")
    if x.shape[-1] < 2:
        raise ValueError(f"expected clouds in a space of dimension 2 or more, got {list(x.shape)}")


def _check_permutations(permutations: Tensor | Sequence[Sequence[int]], count: int) -> Tensor:
    table = torch.as_tensor(permutations)
    if table.is_floating_point() or table.dtype == torch.bool:
        raise TypeError(f"expected permutations of an integer dtype, got {table.dtype}; try .long()")
    wanted = torch.arange(count, device=table.device)
    if (
        table.ndim != 2
        or not len(table)
        or table.shape[-1] != count
        or not bool((table.sort(-1).values == wanted).all())
    ):
        raise ValueError(
            f"expected permutations [A, {count}] of 0..{count - 1} in each row, got {list(table.shape)}; "
            "try automorphisms(molecule)"
        )
    return table.long()
