"""What do the computations of pyro_symvi.multiindex cost, against what one would do without them, in the same run?

d. The lowest eigenvalue of the Hessian of minus the ELBO in the standard part at a tied point, by Hessian-vector
   products (``irrep_instability``), against the whole Hessian row by row (from one graph) and its eigenvalues.

CPU seconds of one thread, and their ratio.

    python benchmarks/multiindex.py [--short]      (short where CI is set; else about half a minute)
"""

from __future__ import annotations

import functools
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

SHORT = bool(os.environ.get("CI")) or "--short" in sys.argv
HESSIANS = [(4, 50)] if SHORT else [(4, 50), (10, 100), (10, 200)]
"""Units and inputs: 200, 1000 and 2000 weights."""


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds and the result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def hessians() -> Iterator[str]:
    """Lowest eigenvalue in the standard part of B_p at the tied point of b4 units: products against the matrix."""
    import torch

    torch.set_num_threads(1)
    from pyro_symvi.groups import SignedPermutations
    from pyro_symvi.multiindex import Link, committee_elbo, irrep_instability

    link = Link.of("b4")
    yield "   p x d       n   products: s   number   matrix: s   ratio   difference of the eigenvalues, relative"
    for units, dim in [(2, 10), *HESSIANS]:  # the first warms up
        source = torch.Generator().manual_seed(0)
        x = torch.randn(5 * dim, dim, generator=source, dtype=torch.float64)
        w = torch.randn(units, dim, generator=source, dtype=torch.float64) / dim**0.5
        noise = torch.randn(len(x), generator=source, dtype=torch.float64) * 0.5**0.5
        y = link(x @ w.mT).sum(-1) / units**0.5 + noise
        scale = torch.full((units, 1), dim**-0.5, dtype=torch.float64)
        tied = torch.zeros(units, dim, dtype=torch.float64)

        def elbo(loc: torch.Tensor, scale=scale, x=x, y=y) -> torch.Tensor:  # type: ignore[no-untyped-def]
            return committee_elbo(loc, scale, x, y, activation=link, noise=0.5)

        def matrix(elbo=elbo, tied=tied) -> float:  # type: ignore[no-untyped-def]
            leaf = tied.clone().requires_grad_()
            (slope,) = torch.autograd.grad(-elbo(leaf), leaf, create_graph=True)
            rows = [torch.autograd.grad(s, leaf, retain_graph=True)[0].flatten() for s in slope.flatten()]
            return float(torch.linalg.eigvalsh(torch.stack(rows))[0])

        ours, found = timed(functools.partial(irrep_instability, elbo, tied, SignedPermutations(units)))
        theirs, lowest = timed(matrix)
        if dim > 10:
            gap = abs(found.eigenvalue - lowest) / abs(lowest)
            yield (
                f"   {units:2d} x {dim:3d} {len(x):5d}   {ours:11.3f}   {found.iterations:6d}   {theirs:9.2f}"
                f"   {theirs / ours:5.1f}   {gap:.1e}"
            )


PARTS = {"d. lowest Hessian eigenvalue at a tied point": hessians}


def main() -> None:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "numpy", "scipy"))
    print(f"Python {platform.python_version()}, {versions}; one thread; {'short' if SHORT else 'full'} run")
    for title, part in PARTS.items():
        print(f"\n{title}", flush=True)
        for line in part():
            print(line, flush=True)


if __name__ == "__main__":
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    main()
