"""The command: what it prints, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from matplotlib.figure import Figure

from pyro_symvi.cli import main
from pyro_symvi.multiindex import committee_thresholds, pictures
from pyro_symvi.multiindex.commands._tables import committee_table, single_index_table

TABLES = (single_index_table, committee_table)

FILE = """
import torch
from torch import nn

half = 0.5

def quartic(z):
    return z**4 - 6 * z**2

class Bump(nn.Module):
    def forward(self, z):
        return torch.exp(-z**2 / 2)

class Needs(nn.Module):
    def __init__(self, width):
        super().__init__()

def broken(z):
    raise KeyError("no such thing")

def constant(z):
    return torch.ones_like(z)

def summed(z):
    return z.sum()

module = nn.Tanh()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main(["multiindex", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_tables_advice_and_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    json_path = tmp_path / "b4.json"
    status, out, _ = run(
        capsys, "b4", "--snr", 1, 0.3, "--units", 2, 4, "--samples", 800, "--dim", 50, "--json", json_path
    )
    assert status == 0 and f"wrote {json_path}" in out
    record = json.loads(json_path.read_text())
    assert record["sensitivity"]["exponent"] == 2
    assert record["sensitivity"]["coefficient"] == pytest.approx(1.74494, abs=6e-6)
    assert [row["weak_recovery"] for row in record["single_index"]] == pytest.approx([1.9195, 7.95], abs=6e-3)
    assert [row["algorithmic"] for row in record["committee"]] == pytest.approx([4.886, 20.99], abs=6e-3)
    assert [row["guide"] for row in record["advice"]] == ["orbit-mixture", "orbit-mixture, informed start"]
    lines = out.splitlines()
    single = next(line for line in lines if line.split()[:1] == ["0.3"])
    assert single.split()[4] == "7.949"
    committee = next(line for line in lines if line.split()[:1] == ["4"])
    assert "20.99" in committee and "first-order" in committee
    assert out.count("384 copies") == 1 and "noise sensitivity of b4" in out


def test_options_reach_what_is_computed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[float] = []
    figure = Figure()
    monkeypatch.setattr(pictures, "plot_phase_diagram", lambda link, *, noise, progress: drawn.append(noise) or figure)
    path = tmp_path / "abs.json"
    status, out, _ = run(
        capsys, "abs", "--snr", 2, "--units", 2, "--units", 3, "--noise", 1, "--samples", 90, "--dim", 10,
        "--json", path, "--plot", tmp_path / "abs.png",
    )  # fmt: skip
    assert status == 0 and "noise variance 1:" in out and drawn == [1.0]
    record = json.loads(path.read_text())
    assert [(row["units"], row["noise"]) for row in record["committee"]] == [(2, 1.0), (3, 1.0)]
    assert [(row["units"], row["noise"]) for row in record["advice"]] == [(2, 1.0), (3, 1.0)]
    expected = [committee_thresholds("abs", p, 1.0).algorithmic for p in (2, 3)]
    assert [row["algorithmic"] for row in record["committee"]] == pytest.approx(expected)
    assert record["noise"] == 1.0 and record["single_index"][0]["snr"] == 2.0


def test_cells_of_the_tables() -> None:
    given = {"information": 2.0, "algorithmic": 6.0, "transition": None}
    one = SimpleNamespace(
        snr=0.1,
        weak_recovery=5.0,
        spinodal=1.0,
        large_overlap=7.0,
        asymptotes={"weak_recovery": 4.0, "information": 8.0},
        **given,
    )
    several = SimpleNamespace(units=3, noise=0.5, asymptotes={"algorithmic": 4.0, "information": 8.0}, **given)
    rows: list[Any] = [one, several]
    cells = [[next(iter(c.cells)) for c in f([row]).columns] for f, row in zip(TABLES, rows, strict=True)]
    assert cells[0] == ["0.1", "5", "1", "2", "6", "7", "4", "1.5", "-"]
    assert cells[1] == ["3", "2", "6", "4", "1.5", "-"]


def test_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert "leaky_relu" in run(capsys, "list")[1]
    status, out, err = run(capsys, "tanhh")
    assert status == 2 and not out and "try tanh, hardtanh" in err and "FILE.py:NAME" in err


@pytest.mark.parametrize(("name", "exponent"), [("quartic", 2), ("Bump", 1), ("module", 2)])
def test_activations_of_a_file(capsys: pytest.CaptureFixture[str], file: Path, name: str, exponent: int) -> None:
    from pyro_symvi.multiindex import noise_sensitivity
    from pyro_symvi.multiindex.commands._activation import load_link

    link = load_link(f"{file}:{name}")
    assert link.name == name and noise_sensitivity(link).exponent == exponent


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone", "it has quartic, Bump, Needs, broken, constant, summed, module"),
        ("half", "to be a function of a tensor or a torch module, got float"),
        ("Needs", "to be made without arguments"),
        ("broken", "got KeyError: 'no such thing'"),
        ("constant", "expected an activation that varies"),
        ("summed", "to give one number for each"),
    ],
)
def test_what_is_no_activation(capsys: pytest.CaptureFixture[str], file: Path, name: str, message: str) -> None:
    status, out, err = run(capsys, f"{file}:{name}")
    assert status == 2 and not out and message in err and "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tanh", "--samples", "10"), "--samples alone"),
        (("tanh", "--dim", "10"), "--dim alone"),
        (("tanh", "--units", "4", "--samples", "10", "--dim", "3"), "expected --dim of at least 4"),
        (("tanh", "--plot", "x.gif"), ".svg"),
        (("tanh", "--json", "nowhere/x.json"), "in an existing folder"),
        (("mine.py",), "FILE.py:NAME"),
        (("mine.txt:f",), "FILE.py:NAME"),
    ],
)
def test_bad_input(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str) -> None:
    status, out, err = run(capsys, *arguments)
    assert status == 2 and not out and message in err


@pytest.mark.parametrize(
    "arguments",
    [("tanh", "--snr", "0"), ("tanh", "--snr", "x"), ("tanh", "--units", "1.5"), ("--snr", "1", "tanh"), ()],
)
def test_bad_numbers(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(capsys, *arguments)
    assert stopped.value.code == 2
    assert "expected a positive" in (message := capsys.readouterr().err) or "required: ACTIVATION" in message
