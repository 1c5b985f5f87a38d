"""The element between poses as a latent variable: evidence, posterior and training in Pyro."""

import math

import pyro
import pytest
import torch
from pyro.infer import SVI, Trace_ELBO, TraceEnum_ELBO
from torch import Tensor, nn

from pyro_symvi.deformable import (
    FrameLoss,
    FrameSymmetry,
    LikelihoodLoss,
    Minimum,
    Pairs,
    PoseModel,
    Softmin,
    bilateral,
    rotational,
)
from pyro_symvi.deformable._points import grid_points
from pyro_symvi.groups import Cyclic, MatrixRepresentation


def a_network(dim: int = 3) -> nn.Module:
    network = nn.Conv2d(3, dim, 5, stride=2, padding=2).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / 4)
    return network


def some_pairs(batch: int = 3, side: int = 8, seed: int = 0) -> Pairs:
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.rand(2, batch, 3, side, side, generator=generator, dtype=torch.float64)
    cells = (side // 2) ** 2
    points = 2 * torch.rand(batch, cells, 2, generator=generator, dtype=torch.float64) - 1
    weight = (torch.rand(batch, cells, generator=generator, dtype=torch.float64) < 0.8).double()
    return Pairs(first, second, points, torch.zeros(batch, dtype=torch.long), weight)


def softmin_of(pose: PoseModel, pairs: Pairs) -> Tensor:
    return pose.loss(pose.network(pairs.first), pose.network(pairs.second), pairs)


@pytest.mark.parametrize("pair", [None, LikelihoodLoss()], ids=["distance", "likelihood"])
def test_the_elbo_is_the_softmin_and_so_is_its_gradient(pair: LikelihoodLoss | None) -> None:
    tau = 0.03
    loss = FrameLoss(rotational(5), *([pair] if pair else []), relaxation=Softmin(tau))
    pose, pairs, elbo = PoseModel(a_network(), loss), some_pairs(), TraceEnum_ELBO(max_plate_nesting=1)
    evidence = softmin_of(pose, pairs).sum() / tau
    slopes, wanted = torch.autograd.grad(evidence, list(pose.network.parameters())), float(evidence.detach())
    for guide in (pose.guide, lambda pairs: None):
        pose.network.zero_grad()
        found = elbo.loss_and_grads(pose.model, guide, pairs)
        assert found == pytest.approx(wanted, rel=1e-9)
        for parameter, slope in zip(pose.network.parameters(), slopes, strict=True):
            torch.testing.assert_close(parameter.grad, slope)


def test_another_guide_falls_short_by_its_divergence_from_the_posterior() -> None:
    pose = PoseModel(a_network(), FrameLoss(rotational(4), relaxation=Softmin(0.2)))
    pairs, elbo = some_pairs(), TraceEnum_ELBO(max_plate_nesting=1)
    weights = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64).expand(3, 4)

    def guide(pairs: Pairs) -> None:
        with pyro.plate("pairs", 3):
            pyro.sample("element", pyro.distributions.Categorical(weights), infer={"enumerate": "parallel"})

    posterior = pose.posterior(pairs)
    assert posterior.shape == (3, 4)
    torch.testing.assert_close(posterior.sum(-1), torch.ones(3, dtype=torch.float64))
    gap = float((weights * (weights / posterior).log()).sum())
    evidence = elbo.loss(pose.model, pose.guide, pairs)
    assert gap > 0.01 and elbo.loss(pose.model, guide, pairs) == pytest.approx(evidence + gap)


@pytest.mark.filterwarnings("ignore:element")
def test_without_enumeration_single_draws_average_to_the_evidence() -> None:
    """With the exact posterior every draw has log p / q equal to the evidence: no variance at all."""
    pose, pairs = PoseModel(a_network(), FrameLoss(rotational(3), relaxation=Softmin(0.5))), some_pairs()
    wanted = float(softmin_of(pose, pairs).detach().sum()) / 0.5
    pyro.set_rng_seed(0)
    for _ in range(3):
        assert Trace_ELBO().loss(pose.model, pose.guide, pairs) == pytest.approx(wanted, rel=1e-9)


def test_svi_trains_the_network() -> None:
    pose, pairs = PoseModel(a_network(), FrameLoss(rotational(2), relaxation=Softmin(0.1))), some_pairs()
    before = float(softmin_of(pose, pairs).detach().mean())
    other = a_network()
    direct, optimiser = PoseModel(other, pose.loss), torch.optim.Adam(other.parameters(), lr=0.02)
    svi = SVI(pose.model, pose.guide, pyro.optim.Adam({"lr": 0.02}), TraceEnum_ELBO(max_plate_nesting=1))
    for _ in range(12):
        svi.step(pairs)
        optimiser.zero_grad()
        (softmin_of(direct, pairs).sum() / 0.1).backward()
        optimiser.step()
    torch.testing.assert_close(pose.network.state_dict(), other.state_dict())
    assert float(softmin_of(pose, pairs).detach().mean()) < 0.97 * before


class Fixed(nn.Module):
    """The same frame ``[1, D, h, w]`` for every image."""

    def __init__(self, frame: Tensor) -> None:
        super().__init__()
        self.frame = nn.Parameter(frame)

    def forward(self, images: Tensor) -> Tensor:
        return self.frame.expand(len(images), -1, -1, -1)


def turned_pairs(elements: list[int], symmetry: FrameSymmetry, side: int = 6) -> Pairs:
    """An image without any texture and itself, turned by known quarter turns: the appearance shows none of them."""
    grid = grid_points(side, side, like=torch.zeros((), dtype=torch.float64))
    quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    points = torch.stack([grid @ torch.linalg.matrix_power(quarter, k).mT for k in elements])
    images = torch.ones(len(elements), 3, 2 * side, 2 * side, dtype=torch.float64)
    still = torch.zeros(len(elements), dtype=torch.long)
    return Pairs(images, images, points, still, torch.ones(points.shape[:2], dtype=torch.float64))


def divergence(q: Tensor) -> float:
    """KL(q || uniform)."""
    return float(torch.special.xlogy(q, q * q.shape[-1]).sum(-1).mean())


@pytest.mark.parametrize("stabiliser", [[0], [0, 2], [0, 1, 2, 3]], ids=str)
def test_a_frame_that_tells_places_apart_has_a_sure_element(stabiliser: list[int]) -> None:
    """However symmetric the appearance: the warp is known, and one candidate fits. Its mean over the warps that the
    appearance does not tell apart, those of its stabiliser, is uniform there: KL = log(n / |H|), the law given images.
    """
    symmetry = rotational(4)
    plane = 0.6 * grid_points(6, 6, like=torch.zeros((), dtype=torch.float64))
    frame = 60 * torch.cat([plane, (1 - plane.square().sum(-1, keepdim=True)).sqrt()], -1).mT.reshape(1, 3, 6, 6)
    pose = PoseModel(Fixed(frame), FrameLoss(symmetry, relaxation=Softmin(0.02)))
    q = pose.posterior(turned_pairs(stabiliser, symmetry))
    torch.testing.assert_close(q, torch.eye(4, dtype=torch.float64)[stabiliser], atol=1e-6, rtol=0)
    assert divergence(q) == pytest.approx(math.log(4), abs=1e-4)
    assert divergence(q.mean(0, keepdim=True)) == pytest.approx(math.log(4 / len(stabiliser)), abs=1e-4)


def test_a_frame_blind_to_a_subgroup_has_a_posterior_uniform_on_a_coset() -> None:
    """R = sign of k, then a quarter turn, then 1, on R^4: a frame without the middle part is blind to k = 2."""
    matrices = torch.zeros(4, 4, 4, dtype=torch.float64)
    matrices[:, 0, 0], matrices[:, 3, 3] = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64), 1
    matrices[:, 1:3, 1:3] = rotational(4, 2).frame_matrices()
    symmetry = FrameSymmetry(MatrixRepresentation(Cyclic(4), matrices))
    frame = 6 * torch.randn(1, 4, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    frame[:, 1:3] = 0
    loss, pairs = FrameLoss(symmetry, relaxation=Softmin(0.005)), turned_pairs([0], symmetry)
    q = PoseModel(Fixed(frame), loss).posterior(pairs)
    torch.testing.assert_close(q, torch.tensor([[0.5, 0, 0.5, 0]], dtype=torch.float64), atol=1e-6, rtol=0)
    assert divergence(q) == pytest.approx(math.log(2), abs=1e-4)
    moved = FrameLoss(symmetry, relaxation=loss.relaxation).candidates(
        frame, symmetry.on_frames(torch.tensor([1]), frame), pairs
    )
    torch.testing.assert_close(loss.relaxation.weights(moved).mT, q.roll(1, -1), atol=1e-6, rtol=0)
    seeing = frame.clone()
    seeing[:, 1:3] = frame[:, [0, 3]].flip(-1)
    assert divergence(PoseModel(Fixed(seeing), loss).posterior(pairs)) == pytest.approx(math.log(4), abs=1e-4)


def test_losses_without_a_temperature_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a loss with relaxation Softmin, got Minimum"):
        PoseModel(a_network(), FrameLoss(rotational(2), relaxation=Minimum()))
    with pytest.raises(ValueError, match="expected a loss with relaxation Softmin, got Unrelaxed"):
        PoseModel(a_network(), FrameLoss(bilateral()))
    with pytest.raises(TypeError, match="expected a FrameLoss, got Softmin"):
        PoseModel(a_network(), Softmin())  # type: ignore[arg-type]
    assert PoseModel(a_network(), FrameLoss(bilateral(), relaxation=Softmin(0.3), unknown=(0, 1))).temperature == 0.3
