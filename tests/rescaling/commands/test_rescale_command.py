"""The command on a user's file: what it prints, writes and refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from pyro_symvi.cli import main
from pyro_symvi.rescaling import path_condition
from pyro_symvi.rescaling.commands._arguments import _as_flags

FILE = """
import torch
from torch import nn

def one_unit():
    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU(), nn.Linear(1, 1, bias=False)).double()
    with torch.no_grad():
        net[0].weight.fill_(4.0), net[2].weight.fill_(1.0)
    return net

class Net(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first, self.second = nn.Conv2d(1, width, 3), nn.Linear(width * 4, 2)
        for p in self.parameters():
            p.data = torch.randn(p.shape, generator=generator)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)).flatten(1))

class Needs(nn.Module):
    def __init__(self, width):
        super().__init__()

def two_layers(inner):
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3), inner, nn.Linear(3, 1))

def gelu():
    return two_layers(nn.GELU())

def normed():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 1))

def wild():
    net = gelu()
    net[0].bias.data[1] = float("nan")
    return net

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(3, 4), nn.Linear(2, 4), nn.Linear(8, 1)

    def forward(self, x, y):
        return {"out": self.c(torch.cat([self.a(x).relu(), self.b(y).relu()], -1))}

plain = nn.Linear(2, 1)

def number():
    return 3

def broken():
    raise OSError("no checkpoint")

x = 1
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main(["rescale", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_one_unit_by_hand(capsys: pytest.CaptureFixture[str], file: Path, tmp_path: Path) -> None:
    """w = (4, 1): g = (1, 16), F / 2 = log(17 / 2) - log(16) / 2 = log(17 / 8); at the optimum |w| = (2, 2), F = 0."""
    record, weights, plot = tmp_path / "a.json", tmp_path / "a.pt", tmp_path / "a.png"
    given = (f"{file}:one_unit", "--json", record, "--save", weights, "--plot", plot)
    status, out, err = run(capsys, *given)
    assert (status, err) == (0, "")
    assert "2 parameters, 1 free scales" in out and f"{math.log(17 / 8):.6g} before" in out and "optimal" in out
    assert "on inputs of shape (1,)" in out and "multiplied by 0.5 to 2" in out and "fixed: it is an output" in out
    found = json.loads(record.read_text())
    assert found["objective_per_parameter"]["before"] == pytest.approx(math.log(17 / 8), rel=1e-12)
    assert found["objective_per_parameter"]["after"] == pytest.approx(0.0, abs=1e-12) and found["converged"] is True
    assert found["layers"][0]["factor"] == pytest.approx([0.5] * 3, rel=1e-6)
    assert [w.item() for w in torch.load(weights).values()] == pytest.approx([2.0, 2.0], rel=1e-6)
    assert plot.read_bytes()[:4] == b"\x89PNG"


def test_shapes_from_the_flag_or_the_file(capsys: pytest.CaptureFixture[str], file: Path, tmp_path: Path) -> None:
    target, weights = f"{file}:Net", tmp_path / "w.pth"
    flag = run(capsys, "--save", weights, "--input-shape", "1,4,4", target)
    assert flag[0] == 0 and "on inputs of shape (1, 4, 4)" in flag[1]
    for line in ("input_shape = (1, 4, 4)", "INPUT_SHAPE = [[1, 4, 4]]"):
        file.write_text(f"{FILE}\n{line}\n")
        assert run(capsys, target)[1].splitlines() == flag[1].splitlines()[:-1]
    scope: dict[str, type[nn.Module]] = {}
    exec(FILE, scope)
    net = scope["Net"]()
    path_condition(net, input_shape=(1, 4, 4), inplace=True)
    saved = torch.load(weights)
    assert all(torch.equal(value, saved[name]) for name, value in net.state_dict().items())
    file.write_text(FILE + "\ninput_shape = 'what'\n")
    assert "the variable input_shape as a shape" in run(capsys, target)[2]


def test_several_inputs_and_networks_without_units(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    status, out, _ = run(capsys, f"{file}:Two", "--input-shape", "3", "--input-shape", "2")
    assert status == 0 and "mine.py:Two: Two on inputs of shape (3,) and (2,)" in out and "8 free scales" in out
    status, out, err = run(capsys, f"{file}:plain")
    assert (status, err) == (0, "") and "0 free scales" in out and "learning rate" not in out


def test_what_is_skipped_is_said(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    status, _, err = run(capsys, f"{file}:gelu")
    assert status == 2 and "GELU at '3'" in err and "--skip-unsupported" in err
    status, out, _ = run(capsys, f"{file}:gelu", "--skip-unsupported", "--criterion", "l2")
    assert status == 0 and "skipped: GELU at '3'" in out and "mean of the squared weights" in out
    status, out, _ = run(capsys, f"{file}:normed")
    assert status == 0 and "fixed: BatchNorm1d at '1'" in out
    status, out, _ = run(capsys, f"{file}:normed", "--batch-norm", "folded")
    assert status == 0 and "fixed: BatchNorm1d" not in out


def test_bad_input_exits_with_2_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], file: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "w.pt"
    for arguments, message in {
        ("mine.py:nope",): "it has one_unit, Net, Needs",
        ("mine.py",): "FILE.py:MODEL",
        ("other.py:net",): "not there",
        ("mine.py:x",): "a torch module or a function",
        ("mine.py:number",): "to make a torch module",
        ("mine.py:broken",): "got OSError: no checkpoint",
        ("mine.py:Needs",): "that needs width",
        ("mine.py:Net",): "try --input-shape 1,28,28",
        ("mine.py:Net", "--input-shape", "1,x"): "positive numbers with commas",
        ("mine.py:Net", "--input-shape", "1,9,9"): "--input-shape",
        ("mine.py:wild", "--skip-unsupported"): "nan or inf in '0.bias'",
        ("mine.py:Net", "--plot", "a.txt"): "--plot with a path that ends in",
        ("mine.py:Net", "--json", "no/a.json"): "existing folder",
    }.items():
        target, *rest = arguments
        status, out, err = run(capsys, file.parent / target, *rest, "--save", weights)
        assert (status, out) == (2, "") and err.startswith("error: ") and message in err, (arguments, err)
        assert not weights.exists()


def test_hints_are_in_the_words_of_the_command_line() -> None:
    text = 'try input_shape=(3, 32, 32), unsupported=\'skip\', batch_norm="folded" or criterion="l2"'
    assert _as_flags(text) == "try --input-shape 3,32,32, --skip-unsupported, --batch-norm folded or --criterion l2"


def test_a_solver_that_gives_up_exits_with_1(
    capsys: pytest.CaptureFixture[str], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyro_symvi.rescaling.commands import _arguments

    monkeypatch.setattr(
        _arguments, "path_condition", lambda *args, **options: path_condition(*args, **options, max_iterations=1)
    )
    status, out, _ = run(capsys, f"{file}:Net", "--input-shape", "1,4,4", "--solver", "layer")
    assert status == 1 and "NOT CONVERGED" in out
