"""Pictures of both parts: curves, and samples next to references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from pyro_symvi.groups import PointCloudAction, SpecialEuclidean

COLOURS = {"plain": "#d55e00", "quotient": "#0072b2", "etkdg": "#666666", "untrained": "#bbbbbb", "training": "#666666"}
ATOMS = {
    "C": "#333333",
    "N": "#0072b2",
    "O": "#d55e00",
    "S": "#e6b800",
    "P": "#cc79a7",
    "Cl": "#009e73",
    "Br": "#8c4a2f",
}
MOTIONS = PointCloudAction(SpecialEuclidean(3))


def curves(
    path: Path, parts: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]], thresholds: Sequence[float]
) -> None:
    """Held-out loss over steps for each part, a thin line a seed; for molecules COV over the threshold beside it."""
    width = len(parts) + 2 * ("molecules" in parts)
    figure, axes = plt.subplots(1, width, figsize=(3.3 * width, 3.2), squeeze=False)
    panels = list(axes[0])
    for part, results in parts.items():
        axis = panels.pop(0)
        for method, runs in results.items():
            for k, run in enumerate(run for run in runs if "curve" in run):
                axis.plot(
                    run["curve"]["steps"],
                    run["curve"]["loss"],
                    color=COLOURS[method],
                    lw=1,
                    label=method if k == 0 else None,
                )
        axis.set(title=f"{part}:\nheld-out horizontal loss", xlabel="step", yscale="log")
        axis.legend(frameon=False)
    if "molecules" in parts:
        for key, title in (("recall", "COV recall"), ("precision", "COV precision")):
            axis = panels.pop(0)
            for method, runs in parts["molecules"].items():
                mean = torch.tensor([run[key] for run in runs]).mean((0, 1))
                axis.plot(thresholds, mean, color=COLOURS[method], lw=1.5, label=method)
            axis.axvline(0.5, color="#dddddd", zorder=0)
            axis.set(title=f"molecules: {title}", xlabel="threshold / A", ylim=(0, 1.02))
        axis.legend(frameon=False, loc="lower right")
    for axis in panels:
        axis.axis("off")
    _save(figure, path)


def molecules(
    path: Path, names: Sequence[str], columns: Mapping[str, Mapping[str, Tensor]], permutations: Mapping[str, Tensor]
) -> None:
    """For each molecule a reference and, from each method, the first three samples, turned onto the reference that
    is nearest to each: typical samples, not chosen ones. Heavy atoms and bonds, in the plane of greatest extent."""
    from pyro_symvi.quotient.data import molecule
    from pyro_symvi.quotient.metrics import rmsd_matrix

    references = columns["reference"]
    others = {method: clouds for method, clouds in columns.items() if method != "reference"}
    figure, axes = plt.subplots(
        len(names), 1 + 3 * len(others), figsize=(1.5 * (1 + 3 * len(others)), 1.5 * len(names)), squeeze=False
    )
    for row, name in zip(axes, names, strict=True):
        mol = molecule(name)
        bonds = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in mol.GetBonds()]
        colours = [ATOMS.get(atom.GetSymbol(), "#888888") for atom in mol.GetAtoms()]
        _draw(row[0], _flat(references[name][0]), bonds, colours, name if len(name) < 26 else name[:24] + "..")
        panels = iter(row[1:])
        for method, clouds in others.items():
            nearest = rmsd_matrix(clouds[name][:3], references[name], permutations[name])
            for k, distances in enumerate(nearest):
                target = references[name][int(distances.argmin())]
                moved = MOTIONS.act(MOTIONS.align(clouds[name][k], _flat(target)), clouds[name][k])
                _draw(next(panels), moved, bonds, colours, f"{method}, {float(distances.min()):.2f} A")
    _save(figure, path)


def proteins(path: Path, columns: Mapping[str, Tensor], count: int = 3) -> None:
    """Calpha traces from each source, coloured along the chain, and the density of (angle, torsion) pairs."""
    from pyro_symvi.quotient.metrics import bond_angles, torsions

    figure, axes = plt.subplots(len(columns), count + 1, figsize=(2.2 * (count + 1), 2.1 * len(columns)), squeeze=False)
    for row, (source, clouds) in zip(axes, columns.items(), strict=True):
        places = torch.arange(clouds.shape[1])
        bonds = [(k, k + 1) for k in range(len(places) - 1)]
        colours = [plt.get_cmap("viridis")(k / len(places)) for k in range(len(places))]
        step = max(len(clouds) // count, 1)
        for axis, cloud in zip(row[:-1], clouds[::step], strict=False):
            _draw(axis, _flat(cloud), bonds, colours, source, size=12)
        quadruples = torch.stack([places[:-3], places[1:-2], places[2:-1], places[3:]], -1)
        bends = bond_angles(clouds, quadruples[:, :3]).flatten().rad2deg()
        turns = torsions(clouds, quadruples).flatten().rad2deg().nan_to_num(0.0)
        row[-1].hist2d(turns.numpy(), bends.numpy(), bins=(36, 24), range=((-180, 180), (60, 180)), cmap="Greys")
        row[-1].set(title=f"{source}: torsion, angle", xticks=(-180, 0, 180), yticks=(60, 120, 180))
        row[-1].title.set_fontsize(7)
        row[-1].tick_params(labelsize=6)
    _save(figure, path)


def _flat(cloud: Tensor) -> Tensor:
    """The cloud on its principal axes, properly turned."""
    centred = (cloud - cloud.mean(0)).double()
    _, axes = torch.linalg.eigh(centred.mT @ centred)
    axes = axes.flip(-1)
    axes = torch.cat([axes[:, :2], axes[:, 2:] * torch.linalg.det(axes).sign()], -1)
    return (centred @ axes).to(cloud)


def _draw(
    axis: Any, cloud: Tensor, bonds: Sequence[tuple[int, int]], colours: Sequence[Any], title: str, size: float = 22
) -> None:
    x, y, z = cloud.unbind(-1)
    for i, j in sorted(bonds, key=lambda pair: float(z[pair[0]] + z[pair[1]])):
        axis.plot(x[[i, j]], y[[i, j]], color="#999999", lw=1.2, zorder=1 + 1e-3 * float(z[i] + z[j]))
    axis.scatter(x, y, c=list(colours), s=size, zorder=2)
    reach = 1.15 * float(cloud[:, :2].abs().max())
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axis.set_title(title, fontsize=6.5)
    axis.axis("off")


def _save(figure: Any, path: Path) -> None:
    figure.tight_layout(pad=0.6)
    matplotlib.rcParams["svg.hashsalt"] = "quotient_real"
    figure.savefig(path, dpi=90, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


__all__ = ["curves", "molecules", "proteins"]
