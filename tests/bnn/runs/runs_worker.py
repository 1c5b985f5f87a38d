"""A small run with everything switched on; as a program, one that kills itself, or one on several ranks."""

import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pyro_symvi.bnn import Draws, GaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn.runs import sample
from pyro_symvi.bnn.samplers import ChainState, Sampler, StepInfo, Target, Tuning, WarmUp

SETTINGS: dict[str, Any] = {"chains": 5, "pack": 2, "draws": 25, "block": 10, "thin": 2, "warmup": 12, "seed": 3}


@dataclass(frozen=True, eq=False, repr=False)
class Metropolis(Sampler):
    """Random-walk Metropolis: a fast stand-in with the parts of every sampler, its step adapted across the pack."""

    wanted: float = 0.3

    def _noise_shapes(self, dim: int) -> dict[str, tuple[str, tuple[int, ...]]]:
        return {"step": ("normal", (dim,)), "accept": ("uniform", ())}

    def _step(
        self, target: Target, state: ChainState, tuning: Tuning, noise: dict[str, Tensor]
    ) -> tuple[ChainState, StepInfo]:
        position = state.position + tuning.step_size * tuning.scale * noise["step"]
        value, gradient = target.value_and_grad(position)
        error = state.log_density - value
        acceptance = torch.where(torch.isfinite(error), torch.exp(-error).clamp(max=1.0), 0.0)
        move = noise["accept"] < acceptance
        new = ChainState(
            torch.where(move[:, None], position, state.position),
            torch.where(move, value, state.log_density),
            torch.where(move[:, None], gradient, state.gradient),
            noise["step"],
        )
        return new, StepInfo(error, acceptance, 1)

    def _warm_up(
        self,
        target: Target,
        state: ChainState,
        steps: int,
        generators: Sequence[torch.Generator],
        report: Callable[[int], None],
    ) -> WarmUp:
        scale, size = torch.ones_like(state.position[0]), state.position.new_tensor(0.1)
        noise = self.noise(generators, max(steps, 1), target.dim, state.position)
        for step in range(steps):
            tuning = Tuning(size, size, scale)
            state, info = self._step(target, state, tuning, {name: v[step] for name, v in noise.items()})
            size = size * torch.exp(0.5 * (info.acceptance.mean() - self.wanted))
            report(step + 1)
        return WarmUp(state, Tuning(size, size, scale), {"step_size": size, "gradients": steps})


def posterior(shift: float = 0.0) -> NetworkPosterior:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 2, generator=generator, dtype=torch.float64)
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    return NetworkPosterior(network, GaussianNoise(0.5), NormalPrior(), x, x[:, 0].sin() + shift)


def run(checkpoint: Path | None = None, **changed: Any) -> Draws:
    target, sampler = changed.pop("target", posterior()), changed.pop("sampler", Metropolis())
    return sample(target, sampler, **{**SETTINGS, **changed}, checkpoint=checkpoint)


@cache
def alone() -> Draws:
    """The run with SETTINGS on one process, made once."""
    return run()


# -- as a program ------------------------------------------------------------------------------------------------------
SMALL: dict[str, Any] = {"chains": 3, "warmup": 5, "thin": 1}
"""Two packs of three blocks: about 65 files are put in place in such a run."""
DEATHS = (1, 13, 36, 44, 57)
"""Before which of them the processes die."""


def die_before_file(number: int, checkpoint: Path) -> None:
    """Run until the ``number``-th file of the checkpoint would be renamed into place, and be killed there."""
    files, plain = [0], Path.replace

    def replace(self: Path, target: Any) -> Path:
        files[0] += 1
        if files[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return plain(self, target)

    Path.replace = replace  # type: ignore[method-assign]
    run(checkpoint, **SMALL)


def die(folder: Path) -> None:
    """One child for each of DEATHS; all must have been killed."""
    children = {}
    for number in DEATHS:
        child = os.fork()
        if child == 0:
            die_before_file(number, folder / f"killed{number}")
            os._exit(0)
        children[child] = number
    statuses = {number: os.waitpid(child, 0)[1] for child, number in children.items()}
    assert all(os.WIFSIGNALED(s) and os.WTERMSIG(s) == signal.SIGKILL for s in statuses.values()), statuses


class Broken(Metropolis):
    """Fails in the warm-up of one process."""

    def _warm_up(self, *arguments: Any) -> WarmUp:
        if torch.distributed.get_rank() == 1:
            raise ValueError("expected a working sampler, got a broken one")
        return super()._warm_up(*arguments)


def message(**changed: Any) -> str:
    try:
        run(**changed)
    except (RuntimeError, ValueError) as error:
        return str(error)
    return "no error"


def parallel(folder: Path) -> None:
    """What a process of two finds."""
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    blocks: list[tuple[int, int]] = []
    plain = run(progress=lambda report: blocks.append((report.pack, report.block)))
    stored = run(folder / "together", draws=15)
    extended = run(folder / "together")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        one_pack = run(pack=5, draws=3, warmup=4)
    found = {
        "theta": plain.theta,
        "stats": dict(plain.stats),
        "gradients": plain.info["gradients"],
        "blocks": blocks,
        "stored": stored.theta,
        "extended": extended.theta,
        "one pack": one_pack.theta,
        "warnings": [str(w.message) for w in caught],
        "broken": message(sampler=Broken()),
        "different": message(seed=rank),
        "other run": message(checkpoint=folder / "together", seed=8),
    }
    torch.save(found, folder / f"rank{rank}.pt")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    torch.set_num_threads(1)
    place = Path(sys.argv[1])
    if os.environ["RANK"] == "0":
        die(place)  # before there are threads
    parallel(place)
