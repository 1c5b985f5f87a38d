"""``deformable train | show``: what they write, say, refuse and keep."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pyro_symvi.cli import main
from pyro_symvi.deformable import (
    FrameLoss,
    Minimum,
    RandomWarps,
    Recipe,
    Softmin,
    Unrelaxed,
    bilateral,
    dihedral,
    load_model,
    rotational,
)
from pyro_symvi.deformable.commands import _train
from pyro_symvi.deformable.commands._show import _spread
from pyro_symvi.deformable.commands._symmetry import idle, parse_relaxation, parse_symmetry

OTHERS = ("--learning-rate", "0.002", "--shift", "0.1", "--turn", "30", "--seed", "3")
SMALL = ("--size", "16", "--width", "0.1", "--batch", "2", "--steps", "2")


def run(capsys, *arguments):
    status = main(["deformable", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Three grey images, and a model of two steps."""
    path = tmp_path_factory.mktemp("images")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 20, 16), dtype=np.uint8)
    for k, image in enumerate(pixels):
        Image.fromarray(image).save(path / f"{k}.png")
    assert main(["deformable", "train", str(path), "--out", str(path / "model"), *SMALL]) == 0
    return path


def test_training_says_what_it_did_and_writes_a_model(capsys, folder, tmp_path):
    status, out, err = run(
        capsys, "train", folder, "--out", tmp_path / "m", "--symmetry", "dihedral:3", *SMALL, *OTHERS
    )
    assert status == 0, err
    assert "3 images, grey, 16 x 16 pixels; symmetry dihedral:3, relaxation Softmin()" in out
    assert "note: 20 x 16 pixels made 16 x 16 by cutting out the middle" in out and f"wrote {tmp_path / 'm'}" in out
    model = load_model(tmp_path / "m")
    assert model.symmetry == dihedral(3) and model.steps == 2 and model.metadata["names"] == ["0.png", "1.png", "2.png"]
    assert model.loss == FrameLoss(dihedral(3), relaxation=Softmin())
    warps = RandomWarps(translation=0.1, scale=0.2, angle=math.pi / 6, elastic=0.05)
    assert model.recipe == Recipe(steps=2, batch_size=2, learning_rate=2e-3, warps=warps, seed=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m"]


def test_showing_claims_nothing_for_two_steps_and_writes_everything(capsys, folder, tmp_path):
    page, record, pictures = tmp_path / "p.html", tmp_path / "p.json", tmp_path / "pictures"
    arguments = ("--out", page, "--json", record, "--pictures", pictures, "--number", 2)
    status, out, err = run(capsys, "show", folder / "model", folder, *arguments)
    assert status == 0, err
    assert "nothing that can be relied on" in out or "collapsed" in out
    assert "some have the names of images it was trained on" in out
    assert "cycle error" in out and "by chance" in out and "flip consistency" in out
    content = json.loads(record.read_text())
    assert content["verdict"] in ("NOT_LEARNT", "COLLAPSED") and content["images"] == 3
    assert content["pixels"]["warped_frame"]["mean"] > content["pixels"]["warped_position"]["mean"]
    names = ["frames.png", "matches.png", "midline.png", "partners.png", "symmetrized.png"]
    assert sorted(path.name for path in pictures.iterdir()) == names
    text = page.read_text()
    assert text.count("<img ") == 5 and text.count("NOTHING WAS LEARNT") == 5 and "cycle error" in text


def test_a_killed_run_goes_on_to_the_same_model(capsys, folder, tmp_path, monkeypatch):
    whole = load_model(folder / "model").network.state_dict()
    train_frame = _train.train_frame

    def killed(*arguments, **options):
        def stop(step, loss):
            if step == 2:
                raise KeyboardInterrupt

        return train_frame(*arguments, **(options | {"progress": stop, "checkpoint_every": 1}))

    arguments = ("train", folder, "--out", tmp_path / "m", "--checkpoint", *SMALL)
    monkeypatch.setattr(_train, "train_frame", killed)
    status, _, err = run(capsys, *arguments)
    assert status == 130 and "run the same command again" in err and not (tmp_path / "m").exists()
    monkeypatch.undo()
    status, _, err = run(capsys, *arguments)
    assert status == 0, err
    for name, value in load_model(tmp_path / "m").network.state_dict().items():
        assert torch.equal(value, whole[name]), name
    status, _, err = run(capsys, *arguments, "--seed", 1)
    assert status == 2 and "expected a checkpoint of this run" in err


def test_a_run_that_is_not_finite_ends_with_status_1(capsys, folder, tmp_path):
    arguments = ("train", folder, "--out", tmp_path / "m", *SMALL, "--learning-rate", "1e30", "--steps", 6)
    status, _, err = run(capsys, *arguments)
    assert status == 1 and "NOT_FINITE" in err and "lower --learning-rate" in err and not (tmp_path / "m").exists()


def test_names_of_symmetries_and_relaxations():
    assert parse_symmetry("none", 3) is None and parse_symmetry("Bilateral", 4) == bilateral(4)
    assert parse_symmetry("rotational:5", 3) == rotational(5)
    assert isinstance(parse_relaxation(None, bilateral()), Unrelaxed)
    assert parse_relaxation(None, rotational(3)) == parse_relaxation("softmin", bilateral()) == Softmin()
    assert parse_relaxation("softmin:0.5", dihedral(2)) == Softmin(0.5)
    assert parse_relaxation("min", bilateral()) == Minimum()
    assert (
        idle(rotational(3), Unrelaxed()) and not idle(rotational(3), Softmin()) and not idle(bilateral(), Unrelaxed())
    )


def test_few_images_of_many_are_spread_over_the_folder():
    assert _spread(3, 5) == [0, 1, 2] and _spread(10, 4) == [0, 2, 5, 7]


REFUSED = {
    "expected --symmetry as one of": ("--symmetry", "mirror"),
    "equal parts from 2 to 24": ("--symmetry", "rotational:1"),
    "expected a symmetry for --relax min": ("--symmetry", "none", "--relax", "min"),
    "expected --relax as one of": ("--relax", "max"),
    "a temperature above 0": ("--relax", "softmin:-1"),
    "expected --size as an even number": ("--size", "15"),
    "expected --steps >= 1": ("--steps", "0"),
    "a finite --learning-rate > 0": ("--learning-rate", "nan"),
    "expected --width from": ("--width", "0"),
    "expected --shift from 0 to 0.5": ("--shift", "2"),
    "expected --dim >= 2": ("--dim", "1"),
    "expected a checkpoint to go on from": ("--resume",),
}


def test_bad_options_are_refused_before_any_work(capsys, folder, tmp_path):
    for words, arguments in REFUSED.items():
        status, _, err = run(capsys, "train", folder, "--out", tmp_path / "m", *SMALL, *arguments)
        assert status == 2 and re.search(words, err), (arguments, err)
    status, _, err = run(capsys, "train", folder, "--out", tmp_path / "no" / "m", *SMALL)
    assert status == 2 and "existing folder" in err
    status, _, err = run(capsys, "train", folder, "--out", tmp_path / "m", "--checkpoint", tmp_path / "m", *SMALL)
    assert status == 2 and "--checkpoint apart from --out" in err
    before = (folder / "0.png").read_bytes()
    status, _, err = run(capsys, "train", folder, "--out", folder / "0.png", *SMALL)
    assert status == 2 and "holds something else" in err and (folder / "0.png").read_bytes() == before
    assert list(tmp_path.iterdir()) == []


def test_bad_folders_and_models_are_refused_by_name(capsys, folder, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(images / "one.png")
    train = ("train", images, "--out", tmp_path / "m", *SMALL)
    status, _, err = run(capsys, *train)
    assert status == 2 and "got one (one.png)" in err
    (images / "bad.png").write_text("no image")
    status, _, err = run(capsys, *train)
    assert status == 2 and "bad.png: it is empty, or no image" in err and "--skip-unreadable" in err
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 20, 3), dtype=np.uint8)).save(images / "two.png")
    status, _, err = run(capsys, *train, "--skip-unreadable")
    assert status == 2 and "--channels grey" in err
    status, _, err = run(capsys, *train, "--skip-unreadable", "--channels", "grey", "--fit", "error")
    assert status == 2 and "--fit crop" in err
    status, _, err = run(capsys, "train", tmp_path / "none", "--out", tmp_path / "m")
    assert status == 2 and "which is not there" in err
    for words, arguments in {
        "written by deformable train": ("show", tmp_path / "none", folder),
        "cannot be read": ("show", folder / "0.png", folder),
        "ends in .html": ("show", folder / "model", folder, "--out", tmp_path / "p.pdf"),
        "as another folder than that of the images": ("show", folder / "model", folder, "--pictures", folder),
        "--number from 1 to 40": ("show", folder / "model", folder, "--number", 41),
    }.items():
        status, _, err = run(capsys, *arguments)
        assert status == 2 and words in err, (arguments, err)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]
    assert run(capsys)[0] == 2
