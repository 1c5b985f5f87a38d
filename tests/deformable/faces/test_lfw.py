"""Real faces, and why their mirror images do not show their symmetry."""

import sys

import pytest
import torch

from pyro_symvi.deformable import flip_odd_energy, lfw_faces


def test_faces_and_others_are_the_two_halves_of_the_package_s_images():
    source = pytest.importorskip("skimage.data", reason="needs the extra 'datasets'").lfw_subset()
    faces, others = lfw_faces(25), lfw_faces(25, others=True)
    both = torch.cat([faces, others])
    assert both.shape == (200, 1, 25, 25) and both.dtype == torch.float32
    torch.testing.assert_close(both[:, 0], torch.from_numpy(source).float(), rtol=0, atol=0)
    large, small = lfw_faces(50), lfw_faces(5)
    assert large.shape == (100, 1, 50, 50) and 0 <= float(large.min()) and float(large.max()) <= 1
    pooled = torch.nn.functional.avg_pool2d(large, 2)
    assert float((pooled - faces).abs().mean()) < 0.015
    assert float((pooled - faces.flip(-1)).abs().mean()) > 0.08  # neither mirrored nor shifted
    assert float((small - torch.nn.functional.avg_pool2d(faces, 5)).abs().mean()) < 0.03
    assert float((lfw_faces(25) - faces).abs().max()) == 0  # callers get their own copy
    faces.zero_()
    assert float(lfw_faces(25).max()) > 0.9


def test_flip_odd_energy_does_not_detect_the_symmetry_of_faces():
    """The trap: faces change more under a flip than walls do, since pose and light outweigh symmetry."""
    pytest.importorskip("skimage.data", reason="needs the extra 'datasets'")
    faces, others = lfw_faces(25).double(), lfw_faces(25, others=True).double()
    of_faces, of_others = flip_odd_energy(faces), flip_odd_energy(others)
    assert float(of_faces.quantile(0.5)) == pytest.approx(0.3792, abs=2e-4)
    assert float(of_others.quantile(0.5)) == pytest.approx(0.2379, abs=2e-4)
    assert float(flip_odd_energy(faces.mean(0, keepdim=True))) == pytest.approx(0.1707, abs=2e-4)
    assert float(flip_odd_energy(others.mean(0, keepdim=True))) == pytest.approx(0.0467, abs=2e-4)  # lower still
    below = (of_faces[:, None] < of_others).double().mean()  # how often a face seems the more symmetric of two
    assert float(below) == pytest.approx(0.324, abs=1e-3)


def test_errors(monkeypatch):
    with pytest.raises(ValueError, match="expected size >= 2, got 1"):
        lfw_faces(1)
    monkeypatch.setitem(sys.modules, "skimage.data", None)
    with pytest.raises(ImportError, match=r"expected scikit-image .* pip install 'pyro-symvi\[datasets\]'"):
        lfw_faces()
