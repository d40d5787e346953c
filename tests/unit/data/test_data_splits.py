from collections import Counter

import pytest

from synthgap.data.splits import Pool, draw
from synthgap.errors import DataError


def pool(count, name="cat", prefix="sha"):
    return Pool(
        name, {f"{name}/{index}.png": f"{prefix}-{name}-{index:04d}" for index in range(count)}
    )


def sizes(**given):
    return {"corpus": "none", "train": "none", "val": "none", "test": "none"} | given


def drawing(**given):
    return {name: size for name, size in sizes(**given).items() if size not in ("none", "official")}


def drawn(a_pool, seed=1, **given):
    return draw(a_pool, drawing(**given), seed=seed, place="data/x")


def test_counts_are_as_asked_and_each_image_has_one_split():
    split = drawn(pool(174), corpus=60, train=60, val=10, test="rest")
    assert Counter(split.values()) == {"corpus": 60, "train": 60, "val": 10, "test": 44}
    assert len(split) == 174


def test_what_no_split_asks_for_is_left_out():
    assert len(drawn(pool(50), train=10, test=5)) == 15


@pytest.mark.parametrize("total", [10, 11, 13, 97, 100])
def test_shares_that_sum_to_one_use_every_image(total):
    split = drawn(pool(total), corpus=0.4, train=0.3, val=0.1, test=0.2)
    assert len(split) == total
    for name, share in {"corpus": 0.4, "train": 0.3, "val": 0.1, "test": 0.2}.items():
        assert abs(list(split.values()).count(name) - share * total) <= 1


def test_the_seed_decides_and_nothing_else():
    assert drawn(pool(40), train=20, test=20) == drawn(pool(40), train=20, test=20)
    assert drawn(pool(40), train=20, test=20) != drawn(pool(40), seed=2, train=20, test=20)


def test_the_order_in_which_files_are_given_changes_nothing():
    given = pool(40)
    backwards = Pool(given.class_name, dict(reversed(given.sha256s.items())))
    assert drawn(given, train=20, test=20) == drawn(backwards, train=20, test=20)


def test_a_renamed_file_stays_in_its_split():
    given = pool(40)
    before = drawn(given, train=20, test=20)
    renamed = {f"cat/z{source[4:]}": sha for source, sha in given.sha256s.items()}
    after = drawn(Pool("cat", renamed), train=20, test=20)
    assert {f"cat/z{source[4:]}": split for source, split in before.items()} == after


def test_two_classes_are_shuffled_apart():
    def numbers(name):
        split = drawn(pool(40, name), train=20, test=20)
        return {source.split("/")[1] for source, its in split.items() if its == "train"}

    assert numbers("cat") != numbers("dog")


def test_equal_files_never_part():
    shas = {f"{index}.png": f"sha-{index // 2}" for index in range(40)}
    for seed in range(20):
        split = draw(Pool("cat", shas), drawing(train=20, test="rest"), seed=seed, place="x")
        assert all(split[f"{2 * k}.png"] == split[f"{2 * k + 1}.png"] for k in range(20))
        assert Counter(split.values()) == {"train": 20, "test": 20}


@pytest.mark.parametrize(
    "given",
    [
        {"train": 8, "test": 5},
        {"train": 12, "test": "rest"},
        {"train": 0.99, "test": 0.01},
        {"train": 6, "test": 0.9},
    ],
)
def test_too_few_images_name_the_class_and_the_counts(given):
    with pytest.raises(DataError, match="class 'cat' has 12 images") as caught:
        drawn(pool(12), **given)
    assert "params.yaml" in str(caught.value)
    assert "test" in str(caught.value)


def test_copies_that_cannot_stay_together_are_too_few_images():
    with pytest.raises(DataError, match="class 'cat'"):
        draw(Pool("cat", {"a": "x", "b": "x"}), drawing(train=1, test="rest"), seed=1, place="x")
