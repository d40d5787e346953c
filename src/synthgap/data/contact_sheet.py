"""Contact sheets: images as equal cells, with labels, as one PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from synthgap.data.image_set import square, write_png
from synthgap.jobs import whole_file

INK, SOFT, WRONG, PAPER = (27, 31, 36), (91, 100, 112), (179, 38, 30), (255, 255, 255)
CELL_PX = 48
MAX_CLASSES = 10  # that a sheet shows one by one
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Colour = tuple[int, int, int]


class ContactSheet:
    """A sheet of white paper; positions are (left, top) in px."""

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width, height), PAPER)
        self.draw = ImageDraw.Draw(self.image)
        self.font: Font = ImageFont.load_default(size=13)
        self.small: Font = ImageFont.load_default(size=11)

    def label(self, text: str, left: int, middle: int) -> None:
        """Write one line, its middle at the height `middle`."""
        self.draw.text((left, middle), text, fill=INK, font=self.font, anchor="lm")

    def caption(self, text: str, centre: int, top: int, *, colour: Colour, width_px: int) -> None:
        """Write one small centred line, cut to as much of it as fits."""
        line = text
        while len(line) > 1 and self.small.getlength(line) > width_px:
            line = line[:-1]
        self.draw.text((centre, top), line, fill=colour, font=self.small, anchor="ma")

    def paste(self, image: Image.Image, left: int, top: int) -> None:
        """Show an image as a cell."""
        self.image.paste(image, (left, top))

    def save(self, path: Path) -> None:
        """Write the sheet as compressed PNG, whole or not at all."""
        with whole_file(path) as partial:
            self.image.save(partial, format="PNG")

    def save_uncompressed(self, path: Path) -> None:
        """Write the sheet as image sets are written, with the same bytes on every machine."""
        write_png(path, np.asarray(self.image))


def label_width(names: list[str]) -> int:
    """How wide (px) the longest of some labels is."""
    font = ImageFont.load_default(size=13)
    return round(max(font.getlength(name) for name in names))


def cell(image: Image.Image, size_px: int = CELL_PX) -> Image.Image:
    """An image as a square cell; smaller ones are shown as pixels, not blurred."""
    side = min(image.size)
    if side >= size_px:
        return square(image, size_px)
    return square(image, side).resize((size_px, size_px), Image.Resampling.NEAREST)


def sheet_labels(num_classes: int) -> list[int]:
    """Labels of the classes that a sheet shows: all, or ten evenly spaced ones."""
    count = min(MAX_CLASSES, num_classes)
    return [int(label) for label in np.linspace(0, num_classes - 1, count).round()]
