"""A loss for ``pyro.infer.SVI`` that minimises a chosen divergence."""

from collections.abc import Iterator
from types import MethodType
from typing import Any, Literal, get_args

import torch
from pyro import poutine
from pyro.infer import ELBO
from pyro.poutine import Trace
from pyro.poutine.util import prune_subsample_sites
from pyro.util import warn_if_nan
from torch import Tensor

from pyro_symvi.divergences import Divergence
from pyro_symvi.divergences.base import GradientForm
from pyro_symvi.divergences.weights import Taming, effective_sample_size, pareto_k
from pyro_symvi.infer.svi import _refusals, _vectorization
from pyro_symvi.infer.svi._estimate import estimate, objective
from pyro_symvi.infer.svi._traces import (
    FixedValues,
    Program,
    joint_log_prob,
    latent_values,
    run_guide_at,
    run_pair,
    sample_sites,
    scored,
    subsamples,
)

Gradient = Literal["auto", "pathwise", "weighted", "doubly_reparameterized", "leave_one_out"]


class DivergenceELBO(ELBO):
    """Minimises a divergence D(P || Q) between the posterior p of a model and a guide q.

    With ``z_k ~ q``, k = 1..K, and ``l_k = log p(x, z_k) - log q(z_k)``, the loss is ``divergence.objective(l)``. The
    whole model is *one* problem: l_k sums all sites over all plates, scale and mask included. (Treating plates as
    separate problems is wrong as soon as the guide couples them, as every joint guide does.)

    Four gradients:

    - ``pathwise`` differentiates the objective through reparameterised draws. Preferred for alpha <= 1/2.
    - ``weighted`` is the score form ``-(1/alpha) sum_k softmax(alpha l)_k grad log q(z_k)``. It takes two passes: draws
      and weights without gradients, then the guide again on its own values, so that ``log q`` is that of *fixed* points
      (also through the change of variables of constrained sites). Preferred for alpha > 1/2. The guide alone is learnt.
    - ``doubly_reparameterized`` has the expectation of the preferred one of these two at the same K, and less noise
      where the guide fits: the guide is scored a second time at fixed points to take the score term out of the pathwise
      derivative. At alpha = 0 it is "sticking the landing". The only form of ``TailAdaptive()``. The guide alone is
      learnt.
    - ``leave_one_out`` is the score function with leave-one-out control variates, for guides without reparameterised
      draws (discrete sites, too); unbiased for the gradient of the expected objective, time K^2. The guide alone is
      learnt.

    A general ``FDivergence`` needs the target's normaliser and is refused without.

    For a divergence other than KL(Q || P) both are biased for finite K (consistent as K grows): take K in the tens at
    least, and more the farther q is from p.

    Works in ``pyro.infer.SVI`` and in the module form ``elbo(model, guide)`` with any torch optimiser. A guide variable
    marked ``is_auxiliary`` must determine the model's sites by a change of variables (as in autoguides); a mixture over
    auxiliary variables has no density in the trace and the loss would not be a divergence.

    Sources: Li & Turner (2016), "Renyi divergence variational inference"; Bornschein & Bengio (2015), "Reweighted
    wake-sleep"; Hernandez-Lobato et al. (2016), "Black-box alpha divergence minimization".

    Args:
        divergence: a frozen value such as ``ReverseKL()``, ``ForwardKL()``, ``Alpha(0.5)``.
        num_particles: K. At least 2 unless the objective is unbiased (KL(Q || P), a general f).
        vectorize_particles: draw all particles in one run under an outermost plate. The first such run is compared,
            site by site, with a run of one particle without the plate.
        max_plate_nesting: as in ``pyro.infer.ELBO``; guessed from one run if infinite.
        symmetry: an action under which the guide's noise is closed (``orbit_noise.OrbitClosedNoise``); needs vectorised
            particles, a multiple of the group's order (of the number of images, for a compact group). The K particles
            are then tuples of independent ones, a tuple the image of another: the objective is averaged over tuples,
            and K / order is what decides its bias. Warns of minibatches, whose noise is not symmetric, and of the same
            few particles at every step under a full scale, which they leave unbounded.
        gradient: ``"pathwise"``, ``"weighted"``, ``"doubly_reparameterized"``, ``"leave_one_out"``, or ``"auto"``, the
            divergence's preference.
        strict_enumeration_warning: accepted as in Pyro's losses; enumerated sites are refused in any case.
        weights: how the *weighted* gradient treats its escort weights ``w^alpha``: ``"plain"`` as they are,
            ``"truncated"`` (Ionides 2008) or ``"pareto_smoothed"`` (Vehtari et al. 2024, K > 20), in log space. Some
            bias, which vanishes as K grows, for a variance that is finite where the plain one's need not be: for
            targets with heavier tails than the guide. The loss's value and the reports remain those of the raw
            weights. With a symmetry whole orbits are treated alike, so that equal weights stay equal.

    Raises:
        TypeError: ``divergence`` is no divergence value, or a number is of the wrong kind.
        ValueError: an argument is out of range; when the loss is evaluated, a pair it cannot treat rightly: enumerated
            sites; latent sites the guide lacks; minibatches (unless KL(Q || P)); guide sites without reparameterised
            draws under ``pathwise``; moving point masses where log q is scored at fixed points; learnable model
            parameters unless ``pathwise`` and alpha < 1; a model that changes its meaning under the particle plate.
    """

    def __init__(
        self,
        divergence: Divergence,
        num_particles: int = 1,
        vectorize_particles: bool = True,
        max_plate_nesting: float = float("inf"),
        symmetry: Any = None,
        gradient: Gradient = "auto",
        strict_enumeration_warning: bool = True,
        weights: Taming = "plain",
    ) -> None:
        if not isinstance(divergence, Divergence):
            raise TypeError(
                f"expected divergence to be a value such as ReverseKL(), ForwardKL() or Alpha(0.5), got "
                f"{divergence!r}, because strings and bare numbers leave its convention open; try "
                "pyro_symvi.divergences.ReverseKL()"
            )
        if gradient not in get_args(Gradient):
            raise ValueError(
                "expected gradient to be 'auto', 'pathwise' or 'weighted', 'doubly_reparameterized', 'leave_one_out', "
                f"got {gradient!r}, because these are the estimators and a choice between them; try 'auto'"
            )
        _refusals.check_num_particles(num_particles, divergence)
        _refusals.check_max_plate_nesting(max_plate_nesting)
        _refusals.check_normalizer(divergence)
        self.form: GradientForm = divergence.preferred_gradient if gradient == "auto" else gradient
        _refusals.check_gradient(self.form, divergence)
        _refusals.check_weights(weights, self.form, divergence, num_particles)
        if symmetry is not None and not vectorize_particles:
            raise ValueError(
                "expected vectorize_particles=True with a symmetry, got False, because noise is closed under the group "
                "across the particles of one run; try vectorize_particles=True"
            )
        self.divergence = divergence
        self.gradient = gradient
        self.symmetry = symmetry
        self.weights: Taming = weights
        self._noise = _closed(symmetry)
        self._last_log_weights: Tensor | None = None
        self._checked_pair: tuple[Any, ...] | None = None
        self._plate_checked_pair: tuple[Any, ...] | None = None
        super().__init__(
            num_particles=int(num_particles),
            max_plate_nesting=max_plate_nesting,
            vectorize_particles=bool(vectorize_particles),
            strict_enumeration_warning=strict_enumeration_warning,
        )

    def loss(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> float:
        """The objective on K fresh particles, as a float; no gradient is computed."""
        log_weights = self.log_weights(model, guide, *args, **kwargs)
        loss = float(objective(self.divergence, log_weights, self._copies))
        warn_if_nan(loss, "loss")
        return loss

    def loss_and_grads(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> float:
        """The objective as a float; its gradient is added to the ``.grad`` of the learnable parameters, if any."""
        loss = self.differentiable_loss(model, guide, *args, **kwargs)
        if loss.requires_grad:
            loss.backward(retain_graph=self.retain_graph)
        return float(loss.detach())

    def differentiable_loss(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> Tensor:
        """The objective as a scalar tensor whose gradient is the chosen estimator."""
        log_weights, log_guide = self._log_weights_and_guide(model, guide, args, kwargs)
        loss = estimate(self.divergence, self.form, log_weights, log_guide, self.weights, self._copies)
        warn_if_nan(loss, "loss")
        return loss

    def log_weights(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> Tensor:
        """``log p(x, z_k) - log q(z_k)`` of K fresh particles; shape ``(K,)``, no gradient."""
        with torch.no_grad():
            return self._log_weights_and_guide(model, guide, args, kwargs)[0]

    @property
    def effective_sample_size(self) -> float:
        """``(sum w)^2 / sum w^2`` of the importance weights p / q of the last evaluation: between 1 and K.

        Below some 10, or a hundredth of K, the guide and the posterior hardly meet: the loss and its gradient then
        speak of a handful of particles.

        Raises:
            ValueError: the loss has not been evaluated yet.
        """
        return float(effective_sample_size(self._last_weights()))

    @property
    def pareto_k(self) -> float:
        """Pareto k-hat of the importance weights p / q of the last evaluation, whatever the divergence.

        Below 0.7 means under the posterior can be had by reweighting the guide's draws; above 1 they cannot, at any K.
        One evaluation with thousands of particles after the fit tells more than the few of a training step; infinite
        for K <= 20. See ``pyro_symvi.divergences.weights.pareto_k``.

        Raises:
            ValueError: the loss has not been evaluated yet.
        """
        return float(pareto_k(self._last_weights()))

    def _last_weights(self) -> Tensor:
        if self._last_log_weights is None:
            raise ValueError(
                "expected a loss that has been evaluated, got none of its weights, because the report is about the "
                "particles of the last evaluation; try loss(model, guide, ...) first"
            )
        return self._last_log_weights

    def _log_weights_and_guide(
        self, model: Program, guide: Program, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Tensor, Tensor]:
        """Log-weights and log q, each ``(K,)``; log q is that of fixed points unless the gradient is pathwise."""
        log_weights, log_guide = [], []
        for model_trace, guide_trace in self._accepted_traces(model, guide, args, kwargs):
            particles = self.num_particles if self._has_plate else 1
            log_model = joint_log_prob(model_trace, particles, self._particle_dim)
            log_q = joint_log_prob(guide_trace, particles, self._particle_dim).to(log_model.device)
            log_weights.append(log_model - log_q)
            if self.form != "pathwise" and torch.is_grad_enabled():
                log_q = self._log_guide_at_fixed_values(guide, guide_trace, args, kwargs)
            log_guide.append(log_q)
        joined = log_weights[0] if len(log_weights) == 1 else torch.cat(log_weights)
        self._last_log_weights = joined.detach()
        return joined, log_guide[0] if len(log_guide) == 1 else torch.cat(log_guide)

    def _accepted_traces(
        self, model: Program, guide: Program, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Iterator[tuple[Trace, Trace]]:
        pair = _identity(model) + _identity(guide)
        for model_trace, guide_trace in self._get_traces(model, guide, args, kwargs):
            _refusals.refuse_few_orbits(self.divergence, self.form, self.weights, self.num_particles, self._copies)
            model_sites, guide_sites = list(sample_sites(model_trace)), list(sample_sites(guide_trace))
            _refusals.refuse_enumeration(model_sites, guide_sites)
            _refusals.refuse_missing_latents(model_sites, guide_trace)
            _refusals.refuse_subsampling(model_sites, guide_sites, self.divergence)
            if self._through_draws:
                _refusals.refuse_score_function(guide_sites, self.divergence)
            if torch.is_grad_enabled() and not _same(self._checked_pair, pair):
                self._check_model_parameters(model, guide_trace, args, kwargs)
                if self.symmetry is not None:
                    _refusals.warn_of_minibatches(model_sites, guide_sites)
                self._checked_pair = pair
            yield model_trace, guide_trace

    def _get_trace(
        self, model: Program, guide: Program, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Trace, Trace]:
        return self._scored_and_raw(model, guide, args, kwargs)[0]

    def _scored_and_raw(
        self, model: Program, guide: Program, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Trace, Trace], tuple[Trace, Trace]]:
        with torch.set_grad_enabled(torch.is_grad_enabled() and self._through_draws):
            raw = run_pair(model, guide, args, kwargs, self._noise)
            return scored(*raw, self.max_plate_nesting), raw

    def _get_vectorized_trace(
        self, model: Program, guide: Program, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Trace, Trace]:
        if not self._has_plate:
            return self._get_trace(model, guide, args, kwargs)
        try:
            plated = self._vectorized_num_particles(model), self._vectorized_num_particles(guide)
            traces, raw = self._scored_and_raw(*plated, args, kwargs)
        except Exception as error:
            if self.symmetry is None:
                _vectorization.explain_failure(model, guide, args, kwargs, error)
            raise
        pair = _identity(model) + _identity(guide)
        if not _same(self._plate_checked_pair, pair):
            shape = self.num_particles, -int(self.max_plate_nesting)
            _vectorization.check_last_particle(model, guide, args, kwargs, traces, subsamples(raw), *shape)
            self._plate_checked_pair = pair
        return traces

    def _log_guide_at_fixed_values(
        self, guide: Program, guide_trace: Trace, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Tensor:
        plated = self._vectorized_num_particles(guide) if self._has_plate else guide
        try:
            trace = run_guide_at(plated, latent_values(guide_trace), args, kwargs)
        except (KeyError, NotImplementedError) as error:
            raise ValueError(
                f"expected a guide whose density can be evaluated at any given point, got {type(error).__name__} from "
                f"it, because the {self.form} gradient needs log q at fixed values, and a transform without an inverse "
                "has none; try gradient='pathwise', or a guide with invertible transforms"
            ) from error
        _refusals.refuse_moving_points(trace, self.divergence, self.form)
        return joint_log_prob(trace, self.num_particles if self._has_plate else 1, self._particle_dim)

    def _check_model_parameters(
        self, model: Program, guide_trace: Trace, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """The model at fixed latent values: whatever still requires a gradient is learnable and its own."""
        if self.form == "pathwise" and self.divergence.bounds_evidence:
            return
        plated = self._vectorized_num_particles(model) if self._has_plate else model
        with poutine.block(), FixedValues(latent_values(guide_trace)):
            trace = prune_subsample_sites(poutine.trace(plated).get_trace(*args, **kwargs))
        trace.compute_log_prob()
        if joint_log_prob(trace, self.num_particles if self._has_plate else 1, self._particle_dim).requires_grad:
            _refusals.refuse_model_parameters(self.divergence, self.form)

    @property
    def weighted(self) -> bool:
        """Whether the gradient is the weighted score form."""
        return self.form == "weighted"

    @property
    def _through_draws(self) -> bool:
        """Whether draws are differentiated."""
        return self.form in ("pathwise", "doubly_reparameterized")

    @property
    def _has_plate(self) -> bool:
        return bool(self.vectorize_particles and self.num_particles > 1)

    @property
    def _particle_dim(self) -> int | None:
        return -int(self.max_plate_nesting) if self._has_plate else None

    @property
    def _copies(self) -> int:
        """Images of each draw among the particles."""
        return 1 if self._noise is None else int(self._noise.copies)


def _closed(symmetry: Any) -> Any:
    """Watches the guide and closes its noise; None without a symmetry."""
    if symmetry is None:
        return None
    from pyro_symvi.infer.svi.orbit_noise import OrbitClosedNoise

    return OrbitClosedNoise(symmetry)


def _identity(program: Any) -> tuple[Any, Any]:
    """What makes a program the same on the next call; a bound method is made anew each time it is looked up."""
    return (program.__func__, program.__self__) if isinstance(program, MethodType) else (program, None)


def _same(a: tuple[Any, ...] | None, b: tuple[Any, ...]) -> bool:
    return a is not None and all(x is y for x, y in zip(a, b, strict=True))
