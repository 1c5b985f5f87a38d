"""Part B: Calpha fragments of protein chains that were not seen in training."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyro_symvi.quotient import CloudDataset, Diffusion, GaussianPrior
from pyro_symvi.quotient.data import protein_fragments
from pyro_symvi.quotient.metrics import (
    bond_angles,
    bond_lengths,
    jensen_shannon,
    pairwise_distances,
    radius_of_gyration,
    torsions,
    wasserstein1,
)
from pyro_symvi.quotient.networks import CloudNetwork, EquivariantNetwork, PointTransformer

from .learning import LOSSES, curve, fit, sampler, scale_of
from .stages import Stages

KINDS = ("transformer", "equivariant")

CONTACT = 8.0
"""Residues at least three apart along the chain touch where their Calpha atoms are nearer than this, in angstrom."""

FIGURES = {
    "bonds": "bond lengths, W1 (A)",
    "near 3.8": "bonds 3.8 +- 0.2 A, share missing",
    "angles": "bond angles, W1 (degrees)",
    "torsions": "torsions, JS (bits)",
    "size": "radius of gyration, W1 (A)",
    "contacts": "contacts a residue, W1",
}


@dataclass(frozen=True)
class ProteinSettings:
    """Sizes of part B."""

    length: int = 32
    stride: int = 1
    chains: int = 50
    steps: int = 1500
    batch_size: int = 32
    width: int = 96
    layers: int = 3
    equivariant_steps: int = 2100
    equivariant_batch_size: int = 16
    equivariant_width: int = 64
    equivariant_layers: int = 4
    seeds: int = 3
    equivariant_seeds: int = 3
    samples: int = 256
    sampler_steps: int = 20

    @classmethod
    def quick(cls) -> ProteinSettings:
        """Just enough to see that it runs."""
        small = cls(length=16, stride=8, chains=10, steps=120, width=32, layers=2, seeds=2, samples=32, sampler_steps=8)
        return dataclasses.replace(small, equivariant_steps=120, equivariant_width=32, equivariant_layers=2)


class Proteins:
    """Data, training and evaluation of part B."""

    def __init__(self, quick: bool, stages: Stages) -> None:
        settings = ProteinSettings.quick() if quick else ProteinSettings()
        self.settings, self.stages = settings, stages
        data = protein_fragments(settings.length, stride=settings.stride, chains=settings.chains)
        self.train, self.test = data.split(0.8, 0.2, seed=0)
        self.scale = scale_of(self.train)
        self.diffusion = Diffusion(prior=GaussianPrior(self.scale))

    def network(self, kind: str, seed: int) -> CloudNetwork:
        """A fresh network; the same weights for the same seed. The equivariant one hears ten residues on each side."""
        settings, scales = self.settings, {"data_scale": self.scale, "noise_scale": self.scale}
        if kind == "transformer":
            return PointTransformer(settings.width, settings.layers, features=1, edge_kinds=1, seed=seed, **scales)
        width, layers = settings.equivariant_width, settings.equivariant_layers
        return EquivariantNetwork(width, layers, features=1, edge_kinds=1, window=10, seed=seed, **scales)

    def budget(self, kind: str) -> tuple[int, int]:
        """Steps and batch size, of about the same time for both kinds."""
        if kind == "transformer":
            return self.settings.steps, self.settings.batch_size
        return self.settings.equivariant_steps, self.settings.equivariant_batch_size

    def seeds(self, kind: str) -> range:
        """Seeds of one kind of network."""
        return range(self.settings.seeds if kind == "transformer" else self.settings.equivariant_seeds)

    def tasks(self) -> list[tuple[str, str, int]]:
        """Arguments of each training run."""
        return [(kind, method, seed) for kind in KINDS for seed in self.seeds(kind) for method in LOSSES]

    def run(self, kind: str, method: str, seed: int) -> dict[str, Any]:
        """Train, sample and measure; kept where it was done before."""
        name = f"proteins_{kind}_{method}_{seed}"
        steps, batch_size = self.budget(kind)

        def compute() -> dict[str, Any]:
            result = fit(
                self.diffusion,
                self.network(kind, seed),
                self.train,
                self.test,
                method,
                steps=steps,
                batch_size=batch_size,
                seed=seed,
                checkpoint=self.stages.checkpoint(name),
            )
            clouds = self.sample(result.ema, method, seed)
            torch.save(clouds, self.stages.folder / f"{name}_samples.pt")
            return {"curve": curve(result), **measure(clouds, self.test.clouds)}

        return self.stages.run(name, compute)

    def baseline(self, name: str) -> dict[str, Any]:
        """``training``: fragments of the training chains, about the best. ``untrained``: a network at its start."""

        def compute() -> dict[str, Any]:
            if name == "training":
                return measure(every(self.train, self.settings.samples), self.test.clouds)
            return measure(self.sample(self.network("equivariant", 0), name, 0), self.test.clouds)

        return self.stages.run(f"proteins_{name}", compute)

    def sample(self, network: torch.nn.Module, method: str, seed: int) -> Tensor:
        """Fragments ``[samples, length, 3]``."""
        assert self.test.context is not None
        return sampler(method, self.settings.sampler_steps).sample(
            self.diffusion,
            network,
            (self.settings.samples, self.settings.length, 3),
            self.test.context[0],
            generator=torch.Generator().manual_seed(1000 + seed),
        )


def every(data: CloudDataset, count: int) -> Tensor:
    """About ``count`` clouds spread over the data set."""
    return data.clouds[:: max(len(data) // count, 1)][:count]


def measure(clouds: Tensor, references: Tensor) -> dict[str, Any]:
    """Distances of the laws of local and global figures from those of the references; all are better near 0."""
    places = torch.arange(clouds.shape[1])
    bonds = torch.stack([places[:-1], places[1:]], -1)
    angles = torch.stack([places[:-2], places[1:-1], places[2:]], -1)
    quadruples = torch.stack([places[:-3], places[1:-2], places[2:-1], places[3:]], -1)
    lengths = [bond_lengths(x, bonds) for x in (clouds, references)]
    missing = [1 - ((length - 3.8).abs() < 0.2).double().mean().item() for length in lengths]
    return {
        "bonds": wasserstein1(lengths[0].flatten(), lengths[1].flatten()).item(),
        "near 3.8": missing[0],
        "angles": math.degrees(
            wasserstein1(bond_angles(clouds, angles).flatten(), bond_angles(references, angles).flatten()).item()
        ),
        "torsions": jensen_shannon(
            *(torsions(x, quadruples).nan_to_num(0.0).flatten() for x in (clouds, references))
        ).item(),
        "size": wasserstein1(radius_of_gyration(clouds), radius_of_gyration(references)).item(),
        "contacts": wasserstein1(contacts(clouds), contacts(references)).item(),
    }


def contacts(clouds: Tensor) -> Tensor:
    """Contacts a residue of each cloud, ``[M]``."""
    i, j = torch.triu_indices(clouds.shape[1], clouds.shape[1], offset=1)
    far = (j - i) >= 3
    return (pairwise_distances(clouds)[:, far] < CONTACT).double().sum(-1) * 2 / clouds.shape[1]
