"""The lessons as they are kept: executed in full and in order, with pictures, exercises and solutions, of one form."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "tutorials"
LESSONS = sorted(FOLDER.glob("*.ipynb"))
MOST_BYTES = 1_500_000
SHORT = 'SHORT = "CI" in os.environ'


def cells(lesson: Path, kind: str) -> list[dict[str, Any]]:
    found = json.loads(lesson.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == kind]


def complaints(lesson: Path) -> list[str]:
    """What is wrong with a lesson as it is kept; empty where all is well."""
    code = cells(lesson, "code")
    outputs = [output for cell in code for output in cell["outputs"]]
    texts = ["".join(cell["source"]) for cell in cells(lesson, "markdown")]
    headings = [line for text in texts for line in text.splitlines() if line.startswith("#")]
    printed = "".join("".join(output.get("text", "")) for output in outputs)
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    number = int(lesson.name[:2])
    found = []
    if [cell["execution_count"] for cell in code] != list(range(1, len(code) + 1)):
        found.append("not executed from top to bottom in one go")
    if not any(SHORT in "".join(cell["source"]) for cell in code):
        found.append(f"no short mode: {SHORT}")
    if "full run" not in printed or "short run" in printed:
        found.append("not kept as executed in full")
    if any(output["output_type"] == "error" for output in outputs):
        found.append("an error among the outputs")
    if any(output.get("name") == "stderr" for output in outputs):
        found.append("warnings or progress bars among the outputs")
    if re.search(r"/(tmp|root|home|work|Users)/", lesson.read_text(encoding="utf-8")):
        found.append("a path of the machine that executed it")
    if not pictures:
        found.append("no picture")
    if not headings[0].startswith(f"# {number}. "):
        found.append(f"the title does not begin with '# {number}. '")
    if "## Exercises" not in headings or "## Solutions" not in headings:
        found.append("no exercises with solutions")
    if lesson.stat().st_size > MOST_BYTES:
        found.append(f"larger than {MOST_BYTES} bytes")
    return found


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_kept_as_executed_in_full(lesson: Path) -> None:
    assert complaints(lesson) == []


def test_numbered_without_gaps() -> None:
    assert [int(lesson.name[:2]) for lesson in LESSONS] == list(range(1, len(LESSONS) + 1))


def test_what_is_not_fit_to_keep_is_told(tmp_path: Path) -> None:
    lesson = tmp_path / "01_poor.ipynb"
    broken = {
        "cells": [
            {"cell_type": "markdown", "source": ["# A lesson"]},
            {"cell_type": "raw", "source": ["long " * (MOST_BYTES // 5)]},
            {
                "cell_type": "code",
                "execution_count": 4,
                "source": ["1 / 0"],
                "outputs": [
                    {"output_type": "stream", "name": "stderr", "text": ["/tmp/x.py: UserWarning"]},
                    {"output_type": "error"},
                ],
            },
        ]
    }
    lesson.write_text(json.dumps(broken), encoding="utf-8")
    assert len(complaints(lesson)) == 10
