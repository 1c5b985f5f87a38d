"""Deterministic fitting of a location-scale guide to a flat density."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Literal

import torch

from ...density import LogDensity
from ...density._laplace import laplace_approximation
from ...divergences import Divergence, ReverseKL
from ...families import LocationScale, Parameters
from ...groups import LinearAction
from ...guides import AutoLocationScale
from ._arguments import MINIBATCH, check_arguments, check_draws, check_family, check_search, checked_starts
from ._common_value import common_values
from ._progress import Progress, reporter
from ._sample_objective import SampleObjective
from .adaptive import AdaptiveFit
from .chart import Chart, Outcome
from .minibatch import MinibatchFit, check_minibatch, one_plate
from .multistart import EXACT, SAMPLED, best_of, residual, starting_points
from .noise import labelled_noise
from .noise_symmetry import NoiseSymmetry, noise_symmetry
from .pathwise import Method, minimize_pathwise
from .posterior_draws import Draws, fit_to_draws, read_draws
from .reflections import candidate_reflection
from .result import Fit, Optima
from .standard_errors import matched_moments, pathwise_errors
from .symmetry_maps import SymmetryMap, given_maps, holds, reflection_map
from .tails import require_finite_divergence
from .whole_data import Subsampled, subsampled_plates, whole_data_density
from .whole_orbits import orbits

_EVALUATIONS = 80
"""About how many gradients one start takes."""
_NEARLY = 0.05
"""Gradients of this size, per scale, still count as a reflection worth closing the noise under: where a symmetry holds
nearly, closed noise leaves an error second order in what is missing."""


def fit(
    target: Any,
    guide_or_family: AutoLocationScale | LocationScale,
    *args: Any,
    divergence: Divergence | None = None,
    symmetry: LinearAction | None = None,
    draws: Draws | None = None,
    num_particles: int | None = None,
    starts: int | torch.Tensor | None = None,
    method: Method | Literal["minibatch"] = "auto",
    compile: bool | Literal["auto"] = "auto",
    max_steps: int = 500,
    tolerance: float = 1e-8,
    progress: Progress = False,
    generator: torch.Generator | None = None,
    **kwargs: Any,
) -> Fit:
    r"""Minimise a divergence over a location-scale family, deterministically.

    The base noise is drawn once and closed under a reflection of the target (`orbit_closed_noise`), the largest one a
    cheap search proposes, and under the symmetry given. Nothing rests on that proposal: where it is wrong the objective
    is an ordinary sample average. Where it is right, the fitted location of the reflected coordinates carries no
    Monte-Carlo error, if the optimum is the only one (for reverse KL and a strictly log-concave target it is): see
    `Fit.status`, `Fit.fixed_point_residual` and ``starts``.

    * alpha <= 0 (reverse KL among them): the sample-average objective, a fixed function of the parameters, by L-BFGS
      in the metric of a Laplace approximation, then Newton steps on the gradient to rounding level (with more than 200
      parameters, Broyden's steps on the location).
    * alpha > 0 (forward KL among them), where that average has no minimum (one sample on the mode and the others
      sent to infinity is better than any fit): the escort weights :math:`p^\alpha q^{1-\alpha}` on draws from a
      Student-t(5) proposal with the guide's own centre and scale; the family's weighted maximum likelihood; repeat to
      the fixed point (population Monte Carlo; Cappe et al., 2008; Daudel, Douc & Roueff, 2023). Where no symmetry
      helps, its sampling error grows as 1/alpha (`Fit.standard_error`). Where that proposal misses a mode or its
      weights rest on few draws, a mixture led to the target by tempering (`AdaptiveFit`); where that fails, too, the
      status says so.

    Args:
        target: A Pyro model (its arguments follow the guide), or a `LogDensity`.
        guide_or_family: An `AutoLocationScale` (its parameters are set to the result) or a `LocationScale`.
        *args: Arguments of the model.
        divergence: What to minimise; `ReverseKL()` by default.
        symmetry: An action whose finite group the base noise is closed under, besides the reflection that the search
            finds (`Fit.closed_under` says under what). The centre is always found, not imposed. The base law has to be
            invariant and the scale to commute with the group: ``"diagonal"``, ``"isotropic"``, ``Tied(action)``, or
            ``Tied(PointReflection())``, the symmetric root of a full scatter, for permutations; a Cholesky factor
            (``"full"``) goes with reflections only. For alpha > 0 any scale will do.
        draws: Posterior draws, for `ForwardKL` only: ``{site: [chains, n, *shape] or [n, *shape]}`` on the model's
            scale, as ``MCMC.get_samples`` gives, or unconstrained values ``[..., n, d]``. The fit is then the family's
            maximum likelihood on them, and nothing is drawn; its location is as exact as the draws' mean.
        num_particles: At least this many base samples, 2 for one antithetic pair; raised, with a warning, to the 2d
            without which a full scale is unbounded. By default 128 (4d if that is more), for alpha > 0 8192.
        starts: Where to begin. None: at the mode that a search finds (or the guide's own start leads to). A number n:
            at up to n places: further modes to which the search climbs from points 2, 6 and 20 scales out, a wide
            start about all modes, and those points. A tensor ``[n, d]``: at these unconstrained locations. The lowest
            optimum is taken, images of it under the symmetry are tried as well, and `Fit.optima` keeps the record.
        method: For alpha <= 0: ``"lbfgs"``, or ``"newton"`` (trust region): fewer, dearer steps. ``"auto"`` is L-BFGS;
            with up to 200 parameters both end in Newton steps. ``"minibatch"``, also chosen where the model has a
            plate with ``subsample_size``: stochastic gradients of the reverse KL (`MinibatchFit`); ``max_steps`` are
            passes over the data then.
        compile: Whether the optimiser evaluates the density through `LogDensity.compile`; ``"auto"``: where a search
            from many starts repays it. `Fit.density` is the one given.
        max_steps: Bound on the optimiser's steps, for each start.
        tolerance: Gradient norm, in whitened parameters (about one posterior sd each), that counts as converged.
        progress: True for a bar, or a function of (step, objective).
        generator: Random state of the base noise; a fixed one by default, so that results repeat.
        **kwargs: Keyword arguments of the model.

    Returns:
        A `Fit`. Numerical failure is its status, not an exception.

    Raises:
        TypeError: An argument of the wrong kind.
        ValueError: The model is no flat density (see `LogDensity.from_model`), dimensions disagree, the divergence is
            infinite for this family and target, the symmetry does not fit the space, or ``draws`` are unusable.
    """
    divergence = ReverseKL() if divergence is None else divergence
    check_arguments(guide_or_family, divergence, symmetry, num_particles, max_steps, tolerance)
    check_search(starts, method, compile, divergence)
    if draws is not None:
        check_draws(divergence)
    plate = _minibatch_plate(target, method, args, kwargs)
    if plate is not None:
        check_minibatch(divergence, symmetry, draws, starts)
        density = whole_data_density(target, plate, args, kwargs)
    else:
        density = target if isinstance(target, LogDensity) else LogDensity.from_model(target, *args, **kwargs)
    guide, family, start = _guide_and_family(target, guide_or_family, density, args, kwargs)
    check_family(family, divergence)
    starts = checked_starts(starts, density.dim)
    given = [] if symmetry is None else given_maps(symmetry, density.dim)
    if draws is not None:
        outcome = fit_to_draws(density, family, read_draws(density, draws))
        require_finite_divergence(density, family, outcome.parameters, divergence)
        return _fit(outcome, density, family, guide, divergence, 0, None, given)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    if plate is not None and guide is not None:
        particles = 1 if num_particles is None else num_particles
        run = MinibatchFit(target, guide, density, plate, args, kwargs, particles, max_steps, generator)
        with reporter(progress, max_steps) as report:
            outcome = run.run(report)
        return _fit(outcome, density, family, guide, divergence, particles, None, [])

    laplace = laplace_approximation(density, start, large=True)
    chart = Chart(density, family, laplace.point, laplace.root)
    require_finite_divergence(density, family, chart.reference, divergence)
    pathwise = divergence.alpha <= 0
    closed, found = _closed_under(density, laplace, family, symmetry, pathwise)
    maps = given or _found_map(chart, found)
    few = max(128, 4 * density.dim if family.pattern.mixes else 0)
    count = num_particles if num_particles is not None else (few if pathwise else 8192)

    with reporter(progress, max_steps) as report:
        if pathwise:
            group = closed.matrices
            noise, labels = labelled_noise(family, count, reflect=closed.reflect, generator=generator, matrices=group)
            matched = matched_moments(family, closed.reflect, group)
            count = len(noise)
            chart = replace(chart, density=_evaluated(density, compile, starts, count))
            objective = SampleObjective(chart, divergence, noise)

            search: Method = "newton" if method == "newton" else "lbfgs" if method == "lbfgs" else "auto"

            def solve(chart: Chart) -> Outcome:
                found = minimize_pathwise(chart, divergence, noise, max_steps, tolerance, report, search)
                held = found.parameters
                found.errors = partial(pathwise_errors, density, family, held, divergence, noise, labels, matched)
                return found

            def compare(laws: list[Parameters]) -> list[float]:
                return [objective.at(law) for law in laws]

        else:
            root = torch.diag(chart.root) if chart.root.ndim == 1 else chart.root
            chart = replace(chart, density=_evaluated(density, compile, starts, count), root=root)
            whole = orbits(closed.matrices, given, closed.reflect)
            adaptive = AdaptiveFit(chart, divergence, closed.reflect, count, max_steps, tolerance, generator, whole)

            def solve(chart: Chart) -> Outcome:
                return replace(adaptive, chart=chart).run(report)

            def compare(laws: list[Parameters]) -> list[float]:
                return common_values(density, family, divergence, laws)

        places = starting_points(chart, laplace, starts, generator)
        outcome, optima = best_of(places, solve, maps, compare, EXACT if pathwise else SAMPLED)
    if not given:  # a reflection found about one mode says nothing at another
        maps = [g for g in maps if holds(density, g, family, outcome.parameters)]
    return _fit(outcome, density, family, guide, divergence, outcome.num_draws or count, closed, maps, optima)


def _fit(
    outcome: Outcome,
    density: LogDensity,
    family: LocationScale,
    guide: AutoLocationScale | None,
    divergence: Divergence,
    num_particles: int,
    closed: NoiseSymmetry | None,
    maps: list[SymmetryMap],
    optima: Optima | None = None,
) -> Fit:
    """The result, the guide set to it; ``closed`` says under what the base samples were closed, if there were any."""
    if guide is not None:
        guide.set_parameters(outcome.parameters)
    return Fit(
        family=family,
        parameters=outcome.parameters,
        density=density,
        guide=guide,
        divergence=divergence,
        status=outcome.status,
        history=tuple(outcome.history),
        gradient_norm=outcome.gradient_norm,
        num_particles=num_particles,
        reflected=() if closed is None else closed.reflect,
        closed_under=() if closed is None else closed.closed_under(density.dim),
        optima=optima,
        fixed_point_residual=residual(family, outcome.parameters, maps),
        effective_particles=outcome.effective_particles,
        details=outcome.details,
        pareto_k=outcome.pareto_k,
        errors=outcome.errors,
    )


def _guide_and_family(
    target: Any, given: Any, density: LogDensity, args: Any, kwargs: Any
) -> tuple[AutoLocationScale | None, LocationScale, torch.Tensor | None]:
    """The guide to set (if there is a model), its family, and where it starts."""
    if isinstance(given, LocationScale):
        if given.dim != density.dim:
            raise ValueError(
                f"expected a family of dimension {density.dim}, got {given.dim}, because the target's sites "
                f"{list(density.names)} have {density.dim} unconstrained coordinates; try LocationScale({density.dim})"
            )
        if isinstance(target, LogDensity):
            return None, given, None
        guide = AutoLocationScale(target, base=given.base, scale=given.scale, df=given.df)
    else:
        guide = given
    guide.set_up_afresh(*args, **kwargs)
    family = guide.family
    if family.dim != density.dim:
        raise ValueError(
            f"expected a guide of the target's {density.dim} coordinates, got one of {family.dim}, because guide and "
            "target must share their sites; try building the guide from the same model"
        )
    return guide, family, guide.loc.detach().double().cpu()


def _evaluated(
    density: LogDensity, compile: bool | Literal["auto"], starts: int | torch.Tensor | None, count: int
) -> LogDensity:
    """The density that the optimiser evaluates: the one place where a compiled one takes its place."""
    if compile is True:
        return density.compile(count)
    runs = 1 if starts is None else starts if isinstance(starts, int) else len(starts)
    return density.compiled_for(_EVALUATIONS * runs, count) if compile == "auto" else density


def _closed_under(
    density: LogDensity, laplace: Any, family: LocationScale, symmetry: LinearAction | None, pathwise: bool
) -> tuple[NoiseSymmetry, tuple[int, ...]]:
    """What the noise is closed under (what the user gave, and the reflection that a search proposes); that proposal."""
    found: tuple[int, ...] = ()
    if laplace.is_mode:
        found = candidate_reflection(density, laplace.point, laplace.root, tolerance=_NEARLY)
    if pathwise:
        return noise_symmetry(family, symmetry, found), found
    return noise_symmetry(LocationScale(density.dim), symmetry, found, check_scale=False), found


def _found_map(chart: Chart, found: tuple[int, ...]) -> list[SymmetryMap]:
    """The reflection found, if the target has it as far as a few points show."""
    if not found:
        return []
    reflection = reflection_map(found, chart.point)
    return [reflection] if holds(chart.density, reflection, chart.family, chart.reference) else []


def _minibatch_plate(target: Any, method: Any, args: Any, kwargs: Any) -> Subsampled | None:
    """The plate to take minibatches from, where that is asked for or the model has one; None for all data."""
    if method not in ("auto", MINIBATCH) or isinstance(target, LogDensity) or not callable(target):
        if method == MINIBATCH:
            one_plate([])
        return None
    plates = subsampled_plates(target, args, kwargs)
    return one_plate(plates) if plates or method == MINIBATCH else None
