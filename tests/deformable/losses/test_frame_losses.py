"""What the losses of frames do not change under, and their relaxations."""

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from pyro_symvi.deformable import (
    DistanceLoss,
    FrameLoss,
    FrameSymmetry,
    LikelihoodLoss,
    Minimum,
    Pairs,
    Relaxation,
    Softmin,
    Unrelaxed,
    bilateral,
    dihedral,
    half_turn,
    random_gauge,
    random_rotation,
    rotational,
)
from pyro_symvi.deformable._points import grid_points
from pyro_symvi.groups import Cyclic, MatrixRepresentation


def random_pairs(symmetry: FrameSymmetry | None = None, batch: int = 4, seed: int = 0) -> tuple[Tensor, Tensor, Pairs]:
    """Frames of both images and pairs, half of them moved by the last element."""
    generator = torch.Generator().manual_seed(seed)
    dim = 3 if symmetry is None else symmetry.dim
    first, second = torch.randn(2, batch, dim, 4, 4, generator=generator, dtype=torch.float64)
    points = 2 * torch.rand(batch, 16, 2, generator=generator, dtype=torch.float64) - 1
    element = torch.zeros(batch, dtype=torch.long)
    element[batch // 2 :] = 0 if symmetry is None else symmetry.order - 1
    images = torch.zeros(batch, 3, 8, 8, dtype=torch.float64)
    return first, second, Pairs(images, images, points, element, torch.ones(batch, 16, dtype=torch.float64))


def quarter_turns() -> FrameSymmetry:
    """C_4 that turns frames and images: x' = -y, y' = x."""
    plane = rotational(4, 2).frame_matrices().round()
    return FrameSymmetry(rotational(4).frame, MatrixRepresentation(Cyclic(4), plane))


def hemisphere(side: int) -> Tensor:
    """A true frame, unit vectors over the image, times 100."""
    plane = 0.6 * grid_points(side, side)[None].double()
    up = (1 - plane.square().sum(-1, keepdim=True)).sqrt()
    return 100 * torch.cat([plane, up], -1).mT.reshape(1, 3, side, side)


def turned(matrix: Tensor, frames: Tensor) -> Tensor:
    return torch.einsum("ij,bjhw->bihw", matrix, frames)


@pytest.mark.parametrize(
    "loss",
    [
        FrameLoss(bilateral()),
        FrameLoss(half_turn(), LikelihoodLoss()),
        FrameLoss(rotational(5), relaxation=Softmin(0.3)),
        FrameLoss(dihedral(3), relaxation=Minimum()),
    ],
    ids=str,
)
def test_losses_are_blind_to_the_gauge_and_to_nothing_more(loss: FrameLoss) -> None:
    assert loss.symmetry is not None
    generator = torch.Generator().manual_seed(8)
    first, second, pairs = random_pairs(loss.symmetry)
    here = loss(first, second, pairs)
    gauge, turn = random_gauge(loss.symmetry, generator=generator), random_rotation(3, generator=generator)
    torch.testing.assert_close(loss(turned(gauge, first), turned(gauge, second), pairs), here)
    assert float((loss(turned(turn, first), turned(turn, second), pairs) - here).abs().max()) > 0.01
    blind = FrameLoss(None, loss.pair)
    torch.testing.assert_close(blind(turned(turn, first), turned(turn, second), pairs), blind(first, second, pairs))
    assert float((blind(turned(turn, first), second, pairs) - blind(first, second, pairs)).abs().max()) > 0.01


def test_relaxed_losses_are_blind_to_the_normaliser_too() -> None:
    """A reflection that exchanges the turns k and -k does not commute with them, but permutes the candidates."""
    swap = torch.diag(torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64))
    first, second, pairs = random_pairs(rotational(5))
    for relaxation in (Minimum(), Softmin(0.2)):
        loss = FrameLoss(rotational(5), relaxation=relaxation)
        torch.testing.assert_close(loss(turned(swap, first), turned(swap, second), pairs), loss(first, second, pairs))
    loss = FrameLoss(rotational(5))
    candidates = FrameLoss(rotational(5), relaxation=Minimum()).candidates
    torch.testing.assert_close(loss(first, second, pairs), candidates(first, second, pairs)[0])
    moved = candidates(turned(swap, first), turned(swap, second), pairs)
    unmoved = pairs.element == 0
    torch.testing.assert_close(moved[:, unmoved], candidates(first, second, pairs)[[0, 4, 3, 2, 1]][:, unmoved])


def test_a_coin_gives_the_sum_of_equivariance_and_symmetry() -> None:
    """The mean over pairs with known flips is half L_eq (no flip, no R) and half L_sym (R Phi against the flipped)."""
    symmetry, pair = bilateral(), DistanceLoss()
    first, second, pairs = random_pairs(symmetry)
    paid = FrameLoss(symmetry, pair)(first, second, pairs)
    reflected = first * torch.tensor([-1.0, 1, 1], dtype=torch.float64)[:, None, None]
    torch.testing.assert_close(paid[:2], pair(first, second, pairs.points)[:2])
    torch.testing.assert_close(paid[2:], pair(reflected, second, pairs.points)[2:])
    assert float((paid - pair(first, second, pairs.points))[2:].abs().min()) > 1e-3


@pytest.mark.parametrize("symmetry", [bilateral(), quarter_turns()], ids=["bilateral", "quarter turns"])
def test_a_symmetric_frame_pays_nothing_for_a_moved_image(symmetry: FrameSymmetry) -> None:
    """Phi(M u; M I) = R Phi(u; I): second image = M first, v = M u. The wrong element and the wrong group pay."""
    first = hemisphere(12)
    element = torch.ones(1, dtype=torch.long)
    second = symmetry.on_images(element, symmetry.on_frames(element, first))
    points = symmetry.on_points(element, grid_points(12, 12, like=first)[None])
    pairs = Pairs(first, second, points, element, torch.ones(1, 144, dtype=torch.float64))
    assert float(FrameLoss(symmetry)(first, second, pairs)) < 1e-2
    inverse = dataclasses.replace(pairs, element=3 * element if symmetry.order == 4 else 0 * element)
    for wrong, seen in ((FrameLoss(None), pairs), (FrameLoss(half_turn()), pairs), (FrameLoss(symmetry), inverse)):
        assert float(wrong(first, second, seen)) > 0.5 * DistanceLoss().levels(12, 12).constant


def test_relaxations_between_their_bounds() -> None:
    losses = 3 * torch.rand(5, 40, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    least = Minimum()(losses)
    assert torch.equal(least, losses.min(0).values) and bool((least <= Unrelaxed()(losses)).all())
    for tau in (0.01, 0.3, 2.0):
        soft = Softmin(tau)(losses)
        assert bool((least <= soft).all() and (soft <= least + tau * math.log(5) + 1e-12).all())
        assert bool((soft <= losses.mean(0)).all())
    torch.testing.assert_close(Softmin(1e6)(losses), losses.mean(0), atol=1e-5, rtol=0)
    alone = torch.tensor([[0.0], [9.0], [9.0]], dtype=torch.float64)
    assert float(Softmin(0.1)(alone)) == pytest.approx(0.1 * math.log(3))  # above the identity's loss of 0: no bound
    same = torch.full((3, 1), 0.7, dtype=torch.float64)
    assert float(Softmin(0.1)(same)) == pytest.approx(0.7)


@pytest.mark.parametrize("relaxation", [Unrelaxed(), Minimum(), Softmin(0.4), Softmin(1e-3)], ids=str)
def test_gradients_of_relaxations_are_their_weights(relaxation: Relaxation) -> None:
    losses = torch.rand(4, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64).requires_grad_()
    found = torch.autograd.grad(relaxation(losses).sum(), losses)[0]
    torch.testing.assert_close(found, relaxation.weights(losses))
    torch.testing.assert_close(found.sum(0), torch.ones(6, dtype=torch.float64))
    tied = torch.tensor([[1.0], [1.0], [2.0]], dtype=torch.float64).requires_grad_()
    if not isinstance(relaxation, Unrelaxed):
        expected = torch.tensor([[0.5], [0.5], [0.0]], dtype=torch.float64)
        if relaxation != Softmin(0.4):
            torch.testing.assert_close(relaxation.weights(tied), expected)
        torch.testing.assert_close(torch.autograd.grad(relaxation(tied).sum(), tied)[0], relaxation.weights(tied))


def test_one_element_for_a_whole_pair() -> None:
    """Two halves that want different elements: the minimum over pixels would be 0, that over pairs is not."""
    symmetry = rotational(2)
    frame = torch.zeros(1, 3, 1, 2, dtype=torch.float64)
    frame[0, 0] = torch.tensor([20.0, -20.0])
    torn = frame.clone()
    points = grid_points(1, 2, like=frame)[None]
    torn_points = points[:, [0, 0]]
    pairs = Pairs(frame, torn, torn_points, torch.zeros(1, dtype=torch.long), torch.ones(1, 2, dtype=torch.float64))
    loss = FrameLoss(symmetry, DistanceLoss(1.0), Minimum())
    assert float(loss(frame, torn, pairs)) == pytest.approx(0.5)


def test_known_elements_are_no_candidates() -> None:
    """Candidates are what images do not show; with the reflection among them the loss forgets which were mirrored."""
    symmetry = dihedral(3)
    loss = FrameLoss(symmetry, relaxation=Minimum())
    assert loss.unknown_elements == (0, 1, 2)
    assert FrameLoss(rotational(4), relaxation=Minimum()).unknown_elements == (0, 1, 2, 3)
    first, second, pairs = random_pairs(symmetry)
    still = Pairs(pairs.first, pairs.second, pairs.points, torch.zeros_like(pairs.element), pairs.weight)
    assert loss.candidates(first, second, pairs).shape == (3, 4)
    assert float((loss(first, second, pairs) - loss(first, second, still))[2:].abs().min()) > 1e-4
    forgetful = FrameLoss(symmetry, relaxation=Minimum(), unknown=tuple(range(6)))
    torch.testing.assert_close(forgetful(first, second, pairs), forgetful(first, second, still))


def test_a_forgetful_loss_is_content_with_an_even_frame() -> None:
    """Phi(M u; M I) = Phi(u; I): left and right have one frame. Nothing to pay if R may or may not be used."""
    symmetry, first = bilateral(), hemisphere(12)
    element = torch.ones(1, dtype=torch.long)
    second, points = (
        symmetry.on_images(element, first),
        symmetry.on_points(element, grid_points(12, 12, like=first)[None]),
    )
    pairs = Pairs(first, second, points, element, torch.ones(1, 144, dtype=torch.float64))
    assert float(FrameLoss(symmetry, relaxation=Minimum(), unknown=(0, 1))(first, second, pairs)) < 1e-2
    assert float(FrameLoss(symmetry)(first, second, pairs)) > 0.5 * DistanceLoss().levels(12, 12).constant


@pytest.mark.parametrize("power", [1.0, 0.5])
def test_turns_that_an_image_does_not_show_need_a_relaxation(power: float) -> None:
    """One image, turned by all quarters into itself: no frame pays less than the bound."""
    grid = grid_points(6, 6, like=torch.zeros((), dtype=torch.float64))
    quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    points = torch.stack([grid @ torch.linalg.matrix_power(quarter, k).mT for k in range(4)])
    distances = torch.cdist(3 * points, 3 * grid).pow(power)  # [turn, u, v], cells
    bound = float(distances.mean(0).min(-1).values.mean())
    still = torch.zeros(4, dtype=torch.long)
    frame = hemisphere(6).expand(4, -1, -1, -1)
    pairs = Pairs(frame, frame, points, still, torch.ones(4, 36, dtype=torch.float64))
    loss, relaxed = (FrameLoss(rotational(4), DistanceLoss(power), kind) for kind in (Unrelaxed(), Minimum()))
    assert float(relaxed(frame, frame, pairs).max()) < 1e-3
    levels = loss.pair.levels(6, 6)
    assert bound > 0.8 * levels.centred
    for seed in range(4):
        other = 3 * torch.randn(1, 3, 6, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        assert float(loss(*2 * [other.expand(4, -1, -1, -1)], pairs).mean()) >= bound
    assert float(loss(frame, frame, pairs).mean()) >= bound
    middle = torch.full((1, 3, 6, 6), 20.0, dtype=torch.float64)
    middle[..., 2:4, 2:4] += 1
    assert float(loss(*2 * [middle.expand(4, -1, -1, -1)], pairs).mean()) < 1.15 * bound  # the bound is nearly attained


def test_losses_that_cannot_be() -> None:
    for make, words in (
        (lambda: FrameLoss(None, relaxation=Minimum()), "expected a symmetry with Minimum"),
        (lambda: FrameLoss(bilateral(), relaxation=Softmin()), "got the identity alone, because elements that move"),
        (lambda: FrameLoss(rotational(4), unknown=(0, 1)), "expected the numbers of a subgroup of Cyclic"),
        (lambda: FrameLoss(rotational(4), unknown=(2, 0)), "identity's 0 first"),
        (lambda: FrameLoss(rotational(4), unknown=(0, 4)), "0 to 3"),
        (lambda: FrameLoss(rotational(4), unknown=(0, 2, 2)), "expected different numbers"),
        (lambda: FrameLoss(None, unknown=(0, 1)), "0 to 0"),
        (lambda: Softmin(0.0), "expected a temperature above 0"),
    ):
        with pytest.raises(ValueError, match=words):
            make()  # type: ignore[no-untyped-call]
    first, second, pairs = random_pairs(bilateral())
    with pytest.raises(ValueError, match="expected frames of dimension 3, got 2"):
        FrameLoss(bilateral())(first[:, :2], second[:, :2], pairs)
    assert FrameLoss(rotational(4), relaxation=Minimum(), unknown=(0, 2)).unknown_elements == (0, 2)
