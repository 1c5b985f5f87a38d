"""Flat drawings on the sphere: the inverse of the stereographic projection."""

from __future__ import annotations

import torch
from torch import Tensor


def on_sphere(drawing: Tensor) -> Tensor:
    """Points ``[..., 2]`` of the plane to unit vectors ``(2 a, 2 b, 1 - r^2) / (1 + r^2)``, ``[..., 3]``.

    One to one onto the sphere without (0, 0, -1); rotations and reflections of the plane about the origin become those
    of the first two coordinates.
    """
    square = drawing.square().sum(-1, keepdim=True)
    return torch.cat([2 * drawing, 1 - square], -1) / (1 + square)


def on_plane(vectors: Tensor) -> Tensor:
    """The inverse of :func:`on_sphere`: unit vectors ``[..., 3]`` to the plane, ``(x, y) / (1 + z)``."""
    return vectors[..., :2] / (1 + vectors[..., 2:])
