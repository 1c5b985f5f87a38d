"""The training loop of frames: a function of its arguments, that can be killed, and that fails in words."""

import copy
import dataclasses
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from pyro_symvi._batch_order import Order
from pyro_symvi.deformable import (
    DistanceLoss,
    FrameLoss,
    FrameModel,
    Recipe,
    TrainingStatus,
    bilateral,
    rotational,
    train_frame,
)
from pyro_symvi.deformable.training import Constant
from pyro_symvi.deformable.training._train import _Run

from .small import IMAGES, Tiny

SHORT = Recipe(steps=6, batch_size=4, settle=2, gradient_clip=1.01, seed=3)
MASK = torch.ones(6, 16, 16, dtype=torch.bool)


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
    with torch.random.fork_rng():
        torch.manual_seed(99)  # the global generator has no say in the network's dropout
        resumed = train_frame(
            IMAGES, bilateral(), network, recipe=SHORT, checkpoint=path, progress=lambda step, loss: seen.append(step)
        )
    assert seen == [5, 6] and same(whole, resumed) and whole.status is TrainingStatus.FINISHED
    assert same(whole, train_frame(IMAGES, bilateral(), network, recipe=SHORT, checkpoint=path))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), network.state_dict().values(), strict=True))
    other = train_frame(IMAGES, bilateral(), network, recipe=dataclasses.replace(SHORT, seed=4))
    assert not same(whole, other)
    for changed, what in (
        ({"recipe": dataclasses.replace(SHORT, steps=7)}, "steps: 6 there, 7 here"),
        ({"images": IMAGES.flip(0)}, "images: 6 of"),
        ({"symmetry": None}, "symmetry: FrameSymmetry"),
        ({"loss": DistanceLoss(1.0)}, "loss: DistanceLoss"),
        ({"mask": MASK}, "mask: None there"),
        ({"network": Tiny(4), "symmetry": None}, "network: Tiny"),
    ):
        given = {"images": IMAGES, "symmetry": bilateral(), "network": network, "recipe": SHORT, **changed}
        with pytest.raises(ValueError, match=what):
            train_frame(**given, checkpoint=path)


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


class Draws(Tiny):
    """Notes what it gets from the global generator."""

    seen: ClassVar[list[float]] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen.append(float(torch.rand(())))
        return super().forward(images)


def test_the_first_steps_by_hand() -> None:
    """Both images of a pair in one normalised batch; places off the mask have no say; half of the pairs mirrored."""
    network = Draws(dropout=0.0)
    network.seen.clear()
    recipe = Recipe(steps=2, batch_size=3, seed=5, learning_rate=1e-12, settle=0)
    mask = torch.zeros(6, 16, 16, dtype=torch.bool)
    mask[:, 4:12, 3:9] = True
    found = train_frame(IMAGES, bilateral(), network, recipe=recipe, mask=mask)
    assert len(set(network.seen)) == len(network.seen) == 3
    order = torch.randperm(6, generator=recipe.generator("order 0"))
    elements = []
    for step in range(2):
        index, generator = order[3 * step : 3 * step + 3], recipe.generator(f"pairs {step}")
        pairs = recipe.maker(bilateral(), (8, 8)).pairs(
            IMAGES[index].float() / 255, generator=generator, mask=mask[index]
        )
        assert 0 < float(pairs.weight.mean()) < 0.5
        elements += pairs.element.tolist()
        network.zero_grad()
        first, second = network.train()(torch.cat([pairs.first, pairs.second])).chunk(2)
        value = FrameLoss(bilateral())(first, second, pairs).mean()
        value.backward()
        norm = torch.cat([p.grad.flatten() for p in network.parameters()]).norm()
        assert found.history.loss[step] == pytest.approx(float(value.detach()), abs=1e-5)
        assert found.history.gradient_norm[step] == pytest.approx(float(norm), rel=1e-3)
    assert 0 < sum(elements) < 6


def test_large_gradients_are_scaled_down_and_the_schedule_is_kept() -> None:
    recipe = Recipe(gradient_clip=2.0, learning_rate=0.01, schedule=Constant(3))
    run = _Run(Tiny(), FrameLoss(), recipe, IMAGES, None)
    run.state.usual_norm = 1.0
    before = [p.detach().clone() for p in run.state.parameters]
    gradients = [torch.randn(p.shape) for p in run.state.parameters]
    for parameter, gradient in zip(run.state.parameters, gradients, strict=True):
        parameter.grad = gradient
    run._descend(gradients, float(torch.cat([g.flatten() for g in gradients]).norm()))
    moments = [run.state.optimizer.state[p]["exp_avg"].flatten() for p in run.state.parameters]
    assert float(torch.cat(moments).norm()) == pytest.approx(0.1 * 2.0, rel=1e-4)
    assert run.state.usual_norm == pytest.approx(0.99 + 0.01 * 2.0)
    moved = [float((p - b).detach().abs().max()) for p, b in zip(run.state.parameters, before, strict=True)]
    assert moved == pytest.approx([0.01 / 4] * len(moved), rel=1e-2)  # the first step of Adam has the learning rate


def test_each_epoch_shows_every_image_once_in_another_order() -> None:
    order = Order(Recipe(batch_size=4), 6)
    shown = torch.cat([order.batch(step) for step in range(6)]).reshape(4, 6)
    assert all(sorted(epoch.tolist()) == list(range(6)) for epoch in shown)
    assert len({tuple(epoch.tolist()) for epoch in shown}) > 1
    assert torch.equal(Order(Recipe(batch_size=4), 6).batch(4), shown.flatten()[16:20])  # whatever came before
    assert len(Order(Recipe(batch_size=5), 2).batch(1)) == 5


def test_evaluations_see_copies() -> None:
    seen = []

    def evaluate(model: FrameModel, step: int) -> dict[str, float]:
        assert not model.network.training
        mean = float(model.frames(IMAGES).mean())
        torch.nn.init.zeros_(model.network.body[-1].weight)
        model.history.loss.clear()
        seen.append(step)
        return {"mean": mean}

    plain = train_frame(IMAGES, None, Tiny(), DistanceLoss(1.0), SHORT)
    watched = train_frame(IMAGES, None, Tiny(), DistanceLoss(1.0), SHORT, evaluate=evaluate, evaluate_every=4)
    assert seen == [4, 6] and sorted(watched.history.evaluations) == [4, 6]
    assert watched.history.evaluations[6]["mean"] == float(plain.frames(IMAGES).mean())
    watched.history.evaluations.clear()
    assert same(plain, watched)


def test_frames_of_many_images_and_other_dtypes() -> None:
    model = train_frame(IMAGES, rotational(3, dim=4), Tiny(4).double(), recipe=Recipe(steps=1, batch_size=2))
    frames = model.frames(IMAGES, batch_size=4)
    assert frames.shape == (6, 4, 8, 8) and frames.dtype == torch.float64 and not frames.requires_grad
    assert torch.allclose(frames[4:], model.frames(IMAGES[4:].double() / 255), atol=1e-12)
    assert model.image_shape == (3, 16, 16) and model.final_loss == model.history.loss[0]
    assert model.relative_loss == pytest.approx(model.final_loss / min(model.history.levels.values()))


def test_batch_normalisation_is_that_of_the_final_weights() -> None:
    """The statistics are means over batches under the weights that are kept; a moving average still holds its start."""
    recipe = Recipe(steps=3, batch_size=4, settle=3, learning_rate=0.1)
    model = train_frame(IMAGES, None, Tiny(), recipe=recipe)
    run = _Run(model.network, FrameLoss(), recipe, IMAGES, None)
    batches = [model.network.body[0](run._settling(k)).detach() for k in range(3)]
    means = torch.stack([batch.mean((0, 2, 3)) for batch in batches]).mean(0)
    variances = torch.stack([batch.var((0, 2, 3)) for batch in batches]).mean(0)
    layer = model.network.body[1]
    assert torch.allclose(layer.running_mean, means, atol=1e-5) and layer.momentum == 0.1
    assert torch.allclose(layer.running_var, variances, atol=1e-5)
    left = train_frame(IMAGES, None, Tiny(), recipe=Recipe(steps=3, batch_size=4, settle=0, learning_rate=0.1))
    assert float((left.network.body[1].running_var - variances).abs().max()) > 0.1
