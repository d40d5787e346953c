import numpy as np
import pytest
from experiments_world import CLASSES, make_world, write_set, write_verdict

from synthgap.data import write_manifest
from synthgap.errors import DataError, GateError
from synthgap.experiments.runs.sources import mixed, open_scored, open_source
from synthgap.training.batch_samplers import MixtureBatchSampler


@pytest.mark.parametrize(
    ("name", "kind", "labels"),
    [
        ("train", "real", 0),
        ("g2.0", "synthetic", 24),
        ("oracle", "synthetic", 48),
        ("train-stylised", "real", 0),
        ("g2.0-stylised", "synthetic", 24),
    ],
)
def test_a_set_says_what_it_is_and_how_many_labels_are_behind_it(prepared, name, kind, labels):
    source = open_source(prepared.artifacts, name, 16)
    assert (source.kind, source.generator_labels) == (kind, labels)
    assert source.parts == (source,)


def test_nobody_knows_how_many_labels_a_foreign_generator_saw(tmp_path, checkout):
    world = make_world(tmp_path, checkout)
    write_set(world.artifacts, "g2.0", about={"generator_real_labels": None})
    write_verdict(world.artifacts, "g2.0")
    synthetic = open_source(world.artifacts, "g2.0", 16)
    real = open_source(world.artifacts, "train", 16)
    assert synthetic.generator_labels is None
    assert mixed(real, synthetic).generator_labels is None


def test_nothing_learns_from_what_the_gate_has_not_passed(tmp_path, checkout):
    artifacts = make_world(tmp_path, checkout).artifacts
    write_verdict(artifacts, "train", passed=False)
    artifacts.verdict("oracle").unlink()
    for name in ("train", "train-stylised", "oracle"):
        with pytest.raises(GateError, match=f"{name}.*rerun `dvc repro validate`"):
            open_source(artifacts, name, 16)
    assert open_source(artifacts, "g2.0-stylised", 16)


def test_a_derived_set_falls_with_the_images_it_was_made_from(tmp_path, checkout):
    artifacts = make_world(tmp_path, checkout).artifacts
    write_set(artifacts, "train", classes=("bright", "dark", "middle"))
    write_verdict(artifacts, "train")
    assert open_source(artifacts, "train", 16)
    with pytest.raises(GateError, match="train-stylised, made from train"):
        open_source(artifacts, "train-stylised", 16)


def test_a_mixed_source_holds_the_real_images_first(prepared):
    real, synthetic = (open_source(prepared.artifacts, name, 16) for name in ("train", "g2.0"))
    both = mixed(real, synthetic)
    assert both.kind == "mixed"
    assert both.name == "train+g2.0"
    assert both.parts == (real, synthetic)
    assert both.generator_labels == 24
    assert both.images.paths[0].startswith("train/")
    assert (both.labelled.labels.numpy() == both.images.labels).all()
    assert (both.labelled.images[: len(real.images)] == real.labelled.images).all()
    assert both.images.digest != mixed(synthetic, real).images.digest


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_mixing_0_and_1_are_the_pure_sets(prepared, share):
    real, synthetic = (open_source(prepared.artifacts, name, 16) for name in ("train", "g2.0"))
    counts = len(real.images), len(synthetic.images)
    shown = MixtureBatchSampler(
        *counts, real_share=share, num_images=counts[0], redraw=True, seed=1
    )
    kept = mixed(real, synthetic).labelled.subset(shown.indices(1))
    pure = real if share else synthetic
    assert (np.asarray(kept.images) == np.asarray(pure.labelled.images)).all()


def test_other_classes_do_not_mix(tmp_path, checkout):
    artifacts = make_world(tmp_path, checkout).artifacts
    write_set(artifacts, "g2.0", classes=("a", "b", "c"))
    write_verdict(artifacts, "g2.0")
    with pytest.raises(DataError, match="expected the same ones"):
        mixed(open_source(artifacts, "train", 16), open_source(artifacts, "g2.0", 16))


def test_an_empty_val_is_not_scored(prepared, tmp_path, checkout):
    assert list(open_scored(prepared.artifacts, 16)) == ["val", "test"]
    world = make_world(tmp_path, checkout)
    columns = {"path": [], "label": [], "sha256": []}
    write_manifest(world.artifacts.image_set("val"), kind="real", classes=CLASSES, columns=columns)
    assert list(open_scored(world.artifacts, 16)) == ["test"]
