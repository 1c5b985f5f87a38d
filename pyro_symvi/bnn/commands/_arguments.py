"""``python -m pyro_symvi bnn TABLE``: from a table to a page on the posterior."""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from pathlib import Path
from typing import Any

from ..tables import load_table, read_table
from ..tables._builtin import TABLES
from ._launch import process_group
from ._options import ENDINGS, check_options
from ._run import ACTIVATIONS, LIKELIHOODS, SAMPLERS, run

_FLAGS = (
    (r"constant='drop'", "--drop-constant"),
    (r"\bdrop=\[(.*?)\]", r"--drop \1"),
    (r"\bkind='(\w+)'", r"--kind \1"),
    (r"another target=", "another --target"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Put the arguments into the parser of ``bnn``."""
    parser.description = (
        "Sample the posterior of a network's weights on a table of data, test the draws against identities that hold "
        "in every such posterior, compare with cheap approximations, and write one page."
    )
    parser.epilog = (
        "With --checkpoint, kill it at any time and run the same command again: it goes on where it was. Under "
        "torchrun the packs of chains are dealt out; the draws are the same for any number of processes."
    )
    parser.add_argument("table", metavar="TABLE", help=f"{', '.join(sorted(TABLES))}, or a file of text")
    parser.add_argument("--target", default=None, help="column to predict (default: the last)")
    parser.add_argument("--kind", choices=("auto", "regression", "classification"), default="auto")
    parser.add_argument("--drop-constant", action="store_true", help="leave out columns that hold one value")
    parser.add_argument("--drop", nargs="+", default=[], metavar="COLUMN", help="columns to leave out, such as names")
    parser.add_argument("--hidden", type=int, nargs="+", default=[16], metavar="WIDTH", help="default 16")
    parser.add_argument("--activation", choices=tuple(ACTIVATIONS), default="relu", help="default relu")
    parser.add_argument(
        "--likelihood", choices=LIKELIHOODS, default="auto",
        help="auto: categorical for classes, else learned-noise (one unknown standard deviation)",
    )  # fmt: skip
    parser.add_argument("--prior-scale", type=float, default=1.0, help="standard deviation of each weight (default 1)")
    parser.add_argument("--sampler", choices=tuple(SAMPLERS), default="mams", help="mclmc is faster and biased")
    parser.add_argument("--chains", type=int, default=12, help="default 12")
    parser.add_argument("--draws", type=int, default=200, help="kept draws a chain (default 200)")
    parser.add_argument("--thin", type=int, default=None, help="steps a draw (default 1; mclmc 20)")
    parser.add_argument("--warmup", type=int, default=None, help="steps of warm-up (default 500; mclmc 5000)")
    parser.add_argument("--refresh", type=int, default=0, metavar="STEPS", help="move along orbits every STEPS steps")
    parser.add_argument("--members", type=int, default=12, help="of the deep ensemble (default 12)")
    parser.add_argument("--test", type=float, default=0.2, help="share of rows held out (default 0.2)")
    parser.add_argument("--seed", type=int, default=0, help="of split, training and chains (default 0)")
    parser.add_argument("--checkpoint", metavar="PATH", type=Path, help="keep finished blocks there, and go on from it")
    parser.add_argument("--out", metavar="PATH", type=Path, help=f"write the page ({', '.join(ENDINGS)})")
    parser.add_argument("--json", metavar="PATH", type=Path, help="write the main numbers")
    parser.add_argument("--progress", action="store_true", help="show progress bars")
    parser.set_defaults(run=_bnn)


def _bnn(options: argparse.Namespace) -> int:
    check_options(options)
    with process_group() as first:
        return _report(options, first)


def _report(options: argparse.Namespace, first: bool) -> int:
    """Run and, on the first process, print and write."""
    try:
        made = run(_table(options), options)
    except ValueError as error:
        raise ValueError(_as_flags(str(error))) from error
    except KeyboardInterrupt:
        if options.checkpoint is None or not options.checkpoint.exists():
            raise
        print(f"interrupted; finished blocks are in {options.checkpoint}; run it again to go on", file=sys.stderr)
        return 130
    if not first:
        return 0
    print(made.to_text())
    if options.out is not None:
        print(f"\nwrote {made.save(options.out)}")
    if options.json is not None:
        options.json.write_text(json.dumps(_plain(made.to_dict()), indent=1, allow_nan=False) + "\n", encoding="utf-8")
        print(f"wrote {options.json}")
    return 0


def _table(options: argparse.Namespace) -> Any:
    if options.table in TABLES:
        if options.target is not None or options.kind != "auto" or options.drop:
            raise ValueError(f"expected no --target, --kind or --drop for the built-in table {options.table!r}")
        return load_table(options.table)
    if not Path(options.table).exists() and not Path(options.table).suffix:
        raise ValueError(f"expected one of {', '.join(sorted(TABLES))}, or a file, got {options.table!r}")
    constant = "drop" if options.drop_constant else "refuse"
    if not Path(options.table).exists():
        raise ValueError(f"expected a file of text, got {options.table!r}, where there is none; try another path")
    return read_table(options.table, options.target, kind=options.kind, constant=constant, drop=options.drop)


def _as_flags(text: str) -> str:
    """Hints in the words of the command line: --drop name for drop=['name']."""
    for pattern, flag in _FLAGS:
        text = re.sub(pattern, flag, text)
    return text


def _plain(value: Any) -> Any:
    """Nan and infinity as null: JSON has neither."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
