"""What a fold is asked once its two networks are trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from deformable_faces_parts import landmarks, learning, measures
from torch import Tensor, nn

from pyro_symvi.deformable import (
    RandomWarps,
    SmallNet,
    bilateral,
    consistency_residual,
    frame_pair,
    lfw_faces,
    match,
    procrustes_symmetry,
)

MAPS = ("symmetric", "plain", "plain + Procrustes", "untrained + Procrustes", "place")
SHOWN = 6
"""Test faces of the first fold that are drawn."""
DRAWS = 4


def cell(fold: int, steps: int, size: int, folder: str, annotated: str | None) -> dict[str, Any]:
    """Measures of each map on the 20 test faces, and on annotated ones where there are any."""
    train, test = learning.split(fold, size)
    networks: dict[str, Any] = {
        "symmetric": learning.trained(fold, 0.5, steps, size, folder).network,
        "plain": learning.trained(fold, 0.0, steps, size, folder).network,
        "untrained": SmallNet(1, 3, width=0.5, generator=torch.Generator().manual_seed(fold)).eval(),
        "place": measures.place_frames,
    }
    with torch.no_grad():
        return asked(networks, train, test, None if annotated is None else landmarks.faces(Path(annotated), size), fold)


def asked(
    networks: dict[str, Any], train: Tensor, test: Tensor, marked: tuple[Tensor, Tensor] | None, fold: int
) -> dict[str, Any]:
    """All answers, by map."""
    found: dict[str, Any] = {"maps": {}, "residual": {}, "landmarks": {}}
    for name in MAPS:
        network = networks[name.split(" ")[0]]
        matrix = fitted(network, train) if "Procrustes" in name else bilateral().frame_matrices()[1].float()
        found["maps"][name] = measures.of_map(test, network, matrix, learning.WARPS, DRAWS)
        first, second = frame_pair(network, test, bilateral())
        found["residual"][name] = consistency_residual(first, second, bilateral(), matrix=matrix.double()).relative
        if marked is not None:
            found["landmarks"][name] = landmark_errors(network, matrix, *marked)
    found["others"] = flips(networks["symmetric"], fold, test.shape[-1])
    if fold == 0:
        found["pictures"] = pictures(networks["symmetric"], networks["plain"], train, test[:SHOWN])
    return found


def fitted(network: nn.Module, images: Tensor) -> Tensor:
    """The reflection that fits the frames of the training faces and their mirror images best."""
    return procrustes_symmetry(*frame_pair(network, images, bilateral()), bilateral()).float()


def landmark_errors(network: Any, matrix: Tensor, images: Tensor, points: Tensor) -> list[float]:
    """Of a landmark's partner from the landmark on the other side, in per cent of the side, a number a face."""
    points, partners = points[:, landmarks.INNER], points[:, landmarks.order()][:, landmarks.INNER]
    frames = network(images)
    return measures.off(match(frames, frames, matrix, measures.inside(points)), measures.inside(partners)).tolist()


def flips(network: Any, fold: int, size: int) -> dict[str, list[float]]:
    """Measures of the symmetric map on 20 images that are no faces."""
    others = lfw_faces(size, others=True)[20 * fold : 20 * fold + 20]
    none = RandomWarps(translation=0.0, scale=0.0, angle=0.0, elastic=0.0)
    found = measures.of_map(others, network, bilateral().frame_matrices()[1].float(), none, 1)
    return {name: found[name] for name in ("cycle", "flip")}


def pictures(symmetric: Any, plain: Any, train: Tensor, test: Tensor) -> dict[str, Any]:
    """What is drawn: images, frames of both networks, the fitted reflection."""
    return {
        "images": rounded(test),
        "symmetric": rounded(symmetric(test)),
        "plain": rounded(plain(test)),
        "reflection": fitted(plain, train).tolist(),
    }


def rounded(values: Tensor) -> Any:
    return (values.double() * 1e4).round().div(1e4).tolist()
