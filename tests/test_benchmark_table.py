"""The table of benchmarks/README.md: made of what is kept in benchmarks/results, with nothing typed by hand."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def run_all() -> ModuleType:
    sys.path.insert(0, str(FOLDER))
    try:
        specification = importlib.util.spec_from_file_location("benchmarks_run_all", FOLDER / "run_all.py")
        module = importlib.util.module_from_spec(specification)
        sys.modules[specification.name] = module
        specification.loader.exec_module(module)
    finally:
        sys.path.remove(str(FOLDER))
    return module


def test_the_pages_show_what_is_kept(run_all: ModuleType) -> None:
    kept = run_all.kept_results()
    tables = ((run_all.PAGE, run_all.TABLE, run_all.table(kept)),)
    for path, name, made in (*tables, (run_all.FRONT_PAGE, run_all.FRONT_TABLE, run_all.front_table(kept))):
        text = path.read_text(encoding="utf-8")
        assert text == run_all.with_table(text, name, made)


def test_each_benchmark_was_run_and_has_a_question(run_all: ModuleType) -> None:
    for name in run_all.scripts():
        assert run_all.question(name).endswith("?")
        result = run_all.Result.read(FOLDER / "results" / f"{name}.txt")
        assert result.headlines or name.startswith("what_"), name
        assert all(len(line) == 3 for line in result.headlines)


def test_a_changed_figure_is_noticed(run_all: ModuleType) -> None:
    printed = ("a line", "headline: a step | Pyro | 3.2 times as fast")
    result = run_all.Result("vmf", "2026-01-02", "a processor, 2 cores; torch 2", printed)
    table = run_all.table([result])
    assert "| a step | Pyro | 3.2 times as fast | a processor, 2 cores | 2026-01-02 |" in table
    text = run_all.PAGE.read_text(encoding="utf-8")
    changed = run_all.with_table(text, run_all.TABLE, table)
    assert changed != text and run_all.with_table(changed, run_all.TABLE, table) == changed
    with pytest.raises(ValueError, match="expected <!-- absent -->"):
        run_all.with_table(text, "absent", table)


def test_the_front_page_shows_the_same_ratio(run_all: ModuleType) -> None:
    lines = ("headline: a step | Pyro | 3", "other", "headline: a run | Pyro | 5")
    result = run_all.Result("svi_step", "2026-01-02", "a processor, 2 cores; torch 2", lines)
    other = run_all.Result("vmf", "2026-01-02", "a processor, 2 cores; torch 2", ("headline: b | c | 4",))
    rows = run_all.front_table([result, other]).splitlines()
    assert rows[2:] == [
        "| a step | Pyro | 3 |",
        "| a run | Pyro | 5 |",
        "",
        "One thread of a processor, 2 cores; 2026-01-02.",
    ]


def test_ratios_have_two_digits_and_go_from_the_least_to_the_largest(run_all: ModuleType) -> None:
    headlines = sys.modules[run_all.processor.__module__]
    numbers = {0.0: "0", 0.0123: "0.012", 1.04: "1", 9.96: "10", 12.34: "12", 1234.0: "1,200", 2.0: "2"}
    assert {value: headlines.number(value) for value in numbers} == numbers
    assert headlines.as_fast(4.04, 0.117, float("nan")) == "0.12 to 4 times as fast"
    assert headlines.times_the_time(1.01, 1.04) == "1 times the time" and headlines.spread([]) == "-"
    assert headlines.headline_of("a", "b", "c") == "headline: a | b | c"


def test_a_kept_run_reads_back(run_all: ModuleType, tmp_path: Path) -> None:
    result = run_all.Result("vmf", "2026-01-02", "a processor, 2 cores; torch 2", ("", "printed", ""))
    path = tmp_path / "vmf.txt"
    path.write_text(result.text(), encoding="utf-8")
    assert run_all.Result.read(path) == result


def test_a_failure_keeps_the_old_result(run_all: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.py").write_text('"""Is it broken?"""\nraise SystemExit(3)\n', encoding="utf-8")
    monkeypatch.setattr(run_all, "HERE", tmp_path)
    assert run_all.run("broken") is None
    (tmp_path / "fine.py").write_text('"""Is it fine?"""\nprint("headline: x | y | z")\n', encoding="utf-8")
    assert run_all.run("fine").headlines == [("x", "y", "z")]
