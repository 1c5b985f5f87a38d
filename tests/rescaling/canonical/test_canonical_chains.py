"""Chains that sit in copies of one mode agree after each draw is brought to its canonical form."""

import torch
from torch import Tensor, nn

from pyro_symvi.bnn import Draws, GaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn.convergence import Reading, check_convergence
from pyro_symvi.rescaling import Canonicaliser, RescalingGroup
from pyro_symvi.rescaling.canonical import permutable_units


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_convergence_takes_a_canonicaliser() -> None:
    """The noise scale at the end of the vector passes as it is."""
    network = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
    likelihood = GaussianNoise()
    target = NetworkPosterior(network, likelihood, NormalPrior(1.0), normal(6, 1, seed=0), normal(6, 1, seed=1))
    canon = Canonicaliser(RescalingGroup.from_module(network, (1,)), "l2")
    centre = normal(target.dim, seed=2)
    centre[:2] = torch.tensor([0.5, 2.0])  # two units that differ
    draws = centre + 0.05 * normal(2, 24, target.dim, seed=3)
    table, classes, _ = permutable_units(canon.group.traced)
    swap = torch.from_numpy(table.source(table.images(classes, [torch.tensor([1, 0]).numpy()])))
    other = canon.group.act(draws[1, :, : canon.group.dim][:, swap], torch.tensor([3.0, -2.0]))
    copies = torch.stack([draws[0], torch.cat([other, draws[1, :, canon.group.dim :]], -1)])
    report = check_convergence(target, Draws(copies, target.layout, "chains"), symmetry=canon)
    line = "R-hat, canonical weights"
    assert report.line(line).worst < 1.1 < 1.5 < report.line("R-hat, raw weights").worst
    unsorted = Canonicaliser(canon.group, "l2", sort=False)
    report = check_convergence(target, Draws(copies, target.layout, "chains"), symmetry=unsorted)
    assert report.line(line).reading is Reading.BAD
