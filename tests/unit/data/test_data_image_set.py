import numpy as np
import pytest
from image_folders import paint

from synthgap.data import ImageSet, square, write_manifest, write_png
from synthgap.errors import DataError


def make(root, count=4):
    shas = [
        write_png(root / f"{index}.png", np.full((8, 8, 3), index, np.uint8))
        for index in range(count)
    ]
    columns = {
        "path": [f"{index}.png" for index in range(count)],
        "label": [index % 2 for index in range(count)],
        "sha256": shas,
    }
    write_manifest(root, kind="real", classes=["a", "b"], columns=columns)
    return ImageSet.read(root)


def test_a_set_reads_back_what_was_written(tmp_path):
    one = make(tmp_path)
    assert one.pixels(8)[3, 0, 0].tolist() == [3, 3, 3]
    assert one.labels.tolist() == [0, 1, 0, 1]
    assert (one.kind, one.classes, len(one)) == ("real", ("a", "b"), 4)


def test_the_store_changes_nothing_but_time(tmp_path):
    one = make(tmp_path / "set")
    stored = one.pixels(12, store=tmp_path / "store")
    assert np.array_equal(stored, one.pixels(12))
    assert np.array_equal(one.pixels(12, store=tmp_path / "store"), stored)


def test_equal_digests_mean_equal_images_in_equal_order(tmp_path):
    one = make(tmp_path / "one")
    assert make(tmp_path / "two").digest == one.digest
    assert make(tmp_path / "three", count=3).digest != one.digest


def test_changed_bytes_are_refused(tmp_path):
    one = make(tmp_path)
    paint(tmp_path / "2.png", 5)
    with pytest.raises(DataError, match=r"2\.png: bytes differ"):
        one.pixels(8)
    (tmp_path / "2.png").unlink()
    with pytest.raises(DataError, match=r"2\.png: No such file"):
        one.pixels(8)


def test_a_folder_without_manifest_is_no_set(tmp_path):
    with pytest.raises(DataError, match="missing"):
        ImageSet.read(tmp_path)


def test_a_manifest_without_a_column_is_refused(tmp_path):
    write_manifest(tmp_path, kind="real", classes=["a"], columns={"path": ["x"], "label": [0]})
    with pytest.raises(DataError, match="sha256"):
        ImageSet.read(tmp_path)


def test_pngs_are_stored_not_deflated_because_zlibs_differ(tmp_path):
    write_png(tmp_path / "x.png", np.zeros((64, 64, 3), dtype=np.uint8))
    content = (tmp_path / "x.png").read_bytes()
    first_block = content[content.index(b"IDAT") + 4 + 2]
    assert first_block & 0b110 == 0  # RFC 1951: BTYPE 00, no compression


@pytest.mark.parametrize("size", [(8, 8), (16, 8), (8, 20), (7, 9), (30, 31)])
def test_a_square_is_square_and_an_exact_fit_untouched(tmp_path, size):
    from PIL import Image

    picture = Image.open(paint(tmp_path / "x.png", 1, size=size))
    made = square(picture, 8)
    assert made.size == (8, 8)
    if size == (8, 8):
        assert np.array_equal(np.asarray(made), np.asarray(picture))
