"""The networks that stage `fidelity` asks: feature extractor, judge and CLIP teacher."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from synthgap.errors import DataError
from synthgap.experiments.fidelity.image_sample import (
    FeatureExtractor,
    ImageSample,
    embeddings_of,
)
from synthgap.experiments.fidelity.metrics import SetEmbeddings
from synthgap.jobs import Artifacts, environment, read_json
from synthgap.jobs.device import device_name
from synthgap.models.clip import ImageTextModel, open_clip_model, teacher_folder
from synthgap.models.feature_network import open_network
from synthgap.models.judge import JudgeNetwork
from synthgap.params.sections import Data, Fidelity

TEXTS = 256  # prompts a forward pass


@dataclass(frozen=True)
class Extractors:
    """All of them, opened. `features` is None where the judge's own are used."""

    judge: JudgeNetwork
    judging: FeatureExtractor
    features: FeatureExtractor | None
    clip: ImageTextModel
    reading: FeatureExtractor
    device: torch.device
    about: dict[str, Any]  # what the tables say of them

    @classmethod
    def open(
        cls, how: Fidelity, data: Data, artifacts: Artifacts, device: torch.device, *, threads: int
    ) -> Extractors:
        """Open judge and teacher of this recipe, and the network that `how` names.

        Raises:
            SynthgapError: one of them is missing or damaged.
        """
        judge = JudgeNetwork.open(artifacts.stage("judge"), device)
        folder, clip_digest = teacher_folder(artifacts.stage("teacher"), root=artifacts.root)
        clip = open_clip_model(folder, device)
        where = {"environment": environment(threads=threads, device=device_name(device))}

        def judging(pixels: np.ndarray) -> np.ndarray:
            view = judge.view(pixels)
            return np.concatenate([view.probabilities, view.features], axis=1)

        about, features = _features(how, judge, artifacts, device)
        if features is not None:
            features = replace(features, identity={**features.identity, **where})
        return cls(
            judge=judge,
            judging=FeatureExtractor(data.image_size, {"judge": judge.digest, **where}, judging),
            features=features,
            clip=clip,
            reading=FeatureExtractor(
                data.image_size, {"clip": clip_digest, **where}, clip.embed_images
            ),
            device=device,
            about={**about, "clip": {"digest": clip_digest}},
        )

    def embed(self, sample: ImageSample, artifacts: Artifacts) -> SetEmbeddings:
        """Features and judgement of every image of the sample.

        Raises:
            DataError: the judge knows other classes, or an image is missing or damaged.
        """
        if sample.images.classes != self.judge.classes:
            raise DataError(
                f"{sample.images.root}: its {len(sample.images.classes)} classes are not the "
                f"{len(self.judge.classes)} of the judge; rerun `dvc repro judge synthesize`"
            )
        both = embeddings_of(sample, self.judging, artifacts)
        count = len(self.judge.classes)
        features = (
            embeddings_of(sample, self.features, artifacts) if self.features else both[:, count:]
        )
        return SetEmbeddings(sample.images.classes, sample.labels, features, both[:, :count])

    def read(self, sample: ImageSample, artifacts: Artifacts) -> np.ndarray:
        """CLIP's embeddings of the images, float32 (n, dim)."""
        return embeddings_of(sample, self.reading, artifacts)

    def spoken(self, prompts: list[str]) -> np.ndarray:
        """CLIP's embeddings of the prompts, float32 (n, dim); each distinct one is read once."""
        distinct = {text: index for index, text in enumerate(dict.fromkeys(prompts))}
        texts = list(distinct)
        parts = [
            self.clip.embed_texts(texts[start : start + TEXTS])
            for start in range(0, len(texts), TEXTS)
        ]
        return np.concatenate(parts)[[distinct[text] for text in prompts]]


def _features(
    how: Fidelity, judge: JudgeNetwork, artifacts: Artifacts, device: torch.device
) -> tuple[dict[str, Any], FeatureExtractor | None]:
    """Records of judge and feature network, and what extracts features where not the judge."""
    learned_from = _learned_from(artifacts)
    about: dict[str, Any] = {"digest": judge.digest, "learned_from": learned_from}
    described: dict[str, Any] = {"judge": {**about, "real_labels": judge.real_labels}}
    pin = how.feature_network
    if pin is None:
        trained = f"trained on {learned_from}" if learned_from else "trained elsewhere"
        named = {"kind": "judge", "name": f"the judge, {trained}", "digest": judge.digest}
        return {**described, "feature_network": named}, None
    network = open_network(pin, device, root=artifacts.root)
    weights = "weights from the hub" if pin.weights == "hub" else Path(pin.weights).name
    named = {"kind": "timm", "name": f"{pin.model}, {weights}", "digest": network.digest}
    extractor = FeatureExtractor(network.size_px, {"network": network.digest}, network.features)
    return {**described, "feature_network": named}, extractor


def _learned_from(artifacts: Artifacts) -> str | None:
    """The set that the judge was trained on; None where it was made elsewhere."""
    path = artifacts.stage("judge") / "run.json"
    runs = read_json(path)["runs"] if path.is_file() else []
    return str(runs[0]["set"]) if runs else None
