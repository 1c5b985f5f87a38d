"""Which part of some work is being done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

Progress = bool | Callable[[int, int, str], None]
"""True for a bar, or a function of parts done, parts in all and the name of the next."""


@contextmanager
def stages(names: Sequence[str], progress: Progress, work: str) -> Iterator[Callable[[str], None]]:
    """A function to call with the name of each part as it begins; nothing is shown without ``progress``.

    ``work`` is the heading of the bar.
    """
    if progress is False or progress is None:
        yield lambda name: None
    elif callable(progress):
        yield lambda name: progress(names.index(name), len(names), name)
    elif progress is True:
        from tqdm.auto import tqdm

        with tqdm(total=len(names), desc=work, unit="part", file=sys.stderr, leave=False) as bar:

            def show(name: str) -> None:
                bar.n = names.index(name)
                bar.set_postfix_str(name)

            yield show
    else:
        raise TypeError(
            f"expected progress as True, False or a function, got {progress!r}; try "
            "progress=lambda done, parts, name: print(done, parts, name)"
        )
