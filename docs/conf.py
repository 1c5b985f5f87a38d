"""Sphinx configuration. Builds offline: no intersphinx, no fetched assets."""

import re
from collections import defaultdict
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

project = "pyro_symvi"
author = "The pyro_symvi developers"
copyright = author
release = version = installed_version("pyro-symvi")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon", "sphinxcontrib.bibtex"]
exclude_patterns = ["_build"]  # _generated is written at the start of each build, by what setup() connects
bibtex_bibfiles = ["../pyro_symvi/recovery/references.bib"]
nb_execution_mode = "off"  # lessons are shown as they were executed in full
html_theme = "furo"
html_title = f"pyro_symvi {release}"

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

suppress_warnings = ["ref.python"]  # companions have base classes of one name, such as Sampler
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True


def keep_bars(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Lets |x| in a docstring stand for itself: in reStructuredText it would be a substitution. Code is left alone."""
    for i, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            pieces = re.split(r"(``.*?``)", line)
            lines[i] = "".join(p if p.startswith("``") else re.sub(r"(?<!\\)\|", r"\\|", p) for p in pieces)


def copy_tutorials(app: Any) -> None:
    """Put the lessons beside the pages, as they were executed."""
    folder = Path(app.srcdir) / "_generated" / "tutorials"
    folder.mkdir(parents=True, exist_ok=True)
    lessons = {p.name: p for p in sorted((Path(app.srcdir).parent / "tutorials").glob("*.ipynb"))}
    for old in folder.glob("*.ipynb"):
        if old.name not in lessons:
            old.unlink()
    for name, lesson in lessons.items():
        write_if_changed(folder / name, lesson.read_text(encoding="utf-8"))


def write_if_changed(path: Path, text: str) -> None:
    """Write a page, unless it is there already: what has not changed is not built again."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def write_theorems(app: Any) -> None:
    """Make the page of theorems from the records themselves, by the file that holds them."""
    import pkgutil
    from importlib import import_module

    from pyro_symvi.recovery import theorems

    where = defaultdict(list)
    for module in pkgutil.iter_modules(theorems.__path__):
        held = import_module(f"{theorems.__name__}.{module.name}")
        mine = [v for v in vars(held).values() if isinstance(v, theorems.Theorem)]
        for record in dict.fromkeys(mine):
            if not any(record in records for records in where.values()):
                where[(module.name, (held.__doc__ or "").splitlines()[0])].append(record)
    kinds = {"Theorem": "a posteriori", "APriori": "of the minimiser", "Refusal": "refusal"}
    lines = ["# Every theorem", "", _THEOREMS, ""]
    for (name, words), records in where.items():
        lines += [f"## `theorems/{name}.py`", "", words, ""]
        for r in records:
            said = (r.name, r.statement, r.proof, r.reference)
            title, claim, proof, source = (re.sub(r"([<{_*])", r"\\\1", text) for text in said)
            lines += [f"### {title}", "", f"*{kinds[type(r).__name__]}; statistic: {r.statistic}.* {claim}", ""]
            lines += [f"Premises: {', '.join(r.premises)}.", "", f"*Why.* {proof}", "", f"*Source.* {source}", ""]
    folder = Path(app.srcdir) / "_generated"
    folder.mkdir(exist_ok=True)
    write_if_changed(folder / "theorems.md", "\n".join(lines))


_THEOREMS = (
    "The records that certificates and advice rest on, printed from the code. Those *a posteriori* speak of the target "
    "at a fitted value, whatever found it. Those *of the minimiser* speak of the divergence's optimum, before any fit. "
    "A *refusal* is a theorem with a counterexample. `recovery.guarantees` tries all of them on a setting."
)


def setup(app: Any) -> None:
    app.connect("builder-inited", write_theorems)
    app.connect("builder-inited", copy_tutorials)
    app.connect("autodoc-process-docstring", keep_bars)
