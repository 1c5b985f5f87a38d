"""The public names and their signatures are those on record: none changes by accident."""

import difflib

from tests import public_api


def test_public_names_are_those_on_record():
    expected = public_api.RECORD.read_text(encoding="utf-8").splitlines()
    changes = [
        line
        for line in difflib.unified_diff(expected, public_api.lines(), "on record", "now", lineterm="", n=0)
        if not line.startswith(("---", "+++", "@@"))
    ]
    assert not changes, "\n".join(
        ["the public interface has changed; if that is wanted, run", f"    {public_api.COMMAND}", *changes]
    )


class Example:
    """What the record is tried on."""

    def __init__(self, a: int, *, b: tuple[float, ...] = (1.0,)) -> None:
        self.a, self.b = a, b

    def method(self, x: int = 1, /, *args: object, key: object = len, **rest: object) -> None:
        """Public."""

    def _hidden(self) -> None:
        """Not."""


def test_a_record_shows_what_callers_rely_on(monkeypatch):
    monkeypatch.setattr(public_api, "PACKAGE", Example.__module__)
    assert public_api.described("Example", Example) == [
        "class Example(a, *, b=(1.0,))",
        "    .method(x=1, /, *args, key=len, **rest)",
    ]
    assert public_api.described("f", lambda x, y=2: None) == ["f(x, y=2)"]
