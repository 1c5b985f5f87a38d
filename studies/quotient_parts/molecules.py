"""Part A: conformers of molecules that were not seen in training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from rdkit.Chem import rdMolDescriptors
from torch import Tensor

from pyro_symvi.quotient import CloudDataset, Diffusion, GaussianPrior
from pyro_symvi.quotient.data import (
    ConformerDataset,
    common_molecules,
    conformer_ensembles,
    molecule,
    molecule_context,
)
from pyro_symvi.quotient.metrics import (
    automorphisms,
    bond_angles,
    bond_lengths,
    coverage,
    graph_angles,
    graph_bonds,
    graph_torsions,
    jensen_shannon,
    rmsd_matrix,
    torsions,
    wasserstein1,
)
from pyro_symvi.quotient.networks import EquivariantNetwork

from .learning import LOSSES, THRESHOLDS, curve, fit, sampler, scale_of
from .stages import Stages


@dataclass(frozen=True)
class MoleculeSettings:
    """Sizes of part A."""

    molecules: int = 68
    conformers: int = 30
    steps: int = 800
    batch_size: int = 32
    width: int = 96
    layers: int = 4
    seeds: int = 3
    sampler_steps: int = 15

    @classmethod
    def quick(cls) -> MoleculeSettings:
        """Just enough to see that it runs."""
        return cls(molecules=12, conformers=8, steps=120, width=32, layers=2, seeds=2, sampler_steps=6)


def chosen_molecules(count: int) -> list[str]:
    """SMILES of built-in molecules of 5 to 16 heavy atoms with a bond that turns and no centre of a fixed hand."""
    found = []
    for smiles in common_molecules().values():
        mol = molecule(smiles)
        flexible = rdMolDescriptors.CalcNumRotatableBonds(mol) >= 1
        if "@" not in smiles and 5 <= mol.GetNumAtoms() <= 16 and flexible:
            found.append(smiles)
    return found[:: max(len(found) // count, 1)][:count]


class Molecules:
    """Data, training and evaluation of part A."""

    def __init__(self, quick: bool, stages: Stages) -> None:
        settings = MoleculeSettings.quick() if quick else MoleculeSettings()
        self.settings, self.stages = settings, stages
        chosen = chosen_molecules(settings.molecules)
        self.data = self._ensembles(chosen, settings.conformers, seed=0)
        self.train, self.test = self.data.split(0.68, 0.32, seed=0)
        again = self._ensembles(list(self.test.names), 2 * settings.conformers, seed=1)
        self.resampled = {name: _clouds(again, k) for k, name in enumerate(again.names)}
        self.references = {name: _clouds(self.test, k) for k, name in enumerate(self.test.names)}
        self.permutations = {name: automorphisms(name) for name in self.test.names}
        scale = scale_of(self.train)
        self.diffusion = Diffusion(prior=GaussianPrior(scale))
        self.scale = scale

    def _ensembles(self, smiles: list[str], conformers: int, seed: int) -> ConformerDataset:
        cache = self.stages.folder / f"conformers_{conformers}_{seed}.npz"
        return conformer_ensembles(smiles, conformers=conformers, seed=seed, cache=cache)

    def network(self, seed: int) -> EquivariantNetwork:
        """A fresh network; the same weights for the same seed."""
        assert self.data.context is not None and self.data.context.features is not None
        return EquivariantNetwork(
            self.settings.width,
            self.settings.layers,
            features=self.data.context.features.shape[-1],
            edge_kinds=6,
            data_scale=self.scale,
            noise_scale=self.scale,
            seed=seed,
        )

    def tasks(self) -> list[tuple[str, int]]:
        """Arguments of each training run."""
        return [(method, seed) for seed in range(self.settings.seeds) for method in LOSSES]

    def run(self, method: str, seed: int) -> dict[str, Any]:
        """Train, sample and measure; kept where it was done before."""
        name = f"molecules_{method}_{seed}"

        def compute() -> dict[str, Any]:
            settings = self.settings
            result = fit(
                self.diffusion,
                self.network(seed),
                self.train,
                self.test,
                method,
                steps=settings.steps,
                batch_size=settings.batch_size,
                seed=seed,
                checkpoint=self.stages.checkpoint(name),
            )
            clouds = self.sample(result.ema, method, seed)
            torch.save(clouds, self.stages.folder / f"{name}_samples.pt")
            return {"curve": curve(result), **self.measure(clouds)}

        return self.stages.run(name, compute)

    def baseline(self, name: str) -> dict[str, Any]:
        """``etkdg``: another ETKDG ensemble, about the best there is. ``untrained``: a network at its start."""

        def compute() -> dict[str, Any]:
            if name == "etkdg":
                return self.measure(self.resampled)
            return self.measure(self.sample(self.network(0), name, 0))

        return self.stages.run(f"molecules_{name}", compute)

    def sample(self, network: torch.nn.Module, method: str, seed: int) -> dict[str, Tensor]:
        """Twice as many clouds as there are references, for each held-out molecule."""
        generator = torch.Generator().manual_seed(1000 + seed)
        clouds = {}
        for name, references in self.references.items():
            context = molecule_context([name])[0]
            shape = (2 * self.settings.conformers, *references.shape[1:])
            clouds[name] = sampler(method, self.settings.sampler_steps).sample(
                self.diffusion, network, shape, context, generator=generator
            )
        return clouds

    def measure(self, clouds: dict[str, Tensor]) -> dict[str, Any]:
        """COV and AMR over molecules, and how bonds, angles and torsions of each are distributed."""
        names = list(self.references)
        distances = [rmsd_matrix(clouds[n], self.references[n], self.permutations[n]) for n in names]
        found = coverage(distances, THRESHOLDS, names=names)
        local = [self._local(clouds[n], self.references[n], n) for n in names]
        return {
            "names": names,
            "recall": found.recall.tolist(),
            "precision": found.precision.tolist(),
            "AMR-R": found.amr_recall.tolist(),
            "AMR-P": found.amr_precision.tolist(),
            **{key: [row[key] for row in local] for key in local[0]},
        }

    def _local(self, clouds: Tensor, references: Tensor, name: str) -> dict[str, float]:
        edges = molecule_context([name]).edges
        assert edges is not None
        bonds, angles, quadruples = graph_bonds(edges[0]), graph_angles(edges[0]), graph_torsions(edges[0])
        both = (clouds, references)
        turned = [torsions(x, quadruples).nan_to_num(0.0) for x in both]
        return {
            "bonds": wasserstein1(*(bond_lengths(x, bonds) for x in both)).mean().item(),
            "angles": math.degrees(wasserstein1(*(bond_angles(x, angles) for x in both)).mean().item()),
            "torsions": jensen_shannon(turned[0], turned[1], bins=24).mean().item(),
        }


def _clouds(data: CloudDataset, kind: int) -> Tensor:
    """The clouds of one kind without padding."""
    assert data.context is not None and data.context.mask is not None
    return data.clouds[data.kinds == kind][:, data.context.mask[kind]]
