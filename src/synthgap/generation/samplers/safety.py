"""A pipeline's own safety checker, asked about whole batches; it blackens nothing here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from synthgap.errors import GeneratorError
from synthgap.generation.checkpoints.foreign import Pipeline
from synthgap.generation.checkpoints.provenance import CHECKER

Check = Callable[[np.ndarray], np.ndarray]
"""Whether each image, uint8 (n, height, width, 3), is unsafe: bool (n,)."""


def taken_checker(pipeline: Pipeline, folder: Path, *, wanted: bool) -> Check | None:
    """Take the safety checker out of the pipeline, which would blacken images, if it is wanted.

    Raises:
        GeneratorError: it is wanted, and the pipeline has none.
    """
    checker = getattr(pipeline, CHECKER, None)
    if checker is not None:
        pipeline.safety_checker = None
    if not wanted:
        return None
    extractor = getattr(pipeline, "feature_extractor", None)
    if checker is None or extractor is None:
        raise GeneratorError(
            f"{folder}: has no {CHECKER} or no feature_extractor; expected both, since "
            "synthesize.filters.safety is true; pin a pipeline with them or set it to false"
        )

    def check(pixels: np.ndarray) -> np.ndarray:
        shown = extractor([Image.fromarray(image) for image in pixels], return_tensors="pt")
        seen = shown.pixel_values.to(pipeline.device, checker.dtype)
        canvas = np.zeros((len(pixels), 1, 1, 3), dtype=np.float32)  # what it would blacken
        with torch.no_grad():
            _, unsafe = checker(images=canvas, clip_input=seen)
        return np.asarray(unsafe, dtype=bool)

    return check
