"""Names of the parameters of guides with one set of parameters a site, in Pyro's store."""

from __future__ import annotations

from pyro.nn import PyroModule


def path_of(part: str, site: str) -> str:
    """The dotted name of a parameter: ``locs.mu`` for the loc of site mu, as in Pyro's guides.

    A name that is an attribute of every module (``type``, ``train``) gets an underscore.
    """
    steps = [f"{step}_" if hasattr(PyroModule, step) else step for step in site.split(".")]
    return ".".join([f"{part}s", *steps])


def refuse_nested(names: list[str]) -> None:
    """Sites ``a`` and ``a.b`` in one model: the dots are modules here, and a parameter can't be one."""
    for name in names:
        inner = [other for other in names if other.startswith(f"{name}.")]
        if inner:
            raise ValueError(
                f"expected site names none of which continues another, got '{name}' and '{inner[0]}', because dots "
                "become submodules that hold the parameters; try an underscore for the dot"
            )
