"""Clouds without a full orbit, through every public entry: the limit that is documented, and finite gradients.

Atoms at one point (no orbit: P = 1, H = 0), molecules on a line (orbits of dimension 2: the rotation about the
line is none), two atoms (always on a line), a single atom (no shape at all).
"""

import math

import pytest
import torch

from pyro_symvi.quotient import CloudDataset, Context, Diffusion
from pyro_symvi.quotient.laws import ShapeDistribution
from pyro_symvi.quotient.losses import AF3Aligned, GeoDiffAligned, OrbitAveraged, Plain, Quotient
from pyro_symvi.quotient.metrics import chirality, energy_test, radius_of_gyration, rmsd, shape_features, torsions
from pyro_symvi.quotient.networks import EquivariantNetwork, PointTransformer
from pyro_symvi.quotient.oracles import ShapeMixture, langevin, orbit_mean
from pyro_symvi.quotient.samplers import AlignedSampler, LangevinCorrector, ODESampler, SDESampler, log_likelihood
from pyro_symvi.quotient.training import TrainingStatus, train

RIGID = Diffusion()
AXIS = torch.tensor([1.0, 2.0, -2.0], dtype=torch.float64) / 3
PLACES = torch.tensor([-2.0, -0.5, 0.5, 2.0], dtype=torch.float64)
DEGENERATE = {
    "one point": torch.zeros(4, 3, dtype=torch.float64),
    "a line": PLACES[:, None] * AXIS,
    "two atoms": torch.tensor([[0.3, -0.2, 0.5], [-0.3, 0.2, -0.5]], dtype=torch.float64),
    "one atom": torch.zeros(1, 3, dtype=torch.float64),
}
LOSSES = (Plain(), Quotient(), GeoDiffAligned(), AF3Aligned(), OrbitAveraged(rotations=4))
SAMPLERS = (
    ODESampler(steps=8),
    ODESampler(steps=8, method="euler", corrector=LangevinCorrector()),
    SDESampler(steps=40),
    SDESampler(steps=40, horizontal=False),
    AlignedSampler(steps=8),
    AlignedSampler(steps=40, noise=1.0),
)


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def networks():
    return [EquivariantNetwork(width=16, layers=1), PointTransformer(width=16, layers=1)]


def stirred(network):
    """Weights that are not those of the start, where outputs are those of a normal law."""
    generator = seeded(1)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.2 * torch.randn(p.shape, generator=generator))
    return network.double()


# -- the geometry ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_projection_curvature_and_volume_have_their_limits(name, dtype):
    """On a line x_n = s_n u only turns of u are vertical: s_n (1 - u u^T) sum s_m v_m / |x|^2; H = -2 x / |x|^2."""
    x, v = DEGENERATE[name], RIGID.centre(normal(*DEGENERATE[name].shape))
    size = x.square().sum()
    vertical, curvature, log_volume = torch.zeros_like(v), torch.zeros_like(v), torch.zeros((), dtype=torch.float64)
    if size > 0:
        u = x[-1] / x[-1].norm()
        s = x @ u
        turned = s @ v / size
        vertical = s[:, None] * (turned - (turned @ u) * u)
        curvature, log_volume = -2 * x / size, size.log()
    tight = dict(atol=1e-12, rtol=0) if dtype == torch.float64 else dict(atol=2e-6, rtol=0)
    x, v = x.to(dtype), v.to(dtype)
    torch.testing.assert_close(RIGID.project(x, v), (v.double() - vertical).to(dtype), **tight)
    torch.testing.assert_close(RIGID.mean_curvature(x), curvature.to(dtype), **tight)
    torch.testing.assert_close(RIGID.log_orbit_volume(x), log_volume.to(dtype), **tight)


@pytest.mark.parametrize("name", DEGENERATE)
def test_gradients_are_finite_and_right_along_clouds_of_the_same_kind(name):
    """Turned and stretched, a cloud on a line stays on one: there the derivative is that of finite differences."""
    x = DEGENERATE[name]
    v, w, turn = normal(*x.shape), normal(*x.shape, seed=1), normal(3, 3, seed=2)
    direction = 0.3 * x + x @ (turn - turn.mT)
    for function in (
        lambda x: (RIGID.project(x, v) * w).sum(),
        lambda x: (RIGID.mean_curvature(x) * w).sum(),
        RIGID.log_orbit_volume,
    ):
        leaf = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(function(leaf), leaf)
        slope = (function(x + 1e-6 * direction) - function(x - 1e-6 * direction)) / 2e-6
        assert bool(torch.isfinite(gradient).all())
        torch.testing.assert_close((gradient * direction).sum(), slope, atol=1e-7, rtol=1e-7)


def test_two_atoms_among_masked_ones_are_two_atoms():
    mask = torch.tensor([True, True, False])
    x = torch.cat([DEGENERATE["two atoms"], torch.ones(1, 3)])
    leaf, v = x.clone().requires_grad_(), normal(3, 3)
    known = Context(mask=mask)
    (gradient,) = torch.autograd.grad((RIGID.project(leaf, v, known) * normal(3, 3, seed=1)).sum(), leaf)
    alone = x[:2].clone().requires_grad_()
    (expected,) = torch.autograd.grad((RIGID.project(alone, v[:2]) * normal(3, 3, seed=1)[:2]).sum(), alone)
    torch.testing.assert_close(gradient[:2], expected, atol=1e-12, rtol=0)
    assert gradient[2].abs().max() == 0


# -- samplers and densities --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_samplers_end_at_degenerate_shapes_as_at_others(name, sampler):
    """With the exact denoiser of one shape, whatever it is, the draws are that shape."""
    shape = DEGENERATE[name]
    oracle = ShapeMixture(shape[None]).denoiser(RIGID)
    draws = sampler.sample(RIGID, oracle, (3, *shape.shape), dtype=torch.float64, generator=seeded())
    # 8 steps of 1/8: the last denoised point is sharp to the noise of the step before
    assert float(rmsd(draws, shape).max()) < 0.15


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_noise_leaves_degenerate_states_and_deterministic_paths_stay(sampler):
    """Towards D = x/2, equivariant: a flow keeps a line a line; noise makes a cloud of it within one run."""
    noisy = getattr(sampler, "noise", 0) > 0 or getattr(sampler, "corrector", None) is not None
    for name in ("one point", "a line"):
        start = DEGENERATE[name].expand(2, 4, 3)
        states = sampler.sample(
            RIGID, lambda x, t, context: x / 2, start.shape, start=start, generator=seeded(), trajectory=True
        )
        extents = torch.linalg.svdvals(states[1:])
        assert bool(torch.isfinite(states).all())
        if noisy:
            assert float(extents[0, :, 2].min()) > 1e-4
        elif name == "a line":
            assert float(extents[..., 1].max()) < 1e-12 and float(extents[-1, :, 0].min()) > 0.1
        else:
            assert float(extents.max()) == 0
    atom = sampler.sample(RIGID, lambda x, t, context: x / 2, (2, 1, 3), generator=seeded())
    assert atom.abs().max() == 0


def exact_normal(scale):
    """The denoiser of data that are normal with this standard deviation."""
    return lambda x, t, context=None: (t * scale**2 / ((1 - t) ** 2 + t**2 * scale**2))[..., None, None] * x


@pytest.mark.parametrize("name", ["one point", "a line", "two atoms"])
def test_densities_and_their_gradients_at_degenerate_shapes(name):
    """Normal data of standard deviation 2: -|x|^2 / 8 - (N - 1) 3/2 log(8 pi), gradient -x / 4."""
    x, scale = DEGENERATE[name][1:] - DEGENERATE[name][1:].mean(0) if name != "two atoms" else DEGENERATE[name], 2.0
    count = 3 * (len(x) - 1)
    expected = -x.square().sum() / (2 * scale**2) - count / 2 * math.log(2 * math.pi * scale**2)
    law = ShapeDistribution(RIGID, exact_normal(scale), len(x), steps=4, dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    value = law.log_prob(leaf)
    (gradient,) = torch.autograd.grad(value, leaf)
    torch.testing.assert_close(value, expected, atol=1.5e-2, rtol=0)  # of four steps
    torch.testing.assert_close(gradient, -x / scale**2, atol=2e-3, rtol=0)
    shape = log_likelihood(RIGID, exact_normal(scale), x, steps=6)
    expected = expected + RIGID.log_orbit_volume(x)
    torch.testing.assert_close(shape, expected, atol=2e-2, rtol=0)  # one Euler step across the gap of 1e-3


# -- networks, losses, oracles, training -------------------------------------------------------------------------------
@pytest.mark.parametrize("network", networks(), ids=lambda n: type(n).__name__)
def test_networks_at_degenerate_clouds(network):
    network = stirred(network)
    times = torch.tensor([0.0, 0.4, 1.0], dtype=torch.float64)
    for name, cloud in DEGENERATE.items():
        x = cloud.expand(3, *cloud.shape).clone().requires_grad_()
        denoised = network(x, times)
        network.zero_grad()
        denoised.square().sum().backward()
        denoised = denoised.detach()
        gradients = [x.grad, *(p.grad for p in network.parameters() if p.grad is not None)]
        assert all(bool(torch.isfinite(g).all()) for g in (denoised, *gradients)), name
        assert float(denoised.mean(-2).abs().max()) < 1e-12
        if len(cloud) == 1 or (cloud.abs().max() == 0 and isinstance(network, EquivariantNetwork)):
            assert float(denoised.abs().max()) < 1e-12  # no direction is better than another
        elif isinstance(network, EquivariantNetwork):  # a turn about the line changes nothing: it stays on the line
            u = cloud[-1] / cloud[-1].norm()
            across = denoised - (denoised @ u)[..., None] * u
            assert float(across.abs().max()) < 1e-12 < float(denoised.abs().max())


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_losses_of_degenerate_data(loss):
    """0 for a denoiser that is right, positive with a finite slope for one that is not; nothing to learn of an atom."""
    t = torch.tensor([0.1, 0.6], dtype=torch.float64)
    for name, cloud in DEGENERATE.items():
        x1 = cloud.expand(2, *cloud.shape)
        weight = torch.zeros((), dtype=torch.float64, requires_grad=True)
        wrong = normal(*x1.shape, seed=3)

        def denoiser(x, t, context, weight=weight, wrong=wrong, x1=x1):
            right = orbit_mean(RIGID, x, x1, t) if isinstance(loss, OrbitAveraged) else x1
            return right + weight * wrong

        values = loss(RIGID, denoiser, x1, t, generator=seeded())
        (slope,) = torch.autograd.grad(values.sum(), weight)
        values = values.detach()
        assert bool(torch.isfinite(values).all()) and bool(torch.isfinite(slope)), name
        if isinstance(loss, Plain | Quotient) or cloud.abs().max() == 0:
            assert float(values.abs().max()) < 1e-20, name
        with torch.no_grad():
            weight.fill_(1.0)
        off = loss(RIGID, denoiser, x1, t, generator=seeded()).detach()
        assert float(off.min()) > 1e-3 if len(cloud) > 1 else float(off.max()) == 0


def test_quotient_counts_less_than_plain_where_there_is_an_orbit_and_the_same_where_there_is_none():
    """At a line two of the 9 directions of a centred cloud of four are free; at one point none is."""
    v = RIGID.centre(normal(4, 3))
    assert float(RIGID.project(DEGENERATE["a line"], v).square().sum() / v.square().sum()) < 1 - 1e-3
    torch.testing.assert_close(RIGID.project(DEGENERATE["one point"], v), v)


def test_oracles_of_degenerate_shapes():
    t, x = torch.tensor(0.5, dtype=torch.float64), RIGID.centre(normal(2, 4, 3))
    point = ShapeMixture(DEGENERATE["one point"][None])
    assert point.denoiser(RIGID)(x, t).abs().max() == 0
    expected = -x.square().sum((-2, -1)) / (2 * 0.25) - 9 / 2 * math.log(2 * math.pi * 0.25)
    torch.testing.assert_close(point.log_density(RIGID, x, t), expected)
    bond = DEGENERATE["two atoms"]
    length = (bond[0] - bond[1]).norm()
    pair = RIGID.centre(normal(2, 3, seed=4))
    seen = pair[0] - pair[1]
    got = ShapeMixture(bond[None]).denoiser(RIGID)(pair, t)
    kappa = 0.5 * length * seen.norm() / (2 * 0.25)
    torch.testing.assert_close(got[0] - got[1], length * langevin(kappa) * seen / seen.norm(), atol=1e-10, rtol=0)
    line = ShapeMixture(DEGENERATE["a line"][None])
    for state in (DEGENERATE["a line"], DEGENERATE["one point"]):
        leaf = state.clone().requires_grad_()
        denoised = line.denoiser(RIGID)(leaf, t)
        (gradient,) = torch.autograd.grad((denoised * normal(4, 3)).sum(), leaf)
        across = (denoised - (denoised @ AXIS)[:, None] * AXIS).detach()
        assert bool(torch.isfinite(gradient).all()) and float(across.abs().max()) < 1e-12


@pytest.mark.parametrize("name", DEGENERATE)
def test_training_on_degenerate_clouds_goes_on(name):
    cloud = DEGENERATE[name].float()
    data = CloudDataset(cloud.expand(4, *cloud.shape), torch.zeros(4, dtype=torch.int64), ("a",))
    for network in networks():
        result = train(RIGID, network, data, steps=3, batch_size=4)
        assert result.status is TrainingStatus.FINISHED and all(map(math.isfinite, result.history.loss))
        assert all(bool(torch.isfinite(p).all()) for p in result.network.parameters())


def test_metrics_of_degenerate_shapes():
    point, line = DEGENERATE["one point"], DEGENERATE["a line"]
    assert rmsd(point, line).item() == pytest.approx(math.sqrt(float(PLACES.square().mean())))
    assert rmsd(line, -line).item() < 1e-12 and radius_of_gyration(point).item() == 0
    assert torch.isnan(torsions(torch.stack([point, line]), [[0, 1, 2, 3]])).all()
    assert chirality(line, [[0, 1, 2, 3]]).item() == 0
    assert energy_test(shape_features(torch.stack([point] * 3)), shape_features(torch.stack([point] * 3))).p_value == 1
