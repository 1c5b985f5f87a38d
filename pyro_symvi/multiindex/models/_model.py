"""The committee machine as a Pyro model."""

from __future__ import annotations

import math

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from ..channels._number import positive_number
from ..links import Link
from ._elbo import Activation

SITE = "weights"
"""Name of the latent site, of shape ``[p, d]``."""


def committee_machine(
    x: Tensor,
    y: Tensor | None = None,
    *,
    units: int,
    activation: Activation,
    noise: float,
    batch_size: int | None = None,
) -> Tensor:
    r"""A committee of p units with weights of prior length one, a Pyro model.

    .. math:: w_{kj}\sim N(0, 1/d),\qquad
        y_i \sim N\bigl(p^{-1/2}\textstyle\sum_{k=1}^p\sigma(w_k\cdot x_i),\ \Delta\bigr),

    with sigma standardised to mean 0 and variance 1 under N(0, 1), so that for inputs N(0, I_d) the signal has about
    variance 1. Log joint density is invariant under permutations of the p units, for even activations under signed
    ones; an affine image of an odd activation is not, since no output weight takes up the sign. This is the separable
    model whose thresholds in n / d `committee_thresholds` gives (Aubin et al. 2018 for the committee machine).

    Sites: ``weights [p, d]`` (`SITE`) and ``y`` in the plate ``data``. Works with SVI, vectorised particles,
    minibatches and ``Predictive`` (``y=None``).

    Args:
        x: Inputs ``[n, d]``.
        y: Outputs ``[n]``; None to draw them.
        units: The number p.
        activation: A name, function or `Link`. A `Link` saves its quadrature at each call.
        noise: The variance Delta.
        batch_size: Rows of a minibatch, drawn at each call; all by default.

    Returns:
        The outputs: observed or drawn, of the rows in the minibatch.

    Raises:
        ValueError: Shapes, units, noise or batch size that make no model.
    """
    _check(x, y, units, noise, batch_size)
    link = Link.of(activation)
    count, dim = x.shape
    prior = dist.Normal(x.new_zeros(()), 1 / math.sqrt(dim)).expand([units, dim]).to_event(2)
    weights = pyro.sample(SITE, prior)
    with pyro.plate("data", count, subsample_size=batch_size) as rows:
        inputs = x if batch_size is None else x[rows]
        mean = link(inputs @ weights.mT).sum(-1) / math.sqrt(units)
        if weights.ndim > 2:
            mean = mean.squeeze(-2)  # the plate's own dimension, which weights hold with length 1
        seen = y if y is None or batch_size is None else y[rows]
        out: Tensor = pyro.sample("y", dist.Normal(mean, math.sqrt(noise)), obs=seen)
    return out


def _check(x: Tensor, y: Tensor | None, units: int, noise: float, batch_size: int | None) -> None:
    if not isinstance(x, torch.Tensor) or x.ndim != 2:
        got = list(x.shape) if isinstance(x, torch.Tensor) else type(x).__name__
        raise ValueError(f"expected inputs x [n, d], got {got}, because each datum is a row; try x[:, None]")
    if y is not None and y.shape != x.shape[:1]:
        raise ValueError(
            f"expected outputs y [{len(x)}], got {list(y.shape)}, because there is one for each row; try y.squeeze(-1)"
        )
    if isinstance(units, bool) or not isinstance(units, int) or units < 1:
        raise ValueError(f"expected units as an int of at least 1, got {units!r}; try units=4")
    positive_number(noise, "a noise", "it is the variance Delta; try 0.5")
    if batch_size is not None and not 0 < batch_size <= len(x):
        raise ValueError(f"expected a batch size from 1 to {len(x)}, got {batch_size}; try None for all data")
