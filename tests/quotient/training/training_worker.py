"""Run as a program: a training run that may kill itself, and one on several ranks. Prints nothing, writes weights."""

import os
import signal
import sys
from pathlib import Path

import torch

from pyro_symvi.quotient import CloudDataset, Context, Diffusion
from pyro_symvi.quotient.losses import OrbitAveraged
from pyro_symvi.quotient.training import Cosine, train

STEPS, EVERY, DEATH = 40, 10, 27


class Noisy(torch.nn.Module):
    """A small network with everything that has a state: dropout, running means of a batch norm, weights."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.first, self.last = torch.nn.Linear(13, 32), torch.nn.Linear(32, 12)
        self.norm, self.drop = torch.nn.BatchNorm1d(32), torch.nn.Dropout(0.1)

    def forward(self, x: torch.Tensor, t: torch.Tensor, context: Context | None = None) -> torch.Tensor:
        hidden = self.drop(self.norm(torch.tanh(self.first(torch.cat([x.flatten(1), t[:, None]], -1)))))
        return self.last(hidden).reshape(x.shape)


class Plain(torch.nn.Module):
    """No dropout and no batch norm: what a part computes does not depend on the others."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.first, self.last = torch.nn.Linear(13, 32), torch.nn.Linear(32, 12)

    def forward(self, x: torch.Tensor, t: torch.Tensor, context: Context | None = None) -> torch.Tensor:
        return self.last(torch.tanh(self.first(torch.cat([x.flatten(1), t[:, None]], -1)))).reshape(x.shape)


def clouds(m: int = 50) -> CloudDataset:
    x = torch.randn(m, 4, 3, generator=torch.Generator().manual_seed(1))
    return CloudDataset(x, torch.zeros(m, dtype=torch.int64), ("cloud",))


def run(checkpoint: Path | None, die: bool = False):
    """Training with everything switched on; ``die`` kills the process without warning at step DEATH."""

    def watch(step: int, loss: float) -> None:
        if die and step == DEATH:
            os.kill(os.getpid(), signal.SIGKILL)

    return train(
        Diffusion(), Noisy(), clouds(), OrbitAveraged(rotations=2), steps=STEPS, batch_size=16, schedule=Cosine(5),
        ema=0.9, gradient_clip=1.1, weight_decay=0.01, seed=5, checkpoint=checkpoint, checkpoint_every=EVERY,
        evaluate=lambda ema, step: {"weight": float(ema.last.weight.detach().sum())}, evaluate_every=4, progress=watch,
    )  # fmt: skip


def parallel(folder: Path) -> None:
    """On each rank: the same run on parts, other first weights on the second rank, then a bad option."""
    import torch.distributed as distributed

    distributed.init_process_group("gloo")
    rank = distributed.get_rank()
    network = Plain()
    if rank == 1:
        torch.nn.init.ones_(network.first.weight)
    result = train(
        Diffusion(), network, clouds(), OrbitAveraged(rotations=2), steps=10, batch_size=16, seed=5,
        checkpoint=folder / "checkpoint.pt", checkpoint_every=5,
        evaluate=lambda ema, step: {"rank": float(rank)},
    )  # fmt: skip
    refused = ""
    try:
        train(Diffusion(), Plain(), clouds(50 + rank), steps=2, batch_size=16)
    except ValueError as error:
        refused = str(error)
    data = clouds()
    if rank == 1:
        data.clouds[:] = 1e30
    try:
        overflow = train(Diffusion(), Plain(), data, steps=2, batch_size=16).cause or ""
    except ValueError as error:  # the data sets differ
        overflow = str(error)
    torch.save(
        {
            "weights": result.network.state_dict(),
            "ema": result.ema.state_dict(),
            "loss": result.history.loss,
            "evaluations": result.history.evaluations,
            "refused": refused,
            "overflow": overflow,
        },
        folder / f"rank{rank}.pt",
    )
    distributed.destroy_process_group()


def killed(checkpoint: Path) -> None:
    """A child that runs until it kills itself."""
    child = os.fork()
    if child == 0:
        run(checkpoint, die=True)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status


if __name__ == "__main__":
    torch.set_num_threads(1)
    if os.environ["RANK"] == "0":
        killed(Path(sys.argv[2]))  # before there are threads
    parallel(Path(sys.argv[1]))
