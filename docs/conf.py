"""Sphinx configuration. Builds offline: no intersphinx, no fetched assets."""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from docutils import nodes

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


def describe_pictures(app: Any, doctree: nodes.document, docname: str) -> None:
    """Give pictures of lessons a text for those who do not see them: the heading they are under, and their titles."""
    for image in doctree.findall(nodes.image):
        if not image.get("alt"):
            above = list(_ancestors(image))
            headings = [node[0].astext() for node in above if isinstance(node, nodes.section)]
            cells = [node for node in above if "cell" in node.get("classes", [])]
            code = "\n".join(block.astext() for cell in cells[:1] for block in cell.findall(nodes.literal_block))
            titles = re.findall(r"title\w*[(=]\s*\"([^\"]+)\"", code)
            image["alt"] = ". ".join(dict.fromkeys(["Picture: " + (headings or [docname])[0], *titles]))


def _ancestors(node: Any) -> Iterator[Any]:
    while (node := node.parent) is not None:
        yield node


def write_if_changed(path: Path, text: str) -> None:
    """Write a page, unless it is there already: what has not changed is not built again."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def write_generated(app: Any) -> None:
    """Make what comes from the records themselves: the page of theorems with its pictures, and the tables."""
    sys.path.insert(0, str(app.srcdir))
    try:
        import pages
        import tables
    finally:
        sys.path.remove(str(app.srcdir))
    folder = Path(app.srcdir) / "_generated"
    folder.mkdir(exist_ok=True)
    pages.draw_failures(folder / "figures")
    write_if_changed(folder / "theorems.md", pages.theorem_page())
    included = {
        "readme_table": tables.readme_table,
        "guarantee_tables": tables.guarantee_tables,
        "decision_table": tables.decision_table,
        "examples_table": tables.examples_table,
    }
    for name, text in included.items():  # .txt: parts of pages, no pages
        write_if_changed(folder / f"{name}.txt", text() + "\n")


def setup(app: Any) -> None:
    app.connect("builder-inited", write_generated)
    app.connect("builder-inited", copy_tutorials)
    app.connect("doctree-resolved", describe_pictures)
    app.connect("autodoc-process-docstring", keep_bars)
