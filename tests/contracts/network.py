"""The contract of a network on clouds: inherit ``NetworkContract`` and give ``make(**options)``.

Networks are born as the linear denoiser, so their parameters are moved at random before anything is tested. All in
float64 with differences beyond rounding; negative tests belong to the file that inherits.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pyro_symvi.groups import SpecialOrthogonal
from pyro_symvi.quotient import CloudDataset, Context, Diffusion, GaussianPrior, Linear, Trigonometric
from pyro_symvi.quotient.networks import CloudNetwork, build_network

FEATURES, EDGE_KINDS, POINTS = 3, 2, 6


def moved(network: CloudNetwork, seed: int = 1) -> CloudNetwork:
    """The network in float64 with a random step from where it was born."""
    generator = torch.Generator().manual_seed(seed)
    network = network.double()
    with torch.no_grad():
        for parameter in network.parameters():
            size = max(parameter.shape[-1], 1) ** 0.5
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / size)
    return network


def clouds(*shape: int, seed: int = 2) -> Tensor:
    """Normal points in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def times(*shape: int, seed: int = 5) -> Tensor:
    """Uniform times in float64."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def context(*batch: int, seed: int = 3, mask: Tensor | None = None) -> Context:
    """Features and a chain with one more edge, different in each cloud."""
    features = clouds(*batch, POINTS, FEATURES, seed=seed)
    kinds = torch.randint(1, EDGE_KINDS + 1, (*batch, POINTS - 1), generator=torch.Generator().manual_seed(seed))
    edges = torch.diag_embed(kinds, 1) + torch.diag_embed(kinds, -1)
    return Context(mask=mask, features=features, edges=edges)


def turn(seed: int = 4, n: int = 1) -> Tensor:
    """Random rotations ``[n, 3, 3]``."""
    return SpecialOrthogonal(3).sample(n, generator=torch.Generator().manual_seed(seed))


class NetworkContract:
    """Tests that every network passes."""

    permutes = True
    """Whether the order of points is of no account."""

    def make(self, **options: Any) -> CloudNetwork:
        raise NotImplementedError("give a small network with these options")

    def ready(self, **options: Any) -> CloudNetwork:
        return moved(self.make(features=FEATURES, edge_kinds=EDGE_KINDS, **options)).requires_grad_(False)

    def test_batches_are_of_no_account(self) -> None:
        network, x, t, known = self.ready(), clouds(2, 3, POINTS, 3), times(2, 3), context(2, 3)
        whole = network(x, t, known)
        assert whole.shape == x.shape and float(whole.std()) > 0.1
        for i in range(2):
            for j in range(3):
                assert torch.allclose(network(x[i, j], t[i, j], known[i, j]), whole[i, j], atol=1e-12)
        same = network(x, torch.tensor(0.3, dtype=torch.float64), known[0, 0])
        spelled = known[0, 0].expand(2, 3)
        assert torch.allclose(same, network(x, torch.full((2, 3), 0.3, dtype=torch.float64), spelled), atol=1e-12)
        assert network(x[:0], t[:0], known[:0]).shape == (0, 3, POINTS, 3)

    def test_dtypes(self) -> None:
        network, x, t, known = self.ready(), clouds(4, POINTS, 3), times(4), context(4)
        exact = network(x, t, known)
        narrow = network.float()(x.float(), t.float(), known.to(torch.float32))
        assert exact.dtype == torch.float64 and narrow.dtype == torch.float32
        assert float((narrow.double() - exact).abs().max()) < 1e-4 * max(1.0, float(exact.abs().max()))
        assert network(x, t, known).dtype == torch.float64  # points come back in their own dtype

    def test_what_is_remembered_of_a_graph_goes_with_its_rows(self) -> None:
        network, x, t, known = self.ready(), clouds(4, POINTS, 3), times(4), context(4)
        fresh = [network(x[rows], t[rows], context(4)[rows]) for rows in ([2, 0], [3])]
        network(x, t, known)  # remembers
        for rows, wanted in zip(([2, 0], [3]), fresh, strict=True):
            assert torch.equal(network(x[rows], t[rows], known[rows]), wanted)
        assert torch.equal(self.ready(hops=0)(x, t, known), self.ready(hops=0)(x, t, context(4)))

    def test_permutations(self) -> None:
        if not self.permutes:
            pytest.skip("the order of points is a sequence here")
        network, x, t, known = self.ready(), clouds(4, POINTS, 3), times(4), context(4)
        order = torch.tensor([3, 1, 5, 0, 2, 4])
        assert known.features is not None and known.edges is not None
        shuffled = Context(features=known.features[:, order], edges=known.edges[:, order][:, :, order])
        assert torch.allclose(network(x[:, order], t, shuffled), network(x, t, known)[:, order], atol=1e-11)
        assert not torch.allclose(network(x[:, order], t, known), network(x, t, known)[:, order], atol=1e-3)

    def test_padding_never_matters(self) -> None:
        network, x, t, known = self.ready(), clouds(3, POINTS, 3), times(3), context(3)
        sizes = torch.tensor([4, POINTS, 1])
        mask = torch.arange(POINTS) < sizes[:, None]
        ragged = Context(mask=mask, features=known.features, edges=known.edges)
        other = x + 7.0 * (~mask[..., None])
        assert known.features is not None and known.edges is not None
        inside = mask[:, :, None] & mask[:, None, :]
        strange = Context(
            mask=mask,
            features=torch.where(mask[..., None], known.features, 5.0),
            edges=torch.where(inside, known.edges, 0),
        )
        found = network(x, t, Context(mask=mask, features=known.features, edges=strange.edges))
        assert torch.equal(found, torch.where(mask[..., None], found, 0.0))
        assert torch.allclose(network(other, t, strange), found, atol=1e-12)
        for i, size in enumerate(sizes.tolist()):
            cut = Context(features=known.features[i, :size], edges=known.edges[i, :size, :size])
            assert torch.allclose(network(x[i, :size], t[i], cut), found[i, :size], atol=1e-11)
        full = Context(mask=torch.ones_like(mask), features=ragged.features, edges=ragged.edges)
        assert torch.allclose(network(x, t, full), network(x, t, known), atol=1e-12)

    def test_translations_and_the_centre(self) -> None:
        network, x, t, known = self.ready(), clouds(4, POINTS, 3), times(4), context(4)
        found = network(x, t, known)
        assert torch.allclose(network(x + torch.tensor([1.0, -2.0, 3.0]).double(), t, known), found, atol=1e-11)
        assert float(found.mean(-2).abs().max()) < 1e-12

    def test_gradients_reach_every_parameter(self) -> None:
        network, x, t, known = self.ready(), clouds(8, POINTS, 3), times(8), context(8)
        network.requires_grad_(True)(x, t, known).square().sum().backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None and bool(torch.isfinite(parameter.grad).all()), name
            assert float(parameter.grad.abs().max()) > 1e-12, name

    def test_gradient_against_differences(self) -> None:
        network, x, known = self.ready(), clouds(POINTS, 3), context()
        t = torch.tensor(0.4, dtype=torch.float64)
        y = x.clone().requires_grad_()
        way = clouds(POINTS, 3, seed=9)
        (slope,) = torch.autograd.grad(network(y, t, known).sin().sum(), y)
        h = 1e-6
        rise = (network(x + h * way, t, known).sin().sum() - network(x - h * way, t, known).sin().sum()) / (2 * h)
        assert float((slope * way).sum()) == pytest.approx(float(rise), rel=1e-6, abs=1e-8)

    def test_transforms_of_functions(self) -> None:
        """Forward, backward and vectorised derivatives agree: divergences of the flow need them."""
        network, x, t, known = self.ready(), clouds(POINTS, 3), times(1)[0], context()
        forward = torch.func.jacfwd(lambda y: network(y, t, known))(x)
        backward = torch.func.jacrev(lambda y: network(y, t, known))(x)
        assert torch.allclose(forward, backward, atol=1e-11)
        many = clouds(3, POINTS, 3)
        assert torch.allclose(
            torch.func.vmap(lambda y: network(y, t, known))(many), network(many, t, known), atol=1e-12
        )

    def test_one_place_and_straight_lines(self) -> None:
        network, t, known = self.ready(), times(3), context(3)
        line = torch.linspace(-1, 1, POINTS, dtype=torch.float64)[:, None] * torch.tensor([1.0, 2.0, 2.0]).double()
        x = torch.stack([torch.zeros(POINTS, 3, dtype=torch.float64), line, clouds(POINTS, 3)]).requires_grad_()
        found = network(x, t, known)
        (slope,) = torch.autograd.grad(found.sum(), x)
        assert bool(torch.isfinite(slope).all())
        assert torch.allclose(found[2], network(x[2], t[2], known[2]), atol=1e-12)

    def test_untrained_it_is_the_denoiser_of_normal_clouds(self) -> None:
        """E[x_1 | x_t] = beta s_d^2 / (beta^2 s_d^2 + C) x_t for x_1 ~ N(0, s_d^2): Bayes' rule for two normals."""
        x, t = clouds(5, POINTS, 3), torch.tensor([0.0, 0.3, 0.5, 0.9, 1.0], dtype=torch.float64)
        for path in (Linear(), Linear(bridge=0.4), Trigonometric()):
            network = self.make(data_scale=1.7, noise_scale=0.6, interpolant=path).double()
            beta = path.beta(t)
            total = beta**2 * 1.7**2 + path.variance(t, torch.tensor(0.6**2, dtype=torch.float64))
            wanted = (beta * 1.7**2 / total)[:, None, None] * (x - x.mean(-2, keepdim=True))
            assert torch.allclose(network(x, t), wanted, atol=1e-12)
        assert torch.allclose(
            moved(network)(x[-1], t[-1]), x[-1] - x[-1].mean(-2), atol=1e-7
        )  # at t = 1 nothing is left to do; the cosine of pi / 2 is not quite 0

    def test_a_denoiser_of_the_core(self) -> None:
        network, x, known = self.ready(), clouds(3, POINTS, 3), context(3)
        t = torch.tensor(0.5, dtype=torch.float64)
        assert torch.allclose(Diffusion().denoise(network, x, t, known), network(x, t, known), atol=1e-12)

    def test_config_rebuilds_the_network(self) -> None:
        before = torch.random.get_rng_state()
        network = self.make(features=FEATURES, edge_kinds=EDGE_KINDS, interpolant=Linear(bridge=0.2), seed=5)
        again = build_network(network.config)
        assert torch.equal(torch.random.get_rng_state(), before)
        assert type(again) is type(network) and again.config == network.config
        assert again.interpolant == Linear(bridge=0.2)
        for (name, a), b in zip(network.state_dict().items(), again.state_dict().values(), strict=True):
            assert torch.equal(a, b), name
        other = self.make(features=FEATURES, edge_kinds=EDGE_KINDS, seed=6)
        assert any(not torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters(), strict=True))
        again.double().load_state_dict(moved(network).state_dict())
        x, t, known = clouds(POINTS, 3), torch.tensor(0.4, dtype=torch.float64), context()
        assert torch.equal(again(x, t, known), network(x, t, known))

    def test_config_is_plain(self) -> None:
        import json

        network = self.make(interpolant=Trigonometric())
        assert build_network(json.loads(json.dumps(network.config))).config == network.config

    @pytest.mark.parametrize(
        ("options", "given", "words"),
        [
            ({"features": 3}, Context(), "expected 3 features a point, got none"),
            ({"features": 2}, context(), "expected 2 features a point, got 3"),
            ({}, Context(features=torch.zeros(POINTS, 3)), "expected no features a point, got 3"),
            ({"edge_kinds": 1}, Context(), "expected a context with edges"),
            ({}, Context(edges=torch.zeros(POINTS, POINTS).long()), "expected no edges"),
            ({"edge_kinds": 1}, Context(edges=2 * torch.eye(POINTS).long()), "expected edges in 0..1, got 0..2"),
            ({"edge_kinds": 1}, Context(edges=-torch.eye(POINTS).long()), "expected edges in 0..1, got -1..0"),
            ({}, Context(mask=torch.ones(2, dtype=torch.bool)), "expected a context of shape"),
            ({}, Context(mask=torch.ones(3, POINTS, dtype=torch.bool)), "expected a context of shape"),
        ],
        ids=["none", "other", "unwanted", "no edges", "unwanted edges", "kind 2", "kind -1", "points", "batch"],
    )
    def test_wrong_contexts_are_named(self, options: dict[str, int], given: Context, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            self.make(**options)(clouds(POINTS, 3), torch.tensor(0.5), given)

    def test_for_dataset_fits_the_data_and_is_born_exact_for_normal_ones(self) -> None:
        """Born, it denoises normal data of the data set's scale: E[x_1 | x_t] = beta s^2 / (C + beta^2 s^2) x_t."""
        known = context(2)
        data = CloudDataset(3 * clouds(50, POINTS, 3), torch.arange(50) % 2, ("a", "b"), known)
        diffusion = Diffusion(interpolant=Trigonometric(), prior=GaussianPrior(2.0))
        network = type(self.make()).for_dataset(data, diffusion, layers=1, width=16).double()
        x, t, s = clouds(4, POINTS, 3), torch.tensor(0.4, dtype=torch.float64), data.scale()
        x = diffusion.centre(x)
        beta, noise = diffusion.interpolant.beta(t), diffusion.interpolant.variance(t, torch.tensor(4.0))
        exact = beta * s**2 / (noise + beta**2 * s**2) * x
        assert torch.allclose(network(x, t, known[0]), exact, rtol=1e-6)
        assert network.config["features"] == FEATURES and network.config["edge_kinds"] == int(known.edges.max())
        with pytest.raises(ValueError, match="points apart"):
            type(self.make()).for_dataset(CloudDataset(0 * data.clouds, data.kinds, ("a", "b"), known), diffusion)

    def test_wrong_points_and_times_are_named(self) -> None:
        network = self.make()
        with pytest.raises(ValueError, match="expected floating points"):
            network(torch.zeros(4, 2), torch.tensor(0.5))
        with pytest.raises(ValueError, match="expected floating points"):
            network(torch.zeros(4, 3).long(), torch.tensor(0.5))
        with pytest.raises(ValueError, match=r"expected times \[2\]"):
            network(torch.zeros(2, 4, 3), times(3))

    @pytest.mark.parametrize("name", ["data_scale", "noise_scale"])
    def test_wrong_scales_are_named(self, name: str) -> None:
        for value in (0.0, -1.0, float("nan"), float("inf"), True):
            with pytest.raises(ValueError, match=name):
                self.make(**{name: value})

    def test_wrong_options_are_named(self) -> None:
        with pytest.raises(TypeError, match="expected an Interpolant"):
            self.make(interpolant="linear")
        with pytest.raises(ValueError, match="layers"):
            self.make(layers=0)
        with pytest.raises(ValueError, match="seed"):
            self.make(seed=-1)
