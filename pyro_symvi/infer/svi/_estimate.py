"""From the log-weights of K particles to a loss whose gradient is one of the four forms."""

from torch import Tensor

from pyro_symvi.divergences import Divergence
from pyro_symvi.divergences.base import GradientForm
from pyro_symvi.divergences.weights import Taming, tame


def estimate(
    divergence: Divergence,
    form: GradientForm,
    log_weights: Tensor,
    log_guide: Tensor,
    weights: Taming = "plain",
    copies: int = 1,
) -> Tensor:
    """The objective, with the gradient of the chosen form.

    Orbit-closed particles are ``copies`` tuples of ``K / copies`` independent particles each, one tuple the image of
    another. The objective, and every form of the gradient that is derived from it, is averaged over the tuples: the
    symmetry lies across them. Inside one tuple it would define another functional, whose minimiser need not be
    symmetric even on log-concave targets, and leave-one-out baselines would depend on the particle they are for.
    The weighted form normalises the weights of all particles together: it is a ratio of two means, each of which may
    be taken over dependent draws.

    Args:
        log_weights: ``(K,)``; attached to the guide's parameters through the draws for the forms that differentiate it.
        log_guide: log q, ``(K,)``, of fixed points unless the form is pathwise.
        weights: how the weighted form treats the largest escort weights.
        copies: particle ``g * (K / copies) + i`` is image g of draw i.
    """
    if form == "pathwise":
        return objective(divergence, log_weights, copies)
    loss = objective(divergence, log_weights.detach(), copies)
    if form == "weighted":
        if weights != "plain":
            log_weights = tame(divergence.alpha * log_weights.detach(), weights, copies) / divergence.alpha
        surrogate = divergence.score_surrogate(log_weights, log_guide)
    elif form == "doubly_reparameterized":
        path = _tuples(log_weights + (log_guide - log_guide.detach()), divergence, copies)
        surrogate = divergence.path_surrogate(path).mean()
    else:
        by_tuple = log_weights.unflatten(0, (copies, -1)).mT, log_guide.unflatten(0, (copies, -1)).mT
        surrogate = divergence.leave_one_out_surrogate(*by_tuple).mean()
    return loss + (surrogate - surrogate.detach())  # it lends its gradient, not its value


def objective(divergence: Divergence, log_weights: Tensor, copies: int) -> Tensor:
    """``divergence.objective`` of each tuple, averaged; a scalar."""
    if copies == 1:
        return divergence.objective(log_weights)
    return divergence.objective(_tuples(log_weights, divergence, copies)).mean()


def _tuples(log_weights: Tensor, divergence: Divergence, copies: int) -> Tensor:
    """``(K / copies, copies)``: independent particles first, one column a tuple. A mean over particles needs none."""
    if copies == 1 or divergence.is_additive:
        return log_weights
    return log_weights.unflatten(0, (copies, -1)).mT
