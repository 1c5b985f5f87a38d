"""The Lie derivative of a model."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ...groups import Action, Group, Quadrature
from ...groups._errors import sentence
from .._capture import OUTPUT, layer_names, tensors
from .._foreign import as_action
from .._guards import buffers_kept, modules_of
from .._inputs import Inputs
from .._rules import MonteCarlo, exact_rule
from .._sweep import Sweep
from ..errors._outputs import declared, is_structure, require_names, require_shape
from ..errors._precision import coarsest_cast, is_training, nudged
from ..errors._result import ByOutput
from ..errors._rounding import LARGEST
from ._derivative import CentralDifferences, Curve, Derivative, DoubleBackward, ForwardMode, disagreement, working
from ._flow import floats, moving, velocity
from ._result import LieError
from ._split import Chain, LayerSplit
from ._sums import LieSums

AUTOMATIC: tuple[Derivative, ...] = (ForwardMode(), DoubleBackward(), CentralDifferences())


def lie_error(
    model: Any,
    x: Any,
    group: Group,
    rho_in: Any = None,
    rho_out: Any = None,
    *,
    layers: Sequence[str] | str | None = (),
    rho_hidden: Mapping[str, Any] | None = None,
    average: int | MonteCarlo | Quadrature | None = None,
    probes: MonteCarlo | None = None,
    method: Derivative | None = None,
    check: bool = True,
    double: bool = False,
    mask: Tensor | None = None,
    batch: int = 256,
    allow_training: bool = False,
) -> Any:
    r"""How fast f(g x) = rho_out(g) f(x) fails as g leaves the identity.

    L_a f(x) = d/dt rho_out(exp(-t X_a)) f(exp(t X_a) x) at t = 0, for each vector X_a of the basis of ``group.exp``
    (for SO(3) the rotations of one radian a unit about the axes); all are 0 for an equivariant model, and only then if
    the group is connected. The measure of Gruver et al. (arXiv 2210.02984). Derivatives are exact, by forward mode,
    which gives all components of the output at once: no random probes of the output are needed.

    Averaged over a compact group (``average=``), the sum of squares is the energy weighted by the Casimir value:
    sum l(l+1) B_l for SO(3), sum k^2 B_k for SO(2), sum |q|^2 B_q for a torus, B being the energies of f(g x) turned
    back by rho_out (of f(g x) itself where rho_out is trivial). So it weighs fine angular structure more than
    :func:`~pyro_symvi.equivariance.equivariance_error` does, and A^2 <= half of it on SO(3)
    (:attr:`LieError.bound`).

    It is local, and blind to parity: a pseudoscalar of O(3) declared a scalar, sector (0, -1), costs no derivative.
    Finite groups have none; use :func:`~pyro_symvi.equivariance.equivariance_error` there. Translations and rigid
    motions have no Haar mean but a Lie derivative, per unit of length.

    Args:
        model: a torch module in evaluation mode, or a function; samples first. A dict of named functions or modules is
            a chain, each fed with the output of the one before.
        x, group, rho_in, batch, allow_training: as in :func:`~pyro_symvi.equivariance.spectrum`; non-compact too.
        rho_out: the action on the output's last axes; None for invariance of every entry; a dict or tuple of these for
            several outputs, as in :func:`~pyro_symvi.equivariance.equivariance_error`.
        layers: names or patterns of modules whose terms are wanted (None: every module without children; a chain
            given as a dict: always all). The derivative divides among them and what follows them, by the chain rule;
            see :attr:`LieError.sizes` and :attr:`LieError.shares`. Costs one derivative more for each of them.
        rho_hidden: actions on their outputs by name; invariance where nothing is declared. The terms depend on it,
            their sum does not: they are informative where features move in a known way (vectors, equivariant layers,
            feature maps). With invariance declared throughout, the first layer that sees the moving inputs bears all
            of it; see :func:`~pyro_symvi.equivariance.spectrum` for such a network.
        average: None at x alone; the degree of the group's rule (16 is exact for responses of band 8);
            :class:`MonteCarlo`; or a rule.
        probes: random directions (signs) in the Lie algebra in place of its basis, for groups of large dimension.
        method: :class:`ForwardMode`, :class:`DoubleBackward` or :class:`CentralDifferences`; by default the first of
            them that the model allows, and the result says which and why.
        check: compare with central differences along one direction, since values that leave torch's sight (detach,
            rounding, sorting) would count as constant.
        double: in float64, on a copy of the model.
        mask: ``[B, N]``, points that count, for outputs ``[B, N, ...]``.

    Returns:
        A :class:`LieError`; a mapping of them by name for a structure of outputs.

    Raises:
        ValueError: no Lie group; training mode, chance in the model; a derivative that disagrees with differences.
        TypeError: a model that ``method`` can't differentiate.

    Example:
        >>> from pyro_symvi.groups import NaturalAction, SpecialOrthogonal
        >>> rotations = SpecialOrthogonal(3)
        >>> stretch = torch.diag(torch.tensor([1.0, 1.0, 2.0], dtype=torch.float64))
        >>> x = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
        >>> found = lie_error(lambda x: x @ stretch, x, rotations, rho_out=NaturalAction(rotations))
        >>> round(found.mean_square, 12)  # two turns move the long axis; each costs |2 - 1|^2
        2.0
    """
    if isinstance(model, Mapping):
        model, layers = Chain(model), list(model)
    if isinstance(group, Group):
        _require_lie(group)
    inputs = Inputs.of(x, group, rho_in)
    actions = declared(rho_out, group)
    names = layer_names(model, layers)
    hidden = _checked_hidden(rho_hidden, group, names)
    if double:
        _require_module(model)
        inputs = inputs.map(lambda leaf: leaf.double() if leaf.is_floating_point() else leaf)
        model = copy.deepcopy(model).double() if isinstance(model, nn.Module) else model
    rule = _rule(group, average)
    found = {}
    for output, action in actions.items():
        task = _Task(model, inputs, output, action, names, hidden, rule, _directions(group, probes), mask, batch)
        found[output] = task.run(method, check, allow_training, average, probes is not None)
    return ByOutput(found) if is_structure(rho_out) else next(iter(found.values()))


@dataclass
class _Task:
    """One output of a model, everything checked that can be checked before it runs."""

    model: Any
    inputs: Inputs
    output: str
    action: Action
    names: list[str]
    hidden: Mapping[str, Action]
    rule: Quadrature
    directions: Tensor
    mask: Tensor | None
    batch: int

    def run(self, method: Derivative | None, check: bool, allow_training: bool, average: Any, probed: bool) -> LieError:
        """Block by block."""
        group, chosen, reasons = self.inputs.group, method or AUTOMATIC[0], tuple[str, ...]()
        eps = torch.finfo(coarsest_cast(self.model, self.inputs)).eps
        noise: Tensor | None = None
        sums = LieSums(self.action, self.mask, keep=average is None)
        sweep = Sweep(self.model, self.inputs, self.rule, (), self.batch, allow_training)
        for elements, weights, responses in sweep.blocks():
            y, moved = self._response(responses), self.inputs.moved(elements)
            like = next(floats(moved))
            with buffers_kept(self.model, allow_training):
                if not sums.count:
                    oblique = torch.arange(1.0, group.dim + 1, dtype=torch.float64).cos()
                    curve = self._curve(moved, oblique)
                    chosen, (tangent,), reasons = working(curve, like, AUTOMATIC if method is None else (method,))
                    _check(chosen, curve, like, tangent, y, check, eps)
                    noise = self._noise(chosen, moved, oblique, tangent.reshape(y.shape), eps)
                split = self._split(moved)
                sums.start(weights, y)
                for direction in self.directions:
                    (tangent,) = chosen.tangents(self._curve(moved, direction), like)
                    turn = velocity(self.action, y, direction)
                    sums.add(tangent, turn, {} if split is None else split.terms(direction, chosen, like))
        size = math.sqrt(sums.pooled(sums.norm) * group.dim)
        floor = 8 * chosen.rounding(eps, like) * size
        if noise is not None:
            answer = math.sqrt(group.dim * sums.pooled(sums.whole(noise.square()).mean(0)))
            floor = max(floor, min(answer, LARGEST * eps**0.5 * size))
        return sums.result(group, chosen, reasons, probed, average, floor)

    def _noise(self, method: Derivative, moved: Any, direction: Tensor, tangent: Tensor, eps: float) -> Tensor | None:
        """What one unit of rounding in the inputs changes in a derivative along a unit vector, ``[k, B, *rest]``."""
        if is_training(self.model):
            return None
        changed = nudged(moved, eps, torch.Generator().manual_seed(1))
        try:
            (other,) = method.tangents(self._curve(changed, direction), next(floats(moved)))
        except (RuntimeError, ValueError, ArithmeticError):
            return None
        away = (other.reshape(tangent.shape) - tangent).double() / float(direction.square().sum()) ** 0.5
        return away if bool(torch.isfinite(away).all()) else None

    def _response(self, responses: dict[str, Tensor]) -> Tensor:
        require_names({self.output: self.action}, responses)
        y = responses[self.output]
        require_shape(self.action, tuple(y.shape[2:]), self.output)
        return y

    def _curve(self, x: Any, direction: Tensor) -> Curve:
        """The output along x + t X x, X = ``direction``."""
        flow = moving(x, self.inputs.actions, direction)
        return lambda t: (tensors(self.inputs.call(self.model, flow(t)), OUTPUT)[self.output],)

    def _split(self, x: Any) -> LayerSplit | None:
        if not self.names:
            return None
        return LayerSplit(self.model, self.inputs, x, self.names, self.hidden, self.output, self.action)


def _require_lie(group: Group) -> None:
    if group.dim == 0:
        raise ValueError(
            sentence(
                "a Lie group of positive dimension",
                repr(group),
                "a discrete group has no derivative",
                "equivariance_error(model, x, group, rho_in, rho_out)",
            )
        )


def _require_module(model: Any) -> None:
    """A function that refers to a module can't be copied in another precision."""
    if not isinstance(model, nn.Module) and modules_of(model):
        raise ValueError(
            sentence(
                "a torch module with double=True",
                "a function that calls one",
                "the copy in float64 is made of the model itself",
                "the module, or a function of a module that is in float64 already",
            )
        )


def _checked_hidden(rho_hidden: Mapping[str, Any] | None, group: Group, names: list[str]) -> Mapping[str, Action]:
    found = {name: as_action(action, group) for name, action in (rho_hidden or {}).items()}
    for name, action in found.items():
        if not isinstance(action, Action) or action.group != group:
            raise TypeError(f"expected an action of {group!r} on {name!r} in rho_hidden, got {action!r}")
        if name.split("@")[0].split("[")[0] not in names:
            raise ValueError(f"expected rho_hidden for layers among {names}, got {name!r}; try layers=[{name!r}, ...]")
    return found


def _rule(group: Group, average: Any) -> Quadrature:
    if average is None:
        return Quadrature(group.identity()[None], torch.ones(1, dtype=torch.float64), -1)
    if not group.is_compact:
        raise ValueError(
            sentence(
                "average=None",
                average,
                f"{group!r} is not compact and has no Haar mean",
                "the derivative at the inputs, or its compact part",
            )
        )
    if isinstance(average, MonteCarlo):
        return average.draws(group)
    return average if isinstance(average, Quadrature) else exact_rule(group, 0, average)


def _directions(group: Group, probes: MonteCarlo | None) -> Tensor:
    if probes is None:
        return torch.eye(group.dim, dtype=torch.float64)
    generator = torch.Generator().manual_seed(probes.seed)
    return torch.randint(2, (probes.n, group.dim), generator=generator).double() * 2 - 1


APART = 0.1
"""A derivative further than this from central differences is wrong."""


def _check(method: Derivative, curve: Any, like: Tensor, tangent: Tensor, y: Tensor, wanted: bool, eps: float) -> None:
    if not bool(torch.isfinite(tangent).all()):
        raise ValueError(
            sentence(
                "finite derivatives",
                f"nan or inf by {method!r}",
                "the model has an infinite slope where the input lies (a norm or a root at zero, padded points)",
                "norms such as (r.square().sum(-1) + 1e-12).sqrt(), or method=CentralDifferences()",
            )
        )
    if not wanted or isinstance(method, CentralDifferences):
        return
    h = eps ** (1 / 3)
    (other,) = CentralDifferences(h).tangents(curve, like)
    off = disagreement(tangent, other, y, eps)
    if off > APART:  # the step may cross kinks: a difference is the integral of the derivative, unless that is wrong
        off = disagreement(_along_the_step(method, curve, like, h), other, y, eps)
    if off <= APART:
        return
    raise ValueError(
        sentence(
            "a model whose values torch can follow",
            f"a derivative by {method!r} that is {off:.0%} away from central differences",
            "part of it is taken for constant (detach, numpy, rounding, sorting), or it jumps",
            "method=CentralDifferences(), or check=False for the derivative between the jumps",
        )
    )


def _along_the_step(method: Derivative, curve: Any, like: Tensor, h: float, points: int = 16) -> Tensor:
    """The mean of the derivative over the step of central differences, by midpoints."""
    found = []
    for k in range(points):
        at = h * ((2 * k + 1) / points - 1)
        found.append(method.tangents(partial(_from, curve, at), like)[0])
    return torch.stack(found).mean(0)


def _from(curve: Curve, at: float, t: Tensor) -> tuple[Tensor, ...]:
    return curve(t + at)
