"""Is an amortised guide equivariant?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pyro.infer.autoguide import AutoGuide
from pyro.infer.autoguide.effect import AutoMessenger

from ...groups import Action, Group, InvariantAction, Quadrature
from ...groups._errors import sentence
from .._capture import OUTPUT
from .._foreign import as_action
from .._inputs import Inputs
from .._rules import MonteCarlo, exact_rule, given_rule
from .._sweep import Responses, Sweep
from ._comparison import Comparison
from ._moving import require_affine
from ._result import GuideSymmetry, Thresholds, notes_for
from ._sites import Reader

Actions = Action | Mapping[str, Action | None] | None


def guide_equivariance(
    guide: Callable[..., Any],
    x: Any,
    group: Group,
    rho_in: Any = None,
    rho_latent: Actions = None,
    *,
    degree: int = 8,
    rule: Quadrature | MonteCarlo | None = None,
    thresholds: Thresholds = Thresholds(),
    batch: int = 256,
    allow_training: bool = False,
) -> GuideSymmetry:
    r"""Does an amortised posterior move with its data: is q(z | g x) the image of q(z | x) under rho_latent(g)?

    With m_g, S_g location and covariance at g x, turned back, rho(g)^-1 m_g and rho(g)^-1 S_g rho(g)^-T are compared
    over the group: their spreads, in units of the posterior at x (:attr:`Deviation.in_sd`). Covariances are compared,
    never their Cholesky factors, which move by no representation. For normal and von Mises-Fisher laws the mean over
    the group of KL(q(z | g x) || rho(g) q(z | x)) is given too, in nats: for a shifted mean about d times the square of
    its deviation in standard deviations, on average over the orientation of x.

    A diagonal covariance is equivariant under rotations only where it is isotropic: an encoder with independent
    normals can't be equivariant on a vector-valued latent except so, however good its mean is.

    Args:
        guide: an encoder: a module or function of ``x`` that returns a distribution, a pair (loc, scale) or (loc,
            scale_tril or covariance), a dict {"loc": ..., "log_variance": ...}, or a tuple or dict of distributions;
            or a Pyro guide with sample sites, samples on the first axis. A site that depends on earlier ones is taken
            at their locations.
        x, group, rho_in, batch, allow_training: as in :func:`~pyro_symvi.equivariance.spectrum`.
        rho_latent: the affine action on the location's last axes; None for invariance. A dict by site for a Pyro guide
            (sites that are not in it are left out) or for an encoder of several laws.
        degree: of the group's rule; compare with a larger one.
        rule: :class:`MonteCarlo`, or a rule of your own (for groups that are not compact: elements that you chose).
        thresholds: of the verdict.

    Raises:
        ValueError: training mode, chance in the guide, a singular covariance, a site that is not there.
        TypeError: no law; an autoguide that does not depend on ``x``.

    Example:
        >>> import pyro.distributions as dist, torch
        >>> from pyro_symvi.groups import NaturalAction, SpecialOrthogonal
        >>> turns = SpecialOrthogonal(2)
        >>> def encoder(x):  # the mean turns with x; independent coordinates of unequal scale do not
        ...     return dist.Normal(x.mean(1), x.new_tensor([1.0, 1.2])).to_event(1)
        >>> x = torch.tensor([[[1.0, 0.0], [0.0, 0.5]]], dtype=torch.float64)
        >>> found = guide_equivariance(encoder, x, turns, rho_latent=NaturalAction(turns))
        >>> print(found)
        not equivariant under SpecialOrthogonal(2): off by 0.19 ...
          q (normal): location ... sd, covariance 0.19, KL ... nats
    """
    _require_amortised(guide)
    inputs = Inputs.of(x, group, rho_in)
    wanted = set(rho_latent) if isinstance(rho_latent, Mapping) else None
    reader = Reader(guide, wanted)
    chosen = _rule(group, degree, rule)
    sweep = Sweep(reader, inputs, chosen, (), batch, allow_training)
    sites: dict[str, Comparison] = {}
    for elements, weights, responses in sweep.blocks():
        if not sites:
            reference = sweep.responses(group.identity(device=elements.device)[None])
            for name, action in _actions(rho_latent, group, reader).items():
                loc, spread = _site(reference, name)
                require_affine(action, elements, tuple(loc.shape[2:]), name)
                sites[name] = Comparison(
                    name, reader.kinds[name], action, loc[0], None if spread is None else spread[0]
                )
        for name, site in sites.items():
            site.add(elements, weights, *_site(responses, name))
    count = len(chosen.weights)
    correction = count / (count - 1) if isinstance(rule, MonteCarlo) else 1.0
    found = {name: site.result(correction) for name, site in sites.items()}
    return GuideSymmetry(found, group, count, thresholds, True, notes_for(found))


def _site(responses: Responses, name: str) -> tuple[Any, Any]:
    return responses[f"{OUTPUT}[{name!r}]['loc']"], responses.get(f"{OUTPUT}[{name!r}]['spread']")


def _actions(rho: Actions, group: Group, reader: Reader) -> dict[str, Action]:
    """The action on each site."""
    given: Mapping[str, Action | None]
    if isinstance(rho, Mapping):
        given = rho
    elif len(reader.kinds) > 1:
        raise ValueError(
            sentence(
                f"rho_latent as a dict with an action for each of {', '.join(reader.kinds)}",
                rho,
                "each law moves in its own way",
                "None for sites that stay as they are",
            )
        )
    else:
        given = dict.fromkeys(reader.kinds, rho)
    given = {name: as_action(action, group) for name, action in given.items()}
    for name, action in given.items():
        if action is not None and (not isinstance(action, Action) or action.group != group):
            raise TypeError(f"expected an action of {group!r} on {name!r}, got {action!r}; try NaturalAction(group)")
    return {name: InvariantAction(group) if action is None else action for name, action in given.items()}


def _rule(group: Group, degree: int, rule: Quadrature | MonteCarlo | None) -> Quadrature:
    if isinstance(rule, MonteCarlo):
        return rule.draws(group)
    if rule is not None:
        return given_rule(rule)
    if not group.is_compact:
        raise ValueError(
            sentence(
                "rule= for a group that is not compact",
                None,
                f"{group!r} has no Haar mean",
                "Quadrature(elements, weights, -1) with elements in the window that matters",
            )
        )
    return exact_rule(group, 0, degree)


def _require_amortised(guide: Any) -> None:
    if isinstance(guide, AutoGuide | AutoMessenger):
        raise TypeError(
            sentence(
                "a guide whose law depends on x",
                type(guide).__name__,
                "an autoguide has one law, whatever its arguments",
                "law_invariance(guide, action, *args)",
            )
        )
    if not callable(guide):
        raise TypeError(f"expected an encoder or a Pyro guide, got {type(guide).__name__}; try a module or a function")
