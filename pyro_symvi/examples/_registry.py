"""The built-in examples by name; each is built when it is asked for, so that no tensor is shared between users."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module

from pyro_symvi.examples._example import Example

_MODULES = {
    "challenger": "challenger",
    "darwin": "darwin",
    "eight-schools": "eight_schools",
    "nile": "nile",
    "planets": "planets",
    "stackloss": "stackloss",
    "stackloss-robust": "stackloss_robust",
}


def names() -> tuple[str, ...]:
    """The names of the built-in examples, in alphabetical order.

    >>> "stackloss" in names()
    True
    """
    return tuple(_MODULES)


def get(name: str) -> Example:
    """Builds one built-in example.

    Args:
        name: one of :func:`names`.

    Returns:
        The example, with data tensors of its own.

    Raises:
        TypeError: where ``name`` is not a string.
        ValueError: where there is no such example; the message lists the names and the nearest one.
    """
    if not isinstance(name, str):
        raise TypeError(
            f"expected the name of a built-in example as a string, got {type(name).__name__}, because examples are "
            f"looked up by name; try one of {', '.join(_MODULES)}"
        )
    if name not in _MODULES:
        near = get_close_matches(name.strip().lower().replace("_", "-").replace(" ", "-"), _MODULES, n=1)
        advice = f"try {near[0]!r}" if near else "try one of these names"
        raise ValueError(
            f"expected one of {', '.join(_MODULES)}, got {name!r}, because no built-in example has that name; {advice}"
        )
    example: Example = import_module(f"pyro_symvi.examples.{_MODULES[name]}").build()
    return example


class _Registry(Mapping[str, Example]):
    """A read-only mapping from name to example that builds an example when it is looked up."""

    def __getitem__(self, name: str) -> Example:
        if name not in _MODULES:
            raise KeyError(name)
        return get(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)

    def __contains__(self, name: object) -> bool:
        return name in _MODULES

    def __repr__(self) -> str:
        return f"<built-in examples: {', '.join(_MODULES)}>"


EXAMPLES: Mapping[str, Example] = _Registry()
"""Name to :class:`Example`; an example is built, afresh, each time it is looked up."""
