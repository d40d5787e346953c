import numpy as np
import pytest
import torch
from PIL import Image

from synthgap.errors import DataError
from synthgap.params.sections import PixMix
from synthgap.training.augmentation import load_mixing_pictures


@pytest.fixture
def folder(tmp_path):
    draw = np.random.default_rng(0)
    for number in range(6):
        path = tmp_path / f"kind{number % 2}" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (20 + number, 30, 3), dtype=np.uint8)).save(path)
    (tmp_path / "Thumbs.db").write_text("left by a system")
    return tmp_path


def pictures(folder, number, seed=0):
    return load_mixing_pictures(PixMix(str(folder), number, 3, 4, 3.0), 16, seed=seed)


def test_pictures_are_squares_chosen_by_the_seed(folder):
    four = pictures(folder, 4)
    assert four.shape == (4, 3, 16, 16)
    assert four.dtype == torch.uint8
    assert torch.equal(four, pictures(folder, 4))
    assert any(not torch.equal(four, pictures(folder, 4, seed=seed)) for seed in (1, 2, 3))
    assert len(pictures(folder, 100)) == 6


def test_a_folder_that_is_not_there_or_empty_is_said(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: missing, expected a folder of mixing pictures"):
        pictures(tmp_path / "nowhere", 3)
    with pytest.raises(DataError, match="no pictures"):
        pictures(tmp_path, 3)


def test_a_file_that_is_no_image_is_said(folder):
    (folder / "notes.txt").write_text("not an image")
    with pytest.raises(DataError, match=r"notes\.txt"):
        pictures(folder, 100)
