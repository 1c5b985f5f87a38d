"""Runs of rotations that differ by a last turn about the z axis: most of a Fourier sum can be taken along them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..groups._quadrature import plane_rotation
from ..groups._wigner import wigner_d

_ROUNDING = 1e-12


@dataclass(frozen=True)
class Runs:
    """Elements p_i c_j with c_j = R_z(angle_j), run by run: [p_0 c_0, p_0 c_1, ..., p_1 c_0, ...].

    Attributes:
        starts: p_i c_0, ``[runs, 3, 3]``.
        waves: 1, cos a, sin a, cos 2a, ... at the angles relative to the first, ``[2 L + 1, length]``.
    """

    starts: Tensor
    waves: Tensor

    @property
    def length(self) -> int:
        """Elements of a run."""
        return self.waves.shape[1]


def run_length(elements: Tensor) -> int:
    """How many of the first elements ``[k, 3, 3]`` have the image of the z axis in common."""
    away = (elements[:, :, 2] - elements[:1, :, 2]).abs().amax(1) > _ROUNDING
    return int(away.int().argmax()) if bool(away.any()) else len(elements)


def runs_of(elements: Tensor, degree: int) -> Runs | None:
    """The runs of a block of elements; None where it is not made of whole and equal ones."""
    length = run_length(elements)
    if length < 4 or len(elements) % length:
        return None
    grid = elements.reshape(-1, length, 3, 3)
    turns = grid[:, :1].mT @ grid
    angles = torch.atan2(turns[0, :, 1, 0], turns[0, :, 0, 0])
    if bool(((turns - plane_rotation(angles)).abs() > 100 * _ROUNDING).any()):
        return None
    waves = [torch.ones_like(angles)]
    for n in range(1, degree + 1):
        waves += [(n * angles).cos(), (n * angles).sin()]
    return Runs(grid[:, 0], torch.stack(waves))


class WaveOrder:
    """The entries (l, m, n) of D^0, ..., D^L ordered by abs(n), and what a last turn does to them.

    With D^l(R_z(a)) = cos(n a) on the diagonal (n, n) and +-sin(n a) at (-n, n),

        D^l(p R_z(a))_mn = D^l(p)_mn cos(n a) +- D^l(p)_m,-n sin(n a).

    Attributes:
        order: positions of the entries in the order of :func:`~pyro_symvi.groups._wigner.wigner_d_up_to`, flattened.
        partner: for each ordered entry the place of (l, m, -n), ordered.
        sign: of the sine, for each ordered entry.
        bounds: first place of each abs(n), and the number of entries.
    """

    def __init__(self, degree: int) -> None:
        turn = wigner_d(degree, plane_rotation(torch.tensor(0.1, dtype=torch.float64)))
        frequency, mirrored, sign, start = [], [], [], 0
        for l in range(degree + 1):
            for m in range(2 * l + 1):
                for n in range(-l, l + 1):
                    frequency.append(abs(n))
                    mirrored.append(start + m * (2 * l + 1) + l - n)
                    sign.append(float(turn[degree - n, degree + n].sign()) if n else 0.0)
            start += (2 * l + 1) ** 2
        self.order = torch.tensor(frequency).argsort(stable=True)
        place = self.order.argsort()
        self.partner = place[torch.tensor(mirrored)[self.order]]
        self.sign = torch.tensor(sign, dtype=torch.float64)[self.order]
        counts = torch.tensor(frequency).bincount(minlength=degree + 1)
        self.bounds = [0, *counts.cumsum(0).tolist()]

    def accumulate(self, sums: Tensor, starts: Tensor, along: Tensor) -> None:
        """Add the sum over a block of entries times values to ``sums [entries, n]``, in place.

        Args:
            starts: ordered entries at the starts of the runs, times the weight of each run, ``[runs, entries]``.
            along: the sums of waves times values along each run, ``[runs, 2 L + 1, n]``.
        """
        even = starts.mT
        odd = even[self.partner.to(even.device)] * self.sign.to(even)[:, None]
        both = torch.stack([even, odd], 2).flatten(1)  # [entries, runs * 2]: cosine and sine of each run in turn
        sums[: self.bounds[1]].addmm_(even[: self.bounds[1]], along[:, 0])
        for n in range(1, len(self.bounds) - 1):
            a, b = self.bounds[n], self.bounds[n + 1]
            sums[a:b].addmm_(both[a:b], along[:, 2 * n - 1 : 2 * n + 1].reshape(-1, along.shape[2]))
