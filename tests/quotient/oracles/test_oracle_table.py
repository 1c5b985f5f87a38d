"""Samplers with exact denoisers: quotient = equivariant, aligned targets are biased, the sign of the curvature decides.

The full table is studies/quotient_oracles.py. Errors are binomial: sqrt(p (1 - p) / n).
"""

import math

import pytest
import torch

from pyro_symvi.groups import PointCloudAction, SpecialEuclidean
from pyro_symvi.quotient import Context, Diffusion, HarmonicPrior
from pyro_symvi.quotient.data import chain_from_internal
from pyro_symvi.quotient.metrics import bond_angles, pairwise_distances, signed_volumes, torsions
from pyro_symvi.quotient.oracles import ShapeMixture
from pyro_symvi.quotient.samplers import AlignedSampler, ODESampler, SDESampler

PLANE = Diffusion(PointCloudAction(SpecialEuclidean(2)))
SPACE = Diffusion()
WELLS = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)


def bent():
    """Planar chains of three atoms: 16 bend angles, .7 about 1.3 and .3 about 2.4."""
    angles = torch.linspace(0.6, 3.0, 16, dtype=torch.float64)
    weights = 0.7 * (-((angles - 1.3) ** 2) / (2 * 0.25**2)).softmax(0)
    weights = weights + 0.3 * (-((angles - 2.4) ** 2) / (2 * 0.3**2)).softmax(0)
    bonds = torch.ones(16, 2, dtype=torch.float64)
    return ShapeMixture(chain_from_internal(bonds, angles[:, None], bonds[:, :0], dimension=2), weights)


SMALL = bent().probabilities[:7].sum().item()


def twisted():
    """Chains of four atoms in space: trans .6, gauche plus .3, gauche minus .1 (its mirror image)."""
    wells = torch.tensor([math.pi, math.pi / 3, -math.pi / 3], dtype=torch.float64)[:, None]
    bonds, angles = torch.ones(3, 3, dtype=torch.float64), torch.full((3, 2), 1.9, dtype=torch.float64)
    return ShapeMixture(chain_from_internal(bonds, angles, wells), WELLS)


LAWS = {"plane": (PLANE, bent, (3, 2)), "space": (SPACE, twisted, (4, 3))}


def draws(sampler, diffusion, denoiser, n, event, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    return sampler.sample(diffusion, denoiser, (n, *event), dtype=torch.float64, generator=generator, **options)


def small_share(x):
    """Share of bend angles below 1.64, midway between two of them; ``SMALL`` in the law."""
    return (bond_angles(x, [(0, 1, 2)]) < 1.64).double().mean().item()


def trans_share(x):
    """Share of torsions nearer to trans than to gauche; .6 in the law."""
    return (torsions(x, [(0, 1, 2, 3)]).abs() > 2 * math.pi / 3).double().mean().item()


def standard_errors(share, target, n):
    return (share - target) / math.sqrt(target * (1 - target) / n)


@pytest.mark.parametrize("method", ["euler", "heun"])
@pytest.mark.parametrize("space", LAWS)
def test_quotient_and_equivariant_flows_are_the_same_step_by_step(space, method):
    """The exact velocity is horizontal where points are independent: nothing is left to project away."""
    diffusion, law, event = LAWS[space]
    denoiser = law().denoiser(diffusion)
    quotient, equivariant = (
        draws(ODESampler(25, method, horizontal=flag), diffusion, denoiser, 100, event, trajectory=True)
        for flag in (True, False)
    )
    assert quotient.shape == (26, 100, *event)
    assert (quotient - equivariant).abs().max() < 1e-10
    assert (quotient[1:] - quotient[:-1]).abs().amax((1, 2, 3)).min() > 1e-3  # negative test: paths do move


def test_bonded_prior_tells_the_two_flows_apart_but_not_their_shapes():
    """With correlated points v has a vertical part: the paths part company, their orbits by the step's error only."""
    edges = torch.tensor([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    diffusion = Diffusion(PLANE.action, prior=HarmonicPrior(2.0))
    denoiser, context = bent().denoiser(diffusion), Context(edges=edges)
    gaps = []
    for steps in (20, 80):
        quotient, equivariant = (
            draws(ODESampler(steps, "euler", horizontal=flag), diffusion, denoiser, 60, (3, 2), context=context)
            for flag in (True, False)
        )
        apart = (quotient - equivariant).norm(dim=(-2, -1))
        assert apart.median() > 0.1
        gaps.append((bond_angles(quotient, [(0, 1, 2)]) - bond_angles(equivariant, [(0, 1, 2)])).abs().median().item())
    assert gaps[1] < gaps[0] / 2 and gaps[1] < 0.02


@pytest.mark.parametrize(
    ("space", "share", "target", "n"),
    [("plane", small_share, SMALL, 600), ("space", trans_share, 0.6, 500)],
    ids=["plane", "space"],
)
def test_aligned_targets_are_biased_and_more_steps_do_not_mend_it(space, share, target, n):
    """Exact denoisers both: 50 steps of the equivariant flow are within 4 standard errors of the law, the aligned one
    more than 6 off at 25 steps and at 100 steps, and not nearer there by more than 3 errors of a difference."""
    diffusion, law, event = LAWS[space]
    exact, aligned = law().denoiser(diffusion), law().aligned_denoiser(diffusion)
    honest = share(draws(ODESampler(50, "euler", horizontal=False), diffusion, exact, n, event))
    assert abs(standard_errors(honest, target, n)) < 4
    off = []
    for steps in (25, 100):
        x = draws(ODESampler(steps, "euler", horizontal=False), diffusion, aligned, n, event)
        off.append(standard_errors(share(x), target, n))
    assert min(map(abs, off)) > 6
    assert abs(off[1]) > abs(off[0]) - 3 * 2**0.5


def test_aligning_the_state_at_each_step_changes_nothing_with_exact_targets():
    """x and either denoised point are aligned already, so that a sampler that aligns them cannot mend the bias.

    But for a turn of the whole path: at t = 0 the exact denoised point is 0, to which any turn is an alignment.
    """
    for denoiser in (twisted().denoiser(SPACE), twisted().aligned_denoiser(SPACE)):
        plain = draws(ODESampler(20, "euler", horizontal=False), SPACE, denoiser, 50, (4, 3))
        turned = draws(AlignedSampler(20), SPACE, denoiser, 50, (4, 3))
        for of in (pairwise_distances, lambda x: signed_volumes(x, [(0, 1, 2, 3)])):
            torch.testing.assert_close(of(turned), of(plain), rtol=0, atol=1e-8)


def test_sign_of_the_curvature_decides_from_noise_to_data():
    """SDE, 60 steps, n = 1600: derived sign within 4 standard errors; none more than 4 off, printed more than 8."""
    law = bent()
    options = (None, None, torch.float64, None)
    off = {}
    for name, sign in (("derived", 1.0), ("none", 0.0), ("printed", -1.0)):
        generator = torch.Generator().manual_seed(1)
        x = SDESampler(60)._sample(PLANE, law.denoiser(PLANE), (1600, 3, 2), *options, generator, False, False, sign)
        off[name] = standard_errors(small_share(x), SMALL, 1600)
    assert abs(off["derived"]) < 4
    assert off["none"] > 4
    assert off["printed"] > 8
