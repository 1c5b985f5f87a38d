"""A target about a fitted point: its mode, other modes, weighted draws, tails; each looked at when asked for."""

from __future__ import annotations

from functools import cached_property

import torch

from ...density._importance import WeightedDraws, weighted_draws
from ...density._laplace import Laplace, laplace_approximation
from ...density._modes import distant_modes
from ...density._proposal import Scale
from ..analysis import Analysis
from ..subject import Subject
from .tails import Tails, tail_powers

_LAPLACE, _MODES, _DRAWS, _TAILS = range(4)


class Surroundings:
    """Each look is taken once, when first asked for, with random numbers of its own: their order does not matter.

    Args:
        subject: Target and fitted law.
        analysis: What is proved of the target: a concave log p has no second mode, and none is looked for.
        generator: Random state.
        num_draws: Weighted draws.
    """

    def __init__(self, subject: Subject, analysis: Analysis, generator: torch.Generator, num_draws: int) -> None:
        self.subject, self.analysis, self.num_draws = subject, analysis, num_draws
        self._seeds = torch.randint(2**62, (4,), generator=generator).tolist()

    def _generator(self, look: int) -> torch.Generator:
        return torch.Generator().manual_seed(self._seeds[look])

    @cached_property
    def laplace(self) -> Laplace:
        """The mode that a climb from the fitted location ends at."""
        return laplace_approximation(self.subject.density, self.subject.loc)

    @cached_property
    def fitted(self) -> Scale:
        """The fitted law's place."""
        return Scale(self.subject.loc, self.subject.root)

    @property
    def start(self) -> torch.Tensor:
        """Where the search for centres starts: the mode, or the fitted location."""
        return self.laplace.point if self.laplace.is_mode else self.subject.loc

    @property
    def main(self) -> Scale:
        """The mode and its curvature, or the fitted law."""
        return Scale(self.laplace.point, self.laplace.root) if self.laplace.is_mode else self.fitted

    @property
    def unimodal(self) -> bool:
        """Whether it is proved that there is no other mode: log p is concave."""
        concave = self.analysis.concavity
        return not self.analysis.refusal and not self.analysis.idealisations and concave is not None and concave.joint

    @cached_property
    def modes(self) -> list[Scale]:
        """Modes besides the main one."""
        if self.unimodal:
            return []
        return distant_modes(self.subject.density, self.main, generator=self._generator(_MODES))

    @cached_property
    def draws(self) -> WeightedDraws:
        """Weighted draws of the target."""
        others = ([self.main] if self.laplace.is_mode else []) + self.modes
        return weighted_draws(
            self.subject.density,
            self.fitted,
            others=others,
            num_draws=self.num_draws,
            generator=self._generator(_DRAWS),
        )

    @cached_property
    def scale(self) -> Scale:
        """Posterior scales about the fitted location, for the residual tests."""
        adapted = self.draws.effective > max(50, 5 * self.subject.density.dim)
        return Scale(self.subject.loc, self.draws.root if adapted else self.main.root)

    @cached_property
    def tails(self) -> Tails:
        """How the density falls far out."""
        return tail_powers(self.subject.density, self.scale, generator=self._generator(_TAILS))

    @cached_property
    def rough_sd(self) -> torch.Tensor:
        """The smaller of the fitted standard deviations and those of the curvature at the mode, ``[d]``: no draws."""
        fitted, curved = self.subject.root.square().sum(-1), self.main.root.square().sum(-1)
        return torch.minimum(fitted, curved).sqrt()

    @cached_property
    def sd(self) -> torch.Tensor:
        """Posterior standard deviations on the low side, ``[d]``: what gaps are divided by."""
        return self.draws.sd_low if self.draws.reliable else self.rough_sd

    def looked(self) -> tuple[str, ...]:
        """What was looked at, in words."""
        parts, seen = [], self.__dict__
        if "draws" in seen:
            k, effective = self.draws.k, self.draws.effective
            parts.append(f"{self.num_draws} weighted draws (Pareto k-hat {k:.2f}, {effective:.0f} effective)")
        if self.unimodal:
            parts.append("no other mode exists, since log p was proved to be concave")
        elif "modes" in seen:
            found = f"{len(self.modes)} found" if self.modes else "none found"
            parts.append(f"a search for other modes to 1e+06 scales ({found})")
        return tuple(parts)
