"""``python -m pyro_symvi deformable train | show``: from a folder of images to a frame, and to pictures of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..images import CHANNELS, FITS
from ._symmetry import KNOWN, RELAXATIONS

AUTO = Path("MODEL.checkpoint")
"""Stands for a checkpoint beside the model."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Put the options of ``deformable`` on its parser."""
    parser.description = (
        "Learn a frame of objects of one category from a folder of images, without labels: each pixel gets its place "
        "on the object, so that the object's symmetry shows in any pose."
    )
    parser.set_defaults(run=lambda options: _no_command(parser))
    parts = parser.add_subparsers(dest="deformable_command", metavar="COMMAND")
    _add_train(parts)
    _add_show(parts)


def _add_train(parts: Any) -> None:
    train = parts.add_parser(
        "train",
        help="learn a frame from a folder of images",
        description="Learn a frame from images of objects of one category, roughly of one size, in the middle and "
        "upright: faces, flowers, figures. Some hundred are good; two is the least.",
        epilog="With --checkpoint, kill it at any time and run the same command again: it goes on from the last "
        "checkpoint, and ends with the same frame as if it had not been stopped. Then: deformable show MODEL FOLDER. "
        "Exit status: 0; 1 where the loss was not finite; 2 for bad input.",
    )
    train.add_argument("folder", metavar="FOLDER", type=Path, help="of images; those in folders inside are not taken")
    train.add_argument("--out", metavar="MODEL", type=Path, required=True, help="where the model is written")
    train.add_argument("--symmetry", default="bilateral", metavar="S", help=f"{KNOWN} (default bilateral)")
    train.add_argument(
        "--relax",
        default=None,
        metavar="R",
        help=f"{RELAXATIONS}: what to do about elements that images do not tell apart (default: none for bilateral, "
        "softmin for the others)",
    )
    train.add_argument("--size", default="48", metavar="S", help="pixels of the side, or HEIGHTxWIDTH (default 48)")
    train.add_argument("--steps", type=int, default=2000, help="of training (default 2000)")
    train.add_argument("--batch", type=int, default=16, help="images a step (default 16)")
    train.add_argument("--learning-rate", type=float, default=1e-3, help="of Adam (default 0.001)")
    train.add_argument(
        "--shift",
        type=float,
        default=0.2,
        help="of training images, in half sides; small ones teach little (default 0.2)",
    )
    train.add_argument(
        "--turn", type=float, default=None, help="of training images, in degrees (default 15, 60 with a relaxation)"
    )
    train.add_argument("--dim", type=int, default=3, help="numbers that a place is told by (default 3)")
    train.add_argument("--width", type=float, default=0.5, help="factor of the network's channels (default 0.5)")
    train.add_argument("--seed", type=int, default=0, help="of weights, order, warps and flips (default 0)")
    train.add_argument(
        "--checkpoint", metavar="PATH", type=Path, nargs="?", const=AUTO,
        help="keep the state of the run there, and go on from it (default PATH: MODEL.checkpoint)",
    )  # fmt: skip
    train.add_argument("--checkpoint-every", type=int, default=200, metavar="STEPS", help="default 200")
    train.add_argument("--resume", action="store_true", help="insist on a checkpoint to go on from")
    train.add_argument("--progress", action="store_true", help="show a progress bar")
    train.add_argument(
        "--channels", choices=CHANNELS, default="auto", help="what grey and coloured images become (default auto)"
    )
    train.add_argument(
        "--fit", choices=FITS, default="crop", help="how images get their size; error: refuse mixed ones (default crop)"
    )
    train.add_argument("--skip-unreadable", action="store_true", help="leave out files that cannot be read")
    train.set_defaults(run=_train)


def _add_show(parts: Any) -> None:
    show = parts.add_parser(
        "show",
        help="figures and pictures of a frame on a folder of images",
        description="Measure a trained frame on images (best on others than it was trained on), say what may be said, "
        "and draw its colours, correspondences, midlines and symmetrised images.",
        epilog="Images are fitted as those of the training were. Exit status: 0; 2 for bad input.",
    )
    show.add_argument("model", metavar="MODEL", type=Path, help="what deformable train wrote")
    show.add_argument("folder", metavar="FOLDER", type=Path, help="of images")
    show.add_argument("--out", metavar="PAGE.html", type=Path, help="write a page with the figures and pictures")
    show.add_argument("--pictures", metavar="FOLDER", type=Path, help="write the pictures there (.png)")
    show.add_argument("--json", metavar="PATH", type=Path, help="write the figures as JSON")
    show.add_argument("--number", type=int, default=16, help="images to draw (default 16)")
    show.add_argument("--most", type=int, default=100, help="images to measure on (default 100)")
    show.add_argument("--seed", type=int, default=0, help="of the warps to measure with (default 0)")
    show.add_argument("--skip-unreadable", action="store_true", help="leave out files that cannot be read")
    show.set_defaults(run=_show)


def _no_command(parser: argparse.ArgumentParser) -> int:
    parser.print_help()
    return 2


def _train(options: argparse.Namespace) -> int:
    from ._train import train

    return train(options)


def _show(options: argparse.Namespace) -> int:
    from ._show import show

    return show(options)
