"""From a table to a report."""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Sequence

import torch
from torch import nn

from .._likelihoods import Categorical, HeteroscedasticGaussian, LearnedGaussianNoise, Likelihood
from .._posterior import NetworkPosterior
from .._priors import NormalPrior
from ..approximations import DeepEnsemble, LastLayerLaplace, MeanField
from ..moves import OrbitRefresh
from ..report import Report, report
from ..runs import sample
from ..samplers import HMC, MAMS, MCLMC
from ..symmetry import NetworkSymmetry
from ..tables import Split, Table

ACTIVATIONS = {"relu": nn.ReLU, "leaky-relu": nn.LeakyReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "silu": nn.SiLU}
SAMPLERS = {"mams": MAMS(), "mclmc": MCLMC(), "hmc": HMC()}
LIKELIHOODS = ("auto", "learned-noise", "heteroscedastic", "categorical")
VALIDATION = 0.15


def perceptron(widths: Sequence[int], activation: type[nn.Module]) -> nn.Sequential:
    """Linear maps between these widths, the activation after each but the last."""
    parts: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        parts += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*parts[:-1])


def likelihood_of(name: str, split: Split) -> tuple[Likelihood, int]:
    """The likelihood of a name on the command line, and how many outputs it needs."""
    classes = len(split.classes)
    if (name == "categorical" or name == "auto") and classes:
        return Categorical(classes), classes
    if classes:
        raise ValueError(
            f"expected a likelihood of classes, got {name!r}, because the target has {classes} classes; "
            "try --likelihood auto, or --kind regression"
        )
    if name == "categorical":
        raise ValueError(
            "expected a likelihood of real numbers, got 'categorical', because the target's numbers are "
            "not classes; try --likelihood auto, or --kind classification"
        )
    return (HeteroscedasticGaussian(), 2) if name == "heteroscedastic" else (LearnedGaussianNoise(), 1)


def run(table: Table, options: argparse.Namespace) -> Report:
    """Split, train the baselines, sample, report."""
    constant = "drop" if options.drop_constant else "refuse"
    split = table.split(options.seed, test=options.test, validation=VALIDATION, constant=constant)
    likelihood, outputs = likelihood_of(options.likelihood, split)
    train, validation, test = (
        (rows.x.float(), rows.y if split.classes else rows.y.float())
        for rows in (split.train, split.validation, split.test)
    )
    network = perceptron([train[0].shape[1], *options.hidden, outputs], ACTIVATIONS[options.activation])
    posterior = NetworkPosterior(network, likelihood, NormalPrior(options.prior_scale), *train)
    seconds: dict[str, float] = {}
    clock = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal clock
        now = time.perf_counter()
        seconds[name], clock = now - clock, now

    ensemble = DeepEnsemble(members=options.members).fit(
        posterior, validation=validation, seed=options.seed, progress=options.progress
    )
    lap("deep ensemble")
    generator = torch.Generator().manual_seed(options.seed)
    baselines = {ensemble.source: ensemble.sample(options.members, generator=generator)}
    for method in (MeanField(), LastLayerLaplace()):
        fitted = method.fit(posterior, validation=validation, seed=options.seed, progress=options.progress)
        baselines[fitted.source] = fitted.sample(options.draws, generator=generator)
        lap(fitted.source)
    unadjusted = options.sampler == "mclmc"
    moves = [OrbitRefresh(NetworkSymmetry.of(posterior), every=options.refresh)] if options.refresh else []
    draws = sample(
        posterior,
        SAMPLERS[options.sampler],
        chains=options.chains,
        draws=options.draws,
        thin=(20 if unadjusted else 1) if options.thin is None else options.thin,
        warmup=(5000 if unadjusted else 500) if options.warmup is None else options.warmup,
        start=baselines[ensemble.source],
        moves=moves,
        seed=options.seed,
        checkpoint=options.checkpoint,
        progress=options.progress,
    )
    lap(draws.source)
    facts = "\n".join(
        [
            str(table),
            str(split),
            str(posterior),
            f"Seconds: {', '.join(f'{name} {value:.1f}' for name, value in seconds.items())}.",
            "Targets and inputs are standardised by the train rows; validation rows stop the deep ensemble's training.",
        ]
    )
    return report(
        posterior,
        draws,
        *test,
        baselines=baselines,
        target_scale=split.y_scale,
        target_loc=split.y_mean,
        target=split.target,
        title=f"{draws.source} on {options.table}: {' - '.join(str(w) for w in options.hidden)} {options.activation}",
        facts=facts,
    )
