"""``python -m pyro_symvi multiindex ACTIVATION``: exponents, thresholds, advice on the guide, a phase diagram."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ..._figures import save_figure
from ..._user_files import UserError, require_writable, write_beside
from .._plain import plain
from ..advice import CommitteeSpec, GuideAdvice, advise_guide
from ..links import ACTIVATIONS, Link
from ..sensitivity import NoiseSensitivity, noise_sensitivity
from ..thresholds import CommitteeThresholds, SingleIndexThresholds, committee_thresholds, single_index_thresholds
from ._activation import load_link
from ._tables import committee_table, single_index_table

_ENDINGS = {"json": (".json",), "plot": (".png", ".pdf", ".svg")}
_SNRS, _UNITS = (1.0, 0.1), (4,)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Put the arguments into the parser of ``multiindex``."""
    parser.description = (
        "How many samples a network with this activation needs: y = sqrt(snr) sigma(w.x) + noise with one unit, and "
        "the sum of p units divided by sqrt(p). Prints the noise sensitivity exponent, the sample ratios n/d above "
        "which learning is possible and above which it is fast, and which guide suits the posterior."
    )
    parser.epilog = (
        "Thresholds are those of standard normal inputs, a model that matches the data, and n and d large. Exit "
        "status: 0; 2 for bad input."
    )
    parser.add_argument(
        "activation",
        metavar="ACTIVATION",
        help="relu, tanh, abs, he4, ... ('list' prints the names), or FILE.py:NAME: a function of a tensor or a module",
    )
    parser.add_argument(
        "--snr",
        type=_positive,
        nargs="+",
        action="extend",
        default=None,
        metavar="S",
        help="signal to noise ratios of one unit (variance of the signal over that of the noise; default 1 0.1)",
    )
    parser.add_argument(
        "--units",
        type=_count,
        nargs="+",
        action="extend",
        default=None,
        metavar="P",
        help="numbers of units of the committee (default 4)",
    )
    parser.add_argument(
        "--noise", type=_positive, default=0.5, metavar="D", help="variance of the committee's noise (default 0.5)"
    )
    parser.add_argument("--samples", type=_count, default=None, metavar="N", help="number of samples, for the advice")
    parser.add_argument("--dim", type=_count, default=None, metavar="D", help="number of inputs, for the advice")
    parser.add_argument("--json", type=Path, default=None, metavar="PATH", help="write the numbers")
    parser.add_argument(
        "--plot", type=Path, default=None, metavar="PATH", help="write the phase diagram (.png, .pdf or .svg)"
    )
    parser.set_defaults(run=_multiindex)


def _multiindex(options: argparse.Namespace) -> int:
    _check(options)
    console = Console(
        highlight=False, markup=False, emoji=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120
    )
    if options.activation == "list":
        console.print(f"{', '.join(ACTIVATIONS)}, he1 to he20")
        return 0
    link = load_link(options.activation)
    snrs = tuple(dict.fromkeys(options.snr or _SNRS))
    units = tuple(dict.fromkeys(options.units or _UNITS))
    sensitivity = noise_sensitivity(link)
    console.print(sensitivity.report())
    single = [single_index_thresholds(link, snr) for snr in snrs]
    _print_table(console, single_index_table(single), single)
    committee = [committee_thresholds(link, p, options.noise) for p in units]
    _print_table(console, committee_table(committee), committee)
    advice = []
    if options.samples is not None:
        for p, found in zip(units, committee, strict=True):
            spec = CommitteeSpec(link, p, options.noise)
            advice.append(advise_guide(spec, options.samples, options.dim, thresholds=found))
            console.print(f"\n{advice[-1].report()}")
    _write(options, link, console, (sensitivity, single, committee, advice))
    return 0


_Results = tuple[NoiseSensitivity, list[SingleIndexThresholds], list[CommitteeThresholds], list[GuideAdvice]]


def _write(options: argparse.Namespace, link: Link, console: Console, results: _Results) -> None:
    sensitivity, single, committee, advice = results
    if options.json is not None:
        record = {
            "activation": link.name,
            "noise": options.noise,
            "sensitivity": sensitivity.to_dict(),
            "single_index": [row.to_dict() for row in single],
            "committee": [row.to_dict() for row in committee],
            "advice": [row.to_dict() for row in advice],
        }
        text = json.dumps(plain(record), indent=1, allow_nan=False)
        write_beside(options.json, lambda path: path.write_text(text + "\n"))
    if options.plot is not None:
        from ..pictures import plot_phase_diagram

        save_figure(plot_phase_diagram(link, noise=options.noise, progress=sys.stderr.isatty()), options.plot)
    for path in (options.json, options.plot):
        if path is not None:
            console.print(f"wrote {path}")


def _print_table(console: Console, table: Table, rows: Sequence[Any]) -> None:
    """The table, and below it the notes of its rows, each once."""
    console.print()
    console.print(table)
    for note in dict.fromkeys(note for row in rows for note in row.notes):
        console.print(f"  note: {note}")


def _check(options: argparse.Namespace) -> None:
    for name, known in _ENDINGS.items():
        path = getattr(options, name)
        require_writable(path)
        if path is not None and path.suffix.lower() not in known:
            raise UserError(f"expected --{name} with a path that ends in {', '.join(known)}, got {str(path)!r}")
    if (options.samples is None) != (options.dim is None):
        given, missing = ("--dim", "--samples") if options.samples is None else ("--samples", "--dim")
        raise UserError(
            f"expected --samples and --dim together, got {given} alone, because advice depends on n/d; try "
            f"{missing} too"
        )
    most = max(options.units or _UNITS)
    if options.dim is not None and options.dim < most:
        raise UserError(
            f"expected --dim of at least {most}, the number of units, got {options.dim}, because the weights of the "
            "units are taken to be nearly orthogonal; try fewer --units"
        )


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(
            f"expected a positive number, got {text!r}; ACTIVATION comes before the options"
        )
    return value


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(
            f"expected a positive whole number, got {text!r}; ACTIVATION comes before the options"
        )
    return int(text)
