"""Options of the command."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Put the options of ``deformable`` on its parser."""

    def explain(options: argparse.Namespace) -> int:
        parser.print_help()
        return 2

    parser.set_defaults(run=explain)
