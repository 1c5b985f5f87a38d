"""Actions by their name on the command line."""

from __future__ import annotations

import ast
from collections.abc import Hashable, Sequence
from typing import Any

from ..._user_files import UserError
from ...groups import Action, Group, InvariantAction, IrrepAction, NaturalAction

KINDS = "scalar, vector, irrep:2, (1,-1), or the name of an action in the file"


def parse_label(text: str) -> Hashable:
    """A label: 2, (1,-1), T1u.

    >>> parse_label("(1,-1)")
    (1, -1)
    """
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return found if isinstance(found, Hashable) else text


def parse_action(kind: Any, group: Group, module: Any, flag: str) -> Action | None:
    """An action of a name, of a label, or of the file; None for one that leaves everything as it is.

    A function of the file is called with the group.
    """
    if kind is None or isinstance(kind, Action):
        return kind
    if not isinstance(kind, str):
        return _made(kind, group, flag)
    text = kind.strip()
    named = {"scalar": InvariantAction, "invariant": InvariantAction, "none": InvariantAction, "vector": NaturalAction}
    try:
        if text.lower() in named:
            return named[text.lower()](group)
        if text.lower().startswith("irrep:"):
            return IrrepAction(group, parse_label(text[len("irrep:") :]))
        if text.startswith("("):
            return IrrepAction(group, parse_label(text))
    except (ValueError, TypeError) as error:
        raise UserError(f"{flag} {text}: {error}") from error
    if not hasattr(module, text):
        raise UserError(f"expected {flag} as {KINDS}, got {text!r}, which the file has not; try {flag} vector")
    return _made(getattr(module, text), group, flag)


def parse_inputs(kinds: Sequence[str] | None, given: Any, x: Any, group: Group, module: Any) -> Any:
    """``rho_in`` from flags (KIND, NAME=KIND for a dict, one KIND each for a tuple), else from the file."""
    if kinds is None:
        return given(group) if callable(given) and not isinstance(given, Action) else given
    if isinstance(x, dict):
        pairs = [kind.partition("=") for kind in kinds]
        wrong = [name for name, sign, _ in pairs if not sign or name not in x]
        if wrong:
            raise UserError(f"expected --rho-in NAME=KIND with names among {list(x)}, got {' '.join(kinds)}")
        return {name: parse_action(kind, group, module, "--rho-in") for name, _, kind in pairs}
    actions = [parse_action(kind, group, module, "--rho-in") for kind in kinds]
    if isinstance(x, tuple | list):
        if len(actions) != len(x):
            raise UserError(f"expected --rho-in with {len(x)} kinds, one for each input, got {len(actions)}")
        return actions
    if len(actions) != 1:
        raise UserError(f"expected --rho-in with one kind for the one input, got {len(actions)}")
    return actions[0]


def _made(value: Any, group: Group, flag: str) -> Action | None:
    """An action, or a function that makes one."""
    made = value(group) if callable(value) and not isinstance(value, Action) else value
    if made is not None and not isinstance(made, Action):
        raise UserError(f"expected {flag} as an action of {group!r}, got {type(made).__name__}; try {KINDS}")
    return made
