"""The loss of a frame network on pairs of images."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from ..._value import Value
from ..symmetry import FrameSymmetry
from ..warps import Pairs
from ._distance import DistanceLoss
from ._pair_loss import PairLoss
from ._relaxation import Relaxation, Unrelaxed


@dataclass(frozen=True, eq=False, repr=False)
class FrameLoss(Value):
    """L_h = pair loss of R_h R_g Phi(., I) against Phi(., I'), relaxed over h in the group.

    g is the known element that moved the second image of a pair (``pairs.element``), h the unknown one between the
    two poses. Pairs that were never moved and no relaxation: the equivariance loss L_eq. Pairs moved by a coin: L_eq
    and the symmetric loss L_sym in equal parts. A relaxation: the loss for poses that are known up to the symmetry.

    Args:
        symmetry: acts on frames and images; None for no symmetry.
        pair: the loss of one pair.
        relaxation: what is made of the losses under the candidates h; :class:`Unrelaxed` computes h = 1 alone.
    """

    symmetry: FrameSymmetry | None = None
    pair: PairLoss = field(default_factory=DistanceLoss)
    relaxation: Relaxation = field(default_factory=Unrelaxed)

    def __post_init__(self) -> None:
        if self.symmetry is None and not isinstance(self.relaxation, Unrelaxed):
            raise ValueError(
                f"expected a symmetry with {self.relaxation!r}, got None, because it chooses among the elements of a "
                "group; try symmetry=rotational(4)"
            )

    def __call__(self, first: Tensor, second: Tensor, pairs: Pairs) -> Tensor:
        """The loss of each pair, ``[B]``, from the frames ``[B, D, h, w]`` of its two images."""
        return self.relaxation(self.candidates(first, second, pairs))

    def candidates(self, first: Tensor, second: Tensor, pairs: Pairs) -> Tensor:
        """The losses L_h, ``[n, B]``: of each element of the group, or of the identity alone without relaxation."""
        if self.symmetry is None:
            return self.pair(first, second, pairs.points, None, pairs.weight)[None]
        if self.symmetry.dim != first.shape[1]:
            raise ValueError(
                f"expected frames of dimension {self.symmetry.dim}, got {first.shape[1]}, because {self.symmetry!r} "
                "acts on them; try the same dim for the network and the symmetry"
            )
        elements = self.symmetry.frame_matrices(like=first)
        moved = elements[pairs.element]
        unknown = elements[:1] if isinstance(self.relaxation, Unrelaxed) else elements
        return self.pair(first, second, pairs.points, unknown[:, None] @ moved, pairs.weight)
