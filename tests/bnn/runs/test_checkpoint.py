"""Checkpoints: any death is survived, runs can be extended, other runs are refused, nothing is executed on reading."""

import builtins
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr

from pyro_symvi.bnn import LaplacePrior, NetworkPosterior
from pyro_symvi.bnn.runs import load_draws

from .runs_worker import SETTINGS, SMALL, Metropolis, alone, posterior, run


def same(a, b) -> bool:  # type: ignore[no-untyped-def]
    return torch.equal(a.theta, b.theta) and all(torch.equal(a.stats[name], b.stats[name]) for name in a.stats)


def test_stored_draws_are_those_of_a_run_without_a_checkpoint(tmp_path: Path):
    stored, plain = run(tmp_path / "run"), alone()
    assert same(stored, plain)
    times = ("seconds_warm_up", "seconds_sampling")
    assert {k: v for k, v in stored.info.items() if k not in times} == {
        k: v for k, v in plain.info.items() if k not in times
    }
    read = load_draws(tmp_path / "run")
    assert same(read, plain) and read.layout == plain.layout and read.source == "Metropolis"
    root = zarr.open_group(str(tmp_path / "run"), mode="r")
    assert root["draws"].metadata.zarr_format == 3
    assert root["draws"].chunks == (2, 10, posterior().dim)
    assert root["draws"].metadata.dimension_names == ("chain", "draw", "parameter")
    np.testing.assert_array_equal(root["draws"][3, 12], plain.theta[3, 12].numpy())


def test_a_finished_run_is_not_run_again_and_more_draws_extend_it(tmp_path: Path):
    """From 15 to 25 and to 40 draws; the blocks of ten left unfinished on the way are made whole."""
    path = tmp_path / "run"
    done: list[tuple[int, int]] = []
    run(path, draws=15)
    again = run(path, draws=15, progress=lambda r: done.append((r.pack, r.block)))
    assert done == [] and again.draws == 15
    extended = run(path, draws=25, progress=lambda r: done.append((r.pack, r.block)))
    assert done == [(pack, block) for block in (1, 2) for pack in range(3)]
    assert same(extended, alone())
    longer = run(path, draws=40)
    assert same(longer, run(draws=40))
    with pytest.raises(ValueError, match="draws of at least 40, got 25"):
        run(path, draws=25)


def test_interrupt_leaves_a_checkpoint_that_goes_on(tmp_path: Path):
    def stop(report) -> None:  # type: ignore[no-untyped-def]
        if (report.pack, report.block) == (1, 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", progress=stop)
    part = load_draws(tmp_path / "run")
    assert part.draws == 10 and part.info["complete"] is False
    assert torch.equal(part.theta, alone().theta[:, :10])
    assert same(run(tmp_path / "run"), alone())


@pytest.mark.parametrize(
    "changed, named",
    [
        ({"sampler": Metropolis(wanted=0.4)}, "sampler: Metropolis(wanted=0.3) there, Metropolis(wanted=0.4) here"),
        ({"seed": 4}, "seed: 3 there, 4 here"),
        ({"chains": 6}, "chains: 5 there, 6 here"),
        ({"thin": 3}, "thin: 2 there"),
        ({"warmup": 13}, "warmup: 12 there"),
        ({"block": 5}, "block: 10 there"),
        ({"pack": 3}, "pack: 2 there"),
        ({"target": posterior(1e-9)}, "data: "),
        ({"start": torch.zeros(posterior().dim)}, "start: prior there"),
        ({"target": "prior"}, "prior: NetworkPrior(default=NormalPrior(scale=1.0)"),
    ],
    ids=["sampler", "seed", "chains", "thin", "warmup", "block", "pack", "data", "start", "prior"],
)
def test_another_run_is_refused_by_name(changed: dict, named: str, stored: Path):
    if changed.get("target") == "prior":
        t = posterior()
        changed = {"target": NetworkPosterior(t.network, t.likelihood, LaplacePrior(), t.x, t.y)}
    with pytest.raises(ValueError) as error:
        run(stored, **changed)
    assert named in str(error.value) and str(error.value).count(" there, ") == 1


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stored") / "run"
    run(path, draws=1)
    return path


def test_weights_of_the_module_are_no_part_of_a_run_but_its_frozen_ones_are(tmp_path: Path):
    first = posterior()
    run(tmp_path / "run", draws=1, target=first)
    with torch.no_grad():
        first.network[0].weight.mul_(2.0)  # type: ignore[operator, union-attr]
    run(tmp_path / "run", draws=2, target=first)
    frozen = [posterior(), posterior()]
    for target, value in zip(frozen, (0.1, 0.2), strict=True):
        torch.nn.init.constant_(target.network[0].bias, value)  # type: ignore[arg-type, index]
        target.network[0].bias.requires_grad_(False)  # type: ignore[union-attr, index]
    one, two = (NetworkPosterior(t.network, t.likelihood, t.prior, t.x, t.y) for t in frozen)
    run(tmp_path / "frozen", draws=1, target=one)
    with pytest.raises(ValueError, match="fixed parameters and buffers"):
        run(tmp_path / "frozen", draws=1, target=two)


class Normal:
    """N(loc, 1) in two dimensions: a target that is no network."""

    dim = 2

    def __init__(self, loc: float) -> None:
        self.loc = loc

    def value_and_grad(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return -0.5 * (theta - self.loc).square().sum(-1), self.loc - theta


def test_other_targets_are_told_apart_by_their_densities(tmp_path: Path):
    start = torch.zeros(2, dtype=torch.float64)
    draws = run(tmp_path / "run", target=Normal(1.0), start=start, draws=2)
    assert draws.layout.names == ("theta",)
    run(tmp_path / "run", target=Normal(1.0), start=start, draws=3)
    with pytest.raises(ValueError, match="log density at two points"):
        run(tmp_path / "run", target=Normal(1.001), start=start, draws=3)


def test_what_is_no_checkpoint_is_refused_and_left_alone(tmp_path: Path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("all of it")
    with pytest.raises(ValueError, match="something else would be written over"):
        run(tmp_path / "thesis")
    with pytest.raises(ValueError, match="no Zarr store"):
        load_draws(tmp_path / "thesis")
    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["chapter1.tex"]
    zarr.create_group(str(tmp_path / "other"), attributes={"format": "another"})
    with pytest.raises(ValueError, match="with format 'another'"):
        run(tmp_path / "other")
    with pytest.raises(ValueError, match="of another kind"):
        load_draws(tmp_path / "other")


def test_the_store_holds_no_code(stored: Path):
    """Arrays and JSON alone."""
    for file in stored.rglob("*"):
        if file.is_file() and file.name == "zarr.json":
            json.loads(file.read_text())
        elif file.is_file():
            assert "c" in file.relative_to(stored).parts  # a chunk of an array
    kinds = {array.dtype.kind for _, array in zarr.open_group(str(stored), mode="r").arrays()}
    assert kinds == {"f"}


def test_without_zarr_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    plain = builtins.__import__

    def refuse(name: str, *rest: object) -> object:
        if name == "zarr":
            raise ImportError("no zarr")
        return plain(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"pip install 'pyro-symvi\[checkpoints\]'"):
        run(tmp_path / "run")
    assert run(draws=1).draws == 1 and SETTINGS and SMALL


@pytest.mark.parametrize("damage", ["zarr.json", "packs", "chunk"])
def test_a_damaged_store_is_named(damage: str, tmp_path: Path):
    run(tmp_path / "run")
    if damage == "zarr.json":
        (tmp_path / "run" / damage).write_text("{")
    elif damage == "packs":
        shutil.rmtree(tmp_path / "run" / damage)
    else:
        next(p for p in sorted((tmp_path / "run" / "draws" / "c").rglob("*")) if p.is_file()).write_bytes(b"xx")
    with pytest.raises(ValueError, match="expected a .*checkpoint of sample, got .*run"):
        load_draws(tmp_path / "run")
