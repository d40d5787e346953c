"""Stage synthesize with a generator that takes no time: what is left is the stage itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from synthgap.data.image_set import ImageSet, write_manifest, write_png
from synthgap.generation.pipelines.provenance import Provenance, samples_digest
from synthgap.generation.pipelines.sampler import Request, Sampled
from synthgap.generation.synthesis import planning
from synthgap.generation.synthesis.filters import open_filters
from synthgap.generation.synthesis.set_in_progress import SamplingTools
from synthgap.generation.synthesis.set_request import GeneratorCapabilities
from synthgap.generation.synthesis.synthesize import SynthesizeParams, synthesize
from synthgap.jobs import Artifacts
from synthgap.params import read_params

NUM_CLASSES, SIDE_PX = 100, 16
NAME = "g2.0"
ROOT = Path(__file__).resolve().parents[1]


class Instant:
    """Pixels are a function of the seed; `seen` is called with every batch's first number."""

    knows_classes, needs_images, size_px = True, False, (SIDE_PX, SIDE_PX)

    def __init__(self, seen: Callable[[int], object] | None = None) -> None:
        self.seen = seen
        draw = np.random.default_rng(0)
        self.stock = draw.integers(0, 256, (4096, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)

    def __call__(self, requests: Sequence[Request]) -> Sampled:
        """Take one of a few thousand images, with the seed in its first pixels."""
        if self.seen is not None:
            self.seen(requests[0].number)
        pixels = self.stock[[one.seed % len(self.stock) for one in requests]]
        marks = np.asarray([one.seed for one in requests], dtype=np.int64).view(np.uint8)
        pixels[:, 0, :2] = marks.reshape(-1, 8)[:, :6].reshape(-1, 2, 3)
        return Sampled(pixels)


def checkout(root: Path) -> Artifacts:
    """A checkout whose real set has one image a class, of NUM_CLASSES."""
    artifacts = Artifacts(root, "instant")
    classes = [f"class_{label:03d}" for label in range(NUM_CLASSES)]
    columns: dict[str, list[object]] = {"path": [], "label": [], "sha256": []}
    for label, name in enumerate(classes):
        path = f"{name}/0.png"
        pixels = np.full((SIDE_PX, SIDE_PX, 3), label, dtype=np.uint8)
        columns["path"].append(path)
        columns["label"].append(label)
        columns["sha256"].append(write_png(artifacts.image_set("train") / path, pixels))
    write_manifest(artifacts.image_set("train"), kind="real", classes=classes, columns=columns)
    write_png(root / "pinned" / "weights.png", np.zeros((4, 4, 3), dtype=np.uint8))
    digest = samples_digest(root / "pinned")
    known = Provenance("folder", "pinned", None, digest, None, 0, None, "generator", "CC0")
    known.write(artifacts.generator)
    return artifacts


def make(
    root: Path, count: int, *, shard_above: int, seen: Callable[[int], object] | None = None
) -> ImageSet:
    """Run the stage in this process for `count` images in all."""
    artifacts, params = Artifacts(root, "instant"), read_params(ROOT / "params.yaml")
    tools = SamplingTools(Instant(seen), lambda *_: [])

    def opened(plan: planning.SetPlan) -> SamplingTools:
        return replace(tools, judge=open_filters(plan.sample_filter, artifacts, params.runtime))

    planning.SetPlan.tools = opened  # type: ignore[method-assign] # in place of a diffusion model
    planning.nature_of = lambda *_: GeneratorCapabilities(True, True, False)  # noqa: FBT003
    synthesize(
        SynthesizeParams(
            seed=1,
            runtime=replace(params.runtime, workers=1, device="cpu"),
            data=replace(params.data, image_size=SIDE_PX),
            prompts=replace(params.prompts, classes=None, template="a {class}"),
            synthesize=replace(
                params.synthesize, count=count // NUM_CLASSES, shard_above=shard_above
            ),
        ),
        artifacts,
        image_set=NAME,
    )
    return ImageSet.read(artifacts.image_set(NAME))


if __name__ == "__main__":  # as a process of its own, that may be killed
    make(Path(sys.argv[1]), int(sys.argv[2]), shard_above=0)
