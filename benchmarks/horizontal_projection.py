"""How fast is the horizontal projection of many clouds, against solving and against aligning the same batch?

Peers, in the same run and on the same data: ``torch.linalg.solve`` on the Gram matrices of the generic vertical basis
(the textbook P v = v - V (V^T V)^-1 V^T v), and a Kabsch alignment by batched singular value decomposition.

    OMP_NUM_THREADS=1 python benchmarks/horizontal_projection.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from headlines import as_fast, headline
from torch import Tensor

from pyro_symvi.groups import PointCloudAction, SpecialEuclidean, SphereRotation


def best(function: Callable[[], Tensor], repeats: int) -> float:
    """Shortest of ``repeats`` runs after one to warm up, in milliseconds."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def by_solving(x: Tensor, v: Tensor) -> Tensor:
    """Projection of centred clouds with an explicit basis of the rotations and torch.linalg.solve."""
    x, v = x - x.mean(-2, keepdim=True), v - v.mean(-2, keepdim=True)
    axes = torch.eye(3, dtype=x.dtype)
    basis = torch.stack([torch.linalg.cross(axis.expand_as(x), x) for axis in axes], -1).flatten(-3, -2)
    gram = basis.mT @ basis
    spin = torch.linalg.solve(gram, basis.mT @ v.flatten(-2)[..., None])
    return v - (basis @ spin).reshape(v.shape)


def by_kabsch(x: Tensor, y: Tensor) -> Tensor:
    """The rotation taking y closest to x, applied: the usual alignment step."""
    x, y = x - x.mean(-2, keepdim=True), y - y.mean(-2, keepdim=True)
    u, _, vt = torch.linalg.svd(x.mT @ y)
    sign = torch.linalg.det(u @ vt)[..., None, None]
    turn = torch.cat([u[..., :-1], u[..., -1:] * sign], -1) @ vt
    return y @ turn.mT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clouds", type=int, default=10_000)
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=9)
    chosen = parser.parse_args()
    action = PointCloudAction(SpecialEuclidean(3))
    generator = torch.Generator().manual_seed(0)
    print(f"{chosen.clouds} clouds of {chosen.points} points, {torch.get_num_threads()} thread(s)")
    print(f"best of {chosen.repeats} runs; ratios above 1 mean that the projection is faster; gap: to the solution")
    titles = ("project ms", "solve ms", "Kabsch ms", "solve ratio", "Kabsch ratio", "gap")
    print(f"{'dtype':<10}" + "".join(f"{title:>14}" for title in titles))
    ratios = []
    for dtype in (torch.float32, torch.float64):
        x = torch.randn(chosen.clouds, chosen.points, 3, generator=generator, dtype=dtype)
        v = torch.randn(chosen.clouds, chosen.points, 3, generator=generator, dtype=dtype)
        ours = best(lambda x=x, v=v: action.project(x, v), chosen.repeats)
        solved = best(lambda x=x, v=v: by_solving(x, v), chosen.repeats)
        aligned = best(lambda x=x, v=v: by_kabsch(x, v), chosen.repeats)
        gap = float((action.project(x, v) - by_solving(x, v)).abs().max())
        ratios.append((solved / ours, aligned / ours))
        numbers = (ours, solved, aligned, solved / ours, aligned / ours)
        print(f"{str(dtype)[6:]:<10}" + "".join(f"{number:>14.2f}" for number in numbers) + f"{gap:>14.1e}")
    points, speeds = (torch.randn(100_000, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    sphere = best(lambda: SphereRotation(3).project(points, speeds), chosen.repeats)
    print(f"100000 points of R^3 modulo SO(3), float64, one call: {sphere:.1f} ms")
    for which, peer in enumerate(("torch.linalg.solve on the normal equations", "Kabsch alignment")):
        measured = f"projection of {chosen.clouds:,} clouds of {chosen.points} points"
        headline(measured, peer, as_fast(*(ratio[which] for ratio in ratios)))


if __name__ == "__main__":
    main()
