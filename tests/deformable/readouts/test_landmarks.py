"""Landmarks from few labels: truth found, ridge as in the books, offsets learnt only where data say so."""

import math

import numpy as np
import pytest
import torch

from pyro_symvi.deformable import LandmarkRegressor, TwoArmFigure, correspondence_error, landmark_distance
from pyro_symvi.deformable._points import grid_points
from pyro_symvi.deformable.readouts._landmarks import _ridge


def shifted(count, seed=0, side=20):
    """Frames of one flat object shifted by t, ``[count, 3, side, side]``, and t ``[count, 2]``."""
    generator = torch.Generator().manual_seed(seed)
    shift = 0.6 * torch.rand(count, 1, 2, generator=generator, dtype=torch.float64) - 0.3
    plane = 0.5 * (grid_points(side, side, like=shift) - shift)
    frames = torch.cat([plane, (1 - plane.square().sum(-1, keepdim=True)).sqrt()], -1)
    return frames.mT.unflatten(-1, (side, side)), shift


def test_landmarks_of_figures_from_true_frames() -> None:
    scene = TwoArmFigure(size=24).render(10, generator=torch.Generator().manual_seed(0))
    learnt = LandmarkRegressor.fit(scene.frame[:5], scene.landmarks[:5])
    found = learnt.predict(scene.frame[5:])
    eye = landmark_distance(torch.tensor([[[0.0, 0.0], [0.0, 0.5], [0.25, 0.0]]]), 0, 2, size=(40, 80))
    assert float(eye) == pytest.approx(10)
    error = correspondence_error(found, scene.landmarks[5:], scene.width[5:], size=(24, 24))
    assert error.mean() < 1 and error.mean("within_10") > 95
    one = LandmarkRegressor.fit(scene.frame[:1].nan_to_num(0.0), scene.landmarks[:1].nan_to_num(0.0))
    assert float(one.slope.abs().max()) == 0 and float(one.offset.abs().max()) == 0
    noise = torch.randn(10, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    guess = LandmarkRegressor.fit(noise[:5], scene.landmarks[:5]).predict(noise[5:])
    assert correspondence_error(guess, scene.landmarks[5:], scene.width[5:], size=(24, 24)).mean() > 4 * error.mean()


def test_what_frames_leave_out_is_learnt_by_the_ridge() -> None:
    frames, shift = shifted(14)
    places = torch.tensor([[0.2, -0.1], [-0.3, 0.2]], dtype=torch.float64)
    labels = places + shift
    plain = LandmarkRegressor.fit(frames[:8], labels[:8])
    assert float((plain.predict(frames[8:]) - labels[8:]).abs().max()) < 0.01
    labels = labels + 0.5 * shift.flip(-1)  # a label that moves on its own
    learnt = LandmarkRegressor.fit(frames[:8], labels[:8])
    assert learnt.penalty < 1 and float((learnt.predict(frames[8:]) - labels[8:]).abs().max()) < 0.02
    rigid = LandmarkRegressor.fit(frames[:8], labels[:8], penalty=math.inf)
    assert float(rigid.slope.abs().max()) == 0 and float((rigid.predict(frames[8:]) - labels[8:]).abs().max()) > 0.05
    hidden = labels.clone()
    hidden[:4, 1] = torch.nan
    fewer = LandmarkRegressor.fit(frames[:8], hidden[:8])
    assert float((fewer.predict(frames[8:]) - labels[8:]).abs().max()) < 0.1


@pytest.mark.parametrize("penalty", [0.01, 1.0, 100.0, math.inf])
def test_ridge_and_its_leave_one_out_error(penalty) -> None:
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(9, 4, generator=generator, dtype=torch.float64)
    wanted = torch.randn(9, 2, generator=generator, dtype=torch.float64)
    slope, offset, error = _ridge(inputs, wanted, penalty)
    strength = penalty * float((inputs - inputs.mean(0)).square().sum()) / 4

    def solved(rows):
        """Ridge with a free offset, by augmented least squares."""
        x, y = inputs[rows].numpy(), wanted[rows].numpy()
        if math.isinf(strength):
            return np.zeros((4, 2)), y.mean(0)
        tall = np.vstack([np.c_[x, np.ones(len(x))], np.c_[math.sqrt(strength) * np.eye(4), np.zeros(4)]])
        found = np.linalg.lstsq(tall, np.vstack([y, np.zeros((4, 2))]), rcond=None)[0]
        return found[:4], found[4]

    beta, constant = solved(list(range(9)))
    np.testing.assert_allclose(slope.mT.numpy(), beta, atol=1e-10)
    np.testing.assert_allclose(offset.numpy(), constant, atol=1e-10)
    total = 0.0
    for left in range(9):
        beta, constant = solved([k for k in range(9) if k != left])
        total += float(np.square(wanted[left].numpy() - inputs[left].numpy() @ beta - constant).sum())
    assert float(error) == pytest.approx(total, rel=1e-9)


def test_arguments_are_checked() -> None:
    frames, shift = shifted(3, side=8)
    labels = shift.expand(-1, 2, -1).clone()
    with pytest.raises(ValueError, match="landmarks"):
        LandmarkRegressor.fit(frames, labels[:2])
    with pytest.raises(ValueError, match="penalty"):
        LandmarkRegressor.fit(frames, labels, penalty=-1.0)
    labels[:, 1] = torch.nan
    with pytest.raises(ValueError, match=r"got none of \[1\]"):
        LandmarkRegressor.fit(frames, labels)
    with pytest.raises(ValueError, match="expected frames"):
        LandmarkRegressor.fit(frames, labels[:, :1]).predict(frames[:, :2])
