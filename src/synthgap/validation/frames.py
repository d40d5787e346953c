"""What the gate checks: one row an image, its manifest entry and what was measured.

A missing, changed or unreadable file becomes a row whose measurements are empty, not an exception,
so that every verdict comes from an expectation.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from synthgap.data import MANIFEST, ImageSet
from synthgap.data.neighbours import ShiftedDistance
from synthgap.data.packed import COLUMNS, StoredImages
from synthgap.errors import DataError
from synthgap.params.sections import Data

if TYPE_CHECKING:
    import pandas as pd

CHANNELS = ("red", "green", "blue")
NEEDED = ("path", "label", "sha256")
UNREADABLE = (OSError, SyntaxError, ValueError)  # what Pillow raises for what is not an image
LEAST_PX, SIZED = 8, 500  # smallest side compared, files whose size is looked up


@dataclass(frozen=True)
class GateFrame:
    """One image set as the gate sees it.

    `windows` holds the images that could be read, `readable_rows` their rows in `frame`.
    """

    name: str
    kind: str
    classes: tuple[str, ...]
    digest: str | None  # None where the manifest lacks a column
    frame: pd.DataFrame
    windows: np.ndarray  # (num_readable, num_shifts, pixels) uint8
    readable_rows: np.ndarray  # (num_readable,) int64
    about: Mapping[str, Any]  # what its maker says of the whole set

    @property
    def prompted(self) -> bool:
        """Whether texts made its images; what nobody says of an older set."""
        return bool(self.about.get("spoken", True))

    @property
    def names_class(self) -> bool:
        """Whether every prompt ought to name its class: captions of whole images need not."""
        return bool(self.about.get("names_class", self.about.get("scheme") != "captions"))


def measure_set(root: Path, name: str, kind: str, lens: ShiftedDistance) -> GateFrame:
    """Read the manifest of a set, which ought to be of a kind, and measure every image of it.

    Raises:
        DataError: there is no manifest, or it does not say its kind and classes.
    """
    frame, about = _manifest(root)
    frame["kind"] = objects([about["kind"]] * len(frame))
    complete = all(column in frame for column in NEEDED)
    measurements = list(_measurements(root, frame, lens)) if complete else []
    if complete:
        _measured(frame, measurements)
        _about_classes(frame, about["classes"])
        _about_prompts(frame, about.get("spoken") or {})
    readable_rows = np.array(
        [i for i, (_, windows) in enumerate(measurements) if windows is not None], np.int64
    )
    views = [windows for _, windows in measurements if windows is not None]
    shifts = (2 * lens.shift_px + 1) ** 2
    return GateFrame(
        name=name,
        kind=kind,
        classes=tuple(about["classes"]),
        digest=ImageSet.read(root).digest if complete and frame["label"].dtype == int else None,
        frame=frame,
        windows=np.stack(views) if views else np.empty((0, shifts, lens.side_px**2), np.uint8),
        readable_rows=readable_rows,
        about=about,
    )


def compared_size(root: Path, data: Data) -> int:
    """Side in pixels at which shifts are tried: the student's, or train's own where smaller.

    `original` keeps files as they came, and a shift by a pixel of a 32 px file is not one by a
    pixel of the same file enlarged to 256 px.
    """
    if data.encoding == "png":
        return data.image_size
    frame, _ = _manifest(root)
    sides = []
    read, count = _stored(root, frame).read, len(frame)
    for index in range(0, count, max(1, count // SIZED)):
        with suppress(*UNREADABLE, DataError), Image.open(io.BytesIO(read(index))) as image:
            sides.append(min(image.size))
    return max(LEAST_PX, min(data.image_size, int(np.median(sides or [data.image_size]))))


def _manifest(root: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    import pandas as pd
    import pyarrow.parquet as pq

    path = root / MANIFEST
    if not path.is_file():
        raise DataError(f"{path}: missing, expected an image set; rerun the stage that makes it")
    about = json.loads((pq.read_schema(path).metadata or {}).get(b"synthgap", b"{}"))
    if not {"kind", "classes"} <= set(about):
        raise DataError(
            f"{path}: says neither kind nor classes; rerun the stage that makes the set"
        )
    frame = pd.read_parquet(path)
    # Python strings: Great Expectations knows their type and lists the values that are not.
    texts = [column for column in frame if isinstance(frame[column].dtype, pd.StringDtype)]
    return frame.astype(dict.fromkeys(texts, object)), about


def _measurements(
    root: Path, frame: pd.DataFrame, lens: ShiftedDistance
) -> Iterator[tuple[dict[str, Any], np.ndarray | None]]:
    read, digests = _stored(root, frame).read, list(frame["sha256"])

    def one(index: int) -> tuple[dict[str, Any], np.ndarray | None]:
        try:
            content = read(index)
        except DataError:
            return {"exists": False}, None
        return _measure_image(content, digests[index], lens)

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        yield from pool.map(one, range(len(frame)))


def _stored(root: Path, frame: pd.DataFrame) -> StoredImages:
    """Where the images lie, whatever else the manifest says; nowhere where it does not."""
    import pyarrow as pa

    columns = {name: pa.array(frame[name]) for name in COLUMNS if name in frame}
    paths = [str(path) for path in frame["path"]] if "path" in frame else [""] * len(frame)
    return StoredImages.of(root, pa.table({"path": pa.array(paths, pa.string()), **columns}))


def _measure_image(
    content: bytes, digest: str, lens: ShiftedDistance
) -> tuple[dict[str, Any], np.ndarray | None]:
    """Measure one file; the windows are None where there is no image to see."""
    found: dict[str, Any] = {"exists": True, "unchanged": sha256(content).hexdigest() == digest}
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
    except UNREADABLE:
        return {**found, "readable": False}, None
    colours = image.convert("RGB")
    pixels = np.asarray(colours)
    decoded = sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
    found |= {"readable": True, "format": image.format, "mode": image.mode, "decoded": decoded}
    found |= {"width": image.width, "height": image.height, "pixel_std": float(pixels.std())}
    for index, channel in enumerate(CHANNELS):
        found[f"{channel}_mean"] = float(pixels[..., index].mean())
        found[f"{channel}_std"] = float(pixels[..., index].std())
    return found, lens.windows(colours)


def _measured(
    frame: pd.DataFrame, measurements: list[tuple[dict[str, Any], np.ndarray | None]]
) -> None:
    words = ("exists", "unchanged", "readable", "format", "mode", "decoded")
    numbers = (
        "width",
        "height",
        "pixel_std",
        *(f"{c}_{s}" for c in CHANNELS for s in ("mean", "std")),
    )
    for column in words:
        frame[column] = objects([found.get(column) for found, _ in measurements])
    for column in numbers:
        frame[column] = np.array(
            [found.get(column, np.nan) for found, _ in measurements], dtype=float
        )


def _about_classes(frame: pd.DataFrame, classes: list[str]) -> None:
    """Say each row's class by its label, and how many images that class has; None out of range."""
    names = [
        classes[int(label)] if _whole(label) and 0 <= label < len(classes) else None
        for label in frame["label"]
    ]
    counts: dict[str | None, float] = {**Counter(names), None: np.nan}
    frame["class"] = objects(names)
    frame["images_of_class"] = np.array([counts[name] for name in names], float)
    folders = [str(path).split("/")[0] for path in frame["path"]]
    pairs = zip(folders, names, strict=True)
    agrees = [None if name is None else folder == name for folder, name in pairs]
    frame["label_is_folder"] = objects(agrees)


def _about_prompts(frame: pd.DataFrame, spoken: Mapping[str, str]) -> None:
    """Count each prompt's words and say whether it names the class, as it is spoken of."""
    if "prompt" not in frame:
        return
    prompts = [prompt if isinstance(prompt, str) else None for prompt in frame["prompt"]]
    words = [np.nan if prompt is None else len(prompt.split()) for prompt in prompts]
    pairs = zip(prompts, frame["class"], strict=True)
    named = [
        None if prompt is None or name is None else _plain(spoken.get(name, name)) in _plain(prompt)
        for prompt, name in pairs
    ]
    frame["prompt_words"] = np.array(words, dtype=float)
    frame["prompt_names_class"] = objects(named)


def compare_classes(gated: GateFrame, train: GateFrame) -> None:
    """Add `class_is_trains`: whether a row's label stands for the same class here and in train."""
    if "class" in gated.frame:
        theirs = dict(enumerate(train.classes))
        pairs = zip(gated.frame["label"], gated.frame["class"], strict=True)
        equal = [None if name is None else theirs.get(int(label)) == name for label, name in pairs]
        gated.frame["class_is_trains"] = objects(equal)


def objects(values: Sequence[object]) -> pd.Series:
    """A column whose empty cells stay None: pandas makes NaN of them where it can guess text."""
    import pandas as pd

    return pd.Series(list(values), dtype=object)


def _whole(label: object) -> bool:
    return isinstance(label, Real) and label == label // 1


def _plain(text: str) -> str:
    """The words alone, framed by spaces, so that `one` is not found in `someone`."""
    words = re.findall(r"[^\W_]+", text.casefold())
    return f" {' '.join(words) or text} "
