"""The floors of the package: who may import whom, which libraries each room may know, and what importing costs."""

import ast
import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = "pyro_symvi"
SOURCES = Path(__file__).resolve().parent.parent / PACKAGE
PYRO_DISTRIBUTIONS = ("torch", "pyro.distributions")
NUMERICS = ("torch", "pyro", "numpy", "scipy", "tqdm")
REPORTS = (*NUMERICS, "matplotlib", "rich")
COMPANIONS = ("quotient", "bnn", "equivariance", "rescaling", "multiindex", "deformable")


@dataclass(frozen=True)
class Room:
    """One package or root module: its floor, the libraries it may import, its allowed neighbours on the same floor.

    ``only``, where given, names the rooms below that may be imported; without it, every lower floor may. ``lazy``
    libraries may be imported inside functions only, so that loading the room does not load them.
    """

    floor: int
    libraries: tuple[str, ...]
    beside: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    lazy: tuple[str, ...] = ()


BASEMENT = Room(-1, ("torch",), lazy=("matplotlib", "rdkit", "tqdm"))
"""Private modules at the root (``_name.py``): shared by all, knowing nothing but ``_value``."""

ROOMS = {
    "groups": Room(0, ("torch",), beside=("special",), lazy=("scipy", "sympy")),
    "special": Room(0, ("torch",)),
    "distributions": Room(1, (*PYRO_DISTRIBUTIONS, "numpy", "scipy")),
    "divergences": Room(1, ("torch",), only=()),
    "examples": Room(1, ("torch", "pyro"), beside=("distributions",), only=()),
    "families": Room(2, (*PYRO_DISTRIBUTIONS, "numpy", "scipy")),
    "density": Room(3, ("torch", "pyro", "numpy", "scipy")),
    "infer": Room(3, NUMERICS, beside=("density", "guides")),
    "guides": Room(3, ("torch", "pyro", "numpy"), beside=("density",)),
    "recovery": Room(4, REPORTS),
    "export": Room(4, NUMERICS, beside=("recovery",), lazy=("arviz", "arviz_base", "arviz_stats", "xarray")),
    "plots": Room(4, REPORTS, beside=("recovery",)),
    **{name: Room(5, REPORTS) for name in COMPANIONS},
    "quotient": Room(5, REPORTS, lazy=("rdkit",)),
    "bnn": Room(5, REPORTS, lazy=("arviz_base", "arviz_stats", "xarray", "zarr")),
    "equivariance": Room(5, REPORTS, lazy=("rdkit",)),
    "deformable": Room(5, REPORTS, lazy=("PIL", "skimage")),
    "__init__": Room(6, REPORTS),
    "cli": Room(7, REPORTS),
    "__main__": Room(8, REPORTS),
}


def room_of(module: str) -> str:
    """The room of a dotted module name: ``pyro_symvi.groups.base`` lies in ``groups``, the root in ``__init__``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imported_modules(path: Path, module: str, is_package: bool) -> Iterator[tuple[int, str, bool]]:
    """Line, dotted name and whether it lies inside a function, for each import of a file; relative ones resolved.

    ``from a import b`` yields ``a.b``: where b is a name in a, not a module, the room and the library are the same.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = {id(inner) for function in functions for inner in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, id(node) in inside
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".") if is_package else module.split(".")[:-1]
                base = ".".join([*parents[: len(parents) - node.level + 1], *([base] if base else [])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}", id(node) in inside


def complaint(room: str, imported: str, inside_function: bool) -> str | None:
    """Why a room may not import this, or None where it may."""
    mine = BASEMENT if room.startswith("_") and not room.startswith("__") else ROOMS.get(room)
    if mine is None:
        return f"room {room!r} is not in the table of floors; add it to ROOMS with its floor"
    top = imported.split(".")[0]
    if top == PACKAGE:
        other = room_of(imported)
        if other == room or imported == f"{PACKAGE}.__version__":
            return None
        if other.startswith("_") and not other.startswith("__"):
            allowed = mine is not BASEMENT or other == "_value"
            return None if allowed else f"{room} (basement) imports {other}: the basement knows _value alone"
        if other not in ROOMS:
            return None if mine.floor >= ROOMS["__init__"].floor else f"{room} imports {imported} from the root"
        theirs = ROOMS[other]
        if mine.only is not None and other not in (*mine.only, *mine.beside):
            return f"{room} (floor {mine.floor}) imports {other}: it may import {', '.join(mine.only) or 'no room'}"
        if theirs.floor > mine.floor or (theirs.floor == mine.floor and other not in mine.beside):
            return f"{room} (floor {mine.floor}) imports {other} (floor {theirs.floor})"
        return None
    if top in sys.stdlib_module_names or (room == "cli" and inside_function):
        return None
    known_here = (*mine.libraries, *(mine.lazy if inside_function else ()))
    if any(imported == known or imported.startswith(f"{known}.") for known in known_here):
        return None
    return f"{room} (floor {mine.floor}) imports {imported}: it may know {', '.join(mine.libraries)}"


def violations(sources: Path) -> list[str]:
    """Every forbidden import below a package folder, as ``path:line: why``."""
    found = []
    for path in sorted(sources.rglob("*.py")):
        relative = path.relative_to(sources)
        is_package = path.name == "__init__.py"
        parts = relative.parent.parts if is_package else (*relative.parent.parts, path.stem)
        module = ".".join([PACKAGE, *parts])
        for line, imported, inside in imported_modules(path, module, is_package):
            why = complaint(room_of(module), imported, inside)
            if why:
                found.append(f"{relative.as_posix()}:{line}: {why}")
    return found


def test_no_room_imports_what_it_may_not():
    assert violations(SOURCES) == []


FORBIDDEN = {
    "groups/base.py": ("import pyro", "groups (floor 0) imports pyro"),
    "groups/act.py": ("from pyro_symvi.families import Family", "groups (floor 0) imports families (floor 2)"),
    "groups/early.py": ("import scipy.optimize", "groups (floor 0) imports scipy.optimize"),
    "groups/late.py": ("def f():\n    import pyro", "groups (floor 0) imports pyro"),
    "special/late.py": ("def f():\n    import scipy.stats", "special (floor 0) imports scipy.stats"),
    "special/bessel.py": ("from scipy import special", "special (floor 0) imports scipy.special"),
    "distributions/vmf.py": ("from pyro.infer import SVI", "distributions (floor 1) imports pyro.infer.SVI"),
    "divergences/kl.py": ("from pyro_symvi.groups import Group", "divergences (floor 1) imports groups"),
    "divergences/np.py": ("import numpy as np", "divergences (floor 1) imports numpy"),
    "families/loc.py": ("from .. import density", "families (floor 2) imports density (floor 3)"),
    "density/flat.py": ("from ..infer import fit", "density (floor 3) imports infer (floor 3)"),
    "guides/auto.py": ("from pyro_symvi import infer", "guides (floor 3) imports infer (floor 3)"),
    "guides/root.py": ("import pyro_symvi as symvi", "guides (floor 3) imports __init__ (floor 6)"),
    "infer/svi.py": ("import rich", "infer (floor 3) imports rich"),
    "recovery/report.py": ("from pyro_symvi.cli import main", "recovery (floor 4) imports cli (floor 7)"),
    "quotient/net.py": ("from pyro_symvi.bnn import Layer", "quotient (floor 5) imports bnn (floor 5)"),
    "examples/one.py": ("from pyro_symvi.infer import fit", "examples (floor 1) imports infer"),
    "cli.py": ("import click", "cli (floor 7) imports click"),
    "_shared.py": ("from pyro_symvi.groups import Group", "_shared (floor -1) imports groups (floor 0)"),
    "attic/old.py": ("import torch", "room 'attic' is not in the table"),
}

ALLOWED = {
    "groups/__init__.py": "from pyro_symvi.groups.base import Group\nfrom .act import Action\nimport math, torch",
    "distributions/vmf.py": "from pyro_symvi.special import log_bessel\nfrom pyro import distributions\nimport torch",
    "families/loc.py": "from pyro_symvi.groups import Group\nimport pyro.distributions as dist",
    "infer/fit.py": "from ..density import LogDensity\nfrom .._progress import bar\nimport scipy.optimize",
    "recovery/report.py": "import rich.table\nfrom pyro_symvi.guides import AutoLocationScale",
    "cli.py": "from pyro_symvi import __version__, recovery\ndef f():\n    import click",
    "_progress.py": "import torch",
    "__init__.py": "from pyro_symvi.infer import fit as fit",
    "__main__.py": "from pyro_symvi.cli import main",
}


def write_tree(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("name", FORBIDDEN)
def test_the_checker_reports_a_forbidden_import(tmp_path, name):
    text, reason = FORBIDDEN[name]
    write_tree(tmp_path, {name: f'"""A module."""\n\n{text}\n'})
    (report,) = violations(tmp_path)
    assert report.startswith(f"{name}:{4 if text.startswith('def') else 3}: {reason}")


def test_the_checker_lets_the_allowed_imports_pass(tmp_path):
    write_tree(tmp_path, ALLOWED)
    assert violations(tmp_path) == []


STATE = """
import logging, os, random, sys, warnings
import numpy, pyro, torch

def state():
    loggers = {n: l for n, l in logging.root.manager.loggerDict.items() if isinstance(l, logging.Logger)}
    loggers["root"] = logging.root
    return {
        "default dtype": torch.get_default_dtype(),
        "torch seed": torch.get_rng_state().tolist(),
        "numpy seed": str(numpy.random.get_state()),
        "python seed": random.getstate(),
        "torch validation": torch.distributions.Distribution._validate_args,
        "pyro validation": pyro.infer.util.is_validation_enabled(),
        "pyro distributions validation": pyro.distributions.distribution.Distribution._validate_args
        if hasattr(pyro.distributions.distribution.Distribution, "_validate_args") else None,
        "param store": sorted(pyro.get_param_store().keys()),
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "environment": dict(os.environ),
        "recursion limit": sys.getrecursionlimit(),
        "handlers and levels": {
            n: (l.level, len(l.handlers), l.propagate) for n, l in loggers.items() if l.handlers or l.level
        },
        "warning filters": [str(f) for f in warnings.filters],
    }

def changed(before):
    after = state()
    return [key for key in before if before[key] != after[key]]
"""


def run_python(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=SOURCES.parent, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def changes():
    """What importing the package, then every module, and last a deliberate act change, in one fresh process.

    Libraries that the modules use are imported before them, so that a change is this package's own.
    """
    code = f"""
    import time
    found, before = dict(), state()
    start = time.perf_counter()
    import {PACKAGE}
    found["seconds"] = time.perf_counter() - start
    found["package"] = changed(before)
    import matplotlib.pyplot, rich.console, scipy.optimize, scipy.special, scipy.stats, torch.fx, tqdm
    import importlib, json, pkgutil
    before = state()
    for module in pkgutil.walk_packages({PACKAGE}.__path__, "{PACKAGE}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found["modules"] = changed(before)
    before = state()
    torch.set_default_dtype(torch.float64)
    found["act"] = changed(before)
    print(json.dumps(found))
    """
    return json.loads(run_python(f"{STATE}\n{textwrap.dedent(code)}"))


def test_importing_the_package_changes_no_global_state(changes):
    assert changes["package"] == []


def test_importing_every_module_changes_no_global_state(changes):
    assert changes["modules"] == []


def test_the_state_check_sees_a_change(changes):
    assert changes["act"] == ["default dtype"]


def test_importing_the_package_takes_under_a_third_of_a_second_beyond_pyro(changes):
    code = f"import time, pyro; t = time.perf_counter(); import {PACKAGE}; print(time.perf_counter() - t)"
    assert changes["seconds"] < 0.3 or any(float(run_python(code)) < 0.3 for _ in range(2))  # the least of up to three
