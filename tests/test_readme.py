"""The README as a stranger reads it: its code runs as printed, its links lead somewhere, each lesson is named."""

import json
import re
from pathlib import Path

import torch

from tests.code_blocks import blocks, run_page

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")


def test_the_code_runs_as_printed() -> None:
    torch.set_default_dtype(torch.float32)  # as a user has it; the fixture puts it back
    assert [block for block in blocks(TEXT) if block.not_run] == []
    assert run_page(README) >= 6


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\(([^)#\s]+)", TEXT)
    missing = [link for link in links if not link.startswith("http") and not (ROOT / link).exists()]
    assert len(links) > 20 and missing == []


def test_each_lesson_is_named_with_its_title() -> None:
    lessons = sorted((ROOT / "tutorials").glob("*.ipynb"))
    for lesson in lessons:
        first = "".join(json.loads(lesson.read_text(encoding="utf-8"))["cells"][0]["source"]).splitlines()[0]
        assert f"[{first.removeprefix('# ')}](tutorials/{lesson.name})" in TEXT
