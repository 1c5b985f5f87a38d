"""``quotient train | sample | evaluate``: what they write, refuse and keep when interrupted."""

import errno
import json
import re
import sys
from pathlib import Path

import pytest
import torch

from pyro_symvi.cli import main
from pyro_symvi.quotient import CloudDataset, Context
from pyro_symvi.quotient.data import ChainLaw, chain_dataset, common_molecules
from pyro_symvi.quotient.files import read_clouds
from pyro_symvi.quotient.losses import Quotient
from pyro_symvi.quotient.training import load_model

SMALL = ("--width", "16", "--layers", "1", "--batch", "8", "--clouds", "60")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main(["quotient", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of four-atom chains and of two molecules (padded clouds, bonds), trained for a few steps."""
    path = tmp_path_factory.mktemp("models")
    assert main(["quotient", "train", "torsion-chain", "--out", str(path / "chain"), "--steps", "6", *SMALL]) == 0
    names = ["CCCC", "CCO"]
    context = Context(
        mask=torch.tensor([[True] * 4, [True] * 3 + [False]]),
        features=torch.eye(4)[None].repeat(2, 1, 1),
        edges=torch.tensor([[[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0]],
                            [[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]]),
    )  # fmt: skip
    clouds = ChainLaw().sample(20, generator=torch.Generator().manual_seed(0))
    clouds[10:, 3] = 0
    two = CloudDataset(clouds, torch.arange(2).repeat_interleave(10), tuple(names), context)
    two.save(path / "two.npz")
    assert main(["quotient", "train", str(path / "two.npz"), "--out", str(path / "two"), "--steps", "6", *SMALL]) == 0
    (path / "water.xyz").write_text("3\nwater\nO 0 0 0.1\nH 0.8 0 -0.5\nH -0.8 0 -0.5\n")
    water = ("train", str(path / "water.xyz"), "--out", str(path / "water"), "--steps", "2", *SMALL)
    assert main(["quotient", *water]) == 0
    return path


# -- what they write ---------------------------------------------------------------------------------------------------


def test_train_says_what_it_did(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "m"
    for loss in ("plain", "orbit"):
        status, text, err = run(capsys, "train", "bent-chain", "--out", out, "--steps", 3, "--loss", loss, *SMALL)
        assert status == 0, err
        assert "60 clouds of 1 kind(s), 3 points; EquivariantNetwork with" in text and f"wrote {out}" in text
    model = load_model(out)
    assert model.metadata["loss"] == "orbit" and model.metadata["names"] == ["chain of 3 atoms"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m"]
    # bent chains have a coordinate of this spread, and the network and the prior are made for it
    expected = chain_dataset(ChainLaw(atoms=3, bond=1.0, bond_spread=0.02, angles=(1.2, 2.2), angle_weights=(0.7, 0.3),
                                      angle_spread=0.1), 4000).clouds.std()  # fmt: skip
    assert model.network.config["data_scale"] == pytest.approx(float(expected), rel=0.05)


def test_the_same_seed_gives_the_same_model(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ("train", "bent-chain", "--steps", 3, "--network", "transformer", *SMALL)
    assert (
        run(capsys, *arguments, "--out", tmp_path / "a")[0] == run(capsys, *arguments, "--out", tmp_path / "b")[0] == 0
    )
    a, b = (load_model(tmp_path / name).network.state_dict() for name in "ab")
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("suffix", [".xyz", ".npz", ".pdb", ".sdf"])
def test_draws_in_files(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, suffix: str) -> None:
    if suffix == ".sdf":
        pytest.importorskip("rdkit")
    out = tmp_path / f"x{suffix}"
    status, text, err = run(capsys, "sample", folder / "chain", "-n", 5, "--out", out, "--steps", 3, "--seed", 4)
    assert status == 0, err
    assert "wrote 5 clouds of 1 kind(s)" in text and sorted(p.name for p in tmp_path.iterdir()) == [out.name]
    read = CloudDataset.load(out) if suffix == ".npz" else read_clouds(out)
    direct = tmp_path / "y.npz"
    run(capsys, "sample", folder / "chain", "-n", 5, "--out", direct, "--steps", 3, "--seed", 4)
    clouds = CloudDataset.load(direct).clouds
    # an SDF file's atoms come back in the order of the canonical string of butane, which may run backwards
    same = torch.allclose(read.clouds, clouds, atol=2e-3) or torch.allclose(read.clouds, clouds.flip(1), atol=2e-3)
    assert same and bool((clouds.mean(1).abs() < 1e-5).all())


def test_kinds_and_pictures(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    out, picture = tmp_path / "x.npz", tmp_path / "x.png"
    status, text, err = run(
        capsys, "sample", folder / "two", "-n", 2, "--out", out, "--picture", picture, "--steps", 3, "--sampler", "sde"
    )
    assert status == 0, err
    both = CloudDataset.load(out)
    assert both.names == ("CCCC", "CCO") and bool((both.clouds[2:, 3] == 0).all())
    assert picture.read_bytes().startswith(b"\x89PNG") and f"wrote {picture}" in text
    assert run(capsys, "sample", folder / "two", "-n", 2, "--kind", "CCO", "--out", out, "--steps", 3)[0] == 0
    assert CloudDataset.load(out).names == ("CCO",)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.npz", "x.png"]


def test_evaluate_prints_and_writes_figures(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    status, text, err = run(
        capsys, "evaluate", folder / "chain", "--against", "torsion-chain", "--clouds", 60, "-n", 40, "--steps", 3,
        "--json", path,
    )  # fmt: skip
    assert status == 0, err
    assert "COV-R at 0.5" in text and "W1 torsions (deg)" in text and "torsion 1-2-3-4" in text and "p = " in text
    record = json.loads(path.read_text())
    figures = record["figures"]
    assert figures["W1 bonds"]["model"][0] > 5 * figures["W1 bonds"]["halves"]  # six steps teach no bonds
    low, high = figures["AMR-P"]["model"][1:]
    assert low < figures["AMR-P"]["model"][0] < high
    assert sum(share for share, _, _ in record["wells"]["1-2-3-4"]["data"]) == pytest.approx(1.0)


def test_a_model_of_the_data_itself_has_no_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyro_symvi.quotient.commands._report import report

    data = chain_dataset(ChainLaw(), 60, generator=torch.Generator().manual_seed(0))
    found = report(data, data).figures
    assert all(value.estimate == pytest.approx(1.0 if name.startswith("COV") else 0.0, abs=1e-5)
               for name, (value, _) in found.items())  # fmt: skip
    stretched = CloudDataset(1.1 * data.clouds, data.kinds, data.names, data.context)
    found = report(stretched, data).figures
    assert found["W1 bonds"][0].estimate == pytest.approx(0.153, abs=0.01)
    assert found["W1 angles (deg)"][0].estimate == pytest.approx(0.0, abs=1e-4)


def test_intervals_over_kinds() -> None:
    from pyro_symvi.quotient.commands._report import report

    data = chain_dataset(ChainLaw(), 40, generator=torch.Generator().manual_seed(0))
    assert data.context is not None
    kinds, names = torch.arange(40) % 4, tuple("abcd")
    context = data.context[torch.zeros(4, dtype=torch.int64)]
    scales = torch.tensor([1.0, 1.1, 1.2, 1.3])[kinds][:, None, None]
    four = CloudDataset(data.clouds, kinds, names, context)
    found = report(CloudDataset(scales * data.clouds, kinds, names, context), four)
    assert found.figures["W1 bonds"][0].estimate == pytest.approx(0.153 * 1.5, abs=0.01)
    assert found.figures["W1 bonds"][0].low < 0.2 and found.joint is None and "over 4 kinds" in found.to_text()


# -- interruptions -----------------------------------------------------------------------------------------------------


def test_an_interrupted_run_goes_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("train", "bent-chain", "--steps", 9, "--checkpoint-every", 4, *SMALL)
    assert run(capsys, *arguments, "--out", tmp_path / "whole")[0] == 0
    right, calls = Quotient.__call__, []

    def interrupted(self: Quotient, *args: object, **kwargs: object) -> object:
        calls.append(0)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return right(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Quotient, "__call__", interrupted)
        status, _, err = run(capsys, *arguments, "--out", tmp_path / "m", "--checkpoint")
    assert status == 130 and "run the same command again to go on from" in err and "Traceback" not in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.checkpoint", "whole"]
    status, text, err = run(capsys, *arguments, "--out", tmp_path / "m", "--resume")
    assert status == 0 and "going on from" in text, err
    one, other = (load_model(tmp_path / name).ema.state_dict() for name in ("whole", "m"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    status, _, err = run(capsys, *arguments, "--out", tmp_path / "m", "--resume", "--seed", 3)
    assert status == 2 and "expected a checkpoint of this run" in err


def test_interrupted_without_a_checkpoint(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(Quotient, "__call__", interrupted)
    status, _, err = run(capsys, "train", "bent-chain", "--out", tmp_path / "m", *SMALL)
    assert status == 130 and err == "interrupted; nothing was written\n" and not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_opened_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refused)
    status, _, err = run(capsys, "train", "secret.xyz", "--out", tmp_path / "m", *SMALL)
    assert status == 2 and err.startswith("error: expected a file that can be read or written, got 'secret.xyz'")


@pytest.mark.parametrize("suffix", [".sdf", ".pdb"])
def test_molecules_without_rdkit(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setitem(sys.modules, "rdkit", None)
    status, _, err = run(capsys, "sample", folder / "water", "--out", tmp_path / f"x{suffix}", "--steps", 2, "-n", 2)
    assert status == 2 and "try pip install 'pyro-symvi[molecules]'" in err and not list(tmp_path.iterdir())


def test_interrupted_while_loading(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pyro_symvi.cli._parser", interrupted)
    assert run(capsys, "train") == (130, "", "interrupted; nothing was written\n")


def test_training_that_fails_writes_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, _, err = run(
        capsys, "train", "bent-chain", "--out", tmp_path / "m", "--steps", 5, "--learning-rate", 1e30, *SMALL
    )
    assert status == 1 and err.startswith("error: training ended NOT_FINITE at step") and not list(tmp_path.iterdir())


# -- bad input ---------------------------------------------------------------------------------------------------------

REFUSALS = {
    "train torsion --out m": "expected torsion-chain, .*got 'torsion'; try torsion-chain",
    "train absent.xyz --out m": "expected a file of clouds, got 'absent.xyz', which is not there",
    "train broken.xyz --out m": "expected the number of atoms, got 'nonsense'.*line 1",
    "train broken.npz --out m": "expected a .npz file written by CloudDataset.save",
    "train bent-chain --out nowhere/m": "expected a path in an existing folder",
    "train bent-chain --out .": "expected the path of a file, got the folder",
    "train bent-chain --out m --steps 0": "expected --steps >= 1, got 0",
    "train absent.xyz --out m --batch 0": "expected --batch >= 1, got 0",  # before data are read
    "train absent.xyz --out m --learning-rate nan": "expected a finite --learning-rate > 0, got nan",
    "train absent.xyz --out m --width 20": "expected width to be a multiple of 16",
    "train butane --out m --cache nowhere/c.npz": "expected a path in an existing folder, got 'nowhere/c.npz'",
    "train bent-chain --out m --clouds 0": "expected --clouds >= 1, got 0",
    "train bent-chain --out m --width 6": "expected width to be a multiple of 16",
    "train bent-chain --out m --resume": "expected a checkpoint to go on from, got none at 'm.checkpoint'",
    "train points.npz --out m": "expected clouds of points apart, got all points in one place",
    "train plane.npz --out m": r"expected clouds in space \[M, N, 3\], got \[3, 2, 2\]",
    "train plain.npz --out m --prior harmonic": "expected data with bonds, got none",
    "sample CHAIN": "expected --out PATH or --picture PATH, got neither",
    "sample CHAIN --out x.mol2": "expected an --out file ending in .npz, .sdf, .xyz, .pdb",
    "sample CHAIN --picture x.gif": "expected a picture ending in .png",
    "sample CHAIN --out x.xyz -n 0": "expected -n >= 1, got 0",
    "sample CHAIN --out x.xyz --steps 0": "expected steps >= 1, got 0",
    "sample CHAIN --out x.xyz --kind butane": r"expected kinds that the model was trained on \(chain of 4 atoms\)",
    "sample CHAIN --out x.xyz --smiles CCO": "expected a model trained on molecules",
    "sample TWO --out x.pdb": "expected one molecule, got 2",
    "sample absent --out x.xyz": "expected a model written by quotient train, got 'absent', which is not there",
    "sample broken.npz --out x.xyz": "expected a file written by save_model.*because: it is no archive",
    "sample . --out x.xyz": "expected a file written by save_model, got the folder",
    "sample WATER --out x.pdb": "expected molecules with bonds or protein chains, got elements without bonds",
    "evaluate CHAIN --against absent.xyz --references 0": "expected --references >= 1, got 0",
    "evaluate CHAIN --against bent-chain": "expected data with 4 features a point .*got 3",
    "evaluate CHAIN --against torsion-chain --kinds 0": "expected --kinds >= 1, got 0",
}


@pytest.mark.parametrize("command", REFUSALS)
def test_bad_input(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.xyz").write_text("nonsense\n")
    (tmp_path / "broken.npz").write_bytes(b"nonsense")
    for name, clouds in (
        ("points", torch.zeros(3, 2, 3)),
        ("plane", torch.ones(3, 2, 2)),
        ("plain", torch.eye(3)[None]),
    ):
        CloudDataset(clouds, torch.zeros(len(clouds), dtype=torch.int64), ("a",)).save(tmp_path / f"{name}.npz")
    before = sorted(p.name for p in tmp_path.iterdir())
    places = {name: str(folder / name.lower()) for name in ("CHAIN", "TWO", "WATER")}
    status, _, err = run(capsys, *(places.get(word, word) for word in command.split()))
    assert status == 2 and re.search(REFUSALS[command], err), err
    assert err.startswith("error: ") and "Traceback" not in err
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys)
    assert status == 2 and all(word in out for word in ("train", "sample", "evaluate"))


def test_common_molecules_are_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    assert "butane" in common_molecules()
    status, text, err = run(
        capsys, "train", "butane", "--out", tmp_path / "m", "--steps", 2, "--prior", "harmonic", *SMALL[:-1], 4
    )
    assert status == 0 and "4 clouds of 1 kind(s), 4 points" in text, err
    status, text, err = run(capsys, "sample", tmp_path / "m", "-n", 2, "--smiles", "OCC", "--out", tmp_path / "x.sdf",
                            "--steps", 2)  # fmt: skip
    assert status == 0 and read_clouds(tmp_path / "x.sdf").names == ("CCO",), err
    status, _, err = run(capsys, "sample", tmp_path / "m", "--smiles", "not one", "--out", tmp_path / "y.sdf")
    assert status == 2 and "expected a SMILES string" in err
