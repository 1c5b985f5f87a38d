"""Every counterexample and adversarial case of the theory has a test in this directory that carries its number."""

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FAILURES = ["N1", "N2", "N3", "N4", "N4'", "N5", "N6", "N7", "N8", "N9", "N10", "N11"]
SPHERE = ["1c1", "1c2", "1c3", "1c4"]
ADVERSARIAL = [n for n in range(1, 35) if n not in (3, 5, 6, 12, 17, 21, 22, 23, 26, 29)]  # not in the table


def names() -> str:
    """Names and ids of the tests here, in lower case, one a line, this file apart."""
    text = "\n".join(p.read_text() for p in sorted(HERE.glob("test_*.py")) if p.name != Path(__file__).name)
    functions = re.findall(r"def (test_\w+)", text)
    ids = re.findall(r"id=\"([^\"]+)\"", text)
    keys = re.findall(r"^    \"(N\d+'?[^\"]*)\":", text, re.MULTILINE)
    return "\n".join([*functions, *ids, *keys]).lower()


@pytest.mark.parametrize("number", FAILURES)
def test_the_failure_catalogue_is_complete(number: str) -> None:
    word = number.lower().replace("'", "(?:'|_prime)")
    after = "" if number.endswith("'") else r"(?!['\d])(?!_prime)"
    assert re.search(rf"(?:^|_|\b){word}{after}", names(), re.MULTILINE)


@pytest.mark.parametrize("number", SPHERE)
def test_the_cases_of_the_sphere_are_complete(number: str) -> None:
    assert number in names()


@pytest.mark.parametrize("number", ADVERSARIAL)
def test_the_adversarial_section_is_complete(number: int) -> None:
    assert re.search(rf"(?:_7_|^){number}(?:_|:|b?\b|$)", names(), re.MULTILINE)
