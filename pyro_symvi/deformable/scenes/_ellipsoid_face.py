"""A face painted on an ellipsoid that turns in space."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..symmetry import FrameSymmetry, bilateral
from ._placement import random_placement
from ._scene import Poses, Scene

_AXES = (0.72, 0.95, 0.75)
_PLACES = {
    "brow": (0.36, -0.42),
    "eye": (0.36, -0.18),
    "mouth corner": (0.26, 0.5),
    "ear": (0.97, -0.05),
}


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class EllipsoidFace(Scene):
    """A rigid head in space, seen from far away: the partner of what is seen may have turned out of sight.

    A place is a unit vector n, x to the right, y downwards, z towards the viewer; the head is the image of the sphere
    under Turn diag(axes), with Turn = Roll Pitch Yaw, and is projected along z. Axes vary by 8 % each.

    Args:
        yaw: greatest turn about the vertical, in radians.
        pitch: greatest nod, in radians.
        rotation: greatest turn in the image plane (roll), in radians.
        translation: greatest shift, the image being 2 wide.
        **strengths: see :class:`Scene`.
    """

    yaw: float = math.pi / 6
    pitch: float = 0.2
    rotation: float = 0.15
    translation: float = 0.1

    @property
    def symmetry(self) -> FrameSymmetry:
        """Left and right."""
        return bilateral(3)

    def _pose(self, count: int, generator: torch.Generator | None) -> Poses:
        wobble = torch.rand(count, 4, generator=generator, dtype=torch.float64) * 2 - 1
        return random_placement(
            count,
            rotation=self.rotation,
            yaw=self.yaw,
            scale=(0.7, 0.9),
            translation=self.translation,
            generator=generator,
        ) | {
            "pitch": self.pitch * wobble[:, 0],
            "axes": torch.tensor(_AXES, dtype=torch.float64) * (1 + 0.08 * wobble[:, 1:]),
        }

    def _look(self, points: Tensor, poses: Poses) -> tuple[Tensor, Tensor]:
        turn, axes = _turn(poses), poses["axes"]
        flat = (points - poses["translation"][:, None]) / poses["scale"][:, None, None]
        back = turn.mT / axes[:, :, None]  # the place is back (x, y, z), of length 1 at the depth z seen
        start, along = flat @ back[:, :, :2].mT, back[:, None, :, 2]
        cross, square = (start * along).sum(-1), along.square().sum(-1)
        inside = cross.square() - square * (start.square().sum(-1) - 1)
        depth = (inside.clamp(min=0).sqrt() - cross) / square
        place = start + depth[..., None] * along
        normal = (place / axes[:, None]) @ turn.mT
        normal = normal / normal.square().sum(-1, keepdim=True).sqrt()
        return torch.where((inside >= 0)[..., None], place, torch.nan), normal

    def _point(self, places: Tensor, poses: Poses) -> Tensor:
        there = (places * poses["axes"][:, None]) @ _turn(poses).mT
        return poses["scale"][:, None, None] * there[..., :2] + poses["translation"][:, None]

    def _paint(self, places: Tensor) -> Tensor:
        x, y, z = places[..., 0].abs(), places[..., 1], places[..., 2]

        def mix(colour: Tensor, share: Tensor, *over: float) -> Tensor:
            return colour + (places.new_tensor(over) - colour) * share[..., None]

        def disc(a: float, b: float, wide: float, high: float) -> Tensor:
            return torch.sigmoid(6 * (1 - ((x - a) / wide).square() - ((y - b) / high).square()))

        front = torch.sigmoid(30 * z)
        skin = places.new_tensor([0.85, 0.65, 0.52]).expand(places.shape)
        skin = mix(skin, 0.5 * front * disc(0.5, 0.2, 0.22, 0.2), 0.9, 0.4, 0.4)
        skin = mix(skin, front * disc(0.36, -0.18, 0.19, 0.11), 0.95, 0.95, 0.95)
        skin = mix(skin, front * disc(0.36, -0.18, 0.08, 0.1), 0.1, 0.15, 0.3)
        skin = mix(skin, front * disc(0.36, -0.42, 0.2, 0.05), 0.25, 0.15, 0.1)
        skin = mix(skin, 0.4 * front * disc(0.0, 0.05, 0.07, 0.25), 1.0, 0.9, 0.8)
        skin = mix(skin, front * disc(0.09, 0.28, 0.06, 0.05), 0.4, 0.2, 0.2)
        skin = mix(skin, front * disc(0.0, 0.5, 0.28, 0.09), 0.75, 0.15, 0.2)
        skin = mix(skin, front * disc(0.0, 0.5, 0.22, 0.025), 0.25, 0.02, 0.05)
        hair = torch.sigmoid(40 * torch.maximum(-y - 0.62 + 0.15 * x, -z - 0.05 - 0.5 * y))
        return mix(skin, hair, 0.3, 0.2, 0.12)

    def _invariants(self, places: Tensor) -> Tensor:
        return torch.stack([places[..., 0].square(), places[..., 1], places[..., 2]], -1)

    def _landmarks(self) -> dict[str, tuple[float, ...]]:
        drawn = {"nose": (0.0, 0.15), "mouth": (0.0, 0.5), "chin": (0.0, 0.85), "forehead": (0.0, -0.5)}
        for side, sign in (("left", -1), ("right", 1)):
            drawn |= {f"{side} {name}": (sign * a, b) for name, (a, b) in _PLACES.items()}
        return {name: (a, b, math.sqrt(1 - a * a - b * b)) for name, (a, b) in drawn.items()}


def _turn(poses: Poses) -> Tensor:
    """Roll Pitch Yaw, ``[N, 3, 3]``."""
    yaw = _plane_turn(poses["yaw"], 2, 0)
    return _plane_turn(poses["rotation"], 0, 1) @ _plane_turn(poses["pitch"], 1, 2) @ yaw


def _plane_turn(angle: Tensor, first: int, second: int) -> Tensor:
    """Turns by ``angle`` from one coordinate towards another."""
    found = torch.eye(3, dtype=angle.dtype).repeat(len(angle), 1, 1)
    found[:, first, first] = found[:, second, second] = angle.cos()
    found[:, second, first], found[:, first, second] = angle.sin(), -angle.sin()
    return found
