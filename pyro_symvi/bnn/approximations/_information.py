"""How much one row tells of the outputs of a network."""

from __future__ import annotations

import torch
from torch import Tensor

from .._likelihoods import Categorical, GaussianNoise, HeteroscedasticGaussian, LearnedGaussianNoise, Likelihood


def output_information(likelihood: Likelihood, outputs: Tensor, y: Tensor, extra: Tensor) -> Tensor:
    """The Fisher information of the outputs ``[n, K]`` under the likelihood, ``[n, K, K]``, for one ``extra``.

    1 / s^2 for normal noise; diag(p) - p p^T for classes; diag(1 / s^2, 2) for a mean and a log standard deviation. For
    likelihoods of the user: the observed information, with negative eigenvalues set to zero. With the Jacobian of the
    network about it this is the generalised Gauss-Newton matrix (Schraudolph 2002).
    """
    match likelihood:
        case GaussianNoise():
            return torch.eye(outputs.shape[-1]).to(outputs).expand(len(outputs), -1, -1) / likelihood.scale**2
        case LearnedGaussianNoise():
            return torch.eye(outputs.shape[-1]).to(outputs).expand(len(outputs), -1, -1) * (-2 * extra[0]).exp()
        case Categorical():
            p = outputs.softmax(-1)
            return torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
        case HeteroscedasticGaussian():
            s = outputs.chunk(2, -1)[1]
            return torch.diag_embed(torch.cat([(-2 * s).exp(), torch.full_like(s, 2.0)], -1))

    def one(o: Tensor, target: Tensor) -> Tensor:
        return -likelihood.log_prob(o[None], target[None], extra).sum()

    observed = torch.func.vmap(torch.func.hessian(one))(outputs, y)
    values, vectors = torch.linalg.eigh(0.5 * (observed + observed.mT))
    return (vectors * values.clamp(min=0)[:, None]) @ vectors.mT
