"""A tiny generator on tiny images: seconds to train, every law of the real one."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from synthesis_case import PARAMS

from synthgap.data.image_set import ImageSet, write_manifest, write_png
from synthgap.generation.derived.oracle import make_oracle
from synthgap.generation.derived.oracle_set import OracleParams
from synthgap.generation.synthesis.synthesize import synthesize
from synthgap.generation.trainers.generator import GeneratorParams, make_generator
from synthgap.generation.trainers.teacher import TeacherParams, make_teacher
from synthgap.jobs import Artifacts, Log, silent
from synthgap.params.sections import (
    Autoencoder,
    Data,
    Denoiser,
    Generator,
    Oracle,
    Prompts,
    Runtime,
    Splits,
    Teacher,
)

CLASSES = ("0", "snow_leopard")
COUNTS = {"corpus": (5, 4), "train": (4, 3)}
RUNTIME = Runtime(1, 1, 1, False, "cpu", "fp32", False, 1, None)
DATA = Data("tiny", 8, "png", Splits(4, 4, 1, "rest"))
PROMPTS = Prompts("a {class}", None, None, None, None, None)
GENERATOR = GeneratorParams(
    seed=3,
    runtime=RUNTIME,
    data=DATA,
    generator=Generator(
        kind="train",
        pin=None,
        licence=None,
        min_confidence=None,
        threads=1,
        checkpoint_every_steps=20,
        autoencoder=Autoencoder((8, 8), 4, 5, 4, 1e-3, 1e-3),
        denoiser=Denoiser((8, 16), 8, 60, 4, 1e-3, ("a {class}",), 0.1, 0.9),
    ),
    prompts=PROMPTS,
)
SYNTHESIZE = replace(PARAMS, data=DATA, prompts=PROMPTS)
TEACHER = TeacherParams(
    seed=3,
    runtime=RUNTIME,
    data=DATA,
    prompts=PROMPTS,
    teacher=Teacher(
        kind="train",
        pin=None,
        prompt="a {class}",
        width=16,
        layers=1,
        patch_px=4,
        steps=60,
        batch_size=8,
        learning_rate=3e-3,
        threads=1,
    ),
)
ORACLE = OracleParams(
    seed=3,
    runtime=RUNTIME,
    data=DATA,
    oracle=Oracle(
        kind="train",
        pin=None,
        guidance_scale=2.0,
        sampling_steps=2,
        noise_level=0,
        compute_batch=2,
        steps=10,
        batch_size=4,
        learning_rate=1e-3,
        threads=1,
    ),
)


def real_sets(root: Path) -> Artifacts:
    """Image sets `corpus` and `train` of noise under `root`."""
    artifacts = Artifacts(root, "tiny")
    draw = np.random.default_rng(0)
    for name, counts in COUNTS.items():
        folder = artifacts.image_set(name)
        columns: dict[str, list] = {"path": [], "label": [], "sha256": []}
        for label, count in enumerate(counts):
            for index in range(count):
                path = f"{CLASSES[label]}/{index}.png"
                pixels = draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                columns["path"].append(path)
                columns["label"].append(label)
                columns["sha256"].append(write_png(folder / path, pixels))
        write_manifest(folder, kind="real", classes=CLASSES, columns=columns)
    return artifacts


def train(artifacts: Artifacts, params: GeneratorParams = GENERATOR) -> None:
    make_generator(params, artifacts, silent)


def sampled(artifacts: Artifacts, name: str = "g2.0", **changes) -> ImageSet:
    """The set of one name, with `changes` to section synthesize; `workers` fork."""
    runtime = replace(RUNTIME, workers=changes.pop("workers", 1))
    section = replace(SYNTHESIZE.synthesize, **changes)
    params = replace(SYNTHESIZE, synthesize=section, runtime=runtime)
    synthesize(params, artifacts, image_set=name)
    return ImageSet.read(artifacts.image_set(name))


def taught(artifacts: Artifacts, log: Log = silent) -> None:
    make_teacher(TEACHER, artifacts, log)


def prompted(artifacts: Artifacts, params: OracleParams = ORACLE, log: Log = silent) -> ImageSet:
    """The set of stage `oracle`."""
    make_oracle(params, artifacts, log)
    return ImageSet.read(artifacts.image_set("oracle"))


def with_teacher(taught: Artifacts, root: Path) -> Artifacts:
    """A fresh checkout that has the trained generator, the teacher and the real sets."""
    artifacts = with_generator(taught, root)
    shutil.copytree(taught.stage("teacher"), artifacts.stage("teacher"))
    return artifacts


def with_generator(trained: Artifacts, root: Path) -> Artifacts:
    """A fresh checkout that has the trained generator and the real sets."""
    artifacts = real_sets(root)
    shutil.copytree(trained.generator, artifacts.generator)
    return artifacts


def files(folder: Path) -> dict[str, bytes]:
    """Content of every file below `folder` by relative name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run_child(script: str, root: Path) -> int:
    """Exit status of a fork of this process that runs `script` with sys.argv[1] = root."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        sys.argv = ["-c", str(root)]
        exec(script, {"sys": sys, "__name__": "__main__"})  # noqa: S102 - a test's own
        code = 0
    finally:
        os._exit(code)
