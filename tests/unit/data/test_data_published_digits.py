from pathlib import Path

import numpy as np
from image_folders import tree
from PIL import Image

from synthgap.data.folder import RawFolder
from synthgap.data.published import PUBLISHED, write_digits

EMBEDDED = Path(__file__).parents[3] / "embedded" / "digits"


def test_the_embedded_digits_are_what_scikit_learn_gives(tmp_path):
    write_digits(tmp_path)
    assert tree(tmp_path) == tree(EMBEDDED)


def test_the_embedded_digits_are_small_and_whole():
    files = tree(EMBEDDED)
    assert sum(len(content) for content in files.values()) < 1_000_000
    PUBLISHED["digits"].check(RawFolder.read(EMBEDDED), "digits")


def test_pixels_are_the_ink_counts_scaled_to_bytes():
    from sklearn.datasets import load_digits

    digits = load_digits()
    for index in (0, 17, 1796):
        path = EMBEDDED / str(digits.target[index]) / f"{index:04d}.png"
        picture = Image.open(path)
        assert (picture.mode, picture.size) == ("L", (8, 8))
        assert np.array_equal(np.rint(np.asarray(picture) / 255 * 16), digits.images[index])
