"""Contact sheet: real training images beside the synthetic ones, a class a row, a set a column."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from synthgap.artifacts import whole_file
from synthgap.data import ImageSet, square

MAX_CLASSES = 10
PER_CLASS = 5
CELL_PX = 44
GAP_PX = 4
GROUP_GAP_PX = 22
HEADER_PX = 26
MARGIN_PX = 8
INK = (27, 31, 36)
PAPER = (255, 255, 255)


def contact_sheet(path: Path, sets: Mapping[str, ImageSet]) -> list[str]:
    """Write the sheet of the captioned `sets` and return the classes it shows.

    A class's first images by manifest order: shown as they come, not chosen. With more than ten
    classes, ten evenly spaced ones.
    """
    font = ImageFont.load_default(size=13)
    classes = next(iter(sets.values())).classes
    shown = [
        classes[index]
        for index in np.linspace(0, len(classes) - 1, min(MAX_CLASSES, len(classes))).astype(int)
    ]
    names_px = MARGIN_PX + 10 + round(max(font.getlength(name) for name in shown))
    group_px = PER_CLASS * (CELL_PX + GAP_PX) - GAP_PX
    width = names_px + len(sets) * (group_px + GROUP_GAP_PX) - GROUP_GAP_PX + MARGIN_PX
    height = HEADER_PX + len(shown) * (CELL_PX + GAP_PX) + MARGIN_PX
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    for row, name in enumerate(shown):
        middle = HEADER_PX + row * (CELL_PX + GAP_PX) + CELL_PX // 2
        draw.text((MARGIN_PX, middle), name, fill=INK, font=font, anchor="lm")
    for column, (caption, images) in enumerate(sets.items()):
        left = names_px + column * (group_px + GROUP_GAP_PX)
        draw.text((left, HEADER_PX // 2), caption, fill=INK, font=font, anchor="lm")
        for row, name in enumerate(shown):
            _paste_class(sheet, images, name, (left, HEADER_PX + row * (CELL_PX + GAP_PX)))
    with whole_file(path) as partial:
        sheet.save(partial, format="PNG")
    return shown


def _paste_class(sheet: Image.Image, images: ImageSet, name: str, corner: tuple[int, int]) -> None:
    if name not in images.classes:
        return
    own = np.flatnonzero(images.labels == images.classes.index(name))[:PER_CLASS]
    for position, index in enumerate(own):
        picture = images.image(int(index))
        if min(picture.size) < CELL_PX:  # small images are shown as pixels, not blurred
            side = min(picture.size)
            picture = square(picture, side).resize((CELL_PX, CELL_PX), Image.Resampling.NEAREST)
        left = corner[0] + position * (CELL_PX + GAP_PX)
        sheet.paste(square(picture, CELL_PX), (left, corner[1]))
