"""Spectra as text, as terminal tables, and as files that give every digit back."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from pyro_symvi.equivariance import MonteCarlo, Spectrum, spectrum
from pyro_symvi.groups import (
    CoordinatePermutation,
    Cyclic,
    DirectProduct,
    FiniteMatrixGroup,
    NaturalAction,
    Orthogonal,
    PolyhedralGroup,
    SpecialOrthogonal,
    Torus,
)
from tests.equivariance_samples import normal

SO3, O3 = SpecialOrthogonal(3), Orthogonal(3)


def layered() -> Spectrum:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Tanh(), nn.Linear(4, 2)).double().eval()
    return spectrum(net, normal(2, 3), O3, 2, degree=8)


def test_table_of_layers_by_irreps() -> None:
    found = spectrum(lambda x: torch.linalg.cross(x[:, 0], x[:, 1]), normal(2, 2, 3), O3, 1, rho_in=NaturalAction(O3))
    square = float(found.squares[0])
    assert found.table() == (
        "layer   0+  0-  1+      1-  residual  E|u|^2\n"
        "--------------------------------------------\n"
        f"output   0   0   0  1.0000         0  {square:>6.4g}\n"
        "Fractions of E|u|^2 by irrep of Orthogonal(3); degree 2, 36 elements."
    )
    assert repr(found) == "<spectrum of 1 layers over 4 irreps of Orthogonal(3); degree 2, 36 elements>"
    assert repr(found.output).startswith("<spectrum of 'output': (0, 1): 0.0000")


def test_irreps_beyond_the_columns_are_summed() -> None:
    found = layered()
    lines = found.table(columns=2).splitlines()
    assert lines[0].split() == ["layer", "0+", "1+", "others", "residual", "E|u|^2"]
    assert [line.split()[0] for line in lines[2:6]] == ["0", "1", "2", "output"]
    values = [float(entry) for entry in lines[3].split()[1:5]]
    assert sum(values) == pytest.approx(1, abs=3e-4)
    with pytest.raises(ValueError, match="columns >= 1"):
        found.table(columns=0)
    assert "Largest change at degree + 2" not in str(found)


def test_table_of_what_varies() -> None:
    """On the sphere E z^2 = 1/3 and E (x^2 - y^2)^2 = 4/15: parts of 3/4 and 1/4 behind a constant of 10."""
    x = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)

    def model(x: torch.Tensor) -> torch.Tensor:
        return torch.stack([10 + x[:, 2] * 1.5, math.sqrt(15 / 16) * (x[:, 0] ** 2 - x[:, 1] ** 2)], 1)

    found = spectrum(model, x, SO3, 2)
    head, _, row, rule = found.table(varying=True).splitlines()
    assert head.split() == ["layer", "1", "2", "residual", "E|u", "-", "Eu|^2"]
    assert row.split() == ["output", "0.7500", "0.2500", "0", "1"]
    assert rule.startswith("Fractions of what varies along the orbit")
    assert found.output.varying == pytest.approx(1, rel=1e-12)
    torch.testing.assert_close(found.variable_fractions, torch.tensor([[0, 0.75, 0.25]], dtype=torch.float64))
    assert found.table().splitlines()[2].split()[1] == "0.9901"
    still = spectrum(lambda x: torch.ones(len(x), 1, dtype=torch.float64), x, SO3, 1)
    assert still.table(varying=True).splitlines()[2].split() == ["output", "0", "0", "0"]


def test_layers_that_were_left_out_are_named_and_kept(tmp_path: Path) -> None:
    found = replace(layered(), left_out={"3": "never called"})
    assert found.table().splitlines()[-1] == "Not looked at: 3 (never called)."
    assert Spectrum.from_json(found.to_json(tmp_path / "s.json")).left_out == found.left_out
    assert Spectrum.joined([found, found]).left_out == found.left_out


def test_terminal_table() -> None:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=120)
    console.print(layered())
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "layer" in text and "1+" in text and "residual" in text and "162 elements" not in text


def test_pooled_energies_are_fractions_of_squares() -> None:
    found = layered()
    torch.testing.assert_close(found.energies, found.fractions * found.squares[:, None])
    torch.testing.assert_close(found.residuals, 1 - found.fractions.sum(1), rtol=0, atol=1e-15)
    assert found["1"].energy((1, 1)) == pytest.approx(float(found.energies[1, 2]))
    with pytest.raises(KeyError, match="a layer among"):
        found["nothing"]
    with pytest.raises(KeyError, match="a label among"):
        found.output.fraction(1)


def test_a_file_gives_every_digit_back(tmp_path: Path) -> None:
    for found in (layered(), spectrum(lambda x: x, normal(2, 3), SO3, 1, rule=MonteCarlo(32))):
        path = found.to_json(tmp_path / "a folder" / "spectrum.json")
        again = Spectrum.from_json(path)
        assert (again.group, again.labels, again.dimensions) == (found.group, found.labels, found.dimensions)
        assert (again.degree, again.evaluations, again.changes) == (found.degree, found.evaluations, found.changes)
        assert list(again) == list(found) and str(again) == str(found)
        for name in found:
            assert torch.equal(again[name].energies, found[name].energies)
            assert torch.equal(again[name].total, found[name].total)
        assert again.is_estimate == found.is_estimate
        assert [p.name for p in path.parent.iterdir()] == ["spectrum.json"]


@pytest.mark.parametrize(
    "group",
    [
        PolyhedralGroup("Oh"),
        DirectProduct([Cyclic(2), SpecialOrthogonal(2)]),
        FiniteMatrixGroup.generated_by([-torch.eye(3)]),
        Torus(2),
    ],
    ids=repr,
)
def test_groups_are_written_by_name_and_fields(group) -> None:
    from pyro_symvi.equivariance.spectra._files import group_as_dict, group_from_dict

    assert group_from_dict(json.loads(json.dumps(group_as_dict(group)))) == group


def test_a_finite_group_and_its_infinite_degree(tmp_path: Path) -> None:
    action = CoordinatePermutation(4, permutations=Cyclic(4))
    found = spectrum(lambda x: x[:, :2], normal(2, 4), Cyclic(4), rho_in=action)
    assert "all 4 elements" in str(found)
    again = Spectrum.from_json(found.to_json(tmp_path / "cycle.json"))
    assert again.degree == float("inf") and again.group == Cyclic(4)


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        ({"format": "another"}, "format"),
        ({"group": {"class": "exit", "fields": {}}}, "name of a group"),
        ({"labels": [[0, 1]]}, r"energies \[1, B, channels\]"),
    ],
    ids=["format", "group", "shape"],
)
def test_other_files_are_refused(spoilt: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Spectrum.from_dict({**layered().to_dict(), **spoilt})
