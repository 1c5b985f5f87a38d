"""What do warps, losses and training steps of pyro_symvi.deformable cost, against what one would do without them?

a. Thin-plate splines of 16 images: values on a grid of 24 x 24 (from a table made once), values at 576 points anywhere,
   and inverses at 576 points to 1e-3, against scipy.interpolate.RBFInterpolator with the kernel "thin_plate_spline" and
   degree 1 (setting up and values; it has no inverse), with the largest difference of the values (float64).
b. The distance loss of 16 pairs of frames of 24 x 24 cells in R^3, and its gradient, for one candidate element and for
   four: ours, a pair at a time, against the same formula written out in torch for the whole batch (cdist, softmax,
   autograd), which keeps the logits of all pairs at once.
c. One step of training, 16 images of 48 x 48, SmallNet(width=0.5): pairs, network, loss, backward pass and optimiser
   as shares of the whole.

CPU seconds of one thread, best of several, and ratios.

    python benchmarks/deformable.py [--short]      (short where CI is set; else about a minute)
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

from headlines import as_fast, headline_of, processor, versions

SHORT = bool(os.environ.get("CI")) or "--short" in sys.argv
BATCH, SIDE = (4, 12) if SHORT else (16, 24)


def best_of(work: Callable[[], Any], least: float = 0.0 if SHORT else 1.0) -> float:
    """CPU seconds of one call, the best of several."""
    work()  # what loads on first use is no part of the figures
    best, total = float("inf"), 0.0
    while total <= least:
        start = time.process_time()
        work()
        spent = time.process_time() - start
        best, total = min(best, spent), total + max(spent, 1e-3)
    return best


def warps() -> list[str]:
    """Thin-plate splines."""
    import torch
    from scipy.interpolate import RBFInterpolator

    from pyro_symvi.deformable import RandomWarps, ThinPlateSpline
    from pyro_symvi.deformable._points import grid_points
    from pyro_symvi.deformable.warps import control_points

    generator = torch.Generator().manual_seed(0)
    drawn = RandomWarps(elastic=0.03).sample(BATCH, generator=generator).displacements.double()
    grid = grid_points(SIDE, SIDE, like=drawn)
    controls = control_points(5, like=drawn).numpy()

    def peer() -> list[Any]:
        return [
            RBFInterpolator(controls, controls + d.numpy(), kernel="thin_plate_spline", degree=1)(grid.numpy())
            for d in drawn
        ]

    off = max(
        float((torch.as_tensor(theirs) - ours).abs().max())
        for theirs, ours in zip(peer(), ThinPlateSpline(drawn).forward(grid), strict=True)
    )
    theirs = best_of(peer)
    spline = ThinPlateSpline(drawn)
    ways = {
        "ours, on the grid": lambda: ThinPlateSpline(drawn).on_grid(SIDE, SIDE),
        "ours, at any points": lambda: ThinPlateSpline(drawn).forward(grid),
        "ours, inverse": lambda: spline.inverse(grid, tolerance=1e-3),
    }
    told = []
    lines = [f"a. {BATCH} thin-plate splines over 5 x 5 points, {SIDE * SIDE} points each, float64"]
    lines.append(f"   {'RBFInterpolator':24s}{1e3 * theirs:9.2f} ms")
    for name, work in ways.items():
        spent = best_of(work)
        lines.append(f"   {name:24s}{1e3 * spent:9.2f} ms   {theirs / spent:7.1f} times the speed")
        told.append(headline_of(f"thin-plate splines, {name[6:]}", "SciPy's RBFInterpolator", as_fast(theirs / spent)))
    return [*lines, f"   largest difference of values {off:.1e}", *told]


def frames_and_points() -> tuple[Any, Any, Any]:
    import torch

    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, BATCH, 3, SIDE, SIDE, generator=generator)
    points = 2 * torch.rand(BATCH, SIDE * SIDE, 2, generator=generator) - 1
    return first.requires_grad_(), second.requires_grad_(), points


def ours(count: int) -> Callable[[], Any]:
    """The loss under ``count`` candidates and its gradient."""
    from pyro_symvi.deformable import DistanceLoss, rotational

    first, second, points = frames_and_points()
    matrices = rotational(4).frame_matrices(like=first)[:count]

    def work() -> Any:
        first.grad = second.grad = None
        loss = DistanceLoss(1.0)(first, second, points, matrices)
        loss.amin(0).sum().backward()
        return loss.detach(), first.grad

    return work


def written_out(count: int) -> Callable[[], Any]:
    """The same, as one would write it."""
    import torch

    from pyro_symvi.deformable import rotational
    from pyro_symvi.deformable._points import grid_points

    first, second, points = frames_and_points()
    matrices = rotational(4).frame_matrices(like=first)[:count]

    def work() -> Any:
        first.grad = second.grad = None
        cells = grid_points(SIDE, SIDE).expand(BATCH, -1, -1)
        cost = torch.cdist(points, cells, compute_mode="donot_use_mm_for_euclid_dist") * (SIDE / 2)
        source = torch.einsum("hij,bjn->hbni", matrices, first.flatten(2))
        law = torch.softmax(source @ second.flatten(2), -1)
        loss = (law * cost).sum(-1).mean(-1)
        loss.amin(0).sum().backward()
        return loss.detach(), first.grad

    return work


def losses() -> list[str]:
    """The distance loss."""
    ratios, lines = [], [f"b. distance loss and gradient, {BATCH} pairs of {SIDE} x {SIDE} cells, float32"]
    for count in (1, 4):
        mine, theirs = ours(count), written_out(count)
        off = max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(mine(), theirs(), strict=True))
        spent = {"ours": best_of(mine), "written out": best_of(theirs)}
        lines.append(f"   {count} candidate element{'s' if count > 1 else ''}, relative difference {off:.0e}")
        ratios.append(spent["written out"] / spent["ours"])
        for name, seconds in spent.items():
            ratio = spent["written out"] / seconds
            lines.append(f"     {name:22s}{1e3 * seconds:9.2f} ms   {ratio:7.1f} times the speed")
    return [*lines, headline_of("distance loss and its gradient", "written out in torch", as_fast(*ratios))]


def step() -> list[str]:
    """One step of training."""
    import torch

    from pyro_symvi.deformable import FrameLoss, PairMaker, SmallNet, bilateral

    generator = torch.Generator().manual_seed(0)
    symmetry, images = bilateral(), torch.rand(BATCH, 3, 2 * SIDE, 2 * SIDE, generator=generator)
    network, maker, loss = SmallNet(width=0.5, generator=generator), PairMaker(symmetry=symmetry), FrameLoss(symmetry)
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    spent = dict.fromkeys(("pairs", "network", "loss and its gradient", "backward pass", "optimiser"), 0.0)

    def lap(name: str, start: float) -> float:
        now = time.process_time()
        spent[name] += now - start
        return now

    for number in range(3 if SHORT else 23):
        if number == (1 if SHORT else 3):
            spent = dict.fromkeys(spent, 0.0)
        now = time.process_time()
        pairs = maker.pairs(images, generator=generator)
        now = lap("pairs", now)
        frames = network(torch.cat([pairs.first, pairs.second]))
        now = lap("network", now)
        value = loss(*frames.chunk(2), pairs).mean()
        now = lap("loss and its gradient", now)
        optimiser.zero_grad()
        value.backward()
        now = lap("backward pass", now)
        optimiser.step()
        lap("optimiser", now)
    total, count = sum(spent.values()), 2 if SHORT else 20
    lines = [f"c. one step, {BATCH} images of {2 * SIDE} x {2 * SIDE}: {1e3 * total / count:.0f} ms"]
    lines += [f"   {name:24s}{100 * part / total:5.0f} %" for name, part in spent.items()]
    return lines


def main() -> None:
    import torch

    torch.set_num_threads(1)
    print("$ python benchmarks/deformable.py" + (" --short" if SHORT else ""))
    print(f"{processor()}, one thread; {versions('torch', 'scipy')}")
    for part in (warps, losses, step):
        print("\n" + "\n".join(part()), flush=True)


if __name__ == "__main__":
    main()
