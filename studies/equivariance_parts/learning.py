"""One training run: a task, a regime, a seed; what it cost, how well it predicts, what symmetry it has learnt."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyro_symvi.equivariance import SpectrumLogger, accuracy, train
from pyro_symvi.equivariance.biases import Augmentation
from pyro_symvi.equivariance.data import CloudTarget, HarmonicMoment, decorated_clouds, molecules
from pyro_symvi.equivariance.models import PointCloudTransformer, PointNet
from pyro_symvi.groups import Orthogonal

GROUP = Orthogonal(3)
CUTOFF = 3
"""Largest degree of the spectra; what lies beyond is the residual."""
REGIMES = ("none", "augmentation", "+ features", "+ basis", "+ both")
"""The last three have augmentation and a bias: harmonics at the input, a tensor basis at the output, or both."""
CHOSEN_ON = 900
"""Epochs, widths, rates and targets were looked at with this seed; the study's seeds 0, 1, ... were not."""
GAIN = 4.0
"""Of the basis of the pseudoscalar: a product of three learnt vectors is flat where they are small."""


@dataclass(frozen=True, eq=False, repr=False)
class Handedness(CloudTarget):
    """det[u(a), u(b), u(c)], a pseudoscalar, (0, -1).

    With u(v) = v / sqrt(1 + |v|^2) and the moments a = sum q r, b = sum |r|^2 r / 3, c = 3 sum q^2 r.
    """

    @property
    def label(self) -> tuple[int, int]:
        return (0, -1)

    def _value(self, r: Tensor, q: Tensor) -> Tensor:
        moments = torch.stack([q, r.square().sum(-1) / 3, 3 * q.square()], -2) @ r
        return torch.linalg.det(moments / (1 + moments.square().sum(-1, keepdim=True)).sqrt())[..., None]


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    train: int
    test: int
    probe: int
    epochs: int
    looks: tuple[float, ...]
    width: int


@dataclass(frozen=True)
class Task:
    """Data, a model with its biases, and settings.

    ``cost``: CPU time of a step in each regime, by that with augmentation alone (measured once); the number of epochs
    is divided by it, so that all regimes have one training time.
    """

    name: str
    title: str
    units: dict[str, str]
    label: tuple[int, int]
    full: Size
    learning_rate: float
    batch_size: int
    degree: int
    harmonics: int
    cost: tuple[float, ...]

    def stream(self, purpose: int, seed: int) -> int:
        """A seed for each task and purpose: 0 data, 1 split, 2 orientations, 3 to 7 training, 9 parameters."""
        return 1_000_000 * (1 + list(TASKS).index(self.name)) + 10_000 * purpose + seed

    @property
    def spectra_degree(self) -> int:
        """Of the rule: what has l > degree - CUTOFF folds into the listed irreps; squares of harmonics have 2 l."""
        return max(2 * CUTOFF + 2, 4 * self.harmonics)

    @property
    def quick(self) -> Size:
        """A look at the whole path."""
        return Size(48, 16, 2, 2, (0, 1), 16)

    def epochs(self, regime: str, size: Size) -> int:
        """For one training time."""
        return max(1, round(size.epochs / self.cost[REGIMES.index(regime)]))

    def data(self, size: Size, seed: int) -> Any:
        """Training and test samples."""
        if self.name == "molecules":
            kinds = 6 if size.train > 100 else 2
            return molecules(
                kinds, conformers=-(-(size.train + size.test) // kinds), max_atoms=12, seed=self.stream(0, seed)
            )
        target = HarmonicMoment(3) if self.name == "octupole" else Handedness()
        return decorated_clouds(size.train + size.test, points=6, target=target, seed=self.stream(0, seed))

    def model(self, regime: str, data: Any, size: Size, seed: int) -> Any:
        """The unconstrained model, or with something added."""
        kind: Any = PointCloudTransformer if self.name == "molecules" else PointNet
        harmonics = self.harmonics if regime in ("+ features", "+ both") else 0
        basis = data.tensor_basis if regime in ("+ basis", "+ both") else None
        if basis is not None and self.label == (0, -1):
            basis = dataclasses.replace(basis, gain=GAIN)
        return kind(
            data.shapes, width=size.width, harmonics=harmonics, scales=data.scales, tensor_basis=basis, seed=seed
        )


LOOKS = (0, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1)
"""Spectra after these parts of the training."""
CLOUDS = Size(1200, 300, 8, 60, LOOKS, 96)
TASKS = {
    task.name: task
    for task in (
        Task(
            "molecules", "PointCloudTransformer on conformers of six molecules: energy, and dipole with label (1, 1)",
            {"energy": "kcal/mol", "dipole": "D"}, (1, 1), Size(720, 240, 8, 30, LOOKS, 48),
            3e-3, 24, 6, 2, (1.0, 1.0, 1.05, 1.05, 1.1),
        ),
        Task(
            "octupole", "PointNet on clouds of six charges: moment of degree 3, label (3, 1)",
            {"output": "rms of the target"}, (3, 1), CLOUDS, 3e-3, 32, 8, 3, (0.72, 1.0, 1.14, 1.48, 1.75),
        ),
        Task(
            "pseudoscalar", "PointNet on clouds of six charges: handedness of three moments, label (0, -1)",
            {"output": "rms of the target"}, (0, -1), CLOUDS, 2e-3, 32, 8, 1, (0.75, 1.0, 1.1, 1.25, 1.35),
        ),
    )
}  # fmt: skip


def costs(task: str, rounds: int = 4) -> dict[str, float]:
    """CPU time of a step in each regime by that with augmentation alone: medians of short runs taken in turn."""
    made = TASKS[task]
    size = dataclasses.replace(made.full, train=10 * made.batch_size, test=4)
    data = made.data(size, CHOSEN_ON)
    augmentation = Augmentation(GROUP, data.rho_in(GROUP), data.rho_out(GROUP))
    spent: dict[str, list[float]] = {regime: [] for regime in REGIMES}
    for _ in range(rounds):
        for regime in REGIMES:
            run = train(
                made.model(regime, data, size, 0), data, epochs=1, batch_size=made.batch_size,
                augmentation=None if regime == "none" else augmentation,
            )  # fmt: skip
            spent[regime].append(float(run.history.cpu_seconds[-1]))
    middle = {regime: sorted(values)[len(values) // 2] for regime, values in spent.items()}
    return {regime: value / middle["augmentation"] for regime, value in middle.items()}


def cell(task: str, regime: str, seed: int, quick: bool) -> dict[str, Any]:
    """Paired between regimes: data, split, orientations of the validation samples, and the seed of the parameters.

    Batches and augmentation have seeds of their own in every cell.
    """
    torch.set_num_threads(1)
    made = TASKS[task]
    size = made.quick if quick else made.full
    data = made.data(size, seed)
    whole = size.train + size.test
    learnt, held_out = data.split((size.train / whole, size.test / whole), seed=made.stream(1, seed))
    augmentation = Augmentation(GROUP, data.rho_in(GROUP), data.rho_out(GROUP))
    turned = augmentation(
        held_out.inputs, held_out.targets, generator=torch.Generator().manual_seed(made.stream(2, seed))
    )  # every held-out sample in one random orientation: its error estimates the mean over orientations
    model = made.model(regime, learnt, size, made.stream(9, seed))
    probe = held_out[:: max(1, len(held_out) // size.probe)][: size.probe]
    logger = SpectrumLogger(
        probe.inputs, GROUP, CUTOFF, rho_in=probe.rho_in(GROUP), rho_out=probe.rho_out(GROUP),
        layers=model.layers, degree=made.spectra_degree,
    )  # fmt: skip
    epochs = made.epochs(regime, size)
    looks = {round(look * epochs) for look in size.looks}
    run = train(
        model, learnt, epochs=epochs, batch_size=made.batch_size, learning_rate=made.learning_rate,
        seed=made.stream(3 + REGIMES.index(regime), seed),
        augmentation=None if regime == "none" else augmentation, validation=turned,
        callbacks=[functools.partial(_look, logger, looks)],
    )  # fmt: skip
    tested = held_out[:: max(1, len(held_out) // (4 * size.probe))][: 4 * size.probe]
    found = accuracy(
        run.model, tested.inputs, tested.targets, GROUP, tested.rho_in(GROUP), tested.rho_out(GROUP), degree=made.degree
    )
    by_name = {name: found[name] for name in found} if isinstance(data.shapes, dict) else {"output": found}
    truth = tested.targets if isinstance(data.shapes, dict) else {"output": tested.targets}
    history, spectra = run.history, logger.history
    return {
        "steps": int(history.steps[-1]), "cpu_train": float(history.cpu_seconds[-1]),
        "wall_train": float(history.seconds[-1]), "stopped": run.stopped,
        "parameters": sum(p.numel() for p in model.parameters()),
        "errors": {_short(name): _numbers(one, truth[_short(name)]) for name, one in by_name.items()},
        "curve": {
            "cpu": history.cpu_seconds.tolist(), "steps": history.steps.tolist(),
            "rmse": {name: history[f"rmse_{name}"].tolist() for name in made.units},
        },
        "spectra": {
            "labels": [list(label) for label in spectra.labels], "layers": list(spectra.layers),
            "epochs": spectra.epochs.tolist(), "fractions": spectra.fractions.tolist(),
            "residuals": spectra.residuals.tolist(), "relative": spectra.relative.tolist(),
            "cpu": [float(history.cpu_seconds[int(epoch)]) for epoch in spectra.epochs],
        },
    }  # fmt: skip


def _look(logger: SpectrumLogger, looks: set[int], model: torch.nn.Module, epoch: int, **numbers: float) -> None:
    if epoch in looks:
        logger.log(model, epoch=epoch, **numbers)


def _short(name: str) -> str:
    return name.removeprefix("output['").removesuffix("']")


def _numbers(one: Any, truth: Tensor) -> dict[str, float]:
    """``spread``: what the best constant that is equivariant would have as its error by component."""
    centre = truth.double().mean(0) if truth.ndim == 1 else 0.0
    spread = float((truth.double() - centre).square().mean().sqrt())
    return {
        "spread": spread,
        "rmse": one.oriented, "as_given": one.as_given, "averaged": one.averaged, "A": one.error.A,
        "A_component": one.equivariance, "relative": one.error.relative, "share": one.share,
    }  # fmt: skip
