"""The command line.

``python -m pyro_symvi list | certify | demo | quotient | bnn | equivariance | rescale | multiindex |
deformable``
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from . import __version__, examples
from ._user_files import UserError, load_file, require_writable, write_beside

EXIT_OK, EXIT_USER, EXIT_FAILED = 0, 2, 1
_DIVERGENCES = (
    "reverse-kl, forward-kl, hellinger, jeffreys, chi-square, reverse-chi-square, alpha=NUMBER (the exponent on the "
    "target)"
)
_PICTURES = (".png", ".pdf", ".svg")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0, 1 (the fit or certificate failed numerically), 2 (bad input)."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        parser = _parser(arguments)
        options = parser.parse_args(arguments)
        if options.command is None:
            parser.print_help()
            return EXIT_USER
        return _dispatched(options)
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return 130


def _dispatched(options: argparse.Namespace) -> int:
    """The status of one command; errors are printed."""
    import torch

    torch.set_num_threads(1)  # small tensors: one thread is faster than several
    try:
        return int(options.run(options))
    except (UserError, ValueError, TypeError) as error:
        if options.debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USER
    except Exception as error:
        if options.debug:
            raise
        if isinstance(error, OSError) and error.filename is not None:
            print(
                f"error: expected a file that can be read or written, got {str(error.filename)!r}, because: "
                f"{error.strerror}; try another path, or look at its permissions",
                file=sys.stderr,
            )
            return EXIT_USER
        print(
            f"error: {type(error).__name__}: {error} (see python -m pyro_symvi --debug ...)",
            file=sys.stderr,
        )
        return EXIT_FAILED


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """All commands; those of companions load torch, so that their options are left out where they are not asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m pyro_symvi",
        description="Which numbers of a simple variational guide are right? Fit one and certify it by symmetry.",
    )
    parser.add_argument("--version", action="version", version=f"pyro_symvi {__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    listing = commands.add_parser(
        "list",
        help="list the built-in examples",
        description="The posteriors that ship with the package, with what symmetry says of each.",
    )
    listing.set_defaults(run=_list)

    demo = commands.add_parser(
        "demo",
        help="certify every built-in example on flat space and print one table",
        description="Fit a normal guide to each built-in posterior by reverse KL, certify it, and print one table.",
    )
    demo.set_defaults(run=_demo)

    certify = commands.add_parser(
        "certify",
        help="fit a guide to a posterior and certify it",
        description="Fit a location-scale guide to a posterior and print which of its means (and correlations) are "
        "right, how that is known, and which are not.",
        epilog="A model in FILE.py takes its data from variables of the file that bear the names of its parameters: "
        "def model(X, y) is called with the file's X and y.",
    )
    certify.add_argument("target", metavar="NAME|FILE.py:MODEL", help="a built-in example, or a Pyro model in a file")
    certify.add_argument("--divergence", default="reverse-kl", metavar="D", help=f"one of {_DIVERGENCES}")
    certify.add_argument(
        "--base", default="normal", help="normal, student_t, cauchy, laplace, logistic, uniform_ball (default normal)"
    )
    certify.add_argument(
        "--scale", default="full", help="full, block_diagonal, low_rank, diagonal or isotropic (default full)"
    )
    certify.add_argument("--df", type=float, default=None, help="degrees of freedom of a student_t base")
    certify.add_argument("--particles", type=int, default=None, help="base samples of the fit")
    certify.add_argument("--no-correlation", action="store_true", help="certify means only")
    certify.add_argument("--progress", action="store_true", help="show a progress bar")
    certify.add_argument("--json", metavar="PATH", type=Path, help="write the certificate as JSON")
    certify.add_argument("--plot", metavar="PATH", type=Path, help="write a picture (.png, .pdf or .svg)")
    certify.set_defaults(run=_certify)

    quotient = commands.add_parser("quotient", help="diffusion models of shapes: train, sample, evaluate")
    if "quotient" in arguments:
        from .quotient.commands import add_commands

        add_commands(quotient)
    network = commands.add_parser("bnn", help="posteriors of networks: sample, check, compare, write a page")
    if "bnn" in arguments:
        from .bnn.commands import add_arguments

        add_arguments(network)
    symmetry = commands.add_parser("equivariance", help="how much of a symmetry a model has learnt, and what to mend")
    if "equivariance" in arguments:
        from .equivariance.commands import add_arguments as add_equivariance

        add_equivariance(symmetry)
    scaling = commands.add_parser(
        "rescale", help="the units of a ReLU network that are free to scale, and the best scales"
    )
    if "rescale" in arguments:
        from .rescaling.commands import add_arguments as add_rescaling

        add_rescaling(scaling)
    sensitivity = commands.add_parser(
        "multiindex", help="how many samples a network with an activation needs, and which guide suits it"
    )
    if "multiindex" in arguments:
        from .multiindex.commands import add_arguments as add_multiindex

        add_multiindex(sensitivity)
    objects = commands.add_parser("deformable", help="learn the frame of a symmetric object from a folder of images")
    if "deformable" in arguments:
        from .deformable.commands import add_arguments as add_deformable

        add_deformable(objects)
    return parser


# -- commands ------------------------------------------------------------------------------------------------------


def _list(options: argparse.Namespace) -> int:
    table = Table(show_lines=False, box=None)
    table.add_column("name", no_wrap=True)
    table.add_column("posterior")
    table.add_column("what symmetry says of it")
    for name in examples.names():
        example = examples.get(name)
        table.add_row(name, example.title, example.expected)
    _console().print(table)
    return EXIT_OK


def _certify(options: argparse.Namespace) -> int:
    _check_outputs(options)
    divergence = parse_divergence(options.divergence)
    title, model, args, kwargs = load_target(options.target)
    fit, certificate, seconds = _run(model, args, kwargs, divergence, options)
    console = _console()
    particles = f"{fit.num_particles} particle{'s' * (fit.num_particles != 1)}"
    console.print(f"{title}\n{divergence!r}, {particles}, fit {fit.status.name.lower()}, {seconds:.1f} s")
    console.print(certificate)
    if not fit.converged:
        console.print(f"[yellow]The fit ended {fit.status.name}:[/] {fit.status.remedy} ({fit.details})")
    if options.json is not None:
        record = {"target": options.target, "fit": _fit_record(fit), **certificate.to_dict()}
        write_beside(options.json, lambda path: path.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n"))
        console.print(f"wrote {options.json}")
    if options.plot is not None:
        from .recovery.report.plot import plot_certificate

        figure = plot_certificate(certificate)
        write_beside(options.plot, lambda path: figure.savefig(path, dpi=120))
        console.print(f"wrote {options.plot}")
    return EXIT_OK if fit.converged else EXIT_FAILED


def _demo(options: argparse.Namespace) -> int:
    from .divergences import ReverseKL

    console = _console()
    table = Table(title="Built-in posteriors, full-scale normal guide, reverse KL", title_justify="left")
    for column in ("posterior", "statistic", "verdict", "value", "error bound"):
        table.add_column(
            column, no_wrap=column != "statistic", justify="right" if column in ("value", "error bound") else "left"
        )
    start = time.perf_counter()
    failed = False
    flat = [name for name in examples.names() if not examples.get(name).sphere_sites]
    for name in flat:
        example = examples.get(name)
        settings = argparse.Namespace(
            base="normal", scale="full", df=None, particles=None, no_correlation=False, progress=False
        )
        fit, certificate, _ = _run(example.model, example.args, dict(example.kwargs), ReverseKL(), settings)
        failed |= not fit.converged
        for number, row in enumerate(certificate.rows()):
            table.add_row(name if number == 0 else "", row[0], row[1], row[2], row[3])
        table.add_section()
    console.print(table)
    console.print(
        "PROVED: exact, by algebra on the log density. VERIFIED: no violation of the symmetry found on the region "
        "explored.\nBOUNDED: error at most that many posterior standard deviations. REFUTED, UNKNOWN: symmetry "
        "recovers nothing there.\nPremises and region: python -m pyro_symvi certify NAME"
    )
    console.print(f"{len(flat)} posteriors fitted and certified in {time.perf_counter() - start:.1f} s")
    return EXIT_FAILED if failed else EXIT_OK


def _run(model: Any, args: Any, kwargs: Any, divergence: Any, options: argparse.Namespace) -> tuple[Any, Any, float]:
    from .guides import AutoLocationScale
    from .infer import fit
    from .recovery import certify

    start = time.perf_counter()
    guide = AutoLocationScale(model, base=options.base, scale=options.scale, df=options.df)
    fitted = fit(
        model,
        guide,
        *args,
        divergence=divergence,
        num_particles=options.particles,
        progress=options.progress,
        **kwargs,
    )
    statistics = ("mean",) if options.no_correlation else ("mean", "correlation")
    certificate = certify(fitted, statistics=statistics)
    return fitted, certificate, time.perf_counter() - start


# -- reading what the user gave ------------------------------------------------------------------------------------


def parse_divergence(text: str) -> Any:
    """A divergence from its command-line name.

    >>> parse_divergence("alpha=0.5")
    Alpha(alpha=0.5)
    """
    from .divergences import Alpha, ChiSquare, ForwardKL, Hellinger, Jeffreys, ReverseKL

    named = {
        "reverse-kl": ReverseKL(),
        "forward-kl": ForwardKL(),
        "hellinger": Hellinger(),
        "jeffreys": Jeffreys(),
        "chi-square": ChiSquare(),
        "reverse-chi-square": ChiSquare(reverse=True),
    }
    name, _, number = text.strip().lower().replace("_", "-").replace(":", "=").partition("=")
    if name in named and not number:
        return named[name]
    if name == "alpha":
        try:
            return Alpha(float(number))
        except ValueError as error:
            raise UserError(
                f"expected alpha=NUMBER with a finite number, got {text!r}; try --divergence alpha=0.5"
            ) from error
    raise UserError(f"expected a divergence among {_DIVERGENCES}, got {text!r}; try --divergence forward-kl")


def load_target(text: str) -> tuple[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    """Title, model, arguments and keyword arguments of a built-in example or of ``FILE.py:MODEL``."""
    path, separator, attribute = text.rpartition(":")
    if not separator or not path.endswith(".py"):
        if text.endswith(".py"):
            raise UserError(
                f"expected FILE.py:MODEL, got {text!r}, because a file may hold several models; try {text}:model"
            )
        example = examples.get(text)
        if example.sphere_sites:
            raise UserError(
                f"expected a posterior on flat space, got {text!r}, whose sites {list(example.sphere_sites)} lie on "
                "spheres, because location-scale guides and their certificates have no law there; try "
                f"pyro_symvi.guides.AutoSymmetric(example.model) with pyro.infer.SVI, where example = "
                f"pyro_symvi.examples.get({text!r})"
            )
        return (
            f"{example.name}: {example.description} Source: {example.source}",
            example.model,
            example.args,
            dict(example.kwargs),
        )
    module = load_file(Path(path))
    model = getattr(module, attribute, None)
    if model is None:
        found = [n for n, v in vars(module).items() if inspect.isfunction(v) and v.__module__ == module.__name__]
        raise UserError(
            f"expected a model named {attribute!r} in {path}, got a file without it; it has "
            f"{', '.join(found) or 'no functions'}"
        )
    if not callable(model):
        raise UserError(f"expected {attribute!r} in {path} to be a model (a function), got {type(model).__name__}")
    return f"{attribute} of {path}", model, (), _arguments(model, module, attribute, path)


def _arguments(model: Callable[..., Any], module: Any, attribute: str, path: str) -> dict[str, Any]:
    """The model's parameters, from variables of its file with the same names."""
    given, missing = {}, []
    try:
        parameters = inspect.signature(model).parameters.values()
    except (TypeError, ValueError):
        return {}
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if hasattr(module, parameter.name):
            given[parameter.name] = getattr(module, parameter.name)
        elif parameter.default is parameter.empty:
            missing.append(parameter.name)
    if missing:
        raise UserError(
            f"expected data for the parameters {missing} of {attribute!r}, got no variables of these names in {path}, "
            "because a model is called with the variables of its file; try defining them there, or default values"
        )
    return given


# -- writing -------------------------------------------------------------------------------------------------------


def _check_outputs(options: argparse.Namespace) -> None:
    for path in (options.json, options.plot):
        require_writable(path)
    if options.plot is not None and options.plot.suffix.lower() not in _PICTURES:
        raise UserError(f"expected a picture ending in {', '.join(_PICTURES)}, got {str(options.plot)!r}")


def _fit_record(fit: Any) -> dict[str, Any]:
    return {
        "status": fit.status.name,
        "details": fit.details,
        "num_particles": fit.num_particles,
        "steps": len(fit.history),
        "objective": fit.history[-1] if fit.history else None,
    }


def _console() -> Console:
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)
