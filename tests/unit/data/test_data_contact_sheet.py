"""Cells keep what an image shows, and labels fit."""

import numpy as np
from PIL import Image

from synthgap.data.contact_sheet import CELL_PX, INK, ContactSheet, cell, label_width, sheet_labels


def test_small_images_are_shown_as_pixels_and_large_ones_as_their_centre_square():
    small = np.array([[[0, 0, 0], [255, 255, 255]]] * 2, dtype=np.uint8)
    grown = np.asarray(cell(Image.fromarray(small)))
    assert grown.shape == (CELL_PX, CELL_PX, 3)
    assert set(np.unique(grown)) == {0, 255}  # no blur between them
    assert cell(Image.new("RGB", (300, 100))).size == (CELL_PX, CELL_PX)
    assert cell(Image.new("RGB", (300, 100)), 20).size == (20, 20)


def test_all_classes_are_shown_or_ten_evenly_spaced_ones():
    assert sheet_labels(3) == [0, 1, 2]
    assert sheet_labels(100)[::9] == [0, 99]
    assert len(set(sheet_labels(1000))) == 10


def test_a_caption_is_cut_to_its_width_and_a_label_is_as_wide_as_measured(tmp_path):
    sheet = ContactSheet(200, 60)
    sheet.caption("a name that is far too long for it", 100, 30, colour=INK, width_px=40)
    columns = np.flatnonzero((np.asarray(sheet.image) < 255).any(axis=(0, 2)))
    assert 0 < columns.max() - columns.min() <= 42
    assert label_width(["i", "a longer one"]) > label_width(["i"])
    sheet.save(tmp_path / "sheet.png")
    sheet.save_uncompressed(tmp_path / "plain.png")
    with Image.open(tmp_path / "sheet.png") as one, Image.open(tmp_path / "plain.png") as other:
        assert np.array_equal(np.asarray(one.convert("RGB")), np.asarray(other.convert("RGB")))
