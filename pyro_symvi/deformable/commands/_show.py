"""``deformable show``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch

from ..._figures import save_figure
from ..._page import picture, section, write_page
from ..._user_files import UserError, require_writable, write_beside
from ..images import ImageFolder
from ..report import FrameReport, report_frame
from ..training import FrameModel, load_model
from ._pictures import drawn
from ._train import read_folder

_MOST_DRAWN = 40


def show(options: argparse.Namespace) -> int:
    """Read model and images, measure, draw, write; the exit status."""
    _check(options)
    model = _loaded(options.model)
    channels, height, width = model.image_shape
    fit = str(model.metadata.get("fit", "crop"))
    kind = "colour" if channels == 3 else "grey"
    folder = read_folder(options.folder, (height, width), kind, fit, least=1, skip_unreadable=options.skip_unreadable)
    chosen = _spread(len(folder), options.most)
    report = report_frame(
        model,
        folder.images[chosen],
        mask=None if folder.mask is None else folder.mask[chosen],
        generator=torch.Generator().manual_seed(options.seed),
    )
    text = f"{_heading(model, folder, options)}\n\n{report.to_text()}"
    print(text)
    sys.stdout.flush()
    if options.json is not None:
        record = {"model": str(options.model), "folder": str(options.folder), **report.to_dict()}
        content = json.dumps(record, indent=1, allow_nan=False) + "\n"
        write_beside(options.json, lambda path: path.write_text(content))
    if options.out is not None or options.pictures is not None:
        _draw(options, model, folder, report, text)
    for path in (options.json, options.out, options.pictures):
        if path is not None:
            print(f"wrote {path}")
    return 0


def _draw(options: argparse.Namespace, model: FrameModel, folder: ImageFolder, report: FrameReport, text: str) -> None:
    index = _spread(len(folder), options.number)
    mask = None if folder.mask is None else folder.mask[index]
    titles = [folder.names[k] for k in index]
    parts = [section("What was seen", text)]
    for name, heading, words, figure in drawn(model, folder.images[index], mask, titles, report):
        parts.append(section(heading, words))
        if options.out is not None:
            parts.append(picture(figure, heading))
        if options.pictures is not None:
            save_figure(figure, options.pictures / f"{name}.png")
    if options.out is not None:
        write_page(f"The frame {options.model.name} on {options.folder}", parts, options.out)


def _heading(model: FrameModel, folder: ImageFolder, options: argparse.Namespace) -> str:
    symmetry = model.metadata.get("symmetry", "of its own" if model.symmetry is not None else "none")
    lines = [
        f"Model {options.model}: symmetry {symmetry}, trained for {model.steps} steps on "
        f"{model.metadata.get('images', 'some')} images; final loss {model.relative_loss:.2f} of a blind frame's",
        f"Images {options.folder}: {len(folder)} of them",
    ]
    if Path(str(model.metadata.get("folder", ""))).name == options.folder.name or (
        set(folder.names) & set(model.metadata.get("names", []))
    ):
        lines.append("note: some have the names of images it was trained on; images it has not seen tell more")
    lines += [f"note: {note}" for note in folder.notes]
    return "\n".join(lines)


def _loaded(path: Path) -> FrameModel:
    if not path.is_file():
        raise UserError(
            f"expected a model written by deformable train, got {str(path)!r}, which is not a file there; try the path "
            "given to deformable train --out"
        )
    try:
        return load_model(path)
    except ValueError as error:
        raise UserError(str(error)) from error


def _spread(count: int, most: int) -> list[int]:
    """At most so many of 0, 1, ..., evenly spread."""
    return [k * count // most for k in range(most)] if count > most else list(range(count))


def _check(options: argparse.Namespace) -> None:
    for path in (options.json, options.out):
        require_writable(path)
    for path, known, name in ((options.out, ".html", "out"), (options.json, ".json", "json")):
        if path is not None and path.suffix.lower() != known:
            hint = "; try --pictures FOLDER for pictures" if name == "out" else ""
            raise UserError(f"expected --{name} with a path that ends in {known}, got {str(path)!r}{hint}")
    pictures: Any = options.pictures
    if pictures is not None:
        if pictures.exists() and not pictures.is_dir():
            raise UserError(f"expected --pictures as a folder, got the file {str(pictures)!r}")
        if pictures.resolve() == options.folder.resolve():
            raise UserError(
                f"expected --pictures as another folder than that of the images, got {str(pictures)!r} for both, "
                "because the pictures would be taken for images the next time; try a folder inside it"
            )
        require_writable(pictures / "frames.png" if pictures.is_dir() else pictures)
    for name, most in (("number", _MOST_DRAWN), ("most", 100_000)):
        if not 1 <= getattr(options, name) <= most:
            raise UserError(f"expected --{name} from 1 to {most}, got {getattr(options, name)}")
