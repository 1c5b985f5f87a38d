"""What pictures show: the same shape at the same place whatever its pose, densities of mass 1, Student's bands."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from scipy.spatial.transform import Rotation

from pyro_symvi.quotient.metrics import rmsd
from pyro_symvi.quotient.pictures import draw_clouds, draw_curves, draw_ramachandran, draw_torsions, save_figure


def clouds(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def places(axis):
    return np.array([patch.center for patch in axis.patches])


def depths(axis):
    return np.array([patch.get_zorder() for patch in axis.patches])


def test_one_shape_in_any_pose_is_drawn_at_the_same_place_and_a_mirror_image_has_near_and_far_swapped():
    x = clouds(5, 3)
    turns = torch.from_numpy(Rotation.random(3, random_state=0).as_matrix())
    poses = x @ turns.mT + clouds(3, 1, 3)
    figure = draw_clouds(torch.cat([poses, -poses[:1]]))
    first, *others, mirrored = figure.axes[:4]
    for axis in others:
        np.testing.assert_allclose(places(axis), places(first), atol=1e-9)
        np.testing.assert_allclose(depths(axis), depths(first), atol=1e-6)
    np.testing.assert_allclose(places(mirrored), places(first), atol=1e-9)
    np.testing.assert_allclose(depths(mirrored), 2100 - depths(first), atol=1e-6)
    shades = [[patch.get_facecolor() for patch in axis.patches] for axis in (first, mirrored)]
    assert np.abs(np.array(shades[0]) - shades[1]).max() > 0.2


def test_a_flat_molecule_is_seen_from_above_in_true_lengths_and_one_scale():
    flat = torch.cat([clouds(4, 2), torch.zeros(4, 1).double()], -1)
    turn = torch.from_numpy(Rotation.random(random_state=1).as_matrix())
    figure = draw_clouds(torch.stack([flat, 2 * flat]) @ turn.mT, elements=["C", "O", "N", "Xx"])
    for factor, axis in zip((1, 2), figure.axes, strict=True):
        drawn = torch.from_numpy(places(axis))
        torch.testing.assert_close(torch.cdist(drawn, drawn), factor * torch.cdist(flat, flat), atol=1e-9, rtol=0)
        assert (
            np.ptp(places(axis)[:, 0]) >= np.ptp(places(axis)[:, 1]) / 2
        )  # the axis of largest spread runs from left to right
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()


def test_each_cloud_lies_over_its_nearest_reference_with_their_distance_above():
    references = clouds(3, 6, 3)
    turn = torch.from_numpy(Rotation.random(random_state=2).as_matrix())
    x = references[[2, 0]][:, [1, 0, 2, 3, 4, 5]] @ turn.mT + 0.05 * clouds(2, 6, 3, seed=1)
    swaps = torch.tensor([[0, 1, 2, 3, 4, 5], [1, 0, 2, 3, 4, 5]])
    figure = draw_clouds(x, references=references, permutations=swaps, titles=["a", "b"])
    expected = rmsd(x, references[[2, 0]][:, swaps[1]])
    for axis, value, title in zip(figure.axes, expected.tolist(), "ab", strict=True):
        assert axis.get_title() == f"{title}  {value:.2f} Å"
        ghost, sample = places(axis)[:6], places(axis)[6:]
        assert np.abs(ghost - sample).max() < 0.3


def test_masked_points_and_bonds_to_them_are_not_drawn():
    mask = torch.tensor([True, True, False, True])
    edges = torch.zeros(4, 4, dtype=torch.int64)
    for i, j in ((0, 1), (1, 2), (1, 3)):
        edges[i, j] = edges[j, i] = 1
    drawn = draw_clouds(clouds(1, 4, 3), edges, ["C", "C", "C", "H"], mask=mask)
    plain = draw_clouds(clouds(1, 4, 3)[:, mask], [(0, 1), (1, 2)], ["C", "C", "H"])
    np.testing.assert_allclose(places(drawn.axes[0]), places(plain.axes[0]))
    assert len(drawn.axes[0].lines) == len(plain.axes[0].lines) == 2 * 2 * 2 + 1  # halves with rims, and the scale


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 2, 3), (2, 3, 2), (1, 40, 3)])
def test_few_points_the_plane_and_traces_can_be_drawn(shape):
    figure = draw_clouds(clouds(*shape), columns=1)
    assert len(places(figure.axes[0])) == (shape[1] if shape[1] <= 12 else 0)


def test_points_at_one_place_are_drawn_at_one_place():
    assert np.ptp(places(draw_clouds(torch.ones(1, 3, 3)).axes[0])) < 1e-12


def test_torsion_densities_have_mass_1_and_say_what_is_undefined():
    x = torch.cat([clouds(300, 2), torch.full((100, 2), math.nan)])
    figure = draw_torsions({"plain": x}, clouds(500, 2, seed=1), names=["phi", "psi"])
    for axis in figure.axes[:2]:
        for stairs in axis.patches:
            values, edges, _ = stairs.get_data()
            assert (values * np.diff(edges)).sum() == pytest.approx(1)
    assert "plain (25.0% undefined)" in [text.get_text() for text in figure.legends[0].texts]
    assert [axis.get_title() for axis in figure.axes] == ["phi", "psi"]
    curve = draw_torsions({"plain": x[:300, 0]}, lambda a: torch.full_like(a, 1 / (2 * math.pi)))
    assert curve.axes[0].collections[0].get_paths()[0].vertices[:, 1].max() == pytest.approx(1 / 360)


def test_maps_are_shares_of_cells_with_the_wrap():
    first, second = torch.tensor([3.0, 3.0 - 2 * math.pi, 1.0]), torch.tensor([1.0, 1.0, -2.0])
    figure = draw_ramachandran({"plain": (first, second)}, (first, second), bins=12)
    values = figure.axes[1].collections[0].get_array().filled(0)
    assert sorted(values[values > 0].tolist()) == pytest.approx([1 / 3, 2 / 3])


def test_bands_are_students_intervals():
    table = clouds(5, 3).exp()
    table[0, 2] = math.nan
    figure = draw_curves({"plain": table}, [1, 10, 100], label="steps", figure_label="W1", target=0.5)
    axis = figure.axes[0]
    for k, rows in enumerate([table[:, 0], table[:, 1], table[1:, 2]]):
        low, high = scipy.stats.t.interval(0.95, len(rows) - 1, loc=rows.mean(), scale=scipy.stats.sem(rows))
        band = axis.collections[0].get_paths()[0].vertices
        at = band[np.isclose(band[:, 0], 10.0**k)][:, 1]
        assert (at.min(), at.max()) == pytest.approx((float(low), float(high)))
    np.testing.assert_allclose(axis.lines[0].get_ydata(), table.nanmean(0))


def test_files_are_the_same_each_time_and_leave_no_halves(tmp_path):
    for name in ("a.svg", "a.png", "deep/a.pdf"):
        one, other = tmp_path / name, tmp_path / f"again-{name.replace('/', '-')}"
        assert save_figure(draw_clouds(clouds(1, 4, 3)), one) == one
        save_figure(draw_clouds(clouds(1, 4, 3)), other)
        assert one.read_bytes() == other.read_bytes() and len(one.read_bytes()) > 1000
    assert not list(tmp_path.rglob("*.partial"))
    with pytest.raises(ValueError, match="svg"):
        save_figure(draw_clouds(clouds(1, 4, 3)), tmp_path / "a.docx")


X = torch.zeros(2, 4, 3)
CASES = {
    "too many": (lambda: draw_clouds(torch.zeros(61, 4, 3)), "1 to 60"),
    "one cloud": (lambda: draw_clouds(torch.zeros(4, 3)), "\\[M, N, 3\\]"),
    "nan": (lambda: draw_clouds(torch.full((2, 4, 3), math.nan)), "finite"),
    "elements": (lambda: draw_clouds(X, elements=["C"]), "4 elements"),
    "titles": (lambda: draw_clouds(X, titles=["a"]), "2 titles"),
    "bonds": (lambda: draw_clouds(X, [(0, 4)]), "points 0..3"),
    "references": (lambda: draw_clouds(X, references=torch.zeros(2, 3, 3)), "\\[R, 4, 3\\]"),
    "ragged": (lambda: draw_clouds(X, mask=torch.ones(2, 4) > 0), "mask \\[N\\]"),
    "no torsions": (lambda: draw_torsions({}), "at least one method"),
    "other numbers": (lambda: draw_torsions({"a": X[0], "b": X[0, :, :2]}), "as many"),
    "undefined": (lambda: draw_torsions({"a": torch.full((3,), math.nan)}), "defined"),
    "names": (lambda: draw_torsions({"a": X[0]}, names=["phi"]), "3 names"),
    "unpaired": (lambda: draw_ramachandran({"a": (torch.zeros(3), torch.zeros(4))}), "as many"),
    "no maps": (lambda: draw_ramachandran({}), "at least one method"),
    "places": (lambda: draw_curves({"a": torch.ones(2)}, [2, 1], label="", figure_label=""), "increasing"),
    "points": (lambda: draw_curves({"a": torch.ones(2, 3)}, [1, 2], label="", figure_label=""), "seeds"),
    "no curves": (lambda: draw_curves({}, [1], label="", figure_label=""), "at least one curve"),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_arguments_are_refused(name):
    call, words = CASES[name]
    with pytest.raises(ValueError, match=words):
        call()
