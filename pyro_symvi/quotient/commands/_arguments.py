"""``python -m pyro_symvi quotient train | sample | evaluate``: from files to files."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

BUILT_IN = ("torsion-chain", "bent-chain", "molecules", "proteins", "the name of a common molecule (butane)")
FILES = (".npz", ".sdf", ".xyz", ".pdb")
PICTURES = (".png", ".pdf", ".svg")
LOSSES = ("quotient", "plain", "geodiff", "af3", "orbit")
AUTO = Path("OUT.checkpoint")


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Put the three commands into the parser of ``quotient``."""
    parser.description = "Diffusion on shapes without poses: molecules, chains, protein fragments."
    parser.set_defaults(run=lambda options: _no_command(parser))
    parts = parser.add_subparsers(dest="quotient_command", metavar="COMMAND")
    _add_train(parts)
    _add_sample(parts)
    _add_evaluate(parts)


def _add_train(parts: Any) -> None:
    train = parts.add_parser(
        "train",
        help="train a denoiser on clouds and save it",
        epilog="With --checkpoint, kill it at any time and run the same command again: it goes on from the last "
        "checkpoint, and ends with the same weights as if it had not been stopped.",
    )
    train.add_argument("data", metavar="DATA", help=f"{', '.join(BUILT_IN)}, or a file ({', '.join(FILES)})")
    train.add_argument("--out", metavar="MODEL", type=Path, required=True, help="where the model is written")
    train.add_argument("--steps", type=int, default=5000, help="optimiser steps (default 5000)")
    train.add_argument(
        "--loss", choices=LOSSES, default="quotient", help="default quotient; geodiff and af3 are biased"
    )
    train.add_argument(
        "--network",
        choices=("equivariant", "transformer"),
        default="equivariant",
        help="a transformer sees turned clouds",
    )
    train.add_argument("--width", type=int, default=64, help="numbers a point in the network (default 64)")
    train.add_argument("--layers", type=int, default=3, help="of the network (default 3)")
    train.add_argument("--prior", choices=("gaussian", "harmonic"), default="gaussian", help="harmonic needs bonds")
    train.add_argument("--batch", type=int, default=128, help="clouds a step (default 128)")
    train.add_argument("--learning-rate", type=float, default=1e-3, help="of AdamW (default 0.001)")
    train.add_argument("--seed", type=int, default=0, help="of weights, batches and noise (default 0)")
    train.add_argument(
        "--checkpoint", metavar="PATH", type=Path, nargs="?", const=AUTO,
        help="keep the state of the run there, and go on from it (default PATH: MODEL.checkpoint)",
    )  # fmt: skip
    train.add_argument("--checkpoint-every", type=int, default=500, metavar="STEPS", help="default 500")
    train.add_argument("--resume", action="store_true", help="insist on a checkpoint to go on from")
    train.add_argument("--progress", action="store_true", help="show a progress bar")
    _add_data_options(train)
    train.set_defaults(run=_train)


def _add_sample(parts: Any) -> None:
    sample = parts.add_parser("sample", help="draw clouds from a trained model")
    sample.add_argument("model", metavar="MODEL", type=Path)
    sample.add_argument("-n", "--number", type=int, default=100, help="draws of each kind (default 100)")
    sample.add_argument("--out", metavar="PATH", type=Path, help=f"where they are written ({', '.join(FILES)})")
    sample.add_argument("--picture", metavar="PATH", type=Path, help=f"a picture of a dozen ({', '.join(PICTURES)})")
    sample.add_argument(
        "--kind", metavar="NAME", action="append", help="one of the molecules or chains it was trained on (all)"
    )
    sample.add_argument("--smiles", action="append", help="another molecule, for models trained on molecules")
    _add_sampler_options(sample)
    sample.set_defaults(run=_sample)


def _add_evaluate(parts: Any) -> None:
    evaluate = parts.add_parser("evaluate", help="compare draws of a trained model with data")
    evaluate.add_argument("model", metavar="MODEL", type=Path)
    evaluate.add_argument("--against", metavar="DATA", required=True, help="as for train")
    evaluate.add_argument("-n", "--number", type=int, default=200, help="draws of each kind (default 200)")
    evaluate.add_argument("--references", type=int, default=200, help="at most so many of DATA a kind (default 200)")
    evaluate.add_argument("--kinds", type=int, default=20, help="at most so many molecules or chains (default 20)")
    evaluate.add_argument("--json", metavar="PATH", type=Path, help="write the figures as JSON")
    _add_sampler_options(evaluate)
    _add_data_options(evaluate)
    evaluate.set_defaults(run=_evaluate)


def _add_data_options(parser: Any) -> None:
    parser.add_argument("--clouds", type=int, help="draws of a chain (10000), conformers a molecule (50)")
    parser.add_argument("--data-seed", type=int, default=0, help="of the draws of chains and of the embedding")
    parser.add_argument("--cache", metavar="PATH", type=Path, help="keep embedded molecules in this .npz file")
    parser.add_argument("--length", type=int, default=32, help="residues a protein fragment (default 32)")


def _add_sampler_options(parser: Any) -> None:
    parser.add_argument("--sampler", choices=("ode", "sde"), default="ode", help="default ode")
    parser.add_argument("--steps", type=int, help="of the sampler (ode 50, sde 200)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default 0)")
    parser.add_argument("--progress", action="store_true", help="show a progress bar")


# -- commands --------------------------------------------------------------------------------------------------------


def _no_command(parser: argparse.ArgumentParser) -> int:
    parser.print_help()
    return 2


def _train(options: argparse.Namespace) -> int:
    from ..training import TrainingStatus, save_model, train
    from . import _models as models
    from ._data import described, read_data

    checkpoint = options.checkpoint
    if checkpoint is AUTO or (checkpoint is None and options.resume):
        checkpoint = options.out.with_name(f"{options.out.name}.checkpoint")
    check_paths(options.out, checkpoint, options.cache)
    check_counts(options, "steps", "batch", "checkpoint_every")
    if not 0 < options.learning_rate < math.inf:
        raise ValueError(f"expected a finite --learning-rate > 0, got {options.learning_rate}")
    if options.resume and not checkpoint.exists():
        raise ValueError(f"expected a checkpoint to go on from, got none at {str(checkpoint)!r}; try without --resume")
    models.network_kind(options)(width=options.width, layers=options.layers, seed=options.seed)  # refused before work
    data = read_data(options.data, options)
    diffusion, network = models.made_for(data, options)
    parameters = sum(p.numel() for p in network.parameters())
    print(f"{described(data)}; {type(network).__name__} with {parameters} parameters")
    if checkpoint is not None and checkpoint.exists():
        print(f"going on from {checkpoint}")
    start = time.perf_counter()
    try:
        result = train(
            diffusion,
            network,
            data,
            models.loss_of(options.loss),
            steps=options.steps,
            batch_size=options.batch,
            learning_rate=options.learning_rate,
            rotate=options.network != "equivariant",
            seed=options.seed,
            checkpoint=checkpoint,
            checkpoint_every=options.checkpoint_every,
            progress=options.progress,
        )
    except KeyboardInterrupt:
        if checkpoint is None or not checkpoint.exists():
            raise
        print(f"interrupted; run the same command again to go on from {checkpoint}", file=sys.stderr)
        return 130
    if result.status is not TrainingStatus.FINISHED:
        print(
            f"error: training ended {result.status.name} at step {result.steps}, because {result.cause}; "
            f"try: {result.status.remedy}",
            file=sys.stderr,
        )
        return 1
    save_model(options.out, diffusion, result.network, ema=result.ema, metadata=models.notes(data, options))
    tail = result.history.loss[-max(1, len(result.history.loss) // 10) :]
    mean = sum(tail) / len(tail)
    print(f"{result.steps} steps in {time.perf_counter() - start:.1f} s, mean loss of the last tenth {mean:.4g}")
    print(f"wrote {options.out}")
    return 0


def _sample(options: argparse.Namespace) -> int:
    from . import _files as files
    from . import _models as models

    if options.out is None and options.picture is None:
        raise ValueError("expected --out PATH or --picture PATH, got neither, because draws would be lost")
    check_paths(options.out, options.picture)
    check_suffix(options.out, FILES, "an --out file")
    check_suffix(options.picture, PICTURES, "a picture")
    model = models.load(options.model)
    wanted = models.wanted_kinds(model, options.kind, options.smiles)
    sampler = models.sampler_of(options)
    files.check_writable(wanted, options.out)
    clouds = models.draw(model, wanted, options.number, sampler, options)
    if options.out is not None:
        files.write(clouds, options.out)
        print(f"wrote {len(clouds)} clouds of {len(clouds.names)} kind(s) to {options.out}")
    if options.picture is not None:
        name = files.picture(clouds, options.picture)
        print(f"wrote {options.picture}, a picture of {name}")
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from ..files._text import write_text
    from . import _models as models
    from ._data import described, read_data, references
    from ._report import report

    check_paths(options.json, options.cache)
    check_counts(options, "references", "kinds")
    model = models.load(options.model)
    sampler = models.sampler_of(options)
    truth = references(read_data(options.against, options), model, options)
    clouds = models.draw(model, truth, options.number, sampler, options)
    found = report(clouds, truth)
    print(f"{described(truth)}; {options.number} draws of each kind by {sampler!r}")
    print(found.to_text())
    if options.json is not None:
        record = {"model": str(options.model), "against": options.against, "sampler": repr(sampler), **found.to_dict()}
        write_text(options.json, json.dumps(record, indent=1, allow_nan=False) + "\n")
        print(f"wrote {options.json}")
    return 0


# -- checks before any work ------------------------------------------------------------------------------------------


def check_paths(*paths: Path | None) -> None:
    """Refuse paths that can't be written to."""
    import os

    for path in paths:
        if path is None:
            continue
        if not path.parent.is_dir():
            raise ValueError(
                f"expected a path in an existing folder, got {str(path)!r}; try making {path.parent} first"
            )
        if path.is_dir():
            raise ValueError(f"expected the path of a file, got the folder {str(path)!r}")
        if not os.access(path.parent, os.W_OK):
            raise ValueError(f"expected a folder that can be written to, got {str(path.parent)!r}")


def check_counts(options: argparse.Namespace, *names: str) -> None:
    """Refuse numbers of things below one."""
    for name in names:
        if getattr(options, name) < 1:
            raise ValueError(f"expected --{name.replace('_', '-')} >= 1, got {getattr(options, name)}")


def check_suffix(path: Path | None, known: tuple[str, ...], what: str) -> None:
    """Refuse kinds of files that nothing writes."""
    if path is not None and path.suffix.lower() not in known:
        raise ValueError(f"expected {what} ending in {', '.join(known)}, got {str(path)!r}")
