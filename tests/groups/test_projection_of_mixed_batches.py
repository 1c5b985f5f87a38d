"""Projection in single precision where one batch holds round, flat, straight and vanishing clouds.

The outside truth is numpy's pseudo-inverse of the explicit basis of rotations in double precision.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from pyro_symvi.groups import PointCloudAction, SpecialEuclidean, SpecialOrthogonal

SINGLE = float(torch.finfo(torch.float32).eps)


def mixed(dtype: torch.dtype = torch.float32) -> Tensor:
    """Clouds of 5 points ``[9, 5, 3]``: random, planar, bent by 1e-1 .. 1e-4, straight, far off, two places, one."""
    generator = torch.Generator().manual_seed(3)
    random = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    line = torch.linspace(-1.0, 1.0, 5, dtype=torch.float64)[:, None] * torch.tensor([0.6, 0.0, 0.8]).double()
    bends = [line + bend * random for bend in (1e-1, 1e-2, 1e-3, 1e-4, 0.0)]
    planar = random * torch.tensor([1.0, 1.0, 0.0]).double()
    places = torch.tensor([[1.0, 2, 3]]).double() * torch.tensor([[1.0], [1], [1], [-1], [-1]]).double()
    return torch.stack([random, planar, *bends, 1e3 + random, places, torch.zeros(5, 3).double()]).to(dtype)


def by_pseudo_inverse(x: Tensor, v: Tensor, cutoff: float) -> np.ndarray:
    """P v for one centred cloud and velocity ``[N, 3]``; rotations that hardly move it are left out."""
    a, b = (np.asarray(y.detach().double()) for y in (x, v))
    a, b = a - a.mean(0), b - b.mean(0)
    basis = np.stack([np.cross(axis, a).ravel() for axis in np.eye(3)], -1)
    return b - (basis @ (np.linalg.pinv(basis, rcond=cutoff) @ b.ravel())).reshape(b.shape)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["single", "double"])
def test_against_the_pseudo_inverse(dtype: torch.dtype) -> None:
    x = mixed(dtype)
    v = torch.randn(x.shape, generator=torch.Generator().manual_seed(4), dtype=dtype)
    found = PointCloudAction(SpecialEuclidean(3)).project(x, v)
    eps = float(torch.finfo(dtype).eps)
    # normal equations, in double precision, are used while det K is above 1e-5 of its scale: 5 digits go
    tolerance = 20 * eps if dtype == torch.float32 else 1e-10
    for k in range(len(x)):
        if k == len(x) - 1:  # one place: no rotation moves it
            wanted = np.asarray((v[k] - v[k].mean(0)).double())
        else:
            wanted = by_pseudo_inverse(x[k], v[k], 10 * eps)
        assert np.abs(np.asarray(found[k].double()) - wanted).max() < tolerance, k


def test_neighbours_in_the_batch_do_not_matter() -> None:
    """A round cloud has the projection, to the last digit or nearly, that it has by itself."""
    x = mixed()
    v = torch.randn(x.shape, generator=torch.Generator().manual_seed(5))
    action = PointCloudAction(SpecialEuclidean(3))
    alone = torch.stack([action.project(a, b) for a, b in zip(x, v, strict=True)])
    assert float((action.project(x, v) - alone).abs().max()) < 4 * SINGLE


def test_gradients_are_projections_too() -> None:
    """P is symmetric, so the gradient of <c, P v> in v is P c, for every cloud of the batch."""
    x, action = mixed(), PointCloudAction(SpecialEuclidean(3))
    generator = torch.Generator().manual_seed(6)
    v, c = torch.randn(2, *x.shape, generator=generator)
    v.requires_grad_()
    (slope,) = torch.autograd.grad((c * action.project(x, v)).sum(), v)
    assert float((slope - action.project(x, c)).abs().max()) < 10 * SINGLE


def test_ragged_batches_against_cut_clouds() -> None:
    """Padding, 1 to 5 points and straight clouds together: each as if it were alone and cut to its points."""
    x, sizes = mixed()[:7], torch.tensor([1, 2, 3, 5, 4, 2, 3])
    mask = torch.arange(5) < sizes[:, None]
    v = torch.randn(x.shape, generator=torch.Generator().manual_seed(7))
    for motions in (SpecialEuclidean(3), SpecialOrthogonal(3)):
        found = PointCloudAction(motions, weights=mask.double()).project(x, v)
        curved = PointCloudAction(motions, weights=mask.double()).mean_curvature(x)
        for k, size in enumerate(sizes.tolist()):
            cut = PointCloudAction(motions)
            assert float((found[k, :size] - cut.project(x[k, :size], v[k, :size])).abs().max()) < 20 * SINGLE
            h = cut.mean_curvature(x[k, :size])
            assert float((curved[k, :size] - h).abs().max()) <= 1e-4 * max(float(h.abs().max()), 1.0)
        assert not bool(found[~mask].any())


def test_velocities_and_clouds_broadcast() -> None:
    x = mixed(torch.float64)
    v = torch.randn(4, 1, 5, 3, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    action = PointCloudAction(SpecialEuclidean(3))
    found = action.project(x, v)
    assert found.shape == (4, len(x), 5, 3)
    assert torch.allclose(found, action.project(x.expand(found.shape), v.expand(found.shape)), atol=1e-12)
