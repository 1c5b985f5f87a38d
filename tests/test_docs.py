"""The code of the documentation runs as written, in order, and prints what the pages say it prints."""

import os
import re
import sys
from pathlib import Path

import pytest
import torch

from pyro_symvi import cli
from tests.code_blocks import SHELLS, blocks, python_blocks, run_page, shell_blocks

PAGES = sorted((Path(__file__).resolve().parents[1] / "docs").glob("*.md"))
TEXTS = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
WITH_CODE = [page for page in PAGES if python_blocks(TEXTS[page.name]) or shell_blocks(TEXTS[page.name])]
LEFT_OUT = {
    "api.md": 1,
    "bnn.md": 3,
    "deformable.md": 4,
    "equivariance.md": 3,
    "fitting.md": 2,
    "guarantees.md": 1,
    "guides.md": 1,
    "multiindex.md": 3,
    "parallel.md": 1,
    "quotient.md": 3,
    "rescaling.md": 3,
}
"""How many blocks of a page are not run; each has its reason above it in the page. All others are."""


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.name)
def test_a_page_runs_as_written(page: Path) -> None:
    torch.set_default_dtype(torch.float32)  # as a user has it; the fixture puts it back
    assert run_page(page) > 0


def test_no_block_is_left_out_silently() -> None:
    marked = {name: sum(block.not_run is not None for block in blocks(text)) for name, text in TEXTS.items()}
    assert {name: number for name, number in marked.items() if number} == LEFT_OUT


def test_every_block_is_of_a_kind_that_is_run_or_shown() -> None:
    """A ``py`` block, one that is indented, or a command without a language would be passed over."""
    known = {"", "python", "text", *SHELLS}
    for name, text in TEXTS.items():
        found = blocks(text)
        assert {block.language for block in found if block.language[:1] != "{"} <= known, name
        assert re.search(r"^[ \t]+(?:```|~~~)|^~~~", text, re.MULTILINE) is None, name
        assert [block.line for block in found if block.commands and block.language not in SHELLS] == [], name


def test_commands_that_are_left_out_have_options_that_there_are() -> None:
    commands = [c for text in TEXTS.values() for block in blocks(text) if block.not_run for c in block.commands]
    assert len(commands) >= 10
    for arguments in commands:
        assert cli._parser(arguments).parse_args(arguments).command == arguments[0]
    with pytest.raises(SystemExit):
        cli._parser(commands[0]).parse_args([*commands[0], "--no-such-option"])


PAGE = """# A page

```python
# mine.py
value = 2
```

```python
import mine

total = mine.value + 1
print(total, "and more")
```

```text
3 ...
```

```
>>> total
3
```

<!-- not run: it
fails -->

```python
1 / 0
```

```shell
pip install .
$ python -m pyro_symvi certify mine.py:model \\
    --base normal  # a comment
```
"""


def test_what_is_read_of_a_page() -> None:
    first, second, third = python_blocks(PAGE)
    assert (first.file, second.file, second.line, second.output) == ("mine.py", None, 9, "3 ...\n")
    assert third.prompts and not second.prompts
    assert [block.commands for block in shell_blocks(PAGE)] == [[["certify", "mine.py:model", "--base", "normal"]]]
    assert [block.not_run for block in blocks(PAGE) if block.not_run] == ["it\nfails"]


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("3 ...", "4 ...", "line 9 should print"),
        (">>> total\n3", ">>> total\n4", "Expected:\n    4"),
        ("total = mine.value", "total = mine.other", "has no attribute 'other'"),
        ("mine.py:model", "mine.py:absent", "ended with status 2"),
    ],
)
def test_a_page_that_does_not_run_is_told(
    tmp_path: Path, old: str, new: str, error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.replace(old, new), encoding="utf-8")
    with pytest.raises((AssertionError, AttributeError), match=error):
        run_page(page)


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE[: PAGE.index("```shell")], encoding="utf-8")
    before, folder, state = list(sys.path), os.getcwd(), torch.get_rng_state()
    assert run_page(page) == 3
    assert (sys.path, os.getcwd(), "mine" in sys.modules) == (before, folder, False)
    assert torch.equal(torch.get_rng_state(), state)
