"""A run that is killed goes on from its checkpoint as if nothing had happened; files that do not fit are refused."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pyro_symvi.quotient import Diffusion
from pyro_symvi.quotient.losses import Plain, Quotient
from pyro_symvi.quotient.training import Cosine, train

from . import training_worker
from .training_worker import DEATH, EVERY, STEPS, clouds, run

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a process that was killed at step 27, the last one written at step 20."""
    path = tmp_path_factory.mktemp("killed") / "run.pt"
    process = subprocess.run(
        [sys.executable, str(Path(training_worker.__file__)), "die", str(path)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    assert process.returncode == -signal.SIGKILL
    return path


def equal(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_a_killed_run_is_resumed_bit_for_bit(killed: Path, tmp_path: Path) -> None:
    path = shutil.copy(killed, tmp_path / "run.pt")
    assert torch.load(path, weights_only=True)["step"] == DEATH // EVERY * EVERY == 20
    resumed, whole = run(path), run(None)
    assert equal(resumed.network, whole.network) and equal(resumed.ema, whole.ema)
    assert not equal(resumed.network, resumed.ema)
    assert resumed.history == whole.history and len(resumed.history.loss) == STEPS
    assert sorted(resumed.history.evaluations) == list(range(4, 41, 4))


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
