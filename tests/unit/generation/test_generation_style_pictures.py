from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from stylising_case import PARAMS

from synthgap.errors import DataError
from synthgap.generation.derived.style_pictures import (
    KINDS,
    made_patterns,
    open_styles,
    pattern_name,
)


def opened(root, **changes):
    return open_styles(replace(PARAMS.stylise, **changes), 16, root=root, seed=3)


def test_patterns_differ_and_a_longer_list_begins_with_the_shorter_one():
    longer, shorter = made_patterns(18, 16, seed=1), made_patterns(12, 16, seed=1)
    assert np.array_equal(longer[:12], shorter)
    assert not np.array_equal(shorter, made_patterns(12, 16, seed=2))
    assert len({picture.tobytes() for picture in longer}) == 18
    assert longer.reshape(18, -1).std(axis=1).min() > 20
    assert [pattern_name(index) for index in (0, 6, 7)] == ["stripes 0", "stripes 1", "checks 1"]
    assert len(KINDS) == 6


def test_a_folder_gives_at_most_so_many_pictures_as_squares(tmp_path):
    for index in range(5):
        path = tmp_path / "art" / "a" / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (40, 20 + index), 30 * index).save(path)
    (tmp_path / "art" / ".hidden").write_text("no picture")
    all_of_them, some = (
        opened(tmp_path, pictures="art"),
        opened(tmp_path, pictures="art", num_pictures=3),
    )
    assert all_of_them.names == tuple(f"a/{index}.jpg" for index in range(5))
    assert all_of_them.pixels.shape == (5, 16, 16, 3)
    assert len(some) == 3
    assert set(some.names) < set(all_of_them.names)
    chosen = [some.chosen(number, seed=3) for number in range(50)]
    assert set(chosen) == {0, 1, 2}
    assert chosen == [some.chosen(number, seed=3) for number in range(50)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "no such folder, expected style pictures"),
        (lambda folder: folder.mkdir(), "empty, expected style pictures"),
        (lambda folder: (folder.mkdir(), (folder / "b.txt").write_text("b")), "not an image"),
    ],
)
def test_a_folder_without_pictures_is_one_line(tmp_path, make, message):
    make(tmp_path / "art")
    with pytest.raises(DataError, match=message) as caught:
        opened(tmp_path, pictures="art")
    assert "\n" not in str(caught.value)
