"""A flower seen from above: equal petals that bend on their own."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass

import torch
from torch import Tensor

from ..._value import positive_int
from ..symmetry import FrameSymmetry, rotational
from ._placement import placed, random_placement, unplaced
from ._scene import Poses, Scene
from ._sphere import on_plane, on_sphere
from ._strips import Strip, round_normal, turned
from ._waves import uniform

_DISC = 0.2  # radius of the centre
_BASE, _LENGTH = 0.15, 0.7  # where petals begin, and how long they are
_APART = 0.22  # radius in the drawing at which petals begin


@dataclass(frozen=True, eq=False, repr=False)
class Flower(Scene):
    """A flower with n petals about a disc, each bent, swung and stretched on its own, the whole turned by any angle.

    The frame is a flat drawing of the flower with straight petals, the first to the right and the others clockwise,
    wrapped on the sphere; the k-th element of the symmetry takes each petal to the k-th after it. The symmetry has no
    action on images. Its elements that are multiples of ``pattern`` leave the appearance as it is, and so a pose (turn
    of the whole, shapes of the petals) and the pose turned on by ``pattern`` petals with the shapes moved back give
    the same image: of the frame no more than its orbit under these petals / pattern elements, the stabiliser of the
    appearance, can be told from images.

    Args:
        petals: how many, 2 to 12.
        pattern: petals this many apart look alike; a divisor of ``petals``. 1: all look alike; ``petals``: no two.
        bend: greatest angle a petal bends by, in radians.
        swing: greatest angle a petal swings by about its root, in radians.
        rotation: greatest turn of the whole, in radians; pi for any.
        yaw: greatest turn about the vertical, in radians; the flat flower gets narrower.
        translation: greatest shift of the whole, the image being 2 wide.
        **strengths: see :class:`Scene`.

    Raises:
        ValueError: unless there are 2 to 12 petals and the pattern divides their number.
    """

    petals: int = 5
    _: KW_ONLY
    pattern: int = 1
    bend: float = 0.8
    swing: float = 0.15
    rotation: float = math.pi
    yaw: float = 0.3
    translation: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        positive_int(self.petals, "petals", 2)
        positive_int(self.pattern, "pattern")
        if self.petals > 12 or self.petals % self.pattern:
            raise ValueError(
                f"expected 2 to 12 petals and a pattern that divides their number, got {self.petals} petals and "
                f"pattern {self.pattern}, because the appearance repeats after that many petals"
            )

    @property
    def symmetry(self) -> FrameSymmetry:
        """Turns by whole petals."""
        return rotational(self.petals, 3)

    def _pose(self, count: int, generator: torch.Generator | None) -> Poses:
        def each(low: float, high: float) -> Tensor:
            return uniform(low, high, count, self.petals, generator=generator)

        return random_placement(
            count,
            rotation=0.0,
            yaw=self.yaw,
            scale=(0.8, 1.0),
            translation=self.translation,
            generator=generator,
        ) | {
            "turn": uniform(-self.rotation, self.rotation, count, generator=generator),
            "bend": each(-self.bend, self.bend),
            "swing": each(-self.swing, self.swing),
            "stretch": each(0.85, 1.1),
            "depth": each(0.0, 1.0),
        }

    def _look(self, points: Tensor, poses: Poses) -> tuple[Tensor, Tensor]:
        local = turned(unplaced(points, poses), -poses["turn"])
        radius = local.square().sum(-1).sqrt()
        count, many = radius.shape
        ahead = self._angles(poses)
        alone = turned(local.repeat_interleave(self.petals, 0), -ahead) - local.new_tensor([_BASE, 0.0])
        petal = self._petal(poses)
        s, t, hit, angle = (value.reshape(count, self.petals, many) for value in petal.locate(alone))
        depth = torch.where(hit, poses["depth"][..., None], -torch.inf)
        top, which = depth.max(1, keepdim=True)
        s, t, angle = (value.gather(1, which)[:, 0] for value in (s, t, angle))
        along = s / poses["stretch"].gather(1, which[:, 0])
        sector = 2 * math.pi / self.petals * which[:, 0].to(points.dtype)
        turn, r = sector + t * self._spread, _APART + along
        drawing = torch.stack([r * turn.cos(), r * turn.sin()], -1)
        inner = (radius <= _DISC)[..., None]
        place = on_sphere(torch.where(inner, local, drawing))
        dome = local / _DISC
        dome = torch.cat([0.7 * dome, (1 - 0.49 * dome.square().sum(-1, keepdim=True)).clamp(min=0).sqrt()], -1)
        normal = torch.where(inner, dome, round_normal(0.7 * t, self._half_width(along), angle + sector))
        normal = torch.cat([turned(normal[..., :2], poses["turn"]), normal[..., 2:]], -1)
        return torch.where(inner | ~torch.isinf(top[:, 0])[..., None], place, torch.nan), normal

    def _point(self, places: Tensor, poses: Poses) -> Tensor:
        drawing = on_plane(places)
        radius, angle = drawing.square().sum(-1).sqrt(), torch.atan2(drawing[..., 1], drawing[..., 0])
        which = torch.round(angle * (self.petals / (2 * math.pi))).nan_to_num()
        t = (angle - which * (2 * math.pi / self.petals)) / self._spread
        s, which = radius - _APART, which.long().remainder(self.petals)
        alone = Strip(
            poses["swing"].gather(1, which).reshape(-1),
            (_LENGTH,),
            ((poses["bend"] / (_LENGTH * poses["stretch"])).gather(1, which).reshape(-1),),
            self._half_width,
        ).point((s * poses["stretch"].gather(1, which)).reshape(-1, 1), t.reshape(-1, 1))
        ahead = 2 * math.pi / self.petals * which.to(places.dtype)
        alone = turned(alone + alone.new_tensor([_BASE, 0.0]), ahead.reshape(-1)).reshape(drawing.shape)
        local = torch.where((radius <= (_DISC + _APART) / 2)[..., None], drawing, alone)
        return placed(turned(local, poses["turn"]), poses)

    def _paint(self, places: Tensor) -> Tensor:
        radius, which, off = self._polar(places)
        kind = 2 * math.pi / self.pattern * which
        petal = places.new_tensor([0.8, 0.4, 0.55]) + (radius - 0.5)[..., None] * places.new_tensor([0.3, -0.4, 0.2])
        if self.pattern > 1:
            petal = petal + kind.cos()[..., None] * places.new_tensor([-0.3, 0.1, 0.25])
            petal = petal + kind.sin()[..., None] * places.new_tensor([0.1, 0.3, -0.2])
        vein = torch.exp(-(off * self.petals / 0.5).square())[..., None] * places.new_tensor([0.2, 0.3, 0.1])
        ring = (0.15 * torch.cos(radius * 25))[..., None]
        disc = places.new_tensor([0.9, 0.75, 0.15]) + torch.cos(40 * radius)[..., None] * 0.15
        return torch.where((radius <= (_DISC + _APART) / 2)[..., None], disc, petal - vein + 0.5 * ring)

    def _invariants(self, places: Tensor) -> Tensor:
        radius, which, off = self._polar(places)
        repeat = self.petals // self.pattern
        angle = 2 * math.pi / self.pattern * which.remainder(self.pattern) + repeat * off
        return torch.stack([radius, radius * angle.cos(), radius * angle.sin()], -1)

    def _landmarks(self) -> dict[str, tuple[float, ...]]:
        drawn = {"centre": (0.0, 0.0)}
        for name, along in (("tip", 0.92), ("middle", 0.5)):
            for number in range(self.petals):
                angle, radius = 2 * math.pi * number / self.petals, _APART + along * _LENGTH
                drawn[f"petal {number + 1} {name}"] = (radius * math.cos(angle), radius * math.sin(angle))
        places = on_sphere(torch.tensor(list(drawn.values()), dtype=torch.float64)).tolist()
        return {name: tuple(place) for name, place in zip(drawn, places, strict=True)}

    # -- petals ----------------------------------------------------------------------------------------------------
    @property
    def _widest(self) -> float:
        """Half the greatest width of a petal: neighbours overlap when they bend."""
        return min(0.28, 0.65 * (_BASE + 0.55 * _LENGTH) * math.tan(math.pi / self.petals) if self.petals > 2 else 0.28)

    @property
    def _spread(self) -> float:
        """Angle in the drawing of a unit of width: petals fill four fifths of their sectors there."""
        return 0.8 * math.pi / (self.petals * self._widest)

    def _half_width(self, along: Tensor) -> Tensor:
        x = along / _LENGTH
        leaf = (1 - ((x - 0.58) / 0.42).square()).clamp(min=0).sqrt() - torch.where((x - 0.58).abs() < 0.42, 0.0, 1.0)
        root = torch.where((x >= 0) & (x < 0.5), 0.35, -1.0).to(x.dtype)
        return self._widest * torch.maximum(leaf, root)

    def _angles(self, poses: Poses) -> Tensor:
        ahead = 2 * math.pi / self.petals * torch.arange(self.petals, dtype=poses["turn"].dtype)
        return ahead.repeat(len(poses["turn"]))

    def _petal(self, poses: Poses) -> Strip:
        """All petals from their roots: petal k of image i is row ``i * petals + k``."""
        stretch = poses["stretch"].reshape(-1)
        curvature = poses["bend"].reshape(-1) / (_LENGTH * stretch)
        return Strip(
            poses["swing"].reshape(-1), (_LENGTH,), (curvature,), lambda s: self._half_width(s / stretch[:, None])
        )

    def _polar(self, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Radius in the drawing, number of the nearest petal, angle off its middle."""
        drawing = on_plane(places)
        angle = torch.atan2(drawing[..., 1], drawing[..., 0])
        which = torch.round(angle * (self.petals / (2 * math.pi)))
        off = angle - which * (2 * math.pi / self.petals)
        return drawing.square().sum(-1).sqrt(), which.remainder(self.petals), off
