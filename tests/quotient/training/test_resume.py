"""Checkpoints: finished runs are read, longer ones go on, files that do not fit are refused."""

from pathlib import Path

import pytest
import torch

from pyro_symvi.quotient import Diffusion
from pyro_symvi.quotient.losses import Plain, Quotient
from pyro_symvi.quotient.training import Cosine, train

from . import training_worker
from .test_parallel_training import equal
from .training_worker import STEPS, clouds, run


def test_a_finished_run_is_read_and_not_repeated(tmp_path: Path) -> None:
    first = run(tmp_path / "run.pt")
    steps: list[int] = []
    again = train(
        Diffusion(), training_worker.Noisy(), clouds(), training_worker.OrbitAveraged(rotations=2), steps=STEPS,
        batch_size=16, schedule=Cosine(5), ema=0.9, gradient_clip=1.1, weight_decay=0.01, seed=5,
        checkpoint=tmp_path / "run.pt", progress=lambda step, loss: steps.append(step),
    )  # fmt: skip
    assert equal(first.network, again.network) and again.history == first.history and not steps
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]


def short(path: Path, **changes: object):
    options = {"steps": 4, "batch_size": 8, "seed": 1, "checkpoint": path, "loss": Plain(), **changes}
    return train(Diffusion(), training_worker.Plain(), options.pop("data", clouds()), **options)  # type: ignore[arg-type]


def test_a_constant_rate_can_be_prolonged(tmp_path: Path) -> None:
    short(tmp_path / "a.pt")
    longer, whole = short(tmp_path / "a.pt", steps=7), short(tmp_path / "b.pt", steps=7)
    assert equal(longer.network, whole.network) and len(longer.history.loss) == 7
    with pytest.raises(ValueError, match="expected steps of at least 7, got 5"):
        short(tmp_path / "a.pt", steps=5)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"loss": Quotient()}, "loss: Plain() there, Quotient() here"),
        ({"seed": 2}, "seed: 1 there, 2 here"),
        ({"batch_size": 10}, "batch_size: 8 there, 10 here"),
        ({"schedule": Cosine()}, "schedule: Constant() there, Cosine() here"),
        ({"data": clouds(49)}, "dataset: 50 clouds"),
    ],
    ids=["loss", "seed", "batch", "schedule", "data"],
)
def test_the_checkpoint_of_another_run_is_refused(tmp_path: Path, change: dict[str, object], named: str) -> None:
    short(tmp_path / "run.pt")
    before = (tmp_path / "run.pt").read_bytes()
    with pytest.raises(ValueError, match="expected a checkpoint of this run") as caught:
        short(tmp_path / "run.pt", **change)
    assert named in str(caught.value) and (tmp_path / "run.pt").read_bytes() == before


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "other", "code"])
def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "run.pt"
    short(path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:2000])
    elif damage in ("empty", "text"):
        path.write_text("" if damage == "empty" else "not a checkpoint\n")
    elif damage == "other":
        torch.save({"weights": torch.zeros(3)}, path)
    else:
        torch.save({"format": Path("a value of a class that must not be made")}, path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"expected a file written by train\(checkpoint=...\)"):
        short(path)
    assert path.read_bytes() == before


def test_training_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(11)
    state = torch.get_rng_state()
    run(None)
    assert torch.equal(torch.get_rng_state(), state)
