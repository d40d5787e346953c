"""Contact sheets of the images of a set that a classifier finds easiest, and hardest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from synthgap.data import square
from synthgap.experiments.gap.predictions import PredictedSet, SetPredictions
from synthgap.jobs import whole_file

CLASSES = 10  # a sheet shows one by one, below all of them together
SHOWN = 12  # images a row
CELL_PX, GAP_PX, CAPTION_PX, TITLE_PX, MARGIN_PX = 48, 16, 14, 26, 10
ROW_PX = CELL_PX + 3 * CAPTION_PX + 8
INK, SOFT, WRONG, PAPER = (27, 31, 36), (91, 100, 112), (179, 38, 30), (255, 255, 255)
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def draw_losses(path: Path, looked: PredictedSet, classifier: str, *, highest: bool) -> None:
    """Write the images of least or most loss under `classifier`: of all classes, then of each.

    Each stands above its loss (nats), its class and, in red, the class that it is taken for where
    that is another one. With more than ten classes, ten evenly spaced ones have rows.
    """
    answers = looked.answers[classifier]
    ranked = np.argsort(-answers.losses if highest else answers.losses, kind="stable")
    names = looked.source.images.classes
    some = np.linspace(0, len(names) - 1, min(CLASSES, len(names))).round().astype(int)
    rows = {"all classes": ranked[:SHOWN]}
    for label in some:
        rows[f"only {names[label]}"] = ranked[looked.labels[ranked] == label][:SHOWN]
    font, small = ImageFont.load_default(size=13), ImageFont.load_default(size=11)
    left = MARGIN_PX + 12 + round(max(font.getlength(name) for name in rows))
    width = left + SHOWN * (CELL_PX + GAP_PX) + MARGIN_PX
    sheet = Image.new("RGB", (width, TITLE_PX + len(rows) * ROW_PX + MARGIN_PX), PAPER)
    draw = ImageDraw.Draw(sheet)
    most = "highest" if highest else "lowest"
    title = f"{looked.source.name}: {most} cross-entropy (nats) under the students of {classifier}"
    draw.text((MARGIN_PX, TITLE_PX // 2), title, fill=INK, font=font, anchor="lm")
    for row, (name, places) in enumerate(rows.items()):
        top = TITLE_PX + row * ROW_PX
        draw.text((MARGIN_PX, top + CELL_PX // 2), name, fill=INK, font=font, anchor="lm")
        for column, place in enumerate(places):
            corner = (left + column * (CELL_PX + GAP_PX), top)
            sheet.paste(_cell(looked, int(place)), corner)
            below = (corner[0] + CELL_PX // 2, top + CELL_PX + 2)
            _caption(draw, below, _said(looked, answers, int(place)), small)
    with whole_file(path) as partial:
        sheet.save(partial, format="PNG")


def _said(looked: PredictedSet, answers: SetPredictions, place: int) -> list[str]:
    """An image's loss, its class, and what it is taken for where that is another one."""
    own, said = int(looked.labels[place]), int(answers.said[place])
    names = looked.source.images.classes
    lines = [f"{answers.losses[place]:.3g}", names[own], names[said]]
    return lines[:2] if own == said else lines


def _caption(draw: ImageDraw.ImageDraw, top: tuple[int, int], lines: list[str], font: Font) -> None:
    """Write lines below each other, centred, each cut to the room of a cell."""
    for row, (text, colour) in enumerate(zip(lines, (INK, SOFT, WRONG), strict=False)):
        line = text
        while len(line) > 1 and font.getlength(line) > CELL_PX + GAP_PX - 2:
            line = line[:-1]
        draw.text((top[0], top[1] + row * CAPTION_PX), line, fill=colour, font=font, anchor="ma")


def _cell(looked: PredictedSet, place: int) -> Image.Image:
    """One image; smaller ones than a cell are shown as pixels, not blurred."""
    image = looked.source.images.image(int(looked.rows[place]))
    side = min(image.size)
    if side >= CELL_PX:
        return square(image, CELL_PX)
    return square(image, side).resize((CELL_PX, CELL_PX), Image.Resampling.NEAREST)
