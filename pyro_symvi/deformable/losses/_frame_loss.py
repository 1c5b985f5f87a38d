"""The loss of a frame network on pairs of images."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
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

    When a relaxation is needed. Let turns M_k leave an image as it is, as those of a flower with equal petals do, and
    let the warps of the pairs contain them. The network sees one image twice and gives one frame, whatever k was, so
    that without a relaxation the mean loss over the turns is at least mean_u min_v mean_k d(v, M_k u)^power, which is
    of the order of collapse; with one it tends to 0 for a true frame. Warps by less than a turn do not contain it, but
    a chain of them does: the frame then has to jump somewhere on the way round, and what is paid is the share of pairs
    on either side of the jump, about the mean turn of a warp over 2 pi / n. Small turns hide the ambiguity from the
    loss; they do not remove it.

    Args:
        symmetry: acts on frames and images; None for no symmetry.
        pair: the loss of one pair.
        relaxation: what is made of the losses under the candidates h; :class:`Unrelaxed` computes h = 1 alone.
        unknown: the numbers of the candidates h, the identity's 0 first; None for the elements that leave images as
            they are, for all of the group where it has no action on images. These and no others are unknown: were a
            reflection among the candidates, h g would run through the same maps whatever g is, and the loss would
            forget which of the images were mirrored. It would then be content with frames that do not tell left from
            right.

    Raises:
        ValueError: for a relaxation without a symmetry, for one with nothing to choose from, for elements that are
            none of the group's or no subgroup of it.
    """

    symmetry: FrameSymmetry | None = None
    pair: PairLoss = field(default_factory=DistanceLoss)
    relaxation: Relaxation = field(default_factory=Unrelaxed)
    unknown: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not (self.symmetry is None or isinstance(self.symmetry, FrameSymmetry)):
            raise TypeError(f"expected a FrameSymmetry or None, got {self.symmetry!r}; try bilateral()")
        if not isinstance(self.pair, PairLoss):
            raise TypeError(f"expected pair as a PairLoss, got {self.pair!r}; try DistanceLoss()")
        if not isinstance(self.relaxation, Relaxation):
            raise TypeError(f"expected relaxation as a Relaxation, got {self.relaxation!r}; try Softmin(0.1)")
        if self.symmetry is None and not isinstance(self.relaxation, Unrelaxed):
            raise ValueError(
                f"expected a symmetry with {self.relaxation!r}, got None, because it chooses among the elements of a "
                "group; try symmetry=rotational(4)"
            )
        if self.unknown is not None:
            object.__setattr__(self, "unknown", self._subgroup(tuple(self.unknown)))
        if not isinstance(self.relaxation, Unrelaxed) and len(self.unknown_elements) == 1:
            raise ValueError(
                f"expected elements to choose from with {self.relaxation!r}, got the identity alone, because elements "
                f"that move images are known (unknown={self.unknown}, {self.symmetry!r}); try relaxation=Unrelaxed()"
            )

    @property
    def unknown_elements(self) -> tuple[int, ...]:
        """The numbers of the candidates h of a relaxation."""
        if self.symmetry is None:
            return (0,)
        if self.unknown is not None:
            return self.unknown
        moved = self.symmetry.image_matrices() - torch.eye(2, dtype=torch.float64)
        return tuple(number for number, size in enumerate(moved.abs().sum((-2, -1)).tolist()) if size == 0)

    def _subgroup(self, numbers: tuple[int, ...]) -> tuple[int, ...]:
        """The numbers, if they are those of a subgroup with the identity first."""
        order = 1 if self.symmetry is None else self.symmetry.order
        known = all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < order for n in numbers)
        if not known or not numbers or numbers[0] != 0 or len(set(numbers)) != len(numbers):
            raise ValueError(
                f"expected different numbers of elements, 0 to {order - 1}, the identity's 0 first, got {numbers}"
            )
        if self.symmetry is None:
            return numbers
        group = self.symmetry.group
        chosen = group.elements()[list(numbers)]
        products = group.compose(chosen[:, None].expand(-1, len(chosen), *chosen.shape[1:]), chosen[None])
        listed = {str(element.tolist()) for element in chosen}
        if any(str(element.tolist()) not in listed for element in products.flatten(0, 1)):
            raise ValueError(
                f"expected the numbers of a subgroup of {group!r}, got {numbers}, because what relates two poses can "
                "be composed; try unknown=None"
            )
        return numbers

    def __call__(self, first: Tensor, second: Tensor, pairs: Pairs) -> Tensor:
        """The loss of each pair, ``[B]``, from the frames ``[B, D, h, w]`` of its two images."""
        return self.relaxation(self.candidates(first, second, pairs))

    def candidates(self, first: Tensor, second: Tensor, pairs: Pairs) -> Tensor:
        """The losses L_h, ``[n, B]``: of each of ``unknown_elements``, or of the identity alone without relaxation."""
        if self.symmetry is None:
            return self.pair(first, second, pairs.points, None, pairs.weight)[None]
        if self.symmetry.dim != first.shape[1]:
            raise ValueError(
                f"expected frames of dimension {self.symmetry.dim}, got {first.shape[1]}, because {self.symmetry!r} "
                "acts on them; try the same dim for the network and the symmetry"
            )
        elements = self.symmetry.frame_matrices(like=first)
        moved = elements[pairs.element]
        unknown = elements[:1] if isinstance(self.relaxation, Unrelaxed) else elements[list(self.unknown_elements)]
        return self.pair(first, second, pairs.points, unknown[:, None] @ moved, pairs.weight)
