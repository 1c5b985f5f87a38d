"""Arguments and model-guide pairs that a divergence loss must refuse, each with the reason and a way out."""

import math
import warnings
from numbers import Integral
from typing import Any, get_args

from pyro.distributions.util import is_identically_zero
from pyro.poutine import Trace

from pyro_symvi.divergences import Divergence
from pyro_symvi.divergences.base import GradientForm
from pyro_symvi.divergences.weights import Taming, shortest_sample
from pyro_symvi.infer.svi._traces import delta_of, sample_sites

Sites = list[tuple[str, dict[str, Any]]]
"""Names and sites of the sample statements of a trace."""


def check_num_particles(num_particles: object, divergence: Divergence) -> None:
    """A number of draws that the divergence can be estimated from."""
    if isinstance(num_particles, bool) or not isinstance(num_particles, Integral):
        raise TypeError(
            f"expected num_particles to be an integer, got {num_particles!r}, because it counts draws; try 64"
        )
    if num_particles < 1:
        raise ValueError(
            f"expected num_particles >= 1, got {num_particles}, because the objective is a mean over draws; try 64"
        )
    if num_particles == 1 and divergence.is_biased:
        raise ValueError(
            f"expected num_particles >= 2 for {divergence!r}, got 1, because one self-normalised weight is always 1 "
            "and says nothing about the target; try num_particles=64"
        )


def check_normalizer(divergence: Divergence) -> None:
    """A divergence that depends on the target's normaliser, without it."""
    if not divergence.normalizer_cancels and getattr(divergence, "log_normalizer", None) is None:
        raise ValueError(
            f"expected a divergence from which the normaliser cancels, or its value, got {divergence!r}, because a "
            "posterior is known up to its evidence and the minimiser of this divergence depends on it; try "
            "FDivergence(f, log_normalizer=0.0) if the model has no data and integrates to 1, its log evidence if that "
            "is known, or Alpha(0.5), Jeffreys()"
        )


def check_gradient(form: GradientForm, divergence: Divergence) -> None:
    """A form of the gradient that the divergence has."""
    if form in divergence.gradient_forms:
        return
    reason = (
        "at alpha = 0 the weights are uniform and the score has mean zero"
        if divergence.in_alpha_family
        else "it is defined by its own form of the gradient"
    )
    raise ValueError(
        f"expected gradient={divergence.preferred_gradient!r} or 'auto' for {divergence!r}, got {form!r}, because "
        f"{reason}; try 'auto'"
    )


def check_weights(weights: object, form: GradientForm, divergence: Divergence, num_particles: int) -> None:
    """A way to tame the weights of a gradient in which they are held constant."""
    if weights not in get_args(Taming):
        raise ValueError(
            f"expected weights to be {', '.join(map(repr, get_args(Taming)))}, got {weights!r}, because these are the "
            "ways to treat the largest weights; try 'pareto_smoothed'"
        )
    if weights == "plain":
        return
    if not divergence.in_alpha_family:
        raise ValueError(
            f"expected weights='plain' for {divergence!r}, got {weights!r}, because its score weights are no power of "
            "p/q with a tail to be fitted; try ForwardKL() or Alpha(0.7), or weights='plain'"
        )
    if form != "weighted":
        reason = {
            "pathwise": "it differentiates the weights themselves, and tamed ones are constants",
            "doubly_reparameterized": "it rests on an identity that holds for the raw weights alone",
            "leave_one_out": "its control variates belong to the objective of the raw weights",
        }[form]
        remedy = "gradient='weighted', or " if "weighted" in divergence.gradient_forms else ""
        raise ValueError(
            f"expected weights='plain' for the {form} gradient, got {weights!r}, because {reason}; try {remedy}"
            "weights='plain'"
        )
    if weights == "pareto_smoothed":
        check_tail(num_particles, 1)


def check_tail(num_particles: int, copies: int) -> None:
    """Enough independent particles for a tail to be fitted."""
    independent = num_particles // copies
    if independent < shortest_sample():
        what = "particles" if copies == 1 else f"orbits of {copies} particles"
        raise ValueError(
            f"expected at least {shortest_sample()} {what} for weights='pareto_smoothed', got {independent}, because a "
            f"tail is fitted to a fifth of them; try num_particles={100 * copies}, or weights='truncated'"
        )


def refuse_few_orbits(
    divergence: Divergence, form: GradientForm, weights: Taming, num_particles: int, copies: int
) -> None:
    """Orbit-closed particles of which too few are independent."""
    if copies == 1:
        return
    needs_two = form == "leave_one_out" or (form != "weighted" and divergence.is_biased)
    if needs_two and num_particles // copies < 2:
        raise ValueError(
            f"expected at least 2 orbits of {copies} particles for the {form} gradient of {divergence!r}, got "
            f"{num_particles // copies}, because the symmetry lies across tuples of independent particles, one from "
            f"each orbit, and a tuple of one says nothing; try num_particles={16 * copies}"
        )
    if weights == "pareto_smoothed":
        check_tail(num_particles, copies)


def check_max_plate_nesting(max_plate_nesting: object) -> None:
    """A number of plates, or infinity."""
    if isinstance(max_plate_nesting, bool) or not isinstance(max_plate_nesting, (int, float)):
        raise TypeError(
            f"expected max_plate_nesting to be an integer or infinity, got {max_plate_nesting!r}, because it counts "
            "nested plates; try leaving it out"
        )
    if not (max_plate_nesting == math.inf or (max_plate_nesting >= 0 and float(max_plate_nesting).is_integer())):
        raise ValueError(
            f"expected max_plate_nesting to be an integer >= 0 or infinity, got {max_plate_nesting!r}, because it "
            "counts nested plates; try leaving it out"
        )


def refuse_enumeration(model_sites: Sites, guide_sites: Sites) -> None:
    """Sites that Pyro is told to sum out."""
    for sites in (model_sites, guide_sites):
        for name, site in sites:
            if site["infer"].get("enumerate") or site["infer"].get("_enumerate_dim") is not None:
                raise ValueError(
                    f"expected no enumerated site, got infer={{'enumerate': {site['infer'].get('enumerate')!r}}} at "
                    f"site '{name}', because log-weights of sampled particles do not sum sites out; "
                    "try pyro.infer.TraceEnum_ELBO, or a model in which that site is summed out by hand"
                )


def refuse_missing_latents(model_sites: Sites, guide_trace: Trace) -> None:
    """Latent sites of the model that the guide does not draw: p / q would not be an importance weight."""
    missing = [name for name, site in model_sites if not site["is_observed"] and name not in guide_trace.nodes]
    if missing:
        raise ValueError(
            f"expected the guide to draw every latent site of the model, got none for {missing}, because a weight p/q "
            "needs the guide's density of all that the model draws; try adding these sites to the guide"
        )


def refuse_subsampling(model_sites: Sites, guide_sites: Sites, divergence: Divergence) -> None:
    """Minibatches, where the objective is not linear in the log-weights."""
    if divergence.is_additive:
        return
    for sites in (model_sites, guide_sites):
        for name, site in sites:
            for frame in site["cond_indep_stack"]:
                if _is_subsampled(frame):
                    raise ValueError(
                        f"expected plates without subsampling for {divergence!r}, got plate '{frame.name}' with "
                        f"{frame.size} of {frame.full_size} at site '{name}', because weights of a minibatch are not "
                        "weights of the posterior and the error does not average out; try ReverseKL(), or the full data"
                    )


def warn_of_minibatches(model_sites: Sites, guide_sites: Sites) -> None:
    """Minibatches under orbit-closed noise: rows drawn at random are not symmetric."""
    names = {
        frame.name
        for sites in (model_sites, guide_sites)
        for _, site in sites
        for frame in site["cond_indep_stack"]
        if _is_subsampled(frame)
    }
    if names:
        warnings.warn(
            f"expected the full data with symmetry=, got minibatches of plate {', '.join(sorted(names))}, because the "
            "posterior given a random part of the rows is not symmetric about the same centre: the location gradient "
            "keeps the noise of the minibatch, and a constant step its noise floor; try the full data for the last "
            "steps",
            UserWarning,
            stacklevel=2,
        )


def _is_subsampled(frame: Any) -> bool:
    full_size = frame.full_size
    return full_size is not None and int(full_size) not in (-1, int(frame.size))


def refuse_score_function(guide_sites: Sites, divergence: Divergence) -> None:
    """Guide sites without a reparameterised draw, under the pathwise gradient."""
    for name, site in guide_sites:
        if is_identically_zero(site["score_parts"].score_function):
            continue
        remedy = (
            "try gradient='weighted'"
            if "weighted" in divergence.gradient_forms
            else "try gradient='leave_one_out', or pyro.infer.Trace_ELBO, which has the score-function terms"
            if "leave_one_out" in divergence.gradient_forms
            else "try Alpha(0.5) with gradient='weighted'"
        )
        raise ValueError(
            f"expected reparameterised guide sites (has_rsample) for the pathwise gradient of {divergence!r}, got "
            f"{type(site['fn']).__name__} at site '{name}', because its draw is no differentiable function of the "
            f"guide's parameters; {remedy}"
        )


def refuse_moving_points(guide_trace: Trace, divergence: Divergence, form: GradientForm) -> None:
    """Point masses that move with the guide's parameters: log q at a fixed point is not what their trace holds."""
    for name, site in sample_sites(guide_trace):
        delta = delta_of(site)
        if delta is not None and delta.v.requires_grad:
            raise ValueError(
                f"expected guide sites with a density for the {form} gradient of {divergence!r}, got a Delta whose "
                f"point depends on guide parameters at site '{name}', because log q of a fixed value cannot be read "
                "from it; try a guide whose parameters enter through densities (AutoNormal, AutoMultivariateNormal, "
                "AutoNormalMessenger), or gradient='pathwise'"
            )


def refuse_model_parameters(divergence: Divergence, form: GradientForm) -> None:
    """A model whose log density depends on learnable parameters, where that has no defined objective."""
    reason = (
        f"the {form} gradient moves the guide alone"
        if form != "pathwise"
        else "for alpha >= 1 the objective is no lower bound of log Z, so minimising it over the model means nothing"
        if divergence.in_alpha_family
        else "the objective bounds no evidence, so minimising it over the model means nothing"
    )
    remedy = "gradient='pathwise', or " if divergence.bounds_evidence else ""
    raise ValueError(
        f"expected a model without learnable parameters for {divergence!r}, got a log density that requires gradients "
        f"when the latent sites are fixed, because {reason}; try {remedy}ReverseKL() to learn the model, or freeze it "
        "(requires_grad_(False))"
    )
