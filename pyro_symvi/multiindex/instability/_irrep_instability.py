"""Curvature of an evidence bound at a tied point, in the directions that break the symmetry."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor

from ..._value import positive_int
from ._instability import Instability
from ._lanczos import Pair, lowest_eigenpair
from ._units import Axes, Params, Units, Values, like, values_of


def irrep_instability(
    elbo: Callable[[Any], Tensor],
    params: Params,
    group: Any,
    irrep: Any = "standard",
    *,
    axes: Axes = 0,
    unsigned: Collection[str] = (),
    max_iterations: int = 200,
    tol: float = 1e-8,
    check: bool = True,
    tolerance: float | None = None,
    generator: torch.Generator | None = None,
) -> Instability:
    r"""The lowest eigenvalue of the Hessian of the loss, minus the ELBO, in an isotypic part at a tied point.

    At a point that the group fixes ("tied": all units alike), the gradient of an invariant function is fixed as well,
    so it has no component that breaks the symmetry (Palais 1979), and ascent from there never specialises. Whether
    the tied point is a maximum or a saddle is decided by the Hessian, which commutes with the group:

    .. math:: \lambda_\rho = \min_{v \in V_\rho,\ |v| = 1} -v^T \nabla^2 \mathrm{ELBO}(\theta)\, v .

    SIGN: the Hessian is that of the loss. A negative value says that the tied point is a saddle, and
    `break_symmetry_init` starts along the direction found. Found by Lanczos iteration on Hessian-vector products
    (double backward), with the projection on :math:`V_\rho` before and after each.

    The ELBO has to be deterministic and twice differentiable as it is computed. Draws with a kinked activation (relu,
    abs) are not: their second derivative misses the kinks (a warning says so where second differences see them);
    `committee_elbo` has them. For a Pyro model and guide see `GuideELBO`.

    Args:
        elbo: Scalar function of the parameters, in the form of ``params``.
        params: A tensor or a dict of tensors, at a tied point (``project_irrep(params, group, "trivial")`` ties).
        group: ``Symmetric(p)``, ``SignedPermutations(p)``, another group of permutations of the unit axis, or a linear
            action on that axis, as on a flat vector.
        irrep: "standard" (S_p: sums over units are zero; B_p: what changes sign with its unit), "contrast" (B_p: what
            does not), the number of an isotypic part (0 is the fixed space), a label of ``group.irreps()``, or an
            `Irrep` of a finite group that can be listed.
        axes: The unit axis, one for all parameters or by name (default 0); None for a parameter that does not move.
        unsigned: B_p: names of parameters that follow their unit and do not change sign with it (scales).
        max_iterations: Largest number of products.
        tol: Converged when the residual is below this multiple of the Hessian's norm (at least 100 rounding units), and
            below a tenth of the eigenvalue.
        check: Whether to refuse an ELBO that is not invariant, and to warn where second differences disagree. With
            False, for a Monte-Carlo ELBO of fixed draws, the lowest eigenvalue is biased downwards by the noise, and
            ``gradient_norm`` shows how large that is.
        tolerance: For this and for tied parameters, relative; default: the root of the rounding unit.
        generator: For the start of the iteration; default a fixed one.

    Raises:
        TypeError: What is no parameter, group or tensor.
        ValueError: Parameters that are not tied; a noisy ELBO; an ELBO that is not finite, not differentiable or not
            invariant; a part that does not occur.

    Example:
        A double well in each of two units, coupled: tied at 0, curvature -1 in the sum and -3 in the difference.

        >>> import torch
        >>> from pyro_symvi.groups import Symmetric
        >>> def elbo(w):
        ...     return (w**2 / 2 - w**4 / 4).sum() + (w[0] - w[1]) ** 2 / 2
        >>> found = irrep_instability(elbo, torch.zeros(2, 1, dtype=torch.float64), Symmetric(2))
        >>> round(found.eigenvalue, 9), found.is_unstable
        (-3.0, True)
    """
    values = values_of(params)
    positive_int(max_iterations, "max_iterations")
    units = Units(values, group, axes, unsigned)
    dtype = next(iter(values.values())).dtype
    slack = math.sqrt(torch.finfo(dtype).eps) if tolerance is None else tolerance
    dimension = units.dimension(values, irrep)
    if dimension == 0:
        raise ValueError(
            f"expected a representation that occurs in the parameters, got {irrep!r} of {units.group!r}, because "
            "nothing transforms in this way; try another irrep, or more than one unit"
        )
    _require_tied(units, values, slack)

    def evaluate(point: Values) -> Tensor:
        return _scalar(elbo(like(params, point)))

    with torch.enable_grad():
        leaves = {name: value.clone().requires_grad_() for name, value in values.items()}
        value = evaluate(leaves)
        _require_deterministic(value, evaluate(values))
        if not value.requires_grad:
            raise ValueError(
                "expected an ELBO that depends on the parameters through torch operations, got one without gradient; "
                "try to build it from the tensors that it is given"
            )
        gradients = torch.autograd.grad(-value, list(leaves.values()), create_graph=True, materialize_grads=True)
    gradient = dict(zip(leaves, gradients, strict=True))
    total = float(_flat({n: g.detach() for n, g in gradient.items()}).norm())
    part = float(_flat(units.project({n: g.detach() for n, g in gradient.items()}, irrep)).norm())
    if not math.isfinite(total):
        raise ValueError("expected a finite gradient, got one that is not, because the ELBO has no slope here")
    if check and irrep not in ("trivial", 0):
        scale = max(1.0, abs(float(value.detach())), total)
        _require_invariant(part / scale, _variation(units, values, evaluate) / scale, slack)

    def multiply(flat: Tensor) -> Tensor:
        vector = units.project(_unflat(flat, values), irrep)
        slope = sum((gradient[n] * vector[n]).sum() for n in vector)
        if not isinstance(slope, Tensor) or not slope.requires_grad:
            return torch.zeros_like(flat)
        rows = torch.autograd.grad(slope, list(leaves.values()), retain_graph=True, materialize_grads=True)
        return _flat(units.project(dict(zip(leaves, rows, strict=True)), irrep))

    source = torch.Generator().manual_seed(0) if generator is None else generator
    start = _flat(units.project(random_values(values, source), irrep))
    accuracy = max(tol, 100 * torch.finfo(dtype).eps)
    pair = lowest_eigenpair(multiply, start, min(max_iterations, dimension), accuracy)
    if check:
        _compare_with_differences(evaluate, values, _unflat(pair.vector, values), pair, float(value.detach()))
    direction = like(params, _unflat(pair.vector, values))
    return Instability(
        pair.eigenvalue, direction, pair.residual, pair.iterations, pair.converged, part, float(value.detach()),
        dimension, irrep, units,
    )  # fmt: skip


def project_irrep(
    params: Params, group: Any, irrep: Any = "standard", *, axes: Axes = 0, unsigned: Collection[str] = ()
) -> Any:
    """The part of parameters (or of a gradient) in an isotypic component, in the form of ``params``, a copy.

    ``"trivial"`` gives the nearest tied point: the mean over the group. Arguments as in `irrep_instability`.
    """
    values = values_of(params)
    return like(params, Units(values, group, axes, unsigned).project(values, irrep))


def random_values(values: Values, generator: torch.Generator) -> Values:
    """Standard normal values of these shapes."""
    return {
        n: torch.randn(v.shape, generator=generator, dtype=v.dtype, device=generator.device).to(v.device)
        for n, v in values.items()
    }


def _flat(values: Values) -> Tensor:
    return torch.cat([value.reshape(-1) for value in values.values()])


def _unflat(flat: Tensor, values: Values) -> Values:
    parts = flat.split([value.numel() for value in values.values()])
    return {name: part.reshape(values[name].shape) for name, part in zip(values, parts, strict=True)}


def _scalar(value: Any) -> Tensor:
    if not isinstance(value, Tensor) or value.numel() != 1:
        got = f"shape {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(f"expected elbo(params) to be a scalar tensor, got {got}; try .sum()")
    if not bool(torch.isfinite(value)):
        raise ValueError(f"expected a finite ELBO at the tied point and near it, got {float(value.detach())}")
    return value.reshape(())


def _require_tied(units: Units, values: Values, slack: float) -> None:
    fixed = units.project(values, "trivial")
    for name, value in values.items():
        off = float((value - fixed[name]).norm())
        if off > slack * max(1.0, float(value.norm())):
            hint = ""
            if name not in units.unsigned and float(fixed[name].norm()) == 0 and name in units.actions:
                hint = f", or unsigned=({name!r},) if signs do not change it"
            raise ValueError(
                f"expected tied parameters, got {name!r} at a distance of {off:.3g} from those that {units.group!r} "
                "leaves alone, because the curvature of a part is defined at fixed points of the group; try "
                f'project_irrep(params, group, "trivial"){hint}'
            )


def _require_deterministic(first: Tensor, second: Tensor) -> None:
    gap = abs(float(first.detach()) - float(second.detach()))
    if gap > 1e3 * torch.finfo(first.dtype).eps * max(1.0, abs(float(first.detach()))):
        raise ValueError(
            f"expected a deterministic ELBO, got two evaluations at one point that differ by {gap:.3g}, because a "
            "Hessian of noise means nothing; try fixed draws (common random numbers), as GuideELBO(model, guide, "
            "seed=0) makes them, or a closed form"
        )


def _variation(units: Units, values: Values, evaluate: Callable[[Values], Tensor]) -> float:
    """Largest change of the ELBO under two elements (a generator, the product of all), near the tied point."""
    noise = random_values(values, torch.Generator().manual_seed(1))
    near = {}
    for name, value in values.items():
        size = float(value.square().mean().sqrt())
        near[name] = value + 0.01 * (size if size > 0 else 1.0) * noise[name]
    generators = units.group.generators()
    product = generators[0]
    for g in generators[1:]:
        product = units.group.compose(product, g)
    with torch.no_grad():
        here = float(evaluate(near))
        return max(abs(float(evaluate(units.act(g, near))) - here) for g in (generators[0], product))


def _compare_with_differences(
    evaluate: Callable[[Values], Tensor], values: Values, direction: Values, pair: Pair, here: float
) -> None:
    """A warning where the ELBO's second difference along the direction is not its second derivative: kinks."""
    step = 0.01 * min(1.0, float(_flat(values).norm()) or 1.0)
    with torch.no_grad():
        sides = [float(evaluate({n: v + s * direction[n] for n, v in values.items()})) for s in (step, -step)]
    difference = (2 * here - sum(sides)) / step**2
    rounding = 100 * torch.finfo(direction[next(iter(direction))].dtype).eps * max(1.0, abs(here)) / step**2
    gap = abs(difference - pair.eigenvalue)
    if gap > 0.2 * abs(pair.eigenvalue) + 0.02 * pair.norm + pair.residual + rounding:
        warnings.warn(
            f"The second derivative of the loss along the direction is {pair.eigenvalue:.4g}, its second difference at "
            f"steps of {step:.2g} is {difference:.4g}: kinks (relu, abs under draws), which derivatives miss, or terms "
            "of higher order. Take a bound in closed form (committee_elbo), or a smooth activation.",
            stacklevel=3,
        )


def _require_invariant(gradient: float, variation: float, slack: float) -> None:
    if gradient > slack or variation > slack:
        raise ValueError(
            f"expected an ELBO that the group leaves alone, got a gradient of relative size {gradient:.2g} in the part "
            f"at the tied point and relative changes of {variation:.2g} under the group near it, because then tied "
            "parameters are no special point; try the right group (odd activations without output weights have no "
            "sign symmetry), symmetrised(elbo, group) or check=False for a Monte-Carlo ELBO of fixed draws"
        )
