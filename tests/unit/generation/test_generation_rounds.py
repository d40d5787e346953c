"""What filters drop is sampled again: counts are kept, sets nest, and it ends in words."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from synthesis_case import (
    TRAIN,
    Dice,
    Picky,
    by_number,
    made,
    restore_after,
    sampled_numbers,
    use,
    world,
)

from synthgap.errors import GeneratorError
from synthgap.params.sections import Filters


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    restore_after(monkeypatch)


def test_what_is_dropped_is_sampled_again_and_told(tmp_path):
    use(Dice(), Picky(0.6))
    artifacts = world(tmp_path)
    short = made(artifacts)
    long = made(artifacts, "g2.0-x3", shard_above=20, workers=2)
    assert np.bincount(short.labels).tolist() == list(TRAIN)
    assert np.bincount(long.labels).tolist() == [3 * count for count in TRAIN]
    kept = by_number(long)
    assert by_number(short).items() <= kept.items()
    assert long.rows()["confidence"].min() >= 0.6
    dropped = long.rows().merge(_dropped(long), on="k")
    assert dropped.empty
    logged = _dropped(long)
    assert set(logged["reason"]) == {"confidence"}
    assert logged["confidence"].max() < 0.6
    assert long.about["candidates"]["dropped"] == {"confidence": len(logged)}
    assert (
        long.about["candidates"]["sampled"]
        == len(logged) + len(long) + (long.about["candidates"]["surplus"])
    )


def test_samples_without_labels_are_taken_for_what_the_judge_says(tmp_path):
    use(Dice(knows_classes=False), Picky(0.3, labelled=False))
    artifacts = world(tmp_path)
    short, long = made(artifacts), made(artifacts, "g2.0-x2")
    assert np.bincount(short.labels).tolist() == list(TRAIN)
    assert np.bincount(long.labels).tolist() == [2 * count for count in TRAIN]
    assert by_number(short).items() <= by_number(long).items()
    rows = short.rows()
    assert (rows["seed"] % 3 == rows["label"]).all()


def test_near_copies_are_dropped_at_last(tmp_path):
    use(Dice(twins=True))
    artifacts = world(tmp_path)
    asked = {"filters": Filters(None, None, drop_near_duplicates=True, safety=False)}
    short, long = made(artifacts, **asked), made(artifacts, "g2.0-x2", shard_above=5, **asked)
    for images, factor in ((short, 1), (long, 2)):
        assert np.bincount(images.labels).tolist() == [factor * count for count in TRAIN]
        assert (images.rows()["k"] // 3 % 2 == 0).all()
        assert len({pixels.tobytes() for pixels in images.pixels(8)}) == len(images)
        assert set(_dropped(images)["reason"]) == {"near_duplicate"}
    assert by_number(short).items() <= by_number(long).items()


def test_it_gives_up_in_words_and_goes_on_with_what_it_has(tmp_path):
    artifacts = world(tmp_path)
    use(Dice(tmp_path / "sampled"), Picky(0.8))
    with pytest.raises(GeneratorError, match=r"class '[abc]': \d+ of \d+ images .* confidence"):
        made(artifacts, max_candidates=1.5)
    images = made(artifacts, max_candidates=30.0)
    assert np.bincount(images.labels).tolist() == list(TRAIN)
    assert max(Counter(sampled_numbers(tmp_path / "sampled")).values()) == 1


def test_of_given_samples_no_more_are_asked_for_than_there_are(tmp_path):
    artifacts = world(tmp_path)
    use(Dice(tmp_path / "sampled"), Picky(0.4), available=(13, 13, 13))
    made(artifacts)
    assert max(sampled_numbers(tmp_path / "sampled")) < 39
    use(Dice(), Picky(0.5), available=(9, 9, 9))
    with pytest.raises(GeneratorError, match="after 9 candidates"):
        made(artifacts, "g3.0")


def _dropped(images):
    return pd.read_parquet(images.root / "dropped.parquet")
