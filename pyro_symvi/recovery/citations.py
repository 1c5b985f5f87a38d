"""What to cite for a certificate: the sources of the theorems it rests on, as BibTeX."""

from __future__ import annotations

from typing import Any


def citation(certificate: Any = None) -> str:
    """To be written."""
    raise NotImplementedError
