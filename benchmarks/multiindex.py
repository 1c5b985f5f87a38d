"""What do the computations of pyro_symvi.multiindex cost, against what one would do without them, in the same run?

a. The top eigenvector of the spectral matrix M = (1/d) X^T T X of one data set: ours (on a CPU a call of ARPACK), our
   Lanczos method (which a GPU uses for many matrices at once), scipy.sparse.linalg.eigsh (ARPACK) and torch.linalg.eigh
   on the same matrix, with the residual |M v - theta v| of each. Forming M is apart: it is the same for all.
b. The noise sensitivity exponent of activations: ours, which finds the kinks, against scipy.integrate.quad doing the
   same expectations E[sigma^b (z^2 - 1)] with the kinks given to it.
c. The output function of message passing against the quadrature of the channel, sample by sample, and iterations a
   second (wall time). With --device cuda also on a GPU, in the same run.
d. The lowest eigenvalue of the Hessian of minus the ELBO in the standard part at a tied point, by Hessian-vector
   products (``irrep_instability``), against the whole Hessian row by row (from one graph) and its eigenvalues.

CPU seconds of one thread, and their ratio.

    python benchmarks/multiindex.py [--short] [--device cuda]      (short where CI is set; else under a minute)
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from headlines import as_fast, headline_of, versions

SHORT = bool(os.environ.get("CI")) or "--short" in sys.argv
GPU = "cuda" in sys.argv
DIM = 300 if SHORT else 1000
ACTIVATIONS = ("relu", "tanh", "b4") if SHORT else ("relu", "tanh", "abs", "he4", "b4", "sin2")
HESSIANS = [(4, 50)] if SHORT else [(4, 50), (10, 100), (10, 200)]
"""Units and inputs: 200, 1000 and 2000 weights."""


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds and the result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def best_of(work: Callable[[], Any], least: float = 0.0 if SHORT else 0.3) -> tuple[float, Any]:
    """CPU seconds of one call, the best of several, and its result."""
    result = work()  # what loads on first use is no part of the figures
    best, total = float("inf"), 0.0
    while total <= least:
        start = time.process_time()
        result = work()
        best = min(best, time.process_time() - start)
        total += max(time.process_time() - start, 1e-3)
    return best, result


def eigenvectors() -> list[str]:
    """Top eigenvectors of spectral matrices."""
    import torch
    from scipy.sparse.linalg import eigsh

    from pyro_symvi.multiindex import GaussianChannel, optimal_preprocessing, single_index_data
    from pyro_symvi.multiindex.simulate._lanczos import lanczos
    from pyro_symvi.multiindex.simulate._spectral import weighted_moments
    from pyro_symvi.multiindex.simulate._top import top_eigenvectors

    lines, ratios = [], {}
    for name, snr, part in (("abs", 0.5, 2.5), ("b4", 1.0, 2.5), ("b4", 1.0, 0.5)):
        channel = GaussianChannel(name, snr)
        data = single_index_data(name, DIM, part / channel.score_information(), snr, seeds=[0])
        weights = optimal_preprocessing(channel)(data.y)
        forming, matrices = best_of(lambda d=data, w=weights: weighted_moments(d.x, w, [d.x.shape[1]]), 0.0)
        matrix = matrices[0, 0]
        array = matrix.numpy()
        start = torch.randn(1, DIM, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        ways: dict[str, Callable[[], Any]] = {
            "ours": lambda m=matrices[0], s=start: top_eigenvectors(m, s, 1, tol=1e-8, max_steps=600)[1][0, 0],
            "Lanczos": lambda m=matrix, s=start: lanczos(lambda v: v @ m, s, 1, tol=1e-8, max_steps=600)[1][0, 0],
            "eigsh": lambda a=array, s=start: torch.from_numpy(
                eigsh(a, 1, which="LA", v0=s[0].numpy(), tol=1e-8)[1][:, 0]
            ),
            "eigh": lambda m=matrix: torch.linalg.eigh(m)[1][:, -1],
        }
        seconds = {way: best_of(work) for way, work in ways.items()}
        lines.append(f"   {name} at {part:g} thresholds, n = {data.x.shape[1]:,}; M formed in {forming:.3f} s")
        for way, (cost, vector) in seconds.items():
            image = matrix @ vector
            residual = (image - (vector @ image) * vector).norm()
            cosine = float((vector @ data.direction[0]) ** 2)
            lines.append(
                f"      {way:8} {cost:8.4f} s {cost / seconds['ours'][0]:7.1f} x ours   residual {residual:.0e}"
                f"   squared cosine {cosine:.4f}"
            )
            ratios.setdefault(way, []).append(cost / seconds["ours"][0])
    for way, peer in (("eigsh", "scipy.sparse.linalg.eigsh"), ("eigh", "torch.linalg.eigh")):
        lines.append(headline_of("top eigenvector of a spectral matrix", peer, as_fast(*ratios[way])))
    return lines


def exponents() -> list[str]:
    """Exponents and coefficients by two quadratures."""
    import math

    from scipy import integrate

    from pyro_symvi.multiindex import Link, noise_sensitivity

    lines, ratios = [], []
    for name in ACTIVATIONS:
        link = Link.of(name)

        def sigma(z: float, link: Link = link) -> float:
            import torch

            return float(link(torch.tensor(z, dtype=torch.float64)))

        ours, found = best_of(lambda n=name: noise_sensitivity(n))
        power = int(found.exponent) if math.isfinite(found.exponent) else 6

        def peer(sigma: Callable[[float], float] = sigma, power: int = power, link: Link = link) -> float:
            def term(z: float, b: int) -> float:
                return sigma(z) ** b * (z * z - 1) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

            value = 0.0
            for b in range(1, power + 1):
                value = integrate.quad(
                    term, -12, 12, args=(b,), points=sorted({*link.breaks, 0.0}), limit=400, epsabs=1e-12
                )[0]
            return value

        cost, value = best_of(peer, 0.0)
        lines.append(
            f"   {name:6} exponent {found.exponent}: ours {ours:.4f} s, quad {cost:.4f} s ({cost / ours:5.1f} x ours);"
            f" coefficients differ by {abs(value - found.coefficient):.0e}"
        )
        ratios.append(cost / ours)
    return [*lines, headline_of("noise sensitivity exponent", "scipy.integrate.quad, kinks given", as_fast(*ratios))]


def message_passing() -> list[str]:
    """The output function and iterations of GAMP, on the devices asked for."""
    import torch

    from pyro_symvi.multiindex import GaussianChannel, gamp, single_index_data
    from pyro_symvi.multiindex.simulate._output import OutputFunction

    lines = []
    channel = GaussianChannel("b4", 0.2)
    count = 2000 if SHORT else 8000
    generator = torch.Generator().manual_seed(0)
    omega, u, noise = torch.randn(3, count, generator=generator, dtype=torch.float64)
    y = channel.mean((0.7**0.5) * omega + 0.3**0.5 * u) + noise
    omega, spread = 0.7**0.5 * omega, torch.tensor([[0.3]])
    single = (y.float()[None], omega.float()[None, :, None], spread)
    output = OutputFunction(channel, torch.float32)
    ours, found = best_of(lambda: output(*single))
    peer, exact = best_of(lambda: channel.output(y, omega, 0.3), 0.0)
    away = float((found[0, :, 0].double() - exact).abs().max() / exact.square().mean().sqrt())
    lines.append(
        f"   g_out of {count:,} samples: ours {ours:.4f} s (float32), quadrature of each {peer:.4f} s"
        f" ({peer / ours:.0f} x ours); relative difference {away:.0e}"
    )
    lines.append(headline_of("output function of message passing", "quadrature of each sample", as_fast(peer / ours)))
    iterations, rates = 5 if SHORT else 10, {}
    for where in ("cpu", *(["cuda"] if GPU else [])):
        for seeds in (1, 4):
            data = single_index_data(
                "b4", DIM, 16.0, 0.2, seeds=range(seeds), dtype=torch.float32, device=where
            )  # fmt: skip
            gamp(data.x, data.y, channel, start="informed", truth=data.direction, iterations=1, tol=0)
            if where == "cuda":
                torch.cuda.synchronize()
            start = time.perf_counter()
            gamp(data.x, data.y, channel, start="informed", truth=data.direction, iterations=iterations, tol=0)
            if where == "cuda":
                torch.cuda.synchronize()
            rates[where, seeds] = seeds * iterations / (time.perf_counter() - start)
            ratio = "" if where == "cpu" else f" ({rates[where, seeds] / rates['cpu', seeds]:.0f} x the CPU)"
            lines.append(
                f"   gamp on {where}, b4, d = {DIM:,}, n = {16 * DIM:,}, {seeds} data sets: "
                f"{rates[where, seeds]:.0f} iterations a second{ratio}"
            )
    return lines


def hessians() -> Iterator[str]:
    """Lowest eigenvalue in the standard part of B_p at the tied point of b4 units: products against the matrix."""
    import torch

    torch.set_num_threads(1)
    from pyro_symvi.groups import SignedPermutations
    from pyro_symvi.multiindex import Link, committee_elbo, irrep_instability

    link, ratios = Link.of("b4"), []
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
            ratios.append(theirs / ours)
    yield headline_of("lowest Hessian eigenvalue at a tied point", "the whole Hessian, eigvalsh", as_fast(*ratios))


PARTS: dict[str, Callable[[], Iterable[str]]] = {
    f"a. top eigenvector of the spectral matrix, d = {DIM:,}, float64": eigenvectors,
    "b. noise sensitivity exponent and its coefficient": exponents,
    "c. message passing": message_passing,
    "d. lowest Hessian eigenvalue at a tied point": hessians,
}


def main() -> None:
    print(f"{versions('torch', 'numpy', 'scipy')}; one thread; {'short' if SHORT else 'full'} run")
    import torch

    torch.set_num_threads(1)
    for title, part in PARTS.items():
        print(f"\n{title}", flush=True)
        for line in part():
            print(line, flush=True)


if __name__ == "__main__":
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    main()
