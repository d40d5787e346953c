"""A checkout with real images, any generator pinned, and a judge: what stage synthesize reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tiny_pipelines import CLASSES, SIZE_PX

from synthgap.data.image_set import ImageSet, write_manifest, write_png
from synthgap.generation.pipelines.opening import open_sampler
from synthgap.generation.pipelines.provenance import (
    Provenance,
    pipeline_digest,
    samples_digest,
)
from synthgap.generation.pipelines.sampler import Request
from synthgap.generation.synthesis.set_request import set_request
from synthgap.generation.synthesis.synthesize import SynthesizeParams, synthesize
from synthgap.jobs import Artifacts
from synthgap.models.activations import penultimate_features
from synthgap.models.build import build_student, classifier_name
from synthgap.models.judge import JudgeCapabilities, JudgePreprocessing, save_judge
from synthgap.params.sections import Data, Filters, Prompts, Runtime, Splits, Synthesize
from synthgap.params.students import Student

TRAIN = (5, 3)
STUDENT = Student(
    model="resnet10t",
    options={"channels": (8, 8, 8, 8), "stem_width": 8},
    stem="imagenet",
    init="random",
    weights=None,
    head="linear",
    temperature=0.1,
)
PARAMS = SynthesizeParams(
    seed=3,
    runtime=Runtime(1, 1, 1, False, "cpu", "fp32", False, 1, None),
    data=Data("tiny", SIZE_PX, "png", Splits(4, 4, 1, "rest")),
    prompts=Prompts("a {class}", None, None, None, None, None),
    synthesize=Synthesize(
        scheme="template",
        negative_prompt="",
        count="as_train",
        steps=2,
        scheduler=None,
        width=SIZE_PX,
        height=SIZE_PX,
        compute_batch=3,
        decode_batch=2,
        format="png",
        quality=90,
        shard_above=1000,
        max_candidates=20.0,
        filters=Filters(None, None, drop_near_duplicates=False, safety=False),
        threads=1,
    ),
)


def world(root: Path, generator: Path, *, kind: str = "pin") -> Artifacts:
    """A checkout below `root` whose generator is the pipeline, or the samples, in a folder."""
    artifacts = Artifacts(root, "tiny")
    draw = np.random.default_rng(0)
    columns: dict[str, list] = {"path": [], "label": [], "sha256": []}
    folder = artifacts.image_set("train")
    for label, count in enumerate(TRAIN):
        for index in range(count):
            path = f"{CLASSES[label]}/{index}.png"
            pixels = draw.integers(0, 256, (SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
            columns["path"].append(path)
            columns["label"].append(label)
            columns["sha256"].append(write_png(folder / path, pixels))
    write_manifest(folder, kind="real", classes=CLASSES, columns=columns)
    pinned(generator, kind).write(artifacts.generator)
    return artifacts


def pinned(folder: Path, kind: str = "pin") -> Provenance:
    """What stage generator would say of a pipeline, or of samples (`folder`)."""
    digest = samples_digest if kind == "folder" else pipeline_digest
    return Provenance(
        kind=kind,
        location=str(folder),
        revision=None,
        sha256=digest(folder),
        classes=None,
        real_labels=40,
        training_set=None,
        name="generator",
        licence="CC0",
    )


def with_judge(artifacts: Artifacts, pixels: np.ndarray, *, real_labels: int = 60) -> None:
    """A judge that finds half of `pixels`, uint8 (n, h, w, 3), to be of either class."""
    network = build_student(STUDENT, len(CLASSES), seed=0).eval()
    tapped = JudgePreprocessing(SIZE_PX, SIZE_PX, (0.5,) * 3, (0.5,) * 3)
    with torch.no_grad():
        features = penultimate_features(network, tapped(pixels))[0]
        spread = features - features.mean(dim=0)
        direction = torch.linalg.svd(spread).Vh[0]
        along = features @ direction
        scale = 3 / along.std()
        classifier = network.get_submodule(classifier_name(network))
        classifier.weight.copy_(torch.stack([direction, -direction]) * scale)
        classifier.bias.copy_(torch.tensor([-1.0, 1.0]) * along.median() * scale)
    capabilities = JudgeCapabilities(STUDENT, tapped, CLASSES, real_labels)
    save_judge(artifacts.stage("judge"), network.state_dict(), capabilities)


def drawn(generator: Path, count: int) -> np.ndarray:
    """What a generator without classes draws: uint8 (count, h, w, 3)."""
    section = PARAMS.synthesize
    settings = set_request("g2.0", section).settings(section)
    sampler = open_sampler(generator, settings, PARAMS.runtime, classes=CLASSES, prompts=())
    batch = section.compute_batch
    asked = [Request(seed=number, number=number) for number in range(count)]
    parts = [sampler(asked[start : start + batch]).pixels for start in range(0, count, batch)]
    return np.concatenate(parts)


def made(artifacts: Artifacts, name: str = "g2.0", **changes) -> ImageSet:
    """Run the stage, with `changes` to section synthesize; `workers` fork."""
    runtime = replace(PARAMS.runtime, workers=changes.pop("workers", 1))
    section = replace(PARAMS.synthesize, **changes)
    synthesize(replace(PARAMS, synthesize=section, runtime=runtime), artifacts, image_set=name)
    return ImageSet.read(artifacts.image_set(name))
