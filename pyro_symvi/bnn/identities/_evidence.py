"""The evidence of a network, and how much its data told: tempering from the prior to the posterior."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..._value import positive_int
from .._likelihoods import GaussianNoise, LearnedGaussianNoise
from .._perceptron import Perceptron
from .._posterior import NetworkPosterior
from ._hidden import UnitLayer, hidden_layers

#: The next temperature keeps this share of effective particles.
_KEEP = 0.6


@dataclass(frozen=True)
class Evidence:
    """Log evidence and C = KL(posterior || prior) = E log likelihood - log evidence, in nats.

    Attributes:
        log_evidence: log of the mean over runs of the evidence, and ``log_evidence_error`` its standard error.
        information: C, mean over the runs, and ``information_error``.
        runs: C of each run, ``[runs]``.
        temperatures: from 0 to 1.
        acceptance: mean of the moves at each temperature; below 0.05 the particles hardly move, and errors are too
            small.
        collapsed: whether output weights were integrated out exactly.
    """

    log_evidence: float
    log_evidence_error: float
    information: float
    information_error: float
    runs: Tensor
    temperatures: Tensor
    acceptance: Tensor
    collapsed: bool


def tempered_evidence(
    posterior: NetworkPosterior,
    *,
    particles: int = 512,
    runs: int = 8,
    moves: int = 10,
    collapse: bool | None = None,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Evidence:
    r"""Evidence by sequential Monte Carlo along prior * likelihood^beta, beta from 0 to 1.

    Each of ``runs`` independent populations of ``particles`` starts from the prior; log Z is the sum over steps of
    log mean exp((beta' - beta) log likelihood), then particles are resampled and moved ``moves`` times by
    preconditioned Crank-Nicolson steps, which leave the normal prior invariant and accept by the likelihood alone.
    Temperatures and step sizes are chosen for all runs together. Standard errors are those between runs; they see
    nothing of a mode that no population found, nor that E log likelihood lags behind beta where particles move too
    little, which makes C too small. (Two ReLU units on 3 rows, C = 4.892 nats by 3 million prior draws: the defaults
    without ``collapse`` give 4.857 on average with errors of 0.06, but 64 particles and 2 moves give 4.08 with errors
    of 0.17.) More moves tell whether C still grows.

    With one hidden layer, known Gaussian noise and normal priors the output weights and bias are integrated out:
    log N(y; 0, sigma^2 I + K), K = tau_v^2 Phi Phi' + tau_c^2 1 1', takes the place of the log likelihood, only the
    weights of the hidden layer are moved, and E log likelihood given them is in closed form.

    Args:
        posterior: with normal priors of all weights.
        particles: a run.
        runs: independent populations.
        moves: a temperature.
        collapse: integrate output weights out; where possible unless told otherwise.
        seed: of all random numbers.
        progress: called with beta.

    Raises:
        TypeError: a prior is not normal, or ``collapse`` is asked for where it is not possible.
    """
    positive_int(particles, "particles", 8), positive_int(runs, "runs", 2), positive_int(moves, "moves")
    if not posterior.parameter_prior.is_normal or (
        posterior.layout.extras and not isinstance(posterior.likelihood, LearnedGaussianNoise)
    ):
        raise TypeError(
            f"expected normal priors of all parameters, got {posterior.prior!r}, because the moves keep a normal law; "
            "try conformity(posterior, draws) without evidence, which bounds C from above"
        )
    layer = _collapsible(posterior)
    if collapse and layer is None:
        raise TypeError(
            "expected one hidden layer, one output and GaussianNoise, got another network or likelihood, because only "
            "then the output weights can be integrated out; try collapse=False"
        )
    reduced = layer is not None and collapse is not False
    log_likelihood, mean_of, dim = _collapsed(posterior, layer) if reduced and layer else _full(posterior)
    generator = torch.Generator().manual_seed(seed)
    shape = (runs, particles)
    state = torch.randn(*shape, dim, generator=generator, dtype=torch.float64)
    value = log_likelihood(state.reshape(-1, dim)).reshape(shape)
    log_z, beta, step = torch.zeros(runs, dtype=torch.float64), 0.0, 0.5
    temperatures, acceptance = [0.0], []
    while beta < 1:
        increment = _next_increment(value, 1 - beta)
        log_weight = increment * value
        log_z += torch.logsumexp(log_weight, 1) - math.log(particles)
        beta = 1.0 if increment >= 1 - beta else beta + increment
        chosen = _systematic(log_weight.softmax(1), generator)
        state = state.gather(1, chosen[..., None].expand_as(state))
        value = value.gather(1, chosen)
        rates = []
        for _ in range(moves):
            noise = torch.randn(state.shape, generator=generator, dtype=torch.float64)
            proposal = math.sqrt(1 - step**2) * state + step * noise
            new = log_likelihood(proposal.reshape(-1, dim)).reshape(shape)
            u = torch.rand(shape, generator=generator, dtype=torch.float64)
            accept = u.log() < beta * (new - value)
            state, value = torch.where(accept[..., None], proposal, state), torch.where(accept, new, value)
            rates.append(float(accept.double().mean()))
            step = min(0.99, max(1e-3, step * math.exp(rates[-1] - 0.3)))
        temperatures.append(beta)
        acceptance.append(sum(rates) / moves)
        if progress is not None:
            progress(beta)
    information = mean_of(state.reshape(-1, dim)).reshape(shape).mean(1) - log_z
    relative = (log_z - log_z.max()).exp()
    return Evidence(
        float(torch.logsumexp(log_z, 0) - math.log(runs)),
        float(relative.std() / relative.mean()) / math.sqrt(runs),
        float(information.mean()),
        float(information.std()) / math.sqrt(runs),
        information,
        torch.tensor(temperatures),
        torch.tensor(acceptance),
        reduced,
    )


def _next_increment(value: Tensor, most: float) -> float:
    """The step in temperature that keeps the share of effective particles, over all runs."""

    def share(increment: float) -> float:
        w = (increment * (value - value.max())).exp()
        return float(w.sum() ** 2 / (w.square().sum() * w.numel()))

    if share(most) >= _KEEP:
        return most
    low, high = 0.0, most
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if share(middle) > _KEEP else (low, middle)
    return max(high, 1e-12)


def _systematic(weights: Tensor, generator: torch.Generator) -> Tensor:
    """Indices ``[runs, particles]`` by systematic resampling of weights ``[runs, particles]``."""
    runs, n = weights.shape
    start = torch.rand(runs, 1, generator=generator, dtype=torch.float64)
    points = (torch.arange(n, dtype=torch.float64) + start) / n
    return torch.searchsorted(weights.cumsum(1), points).clamp(max=n - 1)


_Functions = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor], int]


def _full(posterior: NetworkPosterior) -> _Functions:
    """Log likelihood of standardised parameters."""
    scale, loc = posterior.parameter_prior.scale.clone(), torch.zeros(posterior.dim, dtype=torch.float64)
    if isinstance(posterior.likelihood, LearnedGaussianNoise):
        scale[-1], loc[-1] = posterior.likelihood.prior_scale, posterior.likelihood.prior_loc

    @torch.no_grad()
    def log_likelihood(white: Tensor) -> Tensor:
        return posterior.log_likelihood((loc + scale * white).to(posterior.x)).double()

    return log_likelihood, log_likelihood, posterior.dim


def _collapsible(posterior: NetworkPosterior) -> UnitLayer | None:
    """The hidden layer, where output weights can be integrated out."""
    if Perceptron.of(posterior.network) is None:
        return None  # such as a function of the outputs, which are then not linear in the last weights
    layers = hidden_layers(posterior)
    good = isinstance(posterior.likelihood, GaussianNoise) and len(layers) == 1 and layers[0].q == 1
    return layers[0] if good and posterior.parameter_prior.is_normal else None


def _collapsed(posterior: NetworkPosterior, layer: UnitLayer) -> _Functions:
    """Log marginal likelihood of the standardised incoming weights, and E[log likelihood | them]."""
    scale, index = posterior.parameter_prior.scale, layer.incoming.reshape(-1)
    out, bias = layer.outgoing[:, 0], posterior.dim - 1
    has_bias = bias not in layer.outgoing
    x, y, n = posterior.x.double(), posterior.y[:, 0].double(), len(posterior.x)
    variance = float(posterior.likelihood.scale) ** 2  # type: ignore[attr-defined]
    noise = variance * torch.eye(n, dtype=torch.float64)

    def solve(white: Tensor) -> tuple[Tensor, Tensor]:
        """Cholesky factor of sigma^2 I + K, and its inverse times y."""
        features = _hidden_values(posterior, layer, white * scale[index], x) * scale[out]
        kernel = features @ features.mT + noise
        if has_bias:
            kernel = kernel + scale[bias] ** 2
        factor = torch.linalg.cholesky(kernel)
        return factor, torch.linalg.solve_triangular(factor, y.expand(len(white), n)[..., None], upper=False)

    def log_marginal(white: Tensor) -> Tensor:
        values = []
        for part in white.split(2048):
            factor, z = solve(part)
            log_det = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
            values.append(-0.5 * z.square().sum((-1, -2)) - log_det - n / 2 * math.log(2 * math.pi))
        return torch.cat(values)

    def mean_log_likelihood(white: Tensor) -> Tensor:
        values = []
        for part in white.split(2048):  # y - E f = sigma^2 M^-1 y and Cov f = sigma^2 (I - sigma^2 M^-1)
            factor, z = solve(part)
            residual = variance**2 * torch.linalg.solve_triangular(factor.mT, z, upper=True).square().sum((-1, -2))
            inverse = torch.cholesky_inverse(factor).diagonal(dim1=-2, dim2=-1).sum(-1)
            spread = variance * (n - variance * inverse)
            values.append(-n / 2 * math.log(2 * math.pi * variance) - (residual + spread) / (2 * variance))
        return torch.cat(values)

    return log_marginal, mean_log_likelihood, len(index)


def _hidden_values(posterior: NetworkPosterior, layer: UnitLayer, incoming: Tensor, x: Tensor) -> Tensor:
    """Activations ``[particles, n, h]`` from incoming weights ``[particles, h * p]``."""
    perceptron = Perceptron.of(posterior.network)
    stage = perceptron.stages[0]  # type: ignore[union-attr]
    w = incoming.reshape(len(incoming), layer.units, layer.p)
    rows = x.flatten(1)
    inputs = rows if stage.bias is None else torch.cat([rows, rows.new_ones(len(rows), 1)], 1)
    return stage.activation.function(inputs @ w.mT)
