"""Scenes: frames, partners, landmarks and images are exact."""

import dataclasses

import pytest
import torch

from pyro_symvi.deformable import EllipsoidFace, Flower, TwoArmFigure
from pyro_symvi.deformable._points import grid_points

SIZE = 24
SCENES = [TwoArmFigure(size=SIZE), Flower(petals=4, pattern=2, size=SIZE), EllipsoidFace(size=SIZE)]
NAMES = [type(scene).__name__ for scene in SCENES]


def _drawn(scene, count=4):
    poses = scene.poses(count, generator=torch.Generator().manual_seed(3))
    return scene, poses, scene.draw(poses, dtype=torch.float64)


DRAWN = {}


@pytest.fixture(params=SCENES, ids=NAMES)
def drawn(request):
    if request.param not in DRAWN:
        DRAWN[request.param] = _drawn(request.param)
    return DRAWN[request.param]


def _same(scene, element):
    return element % getattr(scene, "pattern", 1) == 0


def test_partners_carry_the_moved_place_and_its_colour(drawn):
    scene, poses, rendered = drawn
    places = rendered.frame.flatten(2).mT
    centres = grid_points(SIZE, SIZE, like=places).expand(len(places), -1, -1)
    object_ = rendered.visible.flatten(1)
    for element, matrix in enumerate(rendered.symmetry.frame_matrices()):
        points = rendered.partners[element]
        seen = ~torch.isnan(points[..., 0])
        assert not (seen & ~object_).any()
        assert seen.sum() > 0.85 * object_.sum()
        found = scene.places(points.nan_to_num(), poses)
        torch.testing.assert_close(found[seen], (places @ matrix.mT)[seen], atol=1e-7, rtol=0)
        back = scene.points(found @ matrix, poses)
        torch.testing.assert_close(back[seen], centres[seen], atol=1e-7, rtol=0)
        off = (scene.colours(found, poses) - scene.colours(places, poses))[seen].abs()
        assert off.max() < 1e-6 if _same(scene, element) else off.mean() > 0.05


def test_partners_agree_with_the_nearest_vector_among_pixels(drawn):
    _, _, rendered = drawn
    places = rendered.frame.flatten(2).mT
    moved = places @ rendered.symmetry.frame_matrices()[1].mT
    nearest = torch.cdist(moved.nan_to_num(nan=9.0), places.nan_to_num(nan=-9.0)).argmin(-1)
    off = (grid_points(SIZE, SIZE, like=places)[nearest] - rendered.partners[1]) * SIZE / 2
    pixels = off.norm(dim=-1)[~torch.isnan(off[..., 0])]
    assert pixels.mean() < 0.6
    assert (pixels < 1.5).float().mean() > 0.97


def test_where_no_partner_is_given_something_else_is_seen(drawn):
    scene, poses, rendered = drawn
    places = rendered.frame.flatten(2).mT
    moved = places @ rendered.symmetry.frame_matrices()[1].mT
    hidden = torch.isnan(rendered.partners[1, ..., 0]) & rendered.visible.flatten(1)
    point = scene._point(moved, poses)
    other = (scene.places(point, poses) - moved).norm(dim=-1)
    assert (torch.isnan(other) | (other > 1e-3) | (point.abs() > 1).any(-1))[hidden].all()


def test_frames_are_unit_vectors_that_tell_pixels_apart(drawn):
    _, _, rendered = drawn
    for frame, seen in zip(rendered.frame.flatten(2), rendered.visible.flatten(1), strict=True):
        places = frame.mT[seen]
        torch.testing.assert_close(places.norm(dim=-1), torch.ones(len(places), dtype=torch.float64))
        assert torch.pdist(places).min() > 1e-3


def test_landmarks_lie_on_their_places_and_are_reordered_by_the_symmetry(drawn):
    scene, poses, rendered = drawn
    places = torch.tensor(list(scene._landmarks().values()), dtype=torch.float64)
    seen = ~torch.isnan(rendered.landmarks[..., 0])
    found = scene.places(rendered.landmarks, poses)
    torch.testing.assert_close(found[seen], places.expand_as(found)[seen], atol=1e-7, rtol=0)
    assert seen.float().mean() > 0.7
    for matrix, order in zip(rendered.symmetry.frame_matrices(), rendered.landmark_order, strict=True):
        torch.testing.assert_close(places @ matrix.mT, places[order])
    first = rendered.landmark_names
    assert [first[k] for k in rendered.landmark_order[1]] == [_next(name) for name in first]


def _next(name):
    if name.startswith("petal"):
        return f"petal {int(name[6]) % 4 + 1}{name[7:]}"
    return {"left": "right", "right": "left"}.get(name.split()[0], name.split()[0]) + name[len(name.split()[0]) :]


@pytest.mark.parametrize(
    ("scene", "signs", "exchanged"),
    [
        (TwoArmFigure(size=SIZE), ("rotation", "bend"), ("shoulder", "elbow", "depth")),
        (EllipsoidFace(size=SIZE), ("rotation", "yaw"), ()),
    ],
    ids=["TwoArmFigure", "EllipsoidFace"],
)
def test_the_mirrored_pose_has_the_mirrored_image(scene, signs, exchanged):
    scene = dataclasses.replace(scene, background=0.0)
    _, poses, rendered = _drawn(scene, 2)
    mirrored = dict(poses) | {name: -poses[name] for name in signs} | {name: poses[name].flip(1) for name in exchanged}
    for name in ("translation", "light"):
        mirrored[name] = poses[name] * torch.tensor([-1.0, 1.0])
    other = scene.draw(mirrored, dtype=torch.float64)
    one = torch.ones(2, dtype=torch.long)
    expected = rendered.symmetry.on_frames(one, rendered.symmetry.on_images(one, rendered.frame))
    torch.testing.assert_close(other.frame, expected, atol=1e-9, rtol=0, equal_nan=True)
    torch.testing.assert_close(other.images, rendered.images.flip(-1), atol=1e-9, rtol=0)
    landmarks = rendered.symmetry.on_points(one, rendered.landmarks)
    torch.testing.assert_close(
        other.landmarks[:, rendered.landmark_order[1]], landmarks, atol=1e-9, rtol=0, equal_nan=True
    )
    assert (rendered.images - rendered.images.flip(-1)).abs().amax((1, 2, 3)).min() > 0.1


@pytest.mark.parametrize("steps", [1, 2])
def test_a_flower_turned_on_by_its_pattern_is_the_same_image(steps):
    flower = Flower(petals=4, pattern=2, size=SIZE)
    _, poses, one = _drawn(flower, 3)
    moved = dict(poses, turn=poses["turn"] + steps * torch.pi / 2)
    for name in ("bend", "swing", "stretch", "depth"):
        moved[name] = poses[name].roll(-steps, 1)
    other = flower.draw(moved, dtype=torch.float64)
    turned = torch.einsum("ij,njhw->nihw", flower.symmetry.frame_matrices()[steps], other.frame)
    torch.testing.assert_close(turned, one.frame, atol=1e-9, rtol=0, equal_nan=True)
    off = (one.images - other.images).abs().amax((1, 2, 3))
    assert (off < 1e-9).all() if steps == flower.pattern else (off > 0.1).all()


def test_images_are_averages_of_colours_and_the_light_is_not_symmetric():
    scene = TwoArmFigure(size=12, light=0.0, supersampling=2)
    fine = dataclasses.replace(scene, size=24, supersampling=1)
    _, poses, rendered = _drawn(fine, 2)
    colours = fine.colours(rendered.frame.flatten(2).mT, poses).clamp(0, 1).mT.reshape(rendered.images.shape)
    seen = rendered.visible[:, None].expand_as(colours)
    torch.testing.assert_close(rendered.images[seen], colours[seen])
    pooled = torch.nn.functional.avg_pool2d(rendered.images, 2)
    torch.testing.assert_close(scene.images(poses, dtype=torch.float64), pooled)
    lit = dataclasses.replace(fine, light=0.5).images(poses, dtype=torch.float64)
    assert (lit - rendered.images)[seen].abs().max() > 0.1
    torch.testing.assert_close(lit[~seen], rendered.images[~seen])
    assert rendered.images[~seen].reshape(-1).std() > 0.02


def test_normals_point_out_of_the_object_where_they_are_steep(drawn):
    scene, poses, _ = drawn
    points = grid_points(40, 40, like=poses["light"]).expand(4, -1, -1)
    places, normals = scene._look(points, poses)
    torch.testing.assert_close(normals.norm(dim=-1)[~places.isnan().any(-1)].min(), normals.new_ones(()))
    slope = normals[..., :2].norm(dim=-1).where(~places.isnan().any(-1), 0.0)
    steep = slope > 0.95 * slope.max()
    ahead, behind = (scene.places(points + step * normals[..., :2], poses) - places for step in (0.07, -0.07))
    left, stayed = ((off.norm(dim=-1) < 0.7)[steep].float().mean() for off in (ahead, behind))  # nan elsewhere
    assert left < 0.2
    assert stayed > 0.9


def test_arms_pass_behind_or_before_the_trunk_as_asked():
    poses = TwoArmFigure(size=SIZE, behind=0.0).poses(8, generator=torch.Generator().manual_seed(3))
    scene = TwoArmFigure(size=SIZE)
    before, after = scene.draw(poses), scene.draw(dict(poses, depth=-poses["depth"]))
    shoulders = [before.landmark_names.index(f"{side} shoulder") for side in ("left", "right")]
    assert not torch.isnan(before.landmarks[:, shoulders]).any()
    assert torch.isnan(after.landmarks[:, shoulders]).all()
    assert (TwoArmFigure(behind=1.0).poses(8)["depth"] < 0).all()


def test_strengths_are_standard_deviations_of_colours():
    scene = EllipsoidFace(size=8, texture=0.08, tint=0.05)
    poses = scene.poses(800, generator=torch.Generator().manual_seed(0))
    place = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64).expand(800, 1, 3)
    tint, whole = poses["tint"], scene.colours(place, poses) - scene._paint(place)
    torch.testing.assert_close(tint.square().mean().sqrt().item(), 0.05, atol=0.003, rtol=0)
    torch.testing.assert_close((whole - tint).square().mean().sqrt().item(), 0.08, atol=0.005, rtol=0)


def test_what_has_left_the_image_is_given_no_point():
    scene = TwoArmFigure(size=12)
    poses = scene.poses(3, generator=torch.Generator().manual_seed(3))
    rendered = scene.draw(dict(poses, translation=poses["translation"] + torch.tensor([0.8, 0.0])))
    for points in (rendered.partners, rendered.landmarks):
        assert points[~torch.isnan(points)].abs().max() <= 1
    assert torch.isnan(rendered.partners[1, :, rendered.visible.flatten(1).any(0), 0]).any()


def test_the_width_is_that_of_the_bounding_box_and_parts_of_a_batch_agree():
    scene, poses, rendered = _drawn(EllipsoidFace(size=SIZE), 18)  # more than are drawn at a time
    for seen, width in zip(rendered.visible, rendered.width, strict=True):
        rows, columns = seen.nonzero().unbind(-1)
        assert width == max(rows.max() - rows.min(), columns.max() - columns.min()) + 1
    part, alone = rendered[16:], scene.draw({name: value[16:] for name, value in poses.items()}, dtype=torch.float64)
    assert len(part) == 2
    for name in ("images", "frame", "partners", "width", "landmarks"):
        torch.testing.assert_close(getattr(part, name), getattr(alone, name), equal_nan=True)


def test_one_generator_makes_all_and_the_global_one_stays():
    before = torch.get_rng_state()
    scene = Flower(3, size=8)
    first, second = (scene.render(2, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first.images, second.images)
    assert first.images.dtype == first.frame.dtype == torch.float32
    assert not torch.equal(first.images[0], first.images[1])


@pytest.mark.parametrize(
    ("scene", "options", "words"),
    [
        (TwoArmFigure, {"size": 7}, "size >= 8"),
        (TwoArmFigure, {"behind": 1.5}, "behind between 0 and 1"),
        (EllipsoidFace, {"yaw": float("nan")}, "yaw between"),
        (EllipsoidFace, {"light": -0.1}, "light between"),
        (Flower, {"petals": 5, "pattern": 2}, "a pattern that divides"),
        (Flower, {"petals": 13}, "2 to 12 petals"),
        (Flower, {"bend": 2.5}, "bend between 0 and 2"),
    ],
)
def test_refused(scene, options, words):
    with pytest.raises(ValueError, match=words):
        scene(**options)
