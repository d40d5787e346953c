"""Stage synthesize with every kind of generator: the laws of a set, loose and in shards."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthesis_world import PARAMS, TRAIN, drawn, made, pinned, with_judge, world
from tiny_pipelines import BY_IMAGE, CLASSES, LABELLED, UNLABELLED

from synthgap.data.export import export
from synthgap.errors import GeneratorError
from synthgap.generation.synthesis.explaining import (
    explained_file,
    explained_number,
    regenerate,
)
from synthgap.params.sections import Filters

KINDS = (*LABELLED, *UNLABELLED, *BY_IMAGE)


def checkout_of(tiny, kind, root):
    artifacts = world(root, tiny[kind], kind="folder" if kind in ("folder", "flat") else "pin")
    if kind in UNLABELLED:
        with_judge(artifacts, drawn(tiny[kind], 24))
    return artifacts


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def checkout(tiny, kind, tmp_path_factory):
    """A checkout of each kind, with a set of loose files and its double in shards."""
    artifacts = checkout_of(tiny, kind, tmp_path_factory.mktemp(kind))
    loose = made(artifacts)
    packed = made(artifacts, "g2.0-x2", shard_above=len(loose))
    return artifacts, loose, packed


def by_number(images):
    """Bytes, class and the manifest row, by k."""
    rows = images.rows().drop(columns=["shard", "offset", "size"], errors="ignore")
    kept = zip(rows["k"], rows.to_dict("records"), strict=True)
    return {k: (images.content(row), row_record) for row, (k, row_record) in enumerate(kept)}


def test_a_set_has_the_asked_counts_and_says_what_made_it(checkout, kind):
    artifacts, loose, packed = checkout
    assert np.bincount(loose.labels).tolist() == list(TRAIN)
    assert np.bincount(packed.labels).tolist() == [2 * count for count in TRAIN]
    assert not any(loose.root.glob("shards"))
    assert any(packed.root.glob("shards/*.tar"))
    assert not any(packed.root.glob("*/*.png"))
    labels = 60 if kind in UNLABELLED else 40
    assert loose.about["generator_real_labels"] == labels
    rows = loose.rows()
    assert set(rows["licence"]) == {"CC0"}
    assert rows["seed"].is_unique
    asked = {"cat": "a cat", "snow_leopard": "a snow leopard"}
    if kind in ("dit", "folder", *UNLABELLED):
        assert set(rows["prompt"]) == {""}
    else:
        assert rows["prompt"].tolist() == [asked[name] for name in rows["class_name"]]
    assert ("prompted_by" in rows) == (kind in BY_IMAGE)
    assert not any(artifacts.work.glob("*/"))


def test_a_longer_set_contains_the_shorter_one_byte_for_byte(checkout):
    _, loose, packed = checkout
    short, long = by_number(loose), by_number(packed)
    assert len(short) == sum(TRAIN)
    assert len(long) == 2 * sum(TRAIN)
    for number, entry in short.items():
        assert long[number] == entry
    assert len({content for content, _ in long.values()}) == len(long)


def test_every_image_tells_its_story_and_can_be_made_again(checkout, tmp_path):
    artifacts, loose, packed = checkout
    last = max(packed.rows()["k"])
    export(packed, tmp_path / "there")
    files = [
        explained_file(loose.root / loose.paths[-1]),
        explained_file(tmp_path / "there" / packed.paths[-1]),
        explained_number(artifacts.root, str(packed.root), last),
    ]
    for explained in files:
        description = explained.metadata
        assert description["set"] == "g2.0"
        assert description["generator"]["licence"] == "CC0"
        assert description["settings"]["compute_batch"] == PARAMS.synthesize.compute_batch
    assert regenerate(files[2], artifacts.root).equal
    other = {**files[0].metadata, "seed": files[0].metadata["seed"] + 1}
    assert not regenerate(replace(files[0], metadata=other), artifacts.root).equal


def test_a_rival_makes_sets_of_its_own_name(tiny, tmp_path):
    artifacts = world(tmp_path, tiny["sd1"])
    rival = replace(pinned(tiny["dit"]), name="dit", licence="CC-BY-NC-4.0")
    rival.write(artifacts.stage("rivals") / "dit")
    images = made(artifacts, "dit-g2.0-s3")
    assert set(images.rows()["generator"]) == {"dit"}
    assert set(images.rows()["licence"]) == {"CC-BY-NC-4.0"}
    assert images.about["generator"] == "dit"
    assert images.about["steps"] == 3
    explained = explained_file(images.root / images.paths[0])
    assert explained.metadata["set"] == "dit-g2.0-s3"
    assert regenerate(explained, artifacts.root).equal


def test_what_a_safety_checker_finds_is_never_kept(tiny, tmp_path):
    """That of the tiny pipeline finds everything unsafe."""
    asked = Filters(None, None, drop_near_duplicates=False, safety=True)
    with pytest.raises(GeneratorError, match=r"0 of 5 images passed after 10 .* 10 unsafe"):
        made(world(tmp_path, tiny["sd1"]), filters=asked, max_candidates=2.0)


@pytest.mark.parametrize("kind", ["ddpm"])
def test_two_forked_workers_and_other_parts_give_the_same_bytes(tiny, kind, tmp_path):
    alone = made(checkout_of(tiny, kind, tmp_path / "alone"), "g2.0-x2")
    several = made(checkout_of(tiny, kind, tmp_path / "several"), "g2.0-x2", workers=2)
    assert by_number(alone) == by_number(several)
    assert alone.digest == several.digest
    assert alone.classes == CLASSES
