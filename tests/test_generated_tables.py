"""The tables of the documentation come from the theorems and say what they say."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from pyro_symvi.divergences import ForwardKL, ReverseKL
from pyro_symvi.recovery import Verdict

DOCS = Path(__file__).resolve().parents[1] / "docs"


def load(name: str) -> ModuleType:
    """A module of the documentation's folder, which is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


tables = load("tables")


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_table_of_the_readme() -> None:
    """Head, rule, nine kinds; moment matching in the first, an even target of several modes in the second."""
    table = rows(tables.readme_table())
    assert len(table) == 11 and {len(row) for row in table} == {5}
    assert table[2][1:] == ["normal, full", "-", "-", "mean, covariance"]
    assert table[3][1:] == ["Laplace, diagonal", "-", "-", "mean"]
    assert table[4][4] == "centre"  # no mean was shown to exist
    assert table[5][2:4] == ["mean", "mean"]


def test_a_cell_says_exact_for_proved_alone() -> None:
    kind, guide = tables.KINDS["even, curved"], tables.GUIDES["uniform ball, full"]
    found = tables.told(kind, guide, ReverseKL())
    assert max(g.verdict for g in found) is Verdict.CONDITIONAL
    assert tables.cell(found) == "(mean)"
    assert tables.cell(tables.told(kind, guide, ForwardKL())) == "infinite"
    ellipse = tables.KINDS["elliptical"]
    assert tables.cell(tables.told(ellipse, tables.GUIDES["normal, diagonal"], ReverseKL())) == "not the correlation"
