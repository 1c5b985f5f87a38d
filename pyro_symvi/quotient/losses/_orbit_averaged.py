"""Regression on the mean over rotations of each data point."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..._value import positive_int
from ...groups import Action, PointCloudAction
from .._motions import compact_action
from .._process import metric
from ..oracles import orbit_mean
from ._loss import Case, Loss


@dataclass(frozen=True, eq=False, repr=False)
class OrbitAveraged(Loss):
    """|w(t) (D - E[g x_1 | x_t])|^2, the mean over g in the group given x_t and the shape of x_1: Rao-Blackwell.

    The target has mean E[x_1 | x_t], as x_1 itself has, and less noise. With ``rotations=None`` it is exact: the mean
    of a matrix Fisher law for clouds in the plane and in space (``oracles.orbit_mean``), a sum for finite groups.

    With a number of rotations it is sum_i p_i g_i x_1, p_i proportional to p(x_t | g_i x_1), for any compact group.
    g_0 is the identity, the others are drawn about a common centre that itself is drawn about g_0, as widely as x_t
    leaves the rotation open (from Haar measure where it leaves it wide open). Where data are turned at random, g_0 is
    a draw from the posterior of rotations, exchangeable with the others, so that the target has the right mean
    *exactly*, whatever their number, and never more variance than x_1. (Weights over Haar draws without g_0,
    normalised by their own sum, would be biased at any finite number.) This needs data that are turned at random, or
    an equivariant network; the exact mean needs neither.

    Args:
        clip: see ``Loss``.
        rotations: None for the exact mean; a number of draws beside the identity for groups that have none.

    Raises:
        ValueError: where no exact mean is known and ``rotations`` is None.

    Source: Tong et al., Orbit Diffusion, arXiv 2502.09890 (the average); Tjelmeland, Using all Metropolis-Hastings
    proposals to estimate mean values, NTNU 2004 (the exchangeable draws).
    """

    unbiased = True

    rotations: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rotations is not None:
            positive_int(self.rotations, "rotations")

    def _target(self, case: Case) -> Tensor:
        diffusion = case.diffusion
        finite = compact_action(diffusion.action).group.is_finite
        if self.rotations is not None or finite:
            return self._sum(case, finite)
        if not isinstance(diffusion.action, PointCloudAction) or diffusion.action.motions.n not in (2, 3):
            raise ValueError(
                f"expected rotations of clouds in the plane or in space, got {diffusion.action!r}, because no exact "
                "mean over other groups is known here; try OrbitAveraged(rotations=16)"
            )
        return orbit_mean(diffusion, case.xt, case.x1, case.t, case.context)

    def _sum(self, case: Case, finite: bool) -> Tensor:
        # near data log weights are differences of numbers of order |x|^2 / alpha^2
        diffusion, context, x1, xt = case.diffusion, case.context, case.x1.double(), case.xt.double()
        action = compact_action(diffusion.action_for(context))
        time, path = diffusion.column(case.t, x1), diffusion.interpolant
        batch = case.t.shape

        def precision(points: Tensor) -> Tensor:
            return diffusion.prior.apply(lambda s: path.beta(time) / path.variance(time, s), points, context)

        if finite:
            elements = action.group.elements(dtype=x1.dtype, device=x1.device)
            g = elements.reshape(len(elements), *(1,) * len(batch), *elements.shape[1:])
        else:
            basis = action.vertical_basis(x1).movedim(-1, 0)
            information = torch.stack([metric(action, v, path.beta(time) * precision(v)) for v in basis]).mean(0)
            g = _draws(action, self.rotations or 1, information, x1, case.generator)
        images = action.act(g, x1)
        log_weights = metric(action, precision(xt), images)  # the rest of log p(x_t | g x_1) is the same for all g
        weights = torch.softmax(log_weights, 0)
        return (weights.reshape(*weights.shape, *(1,) * len(action.event_shape)) * images).sum(0).to(case.x1.dtype)


def _draws(
    action: Action, rotations: int, information: Tensor, x1: Tensor, generator: torch.Generator | None
) -> Tensor:
    """Elements ``[rotations + 1, *batch, *element_shape]``, the identity first.

    The width of the draws depends on the shape and the time alone, and exp(xi) is as likely as its inverse:
    given the centre c, all elements are draws from one law about it. That makes them exchangeable.
    """
    group = action.group
    shape = (rotations + 1, *information.shape)
    xi = torch.randn(*shape, group.dim, dtype=x1.dtype, device=x1.device, generator=generator)
    near = group.exp(xi * information.clamp(min=1e-12).rsqrt().to(x1)[..., None])
    near = group.compose(near[1:], near[:1])
    wide = information < 1.0
    count = int(wide.sum())
    near[:, wide] = group.sample((rotations, count), generator=generator, dtype=x1.dtype, device=x1.device)
    first = group.identity(dtype=x1.dtype, device=x1.device).expand(1, *near.shape[1:])
    return torch.cat([first, near])
