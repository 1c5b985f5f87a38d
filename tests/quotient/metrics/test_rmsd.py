"""RMSD against scipy and RDKit, in both dtypes, with masks, ties, mirror images and renumbered atoms."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from pyro_symvi.groups import PointCloudAction, SpecialEuclidean
from pyro_symvi.quotient.metrics import rmsd, rmsd_matrix, symmetric_rmsd


def clouds(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_pairs_agree_with_scipys_rotation_fit():
    x, y = clouds(5, 7, 3), clouds(5, 7, 3, seed=1)
    for a, b, value in zip(x, y, rmsd(x, y), strict=True):
        a, b = (a - a.mean(0)).numpy(), (b - b.mean(0)).numpy()
        assert value.item() == pytest.approx(Rotation.align_vectors(b, a)[1] / math.sqrt(7), abs=1e-12)


@pytest.mark.parametrize("d", [2, 3, 4])
def test_pairs_agree_with_the_distance_of_orbits(d):
    x, y = clouds(6, 5, d), clouds(6, 5, d, seed=1)
    expected = PointCloudAction(SpecialEuclidean(d)).distance(x, y) / math.sqrt(5)
    torch.testing.assert_close(rmsd(x, y), expected, atol=1e-12, rtol=0)


def test_it_is_a_metric_that_motions_do_not_change():
    x = clouds(4, 6, 3)
    turn = torch.from_numpy(Rotation.random(random_state=0).as_matrix())
    y = clouds(4, 6, 3, seed=1)
    torch.testing.assert_close(rmsd(x @ turn.mT + 3, y), rmsd(x, y), atol=1e-12, rtol=0)
    assert float(rmsd(x @ turn.mT + 3, x).max()) < 1e-14  # the difference of squares alone would leave 1e-8
    m = rmsd_matrix(x, x)
    assert bool((m[:, None, :] <= m[:, :, None] + m[None] + 1e-12).all())


@pytest.mark.parametrize("size", [1e-6, 1e-9])
def test_small_deviations_keep_their_digits(size):
    x, v = clouds(6, 3), clouds(6, 3, seed=1)
    v = PointCloudAction(SpecialEuclidean(3)).project(x, v)
    y = x + size * v
    assert rmsd(x, y).item() == pytest.approx(size * v.square().sum().div(6).sqrt().item(), rel=1e-5)
    assert rmsd_matrix(x[None], y[None]).item() == pytest.approx(rmsd(x, y).item(), rel=1e-9)


def test_a_mirror_image_is_another_molecule():
    x = clouds(5, 3)
    assert rmsd(x, -x).item() > 0.1
    flat = x * torch.tensor([1.0, 1.0, 0.0])
    assert rmsd(flat, flat * torch.tensor([-1.0, 1.0, 1.0])).item() < 1e-12  # a flat one is turned over


def test_masked_points_do_not_count():
    x, y = clouds(3, 6, 3), clouds(3, 6, 3, seed=1)
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2, [True, False] * 3])
    expected = torch.stack([rmsd(a[m], b[m]) for a, b, m in zip(x, y, mask, strict=True)])
    torch.testing.assert_close(rmsd(x, y, mask), expected, atol=1e-12, rtol=0)
    same = torch.where(mask[..., None], x, y)
    assert float(rmsd(x, same, mask).max()) < 1e-12
    torch.testing.assert_close(rmsd_matrix(x, y, mask=mask[1]), rmsd_matrix(x[:, mask[1]], y[:, mask[1]]))


def test_all_pairs_in_float32_are_computed_in_float64():
    x, y = clouds(4, 9, 3).float(), clouds(3, 9, 3, seed=1).float()
    m = rmsd_matrix(x, y)
    assert m.dtype == torch.float32 and m.shape == (4, 3)
    torch.testing.assert_close(m, rmsd(x[:, None].double(), y.double()).float(), atol=1e-7, rtol=0)


def test_limits_one_point_two_points_a_line_a_point():
    assert rmsd(clouds(2, 1, 3), clouds(2, 1, 3, seed=1)).tolist() == [0, 0]
    x, y = clouds(2, 3), clouds(2, 3, seed=1)
    gap = ((x[0] - x[1]).norm() - (y[0] - y[1]).norm()).abs() / 2
    torch.testing.assert_close(rmsd(x, y), gap, atol=1e-12, rtol=0)
    line = torch.arange(4.0).double()[:, None] * clouds(3)
    assert rmsd(line, line.flip(0)).item() < 1e-12
    assert rmsd(torch.zeros(4, 3), torch.ones(4, 3)).item() == 0


def test_renumbered_atoms_are_found_and_the_wrong_ones_are_not():
    x = clouds(2, 5, 3)
    swap = torch.tensor([[0, 1, 2, 3, 4], [0, 1, 2, 4, 3]])
    y = x[:, swap[1]]
    assert float(symmetric_rmsd(x, y, swap).max()) < 1e-12
    assert float(symmetric_rmsd(x, y, swap[:1]).min()) > 0.1
    both = symmetric_rmsd(x[:, None], y[None], swap)
    torch.testing.assert_close(rmsd_matrix(x, y, swap), both, atol=1e-12, rtol=0)
    brute = np.min([[[rmsd(a, b[p]).item() for b in y] for a in x] for p in swap], axis=0)
    torch.testing.assert_close(both, torch.tensor(brute), atol=1e-12, rtol=0)


CASES = {
    "numbers of points": (lambda: rmsd(torch.zeros(3, 3), torch.zeros(4, 3)), "as many points"),
    "batches": (lambda: rmsd(torch.zeros(2, 3, 3), torch.zeros(3, 3, 3)), "broadcast.*rmsd_matrix"),
    "nan": (lambda: rmsd(torch.zeros(2, 3, 3).index_fill(0, torch.tensor(1), math.nan), torch.zeros(3, 3)), "\\(1,\\)"),
    "empty mask": (lambda: rmsd(torch.zeros(3, 3), torch.zeros(3, 3), torch.zeros(3) > 0), "empty mask"),
    "one dimension": (lambda: rmsd(torch.zeros(3, 1), torch.zeros(3, 1)), "dimension 2"),
    "no permutation": (
        lambda: symmetric_rmsd(torch.zeros(2, 3), torch.zeros(2, 3), torch.tensor([[0, 0]])),
        "automorphisms",
    ),
    "matrix of one cloud": (lambda: rmsd_matrix(torch.zeros(3, 3), torch.zeros(2, 3, 3)), "\\[S, N, d\\]"),
    "matrix of none": (lambda: rmsd_matrix(torch.zeros(0, 3, 3), torch.zeros(2, 3, 3)), "at least one"),
    "matrix mask": (
        lambda: rmsd_matrix(torch.zeros(2, 3, 3), torch.zeros(2, 3, 3), mask=torch.ones(2, 3) > 0),
        "mask \\[N\\]",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_arguments_are_refused(name):
    call, words = CASES[name]
    with pytest.raises(ValueError, match=words):
        call()


def test_permutations_are_integers():
    with pytest.raises(TypeError, match="integer"):
        symmetric_rmsd(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(1, 2))
