"""Near-copies of an earlier image are found, in order, and nothing later changes an answer."""

import numpy as np
import pytest

from synthgap.data import ImageSet, write_manifest, write_png
from synthgap.generation.synthesis.near_copies import NearCopies

SIZE = 16


def picture(seed):
    """Smooth noise, apart from any other as photographs are."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4), dtype=np.uint8)
    return np.repeat(coarse.repeat(4, axis=0).repeat(4, axis=1)[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    root = tmp_path_factory.mktemp("real")
    paths = [f"a/{seed}.png" for seed in range(30)]
    shas = [write_png(root / path, picture(1000 + k)) for k, path in enumerate(paths)]
    columns = {"path": paths, "label": [0] * 30, "sha256": shas}
    write_manifest(root, kind="real", classes=["a"], columns=columns)
    return ImageSet.read(root)


@pytest.fixture(scope="module")
def near(real):
    return NearCopies.open(real, image_size=SIZE)


def answers(near, images):
    return list(near(iter(images)))


def test_a_shifted_or_noisy_copy_of_an_earlier_image_is_found(near):
    noisy = np.clip(picture(0).astype(int) + 3, 0, 255).astype(np.uint8)
    shown = [picture(0), picture(1), np.roll(picture(0), 1, axis=1), noisy, picture(2)]
    assert answers(near, shown) == [False, False, True, True, False]


def test_only_images_that_are_kept_have_copies(near):
    """Of a chain in which each is near the one before alone, every kept one starts anew."""
    step = near.distance * 0.7
    grey = np.full((SIZE, SIZE, 3), 40.0)
    chain = [(grey + step * k).round().astype(np.uint8) for k in range(5)]
    assert answers(near, chain) == [False, True, False, True, False]


def test_a_longer_set_begins_as_a_shorter_one(near):
    shown = [picture(seed % 50) for seed in range(80)]
    whole = answers(near, shown)
    assert answers(near, shown[:60]) == whole[:60]
    assert sum(whole) == 30


def test_no_image_is_asked_for_before_the_last_answer_was_taken(near):
    asked = []

    def images():
        for seed in range(5):
            asked.append(seed)
            yield picture(seed)

    found = near(images())
    assert asked == []
    next(found)
    assert asked == [0]


def test_the_distance_is_that_of_the_gate(near, real):
    from synthgap.data.neighbours import ShiftedDistance, near_threshold, nearest

    lens = ShiftedDistance(SIZE, 16, 1)
    windows = np.stack([lens.windows(real.image(row)) for row in range(len(real))])
    within, _ = nearest(windows, windows, same=True)
    assert near.distance == near_threshold(within, quantile=0.05, margin=0.35) > 0
    assert near.identity == {"size_px": 16, "distance": near.distance}


def test_without_real_images_only_equal_ones_are_copies(tmp_path):
    import pyarrow as pa

    columns = {
        "path": pa.array([], pa.string()),
        "label": pa.array([], pa.int64()),
        "sha256": pa.array([], pa.string()),
    }
    write_manifest(tmp_path, kind="real", classes=["a"], columns=columns)
    near = NearCopies.open(ImageSet.read(tmp_path), image_size=SIZE)
    assert answers(near, [picture(0), picture(0), picture(1)]) == [False, True, False]
