"""``python -m pyro_symvi rescale FILE.py:MODEL``: a network's rescalings, and the best of them."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import torch
from rich.console import Console
from torch import nn

from ..._figures import save_figure
from ..._user_files import UserError, require_writable, write_beside
from .._group import RescalingGroup
from ..conditioning import Conditioning, guess_input_shape, path_condition
from ..pictures import plot_conditioning
from ..solvers import SOLVERS
from ._model import Shapes, load_network, shapes_of

_CRITERIA = ("path", "l2", "range")
_ENDINGS = {"json": (".json",), "save": (".pt", ".pth"), "plot": (".png", ".pdf", ".svg")}
_FLAGS = (
    (r"unsupported=['\"]skip['\"]", "--skip-unsupported"),
    (r"batch_norm=['\"](\w+)['\"]", r"--batch-norm \1"),
    (r"criterion=['\"](\w+)['\"]", r"--criterion \1"),
    (r"input_shape=\((\d[\d, ]*?),?\)", lambda found: f"--input-shape {found.group(1).replace(' ', '')}"),
    (r"\binput_shape\b", "--input-shape"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Put the arguments into the parser of ``rescale``."""
    parser.description = (
        "A unit of a ReLU network may be scaled: weights into it times c, weights out of it divided by c, and the "
        "function stays as it is. Lists the units of a network that are free to scale, those that share a scale or "
        "have none, with the reason, and moves the weights to the point of least objective."
    )
    parser.epilog = (
        "The shape of one input, without the batch axis, comes from --input-shape, else from the variable input_shape "
        "(or INPUT_SHAPE) of the file, else from a linear layer that comes first. Exit status: 0; 1 where the solver "
        "did not converge; 2 for bad input."
    )
    parser.add_argument("model", metavar="FILE.py:MODEL", help="a torch module, or what makes one without arguments")
    parser.add_argument(
        "--input-shape", action="append", default=None, metavar="SHAPE", help="1,28,28; once for each input"
    )
    parser.add_argument(
        "--criterion",
        choices=_CRITERIA,
        default="path",
        help="path: all parameters move the function alike; l2: least sum of squares; range: equal largest weights "
        "(default path)",
    )
    parser.add_argument("--solver", choices=sorted(SOLVERS), default="newton", help="(default newton)")
    parser.add_argument(
        "--batch-norm",
        choices=("barrier", "folded"),
        default="barrier",
        help="barrier: layers before one keep their scale; folded: as in evaluation mode, running means move along "
        "(default barrier)",
    )
    parser.add_argument(
        "--skip-unsupported",
        action="store_true",
        help="leave units before GELU, tanh, ... as they are, in place of an error",
    )
    parser.add_argument("--json", type=Path, default=None, metavar="PATH", help="write the numbers")
    parser.add_argument("--save", type=Path, default=None, metavar="PATH", help="write the rescaled state_dict (.pt)")
    parser.add_argument("--plot", type=Path, default=None, metavar="PATH", help="write a picture (.png, .pdf or .svg)")
    parser.set_defaults(run=_rescale)


def _rescale(options: argparse.Namespace) -> int:
    for name, known in _ENDINGS.items():
        path = getattr(options, name)
        require_writable(path)
        if path is not None and path.suffix.lower() not in known:
            raise UserError(f"expected --{name} with a path that ends in {', '.join(known)}, got {str(path)!r}")
    model, module = load_network(options.model)
    try:
        shapes = shapes_of(options.input_shape, module) or (guess_input_shape(model),)
        result = _condition(model, shapes, options)
    except (ValueError, TypeError) as error:
        raise UserError(_as_flags(str(error))) from error
    except RuntimeError as error:
        raise UserError(
            f"expected a network that runs on inputs of shape {_written(shapes)}, got {type(error).__name__}: {error}; "
            "try another --input-shape, or python -m pyro_symvi --debug rescale ... for the traceback"
        ) from error
    console = Console(
        highlight=False, markup=False, emoji=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120
    )
    console.print(f"{options.model}: {type(model).__name__} on inputs of shape {_written(shapes)}")
    console.print(str(result.report()))
    _write(options, result, console)
    return 0 if result.converged else 1


def _condition(model: nn.Module, shapes: Shapes, options: argparse.Namespace) -> Conditioning:
    model.eval()
    group = RescalingGroup.from_module(
        model,
        shapes[0] if len(shapes) == 1 else shapes,
        batch_norm=options.batch_norm,
        unsupported="skip" if options.skip_unsupported else "raise",
    )
    return path_condition(
        model, group, criterion=options.criterion, solver=options.solver, progress=sys.stderr.isatty()
    )


def _write(options: argparse.Namespace, result: Conditioning, console: Console) -> None:
    if options.save is not None:
        state = result.copy().state_dict()
        write_beside(options.save, lambda path: torch.save(state, path))
    if options.json is not None:
        record = {"model": options.model, **result.to_dict()}
        write_beside(options.json, lambda path: path.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n"))
    if options.plot is not None:
        save_figure(plot_conditioning(result), options.plot)
    for path in (options.json, options.plot, options.save):
        if path is not None:
            console.print(f"wrote {path}")


def _written(shapes: Shapes) -> str:
    return " and ".join(str(tuple(shape)) for shape in shapes)


def _as_flags(text: str) -> str:
    """Hints in the words of the command line."""
    for pattern, flag in _FLAGS:
        text = re.sub(pattern, flag, text)
    return text
