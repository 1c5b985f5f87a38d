"""Runs the code of a Markdown page as a reader would: block by block, in order, in one session in one folder.

What is read of a page:

- a ``python`` block whose first line is a comment with the name of a file (``# my_model.py``) is written to that file;
- any other ``python`` block is executed, or where it has prompts (``>>>``) run as a doctest, all in one namespace;
- in a ``shell`` (or ``console``, ``bash``) block each ``python -m pyro_symvi ...`` is run, and must end with status 0;
- a ``text`` block right below a block is what that one prints; ``...`` stands for anything, white space does not count;
- ``<!-- not run: REASON -->`` above a block leaves it out.
"""

import contextlib
import doctest
import io
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pyro_symvi import cli

FENCE = re.compile(r"^```[^\S\n]*([^\s`]*)[^\n]*\n(.*?)^```[^\S\n]*$", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r"<!-- not run: (.+?) -->\s*\Z", re.DOTALL)
FILE_NAME = re.compile(r"\A# ([\w-]+\.py)\n")
SHELLS = ("shell", "console", "bash")
COMMAND = "python -m pyro_symvi "
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, its first line in the page, what it should print (None: not said)."""

    language: str
    text: str
    line: int
    output: str | None = None
    not_run: str | None = None

    @property
    def prompts(self) -> bool:
        return re.search(r"^>>> ", self.text, re.MULTILINE) is not None

    @property
    def file(self) -> str | None:
        named = FILE_NAME.match(self.text) if self.language == "python" else None
        return named[1] if named else None

    @property
    def commands(self) -> list[list[str]]:
        """The arguments of each ``python -m pyro_symvi`` of a shell block; a backslash joins lines."""
        lines = [line.removeprefix("$ ").strip() for line in self.text.replace("\\\n", " ").splitlines()]
        return [shlex.split(line.removeprefix(COMMAND), comments=True) for line in lines if line.startswith(COMMAND)]


def blocks(text: str) -> list[Block]:
    """All fenced blocks in order; a ``text`` block right below another becomes that one's output."""
    found: list[Block] = []
    end = 0
    for match in FENCE.finditer(text):
        between, end = text[end : match.start()], match.end()
        language, body = match[1], match[2]
        if language == "text" and found and not between.strip():
            found[-1] = replace(found[-1], output=body)
            continue
        reason = NOT_RUN.search(between)
        line = text.count("\n", 0, match.start(2)) + 1
        found.append(Block(language, body, line, not_run=reason[1] if reason else None))
    return found


def python_blocks(text: str) -> list[Block]:
    """The blocks that are run as Python or written to files; those left out are not among them."""
    return [b for b in blocks(text) if not b.not_run and (b.language == "python" or b.prompts)]


def shell_blocks(text: str) -> list[Block]:
    """The shell blocks with a command of this package; those left out are not among them."""
    return [b for b in blocks(text) if not b.not_run and b.language in SHELLS and b.commands]


def run_page(path: Path) -> int:
    """Run a page in an empty temporary folder; the number of blocks run. What a block does wrong is raised."""
    text = path.read_text(encoding="utf-8")
    todo = sorted(python_blocks(text) + shell_blocks(text), key=lambda block: block.line)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with _session():
        for block in todo:
            _run(block, namespace, path)
    return len(todo)


def _run(block: Block, namespace: dict[str, Any], path: Path) -> None:
    where = f"{path.name}, line {block.line}"
    printed = io.StringIO()
    if block.file is not None:
        Path(block.file).write_text(block.text, encoding="utf-8")
        return
    if block.prompts:
        test = doctest.DocTestParser().get_doctest(block.text, namespace, where, str(path), block.line)
        found = doctest.DocTestRunner(verbose=False, optionflags=FLAGS).run(test, out=printed.write, clear_globs=False)
        namespace.update(test.globs)
        if found.failed:
            raise AssertionError(f"{where}:\n{printed.getvalue()}")
        return
    with contextlib.redirect_stdout(printed):
        if block.language == "python":
            code = "\n" * (block.line - 1) + block.text  # so that tracebacks name the page's lines
            exec(compile(code, str(path), "exec"), namespace)
        for arguments in block.commands if block.language in SHELLS else ():
            status = cli.main(arguments)
            if status != cli.EXIT_OK:
                raise AssertionError(f"{where}: {shlex.join(arguments)} ended with status {status}")
    got = printed.getvalue()
    if block.output is not None and not doctest.OutputChecker().check_output(block.output, got, FLAGS):
        raise AssertionError(f"{where} should print\n{block.output}\nbut printed\n{got}")


@contextlib.contextmanager
def _session() -> Iterator[None]:
    """An empty folder to work in, from which files can be imported, and a fixed seed; undone at the end."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sys.path.insert(0, folder)
        try:
            yield
        finally:
            sys.path.remove(folder)
            for name, module in list(sys.modules.items()):
                if (getattr(module, "__file__", None) or "").startswith(folder):
                    del sys.modules[name]
