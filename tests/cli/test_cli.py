"""The command line: what it prints, writes and refuses; bad input leaves nothing behind and shows no traceback."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pyro_symvi import examples
from pyro_symvi.cli import load_target, main, parse_divergence
from pyro_symvi.divergences import Alpha, ChiSquare, ForwardKL, Hellinger, Jeffreys, ReverseKL

MODEL = """
import pyro, torch
import pyro.distributions as dist

y = torch.tensor([1.0, 2.5, 0.5, 1.7], dtype=torch.float64)
not_a_model = 3

def model(y, prior_sd=10.0):
    mu = pyro.sample("mu", dist.Normal(0.0, prior_sd))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", dist.Normal(mu, 1.0), obs=y)

def needs_more(y, w):
    model(y)

def discrete(y):
    pyro.sample("k", dist.Bernoulli(0.5))
    model(y)

def sphere(y):
    pyro.sample("u", dist.ProjectedNormal(torch.ones(3)))
    model(y)

def missing(y):
    model(torch.cat([y, torch.tensor([float("nan")])]))

def broken(y):
    raise KeyError("no such column")

def student(y):
    pyro.sample("z", dist.StudentT(3.0))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(MODEL)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_list_names_every_example(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "list")
    assert status == 0
    assert all(name in out for name in examples.names())


def test_certify_a_built_in_example_with_json_and_plot(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, out, err = run(capsys, "certify", "darwin", "--json", tmp_path / "c.json", "--plot", tmp_path / "c.png")
    assert status == 0, err
    assert "PROVED" in out and "mean of mu" in out and "20.9333" in out
    record = json.loads((tmp_path / "c.json").read_text())
    entries = {e["label"]: e for e in record["statistics"]["mean"]["entries"]}
    assert entries["mean of mu"]["verdict"] == "PROVED"
    assert entries["mean of mu"]["value"] == pytest.approx(20.9333333, abs=1e-6)
    assert entries["mean of log sigma"]["verdict"] not in ("PROVED", "VERIFIED")
    assert record["fit"]["status"] == "CONVERGED"
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.json", "c.png"]


def test_certify_a_user_file(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    status, out, err = run(capsys, "certify", f"{file}:model", "--base", "laplace", "--scale", "diagonal")
    assert status == 0, err
    # precision 4 + 1/100, so the mean is sum(y) / 4.01
    assert "mean of mu" in out and "PROVED" in out and f"{5.7 / 4.01:.6g}" in out


@pytest.mark.parametrize("divergence", ["forward-kl", "alpha=0.5", "Reverse_KL"])
def test_divergences_by_name(capsys: pytest.CaptureFixture[str], file: Path, divergence: str) -> None:
    status, out, err = run(capsys, "certify", f"{file}:model", "--divergence", divergence, "--no-correlation")
    assert status == 0, err
    assert "PROVED" in out and "correlation" not in out


REFUSALS = [
    (["certify", "darwn"], "expected one of .*got 'darwn'.*darwin"),
    (["certify", "FILE:nothing"], "expected a model named 'nothing' in .*; it has model, needs_more"),
    (["certify", "FILE:not_a_model"], "to be a model"),
    (["certify", "FILE"], r"expected FILE.py:MODEL, got .*try .*:model"),
    (["certify", "planets"], r"expected a posterior on flat space, got 'planets', whose sites \['mu'\].*AutoSymmetric"),
    (["certify", "absent.py:model"], "expected a Python file, got 'absent.py', which is not there"),
    (["certify", "FILE:needs_more"], r"expected data for the parameters \['w'\]"),
    (["certify", "FILE:discrete"], "discrete site 'k'"),
    (["certify", "FILE:sphere"], "'u' on the sphere.*AutoSphere"),
    (["certify", "FILE:missing"], "got 1 nan or infinite values"),
    (["certify", "FILE:broken"], "got KeyError: 'no such column'"),
    (["certify", "FILE:student", "--divergence", "alpha=2"], "expected a finite divergence, got an infinite"),
    (["certify", "darwin", "--divergence", "kl"], "expected a divergence among"),
    (["certify", "darwin", "--divergence", "alpha=nan"], "expected alpha=NUMBER"),
    (["certify", "darwin", "--base", "gumbel"], "expected base in"),
    (["certify", "darwin", "--base", "student_t"], "expected df"),
    (["certify", "darwin", "--scale", "lowrank"], "expected scale in"),
    (["certify", "darwin", "--particles", "0"], "expected num_particles >= 1"),
    (["certify", "darwin", "--json", "nowhere/c.json"], "existing folder"),
    (["certify", "darwin", "--plot", "c.txt"], "expected a picture ending in"),
]


@pytest.mark.parametrize("arguments, message", REFUSALS, ids=[" ".join(a[1:]) for a, _ in REFUSALS])
def test_bad_input(
    capsys: pytest.CaptureFixture[str],
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(file.parent)
    before = sorted(p.name for p in file.parent.iterdir() if p.name != "__pycache__")
    status, _, err = run(capsys, *[a.replace("FILE", str(file)) for a in arguments])
    assert status == 2
    import re

    assert re.search(message, err), err
    assert "Traceback" not in err and err.startswith("error: ")
    assert sorted(p.name for p in file.parent.iterdir() if p.name != "__pycache__") == before


def test_a_file_that_does_not_import(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text("import nowhere_to_be_found\n")
    status, _, err = run(capsys, "certify", f"{path}:model")
    assert status == 2
    assert "expected a file that runs, got ModuleNotFoundError" in err


def test_the_demo_leaves_out_posteriors_on_spheres(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def run_one(model: object, *_: object) -> tuple[object, object, float]:
        seen.append(model)
        return SimpleNamespace(converged=True), SimpleNamespace(rows=lambda: [("mean of x", "VERIFIED", "0", "-")]), 0.0

    monkeypatch.setattr("pyro_symvi.cli._run", run_one)
    status, out, _ = run(capsys, "demo")
    assert status == 0 and "planets" not in out and f"{len(examples.names()) - 1} posteriors fitted" in out
    assert seen == [examples.get(name).model for name in examples.names() if name != "planets"]


def test_failed_writing_leaves_the_old_file(
    capsys: pytest.CaptureFixture[str], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = file.parent / "c.json"
    target.write_text("old")

    def fail(*_: object, **__: object) -> str:
        raise OSError("disk full")

    monkeypatch.setattr("pyro_symvi.cli.json.dumps", fail)
    status, _, err = run(capsys, "certify", f"{file}:model", "--json", target)
    assert status == 1 and "disk full" in err and "Traceback" not in err
    assert target.read_text() == "old"
    assert sorted(p.name for p in file.parent.iterdir() if p.name != "__pycache__") == ["c.json", "mine.py"]


def test_no_command_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys)
    assert status == 2 and "certify" in out


def test_parse_divergence() -> None:
    assert parse_divergence("reverse-kl") == ReverseKL()
    assert parse_divergence("Forward_KL") == ForwardKL()
    assert parse_divergence("alpha:0.25") == Alpha(0.25)
    assert parse_divergence("hellinger") == Hellinger()
    assert parse_divergence("jeffreys") == Jeffreys()
    assert parse_divergence("chi_square") == ChiSquare()
    assert parse_divergence("reverse-chi-square") == ChiSquare(reverse=True)


def test_defaults_of_the_model_may_stay(file: Path) -> None:
    _, _, args, kwargs = load_target(f"{file}:model")
    assert args == () and set(kwargs) == {"y"}


def test_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pyro_symvi", "certify", "nobody"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: expected one of") and "Traceback" not in done.stderr
