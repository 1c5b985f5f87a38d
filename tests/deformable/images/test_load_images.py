"""Folders of images: what is read, what is done to it, and how refusals name the files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pyro_symvi.deformable import load_images

COLOURS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
GREY = COLOURS[..., 0]


def put(folder: Path, **arrays: np.ndarray) -> Path:
    for name, array in arrays.items():
        Image.fromarray(array).save(folder / f"{name}.png")
    return folder


def test_pixels_arrive_as_they_are_in_the_order_of_names(tmp_path):
    found = load_images(put(tmp_path, b=COLOURS, a=255 - COLOURS), size=(20, 30))
    assert found.names == ("a.png", "b.png") and found.mask is None and found.notes == ()
    torch.testing.assert_close(found.images[1], torch.from_numpy(COLOURS).permute(2, 0, 1) / 255)
    assert found.images.dtype == torch.float32 and found.sizes == ((20, 30), (20, 30))


def test_cropping_takes_the_middle_and_padding_keeps_all(tmp_path):
    put(tmp_path, a=COLOURS, b=COLOURS[:, ::-1].copy())
    truth = torch.from_numpy(COLOURS).permute(2, 0, 1) / 255
    torch.testing.assert_close(load_images(tmp_path, 20).images[0], truth[..., 5:25])
    padded = load_images(tmp_path, 30, fit="pad")
    torch.testing.assert_close(padded.images[0, :, 5:25], truth)
    torch.testing.assert_close(padded.images[0, :, 0, 0], truth.mean((1, 2)))
    assert padded.mask is not None
    assert padded.mask[0].sum(0).unique().tolist() == [20] and padded.mask[0, 5:25].all()
    assert load_images(tmp_path, (10, 30), fit="stretch").images.shape == (2, 3, 10, 30)


def test_other_kinds_of_files_show_the_same_picture(tmp_path):
    wide = (GREY.astype(np.uint16) * 257).astype(np.uint16)
    still = Image.fromarray(GREY)
    noted = Image.Exif()
    noted[0x0112] = 6
    still.save(tmp_path / "a.png")
    Image.fromarray(wide).save(tmp_path / "b.png")
    Image.fromarray(wide).save(tmp_path / "c.tif")
    Image.fromarray((GREY / 255).astype(np.float32)).save(tmp_path / "d.tiff")
    still.convert("RGB").save(tmp_path / "e.png")
    still.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "f.png", exif=noted)
    Image.fromarray(255 - GREY).save(tmp_path / "z.png")
    found = load_images(tmp_path, (20, 30))
    assert found.images.shape == (7, 1, 20, 30)
    torch.testing.assert_close(found.images[:6], found.images[:1].expand(6, -1, -1, -1))
    assert any("turned" in note and "f.png" in note for note in found.notes)


def test_what_can_be_seen_through_is_white_and_masked(tmp_path):
    alpha = np.zeros((20, 30), dtype=np.uint8)
    alpha[5:15] = 255
    see_through = np.dstack([COLOURS, alpha])
    found = load_images(put(tmp_path, a=COLOURS, b=see_through), size=(20, 30))
    assert found.mask is not None
    assert torch.equal(found.mask[1], torch.from_numpy(alpha > 0)) and found.mask[0].all()
    assert found.images[1, :, :5].min() == 1
    padded = load_images(tmp_path, 30, fit="pad").mask
    assert padded is not None and padded.sum((1, 2)).tolist() == [20 * 30, 10 * 30] and padded[1, 10:20].all()
    torch.testing.assert_close(found.images[1, :, 5:15], found.images[0, :, 5:15])


def test_grey_and_coloured_images_are_told_apart(tmp_path):
    put(tmp_path, a=COLOURS, b=GREY)
    with pytest.raises(ValueError, match=r"1 in colour \(a.png\) and 1 in grey \(b.png\).*channels='grey'"):
        load_images(tmp_path)
    grey = load_images(tmp_path, (20, 30), "grey").images
    expected = (COLOURS @ np.array([0.299, 0.587, 0.114]) / 255).astype(np.float32)
    torch.testing.assert_close(grey[0, 0], torch.from_numpy(expected))
    colour = load_images(tmp_path, (20, 30), "colour").images
    assert colour.shape[1] == 3 and torch.equal(colour[1, 0], colour[1, 2])


def test_unreadable_files_are_named_with_their_reason(tmp_path):
    put(tmp_path, a=COLOURS, b=255 - COLOURS)
    (tmp_path / "empty.png").touch()
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(COLOURS).save(
        tmp_path / "moving.gif", save_all=True, append_images=[Image.fromarray(255 - COLOURS)]
    )
    Image.fromarray(GREY.astype(np.float32)).save(tmp_path / "range.tif")
    Image.fromarray(np.dstack([GREY, 0 * GREY])).save(tmp_path / "glass.png")
    with pytest.raises(ValueError) as caught:
        load_images(tmp_path)
    for words in (
        "5 of 7",
        "glass.png: it can be seen through",
        "empty.png: it is empty",
        "cut.png: ",
        "moving.gif: it moves",
    ):
        assert words in str(caught.value)
    found = load_images(tmp_path, skip_unreadable=True)
    assert found.names == ("a.png", "b.png") and "left out 5 of 7" in found.notes[0]


def test_refusals_of_folders(tmp_path):
    one = put(tmp_path, a=COLOURS)
    with pytest.raises(ValueError, match=r"at least 2 different images, got one \(a.png\)"):
        load_images(one)
    assert load_images(one, least=1).images.shape == (1, 3, 48, 48)
    with pytest.raises(ValueError, match="got one.*2 files show the same picture"):
        load_images(put(one, b=COLOURS))
    put(one, c=GREY[:10])
    with pytest.raises(ValueError, match="2 sizes from 10 x 30 to 20 x 30.*fit='error'"):
        load_images(one, channels="grey", fit="error")
    assert "2 sizes from 10 x 30 to 20 x 30" in load_images(one, channels="grey").notes[0]
    (empty := tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="a folder with images.*with none and 0 other files"):
        load_images(empty)
    (inner := empty / "inner").mkdir()
    put(inner, a=COLOURS)
    with pytest.raises(ValueError, match="try .*inner"):
        load_images(empty)
    with pytest.raises(FileNotFoundError, match="which is not there"):
        load_images(tmp_path / "no")
    with pytest.raises(ValueError, match="a folder of images, got the file"):
        load_images(inner / "a.png")
    with pytest.raises(ValueError, match="fit as one of crop, pad, stretch, error, got 'zoom'"):
        load_images(one, fit="zoom")
