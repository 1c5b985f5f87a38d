"""Linear hidden layers: invertible matrices keep the function, orthogonal ones the posterior, and what follows."""

import pytest
import torch
from torch import nn

from pyro_symvi.bnn import GaussianNoise, LaplacePrior, NetworkPosterior, NetworkPrior, NormalPrior
from pyro_symvi.bnn.symmetry import NetworkSymmetry
from pyro_symvi.groups import Orthogonal

PRIOR = NetworkPrior(NormalPrior(0.8), {"0.*": NormalPrior(1.5)})


def posterior(prior: NetworkPrior = PRIOR) -> NetworkPosterior:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 2, generator=generator, dtype=torch.float64)
    network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False))
    return NetworkPosterior(network, GaussianNoise(0.7), prior, x, x.sum(-1) + 0.3)


def test_orthogonal_matrices_keep_the_posterior() -> None:
    target = posterior()
    symmetry = NetworkSymmetry.of(target)
    (layer,) = symmetry.layers
    assert layer.groups == ("permutations", "signs", "rescaling", "invertible matrices")
    generator = torch.Generator().manual_seed(1)
    theta = torch.randn(5, target.dim, generator=generator, dtype=torch.float64)
    rotation = layer.rotation
    assert rotation is not None and rotation.group == Orthogonal(2)
    g = rotation.group.sample(5, generator=generator)
    moved = rotation.act(g, theta)
    assert torch.allclose(target.log_prob(moved), target.log_prob(theta), rtol=1e-12)
    assert torch.allclose(rotation.act(g.mT, moved), theta)
    assert {found.group: bool(found) for found in layer.preserves(target.parameter_prior)} == {
        "permutations": True, "signs": True, "rescaling": False, "orthogonal matrices": True,
    }  # fmt: skip


def test_other_matrices_keep_the_function_alone() -> None:
    """The log |det| = (p - q) log |det A|, against autograd."""
    target = posterior()
    rotation = NetworkSymmetry.of(target).layers[0].rotation
    assert rotation is not None
    generator = torch.Generator().manual_seed(2)
    theta, matrix = (torch.randn(*s, generator=generator, dtype=torch.float64) for s in ((target.dim,), (2, 2)))
    moved = rotation.transform(matrix, theta)
    assert torch.allclose(target.outputs(moved), target.outputs(theta))
    assert not torch.allclose(target.log_prior(moved), target.log_prior(theta))
    jacobian = torch.autograd.functional.jacobian(lambda z: rotation.transform(matrix, z), theta)
    wanted = (2 - 1) * torch.linalg.slogdet(matrix)[1]
    assert float(torch.linalg.slogdet(jacobian)[1]) == pytest.approx(float(wanted), rel=1e-10)


def test_orthogonal_matrices_do_not_keep_laplace_priors() -> None:
    target = posterior(NetworkPrior(LaplacePrior(1.0)))
    layer = NetworkSymmetry.of(target).layers[0]
    assert {found.group: bool(found) for found in layer.preserves(target.parameter_prior)}[
        "orthogonal matrices"
    ] is False
    theta = torch.randn(target.dim, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    rotation = layer.rotation
    assert rotation is not None
    g = rotation.group.sample(1, generator=torch.Generator().manual_seed(4))[0]
    assert not torch.allclose(target.log_prior(rotation.act(g, theta)), target.log_prior(theta), atol=1e-3)


def test_matrix_identity() -> None:
    """E[W W^T] / tau_w^2 - E[V^T V] / tau_v^2 = (p - q) I, from integration by parts along all matrices.

    Importance sampling from the prior with 400,000 draws and bounded weights: within 4 standard errors (about 0.01)
    of the identity in each entry, and more than 20 of them from zero.
    """
    target = posterior()
    layer = NetworkSymmetry.of(target).layers[0]
    theta = target.sample_prior(400_000, generator=torch.Generator().manual_seed(5))
    log_weight = target.log_likelihood(theta)
    weight = (log_weight - log_weight.max()).exp()
    w, v = theta[:, layer.incoming] / 1.5, theta[:, layer.outgoing] / 0.8
    values = w @ w.mT - v @ v.mT
    mean = (weight[:, None, None] * values).sum(0) / weight.sum()
    error = (weight.square()[:, None, None] * (values - mean).square()).sum(0).sqrt() / weight.sum()
    assert float(error.max()) < 0.02
    assert bool(((mean - torch.eye(2)).abs() < 4 * error).all())
    assert bool((mean.diagonal() > 20 * error.diagonal()).all())
