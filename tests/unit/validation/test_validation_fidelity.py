"""Sets are held to what stage `fidelity` measured of them, and to what their names say."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from prepared_sets_case import CLASSES, Digits, PreparedSets, params, samples

from synthgap.data import ImageSet
from synthgap.errors import DataError, GateError
from synthgap.jobs import write_json
from synthgap.validation import validate
from synthgap.validation.fidelity import MeasuredFidelity

Build = Callable[[Path, Sequence[str]], PreparedSets]
NUMBERS = {
    "fid": 30.0,
    "kid": 0.02,
    "coverage": 0.6,
    "agreement": 0.9,
    "authenticity": 0.7,
    "clip_score": 0.4,
}
SPOKEN = {name: f"a written {name}" for name in CLASSES}


def put_fidelity(prepared: PreparedSets, sets: Mapping[str, Mapping[str, float | None]]) -> None:
    """What stage `fidelity` would leave: these metrics of the sets as they are."""
    classes = {name: {"agreement": 0.8 + 0.02 * label} for label, name in enumerate(CLASSES)}
    found = {
        name: {
            "digest": ImageSet.read(prepared.artifacts.image_set(name)).digest,
            "metrics": {**NUMBERS, **metrics},
            "classes": {**classes, "nine": {"agreement": None}},
        }
        for name, metrics in sets.items()
    }
    network = {"name": "the judge, trained on corpus"}
    content = {"feature_network": network, "sets": found}
    write_json(prepared.artifacts.stage("fidelity") / "fidelity.json", content)


@pytest.fixture(scope="module")
def prepared(
    build: Build, digits: Digits, tmp_path_factory: pytest.TempPathFactory
) -> PreparedSets:
    """Sets that say other things of themselves than the recipe's own generator's."""
    made = build(tmp_path_factory.mktemp("fidelity"), [])
    none = [None] * 60
    unprompted = {"spoken": {}}
    made.about = {"g2.0-s10": {"spoken": SPOKEN}, "dit-g2.0": unprompted, "gan": unprompted}
    made.about["g7.5-captions"] = {"spoken": SPOKEN, "scheme": "captions"}
    images, labels = samples(digits, per_class=6, seed=1)
    named = [f"it is a written {CLASSES[label]}" for label in labels]
    made.put_synthetic("g2.0-s10", images, labels, prompt=named)
    made.put_synthetic("dit-g2.0", *samples(digits, per_class=6, seed=2), prompt=none)
    folder = {"prompt": none, "guidance_scale": none, "steps": none}
    made.put_synthetic("gan", *samples(digits, per_class=6, seed=3), **folder)
    captions = ["some handwriting"] * 60
    made.put_synthetic("g7.5-captions", *samples(digits, per_class=6, seed=4), prompt=captions)
    return made


ALL = ("g2.0-s10", "dit-g2.0", "gan", "g7.5-captions")
LIMITS = {
    "max_fid": 30.0,
    "max_kid": 0.05,
    "min_coverage": 0.6,
    "min_agreement": 0.9,
    "min_authenticity": 0.5,
    "min_clip_score": 0.3,
}


def test_what_is_within_every_limit_passes(prepared: PreparedSets) -> None:
    put_fidelity(prepared, {name: {} for name in ALL} | {"gan": {"clip_score": None}})
    validate(params(*ALL, **LIMITS), prepared.artifacts)
    texts = {
        name: [
            entry["text"]
            for entry in json.loads(prepared.verdicts()[f"{name}.json"])["expectations"]
        ]
        for name in ALL
    }
    assert "FID is at most 30 (features of the judge, trained on corpus)" in texts["gan"]
    scored = {
        name for name in ALL if "the CLIP score of the prompts is at least 0.3" in texts[name]
    }
    assert scored == {"g2.0-s10", "g7.5-captions"}  # the others have no prompts
    naming = {name for name in ALL if "prompts name the class" in texts[name]}
    assert naming == {"g2.0-s10"}  # captions need not
    assert {"`steps` is 10", "the guidance scale is 2"} <= set(texts["g2.0-s10"])
    assert "`generator` is dit" in texts["dit-g2.0"]
    assert "`scheme` is captions" in texts["g7.5-captions"]
    assert not any("guidance" in text or "prompt" in text for text in texts["gan"])


def test_what_is_beyond_a_limit_is_named_with_network_number_and_classes(
    build: Build, digits: Digits, tmp_path: Path
) -> None:
    prepared = build(tmp_path, ["g2.0"])
    prepared.about["g2.0"] = {"spoken": {**{name: name for name in CLASSES}, "two": "twain"}}
    prepared.columns["g2.0"]["scheme"][1] = "captions"
    images, labels = samples(digits, per_class=6, seed=5)
    prepared.put_synthetic("g7.5-name", images, labels, scheme=["captions"] * 60)
    prepared.write("g2.0")
    put_fidelity(prepared, {"g2.0": {"fid": 30.1, "agreement": 0.85}, "g7.5-name": {"kid": None}})
    with pytest.raises(GateError) as caught:
        validate(params("g2.0", "g7.5-name", **LIMITS), prepared.artifacts)
    whole = json.loads((prepared.artifacts.data_docs / "failure.json").read_text())
    broken = {
        (name, entry["text"]): entry
        for name, word in whole["sets"].items()
        for entry in word["expectations"]
        if not entry["passed"]
    }
    fid = broken.pop(("g2.0", "FID is at most 30 (features of the judge, trained on corpus)"))
    assert fid["observed"] == {"observed": 30.1}
    judged = "the judge takes a share of at least 0.9 of the images for their class"
    agreement = broken.pop(("g2.0", judged))
    assert agreement["examples"] == ["class zero (0.80)", "class one (0.82)", "class two (0.84)"]
    assert f"g2.0: {judged}: observed 0.85, e.g. class zero (0.80)" in str(caught.value)
    named = broken.pop(("g2.0", "prompts name the class"))
    assert named["observed"]["num_broken"] == 10  # those that ought to say `twain`
    assert set(broken) == {
        ("g7.5-name", "KID is at most 0.05 (features of the judge, trained on corpus)"),
        ("g7.5-name", "`scheme` is name"),
    }


@pytest.fixture
def measured(prepared: PreparedSets) -> Any:
    """One set as the gate sees it."""
    from synthgap.data.neighbours import ShiftedDistance
    from synthgap.validation.frames import measure_set

    name = "dit-g2.0"
    return {
        name: measure_set(
            prepared.artifacts.image_set(name), name, "synthetic", ShiftedDistance(16, 16, 0)
        )
    }


def test_fidelity_must_be_of_exactly_these_images(prepared: PreparedSets, measured: Any) -> None:
    limits = params(**LIMITS).validate
    put_fidelity(prepared, {name: {} for name in ALL})
    assert MeasuredFidelity.read(prepared.artifacts, limits, measured) is not None
    put_fidelity(prepared, {"g2.0-s10": {}})
    with pytest.raises(DataError, match=r"of dit-g2.0 with the digest None, expected .*rerun `dvc"):
        MeasuredFidelity.read(prepared.artifacts, limits, measured)
    path = prepared.artifacts.stage("fidelity") / "fidelity.json"
    content = json.loads(path.read_text())
    content["sets"]["dit-g2.0"] = {"digest": "0" * 64, "metrics": {}, "classes": {}}
    write_json(path, content)
    with pytest.raises(DataError, match="with the digest 0000"):
        MeasuredFidelity.read(prepared.artifacts, limits, measured)
    path.unlink()
    with pytest.raises(DataError, match="run `dvc repro fidelity` first"):
        MeasuredFidelity.read(prepared.artifacts, limits, measured)


def test_without_a_limit_no_fidelity_is_needed(tmp_path: Path, measured: Any) -> None:
    from synthgap.jobs import Artifacts

    assert MeasuredFidelity.read(Artifacts(tmp_path, "digits"), params().validate, measured) is None
