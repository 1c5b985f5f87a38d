"""Does diffusion on the quotient learn better than plain diffusion on real molecules and protein fragments?

Part A: heavy atoms of small molecules, ETKDG ensembles of RDKit (no Boltzmann samples), split by molecule; an
equivariant network that is told the graph, so that each held-out molecule is one it has never seen. COV and AMR with
symmetry-corrected RMSD, laws of bonds, angles and torsions.
Part B: Calpha fragments of protein chains, split by chain; a plain transformer with rotation augmentation,
and an equivariant network that hears ten residues on each side.
Both: the plain and the quotient loss with paired seeds (same data, batches, times, noise, initial weights), the
probability flow by Heun's method, held-out horizontal loss while learning. Intervals: over molecules in part A
(figures averaged over seeds first), over seeds in part B. Figures are not to be compared with published tables: other
molecules, other references, far smaller networks.

    make study-quotient_real      (or python studies/quotient_real.py [--quick])

What is done is kept in ``--folder`` (build/quotient_real), checkpoints of training included: a run that was killed goes
on from there, and one that is complete only prints. Needs the extras molecules and proteins; a part whose extra is
missing is left out, which is said. Writes studies/results/quotient_real.txt and pictures beside it; ``--quick`` (also
where CI is set) is a run of about a minute that prints and leaves its pictures in the folder. ``--workers N`` trains N
networks at a time.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import multiprocessing
import os
import platform
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats
import torch
from quotient_parts import pictures
from quotient_parts.learning import THRESHOLDS
from quotient_parts.stages import Stages

from pyro_symvi.quotient.metrics import Interval, paired_differences

HERE = Path(__file__).resolve().parent
METHODS = ("plain", "quotient")
THRESHOLD = 0.5


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean over molecules with its 95 % percentile bootstrap interval, which stays within the range of shares."""
    drawn = scipy.stats.bootstrap(
        (np.array(values),), np.mean, n_resamples=2000, method="percentile", rng=np.random.default_rng(0)
    )
    return Interval(float(np.mean(values)), *map(float, drawn.confidence_interval))


def over_seeds(values: Sequence[float]) -> str:
    """Mean over seeds and their standard deviation, where there are several."""
    spread = f" +- {np.std(values, ddof=1):.2g}" if len(values) > 1 else ""
    return f"{np.mean(values):.4g}{spread}"


def compared(a: Sequence[float], b: Sequence[float]) -> str:
    """The differences a - b over paired seeds: an interval from three pairs on, the bare differences below."""
    if len(a) > 2:
        return str(paired_differences(a, b))
    return ", ".join(f"{x - y:+.4g}" for x, y in zip(a, b, strict=True)) + " (too few seeds for an interval)"


def row(name: str, cells: Sequence[object], width: int = 32) -> str:
    return f"{name:<36}" + "".join(f"{cell!s:>{width}}" for cell in cells)


def report_molecules(part: Any, results: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Tables of part A: one row a method, one column a figure; then quotient - plain over molecules."""
    at = THRESHOLDS.index(THRESHOLD)
    count, names, settings = len(part.data.names), list(part.references), part.settings
    figures = {
        "COV-R at 0.5 A": lambda run: [levels[at] for levels in run["recall"]],
        "COV-P at 0.5 A": lambda run: [levels[at] for levels in run["precision"]],
        "AMR-R (A)": lambda run: run["AMR-R"],
        "AMR-P (A)": lambda run: run["AMR-P"],
        "bonds, W1 (A)": lambda run: run["bonds"],
        "angles, W1 (degrees)": lambda run: run["angles"],
        "torsions, JS (bits)": lambda run: run["torsions"],
    }
    parameters = sum(p.numel() for p in part.network(0).parameters())
    lines = [
        f"Part A. {count} molecules, {settings.conformers} conformers each; {len(part.train.names)} to learn from, "
        f"{len(names)} held out; {2 * settings.conformers} samples for each of these.",
        f"EquivariantNetwork of {parameters} parameters, {settings.steps} steps of {settings.batch_size} clouds, "
        f"{settings.seeds} seeds. Mean over held-out molecules [95 % bootstrap over molecules, seeds averaged first].",
    ]
    lines += [f"  left out: {problem.smiles}: {problem.reason}" for problem in part.data.problems]
    averaged = {
        figure: {
            method: torch.tensor([read(run) for run in runs], dtype=torch.float64).mean(0)
            for method, runs in results.items()
        }
        for figure, read in figures.items()
    }
    lines += ["", row("", results)]
    lines += [
        row(figure, [mean_interval(values[method].tolist()) for method in results])
        for figure, values in averaged.items()
    ]
    lines += ["", "Quotient - plain, paired over held-out molecules:"]
    for figure, values in averaged.items():
        difference = paired_differences(values["quotient"], values["plain"])
        lines.append(f"  {figure:<36}{difference}")
    lines += ["Quotient - plain for each seed (means over molecules):"]
    for figure, read in figures.items():
        each = [
            sum(read(q)) / len(names) - sum(read(p)) / len(names)
            for q, p in zip(results["quotient"], results["plain"], strict=True)
        ]
        lines.append(f"  {figure:<36}" + ", ".join(f"{value:+.4f}" for value in each))
    return [*lines, *report_curves(results)]


def report_proteins(
    part: Any, results: dict[str, dict[str, list[dict[str, Any]]]], figures: dict[str, str]
) -> list[str]:
    """Tables of part B, one for each network."""
    train, test, settings = part.train, part.test, part.settings
    lines = [
        f"Part B. Calpha fragments of {settings.length} residues: {len(train)} of {len(set(train.chains()))} chains "
        f"to learn from, {len(test)} of {len(set(test.chains()))} held out; {settings.samples} samples.",
        "Distances from the laws of the held-out chains: mean over seeds +- their standard deviation.",
        "Column training: fragments of the chains learnt from.",
    ]
    for kind, runs in results.items():
        network, (steps, batch_size) = part.network(kind, 0), part.budget(kind)
        parameters = sum(p.numel() for p in network.parameters())
        lines += ["", f"{type(network).__name__} of {parameters} parameters, {steps} steps of {batch_size} clouds."]
        lines += [row("", runs)]
        for key, title in figures.items():
            lines.append(row(title, [over_seeds([run[key] for run in of]) for of in runs.values()]))
        lines += ["", "Quotient - plain, paired over seeds:"]
        for key, title in figures.items():
            lines.append(f"  {title:<36}" + compared(*([run[key] for run in runs[m]] for m in ("quotient", "plain"))))
        lines += report_curves(runs)
    return lines


def report_curves(results: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Held-out loss over steps: means over seeds, and the paired difference at the end."""
    curves = {method: torch.tensor([run["curve"]["loss"] for run in results[method]]) for method in METHODS}
    steps = results["plain"][0]["curve"]["steps"]
    lines = ["", "Held-out horizontal loss (mean over seeds) after so many steps:"]
    lines.append(f"  {'':<10}" + "".join(f"{step:>9}" for step in steps))
    for method, losses in curves.items():
        lines.append(f"  {method:<10}" + "".join(f"{value:>9.3f}" for value in losses.mean(0).tolist()))
    usual = curves["plain"][:, -1].mean()
    ends = [(curves[method][:, -1] / usual).double().tolist() for method in ("quotient", "plain")]
    lines.append(f"  quotient - plain at the end, in units of plain: {compared(*ends)}")
    return lines


def molecules(part: Any) -> tuple[list[str], dict[str, Any]]:
    """What is told of part A, and its curves; the picture is drawn."""
    runs = {method: [part.run(method, seed) for seed in range(part.settings.seeds)] for method in METHODS}
    results = {"etkdg": [part.baseline("etkdg")], **runs, "untrained": [part.baseline("untrained")]}
    folder, references = part.stages.folder, part.references
    samples = {m: torch.load(folder / f"molecules_{m}_0_samples.pt", weights_only=True) for m in METHODS}
    by_size = sorted(references, key=lambda name: -references[name].shape[1])
    shown = by_size[:: max(len(by_size) // 5, 1)][:5]
    pictures.molecules(folder / "molecules.png", shown, {"reference": references, **samples}, part.permutations)
    return report_molecules(part, results), {"molecules": results}


def proteins(part: Any) -> tuple[list[str], dict[str, Any]]:
    """What is told of part B, and its curves; the picture is drawn."""
    from quotient_parts.proteins import FIGURES, KINDS

    results = {}
    for kind in KINDS:
        runs = {method: [part.run(kind, method, seed) for seed in part.seeds(kind)] for method in METHODS}
        results[kind] = {"training": [part.baseline("training")], **runs, "untrained": [part.baseline("untrained")]}
    shown = {"reference": part.test.clouds}
    for method in METHODS:
        shown[method] = torch.load(
            part.stages.folder / f"proteins_equivariant_{method}_0_samples.pt", weights_only=True
        )
    pictures.proteins(part.stages.folder / "proteins.png", shown)
    return report_proteins(part, results, FIGURES), {f"proteins, {kind}": runs for kind, runs in results.items()}


PARTS = {"molecules": (molecules, "rdkit"), "proteins": (proteins, "MDAnalysisTests")}


@functools.cache
def build(name: str, quick: bool, folder: Path) -> Any:
    """A part with its data, once a process."""
    torch.set_num_threads(1)
    stages = Stages.of(folder, name, lambda line: print(f"  [{line}]", flush=True))
    if name == "molecules":
        from quotient_parts.molecules import Molecules

        return Molecules(quick, stages)
    from quotient_parts.proteins import Proteins

    return Proteins(quick, stages)


def work(job: tuple[str, bool, Path, tuple[Any, ...]]) -> None:
    """One training run, its samples and figures left in the folder."""
    name, quick, folder, task = job
    build(name, quick, folder).run(*task)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, about a minute")
    parser.add_argument("--only", choices=PARTS, help="one part")
    parser.add_argument("--folder", type=Path, default=HERE.parent / "build" / "quotient_real", help="what is done")
    parser.add_argument("--workers", type=int, default=1, help="training runs at a time, one thread each")
    options = parser.parse_args()
    quick = options.quick or bool(os.environ.get("CI"))
    folder = options.folder.resolve() / ("quick" if quick else "full")
    folder.mkdir(parents=True, exist_ok=True)
    there = [name for name, (_, library) in PARTS.items() if importlib.util.find_spec(library) is not None]
    wanted = [name for name in PARTS if options.only in (None, name)]
    parts = {name: build(name, quick, folder) for name in wanted if name in there}
    if options.workers > 1:
        jobs = [(name, quick, folder, task) for name, part in parts.items() for task in part.tasks()]
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(options.workers, mp_context=context) as pool:
            list(pool.map(work, jobs))
    lines, results, pictured, seconds = [], {}, {}, 0.0
    for name in wanted:
        if name not in parts:
            lines += [
                f"Part {name} is left out: {PARTS[name][1]} is not installed; pip install 'pyro-symvi[{name}]'",
                "",
            ]
            continue
        part, found = PARTS[name][0](parts[name])
        results |= found
        pictured[name] = parts[name].stages.folder / f"{name}.png"
        seconds += parts[name].stages.cpu_seconds
        lines += [*part, ""]
    if results:
        pictured["curves"] = folder / "curves.svg"
        pictures.curves(pictured["curves"], results, THRESHOLDS)
    lines.append(
        f"Training, sampling and figures: {seconds / 60:.1f} CPU-minutes, one thread each; torch {torch.__version__}, "
        f"{platform.machine()}."
    )
    text = "\n".join([("CI=1 " if quick else "") + "make study-quotient_real", "", *lines])
    print(text)
    if not quick and options.only is None:
        kept = HERE / "results"
        (kept / "quotient_real.txt").write_text(text + "\n", encoding="utf-8")
        for name, path in pictured.items():
            (kept / f"quotient_real_{name}{path.suffix}").write_bytes(path.read_bytes())


if __name__ == "__main__":
    main()
