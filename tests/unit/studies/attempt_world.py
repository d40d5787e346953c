"""A small checkout in which real trials are made, with a generator of one line."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiments_world import CLASSES, World, make_world

from synthgap.data import write_png
from synthgap.generation.pipelines.provenance import Provenance, samples_digest
from synthgap.generation.pipelines.sampler import Sampled
from synthgap.generation.synthesis import planning
from synthgap.generation.synthesis.filters import open_filters
from synthgap.generation.synthesis.set_in_progress import SamplingTools
from synthgap.generation.synthesis.set_request import GeneratorCapabilities
from synthgap.jobs import Artifacts
from synthgap.models.reference import (
    NetworkSpec,
    Preprocessing,
    ReferenceOrigin,
    save_reference,
)
from synthgap.params.guidance import GuideProtocol
from synthgap.params.sections import Params, Prompts
from synthgap.params.studies import Finals, Study
from synthgap.studies.trials import measures
from synthgap.studies.trials.attempt import StudentAttempt
from synthgap.studies.trials.plan import AttemptReport, StudyPlan

EACH = 8  # images of train a class, so of a set
LOW = GuideProtocol(2, None, "random", compared=("rg-pg",), methods=())
RATIO = replace(LOW, synthetic_ratio=3.5)
STUDY = Study(
    protocol="low",
    method="rg-pg",
    objectives=("val/top1",),
    watched=(),
    constraints={},
    sampler="random",
    pruner="none",
    trials=4,
    seeds=(0,),
    shares=(0.5, 1.0),
    first=(),
    grid=(),
    space={"guide.rg.lambda_1": (0.25, 0.5)},
    finals=Finals(1, (10,), (20, 21)),
)


@dataclass(frozen=True)
class Painter:
    """Paints classes as the real sets have them; `log` gets a line for every image."""

    log: Path

    def __call__(self, requests):
        with self.log.open("a") as file:
            file.write("".join(f"{one.number}\n" for one in requests))
        painted = [
            np.random.default_rng(one.seed).integers(0, 90, (16, 16, 3)) + 80 * one.label
            for one in requests
        ]
        return Sampled(np.stack(painted).astype(np.uint8))


def trial_world(root: Path, checkout: Path, patch: pytest.MonkeyPatch) -> World:
    """Real sets, references, and a generator that `patch` puts in place; no synthetic set."""
    world = make_world(root, checkout)
    shutil.rmtree(world.artifacts.image_set("g2.0"))
    _put_painter(world.artifacts, patch)
    _keep_tutor(world)
    section = replace(world.params.synthesize, width=16, height=16, compute_batch=6, decode_batch=6)
    world = world.changed("guide", seeds=(0, 1), epochs=3).changed("training", last_epochs=2)
    return replace(
        world,
        params=replace(
            world.params,
            synthesize=section,
            prompts=Prompts("a {class} one", None, None, None, None, None),
            protocols={"low": LOW, "ratio": RATIO},
        ),
    )


def plan_of(params: Params, **changed: Any) -> StudyPlan:
    return StudyPlan("small", replace(STUDY, **changed), params)


def opened(world: World, **changed: Any) -> StudentAttempt:
    """Attempts of the small study, or of one that `changed` says."""
    return StudentAttempt.open(plan_of(world.params, **changed), world.artifacts)


def last(attempt: StudentAttempt, values=None, *, seed=0, share=1.0) -> AttemptReport:
    *_, reading = attempt(values or {}, seed=seed, share=share)
    return reading


def num_sampled(world: World) -> int:
    """How many images were sampled in all."""
    log = world.artifacts.root / "told"
    return len(log.read_text().split()) if log.is_file() else 0


def see_colours(patch: pytest.MonkeyPatch) -> None:
    """Instead of a CLIP: images are their brightness and 1, words their length and 1."""
    patch.setattr(measures, "teacher_folder", lambda *_, **__: (Path("clip"), "clip's digest"))
    patch.setattr(measures, "open_clip_model", lambda *_: _Colours())


class _Colours:
    def embed_images(self, pixels):
        bright = pixels.astype(np.float32).mean(axis=(1, 2, 3)) / 255
        return np.stack([bright, np.ones_like(bright)], axis=1)

    def embed_texts(self, texts):
        return np.asarray([[len(text), 1.0] for text in texts], dtype=np.float32)


def _put_painter(artifacts: Artifacts, patch: pytest.MonkeyPatch) -> None:
    folder = artifacts.root / "pinned"
    write_png(folder / "weights.png", np.ones((4, 4, 3), dtype=np.uint8))
    provenance = Provenance("folder", "pinned", None, samples_digest(folder), None, 24, None)
    replace(provenance, name="generator", licence="CC0").write(artifacts.generator)

    def tools(plan):
        sieve = open_filters(plan.sample_filter, plan.artifacts, plan.params.runtime)
        return SamplingTools(Painter(plan.artifacts.root / "told"), sieve)

    patch.setattr(planning.SetPlan, "tools", tools)
    patch.setattr(planning, "capabilities_of", lambda *_: GeneratorCapabilities(True, True, False))


def _keep_tutor(world: World) -> None:
    options = {"channels": (8, 8, 8, 16), "stem_width": 8}
    shape = NetworkSpec("resnet10t", options, world.params.student.stem, outputs=4)
    save_reference(
        world.artifacts.stage("references") / "tutor",
        shape.built(seed=3, place="here").state_dict(),
        shape,
        Preprocessing(16, (0.5,) * 3, (0.5,) * 3),
        ReferenceOrigin("train", "rotation", "corpus", "0" * 64, EACH * len(CLASSES), 0),
    )
