"""Landmarks from few labels, on frames that stay as they are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._points import half_sizes
from ._match import frames_at, match

_PENALTIES = (math.inf, 100.0, 10.0, 1.0, 0.1, 0.01)
"""Candidates, in units of the mean variance of a feature: from no correction to an almost free one."""


@dataclass(frozen=True)
class LandmarkRegressor:
    """Landmarks p_k(I) = m_k(I) + W_k (m(I) - m0) + b_k, m_k the match of the mean vector of landmark k.

    The vectors d_k = mean over labelled images of Phi(p_k; I) say where on the object the landmarks are;
    m_k(I) = argmax_v <d_k, Phi(v; I)> is where that place lies in an image, m all of them, 2 K numbers, and m0 their
    mean. The rest, what frames leave out, is a ridge regression of the residuals, W_k -> 0 as the penalty grows. With
    one labelled image W = 0 and b = 0.

    Attributes:
        vectors: d, ``[K, D]``.
        centre: m0, ``[2 K]``.
        slope: W, ``[K, 2, 2 K]``.
        offset: b, ``[K, 2]``.
        penalty: of the ridge, in units of the mean variance of a feature.
    """

    vectors: Tensor
    centre: Tensor
    slope: Tensor
    offset: Tensor
    penalty: float

    @classmethod
    def fit(cls, frames: Tensor, landmarks: Tensor, penalty: float | None = None) -> LandmarkRegressor:
        """From labelled images.

        Args:
            frames: ``[B, D, h, w]``.
            landmarks: ``[B, K, 2]``; nan for those that are hidden.
            penalty: of the ridge; None for the best in leave-one-out error, d_k held fixed, from none to infinite.

        Raises:
            ValueError: for shapes that do not belong together, and for a landmark that is hidden everywhere.
        """
        if frames.ndim != 4 or landmarks.ndim != 3 or len(landmarks) != len(frames) or landmarks.shape[-1] != 2:
            raise ValueError(
                f"expected frames [B, D, h, w] and landmarks [B, K, 2], got {list(frames.shape)} and "
                f"{list(landmarks.shape)}"
            )
        if penalty is not None and not penalty >= 0:
            raise ValueError(f"expected a penalty of 0 or more, got {penalty}")
        landmarks = landmarks.to(frames)
        at = frames_at(frames, landmarks)
        seen = ~torch.isnan(at).any(-1)
        if not bool(seen.any(0).all()):
            raise ValueError(
                f"expected every landmark in some image, got none of {torch.nonzero(~seen.any(0))[:, 0].tolist()}, "
                "because what was never seen cannot be found; try more labelled images, or leave them out"
            )
        vectors = at.nanmean(0)
        matched = _matched(frames, vectors)
        features = matched.flatten(1)
        centre = features.mean(0)
        inputs, wanted = features - centre, landmarks - matched
        tried = _PENALTIES if penalty is None else (penalty,)
        fits = [[_ridge(inputs[s], wanted[s, k], one) for k, s in enumerate(seen.mT)] for one in tried]
        errors = [sum(float(fit[2]) for fit in each) for each in fits]
        best = min(range(len(tried)), key=errors.__getitem__)
        slope, offset = (torch.stack([fit[part] for fit in fits[best]]) for part in (0, 1))
        return cls(vectors, centre, slope, offset, tried[best])

    def predict(self, frames: Tensor) -> Tensor:
        """The landmarks of other images, ``[B, K, 2]``, from their frames ``[B, D, h, w]``."""
        if frames.ndim != 4 or frames.shape[1] != self.vectors.shape[1]:
            raise ValueError(f"expected frames [B, {self.vectors.shape[1]}, h, w], got {list(frames.shape)}")
        matched = _matched(frames, self.vectors.to(frames))
        moved = torch.einsum("kif,bf->bki", self.slope.to(frames), matched.flatten(1) - self.centre.to(frames))
        return matched + moved + self.offset.to(frames)


def landmark_distance(landmarks: Tensor, first: int, second: int, *, size: tuple[int, int]) -> Tensor:
    """Distance of two landmarks in pixels, ``[B]``: the inter-ocular distance of faces, a unit of errors.

    Args:
        landmarks: ``[B, K, 2]``.
        first: number of one.
        second: number of the other.
        size: height and width of the images in pixels.
    """
    return ((landmarks[:, first] - landmarks[:, second]) * half_sizes(*size, like=landmarks)).norm(dim=-1)


def _matched(frames: Tensor, vectors: Tensor) -> Tensor:
    return match(vectors.mT[None, :, :, None].expand(len(frames), -1, -1, 1), frames)


def _ridge(inputs: Tensor, wanted: Tensor, penalty: float) -> tuple[Tensor, Tensor, Tensor]:
    """Slope ``[2, F]``, offset ``[2]`` and the sum of squared leave-one-out errors."""
    count = len(inputs)
    middle, mean = inputs.mean(0), wanted.mean(0)
    centred = inputs - middle
    if count < 2:
        return wanted.new_zeros(2, inputs.shape[1]), torch.zeros_like(mean), wanted.new_zeros(())
    left, singular, right = torch.linalg.svd(centred, full_matrices=False)
    strength = penalty * (singular.square().sum() / inputs.shape[1]) if math.isfinite(penalty) else math.inf
    shrunk = singular / (singular.square() + strength).clamp_min(torch.finfo(singular.dtype).tiny)
    slope = (right.mT * shrunk) @ (left.mT @ (wanted - mean))  # [F, 2]
    leverage = (left.square() * (shrunk * singular)).sum(-1) + 1 / count
    residual = wanted - mean - centred @ slope
    errors = residual / (1 - leverage).clamp_min(1e-6)[:, None]
    return slope.mT, mean - middle @ slope, errors.square().sum()
