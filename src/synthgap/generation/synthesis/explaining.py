"""How an image was made, told by its own file, and the same image made again."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from synthgap.data.export import find_set
from synthgap.data.image_set import ImageSet
from synthgap.errors import DataError, GeneratorError
from synthgap.generation.pipelines.provenance import Provenance, locate
from synthgap.generation.pipelines.sampler import Request, SamplingSettings
from synthgap.generation.synthesis.assembling import DROPPED
from synthgap.generation.synthesis.candidates import Candidates
from synthgap.generation.synthesis.encoding import MACHINE, encoding_of, metadata_in
from synthgap.generation.synthesis.set_request import capabilities_of
from synthgap.jobs import Artifacts, differences, environment
from synthgap.params.sections import Runtime


@dataclass(frozen=True)
class ImageExplanation:
    """A file and what it tells."""

    place: str
    content: bytes
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Regenerated:
    """An image made again: whether the bytes are the same, and what differs if not."""

    equal: bool
    largest_difference: int | None  # grey levels, 0 to 255; None where sizes differ
    machine: tuple[str, ...]  # versions that differ here, e.g. `torch: 2.1 here, 2.0 there`


def explained_file(path: Path) -> ImageExplanation:
    """Read a file of a set, or of its export.

    Raises:
        DataError: it is missing, no image, or tells nothing.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: {error.strerror}; expected an image file, or a set's name and a number"
        ) from error
    return _explained(str(path), content)


def explained_number(root: Path, name: str, number: int) -> ImageExplanation:
    """Read image k of a set, given by its name or folder, in the checkout `root`.

    Raises:
        DataError: the set has no such image; the line says whether it was dropped, and why.
    """
    images = find_set(root, name)
    rows = images.rows()
    found = [] if "k" not in rows else np.flatnonzero(rows["k"] == number).tolist()
    if not found:
        raise DataError(f"{images.root}: {_why_missing(images, number)}")
    row = found[0]
    return _explained(f"{images.root}, {images.paths[row]}", images.content(row))


def regenerate(explained: ImageExplanation, root: Path) -> Regenerated:
    """Sample the image anew, alone in its padded batch, and compare the files.

    Raises:
        SynthgapError: the generator is missing or another one by now.
    """
    metadata = explained.metadata
    pixels = _sampled(metadata, root)
    content = encoding_of(explained.content, metadata["stored"]).encode(pixels, metadata)
    here = {
        name: value
        for name, value in environment(threads=metadata["threads"]).items()
        if name not in MACHINE
    }
    return Regenerated(
        equal=content == explained.content,
        largest_difference=_difference(content, explained.content),
        machine=tuple(differences(here, metadata["versions"])),
    )


def _explained(place: str, content: bytes) -> ImageExplanation:
    metadata = metadata_in(content, place)
    if metadata is None or "seed" not in metadata:
        raise DataError(
            f"{place}: tells nothing of how it was made; expected an image of stage synthesize"
        )
    return ImageExplanation(place, content, metadata)


def _why_missing(images: ImageSet, number: int) -> str:
    import pandas as pd

    path = images.root / DROPPED
    if path.is_file():
        dropped = pd.read_parquet(path)
        found = dropped[dropped["k"] == number]
        if len(found):
            row = found.iloc[0]
            facts = {"prompt": row["prompt"], "seed": int(row["seed"])}
            return f"image {number} was dropped ({row['reason']}; {facts}); expected one of the set"
    return f"no image {number}, expected one of the column k of its manifest"


def _sampled(metadata: Mapping[str, Any], root: Path) -> np.ndarray:
    """The pixels of the one image, uint8 (height, width, 3)."""
    from synthgap.generation.pipelines.opening import open_sampler
    from synthgap.jobs.device import torch_threads

    artifacts = Artifacts(root, metadata["recipe"])
    folder = _generator(metadata, artifacts)
    train = ImageSet.read(artifacts.image_set("train"))
    runtime = Runtime(
        threads=metadata["threads"],
        workers=1,
        processes=1,
        sync_batch_norm=False,
        device="auto",
        precision=metadata["precision"],
        compile=metadata["compile"],
        checkpoint_every_epochs=1,
        checkpoint_every_steps=None,
    )
    with torch_threads(runtime.threads):
        settings = SamplingSettings(**metadata["settings"])
        prompts = [metadata["prompt"]]
        sampler = open_sampler(folder, settings, runtime, classes=train.classes, prompts=prompts)
        pixels: np.ndarray = sampler([_request(metadata, folder, train)]).pixels[0]
    return pixels


def _generator(metadata: Mapping[str, Any], artifacts: Artifacts) -> Path:
    """The generator's folder, if it is still the one that made the image."""
    made_by, source = metadata["generator"], metadata["generator"]["source"]
    known = Provenance.read(artifacts, *source)
    if known.sha256 != made_by["digest"]:
        raise GeneratorError(
            f"{'/'.join(source)} of recipe {artifacts.recipe}: digest {known.sha256}, but the "
            f"image was made by {made_by['digest']}; check out the commit that made it and run "
            "`dvc checkout`"
        )
    return locate(known, artifacts, *source)


def _request(metadata: Mapping[str, Any], folder: Path, train: ImageSet) -> Request:
    capabilities = capabilities_of(folder, train.classes)
    candidates = Candidates(
        seed=0,
        classes=train.classes,
        labelled=capabilities.knows_classes,
        writer=None,
        prompting=train if capabilities.needs_images else None,
    )
    return replace(
        candidates.request(metadata["k"]), seed=metadata["seed"], prompt=metadata["prompt"]
    )


def _difference(one: bytes, other: bytes) -> int | None:
    """Largest difference of two files' pixels."""
    pixels = [np.asarray(Image.open(io.BytesIO(each)).convert("RGB")) for each in (one, other)]
    if pixels[0].shape != pixels[1].shape:
        return None
    return int(np.abs(pixels[0].astype(int) - pixels[1]).max())
