"""Forward KL with a finite group: what the group pins is exact; a group that the target lacks does no harm."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import pyro_symvi as symvi
from pyro_symvi.density import LogDensity
from pyro_symvi.density._proposal import Proposal, Scale
from pyro_symvi.divergences import Alpha, Divergence, ForwardKL
from pyro_symvi.families import LocationScale, Tied
from pyro_symvi.groups import AxisFlips, CoordinatePermutation, Cyclic, LinearAction
from pyro_symvi.infer.fitting.symmetry_maps import given_maps
from pyro_symvi.infer.fitting.whole_orbits import Orbits, orbits

DOUBLE = torch.float64
SWAPS = CoordinatePermutation(3)
SHIFTS = CoordinatePermutation(3, permutations=Cyclic(3))


def vector(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=DOUBLE)


def exchangeable(z: Tensor) -> Tensor:
    """Log-concave, invariant under permutations, not even."""
    return -z.square().sum(-1) / 2 - (z.sum(-1) / 2).exp() - torch.exp(0.7 * z).sum(-1)


EXCHANGEABLE = LogDensity.from_callable(exchangeable, 3)


def pair(place: Tensor, share: float = 0.5) -> LogDensity:
    """Two unit normal laws, at ``place [2]`` and at its mirror image across the diagonal."""

    def log_prob(z: Tensor) -> Tensor:
        here = math.log(share) - (z - place).square().sum(-1) / 2
        return torch.logaddexp(here, math.log(1 - share) - (z - place.flip(0)).square().sum(-1) / 2)

    return LogDensity.from_callable(log_prob, 2)


def matrices(symmetry: LinearAction) -> Tensor:
    return symmetry.matrix(symmetry.group.elements()).double()


@pytest.mark.parametrize("divergence", [ForwardKL(), Alpha(0.5)], ids=repr)
@pytest.mark.parametrize("scale", ["full", "diagonal", Tied(SWAPS)], ids=str)
@pytest.mark.parametrize("symmetry", [SWAPS, SHIFTS], ids=["all permutations", "shifts"])
def test_permutations_pin_contrasts(symmetry: CoordinatePermutation, scale: object, divergence: Divergence) -> None:
    family = LocationScale(3, scale=scale)
    fit = symvi.fit(EXCHANGEABLE, family, divergence=divergence, symmetry=symmetry, num_particles=1200)
    assert fit.converged and float(fit.loc.max() - fit.loc.min()) < 1e-8
    assert fit.closed_under == (repr(symmetry),) and fit.num_particles >= 1200
    free = symvi.fit(EXCHANGEABLE, family, divergence=divergence, num_particles=1200)
    assert float(free.loc.max() - free.loc.min()) > 1e-5


def test_two_modes_are_weighed_alike() -> None:
    """Draws of a mixture of proposals, one a mode: their images about the known centre balance the modes."""
    target, family = pair(vector(15.0, -14.0)), LocationScale(2, scale="full")
    fit = symvi.fit(target, family, divergence=ForwardKL(), symmetry=CoordinatePermutation(2))
    assert fit.converged and "mixture of" in fit.details
    assert abs(float(fit.loc[0] - fit.loc[1])) < 1e-10
    error = float(fit.standard_error["loc"][0])  # of the mean 0.5 of each coordinate
    assert abs(float(fit.loc[0]) - 0.5) < 5 * error < 0.2


@pytest.mark.parametrize("place", [vector(0.5, -0.5), vector(6.0, -5.0)], ids=["one mode", "two modes"])
def test_a_symmetry_that_the_target_lacks_does_no_harm(place: Tensor) -> None:
    """Shares 0.8 and 0.2: the mean is 0.8 a + 0.2 b, whatever the draws were closed under."""
    target, family = pair(place, 0.8), LocationScale(2, scale="full")
    fit = symvi.fit(target, family, divergence=ForwardKL(), symmetry=CoordinatePermutation(2))
    error = fit.standard_error["loc"]
    assert fit.converged and bool(((fit.loc - 0.8 * place - 0.2 * place.flip(0)).abs() < 5 * error).all())
    assert float(error.max()) < 0.2


def test_the_root_is_invariant_and_the_average_is_the_projection() -> None:
    group = orbits(matrices(SWAPS), given_maps(SWAPS, 3))
    assert group is not None
    covariance = torch.diag(vector(1.0, 2.0, 6.0))
    covariance[0, 1] = covariance[1, 0] = 0.3
    root = group.invariant_root(torch.linalg.cholesky(covariance))
    expected = torch.full((3, 3), 0.1, dtype=DOUBLE) + 2.9 * torch.eye(3, dtype=DOUBLE)
    torch.testing.assert_close(root @ root.mT, expected)


def test_images_have_the_averaged_density() -> None:
    """By the sum over the group, one point at a time; about a centre that is not zero."""
    symmetry, center = AxisFlips(center=vector(2.0, -1.0)), vector(2.0, -1.0)
    bound = symmetry.bind(2)
    group = orbits(matrices(bound), given_maps(symmetry, 2))
    assert group is not None and group.center is not None
    torch.testing.assert_close(group.center, center)
    proposal = Proposal.at([Scale(vector(3.0, 0.0), torch.diag(vector(0.5, 2.0)))])
    z = torch.randn(5, 2, dtype=DOUBLE, generator=torch.Generator().manual_seed(3))
    images, log_r = group.draws(proposal, z)
    assert images.shape == (20, 2)
    for image, value in zip(images, log_r, strict=True):
        flipped = [center + s * (image - center) for s in torch.cartesian_prod(vector(1, -1), vector(1, -1))]
        density = torch.stack([proposal.log_prob(x[None])[0].exp() for x in flipped]).mean()
        torch.testing.assert_close(value.exp(), density)


def test_an_open_centre_is_told_apart() -> None:
    group = orbits(matrices(AxisFlips().bind(2, center=0.0)), given_maps(AxisFlips(), 2))
    assert group is not None and group.center is None
    with pytest.raises(ValueError, match="expected a known centre, got None"):
        group.draws(Proposal.at([Scale(vector(0.0, 0.0), torch.eye(2, dtype=DOUBLE))]), torch.zeros(1, 2, dtype=DOUBLE))
    assert orbits(None, []) is None


def test_maps_without_a_common_fixed_point_have_no_centre() -> None:
    shifted = given_maps(AxisFlips(center=vector(2.0, -1.0)), 2) + given_maps(AxisFlips(center=vector(0.0, 0.0)), 2)
    group = orbits(torch.eye(2, dtype=DOUBLE)[None], shifted, (0,))
    assert isinstance(group, Orbits) and group.center is None


def test_orbits_hold_no_point_twice() -> None:
    """Draws closed under the joint reflection, and four axis flips: two images of each are new."""
    flips = matrices(AxisFlips().bind(2, center=0.0))
    noise = torch.randn(6, 2, dtype=DOUBLE, generator=torch.Generator().manual_seed(4))
    for reflect, closed in (((0, 1), torch.cat([noise, -noise])), ((0,), torch.cat([noise, noise * vector(-1, 1)]))):
        group = orbits(flips, [], reflect)
        assert group is not None and (group.order, group.copies) == (4, 2)
        spread = group.spread(closed)
        assert len(spread.unique(dim=0)) == len(spread) == 24
        for a in flips:  # the set is carried to itself
            assert float(torch.cdist(spread @ a.mT, spread).min(-1).values.max()) < 1e-12
    alone = orbits(matrices(SWAPS), [])
    assert alone is not None and alone.copies == alone.order == 6


def test_axis_flips_pin_correlations() -> None:
    """Even in each coordinate, not a product; a joint reflection leaves sampling error in S_01."""

    def log_prob(z: Tensor) -> Tensor:
        w = z - vector(1.0, -2.0)
        return -(w.pow(4) * vector(1.0, 3.0)).sum(-1) - 2 * (1 + w.square().sum(-1)).sqrt()

    target, family = LogDensity.from_callable(log_prob, 2), LocationScale(2)
    for symmetry, good in ((AxisFlips(), True), (None, False)):
        fit = symvi.fit(target, family, divergence=ForwardKL(), symmetry=symmetry, num_particles=800)
        lower = abs(float(family.matrix(fit.parameters["scale"])[1, 0]))
        assert fit.converged and float((fit.loc - vector(1.0, -2.0)).abs().max()) < 1e-8
        assert lower < 1e-10 if good else lower > 1e-5
