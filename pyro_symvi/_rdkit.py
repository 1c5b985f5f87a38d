"""RDKit, an optional library (the extra ``molecules``): loading it, and keeping it quiet."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


def require_rdkit() -> Any:
    """The module ``rdkit.Chem``, or an error that names the extra."""
    try:
        from rdkit import Chem
    except ImportError as error:
        raise ImportError(
            "expected rdkit to be installed, because molecules are read and embedded by it; "
            "try pip install 'pyro-symvi[molecules]'"
        ) from error
    return Chem


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """RDKit writes no log lines meanwhile: what it would say goes into our messages."""
    from rdkit import rdBase

    with rdBase.BlockLogs():
        yield
