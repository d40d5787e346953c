"""The real stage with a generator of one line, so that processes can be killed by the dozen."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from multiprocessing.context import ForkProcess
from pathlib import Path

import numpy as np
import pytest

from synthgap.data.image_set import ImageSet, write_manifest, write_png
from synthgap.generation.pipelines.provenance import Provenance, samples_digest
from synthgap.generation.pipelines.sampler import Sampled
from synthgap.generation.synthesis import planning
from synthgap.generation.synthesis.filters import FilterOutcome, open_filters
from synthgap.generation.synthesis.set_in_progress import SamplingTools
from synthgap.generation.synthesis.set_request import GeneratorCapabilities
from synthgap.generation.synthesis.synthesize import SynthesizeParams, synthesize
from synthgap.jobs import Artifacts
from synthgap.params.sections import Data, Filters, Prompts, Runtime, Splits, Synthesize
from synthgap.stage import reported

CLASSES = ("a", "b", "c")
TRAIN = (7, 5, 2)
RUNTIME = Runtime(1, 1, 1, False, "cpu", "fp32", False, 1, None)
SECTION = Synthesize(
    scheme="template",
    negative_prompt="",
    count="as_train",
    steps=2,
    scheduler=None,
    width=8,
    height=8,
    compute_batch=2,
    decode_batch=2,
    format="png",
    quality=90,
    shard_above=1000,
    max_candidates=10.0,
    filters=Filters(None, None, drop_near_duplicates=False, safety=False),
    threads=1,
)
PARAMS = SynthesizeParams(
    seed=3,
    runtime=RUNTIME,
    data=Data("tiny", 8, "png", Splits(4, 4, 1, "rest")),
    prompts=Prompts("a {class}", None, None, None, None, None),
    synthesize=SECTION,
)


@dataclass(frozen=True)
class Dice:
    """Pixels are a function of the seed; `logged` gets a line for every image, `die_at` ends it."""

    logged: Path | None = None
    delay_s: float = 0.0
    die_at: int | None = None
    twins: bool = False  # the second candidate of a class is the first, the fourth the third
    knows_classes: bool = True
    needs_images: bool = False
    size_px: tuple[int, int] = (8, 8)

    def __call__(self, requests):
        time.sleep(self.delay_s)
        if self.logged is not None:
            with self.logged.open("a") as file:
                file.write("".join(f"{one.number}\n" for one in requests))
            if self.die_at is not None and len(sampled_numbers(self.logged)) >= self.die_at:
                os.kill(os.getpid(), 9)
        seeds = [
            one.number // 6 * 3 + one.number % 3 if self.twins else one.seed for one in requests
        ]
        images = [np.random.default_rng(seed).integers(0, 256, (8, 8, 3)) for seed in seeds]
        return Sampled(np.stack(images).astype(np.uint8))


@dataclass(frozen=True)
class Picky:
    """Drops by chance, `share` of the candidates, as a function of their seed."""

    share: float
    labelled: bool = True

    def __call__(self, sampled, requests):
        return [self._judged(one) for one in requests]

    def _judged(self, request):
        chance = int(sha256(str(request.seed).encode()).hexdigest()[:8], 16) / 16**8
        label = request.label if self.labelled else request.seed % len(CLASSES)
        dropped = "confidence" if chance < self.share else None
        return FilterOutcome(label, dropped, {"confidence": round(chance, 6)})


def world(root: Path) -> Artifacts:
    """A checkout with a real set, and a generator that `use` takes the place of."""
    artifacts = Artifacts(root, "tiny")
    draw = np.random.default_rng(0)
    columns: dict[str, list] = {"path": [], "label": [], "sha256": []}
    for label, count in enumerate(TRAIN):
        for index in range(count):
            path = f"{CLASSES[label]}/{index}.png"
            pixels = draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            columns["path"].append(path)
            columns["label"].append(label)
            columns["sha256"].append(write_png(artifacts.image_set("train") / path, pixels))
    write_manifest(artifacts.image_set("train"), kind="real", classes=CLASSES, columns=columns)
    pin_generator(artifacts)
    return artifacts


def pin_generator(artifacts: Artifacts, shade: int = 1) -> None:
    """A file that stands for the generator: another shade is another generator."""
    folder = artifacts.root / "pinned"
    write_png(folder / "weights.png", np.full((4, 4, 3), shade, dtype=np.uint8))
    known = Provenance("folder", "pinned", None, samples_digest(folder), None, 40, None)
    replace(known, name="generator", licence="CC0").write(artifacts.generator)


def use(dice: Dice, judge: Picky | None = None, available: tuple[int, ...] | None = None) -> None:
    """From now on the stage of this process samples so; of `available` samples, if not any."""

    def tools(plan):
        return SamplingTools(
            dice, judge or open_filters(plan.sample_filter, plan.artifacts, plan.params.runtime)
        )

    labelled = dice.knows_classes
    planning.SetPlan.tools = tools
    planning.capabilities_of = lambda *_: GeneratorCapabilities(
        labelled, labelled, False, available
    )
    planning.filters_identity = lambda *_: {"judge": None, "picky": repr(judge)}


def restore_after(patch: pytest.MonkeyPatch) -> None:
    """`use` replaces what opens a generator; afterwards all shall be as it was."""
    patch.setattr(planning.SetPlan, "tools", planning.SetPlan.tools)
    for name in ("capabilities_of", "filters_identity"):
        patch.setattr(planning, name, getattr(planning, name))


def made(artifacts: Artifacts, name: str = "g2.0", **changes) -> ImageSet:
    """Run the stage, with `changes` to section synthesize; `workers` fork."""
    runtime = replace(RUNTIME, workers=changes.pop("workers", 1))
    section = replace(SECTION, **changes)
    synthesize(replace(PARAMS, synthesize=section, runtime=runtime), artifacts, image_set=name)
    return ImageSet.read(artifacts.image_set(name))


def sampled_numbers(path: Path) -> list[int]:
    """Numbers of the images that were sampled, by all processes."""
    return [int(line) for line in path.read_text().split()]


def files(folder: Path) -> dict[str, bytes]:
    """Content of every file below `folder` by relative name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def by_number(images: ImageSet) -> dict[int, bytes]:
    """Bytes of every image by k."""
    return {k: images.content(row) for row, k in enumerate(images.rows()["k"])}


def started(work: Callable[[], object], **environ: str) -> ForkProcess:
    """A process of its own that does `work`: forked, since importing torch costs seconds."""

    def do():
        os.environ.update(environ)
        with reported():
            work()

    process = multiprocessing.get_context("fork").Process(target=do)
    process.start()
    return process
