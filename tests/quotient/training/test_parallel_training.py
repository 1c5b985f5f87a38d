"""Two processes take the steps of one; a process that is killed is taken up by another. Both in one launch."""

import shutil
from pathlib import Path

import pytest
import torch

from pyro_symvi.quotient import Diffusion
from pyro_symvi.quotient.losses import OrbitAveraged
from pyro_symvi.quotient.training import train
from tests.two_ranks import launch

from . import training_worker
from .training_worker import DEATH, EVERY, STEPS, clouds, run


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder of two ranks; the checkpoint of a process killed at step 27, the last one written at step 20."""
    folder, killed = tmp_path_factory.mktemp("ranks"), tmp_path_factory.mktemp("killed") / "run.pt"
    process = launch(Path(training_worker.__file__), str(folder), str(killed))
    assert process.returncode == 0, process.stderr[-3000:]
    return folder, killed


@pytest.fixture(scope="module")
def ranks(launched: tuple[Path, Path]) -> list[dict]:
    """What each of two ranks found, and that only one of them wrote a checkpoint."""
    folder = launched[0]
    assert sorted(p.name for p in folder.iterdir()) == ["checkpoint.pt", "rank0.pt", "rank1.pt"]
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]


def equal(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_a_killed_run_is_resumed_bit_for_bit(launched: tuple[Path, Path], tmp_path: Path) -> None:
    path = shutil.copy(launched[1], tmp_path / "run.pt")
    assert torch.load(path, weights_only=True)["step"] == DEATH // EVERY * EVERY == 20
    resumed, whole = run(path), run(None)
    assert equal(resumed.network, whole.network) and equal(resumed.ema, whole.ema)
    assert not equal(resumed.network, resumed.ema)
    assert resumed.history == whole.history and len(resumed.history.loss) == STEPS
    assert sorted(resumed.history.evaluations) == list(range(4, 41, 4))


def test_both_end_with_the_same_weights(ranks: list[dict]) -> None:
    """Bit for bit, though the second started from other ones."""
    for name, value in ranks[0]["weights"].items():
        assert torch.equal(value, ranks[1]["weights"][name])
        assert torch.equal(ranks[0]["ema"][name], ranks[1]["ema"][name])


def test_they_are_those_of_one_process_with_the_joint_batch(ranks: list[dict]) -> None:
    network = training_worker.Plain()
    result = train(Diffusion(), network, clouds(), OrbitAveraged(rotations=2), steps=10, batch_size=16, seed=5, parts=2)
    for name, value in network.state_dict().items():
        assert torch.allclose(value, ranks[0]["weights"][name], rtol=1e-5, atol=1e-6), name
    assert ranks[0]["loss"] == pytest.approx(result.history.loss, rel=1e-5)
    other = train(Diffusion(), training_worker.Plain(), clouds(), steps=10, batch_size=16, seed=6, parts=2)
    assert other.history.loss[0] != pytest.approx(result.history.loss[0], rel=1e-3)


def test_only_the_first_evaluates(ranks: list[dict]) -> None:
    assert ranks[0]["evaluations"] == {10: {"rank": 0.0}} and ranks[1]["evaluations"] == {}


def test_other_data_on_one_rank_are_refused_on_all(ranks: list[dict]) -> None:
    for found in ranks:
        assert "expected the same options, data set and network on every rank" in found["refused"]
        assert "expected the same options" in found["overflow"]
