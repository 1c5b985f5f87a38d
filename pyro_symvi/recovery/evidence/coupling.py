"""Which coordinates of a target depend on which: what a change of some of them can move."""

from __future__ import annotations

import torch

from ...density import LogDensity

_TELLING = 1e-9
_LARGEST = 64
"""Beyond this many coordinates, one that depends on the moved ones stands for all."""


def coupled_with(
    density: LogDensity, coordinates: tuple[int, ...], here: torch.Tensor, there: torch.Tensor
) -> tuple[int, ...]:
    r"""The coordinates given and all that log p does not separate from them.

    A set M is separate from the rest where :math:`\log p(z)=f(z_M)+g(z_{-M})`; then
    :math:`\log p(a)+\log p(b)=\log p(b_M,a_{-M})+\log p(a_M,b_{-M})` for all a, b. A pair that differs by more than
    rounding, or a value that is not finite, counts as dependence. The set grows by what depends on it until it is
    separate.

    Args:
        density: The target.
        coordinates: M at first.
        here: Points ``[n, d]``.
        there: As many others.
    """
    found, every = set(coordinates), range(density.dim)

    def mixed(moved: list[int]) -> torch.Tensor:
        z = here.clone()
        z[..., moved] = there[..., moved]
        return density(z).detach()

    def depends(first: list[int], second: list[int]) -> bool:
        terms = torch.stack([mixed([]), mixed(first), mixed(second), mixed(first + second)])
        gap = (terms[0] - terms[1] - terms[2] + terms[3]).abs()
        return not bool((gap <= _TELLING * (1 + terms.abs().sum(0))).all())

    while rest := [j for j in every if j not in found]:
        if not depends(sorted(found), rest):
            break
        if density.dim > _LARGEST:
            return tuple(every)
        moved = sorted(found)
        more = {j for j in rest if depends(moved, [j])}
        if not more:  # it depends on several of the rest at once
            return tuple(every)
        found |= more
    return tuple(sorted(found))
