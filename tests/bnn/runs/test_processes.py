"""One launch of two processes: runs killed at many moments, and runs shared between the two."""

from pathlib import Path

import pytest
import torch
import zarr

from tests.two_ranks import launch

from . import runs_worker
from .runs_worker import DEATHS, SMALL, alone, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    process = launch(Path(runs_worker.__file__), str(folder))
    assert process.returncode == 0, process.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def ranks(folder: Path) -> list[dict]:
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]


def finished_blocks(path: Path) -> int:
    if not (path / "blocks" / "zarr.json").exists():
        return 0
    return int((zarr.open_array(str(path / "blocks"), mode="r")[..., 0] > 0).sum())


def test_killed_at_any_moment_a_run_goes_on_and_repeats_no_finished_block(folder: Path):
    expected, seen = run(**SMALL), []
    for number in DEATHS:
        path, blocks = folder / f"killed{number}", []
        seen.append(finished_blocks(path))
        resumed = run(path, **SMALL, progress=blocks.append)
        assert torch.equal(resumed.theta, expected.theta), number
        assert all(torch.equal(resumed.stats[name], expected.stats[name]) for name in expected.stats)
        assert len(blocks) == 6 - seen[-1] and resumed.info["gradients"] == expected.info["gradients"]
    assert seen == sorted(seen) and seen[0] == 0 and len(set(seen)) >= 3, seen


def test_two_processes_draw_what_one_draws_bit_for_bit(ranks: list[dict]):
    for found in ranks:
        assert torch.equal(found["theta"], alone().theta)
        assert all(torch.equal(found["stats"][name], values) for name, values in alone().stats.items())
        assert found["gradients"] == alone().info["gradients"]
    assert ranks[0]["blocks"] == [(pack, block) for block in range(3) for pack in (0, 2)]
    assert ranks[1]["blocks"] == [(1, block) for block in range(3)]


def test_checkpoint_of_two_processes_is_extended_by_two_and_read_by_one(ranks: list[dict], folder: Path):
    for found in ranks:
        assert torch.equal(found["stored"], alone().theta[:, :15]) and torch.equal(found["extended"], alone().theta)
    assert torch.equal(run(folder / "together").theta, alone().theta)


def test_idle_processes_are_told_and_change_nothing(ranks: list[dict]):
    idle = run(pack=5, draws=3, warmup=4)
    assert all(torch.equal(found["one pack"], idle.theta) for found in ranks)
    assert "1 of 2 processes have nothing to do" in ranks[0]["warnings"][0] and "pack=3" in ranks[0]["warnings"][0]
    assert ranks[1]["warnings"] == []


def test_a_failure_on_one_stops_all_and_different_arguments_are_refused(ranks: list[dict]):
    assert "on rank 1 ValueError: expected a working sampler" in ranks[0]["broken"]
    assert ranks[1]["broken"] == "expected a working sampler, got a broken one"
    for found in ranks:
        assert "expected the same arguments on every process" in found["different"]
    assert ranks[0]["other run"].startswith("expected a checkpoint of this run")
    assert "on rank 0 ValueError: expected a checkpoint of this run" in ranks[1]["other run"]
