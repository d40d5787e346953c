"""What is said of a sample depends on it alone, and is what the judge and the teacher say."""

import json
from dataclasses import replace

import numpy as np
import pytest
from generation_case import CLASSES, RUNTIME, TEACHER, with_teacher

from synthgap.errors import SynthgapError
from synthgap.generation.pipelines.sampler import Request, Sampled
from synthgap.generation.prompts.tokenizer import fill
from synthgap.generation.synthesis.filters import (
    FilterOutcome,
    FilterRequest,
    filters_identity,
    open_filters,
)
from synthgap.models.build import build_student
from synthgap.models.clip import open_clip_model
from synthgap.models.judge import JudgeCapabilities, JudgeNetwork, JudgePreprocessing, save_judge
from synthgap.params.sections import Filters, Student

STUDENT = Student(
    "resnet10t", {"channels": (8, 8, 8, 8), "stem_width": 8}, "imagenet", "random", None, "linear",
    1.0,
)  # fmt: skip
EYE = JudgePreprocessing(8, 8, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
COUNT = 7
DRAW = np.random.default_rng(1)
PIXELS = np.stack(
    [DRAW.integers(0, 2 * 2**n + 1, (8, 8, 3)).clip(0, 255) for n in range(COUNT)]
).astype(np.uint8)  # of ever more contrast
LABELS = [number % 2 for number in range(COUNT)]
REQUESTS = [
    Request(seed=n, prompt=fill("a {class}", CLASSES[n % 2]), label=n % 2, number=n)
    for n in range(COUNT)
]


def write_judge(artifacts, classes=CLASSES, seed=0):
    network = build_student(STUDENT, len(classes), seed=seed)
    capabilities = JudgeCapabilities(STUDENT, EYE, tuple(classes), real_labels=9)
    save_judge(artifacts.stage("judge"), network.state_dict(), capabilities)


@pytest.fixture(scope="module")
def prepared(learned, tmp_path_factory):
    """Read only: a teacher that was trained, and a judge that was not."""
    artifacts = with_teacher(learned, tmp_path_factory.mktemp("filters"))
    write_judge(artifacts)
    return artifacts


def middle(values):
    """A limit that some reach and some do not, away from all of them."""
    ordered = np.sort(values)
    gap = int(np.diff(ordered).argmax())
    assert ordered[gap + 1] - ordered[gap] > 1e-4
    return float(ordered[gap : gap + 2].mean())


def asked(min_confidence=None, min_clip_score=None, *, labelled=True, own=None, batch=3):
    filters = Filters(min_confidence, min_clip_score, drop_near_duplicates=False, safety=False)
    return FilterRequest(filters, own, labelled, CLASSES, batch)


def test_nothing_asked_opens_nothing_and_takes_labels_as_they_are(tmp_path, prepared):
    nowhere = replace(prepared, root=tmp_path)
    sample_filter = open_filters(asked(), nowhere, RUNTIME)
    assert sample_filter(Sampled(PIXELS), REQUESTS) == [FilterOutcome(label) for label in LABELS]
    assert filters_identity(asked(), nowhere)["judge"] is None


def test_what_the_safety_checker_says_is_dropped_whatever_else_is_asked(prepared):
    unsafe = np.arange(COUNT) == 2
    for question in (asked(), asked(min_confidence=0.999)):
        found = open_filters(question, prepared, RUNTIME)(Sampled(PIXELS, unsafe), REQUESTS)
        assert [one.dropped == "unsafe" for one in found] == unsafe.tolist()


def test_a_sample_is_kept_from_the_judges_confidence_in_its_class_on(prepared):
    chances = JudgeNetwork.open(prepared.stage("judge"), batch=3).probabilities(PIXELS)
    sure = chances[np.arange(COUNT), LABELS]
    least = middle(sure)
    found = open_filters(asked(min_confidence=least), prepared, RUNTIME)(Sampled(PIXELS), REQUESTS)
    assert [one.label for one in found] == LABELS
    assert [one.facts["confidence"] for one in found] == [round(float(s), 6) for s in sure]
    assert [one.dropped for one in found] == [
        None if round(float(s), 6) >= least else "confidence" for s in sure
    ]
    assert {one.dropped for one in found} == {None, "confidence"}


def test_without_labels_the_judge_says_what_a_sample_is_if_it_is_sure(prepared):
    chances = JudgeNetwork.open(prepared.stage("judge"), batch=3).probabilities(PIXELS)
    least = middle(chances.max(axis=1))
    requests = [replace(request, label=None) for request in REQUESTS]
    sample_filter = open_filters(asked(labelled=False, own=least), prepared, RUNTIME)
    found = sample_filter(Sampled(PIXELS), requests)
    for one, chance in zip(found, chances, strict=True):
        kept = chance.max() >= least
        assert one.label == (chance.argmax() if kept else None)
        assert one.dropped == (None if kept else "unlabelled")
    assert {one.dropped for one in found} == {None, "unlabelled"}


def test_the_clip_score_is_the_cosine_of_image_and_prompt(prepared):
    teacher = open_clip_model(prepared.stage("teacher"))
    images = teacher.embed_images(PIXELS)
    texts = teacher.embed_texts([fill(TEACHER.teacher.prompt, CLASSES[label]) for label in LABELS])
    images, texts = (part / np.linalg.norm(part, axis=1)[:, None] for part in (images, texts))
    scores = (images * texts).sum(axis=1)
    least = middle(scores)
    found = open_filters(asked(min_clip_score=least), prepared, RUNTIME)(Sampled(PIXELS), REQUESTS)
    np.testing.assert_allclose([one.facts["clip_score"] for one in found], scores, atol=2e-6)
    assert [one.dropped for one in found] == [
        None if score >= least else "clip_score" for score in scores
    ]


def test_what_is_said_of_an_image_depends_on_it_alone(prepared):
    sample_filter = open_filters(asked(0.5, 0.0), prepared, RUNTIME)
    together = sample_filter(Sampled(PIXELS), REQUESTS)
    backwards = sample_filter(Sampled(PIXELS[::-1].copy()), REQUESTS[::-1])[::-1]
    alone = [
        sample_filter(Sampled(PIXELS[n : n + 1]), REQUESTS[n : n + 1])[0] for n in range(COUNT)
    ]
    assert together == backwards == alone


def test_a_missing_judge_or_one_of_other_classes_is_refused(tmp_path, prepared):
    artifacts = replace(prepared, root=tmp_path)
    question = asked(min_confidence=0.5)
    with pytest.raises(SynthgapError, match="run `dvc repro judge`"):
        open_filters(question, artifacts, RUNTIME)
    with pytest.raises(SynthgapError, match="run `dvc repro judge`"):
        filters_identity(question, artifacts)
    write_judge(artifacts, classes=("cat", "dog", "mouse"))
    with pytest.raises(SynthgapError, match="3 other classes, expected the 2"):
        open_filters(question, artifacts, RUNTIME)


def test_the_identity_names_all_that_decides(tmp_path, prepared):
    question = asked(0.5, 0.1)
    artifacts = replace(prepared, root=tmp_path)
    write_judge(artifacts, seed=1)
    known = filters_identity(question, prepared)
    assert json.loads(json.dumps(known)) == known
    assert known["judge_real_labels"] == 9
    assert known["teacher"] is not None
    assert known["judge"] == JudgeNetwork.open(prepared.stage("judge")).digest
    other = filters_identity(asked(0.5), artifacts)
    assert other["judge"] not in (None, known["judge"])
    assert other["teacher"] is None
