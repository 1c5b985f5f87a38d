r"""Standard errors of fitted parameters that come from the finite number of draws (not of the posterior).

A fit on draws :math:`z_i` solves :math:`\sum_i g_i(\theta)=0`. To first order its error is
:math:`H^{-1}\sum_i g_i`, so its covariance is the sandwich :math:`H^{-1}\,(\sum_o g_o g_o^T)\,H^{-T}` with the terms
of each orbit of the closed noise summed first, as only orbits are independent of one another (Huber, 1967). Where the
target has the symmetry the noise was closed under, the orbit sums vanish in the directions it pins, and so does the
error; where it has not, they do not. Scrambled Sobol points are more even than independent ones, so that the true
error is at most this, and in few dimensions often much less.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from ...density import LogDensity
from ...distributions import Normal
from ...divergences import Divergence
from ...families import LocationScale, Parameters

_LARGEST = 600
"""With more parameters than this only the location's errors are computed, the scale held; the scale's are nan."""
_STEP = 1e-4
_ROWS = 1024
"""Draws that a Hessian is averaged over."""


def matched_moments(
    family: LocationScale, reflect: tuple[int, ...], matrices: torch.Tensor | None
) -> tuple[tuple[int, ...], ...]:
    """Groups of coordinates whose joint second moment `labelled_noise` scales to one; none unless the base is normal.

    Args:
        family: The family whose base law the noise is drawn from.
        reflect: The coordinates it is closed under reflection of; empty means all.
        matrices: The further group, ``[order, d, d]``.
    """
    every = tuple(range(family.dim))
    if not isinstance(family.law, Normal):
        return ()
    if matrices is None:
        block = tuple(reflect) or every
        return (block, *((i,) for i in every if i not in block))
    together = (matrices != 0).any(0)
    monomial = bool(((matrices != 0).sum(-1) == 1).all())
    return tuple({tuple(row.nonzero()[:, 0].tolist()) for row in together}) if monomial else (every,)


def weighted_errors(
    family: LocationScale,
    parameters: Parameters,
    z: torch.Tensor,
    weights: torch.Tensor,
    labels: torch.Tensor,
    alpha: float,
) -> Parameters:
    r"""Standard errors of the root of :math:`\sum_i W_i(\theta)\nabla\log q_\theta(z_i)`, W the escort weights.

    The weights move with :math:`\theta` as :math:`q_\theta^{1-\alpha}`, so
    :math:`H=\sum_i W_i(\nabla^2\log q+(1-\alpha)\nabla\log q\nabla\log q^T)`.

    Args:
        family: The family.
        parameters: The fitted ones.
        z: Draws ``[n, d]``.
        weights: Normalised weights ``[n]``.
        labels: Which draws belong together, ``[n]``.
        alpha: Exponent on the target.

    Returns:
        Standard errors, of the parameters' shapes.
    """
    chart, size = _chart(family, parameters)
    scores = _scores(family, parameters, z)
    some = _some(labels, size)
    part = weights[some] / weights[some].sum()
    hessian = _hessian(lambda x: (part * family.log_prob(z[some], chart(x))).sum(), size)
    hessian = hessian + (1 - alpha) * (part[:, None] * scores[some]).mT @ scores[some]
    influences = _by_label(weights[:, None] * scores, labels) @ torch.linalg.pinv(hessian).mT
    return _spread(family, parameters, influences.mT @ influences)


def location_step(
    family: LocationScale, parameters: Parameters, z: torch.Tensor, weights: torch.Tensor, alpha: float
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Newton's step of the location towards the root of `weighted_errors` on independent draws, the scale held.

    Returns:
        The step ``[d]`` and its standard error ``[d]``, in the location's units.
    """
    root = family.matrix(parameters["scale"])

    def at(x: torch.Tensor) -> Parameters:
        return {**parameters, "loc": parameters["loc"] + root @ x}

    scores = _scores(family, parameters, z)[:, : family.dim]
    hessian = _hessian(lambda x: (weights * family.log_prob(z, at(x))).sum(), family.dim)
    hessian = hessian + (1 - alpha) * (weights[:, None] * scores).mT @ scores
    influences = -(weights[:, None] * scores) @ torch.linalg.pinv(hessian).mT @ root.mT
    return influences.sum(0), influences.square().sum(0).sqrt()


def pathwise_errors(
    density: LogDensity,
    family: LocationScale,
    parameters: Parameters,
    divergence: Divergence,
    noise: torch.Tensor,
    labels: torch.Tensor,
    matched: tuple[tuple[int, ...], ...] = (),
) -> Parameters:
    r"""Standard errors of the minimum of ``divergence.objective`` over reparameterised draws :math:`\nu+C\xi_i`.

    The terms are :math:`v_i\nabla_\theta\ell_i` with :math:`v_i=\partial J/\partial\ell_i`; for the alpha family, whose
    v are self-normalised, that is the influence of each draw. The Hessian is by central differences of the gradient.
    Normal noise is scaled to unit second moments, so that each term is taken less what that scaling explains,
    :math:`\tfrac12 E[\xi\,\partial_\xi g]\,(\xi_i^2-1)`.

    Args:
        density: The target.
        family: The family.
        parameters: The fitted ones.
        divergence: A member of the alpha family.
        noise: Base samples ``[n, d]``.
        labels: Which of them belong together, ``[n]``.
        matched: Groups of coordinates whose second moments the noise has exactly (`matched_moments`).

    Returns:
        Standard errors, of the parameters' shapes.
    """
    chart, size = _chart(family, parameters)

    def terms(x: torch.Tensor, noise: torch.Tensor = noise) -> torch.Tensor:
        """Each draw's part of the gradient, ``[n, size]``."""
        log_base = family.log_base(noise, parameters)
        placed = chart(x)
        z = placed["loc"] + family.apply(placed["scale"], noise)
        values, slopes = density.value_and_grad(z)
        log_weights = (values - log_base + family.log_det(placed["scale"])).detach().requires_grad_()
        (v,) = torch.autograd.grad(divergence.objective(log_weights), log_weights)

        return v[:, None] * _path_gradients(family, parameters, x, noise, slopes)

    zero = torch.zeros(size, dtype=torch.float64)

    def objective(x: torch.Tensor) -> torch.Tensor:
        placed = chart(x)
        log_weights = density(placed["loc"] + family.apply(placed["scale"], noise))
        return divergence.objective(log_weights - family.log_base(noise, parameters) + family.log_det(placed["scale"]))

    inverse = torch.linalg.pinv(_hessian(objective, size), rtol=1e-9)
    each = terms(zero)
    for group in map(list, matched):
        stretch = torch.ones(family.dim, dtype=torch.float64)
        stretch[group] += _STEP
        slope = (terms(zero, noise * stretch) - terms(zero, noise / stretch)).sum(0) / (2 * _STEP)
        excess = noise[:, group].square().mean(-1) - 1
        each = each - excess[:, None] * slope / (2 * len(noise))
    influences = _by_label(each, labels) @ inverse
    return _spread(family, parameters, influences.mT @ influences)


def influence_functions(
    family: LocationScale, parameters: Parameters, z: torch.Tensor
) -> tuple[torch.Tensor, Callable[[torch.Tensor], Parameters]]:
    r"""Influence of each draw on the maximum-likelihood parameters, :math:`-H^{-1}\nabla\log q(z_i)`, ``[n, size]``.

    Returns:
        The influences in whitened coordinates, and the map from a covariance of those to standard errors.
    """
    chart, size = _chart(family, parameters)
    scores = _scores(family, parameters, z)
    some = z[:: max(1, len(z) // max(_ROWS, 8 * size))]
    hessian = _hessian(lambda x: family.log_prob(some, chart(x)).mean(), size)
    return -scores @ torch.linalg.pinv(hessian).mT, lambda covariance: _spread(family, parameters, covariance)


def _chart(family: LocationScale, parameters: Parameters) -> tuple[Callable[[torch.Tensor], Parameters], int]:
    """Parameters about the fitted ones, one unit about one sd of the guide, and the number of coordinates used."""
    root, size = family.matrix(parameters["scale"]), family.size
    if size <= _LARGEST:
        return lambda x: family.around(parameters, root, x), size
    return lambda x: {**parameters, "loc": parameters["loc"] + root @ x}, family.dim


def _path_gradients(
    family: LocationScale, parameters: Parameters, x: torch.Tensor, noise: torch.Tensor, slopes: torch.Tensor
) -> torch.Tensor:
    r"""Gradients ``[n, size]`` at ``x`` of :math:`g_i\cdot(\nu+C\xi_i)+\log|C|`, with ``slopes`` g and ``noise`` xi."""
    chart, size = _chart(family, parameters)

    def pieces(y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        placed = chart(y)
        return placed["loc"], family.matrix(placed["scale"]), family.log_det(placed["scale"])

    loc, matrix, log_det = torch.autograd.functional.jacobian(pieces, x)
    flat = matrix.reshape(-1, size)
    rows = [
        g @ loc + (g[:, :, None] * xi[:, None, :]).flatten(1) @ flat + log_det
        for g, xi in zip(slopes.split(1024), noise.split(1024), strict=True)
    ]
    return torch.cat(rows)


def _scores(family: LocationScale, parameters: Parameters, z: torch.Tensor) -> torch.Tensor:
    r"""Gradients ``[n, size]`` of :math:`\log q(z_i)=\log q_0(\xi_i)-\log|C|` at fixed z, in the chart.

    With :math:`u=C^{-T}\nabla\log q_0(\xi)` the derivative is that of :math:`-u\cdot(\nu+C\xi)-\log|C|`,
    :math:`\xi` held.
    """
    chart, size = _chart(family, parameters)
    zero = torch.zeros(size, dtype=torch.float64)
    xi = family.standardize(z, parameters).detach().requires_grad_()
    (slope,) = torch.autograd.grad(family.log_base(xi, parameters).sum(), xi)
    inner = torch.linalg.solve(family.matrix(parameters["scale"]).mT, slope.mT).mT
    found = -_path_gradients(family, parameters, zero, xi.detach(), inner)
    if family.learns_df and size == family.size:
        unit = torch.eye(size, dtype=torch.float64)[-1]
        found[:, -1] = torch.func.jvp(lambda x: family.log_prob(z, chart(x)), (zero,), (unit,))[1]
    return found


def _hessian(function: Callable[[torch.Tensor], torch.Tensor], size: int) -> torch.Tensor:
    """Hessian at zero by central differences of the gradient, good to about 1e-8."""

    def gradient(x: torch.Tensor) -> torch.Tensor:
        leaf = x.clone().requires_grad_()
        return torch.autograd.grad(function(leaf), leaf)[0]

    steps = _STEP * torch.eye(size, dtype=torch.float64)
    rows = torch.stack([gradient(step) - gradient(-step) for step in steps]) / (2 * _STEP)
    return (rows + rows.mT) / 2


def _some(labels: torch.Tensor, size: int) -> torch.Tensor:
    """Rows of whole orbits, enough for a Hessian: an expectation that few of them give to some percent."""
    return labels % max(1, len(labels) // max(_ROWS, 8 * size)) == 0


def _by_label(terms: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Rows of ``terms[n, k]`` with the same label added up, scaled for the degrees of freedom the fit used up."""
    count = int(labels.max()) + 1
    total = terms.new_zeros(count, terms.shape[-1]).index_add_(0, labels, terms)
    # the fitted parameters follow the draws: degrees of freedom, as in a residual variance
    return total * (count / (count - min(terms.shape[-1], count / 2))) ** 0.5


def _spread(family: LocationScale, parameters: Parameters, covariance: torch.Tensor) -> Parameters:
    """Square roots of the variances of all parameters, from a covariance in the chart's coordinates."""
    chart, size = _chart(family, parameters)
    zero = torch.zeros(size, dtype=torch.float64)
    found = {}
    for name, value in parameters.items():
        if size < family.size and name != "loc":
            found[name] = torch.full_like(value, torch.nan)
            continue
        jacobian = torch.autograd.functional.jacobian(lambda x, name=name: chart(x)[name], zero)
        found[name] = torch.einsum("...i,ij,...j->...", jacobian, covariance, jacobian).clamp_min(0).sqrt()
    return found
