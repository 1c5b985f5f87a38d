"""The training loop of frames: a function of its arguments, that can be killed, and that fails in words."""

import copy
from pathlib import Path

import pytest
import torch

from pyro_symvi.deformable import FrameModel, Recipe, TrainingStatus, bilateral, train_frame
from pyro_symvi.deformable.training import Constant


class Tiny(torch.nn.Module):
    """16 x 16 to 8 x 8, with batch normalisation and with dropout, which draws from the global generator."""

    def __init__(self, dim: int = 3) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.body = torch.nn.Sequential(
                torch.nn.Conv2d(3, 6, 3, 2, 1),
                torch.nn.BatchNorm2d(6),
                torch.nn.Tanh(),
                torch.nn.Dropout(0.1),
                torch.nn.Conv2d(6, dim, 3, 1, 1),
            )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.body(images)


IMAGES = torch.randint(0, 256, (6, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
SHORT = Recipe(steps=6, batch_size=4, settle=2, seed=3)


def same(one: FrameModel, two: FrameModel) -> bool:
    weights = zip(one.network.state_dict().values(), two.network.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in weights) and one.history == two.history


def test_a_killed_run_ends_as_one_that_was_not(tmp_path: Path) -> None:
    network, path = Tiny(), tmp_path / "new" / "run.pt"
    before, state = copy.deepcopy(network.state_dict()), torch.random.get_rng_state()
    whole = train_frame(IMAGES, bilateral(), network, recipe=SHORT)

    def kill(step: int, loss: float) -> None:
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_frame(IMAGES, bilateral(), network, recipe=SHORT, checkpoint=path, checkpoint_every=2, progress=kill)
    seen: list[int] = []
    resumed = train_frame(
        IMAGES, bilateral(), network, recipe=SHORT, checkpoint=path, progress=lambda step, loss: seen.append(step)
    )
    assert seen == [5, 6] and same(whole, resumed) and whole.status is TrainingStatus.FINISHED
    assert same(whole, train_frame(IMAGES, bilateral(), network, recipe=SHORT, checkpoint=path))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), network.state_dict().values(), strict=True))
    other = train_frame(IMAGES, bilateral(), network, recipe=Recipe(steps=6, batch_size=4, settle=2, seed=4))
    assert not same(whole, other)
    longer = Recipe(steps=7, batch_size=4, settle=2, seed=3)
    for images, symmetry, net, recipe, what in (
        (IMAGES, bilateral(), network, longer, "steps: 6 there, 7 here"),
        (IMAGES.flip(0), bilateral(), network, SHORT, "images: 6 of"),
        (IMAGES, None, network, SHORT, "symmetry: FrameSymmetry"),
        (IMAGES, None, Tiny(4), SHORT, "network: Tiny"),
    ):
        with pytest.raises(ValueError, match=what):
            train_frame(images, symmetry, net, recipe=recipe, checkpoint=path)


def test_a_loss_that_is_not_finite_ends_the_run_with_the_last_good_weights() -> None:
    class Sick(Tiny):
        calls = 0

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if self.training and torch.is_grad_enabled():
                Sick.calls += 1
                if Sick.calls == 3:
                    images = images.clone()
                    images[1, 0, 0, 0] = torch.nan
            return super().forward(images)

    recipe = Recipe(steps=6, batch_size=4, settle=0, schedule=Constant())
    ended = train_frame(IMAGES, bilateral(), Sick(), recipe=recipe)
    good = train_frame(IMAGES, bilateral(), Tiny(), recipe=Recipe(steps=2, batch_size=4, settle=0, schedule=Constant()))
    assert ended.status is TrainingStatus.NOT_FINITE and ended.steps == 2 and same(ended, good)
    assert "the batch of step 2 has loss nan" in str(ended.cause)
    with pytest.raises(RuntimeError, match="lower learning_rate"):
        ended.checked()
