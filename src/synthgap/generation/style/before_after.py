"""A picture of what styles did: original, style and result, one image a class, a set a block."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from synthgap.data.image_set import write_png
from synthgap.generation.style.styled_set import Styled

CELL_PX, GAP_PX, BLOCK_GAP_PX, HEADER_PX, MARGIN_PX = 48, 4, 20, 24, 8
ROWS = ("original", "style", "result")
INK, PAPER = (27, 31, 36), (255, 255, 255)


def save_before_after(path: Path, sets: Mapping[str, Styled]) -> None:
    """Write the picture as PNG; images smaller than a cell are shown as pixels, not blurred."""
    font = ImageFont.load_default(size=13)
    names_px = MARGIN_PX + 10 + round(max(font.getlength(name) for name in ROWS))
    step_px = CELL_PX + GAP_PX
    widths = [len(styled.shown.results) * step_px + BLOCK_GAP_PX for styled in sets.values()]
    size = (names_px + sum(widths) - BLOCK_GAP_PX, HEADER_PX + len(ROWS) * step_px + MARGIN_PX)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    for row, name in enumerate(ROWS):
        middle = HEADER_PX + row * step_px + CELL_PX // 2
        draw.text((MARGIN_PX, middle), name, fill=INK, font=font, anchor="lm")
    left = names_px
    for (name, styled), width in zip(sets.items(), widths, strict=True):
        draw.text((left, HEADER_PX // 2), name, fill=INK, font=font, anchor="lm")
        shown = styled.shown
        for row, images in enumerate((shown.originals, shown.styles, shown.results)):
            for column, image in enumerate(images):
                corner = (left + column * step_px, HEADER_PX + row * step_px)
                sheet.paste(_cell(image), corner)
        left += width
    write_png(path, np.asarray(sheet))


def _cell(image: np.ndarray) -> Image.Image:
    small = len(image) < CELL_PX
    method = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
    return Image.fromarray(image).resize((CELL_PX, CELL_PX), method)
