"""The core of quotient diffusion against autograd, numpy and exact normal laws."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from pyro_symvi.groups import PointCloudAction, SpecialEuclidean, SpecialOrthogonal
from pyro_symvi.quotient import (
    CloudDataset,
    Context,
    Diffusion,
    GaussianPrior,
    HarmonicPrior,
    Linear,
    Trigonometric,
)

PATHS = {"linear": Linear(), "bridge": Linear(bridge=0.4), "trigonometric": Trigonometric()}
T = torch.linspace(0.05, 0.95, 7, dtype=torch.float64)


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def chain(n, points=None):
    """Edges ``[points, points]`` of a chain of n points, followed by padding."""
    k = torch.arange(points or n)
    return (((k[:, None] - k).abs() == 1) & (k < n) & (k[:, None] < n)).long()


def context(n, points=None):
    points = points or n
    return Context(mask=torch.arange(points) < n, edges=chain(n, points))


# -- context -----------------------------------------------------------------------------------------------------------
BAD_CONTEXTS = {
    "mask of numbers": (dict(mask=torch.ones(3)), TypeError, "torch.bool"),
    "mask of lists": (dict(mask=[True, True]), TypeError, "mask to be a tensor"),
    "mask of nothing": (dict(mask=torch.tensor(True)), ValueError, "\\*batch, N"),
    "empty": (dict(mask=torch.tensor([[True, False], [False, False]])), ValueError, "empty mask"),
    "no points": (dict(mask=torch.zeros(2, 0, dtype=torch.bool)), ValueError, "empty mask"),
    "features of integers": (dict(features=torch.ones(3, 2).long()), TypeError, "floating"),
    "features without columns": (dict(features=torch.ones(3)), ValueError, "N, F"),
    "features of nan": (dict(features=torch.full((3, 2), math.nan)), ValueError, "finite features"),
    "edges of bools": (dict(edges=torch.ones(3, 3, dtype=torch.bool)), TypeError, "integer"),
    "edges of floats": (dict(edges=torch.ones(3, 3)), TypeError, "integer"),
    "edges in a row": (dict(edges=torch.ones(3).long()), ValueError, "N, N"),
    "one-way edges": (dict(edges=torch.tensor([[0, 1], [0, 0]])), ValueError, "no direction"),
    "edges not square": (dict(edges=torch.ones(2, 3).long()), ValueError, "symmetric"),
    "disagreement": (dict(mask=torch.ones(2, 3) > 0, features=torch.ones(3, 4)), ValueError, "mask.*features"),
}


@pytest.mark.parametrize("name", BAD_CONTEXTS)
def test_a_context_is_checked(name):
    fields, kind, words = BAD_CONTEXTS[name]
    with pytest.raises(kind, match=words):
        Context(**fields)


def test_fields_of_a_context_move_together():
    full = Context(mask=torch.ones(4, 3) > 0, features=torch.ones(4, 3, 2), edges=chain(3).expand(4, 3, 3))
    assert full.shape == (4, 3) and Context().shape is None and Context(edges=chain(3)).shape == (3,)
    part = full[torch.tensor([0, 2, 2])]
    assert part.mask.shape == (3, 3) and part.features.shape == (3, 3, 2) and part.edges.shape == (3, 3, 3)
    wide = full[0].expand(5, 2)
    assert wide.shape == (5, 2, 3) and torch.equal(wide.edges[4, 1], chain(3))
    moved = full.to(torch.float64)
    assert moved.features.dtype == torch.float64 and moved.mask.dtype == torch.bool
    assert full.to("cpu").edges.dtype == torch.int64
    assert Context(mask=full.mask)[1].features is None


def test_a_context_remembers_for_itself_alone():
    full, calls = context(3).expand(2), []
    compute = lambda: calls.append(1) or len(calls)  # noqa: E731
    assert [full.remember("key", compute), full.remember("key", compute), full.remember("other", compute)] == [1, 1, 2]
    assert full[0].remember("key", compute) == 3 and full.remember("key", compute) == 1
    assert full == context(3).expand(2) and hash(full) == hash(context(3).expand(2))  # what is remembered is no field


# -- data sets ---------------------------------------------------------------------------------------------------------
def dataset(kinds=10, each=3, points=4):
    index = torch.arange(kinds).repeat_interleave(each)
    clouds = index[:, None, None] + normal(len(index), points, 3).clamp(-0.4, 0.4)
    known = Context(
        mask=torch.ones(kinds, points) > 0,
        features=torch.arange(kinds).double()[:, None, None].expand(kinds, points, 1),
        edges=chain(points).expand(kinds, points, points),
    )
    return CloudDataset(clouds, index, tuple(f"molecule {k}" for k in range(kinds)), known)


def test_parts_share_no_kind_and_clouds_stay_with_their_kind():
    data = dataset()
    parts = data.split(0.6, 0.2, 0.2, seed=3)
    names = [set(part.names) for part in parts]
    assert [len(n) for n in names] == [6, 2, 2] and set.union(*names) == set(data.names)
    assert not any(names[i] & names[j] for i, j in ((0, 1), (0, 2), (1, 2)))
    for part in parts:
        true = torch.tensor([int(name.split()[1]) for name in part.names])
        clouds, known = part.batch(torch.arange(len(part)))
        assert torch.equal(clouds.mean((-2, -1)).round().long(), true[part.kinds])
        assert torch.equal(known.features[:, 0, 0].long(), true[part.kinds])
    assert sum(len(part) for part in parts) == len(data)
    assert data.split(0.5, 0.5, seed=3)[0].names == data.split(0.5, 0.5, seed=3)[0].names
    assert data.split(0.5, 0.5, seed=3)[0].names != data.split(0.5, 0.5, seed=4)[0].names


def test_no_part_of_a_split_is_empty():
    assert [len(part.names) for part in dataset(3).split(0.9, 0.05, 0.05)] == [1, 1, 1]
    assert [len(part.names) for part in dataset(4).split(0.05, 0.95)] == [1, 3]
    with pytest.raises(ValueError, match="at least 2 kinds"):
        dataset(1).split(0.8, 0.2)


BAD_DATA = {
    "rank": (lambda d: dict(clouds=d.clouds[0]), ValueError, "\\[M, N, d\\]"),
    "integers": (lambda d: dict(clouds=d.clouds.long()), ValueError, "floating"),
    "arrays": (lambda d: dict(clouds=d.clouds.numpy()), TypeError, "tensor"),
    "kinds missing": (lambda d: dict(kinds=d.kinds[1:]), ValueError, "kinds \\[30\\]"),
    "kinds of floats": (lambda d: dict(kinds=d.kinds.float()), ValueError, "int64"),
    "kinds without name": (lambda d: dict(names=d.names[:5]), ValueError, "0..4"),
    "other context": (lambda d: dict(context=d.context[:4]), ValueError, "context of shape \\[10, 4\\]"),
    "nan": (lambda d: dict(clouds=d.clouds.index_fill(0, torch.tensor([7]), math.nan)), ValueError, "7 .molecule 2"),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_a_data_set_is_checked(name):
    change, kind, words = BAD_DATA[name]
    data = dataset()
    with pytest.raises(kind, match=words):
        dataclasses.replace(data, **change(data))


@pytest.mark.parametrize("shares", [(), (0.5, 0.4), (1.5, -0.5), (1.0, 0.0)])
def test_shares_are_positive_and_sum_to_one(shares):
    with pytest.raises(ValueError, match="shares"):
        dataset().split(*shares)


@pytest.mark.parametrize("chosen", [[0, 0], [-1], [10]])
def test_kinds_are_chosen_once_and_exist(chosen):
    with pytest.raises(ValueError, match="distinct kinds in 0..9"):
        dataset().of_kinds(chosen)


def test_what_is_saved_is_loaded(tmp_path):
    for data in (dataset(), CloudDataset(normal(2, 3, 2).float(), torch.tensor([1, 0]), ("ä", "b"))):
        data.save(tmp_path / "data.npz")
        again = CloudDataset.load(tmp_path / "data.npz")
        assert again == data and again.clouds.dtype == data.clouds.dtype
    assert [p.name for p in tmp_path.iterdir()] == ["data.npz"]


def test_a_damaged_file_is_refused_with_its_name(tmp_path):
    path = tmp_path / "data.npz"
    dataset().save(path)
    whole = path.read_bytes()
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.savez(
        tmp_path / "nan.npz", clouds=np.full((1, 2, 3), np.nan), kinds=np.zeros(1, np.int64), names=np.array(["a"])
    )
    damaged = bytearray(whole)
    damaged[len(whole) // 2 :] = bytes(len(damaged[len(whole) // 2 :]))
    for name, text in {"cut": whole[:-40], "empty": b"", "text": b"C 0 0 0\n", "damaged": bytes(damaged)}.items():
        (tmp_path / f"{name}.npz").write_bytes(text)
    for name in ("other", "nan", "cut", "empty", "text", "damaged"):
        with pytest.raises(ValueError, match=f"written by CloudDataset.save, got .*{name}.npz"):
            CloudDataset.load(tmp_path / f"{name}.npz")
    with pytest.raises(FileNotFoundError):
        CloudDataset.load(tmp_path / "missing.npz")


# -- paths -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", PATHS)
def test_rates_of_a_path_are_its_derivatives(name):
    path, prior = PATHS[name], torch.tensor([0.3, 1.0, 2.5], dtype=torch.float64)
    rate = torch.func.vmap(torch.func.grad(path.beta))(T)
    torch.testing.assert_close(path.beta_rate(T), rate)
    for value in prior:
        rate = torch.func.vmap(torch.func.grad(lambda t, value=value: path.variance(t, value)))(T)
        torch.testing.assert_close(path.half_variance_rate(T, value), rate / 2)
        torch.testing.assert_close(path.variance(T, value), path.alpha(T) ** 2 * value + path.gamma_squared(T))


@pytest.mark.parametrize("name", PATHS)
def test_a_path_leads_from_the_prior_to_data(name):
    path, ends = PATHS[name], torch.tensor([0.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(path.alpha(ends), torch.tensor([1.0, 0.0]).double(), atol=1e-15, rtol=0)
    torch.testing.assert_close(path.beta(ends), torch.tensor([0.0, 1.0]).double(), atol=1e-15, rtol=0)
    assert path.gamma_squared(ends).tolist() == [0, 0]


@pytest.mark.parametrize("bridge", [-1.0, math.nan, math.inf, "big"])
def test_a_bridge_is_a_number(bridge):
    with pytest.raises(ValueError, match="bridge"):
        Linear(bridge=bridge)


# -- priors ------------------------------------------------------------------------------------------------------------
def laplacian(edges):
    bonds = (edges != 0).double()
    return torch.diag(bonds.sum(-1)) - bonds


@pytest.mark.parametrize("points", [5, 8])
def test_the_harmonic_covariance_is_the_pseudo_inverse_of_the_laplacian(points):
    known, prior = context(5, points), HarmonicPrior(stiffness=2.5)
    known.edges[0, 3] = known.edges[3, 0] = 4  # a ring, with a bond of another kind
    expected = np.zeros((points, points))
    expected[:5, :5] = np.linalg.pinv(2.5 * laplacian(known.edges)[:5, :5].numpy())
    centred = torch.eye(points, dtype=torch.float64)
    centred[:5, :5] -= 1 / 5
    centred[5:] = 0
    got = prior.apply(lambda s: s, centred, known)
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-12)
    root = prior.apply(torch.sqrt, centred, known)
    torch.testing.assert_close(root @ root, got, atol=1e-12, rtol=0)
    inverse = prior.apply(lambda s: 1 / s, centred, known)
    np.testing.assert_allclose((inverse / 2.5)[:5, :5].numpy(), laplacian(known.edges)[:5, :5].numpy(), atol=1e-12)


def test_bonds_of_a_harmonic_tree_have_the_stated_variance():
    """Chain of 4, stiffness 2: each coordinate of each bond N(0, 1/2), independent; 20000 draws, SE below 0.004."""
    process, known = Diffusion(prior=HarmonicPrior(2.0)), context(4, 6).expand(20000)
    x = process.sample_prior(torch.zeros(20000, 6, 3), known, generator=torch.Generator().manual_seed(0))
    assert x[:, 4:].abs().max() == 0 and x.mean(-2).abs().max() < 1e-6
    bonds = x[:, :4].diff(dim=-2).flatten(1)
    torch.testing.assert_close(torch.cov(bonds.mT), 0.5 * torch.eye(9), atol=0.022, rtol=0)


def test_graphs_that_do_not_hang_together_are_refused():
    prior, x = HarmonicPrior(), normal(4, 3)
    apart = chain(4)
    apart[1, 2] = apart[2, 1] = 0
    through_padding = torch.zeros(4, 4, dtype=torch.int64)
    through_padding[2, 3] = through_padding[3, 2] = 1
    cases = [Context(edges=apart), Context(edges=through_padding, mask=torch.tensor([True, True, False, False]))]
    for known in (*cases, Context(edges=torch.zeros(4, 4, dtype=torch.int64))):
        with pytest.raises(ValueError, match="connected graph"):
            prior.apply(torch.sqrt, x, known)
    for known in (None, Context(mask=torch.ones(4) > 0)):
        with pytest.raises(ValueError, match="context with edges"):
            prior.apply(torch.sqrt, x, known)
    with pytest.raises(ValueError, match="connected graph"):  # one of a batch
        prior.apply(torch.sqrt, normal(2, 4, 3), Context(edges=torch.stack([chain(4), apart])))


@pytest.mark.parametrize("value", [0, -1.0, math.inf, math.nan, True, "1"])
def test_scales_are_positive(value):
    with pytest.raises(ValueError, match="scale"):
        GaussianPrior(value)
    with pytest.raises(ValueError, match="stiffness"):
        HarmonicPrior(value)


# -- processes ---------------------------------------------------------------------------------------------------------
class NormalClouds:
    """Data N(0, B) with B = P A A^T P on points, the same in each direction: x_t ~ N(0, M), exactly.

    Coordinates y of centred clouds x = Q y with Q^T W Q = 1, W the masses: log densities in the action's metric.
    """

    def __init__(self, process, masses, known=None, seed=0):
        n = len(masses)
        self.process, self.known, self.w = process, known, masses
        centre = torch.eye(n, dtype=torch.float64) - masses[None] / masses.sum()  # x -> x - mean
        root = centre @ normal(n, n, seed=seed)
        self.data = root @ root.mT
        if isinstance(process.prior, HarmonicPrior):
            prior = torch.linalg.pinv(process.prior.stiffness * laplacian(known.edges))
        else:
            prior = process.prior.scale**2 * (torch.diag(1 / masses) - 1 / masses.sum())
        noise = torch.diag(1 / masses) - 1 / masses.sum()
        path = process.interpolant
        self.spread = lambda t: path.alpha(t) ** 2 * prior + path.gamma_squared(t) * noise
        self.law = lambda t: path.beta(t) ** 2 * self.data + self.spread(t)
        basis = torch.linalg.svd(masses.sqrt()[:, None] * centre / masses.sqrt())[0][:, : n - 1]
        self.basis = basis / masses.sqrt()[:, None]

    def denoised(self, x, t):
        """Cov(x_1, x_t) Var(x_t)^-1 x."""
        return self.process.interpolant.beta(t) * self.data @ torch.linalg.pinv(self.law(t)) @ x

    def log_density(self, y, t):
        weighted = self.w[:, None] * self.basis
        covariance = weighted.mT @ self.law(t) @ weighted
        law = torch.distributions.MultivariateNormal(torch.zeros(len(covariance)).double(), covariance)
        return law.log_prob(y.mT).sum()

    def score(self, x, t):
        y = (self.w[:, None] * self.basis).mT @ x
        return self.basis @ torch.func.grad(lambda y: self.log_density(y, t))(y)

    def velocity(self, x, t):
        """M'/2 M^-1 x: the flow of normal laws that are carried by x_t = alpha x_0 + beta x_1 + gamma eps."""
        rate = torch.func.jvp(self.law, (t,), (torch.ones_like(t),))[1]
        return rate / 2 @ torch.linalg.pinv(self.law(t)) @ x


def processes():
    yield "gaussian", GaussianPrior(1.3), None, None
    yield "masses", GaussianPrior(0.7), torch.tensor([1.0, 12.0, 16.0, 2.0, 1.0]), None
    yield "harmonic", HarmonicPrior(1.7), None, context(5)


CASES = {
    f"{kind}, {path}": (prior, masses, known, PATHS[path])
    for kind, prior, masses, known in processes()
    for path in (PATHS if kind != "masses" else ["bridge"])
}


def example(name):
    prior, masses, known, path = CASES[name]
    process = Diffusion(PointCloudAction(SpecialEuclidean(3), weights=masses), path, prior)
    return NormalClouds(process, torch.ones(5).double() if masses is None else masses.double(), known), process, known


@pytest.mark.parametrize("name", CASES)
def test_velocity_and_score_of_a_normal_law_are_exact(name):
    exact, process, known = example(name)
    x = process.centre(normal(5, 3, seed=1))
    for t in T[[0, 3, 6]]:
        denoised = exact.denoised(x, t)
        torch.testing.assert_close(process.score(x, t, denoised, known), exact.score(x, t), atol=1e-8, rtol=1e-8)
        torch.testing.assert_close(process.velocity(x, t, denoised, known), exact.velocity(x, t), atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_the_score_is_horizontal_for_each_prior_and_the_velocity_for_independent_points_alone(name):
    exact, process, known = example(name)
    x, t = process.centre(normal(5, 3, seed=1)), T[3]
    denoised = exact.denoised(x, t)
    score, velocity = process.score(x, t, denoised, known), process.velocity(x, t, denoised, known)
    torch.testing.assert_close(process.project(x, score, known), score, atol=1e-9, rtol=0)
    vertical = velocity - process.project(x, velocity, known)
    if name.startswith("harmonic"):
        assert float(vertical.norm() / velocity.norm()) > 0.01
    else:
        assert float(vertical.norm()) < 1e-9


@pytest.mark.parametrize("name", CASES)
def test_velocity_error_is_what_a_wrong_denoiser_adds(name):
    _, process, known = example(name)
    x, denoised, wrong = (process.centre(normal(5, 3, seed=k)) for k in (1, 2, 3))
    for t in T:
        added = process.velocity(x, t, denoised + wrong, known) - process.velocity(x, t, denoised, known)
        torch.testing.assert_close(process.velocity_error(t, wrong, known, clip=math.inf), added, atol=1e-9, rtol=1e-9)
    near = process.velocity_error(torch.tensor(1 - 1e-6), wrong, known, clip=3.0)
    torch.testing.assert_close(near, 3 * wrong, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", ["gaussian, bridge", "masses, bridge", "harmonic, bridge"])
def test_draws_of_the_path_have_its_mean_and_covariance(name):
    """20000 clouds, each entry of mean and covariance within 4.5 standard errors."""
    exact, process, known = example(name)
    n, t, x1 = 20000, torch.tensor(0.4).double(), normal(5, 3, seed=4)
    wide = None if known is None else known.expand(n)
    x = process.interpolate(x1.expand(n, 5, 3), t.expand(n), wide, generator=torch.Generator().manual_seed(0))
    spread = exact.spread(t)
    error = (spread.diagonal()[:, None] / n).sqrt()
    assert float(((x.mean(0) - t * process.centre(x1)) / error).abs().max()) < 4.5
    for column in range(3):
        covariance = torch.cov(x[..., column].mT)
        outer = spread.diagonal()[:, None] * spread.diagonal()
        error = ((outer + spread.square()) / n).sqrt()
        assert float(((covariance - spread) / error).abs().max()) < 4.5
    between = (x[..., 0] - x[..., 0].mean(0)).mT @ (x[..., 1] - x[..., 1].mean(0)) / n
    assert float((between / (outer / n).sqrt()).abs().max()) < 4.5


def test_noise_is_centred_by_mass_and_misses_what_is_not_there():
    masses, mask = torch.tensor([1.0, 4.0, 9.0, 2.0]), torch.tensor([True, True, True, False])
    process = Diffusion(PointCloudAction(SpecialEuclidean(3), weights=masses))
    z = process.noise(
        torch.zeros(20000, 4, 3), Context(mask=mask.expand(20000, 4)), generator=torch.Generator().manual_seed(1)
    )
    assert z[:, 3].abs().max() == 0 and (masses[:3, None] * z[:, :3]).sum(1).abs().max() < 1e-4
    expected = torch.diag(1 / masses[:3]) - 1 / masses[:3].sum()
    torch.testing.assert_close(torch.cov(z[:, :3, 0].mT), expected, atol=0.03, rtol=0)  # SE below 0.0095


def test_clouds_are_centred_where_translations_belong_to_the_group():
    x, mask = normal(2, 4, 3), torch.tensor([[True] * 4, [True, True, False, True]])
    rigid, rotations = Diffusion(), Diffusion(PointCloudAction(SpecialOrthogonal(3)))
    got = rigid.centre(x, Context(mask=mask))
    assert got[0].mean(0).abs().max() < 1e-12 and got[1, mask[1]].mean(0).abs().max() < 1e-12
    assert got[1, 2].abs().max() == 0
    expected = torch.where(mask[..., None], x, 0.0)
    torch.testing.assert_close(rotations.centre(x, Context(mask=mask)), expected)
    assert torch.equal(rotations.centre(x), x)
    denoised = rigid.denoise(lambda x, t, context: x + 5, x, torch.tensor(0.5), Context(mask=mask))
    torch.testing.assert_close(denoised, got)


def test_masked_points_are_as_if_they_were_not_there():
    known, process = Context(mask=torch.tensor([True, True, True, True, False, False])), Diffusion()
    x = process.centre(normal(6, 3), known)
    v = normal(6, 3, seed=1)
    for ours, alone in (
        (process.project(x, v, known), process.project(x[:4], v[:4])),
        (process.mean_curvature(x, known), process.mean_curvature(x[:4])),
    ):
        torch.testing.assert_close(ours[:4], alone, atol=1e-10, rtol=0)
        assert ours[4:].abs().max() == 0
    torch.testing.assert_close(process.log_orbit_volume(x, known), process.log_orbit_volume(x[:4]))


def test_the_action_of_a_mask_is_made_once_and_a_full_mask_is_none():
    ragged, full = Context(mask=torch.tensor([True, True, False])), Context(mask=torch.ones(3) > 0)
    plain, heavy = Diffusion(), Diffusion(PointCloudAction(SpecialEuclidean(3), torch.tensor([1.0, 2.0, 3.0])))
    for process, masses in ((plain, [1.0, 1.0, 0.0]), (heavy, [1.0, 2.0, 0.0])):  # one context, two processes
        with torch.inference_mode():
            action = process.action_for(ragged)
        assert action is process.action_for(ragged) and action.weights.tolist() == masses
        assert not action.weights.is_inference()
    assert plain.action_for(full) is plain.action and heavy.action_for(full).weights.tolist() == [1.0, 2.0, 3.0]
    for context in (full, ragged):
        with pytest.raises(ValueError, match="of 3 points, as the context or the weights have"):
            plain.centre(torch.zeros(4, 3), context)


def test_what_a_denoiser_is_given():
    seen = []

    def denoiser(x, t, context):
        seen.append((x.shape, t.shape, t.dtype, context))
        return x

    known = context(5).expand(2, 3)
    Diffusion().denoise(denoiser, normal(2, 3, 5, 3).float(), torch.tensor(0.3, dtype=torch.float64), known)
    assert seen == [((2, 3, 5, 3), (2, 3), torch.float32, known)]


BAD_PROCESSES = {
    "action": (lambda: Diffusion(action=SpecialEuclidean(3)), TypeError, "action to be an Action"),
    "path": (lambda: Diffusion(interpolant="linear"), TypeError, "Interpolant"),
    "prior": (lambda: Diffusion(prior=1.0), TypeError, "Prior"),
    "harmonic rotations": (
        lambda: Diffusion(PointCloudAction(SpecialOrthogonal(3)), prior=HarmonicPrior()),
        ValueError,
        "GaussianPrior",
    ),
    "harmonic masses": (
        lambda: Diffusion(PointCloudAction(SpecialEuclidean(3), weights=[1.0, 2.0]), prior=HarmonicPrior()),
        ValueError,
        "equal masses",
    ),
}


@pytest.mark.parametrize("name", BAD_PROCESSES)
def test_a_process_is_checked(name):
    make, kind, words = BAD_PROCESSES[name]
    with pytest.raises(kind, match=words):
        make()


# -- what fits what ------------------------------------------------------------------------------------------------


def test_the_scale_of_a_data_set_leaves_centre_and_padding_out() -> None:
    """By numpy, cloud for cloud."""
    x = torch.randn(3, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 5.0
    x[1, 2:] = 0.0
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    data = CloudDataset(x, torch.tensor([0, 1, 0]), ("a", "b"), Context(mask=mask))
    kept = [cloud[:n] - cloud[:n].mean(0) for cloud, n in zip(x.numpy(), (4, 2, 4), strict=True)]
    square = sum((c**2).sum() for c in kept) / sum(c.size for c in kept)
    assert data.scale() == pytest.approx(square**0.5, rel=1e-12)
    with pytest.raises(ValueError, match="points apart"):
        CloudDataset(torch.ones(2, 3, 3), torch.tensor([0, 0]), ("one point",)).scale()


def test_the_spread_of_a_prior_is_that_of_its_draws() -> None:
    """20,000 draws of two trees, one of them padded; four standard errors (.5 %)."""
    edges = torch.zeros(2, 5, 5, dtype=torch.int64)
    for graph, bonds in enumerate(([(0, 1), (1, 2), (2, 3), (3, 4)], [(0, 1), (0, 2)])):
        for i, j in bonds:
            edges[graph, i, j] = edges[graph, j, i] = 1
    mask = torch.tensor([[True] * 5, [True, True, True, False, False]])
    context = Context(mask=mask, edges=edges)
    prior = HarmonicPrior(2.0)
    x = Diffusion(prior=prior).sample_prior(
        torch.zeros(20_000, 2, 5, 3), context.expand(20_000), generator=torch.Generator().manual_seed(0)
    )
    square = float(x.square().sum((-2, -1)).mean(0).sum() / (3 * (4 + 2)))
    assert prior.spread(context) == pytest.approx(square**0.5, rel=0.02)
    assert GaussianPrior(1.7).spread() == 1.7
