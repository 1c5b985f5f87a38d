"""A small training loop: what it did is in what it returns."""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ._recipe import Recipe
from ._rest import at_rest, kept_generators
from ._samples import Samples, ScaledLoss, by_name, call
from ._trained import Trained, TrainingHistory

Augment = Callable[..., tuple[Any, Any]]
Penalty = Callable[..., Tensor]
Callback = Callable[..., Any]


def train(
    model: nn.Module,
    data: Any,
    recipe: Recipe | None = None,
    *,
    validation: Any = None,
    augmentation: Augment | None = None,
    penalty: Penalty | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool | Callable[[int, dict[str, float]], None] = False,
    **settings: Any,
) -> Trained:
    """Train a copy of ``model`` by AdamW on the mean over targets of (f - y)^2 / s^2; see :class:`ScaledLoss`.

    The run follows from the recipe's seed (batches, augmentation, dropout) and the model's parameters; the global
    generator is not touched, and callbacks cannot change the run. The model given is left as it is. Where a loss is
    nan or infinite the run ends with the state before that epoch, and says so in ``stopped``.

    Args:
        model: called as ``model(x)``, ``model(*x)`` or ``model(**x)`` by the structure of the inputs; returns a
            tensor or a dict.
        data: a pair (inputs, targets), samples first, or an object with ``inputs`` and ``targets``.
        recipe: settings; ``epochs=``, ``batch_size=``, ``learning_rate=``, ... replace single ones.
        validation: held-out data of the same kind, never augmented.
        augmentation: ``augmentation(inputs, targets, generator=g)`` to moved inputs and targets, for training batches;
            :class:`~pyro_symvi.equivariance.Augmentation` is one.
        penalty: ``penalty(model, inputs, generator=g)``, a scalar; ``penalty_weight`` times it is added to the loss.
        callbacks: ``callback(model, epoch, **numbers)`` before the first epoch (epoch 0) and after each one, with
            the model in training mode; :class:`SpectrumLogger` is one. Their time is not counted.
        progress: True for a bar, or a function of epoch and numbers.

    Returns:
        The trained copy in evaluation mode, and the history of losses, gradient evaluations and time.

    Raises:
        TypeError: for a model that is no module, or progress that is no function.
        ValueError: for a model without parameters to train, and for ``keep_best`` without validation data.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"expected a torch module, got {type(model).__name__}")
    if not (isinstance(progress, bool) or callable(progress)):
        raise TypeError(f"expected progress as True, False or a function, got {progress!r}")
    recipe = _with(Recipe() if recipe is None else recipe, settings)
    samples = Samples.of(data)
    held_out = None if validation is None else Samples.of(validation, "validation")
    if recipe.keep_best and held_out is None:
        raise ValueError("expected validation= with keep_best=True, got None, because the best epoch is chosen on it")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError("expected a model with parameters to train, got none that requires gradients")
    run = _Run(copy.deepcopy(model), samples, held_out, recipe, augmentation, penalty, tuple(callbacks))
    with kept_generators(model, recipe.seed):
        return run.all(progress)


class _Run:
    """One run: the model, its optimiser and the history so far."""

    def __init__(
        self,
        model: nn.Module,
        samples: Samples,
        held_out: Samples | None,
        recipe: Recipe,
        augmentation: Augment | None,
        penalty: Penalty | None,
        callbacks: tuple[Callback, ...],
    ) -> None:
        self.model, self.samples, self.held_out, self.recipe = model, samples, held_out, recipe
        self.augmentation, self.penalty, self.callbacks = augmentation, penalty, callbacks
        self.loss = ScaledLoss(samples.named())
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, recipe.learning_rate, weight_decay=recipe.weight_decay)
        self.trained = trained
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.steps, self.total = 0, recipe.epochs * math.ceil(len(samples) / recipe.batch_size)
        self.seconds = self.cpu_seconds = 0.0
        self.rows: list[dict[str, float]] = []

    def all(self, progress: bool | Callable[[int, dict[str, float]], None]) -> Trained:
        self._note(0, {"loss": math.nan}, progress)
        best, chosen, stopped = math.inf, 0, ""
        state = copy.deepcopy(self.model.state_dict())
        bar = tqdm(range(1, self.recipe.epochs + 1), desc="train", unit="epoch", disable=progress is not True)
        for epoch in bar:
            numbers = self._epoch()
            if not math.isfinite(numbers["loss"]):
                stopped = (
                    f"the loss was {numbers['loss']} in epoch {epoch}, and the state before it is kept; try a smaller "
                    "learning_rate or clip"
                )
                break
            row = self._note(epoch, numbers, progress)
            score = row["validation"] if self.recipe.keep_best else -epoch
            if score <= best:
                best, chosen = score, epoch
                state = copy.deepcopy(self.model.state_dict())
            if progress is True:
                bar.set_postfix({key: f"{value:.4g}" for key, value in numbers.items()}, refresh=False)
        self.model.load_state_dict(state)
        self.model.eval()
        for parameter in self.trained:
            parameter.grad = None
        return Trained(self.model, TrainingHistory.of(self.rows), self.recipe, chosen, dict(self.loss.scales), stopped)

    def _epoch(self) -> dict[str, float]:
        self.model.train()
        wall, cpu = time.perf_counter(), time.process_time()
        order = torch.randperm(len(self.samples), generator=self.generator)
        summed, extra = 0.0, 0.0
        for index in order.split(self.recipe.batch_size):
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe.learning_rate * self.recipe.schedule.rate(self.steps / max(1, self.total - 1))
            loss, added = self._step(self.samples[index])
            summed += loss * len(index)
            extra += added * len(index)
            if not math.isfinite(loss + added):
                summed = math.nan
                break
        self.seconds += time.perf_counter() - wall
        self.cpu_seconds += time.process_time() - cpu
        numbers = {"loss": summed / len(self.samples)}
        return numbers if self.penalty is None else {**numbers, "penalty": extra / len(self.samples)}

    def _step(self, batch: Samples) -> tuple[float, float]:
        x, y = batch.inputs, batch.targets
        if self.augmentation is not None:
            x, y = self.augmentation(x, y, generator=self.generator)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(call(self.model, x), by_name(y))
        added = self._penalized(x).to(loss)
        if bool(torch.isfinite(loss + added)):
            (loss + added).backward()
            if math.isfinite(self.recipe.clip):
                nn.utils.clip_grad_norm_(self.trained, self.recipe.clip)
            self.optimizer.step()
            self.steps += 1
        return float(loss.detach()), float(added.detach())

    def _penalized(self, x: Any) -> Tensor:
        if self.penalty is None:
            return torch.zeros(())
        return self.recipe.penalty_weight * self.penalty(self.model, x, generator=self.generator)

    def _note(self, epoch: int, numbers: dict[str, float], progress: Any) -> dict[str, float]:
        row = {**numbers, **self._validated()}
        cost = {"steps": float(self.steps), "seconds": self.seconds, "cpu_seconds": self.cpu_seconds}
        self.rows.append({"epoch": float(epoch), **row, **cost})
        self.model.train()
        with kept_generators(self.model):
            for callback in self.callbacks:
                callback(self.model, epoch, **row)
            if callable(progress):
                progress(epoch, row)
        return row

    def _validated(self) -> dict[str, float]:
        if self.held_out is None:
            return {}
        with at_rest(self.model):
            sums: dict[str, float] = {}
            for index in torch.arange(len(self.held_out)).split(max(256, self.recipe.batch_size)):
                batch = self.held_out[index]
                for name, square in self.loss.squares(call(self.model, batch.inputs), batch.named()).items():
                    sums[name] = sums.get(name, 0.0) + float(square) * len(index) / len(self.held_out)
        whole = sum(value / self.loss.scales[name] ** 2 for name, value in sums.items()) / len(sums)
        return {"validation": whole, **{f"rmse_{name}": math.sqrt(value) for name, value in sums.items()}}


def _with(recipe: Recipe, settings: dict[str, Any]) -> Recipe:
    if not isinstance(recipe, Recipe):
        raise TypeError(f"expected a Recipe, got {recipe!r}; try Recipe(epochs=50)")
    known = [f.name for f in dataclasses.fields(Recipe)]
    unknown = [name for name in settings if name not in known]
    if unknown:
        raise TypeError(f"expected settings among {', '.join(known)}, got {', '.join(unknown)}")
    return dataclasses.replace(recipe, **settings)
