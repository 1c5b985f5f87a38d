"""What is exported: draws with their densities, from a fit, a guide, a certificate, or a sampler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..density import LogDensity
from ..density._model import Call, without_initialisation
from ..density._precision import double_precision, promote
from ..density._state import seeded
from ..infer import Fit
from ..recovery import Certificate
from ..recovery.sphere.subject import SphereSubject
from ..recovery.subject import Subject, read_subject
from ._guide_draws import guide_draws, model_of
from ._hidden import unblocked
from ._model_run import Evaluation, ModelRun


@dataclass
class Drawn:
    """Draws of latent sites, flattened over chains, and what is known of each.

    Attributes:
        values: ``{site: [n, *shape]}`` on the scale of the model.
        shape: Chains and draws, n their product.
        kind: ``"guide"`` or ``"draws"``.
        name: What they are of, in words.
        log_q: Log density of each draw ``[n]``: in the flat coordinates where ``lp`` is given, else in those of the
            model's sites. None for a sampler's draws.
        lp: Log target in the flat coordinates ``[n]``, where it is known without running the model.
        run: The model, ready to be run at the draws; None without one.
        density: The flat target, where it is at hand.
        z: The draws in flat coordinates ``[n, d]``, where they are at hand.
        origin: The fit, guide or subject that was read.
        attrs: Attributes for the reader.
    """

    values: dict[str, Tensor]
    shape: tuple[int, int]
    kind: str
    name: str
    log_q: Tensor | None = None
    lp: Tensor | None = None
    run: ModelRun | None = None
    density: LogDensity | None = None
    z: Tensor | None = None
    origin: Any = None
    attrs: dict[str, Any] = field(default_factory=dict)

    def evaluation(self) -> Evaluation | None:
        """The model's log densities at the draws; None without a model."""
        return None if self.run is None else self.run.evaluate(self.values)

    @cached_property
    def subject(self) -> Subject | None:
        """Location and scatter in flat space, as certificates read them; None where there are none."""
        if isinstance(self.origin, Subject):
            return self.origin
        if isinstance(self.origin, Fit):
            return read_subject(self.origin, (), {}, None)
        if self.run is None:
            return None
        call = self.run.call
        try:
            if self.kind == "guide":
                return read_subject(self.origin, call.args, call.kwargs, None)
            values = {name: value.reshape(*self.shape, *value.shape[1:]) for name, value in self.values.items()}
            return read_subject(values, (call.model, *call.args), call.kwargs, None)
        except (TypeError, ValueError):  # no location-scale law, no flat density: nothing to compare with
            return None


def read_source(
    source: Any,
    model: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    num_samples: int,
    seed: int,
    group_by_chain: bool | None = None,
) -> Drawn:
    """Draws of a `Fit`, a `Certificate`, a guide, or ``{site: values}`` as samplers give them.

    Raises:
        TypeError: Something else, or arguments that don't belong to it.
        ValueError: What the model, the guide or the draws refuse.
    """
    if isinstance(source, Fit | Certificate):
        if model is not None or args or kwargs:
            raise TypeError(
                f"expected no model or arguments beside a {type(source).__name__}, got some, because it holds both; "
                "try to_arviz(fit)"
            )
        return _of_fit(source, num_samples, seed) if isinstance(source, Fit) else _of(source, num_samples, seed)
    if isinstance(source, Mapping):
        return _of_samples(source, model, args, kwargs, group_by_chain)
    if callable(source) and not isinstance(source, type):
        return _of_guide(source, model, args, kwargs, num_samples, seed)
    raise TypeError(
        f"expected a Fit, a guide, a Certificate or draws {{site: tensor}}, got {type(source).__name__}, because draws "
        "are exported; try to_arviz(fit), to_arviz(guide, *args) or to_arviz(mcmc.get_samples(), model, *args)"
    )


# -- laws in flat space --------------------------------------------------------------------------------------------


def _of_fit(fit: Fit, count: int, seed: int) -> Drawn:
    law = fit.family.distribution(fit.parameters)
    drawn = _flat(fit.density, law, count, seed, f"{fit.family.at(fit.parameters).law.name} location-scale guide")
    drawn.origin = fit
    drawn.attrs |= {
        "divergence": repr(fit.divergence),
        "fit_status": fit.status.name,
        "fit_details": fit.details,
        "fit_remedy": "" if fit.converged else fit.status.remedy,
    }
    return drawn


def _of(certificate: Certificate, count: int, seed: int) -> Drawn:
    """What was certified."""
    subject: Any = certificate.subject
    if subject is None:
        raise TypeError(
            "expected a certificate that holds what it certified, got one read from a file, because its draws are not "
            "in it; try to_arviz(fit, certificate=certificate)"
        )
    if subject.kind == "target":
        raise TypeError(
            "expected the certificate of a guide or of draws, got one of a target by itself, because it has no draws; "
            "try to_arviz(fit)"
        )
    if isinstance(subject, SphereSubject):
        return _of_sphere(subject, count, seed)
    return _of_subject(subject, count, seed)


def _of_subject(subject: Subject, count: int, seed: int) -> Drawn:
    if subject.draws is not None:
        chains, draws, dim = subject.draws.shape
        z = subject.draws.reshape(-1, dim)
        drawn = _at(subject.density, z, subject.name)
        drawn.shape, drawn.kind = (chains, draws), "draws"
    else:
        if subject.family is not None and subject.parameters is not None:
            law = subject.family.distribution(dict(subject.parameters))
        else:
            root = torch.linalg.cholesky(subject.root @ subject.root.mT)
            law = torch.distributions.MultivariateNormal(subject.loc, scale_tril=root)
        drawn = _flat(subject.density, law, count, seed, f"{subject.name} guide")
    drawn.origin = subject
    if subject.divergence is not None:
        drawn.attrs["divergence"] = repr(subject.divergence)
    if subject.status is not None:
        drawn.attrs["fit_status"] = subject.status.name
    return drawn


def _flat(density: LogDensity, law: Any, count: int, seed: int, name: str) -> Drawn:
    with seeded(seed), torch.no_grad(), double_precision():
        z = law.sample((count,)).double()
        log_q = law.log_prob(z).double()
    drawn = _at(density, z, name)
    drawn.log_q = log_q
    return drawn


def _at(density: LogDensity, z: Tensor, name: str) -> Drawn:
    with torch.no_grad():
        values, lp = density.unpack(z), density(z)
    drawn = Drawn(values, (1, len(z)), "guide", name, lp=lp, density=density, z=z)
    if density._reading.call is not None:
        drawn.run = ModelRun.read(density._reading.call, first_of(values))
    return drawn


def _of_sphere(subject: SphereSubject, count: int, seed: int) -> Drawn:
    family: Any = subject.family
    concentration = torch.tensor(subject.concentration, dtype=torch.float64)
    law = family.distribution({"direction": subject.direction, "concentration": concentration})
    with seeded(seed), torch.no_grad():
        x = law.sample((count,)).double()
        log_q, lp = law.log_prob(x).double(), subject.density(x)
    site = subject.density.name
    drawn = Drawn({site: x}, (1, count), "guide", subject.name, log_q=log_q, lp=lp)
    call = subject.density._reading.call
    drawn.run = None if call is None else ModelRun.read(call, {site: x[0]})
    return drawn


# -- guides and draws ----------------------------------------------------------------------------------------------


def _of_guide(
    guide: Callable[..., Any], model: Any, args: tuple[Any, ...], kwargs: dict[str, Any], count: int, seed: int
) -> Drawn:
    known = model_of(guide)
    if model is not None and (not callable(model) or isinstance(model, Tensor)):
        args, model = (model, *args), None  # as in certify(guide, *args)
    target = known if model is None else model
    if target is None:
        raise TypeError(
            f"expected the model of this guide, got {type(guide).__name__} alone, because it doesn't know its model; "
            "try to_arviz(guide, model, *args)"
        )
    values, log_q = guide_draws(guide, args, kwargs, count, seed)
    run = ModelRun.read(_call(target, args, kwargs), first_of(values))
    latent = {name: values[name] for name in run.latent}  # in the model's order, without what the guide draws beside it
    return Drawn(latent, (1, count), "guide", f"{type(guide).__name__} guide", log_q=log_q, run=run, origin=guide)


def _of_samples(
    samples: Mapping[str, Any], model: Any, args: tuple[Any, ...], kwargs: dict[str, Any], grouped: bool | None
) -> Drawn:
    values = {str(name): torch.as_tensor(value).detach().cpu() for name, value in samples.items()}
    if not values:
        raise ValueError("expected draws of at least one site, got an empty dict; try mcmc.get_samples()")
    if model is None and (args or kwargs):
        raise TypeError(
            "expected a model before its arguments, got arguments alone, because draws don't know their model; try "
            "to_arviz(samples, model, *args)"
        )
    if model is not None and not callable(model):
        raise TypeError(
            f"expected a Pyro model (a callable) after the draws, got {type(model).__name__}, because log densities "
            "are computed by running it; try to_arviz(samples, model, *args)"
        )
    if model is None:
        leading = 2 if _are_grouped(values, grouped) else 1
        return Drawn(_flattened(values, leading), _shape(values, leading), "draws", "draws")
    call, failure = _call(model, args, kwargs), None
    for leading in (1, 2) if grouped is None else (1 + int(grouped),):
        if any(value.ndim < leading for value in values.values()):
            continue
        flat = _flattened(values, leading)
        try:
            run = ModelRun.read(call, first_of(flat))
        except ValueError as error:  # perhaps the first dimension counts chains
            failure = error
            continue
        return Drawn(flat, _shape(values, leading), "draws", "draws", run=run)
    if failure is not None:
        raise failure
    raise ValueError(
        f"expected draws [n, *shape] or [chains, n, *shape] of each site, got {_shapes(values)}, because these are "
        "their shapes in no arrangement of chains; try mcmc.get_samples(group_by_chain=True)"
    )


def _are_grouped(values: Mapping[str, Tensor], grouped: bool | None) -> bool:
    """Whether the first two dimensions are chains and draws; without a model only scalars tell."""
    if grouped is not None:
        return grouped
    if any(value.ndim < 2 for value in values.values()):
        return False
    raise ValueError(
        f"expected group_by_chain=True or False, got None for draws of shapes {_shapes(values)}, because they may be "
        "[chains, n, ...] or [n, ...]; try saying which, or giving the model: to_arviz(samples, model, *args)"
    )


def _flattened(values: Mapping[str, Tensor], leading: int) -> dict[str, Tensor]:
    counts = {tuple(value.shape[:leading]) for value in values.values()}
    if len(counts) > 1:
        raise ValueError(
            f"expected as many draws of each site, got {_shapes(values)}, because row i of all of them is one draw; "
            "try the samples of one run"
        )
    flat = {name: value.reshape(-1, *value.shape[leading:]) for name, value in values.items()}
    return {name: value.double() if value.is_floating_point() else value for name, value in flat.items()}


def _shape(values: Mapping[str, Tensor], leading: int) -> tuple[int, int]:
    first = next(iter(values.values())).shape
    return (int(first[0]), int(first[1])) if leading == 2 else (1, int(first[0]))


def _shapes(values: Mapping[str, Tensor]) -> dict[str, list[int]]:
    return {name: list(value.shape) for name, value in values.items()}


def _call(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    return Call(unblocked(without_initialisation(model)), promote(args), promote(kwargs), False)


def first_of(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The first draw of each site."""
    return {name: value[0] for name, value in values.items()}
