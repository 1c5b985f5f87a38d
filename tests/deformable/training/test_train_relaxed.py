"""Relaxed losses: coordinates that suit the group, and two phases that can be killed."""

import copy
import dataclasses
import math
from pathlib import Path

import pytest
import torch

from pyro_symvi.deformable import (
    DistanceLoss,
    FrameLoss,
    LikelihoodLoss,
    Minimum,
    Pairs,
    RandomWarps,
    Recipe,
    SmallNet,
    Softmin,
    TurnedFrames,
    best_gauge,
    bilateral,
    load_model,
    rotational,
    train_frame,
    train_relaxed_frame,
)
from pyro_symvi.deformable._points import grid_points
from pyro_symvi.deformable.training import _train_relaxed
from pyro_symvi.groups import Orthogonal

from .small import IMAGES, Tiny

SYMMETRY = rotational(4)
LOSS = FrameLoss(SYMMETRY, DistanceLoss(1.0), Softmin(0.1))
RECIPE = Recipe(steps=4, batch_size=4, settle=2, seed=3, warps=RandomWarps(angle=1.0))


def two_poses() -> tuple[torch.Tensor, torch.Tensor, Pairs]:
    """Frames of one object in two poses that differ by the second element: right with R_1 alone."""
    generator = torch.Generator().manual_seed(0)
    places = torch.nn.functional.normalize(torch.randn(2, 3, 6, 6, generator=generator), dim=1)
    second = 9 * torch.einsum("ij,bjhw->bihw", SYMMETRY.frame_matrices(like=places)[1], places)
    still = grid_points(6, 6).expand(2, -1, -1)
    blank = torch.zeros(2, 3, 12, 12)
    return 9 * places, second, Pairs(blank, blank, still, torch.zeros(2, dtype=torch.long), torch.ones(2, 36))


def test_the_best_gauge_finds_the_axis_and_an_unrelaxed_loss_has_none() -> None:
    first, second, pairs = two_poses()
    right = float(LOSS(first, second, pairs).mean())
    hidden = Orthogonal(3).sample(1, generator=torch.Generator().manual_seed(5))[0].float()
    one, other = (torch.einsum("ij,bjhw->bihw", hidden, part) for part in (first, second))
    unknown = float(LOSS(one, other, pairs).mean())
    found = best_gauge(one, other, pairs, LOSS, generator=torch.Generator().manual_seed(1))
    turned = [torch.einsum("ij,bjhw->bihw", found, part) for part in (one, other)]
    assert float(LOSS(*turned, pairs).mean()) < right + 0.25 * (unknown - right)
    axis = found @ hidden[:, 2]
    assert float(axis[2].abs()) > 0.95  # within 18 degrees of the last axis
    assert torch.equal(best_gauge(first, second, pairs, LOSS), torch.eye(3))  # nothing is better than what is right
    plain = FrameLoss(SYMMETRY, LikelihoodLoss())
    assert torch.equal(best_gauge(one, other, pairs, plain, trials=5), torch.eye(3))
    with pytest.raises(ValueError, match="expected a loss with a symmetry, got none"):
        best_gauge(one, other, pairs, FrameLoss())


def test_a_run_killed_in_either_phase_ends_as_one_that_was_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half_turn = torch.diag(torch.tensor([-1.0, 1.0, -1.0]))
    monkeypatch.setattr(_train_relaxed, "best_gauge", lambda *_, **__: half_turn)
    network = SmallNet(width=0.2, generator=torch.Generator().manual_seed(0))
    before = copy.deepcopy(network.state_dict())
    seen: list[int] = []
    angles: list[float] = []

    def trained(*given, **options):
        angles.append(given[4].warps.angle)
        return train_frame(*given, **options)

    monkeypatch.setattr(_train_relaxed, "train_frame", trained)
    whole = train_relaxed_frame(IMAGES, SYMMETRY, network, LOSS, RECIPE, gentle_share=0.5,
                                progress=lambda step, loss: seen.append(step))  # fmt: skip
    assert angles == [math.radians(8), RECIPE.warps.angle]
    assert seen == [1, 2, 3, 4] and isinstance(whole.network, TurnedFrames) and whole.steps == 4
    assert torch.equal(whole.network.turn, half_turn)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), network.state_dict().values(), strict=True))
    for last in (1, 3):

        def kill(step: int, loss: float, last: int = last) -> None:
            if step == last + 1:
                raise KeyboardInterrupt

        options = {"gentle_share": 0.5, "checkpoint": tmp_path / f"run {last}", "checkpoint_every": 1}
        with pytest.raises(KeyboardInterrupt):
            train_relaxed_frame(IMAGES, SYMMETRY, network, LOSS, RECIPE, progress=kill, **options)
        resumed = train_relaxed_frame(IMAGES, SYMMETRY, network, LOSS, RECIPE, **options)
        states = zip(whole.network.state_dict().values(), resumed.network.state_dict().values(), strict=True)
        assert all(torch.equal(a, b) for a, b in states) and whole.history == resumed.history
    whole.save(tmp_path / "model.pt")
    again = load_model(tmp_path / "model.pt")
    assert torch.equal(again.frames(IMAGES), whole.frames(IMAGES))


def test_turned_frames_are_q_phi() -> None:
    turn, inner = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), Tiny().eval()
    x, y, z = inner(IMAGES / 255).unbind(1)
    assert torch.equal(TurnedFrames(inner, turn)(IMAGES / 255), torch.stack([-y, x, z], 1))


def test_refusals() -> None:
    for loss in (FrameLoss(SYMMETRY), None, LikelihoodLoss()):
        with pytest.raises(ValueError, match="expected a FrameLoss with a relaxation"):
            train_relaxed_frame(IMAGES, SYMMETRY, Tiny(), loss, RECIPE)
    for share in (0.0, 1.0):
        with pytest.raises(ValueError, match="gentle_share between 0 and 1"):
            train_relaxed_frame(IMAGES, SYMMETRY, Tiny(), LOSS, RECIPE, gentle_share=share)
    with pytest.raises(ValueError, match="at least 2 steps"):
        train_relaxed_frame(IMAGES, SYMMETRY, Tiny(), LOSS, dataclasses.replace(RECIPE, steps=1))
    with pytest.raises(ValueError, match="expected a loss with the symmetry"):
        train_relaxed_frame(IMAGES, bilateral(), Tiny(), FrameLoss(SYMMETRY, relaxation=Minimum()), RECIPE)
    with pytest.raises(ValueError, match="expected a finite matrix"):
        TurnedFrames(Tiny(), torch.full((3, 3), torch.nan))
