"""Real digits as ingest stores them, and image sets that the gate can check."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from PIL import Image

from synthgap.data import write_manifest, write_png
from synthgap.jobs import Artifacts, file_digest
from synthgap.params.sections import Data, Grid, SetName, Splits, Validate
from synthgap.validation import ValidateParams

CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LIMITS = Validate(
    near_size_px=16,
    near_shift_px=1,
    near_quantile=0.05,
    near_margin=0.35,
    max_real_copy_share=0.0,
    max_memorised_share=0.01,
    max_leaked_share=0.0,
    max_synthetic_duplicate_share=0.2,
    max_class_imbalance=1.5,
    min_pixel_std=4.0,
    max_channel_mean_shift=25.0,
    max_channel_std_ratio=1.5,
    max_fid=None,
    max_kid=None,
    min_coverage=None,
    min_agreement=None,
    min_authenticity=None,
    min_clip_score=None,
)


def params(*synthetic_sets: str, oracle: bool = False, **limits: float) -> ValidateParams:
    """The shipped data section, the limits above and the given synthetic sets."""
    splits = Splits(corpus=60, train=60, val=10, test="rest")
    return ValidateParams(
        data=Data(name="digits", image_size=16, encoding="png", splits=splits),
        validate=replace(LIMITS, **limits),
        grid=Grid(
            rivals=(),
            synthetic_sets=synthetic_sets,
            sets=(),
            depths=(),
            control_depths=(),
            fractions=(),
            ablations=("sources", "oracle") if oracle else (),
            clones=(),
            references=(),
            guides=(),
        ),
    )


@dataclass
class Digits:
    """1,797 digits, uint8 (num_images, 16, 16, 3), split by class as the shipped recipe does."""

    images: np.ndarray
    labels: np.ndarray
    splits: Mapping[str, np.ndarray] = field(default_factory=dict)

    def split(self, name: str, per_class: int | None = None) -> np.ndarray:
        """Row numbers of a split, or of the first few images of each class in it."""
        rows = self.splits[name]
        if per_class is None:
            return rows
        return np.concatenate([rows[self.labels[rows] == label][:per_class] for label in range(10)])


def recompressed(image: np.ndarray, quality: int) -> np.ndarray:
    """The pixels after a JPEG round trip."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


@dataclass
class PreparedSets:
    """Image sets under one root, that tests build, break and show to the gate."""

    artifacts: Artifacts
    columns: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    about: dict[str, dict[str, Any]] = field(default_factory=dict)

    def put(
        self, name: str, images: Sequence[np.ndarray], labels: Sequence[int], **extra: list[Any]
    ) -> None:
        """Store a set; a set with prompts is synthetic."""
        root = self.artifacts.image_set(name)
        paths = [f"{CLASSES[label]}/{k:04}.png" for k, label in enumerate(labels)]
        written = [write_png(root / path, one) for path, one in zip(paths, images, strict=True)]
        self.columns[name] = {
            "path": paths,
            "label": [int(label) for label in labels],
            "sha256": written,
            **extra,
        }
        self.write(name)

    def put_synthetic(
        self, name: str, images: Sequence[np.ndarray], labels: Sequence[int], **changed: list[Any]
    ) -> None:
        """Store a synthetic set as its name says it was made, but for the columns `changed`."""
        count, parsed = len(images), SetName.parse(name)
        assert parsed is not None
        columns = {
            "prompt": [f"a handwritten digit {CLASSES[label]}" for label in labels],
            "seed": list(range(count)),
            "guidance_scale": [parsed.guidance_scale] * count,
            "steps": [parsed.steps or 25] * count,
            "generator": [parsed.rival or "generator"] * count,
            "scheme": [parsed.scheme or "template"] * count,
            "generator_digest": ["ab" * 32] * count,
        }
        self.put(name, images, labels, **{**columns, **changed})

    def put_oracle(self, images: Sequence[np.ndarray], labels: Sequence[int]) -> None:
        """Store a set whose prompts are images, which its paths name."""
        count = len(images)
        self.put(
            "oracle",
            images,
            labels,
            prompt=[f"{CLASSES[label]}/{k:04}.png" for k, label in enumerate(labels)],
            seed=list(range(count)),
            guidance_scale=[3.0] * count,
            steps=[25] * count,
            generator_digest=["cd" * 32] * count,
        )

    def write(self, name: str) -> None:
        """Write the manifest again, after a change of its columns."""
        kind = "real" if name in ("corpus", "train", "val", "test") else "synthetic"
        write_manifest(
            self.artifacts.image_set(name),
            kind=kind,
            classes=CLASSES,
            columns=self.columns[name],
            about=self.about.get(name),
        )

    def replace(self, name: str, row: int, image: np.ndarray) -> str:
        """Put other pixels into an image, honestly recorded; returns its path."""
        path = self.columns[name]["path"][row]
        file = self.artifacts.image_set(name) / path
        write_png(file, image)
        self.columns[name]["sha256"][row] = file_digest(file)
        self.write(name)
        return str(path)

    def drop(self, name: str, rows: Sequence[int]) -> None:
        """Take rows out of a manifest."""
        gone = set(rows)
        self.columns[name] = {
            column: [value for row, value in enumerate(values) if row not in gone]
            for column, values in self.columns[name].items()
        }
        self.write(name)

    def verdicts(self) -> dict[str, bytes]:
        """Every file of the stage's output."""
        folder = self.artifacts.stage("validate")
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def samples(digits: Digits, *, per_class: int, seed: int) -> tuple[list[np.ndarray], list[int]]:
    """Stand-ins for generated digits: draws from each class's principal components in corpus."""
    random = np.random.default_rng(seed)
    images, labels = [], []
    for label in range(10):
        rows = digits.split("corpus")
        known = digits.images[rows[digits.labels[rows] == label]][..., 0].reshape(-1, 256) * 1.0
        mean = known.mean(axis=0)
        _, scales, axes = np.linalg.svd(known - mean, full_matrices=False)
        drawn = random.normal(size=(per_class, 12)) * scales[:12] / np.sqrt(len(known))
        pixels = np.clip(mean + drawn @ axes[:12], 0, 255).astype(np.uint8).reshape(-1, 16, 16, 1)
        images += list(pixels.repeat(3, axis=-1))
        labels += [label] * per_class
    return images, labels
