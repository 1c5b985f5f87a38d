"""A bilateral figure: a trunk with a head, and two arms that move on their own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..symmetry import FrameSymmetry, bilateral
from ._placement import placed, random_placement, unplaced
from ._scene import Poses, Scene
from ._sphere import on_plane, on_sphere
from ._strips import Strip, round_normal, turned
from ._waves import uniform

_HIP = 0.7  # the drawing has the hip at (0, 0.7), y downwards
_SHOULDER, _OUT = 0.8, 0.26  # of the trunk: length along it, distance from its axis
_ARM = (0.26, 0.2, 0.36)  # upper arm, elbow, forearm with hand
_APART, _SPLIT = 0.43, 0.32  # in the drawing: where arms begin, and what parts them from the trunk


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class TwoArmFigure(Scene):
    """A figure seen from the front, its trunk bending, its arms bending at shoulder and elbow, each on its own.

    The symmetry exchanges left and right, in the object and in the image. Images are hardly ever symmetric: arms move
    independently, may cross the trunk or each other, and may pass behind the trunk. The frame is a flat drawing of
    the figure with its arms held out and set apart from the trunk, wrapped on the sphere: (a, b) with a to the right
    and b downwards, first coordinate 0 on the midline.

    Args:
        rotation: greatest turn of the whole in the image, in radians.
        yaw: greatest turn about the vertical, in radians; the flat figure gets narrower.
        translation: greatest shift of the whole, the image being 2 wide.
        behind: probability that an arm passes behind the trunk.
        **strengths: see :class:`Scene`.
    """

    rotation: float = 0.2
    yaw: float = 0.4
    translation: float = 0.1
    behind: float = 0.2

    @property
    def symmetry(self) -> FrameSymmetry:
        """Left and right."""
        return bilateral(3)

    def _pose(self, count: int, generator: torch.Generator | None) -> Poses:
        in_front = uniform(1.0, 2.0, count, 2, generator=generator)
        hidden = uniform(0.0, 1.0, count, 2, generator=generator) < self.behind
        return random_placement(
            count,
            rotation=self.rotation,
            yaw=self.yaw,
            scale=(0.8, 0.95),
            translation=self.translation,
            generator=generator,
        ) | {
            "bend": uniform(-0.3, 0.3, count, generator=generator),
            "shoulder": uniform(-1.1, 1.3, count, 2, generator=generator),
            "elbow": uniform(-1.7, 1.7, count, 2, generator=generator),
            "depth": torch.where(hidden, -in_front, in_front),
        }

    def _look(self, points: Tensor, poses: Poses) -> tuple[Tensor, Tensor]:
        local = unplaced(points, poses)
        s, t, hit, angle = _trunk(poses).locate(local)
        drawing = torch.stack([t, _HIP - s], -1)
        normal = round_normal(t, _trunk_width(s), angle)
        depth = torch.where(hit, 0.0, -torch.inf).to(points.dtype)
        for side in (0, 1):
            sign = _SIGNS[side]
            s, t, hit, angle = _arm(poses, side).locate(_beside(local, poses, sign))
            nearer = hit & (poses["depth"][:, side : side + 1] > depth)
            here = torch.stack([sign * (_APART + s), _HIP - _SHOULDER + t], -1)
            bulge = round_normal(t, _arm_width(s), angle)
            bulge = torch.cat(
                [turned(bulge[..., :2] * bulge.new_tensor([sign, 1.0]), poses["bend"] * _SHOULDER), bulge[..., 2:]], -1
            )
            drawing = torch.where(nearer[..., None], here, drawing)
            normal = torch.where(nearer[..., None], bulge, normal)
            depth = torch.where(nearer, poses["depth"][:, side : side + 1], depth)
        normal = torch.cat([turned(normal[..., :2], poses["rotation"]), normal[..., 2:]], -1)
        return torch.where(torch.isinf(depth)[..., None], torch.nan, on_sphere(drawing)), normal

    def _point(self, places: Tensor, poses: Poses) -> Tensor:
        a, b = on_plane(places).unbind(-1)
        local = _trunk(poses).point(_HIP - b, a)
        for side in (0, 1):
            sign = _SIGNS[side]
            arm = _arm(poses, side).point(sign * a - _APART, b - _HIP + _SHOULDER)
            local = torch.where((sign * a > _SPLIT)[..., None], _from_beside(arm, poses, sign), local)
        return placed(local, poses)

    def _paint(self, places: Tensor) -> Tensor:
        a, b = on_plane(places).unbind(-1)
        a = a.abs()
        skin, hair = _colour(places, 0.85, 0.65, 0.5), _colour(places, 0.3, 0.2, 0.12)
        shirt = _colour(places, 0.25, 0.4, 0.75) + (0.25 * torch.cos(7 * b))[..., None] * _colour(
            places, 0.6, 0.1, -0.6
        )
        sleeve = _colour(places, 0.7, 0.25, 0.25) + (0.25 * torch.cos(11 * a))[..., None] * _colour(
            places, 0.1, 0.9, 0.3
        )
        colour = torch.where((b > 0.45)[..., None], _colour(places, 0.25, 0.25, 0.2), shirt)
        colour = torch.where((b < -0.28)[..., None], skin, colour)
        colour = torch.where((b < -0.62)[..., None], hair, colour)
        eye = (a - 0.08).square() + (b + 0.54).square() < 0.04**2
        mouth = (a < 0.07) & ((b + 0.41).abs() < 0.025)
        colour = torch.where(eye[..., None], _colour(places, 0.05, 0.05, 0.15), colour)
        colour = torch.where(mouth[..., None], _colour(places, 0.7, 0.1, 0.1), colour)
        arm = torch.where((a > 1.04)[..., None], skin, sleeve)
        return torch.where((a > _SPLIT)[..., None], arm, colour)

    def _invariants(self, places: Tensor) -> Tensor:
        a, b = on_plane(places).unbind(-1)
        return torch.stack([a.abs(), b], -1)

    def _landmarks(self) -> dict[str, tuple[float, ...]]:
        middle = _HIP - _SHOULDER
        drawn = {"head": (0.0, -0.65), "mouth": (0.0, -0.41), "chest": (0.0, 0.0), "hip": (0.0, 0.6)}
        for side, sign in (("left", -1), ("right", 1)):
            drawn |= {f"{side} eye": (sign * 0.08, -0.54), f"{side} waist": (sign * 0.22, 0.4)}
            for name, along in (("shoulder", 0.0), ("elbow", 0.36), ("hand", 0.72)):
                drawn[f"{side} {name}"] = (sign * (_APART + along), middle)
        places = on_sphere(torch.tensor(list(drawn.values()), dtype=torch.float64)).tolist()
        return {name: tuple(place) for name, place in zip(drawn, places, strict=True)}


_SIGNS = (-1.0, 1.0)  # left and right of the image


def _colour(like: Tensor, *values: float) -> Tensor:
    return like.new_tensor(values)


def _trunk(poses: Poses) -> Strip:
    """From the hip upwards, in coordinates of the drawing shifted to the hip."""
    up = torch.full_like(poses["bend"], -math.pi / 2)
    return _Shifted(up, (1.4,), (poses["bend"],), _trunk_width)


class _Shifted(Strip):
    """A strip that starts at the hip."""

    def locate(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return super().locate(points - points.new_tensor([0.0, _HIP]))

    def point(self, s: Tensor, t: Tensor) -> Tensor:
        return super().point(s, t) + s.new_tensor([0.0, _HIP])


def _arm(poses: Poses, side: int) -> Strip:
    """From the shoulder outwards, straight out where the shoulder's angle is 0, down where it is positive."""
    still = torch.zeros_like(poses["bend"])
    return Strip(poses["shoulder"][:, side], _ARM, (still, poses["elbow"][:, side] / _ARM[1], still), _arm_width)


def _shoulder(poses: Poses) -> Tensor:
    """The point of the trunk's axis between the shoulders, ``[N, 1, 2]``."""
    s = torch.full_like(poses["bend"], _SHOULDER)[:, None]
    return _trunk(poses).point(s, torch.zeros_like(s))


def _beside(local: Tensor, poses: Poses, sign: float) -> Tensor:
    """Coordinates about a shoulder, outwards and downwards along the trunk."""
    upright = turned(local - _shoulder(poses), -poses["bend"] * _SHOULDER)
    return upright * upright.new_tensor([sign, 1.0]) - upright.new_tensor([_OUT, 0.0])


def _from_beside(points: Tensor, poses: Poses, sign: float) -> Tensor:
    upright = (points + points.new_tensor([_OUT, 0.0])) * points.new_tensor([sign, 1.0])
    return turned(upright, poses["bend"] * _SHOULDER) + _shoulder(poses)


def _trunk_width(s: Tensor) -> Tensor:
    """Half widths of the trunk, the neck and the head (a disc of radius 0.23)."""
    body = 0.3 * (1 - ((s - 0.46) / 0.5).square().square().square()).clamp(min=0).sqrt().sqrt() - torch.where(
        (s - 0.46).abs() < 0.5, 0.0, 1.0
    )
    neck = torch.where((s > 0.9) & (s < 1.1), 0.09, -1.0).to(s.dtype)
    head = (0.23**2 - (s - 1.2).square()).clamp(min=0).sqrt() - torch.where((s - 1.2).abs() < 0.23, 0.0, 1.0)
    return torch.maximum(torch.maximum(body, neck), head)


def _arm_width(s: Tensor) -> Tensor:
    """Half widths of an arm with round ends: a rod and a hand (a disc of radius 0.115)."""
    start = (0.1**2 - s.clamp(max=0).square()).clamp(min=0).sqrt() - torch.where(s > -0.1, 0.0, 1.0)
    rod = torch.where(s < 0.72, torch.minimum(start, 0.1 - 0.02 * s), -1.0)
    hand = (0.115**2 - (s - 0.72).square()).clamp(min=0).sqrt() - torch.where((s - 0.72).abs() < 0.115, 0.0, 1.0)
    return torch.maximum(rod, hand)
