"""Image sets, a judge and a CLIP, all tiny and untrained, as stage `fidelity` finds them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from synthgap.data import write_manifest, write_png
from synthgap.experiments.fidelity.stage import FidelityParams
from synthgap.generation.prompts.tokenizer import make_tokenizer
from synthgap.jobs import Artifacts, write_json
from synthgap.models.build import build_student
from synthgap.models.clip import PROVENANCE, clip_digest
from synthgap.models.judge import JudgeCapabilities, JudgePreprocessing, save_judge
from synthgap.params.sections import Fidelity, Student

CLASSES = ("bright", "dark", "mid")
PER_CLASS, SIZE_PX = 12, 16
STUDENT = Student(
    "resnet10t",
    {"channels": (8, 8, 8, 8), "stem_width": 8},
    "imagenet",
    "random",
    None,
    "linear",
    0.1,
)
HOW = Fidelity(feature_network=None, neighbours=3, max_images=1000, kid_subset=20)


def params(*sets: str, oracle: bool = False, how: Fidelity = HOW) -> Any:
    """What the stage is given, of `runtime`, `data` and `grid` no more than it reads."""
    runtime = SimpleNamespace(threads=1, device="cpu")
    grid = SimpleNamespace(synthetic_sets=sets, ablations=("oracle",) if oracle else ("sources",))
    return FidelityParams(7, runtime, SimpleNamespace(image_size=SIZE_PX), how, grid)  # type: ignore[arg-type]


def pixels(label: int, draw: np.random.Generator, count: int = PER_CLASS) -> np.ndarray:
    """Noise, brighter by class; uint8 (count, size, size, 3)."""
    noise = draw.integers(0, 90, (count, SIZE_PX, SIZE_PX, 3)) + 80 * label
    return noise.astype(np.uint8)


def write_set(
    artifacts: Artifacts,
    name: str,
    images: list[np.ndarray],
    *,
    prompts: str | None = None,
    **about: Any,
) -> None:
    """Write images by class; `prompts` is a template of each one's prompt."""
    root = artifacts.image_set(name)
    columns: dict[str, list[Any]] = {"path": [], "label": [], "sha256": []}
    for label, group in enumerate(images):
        for index, one in enumerate(group):
            path = f"{CLASSES[label]}/{index:04d}.png"
            columns["sha256"].append(write_png(root / path, one))
            columns["path"].append(path)
            columns["label"].append(label)
    if prompts is not None:
        columns["prompt"] = [prompts.format(CLASSES[label]) for label in columns["label"]]
    kind = "real" if name in ("corpus", "train") else "synthetic"
    write_manifest(root, kind=kind, classes=CLASSES, columns=columns, about=about)


def make_world(root: Path) -> Artifacts:
    """Sets of noise, judge and teacher; `g7.5` holds corpus itself, `g1.0` one image a class."""
    artifacts = Artifacts(root, "digits")
    sets = {}
    for seed, name in enumerate(("corpus", "train", "g2.0", "oracle")):
        draw = np.random.default_rng(seed)
        sets[name] = [pixels(label, draw) for label in range(3)]
    write_set(artifacts, "corpus", sets["corpus"])
    write_set(artifacts, "train", sets["train"])
    write_set(artifacts, "g2.0", sets["g2.0"], prompts="a {} picture")
    write_set(artifacts, "g7.5", sets["corpus"], prompts="a {} picture")
    one = [np.repeat(group[:1], PER_CLASS, axis=0) for group in sets["g2.0"]]
    write_set(artifacts, "g1.0", one, prompts="a {} picture")
    write_set(artifacts, "dit-g2.0", sets["g2.0"], prompts="", spoken={})
    write_set(artifacts, "oracle", sets["oracle"], prompts="{}/0001.png")
    write_judge(artifacts)
    write_teacher(artifacts)
    return artifacts


def write_judge(
    artifacts: Artifacts,
    *,
    learned_from: str | None = "corpus",
    classes: tuple[str, ...] = CLASSES,
) -> None:
    """An untrained judge, and of its record what says where it has learned."""
    folder = artifacts.stage("judge")
    network = build_student(STUDENT, len(classes), seed=3)
    eye = JudgePreprocessing(SIZE_PX, SIZE_PX, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    save_judge(
        folder, network.state_dict(), JudgeCapabilities(STUDENT, eye, classes, real_labels=36)
    )
    runs = [] if learned_from is None else [{"set": learned_from}]
    write_json(folder / "run.json", {"runs": runs})


def write_teacher(artifacts: Artifacts) -> None:
    """A CLIP with random weights."""
    import transformers

    folder = artifacts.stage("teacher")
    tokenizer = make_tokenizer({name: f"a {name} picture" for name in CLASSES})
    tower = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "projection_dim": 8}
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": tokenizer.model_max_length}
    config = transformers.CLIPConfig(
        text_config={**tower, **heads, **text},
        vision_config={**tower, **heads, "image_size": SIZE_PX, "patch_size": 8},
        projection_dim=8,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        transformers.CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    size = {"size": {"shortest_edge": SIZE_PX}, "crop_size": {"height": SIZE_PX, "width": SIZE_PX}}
    transformers.CLIPImageProcessor(**size).save_pretrained(folder)
    write_json(
        folder / PROVENANCE, {"location": None, "revision": None, "sha256": clip_digest(folder)}
    )
