"""A picture of what styles did: original, style and result, one image a class, a set a block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from synthgap.data.contact_sheet import ContactSheet, label_width
from synthgap.data.image_set import ImageSet
from synthgap.errors import DataError, ParamsError
from synthgap.generation.derived.style_pictures import StylePictures, open_styles
from synthgap.generation.derived.styled_set import SUFFIX, StyledSet
from synthgap.generation.synthesis.assembling import FINISHED as ASSEMBLED
from synthgap.jobs import Artifacts, Log, file_digest
from synthgap.jobs.once import make_once
from synthgap.jobs.recording import machine_of, record, run_logged, run_of
from synthgap.models.checkpoint import save_model
from synthgap.params.reading import section_dict
from synthgap.params.sections import Data, Runtime, Stylise

if TYPE_CHECKING:
    from synthgap.generation.trainers.adain import StyleTransfer


CELL_PX, GAP_PX, BLOCK_GAP_PX, HEADER_PX, MARGIN_PX = 48, 4, 20, 24, 8
ROWS = ("original", "style", "result")


def save_before_after(path: Path, sets: Mapping[str, StyledSet]) -> None:
    """Write the picture as PNG; images smaller than a cell are shown as pixels, not blurred."""
    names_px = MARGIN_PX + 10 + label_width(list(ROWS))
    step_px = CELL_PX + GAP_PX
    widths = [len(styled.examples.results) * step_px + BLOCK_GAP_PX for styled in sets.values()]
    width = names_px + sum(widths) - BLOCK_GAP_PX
    sheet = ContactSheet(width, HEADER_PX + len(ROWS) * step_px + MARGIN_PX)
    for row, name in enumerate(ROWS):
        sheet.label(name, MARGIN_PX, HEADER_PX + row * step_px + CELL_PX // 2)
    left = names_px
    for (name, styled), block_px in zip(sets.items(), widths, strict=True):
        sheet.label(name, left, HEADER_PX // 2)
        batch = styled.examples
        for row, images in enumerate((batch.originals, batch.styles, batch.results)):
            for column, image in enumerate(images):
                sheet.paste(_cell(image), left + column * step_px, HEADER_PX + row * step_px)
        left += block_px
    sheet.save_uncompressed(path)


def _cell(image: np.ndarray) -> Image.Image:
    small = len(image) < CELL_PX
    method = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
    return Image.fromarray(image).resize((CELL_PX, CELL_PX), method)


SETS = "sets"
PICTURE, NETWORK = "before_after.png", "network"
VGG19_LEVELS = 4  # to relu4_1


@dataclass(frozen=True)
class StyliseParams:
    """What stage `stylise` reads of params.yaml; of `runtime` only the device."""

    seed: int
    runtime: Runtime
    data: Data
    stylise: Stylise


@dataclass(frozen=True)
class _Task:
    """What is made of what; `record` is all that determines it, as run.json begins."""

    params: StyliseParams
    artifacts: Artifacts
    corpus: ImageSet | None  # what a network made here learns from
    parents: dict[str, ImageSet]
    styles: StylePictures
    record: dict[str, Any]


def stylise(params: StyliseParams, artifacts: Artifacts, log: Log) -> None:
    """Write sets `train-stylised` and `g<scale>-stylised`, their run.json and before_after.png.

    An image keeps name, class and place in its set. A killed run goes on with the training's last
    checkpoint and the images that are there, and ends with the same bytes.

    Raises:
        DataError: a set or a style picture is missing or damaged.
        GeneratorError: pinned weights are not what they should be, the training cannot go on, or
            the results are blank.
        ParamsError: the networks halve the images away.
        WorkError: another process is still making it.
    """
    _check_size(params)
    task = _task(params, artifacts)
    make_once(
        artifacts,
        task.record,
        artifacts.stage("stylise"),
        partial(_make, task, log),
        stage="stylise",
        threads=params.stylise.threads,
        beside={
            f"{SETS}/{name}/{ASSEMBLED}": artifacts.image_set(f"{name}{SUFFIX}")
            for name in task.parents
        },
    )


def _make(task: _Task, log: Log, folder: Path, finished: Path) -> dict[str, Any]:
    """Train or open the networks, make the sets, and return what run.json says."""
    network, runs = _network(task, folder, log)
    sets = _make_sets(task, network, folder)
    save_before_after(finished / PICTURE, sets)
    about = {"model": "AdaIN", "channels": list(task.params.stylise.channels)}
    save_model(finished / NETWORK, network, about)
    return {
        **task.record,
        "texture": {name: one.texture for name, one in sets.items()},
        "shape": {name: one.shape for name, one in sets.items()},
        "sets": {name: one.about() for name, one in sets.items()},
        "runs": runs,
    }


def _task(params: StyliseParams, artifacts: Artifacts) -> _Task:
    section = params.stylise
    names = ["train", artifacts.synthetic(section.guidance_scale)]
    parents = {name: _opened(artifacts, name) for name in names}
    corpus = _opened(artifacts, "corpus") if section.kind == "train" else None
    styles = open_styles(section, params.data.image_size, root=artifacts.root, seed=params.seed)
    read = [*parents.values(), *([corpus] if corpus else [])]
    record = _record(params, artifacts, read, styles)
    return _Task(params, artifacts, corpus, parents, styles, record)


def _opened(artifacts: Artifacts, name: str) -> ImageSet:
    images = ImageSet.read(artifacts.image_set(name))
    if not len(images):
        raise DataError(f"{images.root}: no images, expected some to stylise or to learn from")
    return images


def _record(
    params: StyliseParams, artifacts: Artifacts, read: list[ImageSet], styles: StylePictures
) -> dict[str, Any]:
    section, root = params.stylise, artifacts.root
    begun = record(
        "stylise",
        artifacts,
        inputs={
            path: digest for one in read for path, digest in one.as_input(artifacts.root).items()
        },
        params={
            "seed": params.seed,
            "image_size": params.data.image_size,
            "stylise": section_dict(section),
        },
        machine=machine_of(params.runtime, section.threads),
    )
    files = [section.pin.encoder, section.pin.decoder] if section.pin else []
    paths = {name: root / Path(name).expanduser() for name in files}
    return {
        **begun,
        "pictures": {"location": section.pictures, **styles.about()},
        "weights": {name: file_digest(path) for name, path in paths.items() if path.is_file()},
    }


def _network(task: _Task, folder: Path, log: Log) -> tuple[StyleTransfer, list[dict[str, Any]]]:
    """The networks, fixed, and the record of their training, if they were trained here."""
    from synthgap.generation.trainers.style_pin import pinned_pair
    from synthgap.generation.trainers.style_training import StyleTraining, small_pair, train_pair

    params, section = task.params, task.params.stylise
    runs: list[dict[str, Any]] = []
    if section.pin is not None:
        network = pinned_pair(section.pin, root=task.artifacts.root)
    else:
        assert task.corpus is not None
        network = small_pair(section)
        pixels = task.corpus.pixels(params.data.image_size)
        training = StyleTraining(section, pixels, task.styles.pixels, params.seed, folder)
        run = run_of(task.record, num_images=len(task.corpus), num_steps=2 * section.steps)
        epochs = run_logged(run, task.record, train_pair(network, training, params.runtime), log)
        runs.append({**run, "epochs": epochs, "last": {}})
    return network.eval().requires_grad_(requires_grad=False), runs


def _make_sets(task: _Task, network: StyleTransfer, folder: Path) -> dict[str, StyledSet]:
    from synthgap.generation.derived.styled_set import StyleNetworks, make_set
    from synthgap.jobs.device import device_of

    stylist = StyleNetworks(
        network=network.to(device_of(task.params.runtime)),
        styles=task.styles,
        section=task.params.stylise,
        size_px=task.params.data.image_size,
        seed=task.params.seed,
    )
    return {
        name: make_set(
            stylist, task.artifacts.recipe, name, parent, task.params.runtime, folder / SETS / name
        )
        for name, parent in task.parents.items()
    }


def _check_size(params: StyliseParams) -> None:
    """Padding by reflection needs 2 px at the deepest level."""
    size_px, section = params.data.image_size, params.stylise
    pinned = section.kind == "pin"
    levels = VGG19_LEVELS if pinned else len(section.channels)
    if size_px < 2**levels:
        raise ParamsError(
            f"params.yaml, data.image_size: {size_px}, expected {2**levels} px or more for the "
            f"{levels} levels of stylise.{'pin' if pinned else 'channels'}"
        )
