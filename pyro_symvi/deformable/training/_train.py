"""The training loop of frames."""

from __future__ import annotations

import copy
import dataclasses
import math
import os
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from ..._batch_order import Order
from ..._step_bar import StepBar
from ..losses import FrameLoss, PairLoss
from ..networks import SmallNet, frames_of
from ..networks._frames import image_values
from ..symmetry import FrameSymmetry
from ..warps import PairMaker, Pairs
from . import _checkpoint, _inputs
from ._checkpoint import State
from ._levels import blind_levels
from ._model import FrameModel
from ._recipe import Recipe
from ._result import TrainingStatus
from ._settle import settle

Evaluate = Callable[[FrameModel, int], Mapping[str, float]]


@torch.inference_mode(False)
@torch.enable_grad()
def train_frame(
    images: Tensor,
    symmetry: FrameSymmetry | None = None,
    network: nn.Module | None = None,
    loss: FrameLoss | PairLoss | None = None,
    recipe: Recipe | None = None,
    *,
    mask: Tensor | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 200,
    evaluate: Evaluate | None = None,
    evaluate_every: int | None = None,
    progress: bool | Callable[[int, float], None] = False,
) -> FrameModel:
    """Learn the frame of a category of objects from images, without labels.

    Each step warps the images of a batch twice (``PairMaker``), moves some of the second ones by the symmetry, and
    takes a step of Adam on the mean of ``loss`` over the pairs. A run is a function of its arguments: random numbers
    of a step come from the recipe's seed and the number of the step, the global generator is left as it was. With
    ``checkpoint`` it continues from that file where there is one: a run that is killed loses what came after the last
    one, and ends with the frames, bit for bit on one machine, of a run that was not. Gradients are switched on inside,
    whatever ``torch.no_grad`` says outside.

    Args:
        images: at least 2 images of objects of one category, roughly of one size and upright: ``[N, C, H, W]``, bytes
            or floats in [0, 1].
        symmetry: that acts on frames and images; None for the equivariance loss alone.
        network: any module from ``[B, C, H, W]`` to ``[B, D, h, w]``, copied, not changed; trained on its own device
            and in its own dtype. None for ``SmallNet(width=0.5)`` of the symmetry's dimension, or 3.
        loss: a ``FrameLoss`` with this symmetry, or the loss of a pair; None for ``FrameLoss(symmetry)``.
        recipe: None for ``Recipe()``.
        mask: what is known to be the object, bool ``[N, H, W]``; other places are not asked for, though they remain
            possible (wrong) answers.
        checkpoint: a file.
        checkpoint_every: steps from one writing of it to the next; also after the last one.
        evaluate: called with the model as it is and the number of steps done; returns numbers for the history.
        evaluate_every: steps from one call to the next (only after the last by default).
        progress: a bar with the mean loss of the last steps; or a function of the step's number and its loss.

    Returns:
        A model, its ``status`` telling how the run ended: where a loss is not finite, with the last good weights.

    Raises:
        ValueError, TypeError: for bad arguments; images the symmetry cannot act on; a network that gives no frames;
            a checkpoint that is damaged or of another run.
    """
    recipe = Recipe() if recipe is None else recipe
    loss = _inputs.checked_loss(symmetry, loss)
    symmetry = loss.symmetry
    _inputs.check_options(recipe, network, checkpoint, checkpoint_every, evaluate, evaluate_every)
    _inputs.check_images(images, mask, symmetry)
    images = images.detach()
    if network is None:
        dim = 3 if symmetry is None else symmetry.dim
        network = SmallNet(images.shape[1], dim, width=0.5, generator=recipe.generator("weights"))
    run = _Run(copy.deepcopy(network), loss, recipe, images, mask)
    state = run.state
    known = _checkpoint.fingerprint(recipe, loss, run.network, images, mask)
    if checkpoint is not None and (content := _checkpoint.load(known, checkpoint)) is not None:
        _inputs.check_steps(content["step"], recipe.steps, checkpoint)
        state.restore(content)
    problem: str | None = None
    with StepBar(progress, recipe.steps, state.step) as report:
        while state.step < recipe.steps:
            value, problem = run.take_step()
            if problem is not None:
                break
            report(state.step, value)
            last = state.step == recipe.steps
            if evaluate is not None and (last or (evaluate_every and state.step % evaluate_every == 0)):
                found = evaluate(run.model(copy.deepcopy(run.network), None), state.step)
                state.history.evaluations[state.step] = _inputs.numbers_of(found)
            if checkpoint is not None and (last or state.step % checkpoint_every == 0):
                _checkpoint.save(state, known, checkpoint)
    return run.model(run.network, problem)


class _Run:
    """All that a step needs."""

    def __init__(
        self, network: nn.Module, loss: FrameLoss, recipe: Recipe, images: Tensor, mask: Tensor | None
    ) -> None:
        self.network, self.loss, self.recipe = network, loss, recipe
        self.images, self.mask = images.cpu(), None if mask is None else mask.cpu()
        self.state = State(network, recipe)
        self.like = self.state.parameters[0]
        with torch.random.fork_rng(self._devices()), torch.no_grad():
            dim = None if loss.symmetry is None else loss.symmetry.dim
            size = frames_of(network.eval(), self.images[:2], dim=dim).shape[-2:]
        _inputs.check_cells(network, size[0], size[1])
        self.maker: PairMaker = recipe.maker(loss.symmetry, (size[0], size[1]))
        self.order = Order(recipe, len(images))
        levels = self._pairs(self._any("levels"), "levels")
        self.state.history.levels = blind_levels(loss, levels, *size)

    def take_step(self) -> tuple[float, str | None]:
        """One step of the optimiser: the loss, and what was wrong if the step was not taken."""
        state = self.state
        index = self.order.batch(state.step)
        pairs = self._pairs(index, f"pairs {state.step}")
        buffers = [b.clone() for b in self.network.buffers()]
        self.network.train()
        state.optimizer.zero_grad(set_to_none=True)
        with torch.random.fork_rng(self._devices()):
            number = self.recipe.number(f"network {state.step}")
            torch.default_generator.manual_seed(number)  # torch.manual_seed would queue a call for GPUs at each step
            if self.like.is_cuda:
                torch.cuda.manual_seed(number)
            frames = self.network(torch.cat([pairs.first, pairs.second]))
            losses = self.loss(frames[: len(index)], frames[len(index) :], pairs)
            _inputs.check_learns(self.network, losses)
            losses.mean().backward()
        losses = losses.detach()
        value = float(losses.double().mean())
        gradients = [p.grad for p in state.parameters if p.grad is not None]
        norm = float(torch.stack([g.double().norm() for g in gradients]).norm()) if gradients else 0.0
        if not (math.isfinite(value) and math.isfinite(norm)):
            for buffer, before in zip(self.network.buffers(), buffers, strict=True):
                buffer.copy_(before)
            bad = index[(~torch.isfinite(losses)).cpu()].tolist()
            where = f"image {', '.join(map(str, bad[:5]))}" if bad else "finite losses, so the gradient overflows"
            return value, f"the batch of step {state.step} has loss {value} and gradient norm {norm}: {where}"
        self._descend(gradients, norm)
        state.history.loss.append(value)
        state.history.gradient_norm.append(norm)
        return value, None

    def model(self, network: nn.Module, problem: str | None) -> FrameModel:
        """The model with this network, which is settled and put into evaluation mode."""
        with torch.random.fork_rng(self._devices()):
            settle(network, [partial(self._settling, k) for k in range(self.recipe.settle)])
        history = copy.deepcopy(self.state.history)
        status = TrainingStatus.FINISHED if problem is None else TrainingStatus.NOT_FINITE
        return FrameModel(
            network.eval(),
            self.loss.symmetry,
            self.recipe,
            self.loss,
            history,
            self.state.step,
            status,
            problem,
            (self.images.shape[1], self.images.shape[2], self.images.shape[3]),
        )

    def _pairs(self, index: Tensor, purpose: str) -> Pairs:
        """Made on the CPU, where all machines draw the same numbers, then moved to the network's device."""
        images = image_values(self.images[index]).to(self.like.dtype)
        mask = None if self.mask is None else self.mask[index]
        pairs = self.maker.pairs(images, generator=self.recipe.generator(purpose), mask=mask)
        return Pairs(*(getattr(pairs, field.name).to(self.like.device) for field in dataclasses.fields(pairs)))

    def _any(self, purpose: str) -> Tensor:
        order = torch.randperm(len(self.images), generator=self.recipe.generator(f"order of {purpose}"))
        return order[: max(16, self.recipe.batch_size)]

    def _settling(self, number: int) -> Tensor:
        pairs = self._pairs(self._any(f"settle {number}"), f"settle {number}")
        return torch.cat([pairs.first, pairs.second])

    def _descend(self, gradients: list[Tensor], norm: float) -> None:
        state, recipe = self.state, self.recipe
        usual = norm if state.usual_norm is None else state.usual_norm
        largest = recipe.gradient_clip * usual
        if norm > largest > 0:
            for gradient in gradients:
                gradient.mul_(largest / norm)
        state.usual_norm = 0.99 * usual + 0.01 * min(norm, largest)
        for group in state.optimizer.param_groups:
            group["lr"] = recipe.learning_rate * recipe.schedule.factor(state.step, recipe.steps)
        state.optimizer.step()
        state.step += 1

    def _devices(self) -> list[torch.device]:
        return [self.like.device] if self.like.is_cuda else []
