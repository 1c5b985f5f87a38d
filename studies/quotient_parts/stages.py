"""Results that outlive a killed run: each stage of a study leaves a file, and is not run again where that is there."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Stages:
    """Stages of one study with one setting, kept in ``folder``.

    Args:
        folder: where the files are; made if it is not there.
        say: called with a line when a stage ends.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.say = folder, say
        self.seconds: dict[str, float] = {}

    @classmethod
    def of(cls, folder: Path, part: str, say: Callable[[str], None]) -> Stages:
        """Stages of one part, in a folder named after the code that makes them: other code, another folder."""
        here = Path(__file__).resolve().parent
        code = b"".join((here / f"{name}.py").read_bytes() for name in ("stages", "learning", part))
        return cls(folder / f"{part}-{hashlib.sha256(code).hexdigest()[:8]}", say)

    @property
    def cpu_seconds(self) -> float:
        """CPU time of the stages used so far, whenever it was spent."""
        return sum(self.seconds.values())

    def run(self, name: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What ``compute`` returned the first time (numbers, strings and lists), now or in an earlier run."""
        path = self.folder / f"{name}.json"
        if not path.exists():
            start, wall = time.process_time(), time.monotonic()
            result = compute()
            content = {"result": result, "cpu_seconds": time.process_time() - start}
            partial = path.with_suffix(f".{os.getpid()}.partial")
            partial.write_text(json.dumps(content), encoding="utf-8")
            os.replace(partial, path)
            self.say(
                f"{name}: {content['cpu_seconds']:.0f} s of CPU time, {time.monotonic() - wall:.0f} s by the clock"
            )
        content = json.loads(path.read_text(encoding="utf-8"))
        self.seconds[name] = float(content["cpu_seconds"])
        result = content["result"]
        assert isinstance(result, dict)
        return result

    def checkpoint(self, name: str) -> Path:
        """Where a training run of a stage keeps its state."""
        return self.folder / f"{name}.pt"
