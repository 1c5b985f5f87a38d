"""Frozen values of groups and of this package as plain dictionaries and back."""

from __future__ import annotations

from typing import Any

from ... import _plain_values, groups
from .. import _interpolants, _priors, _process

_KNOWN = _plain_values.values_of(groups, _interpolants, _priors, _process)


def to_plain(value: object) -> Any:
    """Numbers, strings, tensors, lists, and for a known frozen value ``{"value": name, fields...}``."""
    return _plain_values.to_plain(value, _KNOWN, "pyro_symvi.groups or pyro_symvi.quotient")


def from_plain(content: Any) -> Any:
    """What ``to_plain`` was given; lists come back as tuples."""
    return _plain_values.from_plain(content, _KNOWN)
