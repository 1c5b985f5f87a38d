"""Bent strips: the limbs of flat figures, with the coordinates of every point in closed form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_STRAIGHT = 1e-9  # least curvature: s = angle / curvature has no cancellation at any


@dataclass(frozen=True)
class Strip:
    """A strip about a smooth curve made of pieces of constant curvature, one for each of N images.

    The curve starts at the origin in the direction ``heading`` (an angle from x towards y) and is told by its length s;
    a point of the strip has coordinates (s, t), t its signed distance from the curve, positive towards the normal
    (-sin, cos) of the direction (cos, sin). A piece of curvature k from the origin along x has the points

        ((1 / k - t) sin(k s),  1 / k - (1 / k - t) cos(k s)),

    and the strip is {|t| <= half_width(s)}. The coordinates are one to one as long as no half width exceeds a radius of
    curvature and the strip does not meet itself. The first and the last piece go on beyond their ends.

    Args:
        heading: ``[N]``.
        lengths: of the pieces.
        curvatures: of the pieces, each ``[N]``.
        half_width: from s to the half width, elementwise; negative beyond the ends.
    """

    heading: Tensor
    lengths: Sequence[float]
    curvatures: Sequence[Tensor]
    half_width: Callable[[Tensor], Tensor]

    def locate(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Coordinates of points ``[N, P, 2]``: s, t, whether they are in the strip, the direction's angle; ``[N, P]``.

        Where several pieces claim a point, the one whose curve is nearer has it.
        """
        best: tuple[Tensor, Tensor, Tensor] | None = None
        for number, (start, angle, curvature, before) in enumerate(self._pieces()):
            local = turned(points - start[:, None], -angle)
            x, y, k = local[..., 0], local[..., 1], curvature[:, None]
            across = 1 - k * y
            s = torch.atan2(k * x, across) / k
            t = (2 * y - k * (x * x + y * y)) / (1 + (across * across + (k * x).square()).sqrt())
            inside = torch.ones_like(s, dtype=torch.bool)
            if number > 0:
                inside = inside & (s >= 0)
            if number < len(self.lengths) - 1:
                inside = inside & (s <= self.lengths[number])
            t = torch.where(inside, t, torch.inf)
            found = (s + before, t, angle[:, None] + k * s)
            if best is None:
                best = found
            else:
                nearer = t.abs() < best[1].abs()
                best = tuple(torch.where(nearer, new, old) for new, old in zip(found, best, strict=True))  # type: ignore[assignment]
        if best is None:
            raise ValueError("expected a strip of at least one piece, got none")
        s, t, angle = best
        return s, t, t.abs() <= self.half_width(s), angle

    def point(self, s: Tensor, t: Tensor) -> Tensor:
        """The points ``[N, P, 2]`` with coordinates ``[N, P]``."""
        found = torch.zeros(*s.shape, 2, dtype=s.dtype)
        for number, (start, angle, curvature, before) in enumerate(self._pieces()):
            k, own = curvature[:, None], s - before
            local = torch.stack(
                [torch.sin(k * own) * (1 / k - t), 2 * torch.sin(k * own / 2).square() / k + t * torch.cos(k * own)], -1
            )
            here = own >= 0 if number > 0 else torch.ones_like(own, dtype=torch.bool)
            found = torch.where(here[..., None], turned(local, angle) + start[:, None], found)
        return found

    def _pieces(self) -> list[tuple[Tensor, Tensor, Tensor, float]]:
        """Start, direction, curvature, and length before, of each piece."""
        start = torch.zeros(len(self.heading), 2, dtype=self.heading.dtype)
        angle, before, found = self.heading, 0.0, []
        for length, bent in zip(self.lengths, self.curvatures, strict=True):
            k = torch.where(bent.abs() < _STRAIGHT, torch.full_like(bent, _STRAIGHT), bent)
            found.append((start, angle, k, before))
            ahead = torch.stack([torch.sin(k * length) / k, 2 * torch.sin(k * length / 2).square() / k], -1)
            start = start + turned(ahead[:, None], angle)[:, 0]
            angle, before = angle + k * length, before + length
        return found


def turned(points: Tensor, angle: Tensor) -> Tensor:
    """Points ``[N, P, 2]`` turned about the origin by angles ``[N]`` from x towards y."""
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    x, y = points[..., 0], points[..., 1]
    return torch.stack([cos * x - sin * y, sin * x + cos * y], -1)


def round_normal(t: Tensor, half_width: Tensor, angle: Tensor) -> Tensor:
    """Normals ``[N, P, 3]`` of a strip rounded like a rod: towards the normal by t / half width, the rest to us."""
    across = (t / half_width).clamp(-1, 1)
    return torch.stack([-across * angle.sin(), across * angle.cos(), (1 - across * across).clamp(min=0).sqrt()], -1)
