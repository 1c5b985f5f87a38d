"""The command on a user's file: what it prints, writes and refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from pyro_symvi.cli import main
from pyro_symvi.equivariance.commands._actions import parse_label
from pyro_symvi.equivariance.commands._groups import parse_group
from pyro_symvi.groups import Orthogonal, SpecialOrthogonal

FILE = """
from __future__ import annotations
from dataclasses import dataclass
import torch
from torch import nn
from pyro_symvi.groups import NaturalAction, SpecialOrthogonal

@dataclass
class Settings:
    scale: float = 2.0

class Matrix(nn.Module):
    def __init__(self, entries=(1.0, 2.0, 4.0)):
        super().__init__()
        self.linear = nn.Linear(3, 3, bias=False).double()
        with torch.no_grad():
            self.linear.weight.copy_(torch.diag(torch.tensor(entries)))
    def forward(self, x):
        return self.linear(x)

class Needs(nn.Module):
    def __init__(self, width):
        super().__init__()

def factory():
    return Matrix((2.0, 2.0, 2.0))

def scaled(x):
    return Settings().scale * x

def energy(positions, charges):
    return (charges * positions.square().sum(-1)).sum(-1, keepdim=True)

def first(x):
    return x[..., :1]

def noise():
    return 3

def broken(x):
    raise RuntimeError("inside")

def two(x):
    return {"energy": x.norm(dim=-1), "forces": x}

def doubled(group):
    return NaturalAction(group)

fixed = Matrix()
x = torch.tensor([[1.0, 0.0, 0.0], [0.0, 3.0, 4.0]], dtype=torch.float64)
clouds = {"positions": torch.ones(2, 3, 3).cumsum(1), "charges": torch.ones(2, 3)}
plane = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main(["equivariance", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_a_class_is_made_and_looked_at(capsys: pytest.CaptureFixture[str], file: Path, tmp_path: Path) -> None:
    """diag(1, 2, 4): A^2 = |x|^2 (21 / 3 - 49 / 9) = 14 |x|^2 / 9, |x|^2 is 13 in the mean."""
    record, page, plot = tmp_path / "a.json", tmp_path / "a.html", tmp_path / "a.png"
    given = (f"{file}:Matrix", "--group", "so3", "--rho-out", "vector", "--cutoff", 1)
    status, out, err = run(capsys, *given, "--json", record, "--html", page, "--plot", plot)
    assert (status, err) == (0, "")
    assert "linear" in out and "right sector, wrong copy" in out and "symmetrize(" in out and f"wrote {page}" in out
    found = json.loads(record.read_text())
    assert math.isclose(found["error"]["A"], math.sqrt(14 / 9 * 13), rel_tol=1e-9)
    assert found["diagnosis"]["target"] == [1] and "<img" in page.read_text() and plot.read_bytes()[:4] == b"\x89PNG"


def test_models_of_every_kind(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    for model, flags in (
        ("factory", ("--rho-out", "vector", "--cutoff", 1)),
        ("scaled", ("--group", "point:C3v", "--rho-out", "doubled")),
        ("scaled", ("--group", "cyclic:5", "--inputs", "plane", "--rho-out", "vector")),
        ("energy", ("--group", "o3", "--cutoff", 1, "--inputs", "clouds", "--rho-in", "positions=vector")),
    ):
        status, out, err = run(capsys, f"{file}:{model}", *flags)
        assert (status, err) == (0, "") and "nothing to mend" in out, (model, out)


def test_variables_of_the_file_stand_in_for_flags(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    file.write_text(FILE + "\ngroup = SpecialOrthogonal(3)\nrho_out = 'irrep:1'\nrho_in = NaturalAction(group)\n")
    status, out, _ = run(capsys, f"{file}:scaled", "--cutoff", 1)
    assert status == 0 and "SpecialOrthogonal(3)" in out and "right sector, wrong copy" in out  # order y, z, x
    status, out, _ = run(capsys, f"{file}:scaled", "--cutoff", 1, "--rho-out", "vector")
    assert status == 0 and "nothing to mend" in out


def test_numbers_that_have_not_converged_exit_with_1(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    file.write_text(FILE + "\ndef wild(x):\n    return torch.cos(50 * x[:, :1])\n")
    status, out, _ = run(capsys, f"{file}:wild", "--group", "so3", "--cutoff", 1)
    assert status == 1 and "not converged" in out


def test_bad_input_exits_with_2_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], file: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    for arguments, message in {
        ("mine.py:broken", "--group", "so3"): "got RuntimeError: inside",
        ("mine.py:two", "--group", "so3"): "try --output NAME",
        ("mine.py:first", "--group", "so2"): "expected --rho-in, the action",
        ("mine.py:first", "--inputs", "plane"): "--group o3",
        ("mine.py:nope", "--group", "so3"): "it has Settings, Matrix",
        ("mine.py", "--group", "so3"): "FILE.py:MODEL",
        ("other.py:net", "--group", "so3"): "not there",
        ("mine.py:fixed", "--group", "so3"): "--allow-training",
        ("mine.py:x", "--group", "so3"): "a torch module or a function",
        ("mine.py:noise", "--group", "so3"): "to make a model",
        ("mine.py:Needs", "--group", "so3"): "without arguments",
        ("mine.py:first", "--group", "so9x"): "--group as one of",
        ("mine.py:first", "--group", "cyclic:x"): "a number of at least 1",
        ("mine.py:first", "--group", "dihedral:4"): "point:C4v",
        ("mine.py:first", "--group", "point:Q7"): "point:Q7",
        ("mine.py:first", "--group", "so3", "--inputs", "z"): "--inputs NAME",
        ("mine.py:first", "--group", "so3", "--rho-out", "what"): "which the file has not",
        ("mine.py:first", "--group", "so3", "--rho-out", "irrep:x"): "label of an irreducible",
        ("mine.py:first", "--group", "so3", "--rho-out", "FILE"): "which the file has not",
        ("mine.py:first", "--group", "so3", "--rho-out", "plane"): "as an action",
        ("mine.py:scaled", "--group", "so3", "--rho-out", "irrep:1", "--cutoff", 0): "larger --cutoff",
        ("mine.py:first", "--group", "so3", "--degree", 3): "--degree 6",
        ("mine.py:first", "--group", "so3", "--cutoff", -1): "--cutoff >= 0",
        ("mine.py:first", "--group", "so3", "--target", 9): "labels among",
        ("mine.py:first", "--group", "so3", "--rho-in", "vector", "vector"): "one kind",
        ("mine.py:energy", "--group", "so3", "--inputs", "clouds", "--rho-in", "vector"): "NAME=KIND",
        ("mine.py:first", "--group", "so3", "--plot", "a.txt"): "--plot with a path that ends in",
        ("mine.py:first", "--group", "so3", "--json", "nowhere/a.json"): "existing folder",
    }.items():
        model, *rest = arguments
        status, _, err = run(capsys, tmp_path / str(model), *rest, "--html", page)
        assert status == 2 and message in err and err.startswith("error: "), (arguments, err)
    assert not page.exists()


def test_names_of_groups_and_labels() -> None:
    assert parse_group("so3", 3) == SpecialOrthogonal(3) and parse_group("O:2", 2) == Orthogonal(2)
    turns = parse_group("cyclic:6", 3)
    assert turns.order == 6 and parse_group("cyclic:5", 2).order == 5
    assert torch.equal(turns.elements()[:, 2, 2], torch.ones(6, dtype=torch.float64))
    assert parse_group("dihedral:4", 2).order == 8 and parse_group("point:Oh", 3).order == 48
    assert [parse_label(text) for text in ("2", "(1,-1)", "T1u")] == [2, (1, -1), "T1u"]
