"""The examples of the documentation that show their output (``>>>``) run and give it."""

import doctest
from pathlib import Path

import pytest
import torch

PAGES = sorted((Path(__file__).resolve().parents[1] / "docs").glob("*.md"))
WITH_EXAMPLES = [page for page in PAGES if ">>>" in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: page.name)
def test_examples_run(page: Path) -> None:
    torch.set_default_dtype(torch.float32)  # as a user has it; the fixture puts it back
    text = page.read_text(encoding="utf-8").replace("```", "")
    found = doctest.DocTestRunner().run(doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0))
    assert found.attempted > 0 and found.failed == 0
