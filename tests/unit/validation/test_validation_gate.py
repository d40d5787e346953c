"""Clean sets pass; every planted fault breaks its expectation, and the line names the file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prepared_sets_case import Digits, PreparedSets, params, recompressed, samples

from synthgap.errors import DataError, GateError
from synthgap.validation import validate
from synthgap.validation.frames import compared_size

Build = Callable[[Path, Sequence[str]], PreparedSets]


@pytest.fixture(scope="module")
def clean(build: Build, tmp_path_factory: pytest.TempPathFactory) -> PreparedSets:
    prepared = build(tmp_path_factory.mktemp("clean"), ["g1.0", "g2.0"])
    validate(params("g1.0", "g2.0"), prepared.artifacts)
    return prepared


def test_clean_sets_pass_and_leave_a_verdict_each(clean: PreparedSets) -> None:
    names = ["corpus", "train", "val", "test", "g1.0", "g2.0"]
    assert set(clean.verdicts()) == {f"{name}.json" for name in (*names, "validation")}
    whole = json.loads(clean.verdicts()["validation.json"])
    assert whole["passed"]
    assert whole["num_failed"] == 0
    for name in names:
        word = json.loads(clean.artifacts.verdict(name).read_text())
        assert word == whole["sets"][name]
        assert word["near_threshold"] == whole["sets"]["train"]["near_threshold"] > 0
        assert all(entry["passed"] for entry in word["expectations"])


def test_a_verdict_holds_whatever_other_synthetic_sets_there_are(
    clean: PreparedSets, digits: Digits
) -> None:
    before = clean.verdicts()
    clean.put_synthetic("g7.5", *samples(digits, per_class=10, seed=75))
    validate(params("g1.0", "g2.0", "g7.5"), clean.artifacts)
    wider = clean.verdicts()
    assert set(wider) == {*before, "g7.5.json"}
    changed = {name for name in before if wider[name] != before[name]}
    assert changed == {"validation.json"}
    validate(params("g1.0", "g2.0"), clean.artifacts)
    assert clean.verdicts() == before


def test_the_data_docs_name_every_set_and_need_no_network(clean: PreparedSets) -> None:
    docs = clean.artifacts.data_docs
    index = (docs / "index.html").read_text()
    for name in ("corpus", "train", "val", "test", "g1.0", "g2.0"):
        (link,) = re.findall(rf'<a href="([^"]+)">{re.escape(name)}</a>', index)
        assert (docs / link.replace("%20", " ")).is_file()
    for page in docs.rglob("*.html"):
        assert not re.search(r'<(script|img|link)[^>]*(src|href)="http', page.read_text())
    assert not (docs / "failure.json").exists()


def test_the_gate_looks_at_no_test_label_beyond_its_range_and_place(clean: PreparedSets) -> None:
    word = json.loads(clean.verdicts()["test.json"])
    columns = {entry["column"] for entry in word["expectations"]}
    assert "images_of_class" not in columns
    assert {"label", "class_is_trains", "label_is_folder"} <= columns


# --- planted faults: one run over the sets, each fault in files of its own -------------------


def _break_real_sets(prepared: PreparedSets, digits: Digits) -> None:
    train = digits.images[digits.split("train", 20)]
    prepared.replace("test", 3, train[30])
    prepared.replace("test", 4, np.roll(train[31], 1, axis=1))
    prepared.replace("test", 5, recompressed(train[32], 75))
    prepared.replace("val", 0, np.full((16, 16, 3), 90, np.uint8))
    prepared.replace(
        "val", 1, np.pad(digits.images[digits.split("val")[1]], ((0, 1), (0, 0), (0, 0)))
    )
    prepared.replace("val", 2, digits.images[digits.split("val")[2]][..., 0])
    root = prepared.artifacts.image_set("val")
    (root / prepared.columns["val"]["path"][6]).unlink()
    with (root / prepared.columns["val"]["path"][7]).open("ab") as stream:
        stream.write(b"more")
    prepared.columns["val"]["path"][9] = prepared.columns["val"]["path"][8]
    prepared.columns["val"]["sha256"][9] = prepared.columns["val"]["sha256"][8]
    prepared.write("val")
    prepared.columns["corpus"]["label"][0] = 1
    prepared.columns["corpus"]["label"][1] = 10
    prepared.write("corpus")
    prepared.drop("corpus", range(180, 192))


def _break_synthetic_sets(prepared: PreparedSets, digits: Digits) -> None:
    corpus, test = digits.split("corpus", 20), digits.split("test", 10)
    prepared.replace("g1.0", 20, np.roll(digits.images[corpus[40]], 1, axis=0))
    prepared.replace("g1.0", 21, digits.images[corpus[41]])
    prepared.replace("g1.0", 22, recompressed(digits.images[test[50]], 80))
    prepared.columns["g1.0"]["prompt"][30] = None
    prepared.columns["g1.0"]["prompt"][31] = "  "
    prepared.columns["g1.0"]["prompt"][32] = "a handwritten digit zero"
    prepared.columns["g1.0"]["prompt"][36] = "a handwritten digit thirteen, threefold"
    prepared.columns["g1.0"]["guidance_scale"][33] = 3.0
    prepared.columns["g1.0"]["generator_digest"][34] = "cd" * 32
    prepared.columns["g1.0"]["seed"][35] = 1
    prepared.write("g1.0")
    for row in range(len(prepared.columns["g2.0"]["path"])):
        pixels = np.asarray(_image(prepared, "g2.0", row))
        prepared.replace("g2.0", row, 255 - pixels)
    prepared.drop("g2.0", range(70, 80))
    del prepared.columns["g7.5"]["prompt"]
    prepared.write("g7.5")


def _image(prepared: PreparedSets, name: str, row: int) -> Any:
    from synthgap.data import ImageSet

    return ImageSet.read(prepared.artifacts.image_set(name)).image(row)


@pytest.fixture(scope="module")
def broken(
    build: Build, digits: Digits, tmp_path_factory: pytest.TempPathFactory
) -> tuple[PreparedSets, dict[str, Any], str]:
    prepared = build(tmp_path_factory.mktemp("broken"), ["g1.0", "g2.0", "g7.5"])
    _break_real_sets(prepared, digits)
    _break_synthetic_sets(prepared, digits)
    with pytest.raises(GateError) as caught:
        validate(params("g1.0", "g2.0", "g7.5"), prepared.artifacts)
    report = json.loads((prepared.artifacts.data_docs / "failure.json").read_text())
    return prepared, report, str(caught.value)


FAULTS = {  # what was planted: set, the expectation's text, what its report names
    "exact copy across train and test": ("test", "exact copies of train", "zero/0003.png ~ train"),
    "one-pixel shift": ("test", "near-copies of train", "zero/0004.png ~ train one/0031.png"),
    "recompressed copy": ("test", "near-copies of train", "zero/0005.png ~ train one/0032.png"),
    "blank image": ("val", "not blank", "zero/0000.png (pixel_std 0)"),
    "wrong size": ("val", "16 px in height", "zero/0001.png (height 17)"),
    "wrong mode": ("val", "mode RGB", "zero/0002.png (mode L)"),
    "row without file": ("val", "every file exists", "one/0006.png"),
    "file changed after manifest": ("val", "sha256 of the manifest", "one/0007.png"),
    "path twice": ("val", "paths are unique", "one/0008.png"),
    "wrong label": ("corpus", "labels agree with folders", "zero/0000.png"),
    "label out of range": ("corpus", "labels are 0 to 9", "zero/0001.png (label 10)"),
    "class imbalance": (
        "corpus",
        "of the largest one's images",
        "nine/0192.png (images_of_class 8)",
    ),
    "synthetic copy of corpus": (
        "g1.0",
        "near-copies of corpus",
        "two/0020.png ~ corpus two/0040.png",
    ),
    "synthetic copy of test": ("g1.0", "near-copies of test", "two/0022.png ~ test five/0050.png"),
    "missing prompt": ("g1.0", "`prompt` is never empty", "three/0030.png"),
    "blank prompt": ("g1.0", "prompts are not blank", "three/0031.png"),
    "prompt of another class": ("g1.0", "prompts name the class", "three/0032.png"),
    "prompt with a longer word": ("g1.0", "prompts name the class", "three/0036.png"),
    "another guidance scale": (
        "g1.0",
        "the guidance scale is 1",
        "three/0033.png (guidance_scale 3)",
    ),
    "another generator": ("g1.0", "`generator_digest` is the same", "three/0034.png"),
    "seed twice": ("g1.0", "seeds are unique", "three/0035.png (seed 1)"),
    "inverted images, mean": ("g2.0", "red has a mean within", "red_mean"),
    "missing class": ("g2.0", "every class of train is there", "7 (seven)"),
    "missing column": ("g7.5", "the manifest has the column `prompt`", ""),
}
BESIDES = {  # what the same faults cannot but break as well
    ("g2.0", "green has a mean within"),
    ("g2.0", "blue has a mean within"),
    ("val", "exact copies in the set"),  # the path that stands there twice
    ("val", "near-copies in the set"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_breaks_its_expectation(
    broken: tuple[PreparedSets, dict[str, Any], str], fault: str
) -> None:
    name, text, named = FAULTS[fault]
    _, report, _ = broken
    entries = [
        entry
        for entry in report["sets"][name]["expectations"]
        if text in entry["text"] and not entry["passed"]
    ]
    assert len(entries) == 1
    assert named in json.dumps([entries[0]["examples"], entries[0]["observed"]], ensure_ascii=False)


def test_no_other_expectation_breaks(broken: tuple[PreparedSets, dict[str, Any], str]) -> None:
    _, report, _ = broken
    expected = {(name, text) for name, text, _ in FAULTS.values()} | BESIDES
    surprising = [
        (name, entry["text"])
        for name, word in report["sets"].items()
        for entry in word["expectations"]
        if not entry["passed"]
        and not any(name == where and text in entry["text"] for where, text in expected)
    ]
    assert surprising == []


def test_the_line_counts_names_and_says_what_next(
    broken: tuple[PreparedSets, dict[str, Any], str],
) -> None:
    prepared, report, line = broken
    assert "\n" not in line
    assert line.startswith(
        f"validate: {report['num_failed']} of {report['num_expectations']} expectations failed; "
    )
    assert "corpus: labels are 0 to 9: 1 of 188 fail (max 0), e.g. zero/0001.png (label 10)" in line
    assert ".synthgap/data_docs/digits/index.html" in line
    assert not prepared.artifacts.stage("validate").exists()
    index = (prepared.artifacts.data_docs / "index.html").read_text()
    assert "zero/0004.png ~ train one/0031.png" in index


def test_a_set_without_a_needed_column_is_one_broken_expectation(
    build: Build, tmp_path: Path
) -> None:
    prepared = build(tmp_path, [])
    lost = {"train": "path", "val": "label", "test": "sha256"}
    for name, column in lost.items():
        del prepared.columns[name][column]
        prepared.write(name)
    with pytest.raises(GateError, match=r"3 of \d+ expectations failed") as caught:
        validate(params(), prepared.artifacts)
    for name, column in lost.items():
        assert f"{name}: the manifest has the column `{column}`" in str(caught.value)


def test_a_set_without_a_manifest_is_refused(build: Build, tmp_path: Path) -> None:
    prepared = build(tmp_path, [])
    with pytest.raises(DataError, match=r"g2\.0/manifest\.parquet: missing"):
        validate(params("g2.0"), prepared.artifacts)


def test_splits_that_are_none_may_be_empty_and_train_calibrates(
    build: Build, tmp_path: Path
) -> None:
    prepared = build(tmp_path, ["g1.0"])
    for name in ("corpus", "val"):
        prepared.drop(name, range(len(prepared.columns[name]["path"])))
    settings = params("g1.0")
    with pytest.raises(GateError, match="corpus: every class of train is there: missing 0"):
        validate(settings, prepared.artifacts)
    splits = replace(settings.data.splits, corpus="none", val="none")
    validate(replace(settings, data=replace(settings.data, splits=splits)), prepared.artifacts)
    word = json.loads(prepared.verdicts()["train.json"])
    assert word["near_threshold"] > 0
    assert json.loads(prepared.verdicts()["corpus.json"])["num_images"] == 0


def test_files_kept_as_they_came_are_compared_at_their_own_size(
    build: Build, tmp_path: Path
) -> None:
    prepared = build(tmp_path, [])
    data = replace(params().data, encoding="original", image_size=256)
    assert compared_size(prepared.artifacts.image_set("train"), data) == 16
    assert compared_size(prepared.artifacts.image_set("train"), replace(data, image_size=12)) == 12
    stored = replace(data, encoding="png")
    assert compared_size(prepared.artifacts.image_set("train"), stored) == 256


def test_an_oracle_may_repeat_its_prompts_but_no_other_real_image(
    build: Build, digits: Digits, tmp_path: Path
) -> None:
    prepared = build(tmp_path, ["g2.0"])
    images, labels = samples(digits, per_class=10, seed=30)
    images[0] = digits.images[digits.split("train")[0]]
    images[1] = digits.images[digits.split("val")[0]]
    prepared.put_oracle(images, labels)
    with pytest.raises(GateError, match=r"oracle: images are not exact copies of val.*zero/0001"):
        validate(params("g2.0", oracle=True), prepared.artifacts)
    whole = json.loads((prepared.artifacts.data_docs / "failure.json").read_text())
    entries = {entry["text"]: entry for entry in whole["sets"]["oracle"]["expectations"]}
    assert entries["the guidance scale is 3"]["passed"]
    of_train = entries["images are not exact copies of train"]
    assert (of_train["passed"], of_train["observed"]["num_broken"]) == (True, 1)
    broken = [text for text, entry in entries.items() if not entry["passed"]]
    assert len(broken) == 2
    assert all("copies of val" in text for text in broken)
