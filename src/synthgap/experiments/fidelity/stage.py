"""Stage `fidelity`: how close every synthetic set is to real images, and what is wrong with it.

It comes before the gate and before any student: it reads `corpus`, `train` and the synthetic
sets alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from synthgap.data import ImageSet
from synthgap.experiments.fidelity.contact_sheets import draw_neighbours, draw_worst
from synthgap.experiments.fidelity.extractors import Extractors
from synthgap.experiments.fidelity.image_sample import ImageSample
from synthgap.experiments.fidelity.metrics import Numbers, worst_first
from synthgap.experiments.fidelity.real_reference import (
    CORPUS,
    ORACLE,
    TRAIN,
    RealReference,
    real_self_scores,
)
from synthgap.jobs import (
    Artifacts,
    Log,
    content_digest,
    environment,
    write_json,
)
from synthgap.jobs.device import device_name, device_of
from synthgap.jobs.once import make_once
from synthgap.params.sections import Data, Fidelity, Grid, Runtime, SetName

SHEETS = ("neighbours", "worst")
WORST, PROMPTS = 10, 3  # classes on the sheet, and prompts listed of each


@dataclass(frozen=True)
class FidelityParams:
    """What stage `fidelity` reads of params.yaml; of `grid`, what names synthetic sets."""

    seed: int
    runtime: Runtime
    data: Data
    fidelity: Fidelity
    grid: Grid


def fidelity(params: FidelityParams, artifacts: Artifacts, log: Log) -> None:
    """Measure every synthetic set against the real train set, and real images as a reference.

    Writes fidelity.json, run.json with a run a set and one of the real reference, and two contact
    sheets a set.

    Raises:
        SynthgapError: a set, the judge or the teacher is missing or damaged, or a set has fewer
            images than metrics need.
    """
    threads = params.runtime.threads
    torch.set_num_threads(threads)
    device = device_of(params.runtime)
    extractors = Extractors.open(params.fidelity, params.data, artifacts, device, threads=threads)
    names = [*params.grid.synthetic_sets]
    names += [name for name in params.grid.ablations if name == ORACLE]  # it is called as its set
    about = _about(params, artifacts, extractors, names)

    def make(_: Path, finished: Path) -> dict[str, Any]:
        reference = RealReference.open(params.fidelity, extractors, artifacts, seed=params.seed)
        found: dict[str, dict[str, Any]] = {}
        runs = []
        for name in names:
            sample = ImageSample.open(artifacts, name, max_images=params.fidelity.max_images)
            found[name] = _measured(reference, sample, finished)
            runs.append(_logged(_run(about, sample), found[name], about, log))
        real = real_self_scores(reference)
        runs.append(_logged(_run(about, reference.corpus or reference.train), real, about, log))
        common = {
            "real": real,
            "order": names,
            "classes": list(reference.train.images.classes),
        }
        whole = {**about, **extractors.about, **common, "sets": found}
        write_json(finished / "fidelity.json", whole)
        return {**about, "units": [], "runs": runs}

    make_once(artifacts, about, artifacts.stage("fidelity"), make, stage="fidelity")


def _about(
    params: FidelityParams, artifacts: Artifacts, extractors: Extractors, names: list[str]
) -> dict[str, Any]:
    """What determines the result."""
    inputs: dict[str, str] = {}
    for name in (CORPUS, TRAIN, *names):
        images = ImageSet.read(artifacts.image_set(name))
        inputs |= images.as_input(artifacts.root)
    for stage, network in (("judge", "judge"), ("teacher", "clip")):
        folder = artifacts.stage(stage).relative_to(artifacts.root)
        inputs[folder.as_posix()] = extractors.about[network]["digest"]
    threads = params.runtime.threads
    return {
        "schema": 1,
        "experiment": "fidelity",
        "recipe": artifacts.recipe,
        "inputs": dict(sorted(inputs.items())),
        "params": {
            "seed": params.seed,
            "image_size": params.data.image_size,
            "fidelity": asdict(params.fidelity),
            "feature_network": extractors.about["feature_network"]["digest"],
        },
        "environment": environment(threads=threads, device=device_name(extractors.device)),
    }


def _measured(reference: RealReference, sample: ImageSample, folder: Path) -> dict[str, Any]:
    """Everything about one set, its two sheets drawn into the folder."""
    made, metrics, classes = reference.measure(sample)
    prompts = sample.prompts()
    worst = [
        {"class": name, "prompts": _prompts_of(sample, prompts, name)}
        for name in worst_first(classes)[:WORST]
    ]
    sheets = {kind: f"{kind}-{sample.name}.png" for kind in SHEETS}
    draw_neighbours(folder / sheets["neighbours"], reference, sample, made)
    draw_worst(folder / sheets["worst"], sample, made, classes, worst)
    return {
        "digest": sample.images.digest,
        "num_images": len(sample.images),
        "num_seen": len(sample),
        "metrics": metrics,
        "classes": classes,
        "worst": worst,
        "sheets": sheets,
    }


def _prompts_of(sample: ImageSample, prompts: list[str] | None, class_name: str) -> list[str]:
    """The first few different prompts of a class."""
    if prompts is None:
        return []
    label = sample.images.classes.index(class_name)
    own = (prompts[row] for row in (sample.labels == label).nonzero()[0])
    return list(dict.fromkeys(own))[:PROMPTS]


def _run(about: Mapping[str, Any], sample: ImageSample) -> dict[str, Any]:
    """The record of one set, as stages that train write one of a student; of real ones, too."""
    digest = content_digest({**about, "set": sample.name, "digest": sample.images.digest})
    scale = SetName.parse(sample.name)
    sheets = () if sample.images.kind == "real" else SHEETS
    return {
        "digest": digest,
        "name": f"fidelity {sample.name}",
        "experiment": "fidelity",
        "recipe": about["recipe"],
        "set": sample.name,
        "source": sample.images.kind,
        "guidance_scale": None if scale is None else scale.guidance_scale,
        "seed": about["params"]["seed"],
        "num_images": len(sample),
        "pictures": [f"{kind}-{sample.name}.png" for kind in sheets],
    }


def _logged(
    run: dict[str, Any], found: Mapping[str, Any], about: Mapping[str, Any], log: Log
) -> dict[str, Any]:
    """The run with its numbers, logged."""
    given = {"inputs": about["inputs"], "params": about["params"]}
    log(run["digest"], {"event": "start", "run": run, **given})
    epochs = _epochs(found)
    for epoch in epochs:
        log(run["digest"], {"event": "epoch", "metrics": epoch})
    log(run["digest"], {"event": "end", "status": "FINISHED"})
    return {**run, "epochs": epochs}


def _epochs(found: Mapping[str, Any]) -> list[dict[str, float]]:
    """Numbers as MLflow charts them: the set's own at step 0, a class's at its label's step."""
    steps = []
    for label, numbers in enumerate(found["classes"].values()):
        step = {"epoch": label, **_charted("class", numbers)}
        steps.append(step | (_charted("fidelity", found["metrics"]) if label == 0 else {}))
    return steps


def _charted(group: str, numbers: Numbers) -> dict[str, float]:
    return {
        f"{group}/{name}": value
        for name, value in numbers.items()
        if isinstance(value, float) or (isinstance(value, int) and name != "num_images")
    }
