"""The API reference is complete: every public name is in it, with a docstring, shapes of tensors, and errors."""

import ast
import enum
import inspect
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pyro_symvi

API = (Path(__file__).resolve().parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
DIRECTIVE = re.compile(r"^\.\. auto(module|class|function):: (\S+)\n((?:   :.*\n)*)", re.MULTILINE)
NOT_IN_IT = {"__version__"}
SHAPE = re.compile(
    r"``[^`]*\[[^\]]*\][^`]*``|`\[[^\]]*\]`|\bshape|\bscalars?\b|\belementwise\b|\bAs (for|in) ?:|as (for|in)\s+:",
    re.IGNORECASE,
)
SHAPES_SAID_ELSEWHERE = {"law_invariance"}  # parameters of a family, as the family has them
ERRORS = ("ValueError", "TypeError")


def packages() -> list[str]:
    """The root and all public packages; those of commands serve the command line alone."""
    found = pkgutil.walk_packages(pyro_symvi.__path__, "pyro_symvi.")
    names = [m.name for m in found if m.ispkg and not re.search(r"\._|\.commands$", m.name)]
    return ["pyro_symvi", *(name for name in names if hasattr(import_module(name), "__all__"))]


@cache
def public() -> dict[tuple[str, str], Any]:
    """Each public name with the package that has it, but modules."""
    named = ((package, name) for package in packages() for name in import_module(package).__all__)
    values = ((key, getattr(import_module(key[0]), key[1])) for key in named)
    return {key: value for key, value in values if not inspect.ismodule(value)}


def is_code(value: Any) -> bool:
    return inspect.isclass(value) or inspect.isfunction(inspect.unwrap(value) if callable(value) else value)


def in_reference(text: str) -> list[Any]:
    """The classes and functions that the directives of a page document."""
    found = []
    for kind, target, options in DIRECTIVE.findall(text):
        if kind != "module":
            module, _, name = target.rpartition(".")
            found.append(getattr(import_module(module), name))
            continue
        module = import_module(target)
        given = dict(re.findall(r":([\w-]+): ?(.*)", options))
        here = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == target]
        names = given["members"].split(", ") if given.get("members") else getattr(module, "__all__", here)
        if "no-members" not in given:
            left_out = given.get("exclude-members", "").split(", ")
            found += [getattr(module, name) for name in names if name not in left_out]
    return found


def missing(text: str) -> set[str]:
    """Public names that are not in a page: classes and functions that no directive documents, values without a line."""
    documented = {id(value) for value in in_reference(text)}
    rows = set(re.findall(r"^\| `(\w+)`", text, re.MULTILINE))
    told = {name: id(value) in documented if is_code(value) else name in rows for (_, name), value in public().items()}
    return {name for name, is_there in told.items() if not is_there} - NOT_IN_IT


def test_every_public_name_is_in_the_reference() -> None:
    assert missing(API) == set()


def test_what_is_left_out_of_the_reference_is_told() -> None:
    assert missing(API.replace(".. automodule:: pyro_symvi.guides\n", "")) >= {"AutoLocationScale", "OrbitMixture"}
    assert "PALETTE" in missing(API.replace("| `PALETTE`", "| PALETTE"))
    assert "SphereDensity" in missing(
        API.replace(":exclude-members: Analysis", ":exclude-members: SphereDensity, Analysis").replace(
            ".. automodule:: pyro_symvi.recovery\n", ""
        )
    )


# -- docstrings ----------------------------------------------------------------------------------------------------


@cache
def definitions(file: str) -> dict[str, ast.AST]:
    """The classes and functions at the top of a file, by name."""
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}


def code() -> Iterator[tuple[str, ast.ClassDef | ast.FunctionDef]]:
    """Each public class (but enumerations and protocols) and function once, with its syntax."""
    seen = set()
    for (_, name), value in public().items():
        value = inspect.unwrap(value) if callable(value) else value
        if not is_code(value) or id(value) in seen:
            continue
        seen.add(id(value))
        if inspect.isclass(value) and (issubclass(value, enum.Enum) or getattr(value, "_is_protocol", False)):
            continue
        node = definitions(inspect.getfile(value)).get(value.__name__)
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield name, node


def constructors(node: ast.ClassDef | ast.FunctionDef) -> list[ast.FunctionDef]:
    """What runs when the thing is called or made."""
    if isinstance(node, ast.FunctionDef):
        return [node]
    return [f for f in node.body if isinstance(f, ast.FunctionDef) and f.name in ("__init__", "__post_init__")]


def said(node: ast.ClassDef | ast.FunctionDef) -> str:
    """The docstring, with those of a constructor and of attributes."""
    texts = [ast.get_docstring(f) or "" for f in (node, *constructors(node))]
    if isinstance(node, ast.ClassDef):
        lines = (line.value for line in node.body if isinstance(line, ast.Expr))
        texts += [line.value for line in lines if isinstance(line, ast.Constant) and isinstance(line.value, str)]
    return "\n".join(texts)


def takes_tensors(node: ast.ClassDef | ast.FunctionDef) -> bool:
    """Whether a parameter, or a field where there is no constructor, is a tensor; functions of tensors don't count."""
    inits = [f for f in constructors(node) if f.name != "__post_init__"]
    arguments = [a for f in inits for a in (*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs)]
    fields = [line for line in node.body if isinstance(line, ast.AnnAssign)] if not inits else []
    annotations = [ast.unparse(a.annotation) for a in (*arguments, *fields) if a.annotation is not None]
    return any("Tensor" in re.sub(r"Callable\[\[.*?\], .*?\]", "", text) for text in annotations)


def raises(node: ast.ClassDef | ast.FunctionDef) -> bool:
    """Whether the function, or the constructor, raises one of the errors itself."""
    errors = [n.exc for f in constructors(node) for n in ast.walk(f) if isinstance(n, ast.Raise) and n.exc is not None]
    named = [e.func if isinstance(e, ast.Call) else e for e in errors]
    return any(isinstance(e, ast.Name) and e.id in ERRORS for e in named)


def test_every_public_name_has_a_docstring() -> None:
    assert [name for name, node in code() if not ast.get_docstring(node)] == []


def test_what_takes_tensors_says_their_shapes() -> None:
    silent = [name for name, node in code() if takes_tensors(node) and not SHAPE.search(said(node))]
    assert set(silent) - SHAPES_SAID_ELSEWHERE == set()


def test_what_raises_says_so() -> None:
    silent = [name for name, node in code() if raises(node) and "Raises:" not in said(node)]
    assert silent == []


def test_the_checks_find_what_is_missing() -> None:
    node = ast.parse(
        "def f(x: Tensor, g: Callable[[Tensor], Tensor]) -> None:\n    '''F.'''\n    raise ValueError()"
    ).body[0]
    assert isinstance(node, ast.FunctionDef)
    assert takes_tensors(node) and raises(node) and not SHAPE.search(said(node))
    node = ast.parse("def f(g: Callable[[Tensor], Tensor]) -> None:\n    '''``[n]``.'''\n    raise KeyError()").body[0]
    assert isinstance(node, ast.FunctionDef)
    assert not takes_tensors(node) and not raises(node) and SHAPE.search(said(node))
