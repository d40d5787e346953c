from dataclasses import replace

import pytest

from synthgap.params.students import Gap

GOOD = Gap(
    sets=("train", "corpus", "g2.0"),
    seeds=(0, 1),
    max_images=1000,
    bins=40,
    high_frequency=0.25,
    saturated_within=1.0,
    sampled=("g2.0",),
    share=0.5,
)


def test_what_can_be_run_is_taken():
    assert not list(GOOD.problems())


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("sets", ("g2.0", "train"), "expected 'train' first"),
        ("sets", ("train", "g2.0", "g2.0"), "without repeats"),
        ("sets", ("train",), "at least one more"),
        ("seeds", (), "expected at least one"),
        ("sampled", ("g7.5",), "expected synthetic ones of sets"),
        ("sampled", ("corpus",), "expected synthetic ones of sets"),
        ("sampled", (), "sampled: [], expected at least one"),
        ("max_images", 5, "at least 10"),
        ("bins", 1, "at least 2"),
        ("high_frequency", 0.8, "below 0.7071"),
        ("saturated_within", 0.0, "above 0 (points)"),
        ("share", 1.0, "below 1"),
        ("share", 0.0, "above 0"),
    ],
)
def test_what_cannot_is_named(name, value, expected):
    found = list(replace(GOOD, **{name: value}).problems())
    assert any(line.startswith(f"{name}: ") and expected in line for line in found), found
