"""Pages of the documentation that are made from the code at the start of a build: the theorems, with their failures."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from tables import slug

from pyro_symvi._figures import save_figure
from pyro_symvi.plots import plot_failure
from pyro_symvi.recovery import failures, theorems
from pyro_symvi.recovery.failures import FAILURES, Failure
from pyro_symvi.recovery.theorems import APriori, Refusal, Theorem

KINDS = {Theorem: "a posteriori", APriori: "of the minimiser", Refusal: "refusal"}
INTRODUCTION = (
    "The records that certificates and advice rest on, printed from the code. Those *a posteriori* speak of the target "
    "at a fitted value, whatever found it. Those *of the minimiser* speak of the divergence's optimum, before any fit. "
    "A *refusal* is a theorem with a counterexample. `recovery.guarantees` tries all of them on a setting; "
    "{doc}`guarantees </guarantees>` shows what comes out for the common ones. Pictures below a theorem show a target "
    "on which one of its premises fails and its conclusion is wrong; all of them: [the failures](#failures)."
)
_FIGURE_NODES = 31


def records() -> Iterator[tuple[str, str, list[Theorem]]]:
    """Files of theorems: their name, their first line, their records."""
    seen: set[str] = set()
    for module in pkgutil.iter_modules(theorems.__path__):
        held = import_module(f"{theorems.__name__}.{module.name}")
        mine = [v for v in vars(held).values() if isinstance(v, Theorem) and v.name not in seen]
        mine = list({record.name: record for record in mine}.values())
        seen |= {record.name for record in mine}
        if mine:
            yield module.name, (held.__doc__ or "").splitlines()[0], mine


def failures_of(theorem: Theorem) -> list[Failure]:
    """Failures of one theorem."""
    return [failure for failure in FAILURES.values() if any(t.name == theorem.name for t in failure.theorems)]


def file_of(failure: Failure) -> str:
    """Name of the picture of a failure, without folder."""
    return re.sub("[^a-z0-9]+", "_", failure.name.lower()).strip("_") + ".svg"


def theorem_page() -> str:
    """Every theorem in MyST Markdown, with its premises, sources and failures."""
    lines = ["# Every theorem", "", INTRODUCTION, ""]
    drawn: set[str] = set()
    for module, words, held in records():
        lines += [f"## `theorems/{module}.py`", "", words, ""]
        for record in held:
            lines += [*_theorem(record, drawn), ""]
    lines += ["(failures)=", "", "## The failures", "", _FAILURES, ""]
    for failure in FAILURES.values():
        lines += [f"- {_link(failure)}: {_plain(failure.lesson)}"]
    return "\n".join(lines) + "\n"


_FAILURES = (
    "`pyro_symvi.recovery.failures.FAILURES` holds them as runnable records: `failure.curve()`, `failure.optima()`, "
    "`failure.error()`; `pyro_symvi.plots.plot_failure(failure)` draws one. Each is a test: what is wrong in it is "
    "never called exact."
)


def _theorem(record: Theorem, drawn: set[str]) -> Iterator[str]:
    yield f"({slug(record.name)})="
    yield from ("", f"### {_plain(record.name)}", "")
    yield f"*{KINDS[type(record)]}; statistic: {record.statistic}.* {_plain(record.statement)}"
    yield from ("", f"Premises: {', '.join(record.premises)}.", "", f"*Why.* {_plain(record.proof)}", "")
    cited = f" {{cite}}`{','.join(record.keys)}`" if record.keys else ""
    yield from (f"*Source.* {_plain(record.reference)}.{cited}", "")
    mine = failures_of(record)
    if mine:
        yield f"*Fails* without: {'; '.join(f'{f.premise} ({_link(f)})' for f in mine)}."
        yield ""
    for failure in mine:
        if failure.name not in drawn:
            drawn.add(failure.name)
            yield from (f"({_label(failure)})=", "", f"```{{figure}} figures/{file_of(failure)}")
            yield from (f":alt: {failure.name}", "", f"{_plain(failure.lesson)}", "```", "")


def _label(failure: Failure) -> str:
    return "failure-" + re.sub("[^a-z0-9]+", "-", failure.name.lower()).strip("-")


def _link(failure: Failure) -> str:
    return f"{{ref}}`{failure.name} <{_label(failure)}>`"


def _plain(text: str) -> str:
    """Text in which no character is markup."""
    return re.sub(r"([<{_*|~])", r"\\\1", text)


def draw_failures(folder: Path) -> None:
    """Write the pictures that are missing or older than the code behind them."""
    sources = [Path(__file__), *Path(str(failures.__file__)).parent.glob("*.py")]
    sources.append(Path(str(import_module("pyro_symvi.plots._failures").__file__)))
    newest = max(source.stat().st_mtime for source in sources)
    for failure in FAILURES.values():
        path = folder / file_of(failure)
        if not path.exists() or path.stat().st_mtime < newest:
            save_figure(plot_failure(failure, nodes=_FIGURE_NODES), path)
