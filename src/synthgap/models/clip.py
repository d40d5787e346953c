"""CLIP models (Radford et al. 2021): image and text embeddings that can be compared.

One way for the small one that stage `teacher` trains and for any of transformers' CLIPModel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from synthgap.errors import GeneratorError
from synthgap.jobs import read_json
from synthgap.jobs.pinned import defining_files, files_digest, found
from synthgap.models.batching import in_full_batches

CONFIG = "config.json"
PROVENANCE = "provenance.json"
HUB_FILES = ("config.json", "preprocessor_config.json", "token*.json", "vocab.*", "merges.txt",
             "special_tokens_map.json", "model*.safetensors*")  # fmt: skip


@dataclass(frozen=True)
class ImageTextModel:
    """An opened CLIPModel: embeddings are projected, but not normalised."""

    network: Any  # transformers.CLIPModel
    tokenizer: Any
    processor: Any  # how its images are resized and normalised
    device: torch.device

    @property
    def size(self) -> int:
        """Length of an embedding."""
        return int(self.network.config.projection_dim)

    def embed_images(self, pixels: np.ndarray) -> np.ndarray:
        """Embeddings, float32 (num_images, size), of uint8 (num_images, height, width, 3).

        Each depends on its own image alone: passes are always full.
        """
        if not len(pixels):
            return np.empty((0, self.size), np.float32)
        return in_full_batches(self._answers, pixels)[0]

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Embeddings, float32 (num_texts, size); what is too long for the model is cut short."""
        with torch.no_grad():
            ids = self.tokenizer(
                list(texts),
                padding="max_length",
                max_length=self.network.config.text_config.max_position_embeddings,
                truncation=True,
                return_tensors="pt",
            ).input_ids
            embedded: Tensor = self.network.get_text_features(
                input_ids=ids.to(self.device)
            ).pooler_output
        return embedded.float().cpu().numpy()

    def _answers(self, pixels: np.ndarray) -> tuple[Tensor]:
        values = self.processor(
            images=list(pixels), return_tensors="pt", input_data_format="channels_last"
        ).pixel_values
        return (self.network.get_image_features(pixel_values=values.to(self.device)).pooler_output,)


def open_clip_model(folder: Path, device: str | torch.device = "cpu") -> ImageTextModel:
    """Open a CLIPModel folder without network, pickles or foreign code.

    Raises:
        GeneratorError: transformers cannot open it.
    """
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    config = folder / CONFIG
    if not config.is_file() or read_json(config).get("model_type") != "clip":
        raise GeneratorError(
            f"{config}: expected that of a CLIP (model_type: clip); rerun `dvc repro teacher` or "
            "correct teacher.pin.location"
        )
    try:
        network = transformers.CLIPModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        processor = transformers.CLIPImageProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError, AttributeError, ImportError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise GeneratorError(
            f"{folder}: transformers cannot open it ({reason}); expected a whole CLIPModel folder "
            "with tokenizer and preprocessor_config.json"
        ) from error
    network = network.eval().requires_grad_(requires_grad=False).to(device)
    return ImageTextModel(network, tokenizer, processor, torch.device(device))


def teacher_folder(stage_output: Path, *, root: Path) -> tuple[Path, str]:
    """Folder of the CLIPModel that stage `teacher` made or pinned, and its digest.

    Raises:
        GeneratorError: there is none, or it is not the one that the stage saw.
    """
    path = stage_output / PROVENANCE
    if not path.is_file():
        raise GeneratorError(f"{path}: missing, expected a teacher; run `dvc repro teacher` first")
    known = read_json(path)
    folder = stage_output
    if known["location"] is not None:
        folder, _ = find_clip(known["location"], known["revision"], root=root)
    digest = clip_digest(folder)
    if digest != known["sha256"]:
        raise GeneratorError(
            f"{folder}: digest {digest}, expected {known['sha256']} as stage teacher saw it; "
            "rerun `dvc repro teacher`"
        )
    return folder, digest


def find_clip(location: str, revision: str | None, *, root: Path) -> tuple[Path, str | None]:
    """Folder and resolved revision of a CLIPModel made elsewhere.

    Raises:
        GeneratorError: there is no such folder, and the hub does not give it.
    """
    return found(location, revision, root=root, patterns=HUB_FILES, place="teacher.pin")


def clip_digest(folder: Path) -> str:
    """Hex sha256 over names and bytes of the files that open the model, and of no others.

    Raises:
        GeneratorError: the folder holds no model, or pickles where safetensors should be.
    """
    if not (folder / CONFIG).is_file():
        raise GeneratorError(
            f"{folder / CONFIG}: missing, expected a CLIPModel folder; check teacher.pin.location"
        )
    records = {PROVENANCE, "run.json", "work.json", "model_index.json"}
    return files_digest(
        folder,
        [
            path
            for path in defining_files(folder)
            if path.name not in records and not path.name.startswith("open_clip")
        ],
    )
