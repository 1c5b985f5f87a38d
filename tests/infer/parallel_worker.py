"""Run on each rank: SVI on shards beside SVI on all rows, and what happens on failures. Writes JSON."""

import json
import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

import pyro
import pyro.distributions as dist
import torch
import torch.distributed as distributed
from pyro.infer import SVI
from pyro.infer.autoguide import AutoMultivariateNormal, AutoNormal, AutoNormalMessenger

from pyro_symvi.density import DataParallelDensity, LogDensity
from pyro_symvi.divergences import Alpha, ForwardKL, ReverseKL, TailAdaptive
from pyro_symvi.groups import PointReflection
from pyro_symvi.guides import AutoLocationScale
from pyro_symvi.infer import DataParallelELBO, DivergenceELBO, synchronize_parameters

ROWS, SPLIT = 40, 15


def logistic(predictors, response):
    beta = pyro.sample("beta", dist.Normal(0.0, 2.0).expand([3]).to_event(1))
    scale = pyro.sample("scale", dist.Gamma(2.0, 1.0))
    with pyro.plate("rows", len(response)):
        pyro.sample("y", dist.Bernoulli(logits=scale * (predictors * beta).sum(-1)), obs=response)


def learnable(predictors, response):
    """A model with a parameter of its own, and a term that counts once."""
    noise = pyro.param("noise", torch.tensor(1.5), constraint=dist.constraints.positive)
    beta = pyro.sample("beta", dist.Normal(0.0, 2.0).expand([3]).to_event(1))
    pyro.sample("hint", dist.Normal(beta[..., 0], 1.0), obs=torch.tensor(0.3))
    with pyro.plate("rows", len(response)):
        pyro.sample("y", dist.Normal((predictors * beta).sum(-1), noise), obs=response)


def by_hand(predictors, response):
    loc = pyro.param("loc", torch.zeros(3))
    scale = pyro.param("scale", torch.ones(3), constraint=dist.constraints.positive)
    pyro.sample("beta", dist.Normal(loc, scale).to_event(1))


def coin(response):
    pick = pyro.sample("pick", dist.Bernoulli(0.4))
    with pyro.plate("rows", len(response)):
        pyro.sample("y", dist.Bernoulli(0.2 + 0.5 * pick), obs=response)


def coin_guide(response):
    pyro.sample("pick", dist.Bernoulli(pyro.param("p", torch.tensor(0.5), constraint=dist.constraints.unit_interval)))


def local_in_plate(predictors, response):
    with pyro.plate("rows", len(response)):
        x = pyro.sample("x", dist.Normal(0.0, 1.0))
        pyro.sample("y", dist.Normal(x, 1.0), obs=response)


def data():
    generator = torch.Generator().manual_seed(1)
    predictors = torch.randn(ROWS, 3, generator=generator)
    return predictors, (predictors.sum(-1) + torch.randn(ROWS, generator=generator) > 0).double()


def trained(loss, model, guide, rows, steps):
    """Losses of SVI from one seed, its parameters, and how far they went after the first step."""
    pyro.clear_param_store()
    pyro.set_rng_seed(7)
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.05}), loss)

    def parameters():
        return torch.cat([p.detach().clone().reshape(-1) for _, p in sorted(pyro.get_param_store().named_parameters())])

    losses, first = [svi.step(*rows)], parameters()
    losses += [svi.step(*rows) for _ in range(steps - 1)]
    return torch.tensor(losses), parameters(), float((parameters() - first).abs().max())


def compared(shard, full, divergence, model=logistic, guide=AutoNormal, common=(), steps=6, **options):
    """Largest difference of losses and of parameters between ranks with shards and one process with all rows."""
    make = guide if guide in (by_hand, coin_guide) else None
    joint = DataParallelELBO(divergence, common=common, **options)
    alone = DivergenceELBO(divergence, **options)
    losses, values, moved = trained(joint, model, make or guide(model), shard, steps)
    their_losses, theirs, _ = trained(alone, model, make or guide(model), full, steps)
    return {
        "steps": len(losses),
        "losses": float((losses - their_losses).abs().max()),
        "parameters": float((values - theirs).abs().max()),
        "moved": moved,
        "values": values.tolist(),
        "weights": [joint.effective_sample_size, alone.effective_sample_size],
    }


class Unweighted(DataParallelELBO):
    """Wrong on purpose: each rank adds the whole prior."""

    def _accepted_traces(self, *args):
        for traces in super()._accepted_traces(*args):
            self._parts[-1].likelihood = self._parts[-1].likelihood + self._parts[-1].prior
            yield traces


def module_form(loss, model, guide, rows):
    """The same through ``elbo(model, guide)`` and a torch optimiser, evaluated once before."""
    pyro.clear_param_store()
    pyro.set_rng_seed(3)
    before = loss.loss(model, guide, *rows)
    module = loss(model, guide)
    optimiser = torch.optim.SGD(guide.parameters(), lr=0.01)
    for _ in range(5):
        optimiser.zero_grad()
        module(*rows).backward()
        optimiser.step()
    return torch.cat([torch.tensor([before]), *(p.detach().reshape(-1) for p in guide.parameters())])


def refusal(run):
    try:
        run()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "accepted"


def refusals(rank, shard, full):
    def step(model, guide, rows, divergence=None, **options):
        pyro.clear_param_store()
        loss = DataParallelELBO(divergence or ReverseKL(), 4, **options)
        svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.01}), loss)
        return lambda: svi.step(*rows)

    def other_start(predictors, response):
        loc = pyro.param("loc", torch.full((3,), float(rank)))
        pyro.sample("beta", dist.Normal(loc, 1.0).to_event(1))

    def drifting():
        run = step(learnable, by_hand, shard, common=("hint",))
        run()
        if rank == 1:
            pyro.get_param_store()["loc"].data += 1.0
        run()

    def mended():
        pyro.clear_param_store()
        other_start(*shard)
        synchronize_parameters()
        loss = DataParallelELBO(ReverseKL(), 4, common=("hint",))
        SVI(learnable, other_start, pyro.optim.Adam({"lr": 0.01}), loss).step(*shard)

    def failing(after):
        steps = []

        def model(predictors, response):
            if rank == 1 and len(steps) == after:
                raise KeyError("no such column")
            learnable(predictors, response)

        run = step(model, by_hand, shard, common=("hint",))
        for _ in range(4):
            run()
            steps.append(1)

    even = full[0][20 * rank : 20 * (rank + 1)], full[1][20 * rank : 20 * (rank + 1)]
    return {
        "whole data": refusal(step(logistic, AutoNormal(logistic), full)),
        "uncommon hint": refusal(step(learnable, by_hand, shard)),
        "local": refusal(step(local_in_plate, AutoNormal(local_in_plate), even)),
        "unknown": refusal(step(logistic, AutoNormal(logistic), shard, common=("x",))),
        "another start": refusal(step(learnable, other_start, shard, common=("hint",))),
        "mended": refusal(mended),
        "drifting": refusal(drifting),
        "failing at once": refusal(lambda: failing(0)),
        "failing later": refusal(lambda: failing(2)),
        "usual": refusal(lambda: DataParallelELBO(ForwardKL(), 4, gradient="no")),
    }


def failing_density(rank, shard):
    """A model that raises on rank 1 after the density was built."""
    broken = []

    def model(predictors, response):
        if broken and rank == 1:
            raise KeyError("no such column")
        logistic(predictors, response)

    density = DataParallelDensity.from_model(model, *shard)
    z = torch.zeros(density.dim)
    before = float(density(z))
    broken.append(True)
    told = [
        refusal(lambda: density(z)),
        refusal(lambda: density.value_and_grad(z)),
        refusal(lambda: density.hessian(z)),
    ]
    broken.clear()
    return [*told, float(density(z)) == before]


def checks(rank, shard, full):
    reflection = PointReflection()
    report = {
        "reverse KL": compared(shard, full, ReverseKL(), num_particles=4, steps=25),
        "alpha 1/2": compared(shard, full, Alpha(0.5), num_particles=8, steps=12),
        "forward KL": compared(shard, full, ForwardKL(), num_particles=8, steps=12),
        "full guide": compared(shard, full, Alpha(0.3), guide=AutoMultivariateNormal, num_particles=8),
        "effect guide": compared(shard, full, ForwardKL(), guide=AutoNormalMessenger, num_particles=8),
        "location-scale guide": compared(
            shard, full, ReverseKL(), guide=AutoLocationScale, num_particles=8, symmetry=reflection
        ),
        "doubly reparameterised": compared(shard, full, Alpha(0.5), num_particles=8, gradient="doubly_reparameterized"),
        "tail adaptive": compared(shard, full, TailAdaptive(), num_particles=8),
        "leave one out": compared(
            shard[1:], full[1:], ReverseKL(), coin, coin_guide, num_particles=8, gradient="leave_one_out"
        ),
        "particles in a loop": compared(shard, full, Alpha(0.5), num_particles=3, vectorize_particles=False),
        "learnable model": compared(shard, full, ReverseKL(), learnable, by_hand, ("hint",), num_particles=4),
    }
    guides = AutoNormal(logistic), AutoNormal(logistic)
    joint = module_form(DataParallelELBO(Alpha(0.5), 8), logistic, guides[0], shard)
    alone = module_form(DivergenceELBO(Alpha(0.5), 8), logistic, guides[1], full)
    wrong = trained(Unweighted(ReverseKL(), 4), logistic, AutoNormal(logistic), shard, 25)[1]
    pyro.set_rng_seed(100 + rank)
    state = torch.get_rng_state()
    DataParallelELBO(ReverseKL(), 4).loss(logistic, AutoNormal(logistic), *shard)
    return {
        "svi": report,
        "module form": float((joint - alone).abs().max()),
        "prior counted on each rank": float((wrong - torch.tensor(report["reverse KL"]["values"])).abs().max()),
        "random state left alone": torch.equal(state, torch.get_rng_state()),
        "refusals": refusals(rank, shard, full),
        "failing density": failing_density(rank, shard),
    }


def losses_of_ranks(rank, shard):
    """Rank 1 hangs for longer than a group's timeout, then it is killed."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # so that rank 0 lives on to tell what it saw
    local = LogDensity.from_model(logistic, *shard)
    hasty = distributed.new_group(timeout=timedelta(seconds=3))
    distributed.barrier()
    impatient, joint = local.data_parallel(hasty), local.data_parallel()
    z = torch.zeros(joint.dim)
    if rank == 1:
        time.sleep(6.0)
        os.kill(os.getpid(), signal.SIGKILL)
    return {"hangs": refusal(lambda: impatient(z)), "killed": refusal(lambda: joint(z))}


def main():
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    distributed.init_process_group("gloo", timeout=timedelta(seconds=60))
    rank = distributed.get_rank()
    rows = slice(0, SPLIT) if rank == 0 else slice(SPLIT, ROWS)
    full = data()
    shard = full[0][rows], full[1][rows]
    (folder / f"{rank}.json").write_text(json.dumps(checks(rank, shard, full)))
    distributed.barrier()
    (folder / f"losses{rank}.json").write_text(json.dumps(losses_of_ranks(rank, shard)))
    os._exit(0)  # torch's threads may abort the interpreter's ordinary end, now and then


if __name__ == "__main__":
    main()
