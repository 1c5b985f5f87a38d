"""What can be said of partners on faces without knowing where they are, and what each number would be without faces.

A map v takes a place u of an image to its partner. Distances are in per cent of the side of the image, means over
places u with coordinates within +-0.7, one number for each image. M is the mirror image of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pyro_symvi.deformable import RandomWarps, match, warped_images, warped_points
from pyro_symvi.deformable._points import grid_points, values_at

FramesOf = Callable[[Tensor], Tensor]
REACH = 0.7
"""Places beyond are hair, background and what warps bring in from outside."""
MIRROR = torch.tensor([-1.0, 1.0])


def of_map(
    images: Tensor, frames_of: FramesOf, matrix: Tensor, warps: RandomWarps, draws: int
) -> dict[str, list[float]]:
    """All measures of the map v(u) = argmax_v <A Phi(u), Phi(v)>, each a list over images.

    ``cycle``: v(v(u)) from u. ``flip``: v(u; I) from M v(M u; M I). ``matching``: where u is found in a warped copy of
    the image, from where it is. ``follows``: the partner of s(u) in the warped copy, from s(v(u)); a map that is M,
    whatever is in the picture, has the error ``mirror follows``. ``moved``: u from s(u), what ``matching`` is without
    looking. ``from mirror`` and ``from itself``: v(u) from M u and from u.
    """
    frames = frames_of(images)
    u = places(frames)
    v = match(frames, frames, matrix, u)
    mirrored = frames_of(images.flip(-1))
    found = {
        "cycle": off(match(frames, frames, matrix.mT, v), u),
        "flip": off(match(mirrored, mirrored, matrix, u * MIRROR), v * MIRROR),
        "from mirror": off(v, u * MIRROR),
        "from itself": off(v, u),
        **appearance(images, u, v),
    }
    sums: dict[str, list[Tensor]] = {"matching": [], "moved": [], "follows": [], "mirror follows": []}
    generator = torch.Generator().manual_seed(7)
    for _ in range(draws):
        warp = warps.sample(len(images), generator=generator)
        bent = frames_of(warped_images(images, warp, padding="reflection"))
        there = inside(warped_points(u, warp))
        sums["matching"].append(off(match(frames, bent, None, u), there))
        sums["moved"].append(off(u, there))
        sums["follows"].append(off(match(bent, bent, matrix, there), inside(warped_points(v, warp))))
        sums["mirror follows"].append(off(there * MIRROR, inside(warped_points(u * MIRROR, warp))))
    found |= {name: torch.stack(values).nanmean(0) for name, values in sums.items()}
    return {name: values.tolist() for name, values in found.items()}


def appearance(images: Tensor, u: Tensor, v: Tensor) -> dict[str, Tensor]:
    """How alike an image is at partners: correlation over places of I(u) and I(v), ``[N]`` each.

    ``alike``: under the map of the image itself. ``alike, swapped``: under the maps of the other images, their mean:
    these are as smooth and as far from the identity, but of another face. ``alike, mirror``: under M.
    """
    count = len(images)
    here = values_at(images, u)[:, 0]
    table = torch.stack([correlation(here, values_at(images, v[k].expand(count, -1, 2))[:, 0]) for k in range(count)])
    own = table.diagonal()
    return {
        "alike": own,
        "alike, swapped": (table.sum(0) - own) / (count - 1),
        "alike, mirror": correlation(here, values_at(images, u * MIRROR)[:, 0]),
    }


def place_frames(images: Tensor) -> Tensor:
    """The frame that knows the place in the picture alone, on a grid of half the size; its partners are M."""
    height, width = images.shape[-2] // 2, images.shape[-1] // 2
    x, y = grid_points(height, width).unbind(-1)
    vectors = torch.stack([x.sin() * y.cos(), y.sin(), x.cos() * y.cos()])
    return vectors.view(1, 3, height, width).repeat(len(images), 1, 1, 1)


def places(frames: Tensor) -> Tensor:
    """The centres of cells that count, ``[N, P, 2]``."""
    points = grid_points(*frames.shape[-2:], like=frames)
    return points[(points.abs() < REACH).all(-1)].expand(len(frames), -1, 2)


def off(found: Tensor, expected: Tensor) -> Tensor:
    """Mean distance of points in per cent of the side, ``[N]``; points that are nan do not count."""
    return 50 * (found - expected).norm(dim=-1).nanmean(-1)


def inside(points: Tensor) -> Tensor:
    """Points; nan for those outside the image."""
    return torch.where((points.abs() <= 1).all(-1, keepdim=True), points, math.nan)


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """Over the last axis."""
    return torch.nn.functional.cosine_similarity(
        first - first.mean(-1, keepdim=True), second - second.mean(-1, keepdim=True), dim=-1
    )
