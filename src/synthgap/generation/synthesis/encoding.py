"""An image as a file, PNG or JPEG, with the metadata that makes it again."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from PIL import Image, JpegImagePlugin, PngImagePlugin, UnidentifiedImageError

from synthgap.data.image_set import ImageSet, square
from synthgap.errors import DataError, ParamsError
from synthgap.generation.pipelines.provenance import Provenance
from synthgap.generation.pipelines.sampler import Request

SCHEMA = 1
MACHINE = ("processor", "device", "threads")  # these stand in the manifest alone


@dataclass(frozen=True)
class ImageMetadata:
    """What all images of a set, and of the longer and shorter ones, share."""

    shared: Mapping[str, Any]

    def __call__(self, request: Request, label: int, class_name: str) -> dict[str, Any]:
        """The metadata of one image, which was taken for class `label`."""
        return {
            **self.shared,
            "schema": SCHEMA,
            "k": request.number,
            "seed": request.seed,
            "prompt": request.prompt,
            "label": label,
            "class_name": class_name,
            "labelled_by": "request" if request.label is not None else "judge",
        }


def generator_metadata(generator: Provenance, source: Sequence[str]) -> dict[str, Any]:
    """What an image tells of its generator, which stage and cell `source` keep."""
    return {
        "source": list(source),
        "digest": generator.sha256,
        "location": generator.location if generator.revision else None,  # no local path
        "revision": generator.revision,
        "licence": generator.licence,
    }


def versions_of(environment: Mapping[str, str | int]) -> dict[str, str | int]:
    """The libraries' part of an environment."""
    return {name: value for name, value in environment.items() if name not in MACHINE}


KEY = "synthgap"  # of the PNG's text chunk; JPEG has one comment
LOOKED_AT = 100  # real files, evenly spaced, whose format is taken
Tables = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Encoding:
    """How images become files.

    Squares of `side_px`, or as they are sampled. PNG is uncompressed, because zlib and zlib-ng give
    different bytes; JPEG has a `quality`, or the quantisation `tables` and `subsampling` of the
    real files.
    """

    format: Literal["png", "jpeg"]
    side_px: int | None
    quality: int | None = None
    tables: Tables | None = None
    subsampling: int | None = None
    share: float | None = None  # of the real files that look so, where they are the model

    @property
    def extension(self) -> str:
        """Of the file's name."""
        return "png" if self.format == "png" else "jpg"

    def stored_px(self, size_px: tuple[int, int]) -> tuple[int, int]:
        """Width and height of the file for images sampled at `size_px`."""
        return size_px if self.side_px is None else (self.side_px, self.side_px)

    def encode(self, pixels: np.ndarray, metadata: Mapping[str, Any]) -> bytes:
        """The file of one image, uint8 (height, width, 3), that also holds its `metadata`."""
        image = Image.fromarray(pixels)
        if self.side_px is not None:
            image = square(image, self.side_px)
        text = json.dumps(metadata, separators=(",", ":"), sort_keys=True)  # ASCII alone
        buffer = io.BytesIO()
        if self.format == "png":
            chunks = PngImagePlugin.PngInfo()
            chunks.add_text(KEY, text)
            image.save(buffer, format="PNG", compress_level=0, pnginfo=chunks)
            return buffer.getvalue()
        options: dict[str, Any] = {"quality": self.quality}
        if self.tables is not None:
            options = {"qtables": self.tables, "subsampling": self.subsampling}
        image.save(buffer, format="JPEG", comment=text.encode(), **options)
        return buffer.getvalue()

    @property
    def brief(self) -> dict[str, Any]:
        """What a file tells of itself: it has its quantisation anyway."""
        return {
            "format": self.format,
            "side_px": self.side_px,
            "quality": self.quality,
            "subsampling": self.subsampling,
        }

    def as_json(self) -> dict[str, Any]:
        """For records: format and quality, and the way from the sampled size to the stored one."""
        resize = "shorter side to the stored one (bicubic), then the centre"
        return {
            "format": self.format,
            "quality": self.quality,
            "quantisation": None if self.tables is None else [list(one) for one in self.tables],
            "subsampling": self.subsampling,
            "share_of_real_files": self.share,
            "side_px": self.side_px,
            "resize": None if self.side_px is None else resize,
        }


def encoding_of(content: bytes, brief: Mapping[str, Any]) -> Encoding:
    """The encoding of a file by what it tells of itself (`brief`)."""
    encoding = Encoding(**brief)
    if encoding.format == "png" or encoding.quality is not None:
        return encoding
    with Image.open(io.BytesIO(content)) as image:
        assert isinstance(image, JpegImagePlugin.JpegImageFile)
        return replace(encoding, tables=_tables(image))


def like_real(images: ImageSet, side_px: int | None) -> Encoding:
    """The commonest encoding among real files: PNG, or JPEG by its tables and subsampling.

    Raises:
        ParamsError: it is neither.
        DataError: a file is unreadable.
    """
    rows = np.linspace(0, len(images) - 1, min(len(images), LOOKED_AT)).astype(int).tolist()
    encodings = Counter(_encoding_in(images, row) for row in rows)
    (name, tables, subsampling), count = encodings.most_common(1)[0]
    share = count / len(rows)
    if name == "PNG":
        return Encoding("png", side_px, share=share)
    if name != "JPEG":
        raise ParamsError(
            f"params.yaml, synthesize.format: as_train, but most files of {images.root} are "
            f"{name}; expected PNG or JPEG files, set png or jpeg"
        )
    return Encoding("jpeg", side_px, tables=tables, subsampling=subsampling, share=share)


def metadata_in(content: bytes, place: str) -> dict[str, Any] | None:
    """What a file, found at `place`, tells of how it was made; None if it tells nothing.

    Raises:
        DataError: it is no readable image.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            description = image.info.get(KEY if image.format == "PNG" else "comment")
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise DataError(f"{place}: no readable image ({error}); expected a PNG or JPEG") from error
    try:
        metadata = json.loads(description) if description else None
    except ValueError:
        return None
    return metadata if isinstance(metadata, dict) else None


def _encoding_in(images: ImageSet, row: int) -> tuple[str, Tables | None, int | None]:
    """Format, and of a JPEG its quantisation and its subsampling as Pillow numbers it."""
    place = f"{images.root / images.paths[row]}"
    try:
        with Image.open(io.BytesIO(images.content(row))) as image:
            if not isinstance(image, JpegImagePlugin.JpegImageFile):
                return image.format or "unknown", None, None
            tables = _tables(image)
            sampling = JpegImagePlugin.get_sampling(image)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise DataError(f"{place}: no readable image ({error}); replace it and rerun") from error
    return "JPEG", tables, max(sampling, 0)


def _tables(image: JpegImagePlugin.JpegImageFile) -> Tables:
    found: dict[int, list[int]] = image.quantization
    return tuple(tuple(found[name]) for name in sorted(found))
