"""Run the whole analysis: gate, lowering, differential test, blocks, moments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ...density import LogDensity
from .affine_maps import InvarianceProof, exact_matrix, exact_vector
from .differential import compare
from .expressions import BUDGET, Expressions
from .gate import trace
from .log_concavity import LogConcavity, log_concavity
from .lowering import lower
from .polynomials import Polynomial
from .refusals import Refused
from .report import Analysis
from .structure import find_blocks, find_structure
from .unimodality import unimodality

__all__ = ["analyze", "analyze_function", "find_blocks", "prove_invariance", "read"]

Function = Callable[[torch.Tensor], torch.Tensor]


def analyze(target: Any, *args: Any, **kwargs: Any) -> Analysis:
    r"""Prove what can be proved of a posterior by reading its log density, before any fit.

    The log density is traced to a graph of tensor operations, lowered to one exact expression with rational constants,
    and checked against the original at random points (a test of the reading, no argument for a claim). Then: in which
    blocks of coordinates is it quadratic given the rest, where is the block's centre and does it depend on the rest,
    is the precision positive definite and proportional to one matrix, and do mean and covariance exist? All by exact
    rational arithmetic. What is not understood is refused, with the reason: an operation without a rule, control flow
    or a read of values, randomness, an argument of a logarithm that is not shown to be positive.

    Args:
        target: A `LogDensity`; or a Pyro model, followed by its arguments.
        *args: Arguments of the model.
        **kwargs: Keyword arguments of the model.

    Returns:
        An `Analysis`; ``str()`` of it explains it.

    Raises:
        TypeError: Arguments beside a `LogDensity`, or a target that is neither.
        ValueError: The model is no flat density (`LogDensity.from_model` says why).

    Example:
        >>> density = LogDensity.from_callable(lambda z: -(z[0] - 1) ** 2 - z[1] ** 2, dim=2)
        >>> analyze(density).blocks[0].center
        (Fraction(1, 1), Fraction(0, 1))
    """
    if isinstance(target, LogDensity):
        if args or kwargs:
            raise TypeError(
                "expected no further arguments beside a LogDensity, got some, because its data are inside it; try "
                "analyze(density)"
            )
        density = target
    elif callable(target):
        density = LogDensity.from_model(target, *args, **kwargs)
    else:
        raise TypeError(
            f"expected a LogDensity or a Pyro model, got {type(target).__name__}, because its graph is to be read; try "
            "analyze(model, *data) or analyze(fit.density)"
        )
    sites = tuple(tuple(range(density.dim)[site.slice]) for site in density.sites)
    return analyze_function(density._reading.log_prob, density.dim, density.coordinates, sites, tuple(density.notes))


def analyze_function(
    function: Function,
    dim: int,
    coordinates: tuple[str, ...] | None = None,
    sites: tuple[tuple[int, ...], ...] = (),
    conditions: tuple[str, ...] = (),
) -> Analysis:
    """`analyze` for a raw function ``z[dim] -> log p``, a scalar in float64."""
    names = coordinates or tuple(f"z[{j}]" for j in range(dim))
    try:
        return _analysis(function, dim, names, sites, conditions)
    except Refused as refusal:
        return Analysis(names, refusal.reason, conditions=conditions)
    except RecursionError:
        return Analysis(names, "the expression is nested too deeply", conditions=conditions)


def prove_invariance(target: Any, matrix: Any, offset: Any = None) -> InvarianceProof:
    r"""Prove :math:`\log p(Mz + b) = \log p(z)` for every z, and :math:`|\det M| = 1`, by exact substitution.

    The expression of log p after substitution is brought into canonical form and compared; equal forms are a proof. All
    data are inside it, so symmetries of the data count. A map that is not proved is not refuted.

    Args:
        target: A `LogDensity`, which is read anew; or an `Analysis`, which keeps its expression (cheaper for several
            maps).
        matrix: M ``[d, d]`` on the flat unconstrained vector: nested sequences of int, `fractions.Fraction` or float,
            or a tensor. Floats are taken as the rationals stored, so give a rotation by (3/5, 4/5) as fractions.
        offset: b ``[d]``; None is zero.

    Returns:
        An `InvarianceProof`: true if proved of the function as it is; ``.proved`` also where it was idealised;
        ``.reason`` in words.

    Raises:
        TypeError: Another target, or entries that are no real numbers.
        ValueError: Wrong shapes, or numbers that are not finite.

    Example:
        >>> density = LogDensity.from_callable(lambda z: -((z[0] - z[1]) ** 2) - z[0] ** 4 - z[1] ** 4, dim=2)
        >>> bool(prove_invariance(density, [[0, 1], [1, 0]])), bool(prove_invariance(density, [[1, 0], [0, -1]]))
        (True, False)
    """
    if isinstance(target, Analysis):
        return target.prove_invariance(matrix, offset)
    if not isinstance(target, LogDensity):
        raise TypeError(
            f"expected a LogDensity or an Analysis, got {type(target).__name__}, because its exact expression is "
            "needed; try LogDensity.from_model(model, *data)"
        )
    rows, shift = exact_matrix(matrix, target.dim), exact_vector(offset, target.dim)
    conditions = tuple(target.notes)
    try:
        table, p, _, _ = read(target._reading.log_prob, target.dim)
    except Refused as refusal:
        return InvarianceProof(False, f"nothing is proved: {refusal.reason}")
    except RecursionError:
        return InvarianceProof(False, "nothing is proved: the expression is nested too deeply")
    reading = Analysis(
        target.coordinates, idealisations=tuple(table.idealisations), conditions=conditions, reading=(table, p)
    )
    return reading.prove_invariance(rows, shift)


def read(function: Function, dim: int) -> tuple[Expressions, Polynomial, bool, str]:
    """Gate, lowering and differential test: table, expression, whether gradients agree, fingerprint.

    Raises:
        Refused: Any of them fails, or an obligation is open.
    """
    traced = trace(function, dim)
    table = Expressions()
    p = _lowered(traced, table)
    agreement = compare(function, p, table, dim)
    if table.open_obligations:
        first = next(iter(table.open_obligations))
        more = len(table.open_obligations) - 1
        raise Refused(f"the density's domain is unknown: it needs {first}" + (f" (and {more} more)" if more else ""))
    return table, p, agreement.gradient and not traced.detached, traced.fingerprint


def _lowered(traced: Any, table: Expressions) -> Polynomial:
    try:
        return lower(traced, table)
    except (Refused, RecursionError):
        raise
    except Exception as error:  # an argument pattern no rule was written for: refuse, never guess
        first = (str(error).strip().splitlines() or ["no message"])[0][:160]
        raise Refused(
            f"an operation is used in a way the checker does not know ({type(error).__name__}: {first})"
        ) from error


def _analysis(
    function: Function,
    dim: int,
    names: tuple[str, ...],
    sites: tuple[tuple[int, ...], ...],
    conditions: tuple[str, ...],
) -> Analysis:
    table, p, gradient, fingerprint = read(function, dim)
    missing = [names[j] for j in range(dim) if not table.depends(p) >> j & 1]
    if missing:
        raise Refused(f"log p does not depend on {', '.join(missing)}, so the density is improper")
    structure = find_structure(table, p, names, sites)
    table.allow(BUDGET)
    try:
        concavity: LogConcavity | None = log_concavity(table, p, dim)
    except Refused:
        concavity = None
    known = [(b.coordinates, b.center) for b in structure["blocks"] if b.center is not None]
    known += [(s.coordinates, s.center) for s in (*structure["reflections"], *structure["ellipses"])]
    alone = unimodality(table, p, dim, known, concavity)
    idealised = tuple(table.idealisations)
    return Analysis(
        names,
        "",
        concavity=concavity,
        idealisations=idealised,
        conditions=conditions,
        gradient_agrees=gradient,
        fingerprint=fingerprint,
        reading=(table, p),
        unimodality=alone,
        **structure,
    )
