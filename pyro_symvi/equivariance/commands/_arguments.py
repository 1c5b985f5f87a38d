"""``python -m pyro_symvi equivariance FILE.py:MODEL``: from a module to a page on its symmetry."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from ..._user_files import UserError, require_writable, write_beside
from ...groups import Group, Orthogonal
from ..report import EquivarianceReport, report
from ._actions import KINDS, parse_action, parse_inputs, parse_label
from ._groups import KNOWN, parse_group
from ._model import inputs_of, last_size, load_model

CUTOFF = 3
_PICTURES = (".png", ".pdf", ".svg")
_FLAGS = (
    (r"\ballow_training=True", "--allow-training"),
    (r"\bdegree=(\d+)", r"--degree \1"),
    (r"\brho_in=(?=,)", "--rho-in"),
    (r"\brho_in=", "--rho-in "),
    (r"rho_out=\{'energy'.*", "--output NAME, one at a time"),
    (r"\bcutoff=(\d+)", r"--cutoff \1"),
    (r"a larger cutoff", "a larger --cutoff"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Put the arguments into the parser of ``equivariance``."""
    parser.description = (
        "How much of a symmetry a model has learnt: the energy of every layer by irreducible representation, the error "
        "of its output, and which known failure modes it shows, with the repair each calls for."
    )
    parser.epilog = (
        "Inputs come from the variable x (or inputs) of the file, samples first; group, rho_in, rho_out and target "
        "from variables of these names, where there are no flags. Exit status: 0; 1 where the numbers have not "
        "converged; 2 for bad input."
    )
    parser.add_argument("model", metavar="FILE.py:MODEL", help="a torch module, what makes one, or a function of x")
    parser.add_argument("--group", default=None, metavar="GROUP", help=f"{KNOWN} (default o3 for vectors in space)")
    parser.add_argument("--cutoff", type=int, default=None, metavar="L", help=f"largest irrep (default {CUTOFF})")
    parser.add_argument("--degree", type=int, default=None, metavar="D", help="of the rule (default 2 L + 4)")
    parser.add_argument("--layers", nargs="+", default=None, metavar="PATTERN", help="names (default: every leaf)")
    parser.add_argument("--inputs", default=None, metavar="NAME", help="variable with the inputs (default x)")
    parser.add_argument(
        "--rho-in", nargs="+", default=None, metavar="KIND", help="vector (default), scalar, ...; NAME=KIND for a dict"
    )
    parser.add_argument("--rho-out", default=None, metavar="KIND", help=f"{KINDS} (default scalar)")
    parser.add_argument("--target", nargs="+", default=None, metavar="LABEL", help="irreps of the output")
    parser.add_argument("--output", default=None, metavar="NAME", help="key or place, where the model returns several")
    parser.add_argument("--batch", type=int, default=256, help="samples a forward pass (default 256)")
    parser.add_argument("--allow-training", action="store_true", help="take a model in training mode")
    parser.add_argument("--json", type=Path, default=None, metavar="PATH", help="write the numbers")
    parser.add_argument("--html", type=Path, default=None, metavar="PATH", help="write the page")
    parser.add_argument("--plot", type=Path, default=None, metavar="PATH", help="write the spectrum as a picture")
    parser.set_defaults(run=_equivariance)


def _equivariance(options: argparse.Namespace) -> int:
    _check_options(options)
    try:
        made = _report(options)
    except (ValueError, TypeError) as error:
        raise UserError(_as_flags(str(error))) from error
    except RuntimeError as error:
        raise UserError(
            f"expected a model that runs on its inputs, got {type(error).__name__}: {error}; try calling it on them, "
            "or python -m pyro_symvi --debug equivariance ... for the traceback"
        ) from error
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    console.print(made)
    for path in (options.json, options.html, options.plot):
        if path is not None:
            write_beside(path, made.save)
            console.print(f"wrote {path}")
    return 1 if made.converged is False else 0


def _report(options: argparse.Namespace) -> EquivarianceReport:
    model, module = load_model(options.model, allow_training=options.allow_training)
    x = inputs_of(module, options.inputs, options.model)
    group = _group(options, module, x)
    rho_in = parse_inputs(options.rho_in, getattr(module, "rho_in", None), x, group, module)
    kind = options.rho_out if options.rho_out is not None else getattr(module, "rho_out", None)
    target: Any = getattr(module, "target", None)
    if options.target is not None:
        target = [parse_label(text) for text in options.target]
    cutoff = options.cutoff
    if cutoff is None and not group.is_finite:
        cutoff = CUTOFF
    return report(
        model,
        x,
        group,
        cutoff,
        rho_in=rho_in,
        rho_out=parse_action(kind, group, module, "--rho-out"),
        target=target,
        layers=options.layers,
        degree=options.degree,
        output=int(options.output) if options.output and options.output.isdigit() else options.output,
        batch=options.batch,
        allow_training=options.allow_training,
        title=f"{options.model} under {group!r}",
        progress=sys.stderr.isatty(),
    )


def _group(options: argparse.Namespace, module: Any, x: Any) -> Group:
    if options.group is not None:
        return parse_group(options.group, last_size(x))
    found = getattr(module, "group", None)
    if isinstance(found, str):
        return parse_group(found, last_size(x))
    if found is None and last_size(x) == 3:
        return Orthogonal(3)
    if not isinstance(found, Group):
        raise UserError(f"expected --group, or a variable group in the file, got none; try --group o3, or {KNOWN}")
    return found


def _check_options(options: argparse.Namespace) -> None:
    for name, least in (("cutoff", 0), ("degree", 0), ("batch", 1)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise UserError(f"expected --{name} >= {least}, got {value}")
    endings = {"json": (".json",), "html": (".html",), "plot": _PICTURES}
    for name, known in endings.items():
        path = getattr(options, name)
        require_writable(path)
        if path is not None and path.suffix.lower() not in known:
            raise UserError(f"expected --{name} with a path that ends in {', '.join(known)}, got {str(path)!r}")


def _as_flags(text: str) -> str:
    """Hints in the words of the command line."""
    for pattern, flag in _FLAGS:
        text = re.sub(pattern, flag, text)
    return text
