"""What may be said of a frame."""

from __future__ import annotations

import math
from enum import Enum

from torch import Tensor

from ._matching import Matching

_COLLAPSED, _LEAST, _ENOUGH, _SURE, _ROUNDING = 0.75, 0.25, 0.5, 2.0, 0.01


class FrameVerdict(Enum):
    """What a frame has been seen to do on a folder of images; the value says it in a sentence.

    No verdict says that two objects get frames that agree, or that a partner is the right one: without known
    correspondences that cannot be measured. Look at the pictures.
    """

    COLLAPSED = "The frame has collapsed: it finds places about as badly as chance. Nothing below speaks of the object."
    NOT_LEARNT = (
        "The frame has learnt nothing that can be relied on: when an image moves, it finds places hardly better than "
        "one that knows the place in the picture alone, or than an untrained network. Nothing below speaks of the "
        "object."
    )
    EDGES = (
        "The frame follows the edges of the picture: it finds places again in noise as well, where there is no object. "
        "Nothing below speaks of the object."
    )
    PARTLY = (
        "The frame follows what moves in part, and leans on the place in the picture for the rest. Partners and "
        "midlines are rough. More steps, more images or stronger warps may help."
    )
    NOT_SYMMETRIC = (
        "The frame follows what moves, but not as its symmetry demands: in mirror images its partners are not found. "
        "Partners and midlines mean nothing."
    )
    UNRESOLVED = (
        "The frame follows what moves, but does not tell places from their partners: in mirror images it finds hardly "
        "more with the right element of the symmetry than with another. Partners and midlines mean nothing."
    )
    TOO_FEW = "The frame may follow what moves, but one image is no ground to say so. Measure it on more images."
    FOLLOWS = "The frame follows what moves. No symmetry was measured, because none of this model moves images."
    SYMMETRIC = (
        "The frame follows what moves, and does in mirror images what its symmetry demands. Whether partners are the "
        "right places, or the object is symmetric at all, the pictures must show."
    )

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        return str(self.value)

    @property
    def learnt(self) -> bool:
        """Whether the frame follows the object, at least in part."""
        return self not in (FrameVerdict.COLLAPSED, FrameVerdict.NOT_LEARNT, FrameVerdict.EDGES)


def verdict_of(still: Matching, moved: Matching | None, noise: Matching | None = None) -> FrameVerdict:
    """The verdict from matching errors on images that were warped, and on mirror images that were.

    With the gain 1 - error / (error of the better one of the two that know less): COLLAPSED, an error of at least 3/4
    of that of chance; NOT_LEARNT, a gain below 1/4, or within two standard errors of 0; EDGES, a gain on noise of at
    least 1/4 and half of that on the images; NOT_SYMMETRIC, a gain below 1/4 in mirror images, or one that a wrong
    element of the group exceeds; UNRESOLVED, less than 1/4 gained over the best wrong element; TOO_FEW, one image;
    PARTLY, a gain below 1/2 in any of these.
    """
    if float(still.frame.mean()) >= _COLLAPSED * float(still.chance.mean()):
        return FrameVerdict.COLLAPSED
    if _gain(still) < _LEAST:
        return FrameVerdict.NOT_LEARNT
    gains = [_gain(still)]
    if noise is not None and _gain(noise) >= max(_LEAST, gains[0] / 2):
        return FrameVerdict.EDGES
    if moved is not None:
        gains += [_gain(moved), 1.0 if moved.other is None else _gain(moved, moved.other)]
        if gains[1] < _LEAST or gains[2] < -_ROUNDING:
            return FrameVerdict.NOT_SYMMETRIC
        if gains[2] < _LEAST:
            return FrameVerdict.UNRESOLVED
    if len(still.frame) < 2:
        return FrameVerdict.TOO_FEW
    if min(gains) < _ENOUGH:
        return FrameVerdict.PARTLY
    return FrameVerdict.FOLLOWS if moved is None else FrameVerdict.SYMMETRIC


def _gain(matching: Matching, base: Tensor | None = None) -> float:
    """The gain, 0 where it is within two standard errors of that."""
    gain, error = matching.gain(base)
    return 0.0 if not math.isfinite(gain) or (math.isfinite(error) and abs(gain) < _SURE * error) else gain
