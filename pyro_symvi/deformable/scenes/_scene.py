"""What all scenes share: poses, images, and what is true of them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from ..._value import Value, positive_int
from .._points import grid_points
from ..symmetry import FrameSymmetry
from ._rendered import Rendered
from ._waves import random_waves, uniform, wave_values

Poses = dict[str, Tensor]
_SAME = 1e-6  # two places of the object are one
_CHUNK = 16  # images drawn at a time
_MOST = {"rotation": math.pi, "yaw": 1.4, "pitch": 1.4, "translation": 1.0, "bend": 2.0, "swing": 1.0, "behind": 1.0}


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Scene(Value, ABC):
    """A category of symmetric objects with independently moving parts, and its images.

    A *place* of the object is a unit vector, its value of the true frame. A pose says, for each image, where every
    place lies (:meth:`_point`), and the other way about which place is seen at a point of the image (:meth:`_look`):
    both in closed form, so that all correspondences are exact. Images are drawn pixel by pixel from the second map,
    colours averaged over ``supersampling ** 2`` points of each pixel, frames taken at its centre. A place is visible
    where the two maps invert one another: what is in front of it is then seen instead of it.

    The colour of a place is the same at its partners (at all of them, or, where the object says so, at some), before
    light falls on it. What varies from image to image: the pose, a smooth random texture, a tint, the direction of the
    light, and the background.

    To implement one, declare a frozen dataclass and write the abstract methods; poses are dictionaries of tensors with
    one row an image.

    Args:
        size: side of the images in pixels.
        texture: strength (standard deviation of a colour in [0, 1]) of the random texture.
        tint: strength of the random change of all colours of an image.
        light: strength of the light's direction, 0 for none.
        background: strength of the background's texture, 0 for one random colour.
        supersampling: points a side of each pixel.

    Raises:
        TypeError: for sizes that are no ints.
        ValueError: for sizes below 8, strengths outside [0, 1], and ranges of poses out of bounds.
    """

    size: int = 48
    texture: float = 0.08
    tint: float = 0.08
    light: float = 0.35
    background: float = 0.12
    supersampling: int = 2

    def __post_init__(self) -> None:
        positive_int(self.size, "size", 8)
        positive_int(self.supersampling, "supersampling")
        for name in ("texture", "tint", "light", "background"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"expected {name} between 0 and 1, got {value}, because colours are in [0, 1]")
        for name, most in _MOST.items():
            value = getattr(self, name, 0.0)
            if not 0 <= value <= most:
                raise ValueError(
                    f"expected {name} between 0 and {most:.3g}, got {value}, because poses are drawn from within "
                    f"+-{name} and places are told apart no further than that"
                )

    # -- what a scene is -------------------------------------------------------------------------------------------
    @property
    @abstractmethod
    def symmetry(self) -> FrameSymmetry:
        """The symmetry of the category; R_g acts on places."""

    @abstractmethod
    def _pose(self, count: int, generator: torch.Generator | None) -> Poses:
        """Random poses."""

    @abstractmethod
    def _look(self, points: Tensor, poses: Poses) -> tuple[Tensor, Tensor]:
        """Places ``[N, P, D]`` seen at points ``[N, P, 2]`` (nan on the background), normals ``[N, P, 3]`` there."""

    @abstractmethod
    def _point(self, places: Tensor, poses: Poses) -> Tensor:
        """Where places ``[N, P, D]`` lie, hidden or not, ``[N, P, 2]``."""

    @abstractmethod
    def _paint(self, places: Tensor) -> Tensor:
        """Colours ``[N, P, 3]`` that all objects of the category have."""

    @abstractmethod
    def _invariants(self, places: Tensor) -> Tensor:
        """Functions of places that are equal at places of equal appearance, ``[N, P, d]``, d fixed."""

    @abstractmethod
    def _landmarks(self) -> dict[str, tuple[float, ...]]:
        """Names and places of landmarks: the symmetry takes the set to itself."""

    # -- what all scenes do ----------------------------------------------------------------------------------------
    def poses(self, count: int, *, generator: torch.Generator | None = None) -> Poses:
        """Random poses and appearances of ``count`` images, float64: what :meth:`draw` draws."""
        positive_int(count, "count")
        found = dict(self._pose(count, generator))
        probe = self._invariants(torch.ones(1, 1, self.symmetry.dim, dtype=torch.float64)).shape[-1]
        for name, dim, frequency in (("texture", probe, 3.0), ("background", 2, 3.0)):
            waves = random_waves(count, dim, frequency, generator=generator)
            found |= {f"{name} {key}": value for key, value in waves.items()}
        found["tint"] = self.tint * torch.randn(count, 1, 3, generator=generator, dtype=torch.float64)
        found["backdrop"] = uniform(0.2, 0.8, count, 1, 3, generator=generator)
        found["light"] = torch.randn(count, 2, generator=generator, dtype=torch.float64)
        return found

    def render(
        self, count: int, *, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float32
    ) -> Rendered:
        """Random images and what is true of them."""
        return self.draw(self.poses(count, generator=generator), dtype=dtype)

    def draw(self, poses: Poses, *, dtype: torch.dtype = torch.float32) -> Rendered:
        """Images of given poses and what is true of them."""
        parts = [self._truth(chunk) for chunk in _chunks(poses)]
        frame, partners = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts], 1)
        landmarks = torch.tensor(list(self._landmarks().values()), dtype=torch.float64)
        visible = ~torch.isnan(frame[:, 0])
        return Rendered(
            images=self.images(poses, dtype=dtype),
            frame=frame.to(dtype),
            partners=partners.to(dtype),
            symmetry=self.symmetry,
            width=torch.maximum(_extent(visible.any(-2)), _extent(visible.any(-1))).to(dtype),
            landmarks=self.points(landmarks.expand(len(frame), -1, -1), poses).to(dtype),
            landmark_names=tuple(self._landmarks()),
            landmark_order=self._order(landmarks),
        )

    def images(self, poses: Poses, *, dtype: torch.dtype = torch.float32) -> Tensor:
        """The images of given poses alone, ``[N, 3, size, size]``."""
        return torch.cat([self._image(chunk, dtype) for chunk in _chunks(poses)])

    def places(self, points: Tensor, poses: Poses) -> Tensor:
        """Places seen at points ``[N, P, 2]``, ``[N, P, D]``; nan on the background."""
        return self._look(points, poses)[0]

    def points(self, places: Tensor, poses: Poses) -> Tensor:
        """Where places ``[N, P, D]`` are seen, ``[N, P, 2]``; nan where they are hidden or outside the image.

        With the poses of other images these are correspondences between images. Exact in float64; places that are nan
        give nan.
        """
        found = self._point(places, poses)
        seen = self._look(found, poses)[0]
        same = ((seen - places).abs() < _SAME).all(-1) & (found.abs() <= 1).all(-1)
        return torch.where(same[..., None], found, torch.nan)

    def colours(self, places: Tensor, poses: Poses) -> Tensor:
        """Colours of places before light, ``[N, P, 3]``."""
        texture = wave_values(*_wave(poses, "texture"), self._invariants(places))
        return self._paint(places) + poses["tint"] + self.texture * texture

    def _image(self, poses: Poses, dtype: torch.dtype) -> Tensor:
        fine = self.size * self.supersampling
        poses = {name: value.to(dtype) for name, value in poses.items()}
        points = grid_points(fine, fine, like=poses["light"]).expand(len(poses["light"]), -1, -1)
        places, normals = self._look(points, poses)
        shade = 1 + self.light * (torch.einsum("npc,nc->np", normals[..., :2], poses["light"]) + normals[..., 2] - 1)
        behind = poses["backdrop"] + self.background * wave_values(*_wave(poses, "background"), points)
        empty = torch.isnan(places[..., :1])
        colours = torch.where(empty, behind, self.colours(torch.nan_to_num(places), poses) * shade[..., None])
        square = colours.clamp(0, 1).reshape(-1, self.size, self.supersampling, self.size, self.supersampling, 3)
        return square.mean((2, 4)).movedim(-1, 1)

    def _truth(self, poses: Poses) -> tuple[Tensor, Tensor]:
        """Frames ``[n, D, H, W]`` and partners ``[order, n, HW, 2]``."""
        points = grid_points(self.size, self.size, like=poses["light"]).expand(len(poses["light"]), -1, -1)
        places = self._look(points, poses)[0]
        seen = ~torch.isnan(places[..., 0])
        first = seen.int().argsort(-1, descending=True)[
            :, : int(seen.sum(-1).max()), None
        ]  # pixels of the object first
        few = places.gather(1, first.expand(-1, -1, places.shape[-1]))
        nowhere = torch.full_like(points, torch.nan)
        partners = [torch.where(seen[..., None], points, torch.nan)]
        for matrix in self.symmetry.frame_matrices()[1:]:
            found = self.points(few @ matrix.mT, poses)
            partners.append(nowhere.scatter(1, first.expand(-1, -1, 2), found))
        return places.mT.reshape(len(points), -1, self.size, self.size), torch.stack(partners)

    def _order(self, landmarks: Tensor) -> Tensor:
        moved = landmarks @ self.symmetry.frame_matrices().mT  # [order, K, D]
        return torch.cdist(moved, landmarks.expand(len(moved), -1, -1)).argmin(-1)


def _chunks(poses: Poses) -> list[Poses]:
    count = len(poses["light"])
    return [{name: value[at : at + _CHUNK] for name, value in poses.items()} for at in range(0, count, _CHUNK)]


def _wave(poses: Poses, name: str) -> tuple[Tensor, Tensor, Tensor]:
    return poses[f"{name} frequency"], poses[f"{name} phase"], poses[f"{name} amplitude"]


def _extent(hit: Tensor) -> Tensor:
    """Numbers of cells from the first to the last true one of each row ``[N, side]``; 0 where there is none."""
    place = torch.arange(1, hit.shape[-1] + 1)
    last = torch.where(hit, place, 0).amax(-1)
    first = torch.where(hit, place, hit.shape[-1] + 1).amin(-1)
    return (last - first + 1).clamp(min=0)
