"""Pictures of orbits for the page on groups: a point, where a group takes it, and what stays in place.

python docs/figures/orbits.py [FOLDER] [NAME ...]
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from pyro_symvi import LogDensity, examples, plots
from pyro_symvi._figures import METHODS, save_figure
from pyro_symvi.groups import (
    Antipodal,
    AxialRotation,
    AxisFlips,
    BlockSigns,
    ConditionalReflection,
    CoordinatePermutation,
    EllipticalRotation,
    FiniteMatrixGroup,
    HiddenLayer,
    HiddenUnitRescaling,
    NaturalAction,
    PointCloudAction,
    PointGroup,
    PointReflection,
    SpecialEuclidean,
    SphereRotation,
    TranslationAction,
)


def row(count: int, *, space: bool = False) -> tuple[Figure, list[Any]]:
    """A figure with panels side by side."""
    figure = Figure(figsize=(3.5 * count, 3.6), layout="none" if space else "constrained")
    kinds = {"projection": "3d"} if space else {}
    if space:
        figure.subplots_adjust(left=0.0, right=0.96, bottom=0.04, top=0.92, wspace=0.06)
    return figure, [figure.add_subplot(1, count, k + 1, **kinds) for k in range(count)]


def plane(*matrices: list[list[float]]) -> NaturalAction:
    """The finite group of the plane that the matrices generate."""
    return NaturalAction(FiniteMatrixGroup.generated_by([torch.tensor(m, dtype=torch.float64) for m in matrices]))


def turn(parts: int) -> list[list[float]]:
    """A rotation by one part of a full turn."""
    c, s = math.cos(2 * math.pi / parts), math.sin(2 * math.pi / parts)
    return [[c, -s], [s, c]]


def reflections() -> Figure:
    """Through a point (Darwin's plants, real data), about a line, and in each coordinate."""
    figure, axes = row(3)
    darwin = examples.get("darwin")
    density = LogDensity.from_model(darwin.model, *darwin.args)
    centre = float(darwin.args[0].mean())
    plots.plot_orbits(
        PointReflection(centre, [0]).bind(2),
        [[33.0, 3.85], [11.0, 3.4]],
        density=density,
        limits=((-15, 57), (2.9, 4.6)),
        labels=["mu (eighths of an inch)", "log sigma"],
        axes=axes[0],
    )
    axes[0].set_title("PointReflection of mu")
    plots.plot_orbits(
        ConditionalReflection([0]).bind(2, 0.0, [[0.8]]),
        [[2.4, 1.2], [-2.2, -1.4]],
        density=lambda z: -0.5 * (z[..., 0] - 0.8 * z[..., 1]) ** 2 * torch.exp(0.5 * z[..., 1]) - 0.4 * z[..., 1] ** 2,
        limits=(-4, 4),
        labels=["x", "y"],
        axes=axes[1],
    )
    axes[1].set_title("ConditionalReflection")
    plots.plot_orbits(
        AxisFlips(center=0.0),
        [[2.2, 0.5], [0.6, 1.7]],
        density=lambda z: -0.3 * z.abs().sum(-1) - 0.4 * (z[..., 0] * z[..., 1]) ** 2,
        limits=(-3.2, 3.2),
        axes=axes[2],
    )
    axes[2].set_title("AxisFlips")
    return figure


def turns() -> Figure:
    """All rotations (stack loss, real data), one third of a turn, and that with a mirror."""
    figure, axes = row(3)
    x, y = examples.get("stackloss").args
    inverse = torch.linalg.inv(x.mT @ x)
    mean = inverse @ x.mT @ y
    shape, centre, df = inverse[1:3, 1:3], mean[1:3], len(y) - x.shape[1] - 1
    scale = float((y - x @ mean).square().sum()) / df * shape

    def student_t(z: Tensor) -> Tensor:  # the marginal of two coefficients under flat priors
        squared = ((z - centre) @ torch.linalg.inv(scale) * (z - centre)).sum(-1)
        return -0.5 * (df + 2) * torch.log1p(squared / df)

    start = centre + torch.tensor([[0.7, 0.7], [-0.9, 1.9]], dtype=torch.float64) @ torch.linalg.cholesky(scale).mT
    plots.plot_orbits(
        EllipticalRotation(centre, scale),
        start,
        density=student_t,
        limits=((0.15, 1.28), (-0.1, 2.7)),
        labels=["air flow coefficient", "temperature coefficient"],
        axes=axes[0],
    )
    axes[0].set_title("EllipticalRotation")

    def threefold(z: Tensor) -> Tensor:
        angle, radius = torch.atan2(z[..., 1], z[..., 0]), z.norm(dim=-1)
        return 0.32 * radius**3 * torch.cos(3 * angle) - 0.25 * radius**4

    def skew(z: Tensor) -> Tensor:
        angle, radius = torch.atan2(z[..., 1], z[..., 0]), z.norm(dim=-1)
        return 0.32 * radius**3 * torch.cos(3 * angle - 1.6 * radius) - 0.25 * radius**4

    for axis, action, density, title in (
        (axes[1], plane(turn(3)), skew, "Cyclic: C3"),
        (axes[2], plane(turn(3), [[1.0, 0.0], [0.0, -1.0]]), threefold, "Dihedral: D3"),
    ):
        plots.plot_orbits(action, [[1.4, 0.6], [0.7, 0.15]], density=density, limits=(-2.4, 2.4), axes=axis)
        axis.set_title(title)
    return figure


def permutations() -> Figure:
    """Labels of two and of three mixture components."""
    figure = Figure(figsize=(8.4, 3.9), layout="constrained")
    left, right = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2, projection="3d")
    data = torch.tensor([-1.9, -1.4, -1.2, -0.9, 0.8, 1.3, 1.5, 1.6, 2.1], dtype=torch.float64)

    def mixture(z: Tensor) -> Tensor:  # two components of equal weight and scale 0.6, locations N(0, 2)
        terms = -0.5 * ((data[:, None] - z[..., None, :]) / 0.6) ** 2
        return terms.logsumexp(-1).sum(-1) - 0.125 * z.square().sum(-1)

    plots.plot_orbits(
        CoordinatePermutation(2),
        [[1.5, -1.2], [0.3, 1.9]],
        density=mixture,
        limits=(-2.8, 2.8),
        labels=["location of component 1", "location of component 2"],
        axes=left,
    )
    left.set_title("two labels")
    plots.plot_orbits(CoordinatePermutation(3), [[1.6, 0.4, -1.1], [1.2, 1.2, -0.6]], axes=right)
    right.view_init(elev=20, azim=-38)
    right.set_title("three labels")
    return figure


def products() -> Figure:
    """What depends on a product alone: signs, rescalings; and what depends on differences alone."""
    figure, axes = row(3)

    def factor(z: Tensor) -> Tensor:  # loading times score, observed as 1.2 +- 0.4; both N(0, 1)
        return -0.5 * ((z.prod(-1) - 1.2) / 0.4) ** 2 - 0.5 * z.square().sum(-1)

    plots.plot_orbits(
        BlockSigns(2, [[0, 1]]),
        [[1.1, 1.4], [0.5, 1.9]],
        density=factor,
        limits=(-3, 3),
        labels=["loading", "score"],
        axes=axes[0],
    )
    axes[0].set_title("BlockSigns: a factor's sign")
    plots.plot_orbits(
        HiddenUnitRescaling(HiddenLayer(2, [[0]], [[1]])),
        [[1.0, 1.2], [1.6, 1.6]],
        density=lambda z: -0.5 * ((z.prod(-1) - 1.2) / 0.4) ** 2,
        limits=(0, 4),
        labels=["weight into the unit", "weight out of it"],
        axes=axes[1],
    )
    axes[1].set_title("HiddenUnitRescaling")
    plots.plot_orbits(
        TranslationAction(2, [[1.0], [1.0]]),
        [[0.2, -0.6], [-1.2, 0.4]],
        density=lambda z: -0.5 * ((z[..., 0] - z[..., 1] - 0.8) / 0.7) ** 2,
        limits=(-2.5, 2.5),
        labels=["logit of class 1", "logit of class 2"],
        axes=axes[2],
    )
    axes[2].set_title("TranslationAction")
    return figure


def sphere() -> Figure:
    """About an axis, through the centre, and all rotations."""
    figure, axes = row(3, space=True)
    pole = torch.tensor([0.35, -0.35, 0.87], dtype=torch.float64)
    points = torch.tensor([[0.1, -0.6, 0.75], [0.9, -0.4, -0.2]], dtype=torch.float64)
    points = points / points.norm(dim=-1, keepdim=True)
    for axis, action, title in (
        (axes[0], AxialRotation(pole), "AxialRotation: a direction"),
        (axes[1], Antipodal(3), "Antipodal: no direction"),
        (axes[2], SphereRotation(3), "SphereRotation: uniform"),
    ):
        plots.plot_orbits(action, points, sphere=True, axes=axis)
        axis.set_title(title)
        axis.view_init(elev=18, azim=-60)
    return figure


def clouds() -> Figure:
    """A cloud of five points, moved rigidly: as it is, turned about its middle, turned and carried away."""
    figure, axes = row(2)
    cloud = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.6, 0.8], [0.4, 0.9], [-0.5, 0.6]], dtype=torch.float64)
    cloud = cloud - cloud.mean(0)
    motions = SpecialEuclidean(2)
    action = PointCloudAction(motions)
    turned = [[angle, 0.0, 0.0] for angle in (0.0, 1.2, 2.6)]
    carried = [[0.0, 0.0, 0.0], [0.9, 2.6, -0.4], [-1.0, -2.2, 1.9], [2.3, -1.0, -3.0]]
    for axis, steps, half, title in (
        (axes[0], turned, 1.5, "rotations alone"),
        (axes[1], carried, 4.0, "rigid motions"),
    ):
        for k, step in enumerate(torch.tensor(steps, dtype=torch.float64)):
            moved = action.act(motions.exp(step), cloud)
            ring = torch.cat([moved, moved[:1]])
            axis.plot(*ring.mT.numpy(), "-", color=METHODS[k], lw=1.4)
            axis.plot(*moved.mT.numpy(), "osD^"[k], color=METHODS[k], ms=6, mec="black" if k == 0 else METHODS[k])
            axis.plot(*moved.mean(0)[:, None].numpy(), "+", color="black", ms=11, mew=1.8)
        axis.set_title(title)
        axis.set_xlim(-half, half)
        axis.set_ylim(-half, half)
        axis.set_aspect("equal")
        axis.set_xlabel("$x_1$")
        axis.set_ylabel("$x_2$")
    return figure


def point_groups() -> Figure:
    """Ammonia, methane, and a mirror."""
    figure, axes = row(3, space=True)
    for axis, symbol, points, title in (
        (axes[0], "Cs", [[0.8, 0.3, 0.6], [-0.4, 0.5, 0.9]], "Cs: a mirror"),
        (axes[1], "C3v", [[0.9, 0.0, -0.4], [0.7, 0.25, 0.8]], "C3v: ammonia"),
        (axes[2], "Td", [[0.6, 0.6, 0.6]], "Td: methane"),
    ):
        plots.plot_orbits(NaturalAction(PointGroup(symbol)), points, axes=axis, limits=(-1.1, 1.1))
        axis.set_title(title)
        axis.view_init(elev=18, azim=-60)
    return figure


FIGURES: dict[str, Callable[[], Figure]] = {
    function.__name__: function
    for function in (reflections, turns, permutations, products, sphere, clouds, point_groups)
}


def main(folder: Path, names: list[str]) -> None:
    """Write the figures named, all by default."""
    with plots.style():
        for name in names or FIGURES:
            print(save_figure(FIGURES[name](), folder / f"orbits_{name}.svg"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent, sys.argv[2:])
