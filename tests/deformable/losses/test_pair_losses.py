"""Losses of pairs against autograd on all logits at once, closed forms and quadrature."""

import math

import pytest
import torch
from scipy.integrate import dblquad
from torch import Tensor

from pyro_symvi.deformable import DistanceLoss, LikelihoodLoss, PairLoss, mean_distance, mean_distance_to_centre
from pyro_symvi.deformable._points import grid_points

LOSSES: list[PairLoss] = [DistanceLoss(), DistanceLoss(1.0), DistanceLoss(1.7), LikelihoodLoss(0.9)]


def frames(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()


def direct(loss: PairLoss, first: Tensor, second: Tensor, points: Tensor, matrices: Tensor, weight: Tensor) -> Tensor:
    """The formulas, by loops over pairs, candidates and places."""
    batch, _, height, width = second.shape
    rows = []
    for matrix in matrices:
        row = []
        for b in range(batch):
            total = torch.zeros((), dtype=torch.float64)
            for n in range(points.shape[1]):
                source = matrix[b] @ first[b].flatten(1)[:, n]
                log_p = (source @ second[b].flatten(1)).log_softmax(-1)
                column, line = (points[b, n, 0] + 1) * width / 2 - 0.5, (points[b, n, 1] + 1) * height / 2 - 0.5
                d = torch.stack([(column - v % width) ** 2 + (line - v // width) ** 2 for v in range(height * width)])
                if isinstance(loss, DistanceLoss):
                    paid = (log_p.exp() * d ** (loss.power / 2)).sum()
                else:
                    bump = torch.exp(-d / (2 * loss.bandwidth**2))  # type: ignore[attr-defined]
                    paid = -(bump / bump.sum() * log_p).sum()
                total = total + weight[b, n] * paid
            row.append(total / weight[b].sum())
        rows.append(torch.stack(row))
    return torch.stack(rows)


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_values_and_gradients_are_those_of_the_formula(loss: PairLoss) -> None:
    first, second, matrices = frames(2, 3, 2, 3), frames(2, 3, 3, 2, seed=1), frames(2, 2, 3, 3, seed=2)
    generator = torch.Generator().manual_seed(4)
    points = 2.2 * torch.rand(2, 6, 2, generator=generator, dtype=torch.float64) - 1.1
    weight = torch.tensor([[1.0, 0, 1, 2, 1, 1], [0, 0, 1, 1, 0.5, 1]], dtype=torch.float64)
    upstream = torch.tensor([[1.0, -2.0], [0.3, 0.7]], dtype=torch.float64)
    wanted = direct(loss, first, second, points, matrices, weight)
    found = loss(first, second, points, matrices, weight)
    torch.testing.assert_close(found, wanted)
    inputs = (first, second, matrices)
    for got, slope in zip(
        torch.autograd.grad((upstream * found).sum(), inputs),
        torch.autograd.grad((upstream * wanted).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(got, slope)
    with torch.no_grad():
        torch.testing.assert_close(loss(first, second, points, matrices, weight), wanted)
        shared = loss(first, second, points, matrices[:, 0], weight)
        torch.testing.assert_close(shared[:, 0], wanted[:, 0])
        alone = loss(first, second, points, weight=weight)
        eye = torch.eye(3, dtype=torch.float64).expand(1, 2, 3, 3)
        torch.testing.assert_close(alone, direct(loss, first, second, points, eye, weight)[0])
        torch.testing.assert_close(
            loss(first, second, points), direct(loss, first, second, points, eye, torch.ones_like(weight))[0]
        )
        hidden = torch.where(weight[..., None] > 0, points, torch.nan)
        torch.testing.assert_close(loss(first, second, hidden, matrices, weight), wanted)
        assert float(loss(first, second, points, weight=0 * weight).abs().max()) == 0


def test_second_derivatives_are_refused() -> None:
    first, points = frames(1, 3, 2, 2), grid_points(2, 2, like=torch.zeros((), dtype=torch.float64))[None]
    with pytest.raises(RuntimeError, match="expected first derivatives of a frame loss"):
        torch.autograd.grad(DistanceLoss()(first, first, points).sum(), first, create_graph=True)


@pytest.mark.parametrize("power", [1.0, 0.5, 1.5])
def test_mean_distances_of_the_square(power: float) -> None:
    """Differences have density (1 - |a|)(1 - |b|): quadrature against the closed forms."""
    found = dblquad(lambda a, b: 4 * (1 - a) * (1 - b) * math.hypot(a, b) ** power, 0, 1, 0, 1, epsabs=1e-7)[0]
    assert mean_distance(power) == pytest.approx(found, abs=1e-6)
    centred = dblquad(lambda a, b: 4 * math.hypot(a, b) ** power, 0, 0.5, 0, 0.5, epsabs=1e-7)[0]
    assert mean_distance_to_centre(power) == pytest.approx(centred, abs=1e-6)
    assert mean_distance(2) == pytest.approx(1 / 3) and mean_distance_to_centre(2) == pytest.approx(1 / 6)


def test_the_two_numbers_of_a_collapsed_frame() -> None:
    assert mean_distance() == pytest.approx((2 + math.sqrt(2) + 5 * math.asinh(1)) / 15) == pytest.approx(0.5214, 1e-4)
    assert mean_distance(0.5) == pytest.approx(0.698, abs=5e-4)
    assert mean_distance_to_centre() == pytest.approx((math.sqrt(2) + math.asinh(1)) / 6)
    with pytest.raises(ValueError, match="expected a power above -2"):
        mean_distance(-2)
    with pytest.raises(ValueError, match="expected a power above -2"):
        mean_distance_to_centre(math.nan)


@pytest.mark.parametrize("power", [1.0, 0.5])
def test_a_constant_frame_pays_the_mean_distance_of_the_grid(power: float) -> None:
    side, loss = 24, DistanceLoss(power)
    flat = torch.tensor([1.0, -2, 0.5])[None, :, None, None].expand(1, 3, side, side)
    points = grid_points(side, side)[None]
    paid = float(loss(flat, flat, points))
    assert paid == pytest.approx(loss.levels(side, side).constant, rel=1e-5)
    # the grid of h cells is the sum of h^2 squares: distances within a cell are missing, 1 / (2 h^2) of the whole
    assert paid == pytest.approx(side**power * mean_distance(power), rel=2e-3)
    assert loss.levels(side, side).centred == pytest.approx(side**power * mean_distance_to_centre(power), rel=5e-3)
    wide = loss.levels(3, 5).constant
    cells = [(i, j) for i in range(3) for j in range(5)]
    assert wide == pytest.approx(sum(math.dist(a, b) ** power for a in cells for b in cells) / 225)


def test_a_frame_of_one_direction_pays_less_than_a_constant_one() -> None:
    """Phi(v) = (a + b(v)) e with b large in the middle alone: every place is sent to the middle."""
    loss, points = DistanceLoss(1.0), grid_points(7, 7)[None]
    frame = torch.zeros(1, 3, 7, 7)
    frame[0, 1] = 30.0
    frame[0, 1, 3, 3] += 5.0
    assert float(loss(frame, frame, points)) == pytest.approx(loss.levels(7, 7).centred, rel=1e-5)
    assert loss.levels(7, 7).centred < 0.75 * loss.levels(7, 7).constant


def test_levels_of_the_likelihood() -> None:
    found, sharp = LikelihoodLoss(0.7).levels(6, 4), LikelihoodLoss(0.05).levels(6, 4)
    assert found.constant == pytest.approx(math.log(24)) and sharp.centred == pytest.approx(math.log(24))
    assert found.centred < found.constant  # the mean of the bumps is thinner at the border


def sphere(side: int) -> Tensor:
    """Unit vectors over a disc-like patch: the true frame of a hemisphere seen from above, ``[1, 3, side, side]``."""
    plane = 0.6 * grid_points(side, side)
    height = (1 - plane.square().sum(-1, keepdim=True)).sqrt()
    return torch.cat([plane, height], -1).mT.reshape(1, 3, side, side)


def test_a_true_frame_of_large_scale_pays_less_than_a_cell() -> None:
    """On the cells the loss tends to nothing; off them, to the distance of the nearest cell, sqrt(1/2) at most."""
    side, loss = 16, DistanceLoss(1.0)
    frame, points = sphere(side), grid_points(side, side)[None]
    paid = [float(loss(s * frame, s * frame, points)) for s in (3.0, 30.0, 100.0)]
    assert paid[0] > 1 > 0.5 > paid[1] > 1e-3 > paid[2]
    shifted = (points + torch.tensor([0.9, -0.7]) / side)[:, None].squeeze(1)
    where = sphere(side).new_tensor(0.6) * shifted[0]
    second = torch.cat([where, (1 - where.square().sum(-1, keepdim=True)).sqrt()], -1).mT.reshape(1, 3, side, side)
    assert float(loss(100 * second, 100 * frame, shifted)) < 0.9
    wrong = loss(100 * frame, 100 * frame.flip(-1), points)
    assert float(wrong) > 0.3 * side


def test_shapes_that_do_not_belong_together() -> None:
    loss, f, points = DistanceLoss(), torch.zeros(2, 3, 2, 4), torch.zeros(2, 8, 2)
    for arguments, words in (
        ((f[0], f, points), "expected two frames"),
        ((f, f[:, :2], points), "expected two frames"),
        ((f, f, points[:, :7]), r"expected points \[2, 8, 2\], got \[2, 7, 2\]"),
        ((f, f, points, None, torch.ones(2, 7)), r"expected weight \[2, 8\]"),
        ((f, f, points, torch.eye(3)), r"expected matrices \[n, 3, 3\]"),
        ((f, f, points, torch.zeros(4, 3, 3, 3)), r"expected matrices \[n, 3, 3\] or \[n, 2, 3, 3\]"),
    ):
        with pytest.raises(ValueError, match=words):
            loss(*arguments)
    for power in (0.0, -1.0, 2.5, math.nan):
        with pytest.raises(ValueError, match="expected a power above 0"):
            DistanceLoss(power)
    with pytest.raises(ValueError, match="expected a bandwidth above 0"):
        LikelihoodLoss(0.0)
