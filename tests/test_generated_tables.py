"""The tables of the documentation come from the theorems and say what they say."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pyro_symvi import advise, examples
from pyro_symvi.divergences import ForwardKL, ReverseKL
from pyro_symvi.recovery import Verdict
from pyro_symvi.recovery.failures import FAILURES
from pyro_symvi.recovery.theorems import THEOREMS

DOCS = Path(__file__).resolve().parents[1] / "docs"


def load(name: str) -> ModuleType:
    """A module of the documentation's folder, which is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


sys.path.insert(0, str(DOCS))
try:
    tables, pages = load("tables"), load("pages")
finally:
    sys.path.remove(str(DOCS))


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_table_of_the_readme() -> None:
    """Head, rule, nine kinds; moment matching in the first, an even target of several modes in the second."""
    table = rows(tables.readme_table())
    assert len(table) == 11 and {len(row) for row in table} == {5}
    assert table[2][1:] == ["normal, full", "-", "-", "mean, covariance"]
    assert table[3][1:] == ["Laplace, diagonal", "-", "-", "mean"]
    assert table[4][2:] == ["-", "-", "centre"]  # no mean was shown to exist
    assert table[5][2:] == ["mean", "mean", "mean, variances"]
    assert table[6][2:] == ["mean, correlation"] * 3
    assert table[7][2:] == ["mean of that one", "mean of that one", "mean of that one, its correlations"]
    assert table[10][1:] == ["von Mises-Fisher", *["direction"] * 3]
    assert {name: float(divergence.alpha) for name, divergence in tables.DIVERGENCES.items()} == {
        "reverse KL": 0.0,
        "alpha = 1/2": 0.5,
        "forward KL": 1.0,
        "chi-square": 2.0,
    }


def test_a_cell_says_exact_for_proved_alone() -> None:
    kind, guide = tables.KINDS["even, curved"], tables.GUIDES["uniform ball, full"]
    found = tables.told(kind, guide, ReverseKL())
    assert max(g.verdict for g in found) is Verdict.CONDITIONAL
    assert tables.cell(found) == "(mean)"
    assert tables.cell(tables.told(kind, guide, ForwardKL())) == "infinite"
    ellipse = tables.KINDS["elliptical"]
    assert tables.cell(tables.told(ellipse, tables.GUIDES["normal, diagonal"], ReverseKL())) == "not the correlation"


def test_the_decision_table_names_one_guide_and_divergence_for_each_kind() -> None:
    table = {row[0]: row[1:] for row in rows(tables.decision_table())[2:]}
    assert len(table) == sum(not kind.target.on_sphere for kind in tables.KINDS.values())
    assert table["two moments, no symmetry"][:3] == ["normal, full", "ForwardKL()", "mean, covariance"]
    assert table["even, tails like a power; several modes allowed"][:3] == [
        "student_t(5), full",
        "ForwardKL()",
        "centre",
    ]
    assert table["even and log-concave"][1] == "ReverseKL()"
    assert {row[4] for name, row in table.items() if name.endswith("no symmetry")} == {"-"}
    assert table["exchangeable coordinates, log-concave"][2::2] == [
        "mean, covariance, contrasts",
        "contrasts (normal, full)",
    ]


@pytest.mark.parametrize("name", ["darwin", "stackloss-robust"])
def test_the_decision_table_agrees_with_advise(name: str) -> None:
    """What is ranked first on facts alone is what `advise` recommends, which looks at tails by numbers as well."""
    example = examples.get(name)
    best = advise(example.model, *example.args).best
    assert best is not None
    row = tables.example_row(name)
    assert row[3:5] == (best.guide, str(best.divergence))
    expected = [f"{best.exact(s)} {s}s" for s in ("mean", "correlation") if best.exact(s)]
    assert row[5] == (", ".join(expected) or "-")


def test_each_theorem_has_its_own_premises_source_and_failures_on_the_page() -> None:
    kinds = {"Theorem": "a posteriori", "APriori": "of the minimiser", "Refusal": "refusal"}
    text = pages.theorem_page().partition("(failures)=")[0]
    for theorem in THEOREMS:
        told = text.partition(f"({tables.slug(theorem.name)})=\n")[2].partition("(theorem-")[0]
        assert f"\n*{kinds[type(theorem).__name__]}; statistic: {theorem.statistic}.*" in told
        assert f"\nPremises: {', '.join(theorem.premises)}.\n" in told
        assert pages._plain(theorem.reference) in told and pages._plain(theorem.proof) in told
        assert all(key in told.partition("{cite}")[2] for key in theorem.keys)
        failed = told.partition("*Fails* without:")[2].splitlines()[0] if "*Fails* without:" in told else ""
        mine = [failure for failure in FAILURES.values() if theorem in failure.theorems]
        assert failed.count("<failure-") == len(mine)
        assert all(f"{failure.premise} ({{ref}}`{failure.name} <" in failed for failure in mine)


def test_every_theorem_and_every_failure_is_on_the_page() -> None:
    text = pages.theorem_page()
    assert len({tables.slug(theorem.name) for theorem in THEOREMS}) == len(THEOREMS)
    for theorem in THEOREMS:
        assert text.count(f"({tables.slug(theorem.name)})=\n") == 1
    for failure in FAILURES.values():
        assert text.count(f"```{{figure}} figures/{pages.file_of(failure)}\n") == 1
