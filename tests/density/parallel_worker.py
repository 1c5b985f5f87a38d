"""Run on each rank: what ranks with shards compute, beside one density of all rows. Writes JSON."""

import copy
import json
import os
import sys
from datetime import timedelta
from pathlib import Path

import pyro
import pyro.distributions as dist
import torch
import torch.distributed as distributed

import pyro_symvi as symvi
from pyro_symvi.density import DataParallelDensity, LogDensity
from pyro_symvi.divergences import ForwardKL, ReverseKL
from pyro_symvi.families import LocationScale
from pyro_symvi.guides import AutoLocationScale
from pyro_symvi.recovery.analysis import analyze

ROWS, SPLIT = 60, 23


def logistic(predictors, response):
    beta = pyro.sample("beta", dist.Normal(0.0, 2.0).expand([3]).to_event(1))
    scale = pyro.sample("scale", dist.Gamma(2.0, 1.0))
    with pyro.plate("rows", len(response)):
        pyro.sample("y", dist.Bernoulli(logits=scale * (predictors @ beta)), obs=response)


def with_factor(predictors, response):
    beta = pyro.sample("beta", dist.Normal(0.0, 2.0).expand([3]).to_event(1))
    pyro.factor("rows", -0.5 * ((response - predictors @ beta) ** 2).sum())
    pyro.sample("hint", dist.Normal(beta[0], 1.0), obs=torch.tensor(0.3))


def grouped(group, response):
    mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
    with pyro.plate("groups", 4):
        level = pyro.sample("level", dist.Normal(mu, 1.0))
    with pyro.plate("rows", len(response)):
        pyro.sample("y", dist.Normal(level[group], 1.0), obs=response)


def in_groups(response):
    with pyro.plate("groups", response.shape[1]):
        level = pyro.sample("level", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", response.shape[0]):
            pyro.sample("y", dist.Normal(level, 1.0), obs=response)


def local_in_plate(response):
    mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
    with pyro.plate("rows", len(response)):
        x = pyro.sample("x", dist.Normal(mu, 1.0))
        pyro.sample("y", dist.Normal(x, 1.0), obs=response)


def local_without_plate(response):
    x = pyro.sample("x", dist.Normal(0.0, 1.0).expand([len(response)]).to_event(1))
    pyro.sample("y", dist.Normal(x, 1.0).to_event(1), obs=response)


def prior_from_data(response):
    mu = pyro.sample("mu", dist.Normal(0.0, response.std()))
    with pyro.plate("rows", len(response)):
        pyro.sample("y", dist.Normal(mu, 1.0), obs=response)


def event_rows(response):
    mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
    pyro.sample("y", dist.Normal(mu, 1.0).expand(response.shape).to_event(1), obs=response)


def data():
    generator = torch.Generator().manual_seed(1)
    predictors = torch.randn(ROWS, 3, dtype=torch.float64, generator=generator)
    response = (predictors.sum(-1) + torch.randn(ROWS, dtype=torch.float64, generator=generator) > 0).double()
    return predictors, response


def differences(joint, alone):
    """Largest relative differences of what two densities compute at the same points."""
    z = torch.randn(2, 5, alone.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def off(a, b):
        return float(((a - b).abs() / (1 + b.abs())).max())

    weights = torch.linspace(-1, 2, 10, dtype=torch.float64).reshape(2, 5)
    slopes = []
    for density in (joint, alone):
        leaf = z.clone().requires_grad_()
        (weights * density(leaf)).sum().backward()
        slopes.append(leaf.grad)
    return {
        "value": off(joint(z), alone(z)),
        "gradient": off(joint.value_and_grad(z)[1], alone.value_and_grad(z)[1]),
        "value beside the gradient": off(joint.value_and_grad(z)[0], alone(z)),
        "through autograd": off(*slopes),
        "hessian": off(joint.hessian(z), alone.hessian(z)),
        "unpack": max(off(joint.unpack(z)[name], value) for name, value in alone.unpack(z).items()),
        "empty batch": abs(joint(z[:0]).numel()) + abs(joint.value_and_grad(z[:0])[1].numel()),
    }


def refusal(build):
    try:
        build()
    except (ValueError, TypeError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    return "accepted"


def on_rank_zero(run):
    """What ``run()`` gives on rank 0, told to the other: it needs no partner."""
    told = [run() if distributed.get_rank() == 0 else None]
    distributed.broadcast_object_list(told)
    return told[0]


def fits(joint, alone, shard, full):
    def of_all_rows(options):
        fit = symvi.fit(alone, LocationScale(alone.dim), **options)
        return fit.parameters, fit.status.name

    def guide_of_all_rows():
        guide = AutoLocationScale(logistic)
        symvi.fit(alone, guide, *full)
        return guide.loc.detach()

    found = {}
    for name, divergence in (("reverse", ReverseKL()), ("forward", ForwardKL())):
        options = {"divergence": divergence, "num_particles": 512}
        ours = symvi.fit(joint, LocationScale(joint.dim), **options)
        theirs, status = on_rank_zero(lambda options=options: of_all_rows(options))
        found[name] = max(float((ours.parameters[k] - theirs[k]).abs().max()) for k in theirs)
        found[f"{name} status"] = [ours.status.name, status]
        found[f"{name} parameters"] = {k: v.tolist() for k, v in ours.parameters.items()}
    guide = AutoLocationScale(logistic)
    symvi.fit(joint, guide, *shard)
    found["guide"] = float((guide.loc.detach() - on_rank_zero(guide_of_all_rows)).abs().max())
    return found


def main():
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    distributed.init_process_group("gloo", timeout=timedelta(seconds=60))
    rank = distributed.get_rank()
    mine = slice(0, SPLIT) if rank == 0 else slice(SPLIT, ROWS)
    full = data()
    shard = full[0][mine], full[1][mine]
    half = slice(30 * rank, 30 * (rank + 1))

    alone = LogDensity.from_model(logistic, *full)
    joint = DataParallelDensity.from_model(logistic, *shard)
    again = LogDensity.from_model(logistic, *full)
    group = torch.arange(ROWS) % 4
    factor = LogDensity.from_model(with_factor, *shard)

    def function(z):
        return -0.5 * ((shard[1] - shard[0] @ z) ** 2).sum() - 0.25 * (z**2).sum()

    def whole(z):
        return -0.5 * ((full[1] - full[0] @ z) ** 2).sum() - 0.5 * (z**2).sum()

    unscaled = without_weight(joint, LogDensity.from_model(logistic, *shard))
    z = torch.ones(alone.dim, dtype=torch.float64)
    report = {
        "logistic": differences(joint, alone),
        "compiled": differences(joint.compile(level="graph"), alone),
        "grouped": differences(
            DataParallelDensity.from_model(grouped, group[mine], shard[1]),
            LogDensity.from_model(grouped, group, full[1]),
        ),
        "factor": differences(factor.data_parallel(common=("hint",)), LogDensity.from_model(with_factor, *full)),
        "function": differences(DataParallelDensity.from_callable(function, 3), LogDensity.from_callable(whole, 3)),
        "common plate": differences(
            LogDensity.from_model(in_groups, full[0][mine]).data_parallel(common=("groups",)),
            LogDensity.from_model(in_groups, full[0]),
        ),
        "empty shard": differences(
            DataParallelDensity.from_model(event_rows, full[1] if rank == 0 else full[1][:0]),
            LogDensity.from_model(event_rows, full[1]),
        ),
        "fit": fits(joint, again, shard, full),
        "prior counted on each rank": float((unscaled(z) - alone(z)).abs()),
        "analysis": analyses(shard, full),
        "names": [
            joint.names == alone.names,
            joint.coordinates == alone.coordinates,
            repr(joint),
            joint.compile(level="graph").level,
        ],
        "starts": [z.tolist() for z in joint.starts],
        "refusals": {
            "whole data": refusal(lambda: DataParallelDensity.from_model(logistic, *full)),
            "uncommon hint": refusal(factor.data_parallel),
            "not common": refusal(lambda: LogDensity.from_model(logistic, *shard).data_parallel(common=("y",))),
            "unknown": refusal(lambda: LogDensity.from_model(logistic, *shard).data_parallel(common=("x",))),
            "bare name": refusal(lambda: LogDensity.from_model(logistic, *shard).data_parallel(common="y")),
            "local plate": refusal(lambda: DataParallelDensity.from_model(local_in_plate, full[1][half])),
            "groups": refusal(lambda: DataParallelDensity.from_model(in_groups, full[0][half])),
            "local": refusal(lambda: DataParallelDensity.from_model(local_without_plate, full[1][half])),
            "uneven local": refusal(lambda: DataParallelDensity.from_model(local_without_plate, shard[1])),
            "prior": refusal(lambda: DataParallelDensity.from_model(prior_from_data, shard[0][:, 0])),
            "twice": refusal(lambda: joint.data_parallel()),
            "one rank's data": refusal(
                lambda: DataParallelDensity.from_model(logistic, shard[0], shard[1] / 0.0 if rank == 1 else shard[1])
            ),
            "compiled": refusal(lambda: alone.compile(level="graph").data_parallel()),
            "different points": refusal(lambda: joint(z + 1e-15 * rank)),
            "sharded": refusal(lambda: LogDensity.from_model(logistic, *full).data_parallel(sharded=("y",))),
        },
    }
    (Path(sys.argv[1]) / f"{rank}.json").write_text(json.dumps(report))
    distributed.barrier()
    distributed.destroy_process_group()
    os._exit(0)  # torch's threads may abort the interpreter's ordinary end, now and then


def analyses(shard, full):
    """How many Gaussian blocks the static analysis proves of all rows, and of the sum over ranks."""
    alone = analyze(LogDensity.from_model(event_rows, full[1]))
    joint = analyze(DataParallelDensity.from_model(event_rows, shard[1]))
    return [len(alone.blocks), len(joint.blocks), str(joint)]


def without_weight(joint, local):
    """The joint density as it would be without the prior's 1/W: each rank adds all of its own density."""
    wrong = copy.copy(joint)
    wrong._shard = local
    return wrong


if __name__ == "__main__":
    main()
