"""What a CLIP teacher says of images and class names (MtG eq. 1), asked once a set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthgap.experiments.runs.sources import Source
from synthgap.experiments.runs.spec import DistillationSpec
from synthgap.generation.prompts.class_words import class_texts
from synthgap.jobs import Artifacts, content_digest, environment, whole_file
from synthgap.models.clip import open_clip_model, teacher_folder
from synthgap.params.sections import Prompts

if TYPE_CHECKING:
    import torch

    from synthgap.models.clip import ImageTextModel


@dataclass(frozen=True)
class TeacherEmbeddings:
    """The teacher that stage `teacher` has kept; it is opened when first asked.

    `prompt` turns a class into a text, with its words from `prompts` in their places.
    """

    artifacts: Artifacts
    prompt: str
    prompts: Prompts
    device: torch.device

    @cached_property
    def _found(self) -> tuple[Path, str]:
        return teacher_folder(self.artifacts.stage("teacher"), root=self.artifacts.root)

    @cached_property
    def _model(self) -> ImageTextModel:
        return open_clip_model(self._found[0], self.device)

    def distillation(self, source: Source) -> DistillationSpec:
        """Embeddings of the source's images and of its class names.

        Those of the images come from `.synthgap/embeddings`, where the same teacher has seen the
        same images on this kind of machine.

        Raises:
            SynthgapError: the teacher is missing or damaged.
        """
        root = self.artifacts.root
        texts = class_texts(self.prompt, self.prompts, source.images.classes, root)
        return DistillationSpec(
            embeddings=self._embeddings(source),
            anchors=self._model.embed_texts(texts),
            digest=content_digest({"teacher": self._found[1], "texts": texts}),
        )

    def _embeddings(self, source: Source) -> np.ndarray:
        seen_by = {
            "teacher": self._found[1],
            "size_px": source.labelled.size_px,
            "environment": environment(threads=1, device=str(self.device)),
        }
        name = f"{source.images.digest}-{content_digest(seen_by)}.npy"
        path = self.artifacts.root / ".synthgap" / "embeddings" / name
        if not path.is_file():
            pixels = source.labelled.images.permute(0, 2, 3, 1).numpy()
            found = self._model.embed_images(pixels)
            with whole_file(path) as partial, partial.open("wb") as file:
                np.save(file, found, allow_pickle=False)
        kept: np.ndarray = np.load(path)
        return kept
