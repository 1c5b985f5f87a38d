"""What frames pay that know nothing of the images."""

import dataclasses

import pytest
import torch

from pyro_symvi.deformable import (
    DistanceLoss,
    FrameLoss,
    LikelihoodLoss,
    PairLoss,
    Pairs,
    Recipe,
    bilateral,
)
from pyro_symvi.deformable._points import grid_points
from pyro_symvi.deformable.training._levels import _BLURS, blind_levels

SIZE = 8


def warped_pairs() -> Pairs:
    images = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    maker = Recipe().maker(bilateral(), (SIZE, SIZE))
    return maker.pairs(images, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("pair", [DistanceLoss(), LikelihoodLoss()])
def test_levels_are_losses_of_frames(pair: PairLoss) -> None:
    """A frame (x, y, 1) against (x, y, -|v|^2 / 2) is a bump about u; the reflection takes it to the mirrored place."""
    loss, pairs = FrameLoss(bilateral(), pair), warped_pairs()
    assert 0 < int(pairs.element.sum()) < 6
    cells = grid_points(SIZE, SIZE, like=pairs.points).T.reshape(1, 2, SIZE, SIZE).expand(6, -1, -1, -1) * SIZE / 2
    one = torch.ones_like(cells[:, :1])

    def paid(blur: float) -> float:
        first = torch.cat([cells / blur**2, one], 1)
        second = torch.cat([cells, -cells.square().sum(1, keepdim=True) / (2 * blur**2)], 1)
        return float(loss(first, second, pairs).mean())

    found = blind_levels(loss, pairs, SIZE, SIZE)
    assert found["position"] == pytest.approx(min(map(paid, _BLURS)), abs=1e-9)
    zeros = torch.zeros(6, 3, SIZE, SIZE, dtype=torch.float64)
    assert found["constant"] == pytest.approx(float(loss(zeros, zeros, pairs).mean()), abs=1e-9)
    assert found["position"] < found["one_place"] < found["constant"]


def test_levels_leave_out_what_does_not_count() -> None:
    """And agree with the closed ones of the loss where nothing was warped."""
    loss, pairs = FrameLoss(None, DistanceLoss(1.0)), warped_pairs()
    still = grid_points(SIZE, SIZE, like=pairs.points).expand(6, -1, 2).clone()
    whole = torch.ones_like(pairs.weight)
    pairs = Pairs(pairs.first, pairs.second, still, torch.zeros(6).long(), whole)
    levels, known = blind_levels(loss, pairs, SIZE, SIZE), loss.pair.levels(SIZE, SIZE)
    assert (levels["constant"], levels["one_place"]) == pytest.approx(dataclasses.astuple(known)[:2])
    off = whole.clone()
    off[0, :5], off[3] = 0, 0  # a pair that does not count at all is left out
    still[0, :5], still[3] = torch.nan, torch.nan
    some = blind_levels(loss, dataclasses.replace(pairs, points=still, weight=off), SIZE, SIZE)
    assert all(abs(some[name] - levels[name]) < 0.2 and some[name] > 0 for name in levels)
    assert blind_levels(loss, dataclasses.replace(pairs, weight=0 * whole), SIZE, SIZE) == {}
