"""``deformable train``."""

from __future__ import annotations

import argparse
import dataclasses
import math
import re
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

from ..._user_files import UserError, require_writable
from ..images import ImageFolder, load_images
from ..losses import FrameLoss, Unrelaxed
from ..networks import SmallNet
from ..training import Recipe, TrainingStatus, train_frame, train_relaxed_frame
from ..warps import RandomWarps
from ._arguments import AUTO
from ._symmetry import idle, parse_relaxation, parse_symmetry


def train(options: argparse.Namespace) -> int:
    """Read the images, train, write the model; the exit status."""
    size = parse_size(options.size)
    checkpoint = options.checkpoint
    if checkpoint is AUTO or (checkpoint is None and options.resume):
        checkpoint = options.out.with_name(f"{options.out.name}.checkpoint")
    _check(options, checkpoint)
    symmetry = parse_symmetry(options.symmetry, options.dim)
    relaxation = parse_relaxation(options.relax, symmetry)
    relaxed = not isinstance(relaxation, Unrelaxed)
    turn = options.turn if options.turn is not None else 60.0 if relaxed else 15.0
    recipe = Recipe(
        steps=options.steps,
        batch_size=options.batch,
        learning_rate=options.learning_rate,
        warps=RandomWarps(translation=options.shift, scale=0.2, angle=math.radians(turn), elastic=0.05),
        seed=options.seed,
    )
    if not 0.05 <= options.width <= 8:
        raise UserError(f"expected --width from 0.05 to 8, got {options.width}; try --width 0.5")
    folder = read_folder(
        options.folder, size, options.channels, options.fit, least=2, skip_unreadable=options.skip_unreadable
    )
    images = folder.images
    network = SmallNet(images.shape[1], options.dim, width=options.width, generator=recipe.generator("weights"))
    print(
        f"{len(folder)} images, {'coloured' if images.shape[1] == 3 else 'grey'}, {size[0]} x {size[1]} pixels; "
        f"symmetry {options.symmetry}, relaxation {relaxation!r}; {sum(p.numel() for p in network.parameters())} "
        "parameters"
    )
    for note in folder.notes:
        print(f"note: {note}")
    if idle(symmetry, relaxation):
        print(f"note: {options.symmetry} moves no images and --relax is none, so that it has no part in training")
    if _begun(checkpoint):
        print(f"checkpoint found: {checkpoint}")
    sys.stdout.flush()
    start = time.perf_counter()
    try:
        model = (train_relaxed_frame if relaxed else train_frame)(
            images,
            symmetry,
            network,
            FrameLoss(symmetry, relaxation=relaxation),
            recipe,
            mask=folder.mask,
            checkpoint=checkpoint,
            checkpoint_every=options.checkpoint_every,
            progress=options.progress,
        )
    except KeyboardInterrupt:
        if not _begun(checkpoint):
            raise
        print(f"interrupted; run the same command again to go on from {checkpoint}", file=sys.stderr)
        return 130
    except ValueError as error:
        raise UserError(_as_flags(str(error))) from error
    if model.status is not TrainingStatus.FINISHED:
        print(
            f"error: training ended {model.status.name} at step {model.steps}, because {model.cause}; try: "
            f"{_as_flags(model.status.remedy)}",
            file=sys.stderr,
        )
        return 1
    notes = {"folder": str(options.folder), "images": len(folder), "names": list(folder.names[:1000])}
    notes |= {"fit": options.fit, "symmetry": options.symmetry}
    dataclasses.replace(model, metadata={**model.metadata, **notes}).save(options.out)
    print(
        f"{model.steps} steps in {time.perf_counter() - start:.1f} s; loss {model.final_loss:.4g}, that is "
        f"{model.relative_loss:.2f} of a frame's that is blind to the images"
    )
    if model.relative_loss > _BLIND:
        print("note: that is no better than blind, so nothing was learnt; try more --steps, or more images")
    print(f"wrote {options.out}")
    return 0


def parse_size(text: str) -> tuple[int, int]:
    """Height and width.

    >>> parse_size("48"), parse_size("64x48")
    ((48, 48), (64, 48))
    """
    found = re.fullmatch(r"(\d+)(?:[x,](\d+))?", text.strip().lower())
    sides = (int(found.group(1)), int(found.group(2) or found.group(1))) if found else (0, 0)
    if not all(16 <= side <= 512 and side % 2 == 0 for side in sides):
        raise UserError(
            f"expected --size as an even number of pixels from 16 to 512, or HEIGHTxWIDTH, got {text!r}; try --size 48"
        )
    return sides


def read_folder(
    path: Any, size: tuple[int, int], channels: str, fit: str, *, least: int, skip_unreadable: bool
) -> ImageFolder:
    """The images of a folder; refusals in the words of the command line."""
    try:
        return load_images(path, size, channels, fit, least=least, skip_unreadable=skip_unreadable)
    except (ValueError, FileNotFoundError) as error:
        raise UserError(_as_flags(str(error))) from error


_BLIND = 0.95
_FLAGS = (
    (r"skip_unreadable=True", "--skip-unreadable"),
    (r"\bfit='(\w+)'", r"--fit \1"),
    (r"\bchannels='(\w+)'", r"--channels \1"),
    (r"\blower learning_rate\b", "lower --learning-rate"),
)


def _as_flags(text: str) -> str:
    """Hints in the words of the command line."""
    for pattern, flag in _FLAGS:
        text = re.sub(pattern, flag, text)
    return text


def _check(options: argparse.Namespace, checkpoint: Any) -> None:
    for path in (options.out, checkpoint):
        require_writable(path)
    if checkpoint is not None and checkpoint.resolve() == options.out.resolve():
        raise UserError(
            f"expected --checkpoint apart from --out, got {str(checkpoint)!r} for both, because the model would take "
            "the checkpoint's place; try --checkpoint without a path"
        )
    if options.out.is_file() and options.out.stat().st_size and not zipfile.is_zipfile(options.out):
        raise UserError(
            f"expected --out as a new file or a model's, got {str(options.out)!r}, which holds something else, because "
            "it would be lost; try another name"
        )
    for name, least in (("steps", 1), ("batch", 2), ("checkpoint_every", 1), ("dim", 2), ("seed", 0)):
        value = getattr(options, name)
        if value < least:
            raise UserError(f"expected --{name.replace('_', '-')} >= {least}, got {value}")
    if not 0 < options.learning_rate < math.inf:
        raise UserError(f"expected a finite --learning-rate > 0, got {options.learning_rate}")
    for name, most in (("shift", 0.5), ("turn", 180)):
        value = getattr(options, name)
        if value is not None and not 0 <= value <= most:
            raise UserError(f"expected --{name} from 0 to {most:g}, got {value}")
    if options.resume and not _begun(checkpoint):
        raise UserError(f"expected a checkpoint to go on from, got none at {str(checkpoint)!r}; try without --resume")


def _begun(checkpoint: Path | None) -> bool:
    """Whether a run has left a state there, or one of its first phase beside it."""
    return checkpoint is not None and (checkpoint.exists() or Path(f"{checkpoint}.gentle").exists())
