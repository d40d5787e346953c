"""A CLIP teacher's embeddings of images and class names (MtG eq. 1), computed once a set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthgap.data.embedding_cache import cached_array
from synthgap.experiments.runs.sources import Source
from synthgap.experiments.runs.spec import DistillationSpec
from synthgap.generation.prompts.class_words import class_texts
from synthgap.jobs import Artifacts, content_digest, environment
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
        identity = {
            "teacher": self._found[1],
            "size_px": source.labelled.size_px,
            "environment": environment(threads=1, device=str(self.device)),
        }
        pixels = source.labelled.images.permute(0, 2, 3, 1).numpy()
        return cached_array(
            self.artifacts,
            source.images.digest,
            identity,
            stage="ablate",
            compute=lambda: self._model.embed_images(pixels),
        )
