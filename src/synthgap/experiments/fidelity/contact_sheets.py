"""Contact sheets of a synthetic set: beside its nearest real images, and its worst classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from synthgap.data import square
from synthgap.experiments.fidelity.image_sample import ImageSample
from synthgap.experiments.fidelity.metrics import Numbers, SetEmbeddings
from synthgap.experiments.fidelity.real_reference import RealReference
from synthgap.jobs import whole_file

CLASSES = 10  # a sheet shows
FIRST, CLOSEST = 4, 2  # pairs of each class: as they come, and nearest of all
WORST_SHOWN = 12  # images of a bad class
CELL_PX, GAP_PX, PAIR_GAP_PX, GROUP_GAP_PX = 48, 2, 14, 34
HEADER_PX, LINE_PX, CAPTION_PX, MARGIN_PX = 26, 18, 15, 8
INK, SOFT, WRONG, PAPER = (27, 31, 36), (91, 100, 112), (179, 38, 30), (255, 255, 255)
HEADERS = ("synthetic | nearest real, as they come", "nearest of all")
LONGEST = 110  # characters of a prompt


def draw_neighbours(
    path: Path, reference: RealReference, sample: ImageSample, made: SetEmbeddings
) -> None:
    """Write pairs of a synthetic image and the nearest real one, a class a row.

    Of each class the first images by manifest order, not chosen, then those nearest to a real one.
    With more than ten classes, ten evenly spaced ones.
    """
    distances, closest = reference.nearest_real(made)
    classes = sample.images.classes
    shown = np.linspace(0, len(classes) - 1, min(CLASSES, len(classes))).round().astype(int)
    font = ImageFont.load_default(size=13)
    names_px = MARGIN_PX + 12 + round(max(font.getlength(classes[label]) for label in shown))
    pair_px = 2 * CELL_PX + GAP_PX + PAIR_GAP_PX
    chosen_px = names_px + FIRST * pair_px - PAIR_GAP_PX + GROUP_GAP_PX
    width = chosen_px + CLOSEST * pair_px - PAIR_GAP_PX + MARGIN_PX
    row_px = CELL_PX + 8
    sheet = Image.new("RGB", (width, HEADER_PX + len(shown) * row_px + MARGIN_PX), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((names_px, HEADER_PX // 2), HEADERS[0], fill=INK, font=font, anchor="lm")
    draw.text((chosen_px, HEADER_PX // 2), HEADERS[1], fill=INK, font=font, anchor="lm")
    for row, label in enumerate(shown):
        top = HEADER_PX + row * row_px
        middle = (MARGIN_PX, top + CELL_PX // 2)
        draw.text(middle, classes[label], fill=INK, font=font, anchor="lm")
        own = np.flatnonzero(made.labels == label)
        near = own[np.argsort(distances[own], kind="stable")[:CLOSEST]]
        for left, group in ((names_px, own[:FIRST]), (chosen_px, near)):
            for place, index in enumerate(group):
                corner = (left + place * pair_px, top)
                real, real_row = reference.real_image(int(closest[index]))
                sheet.paste(_cell(sample.images.image(int(sample.rows[index]))), corner)
                sheet.paste(_cell(real.images.image(real_row)), (corner[0] + CELL_PX + GAP_PX, top))
    _save(path, sheet)


def draw_worst(
    path: Path,
    sample: ImageSample,
    made: SetEmbeddings,
    classes: Mapping[str, Numbers],
    worst: Sequence[Mapping[str, Any]],
) -> None:
    """Write the worst classes, least agreed image first, each under what the judge takes it for."""
    font, small = ImageFont.load_default(size=13), ImageFont.load_default(size=11)
    block_px = 2 * LINE_PX + CELL_PX + CAPTION_PX + 12
    width = 2 * MARGIN_PX + WORST_SHOWN * (CELL_PX + 8)
    titles = [_title(entry, classes[entry["class"]]) for entry in worst]
    width = max(width, *(2 * MARGIN_PX + round(font.getlength(t)) for pair in titles for t in pair))
    sheet = Image.new("RGB", (width, MARGIN_PX + len(worst) * block_px), PAPER)
    draw = ImageDraw.Draw(sheet)
    said = made.judged.argmax(axis=1)
    for block, (entry, (title, prompt)) in enumerate(zip(worst, titles, strict=True)):
        top = MARGIN_PX + block * block_px
        draw.text((MARGIN_PX, top), title, fill=INK, font=font)
        draw.text((MARGIN_PX, top + LINE_PX), prompt, fill=SOFT, font=small)
        label = made.classes.index(entry["class"])
        own = np.flatnonzero(made.labels == label)
        order = own[np.argsort(made.judged[own, label], kind="stable")[:WORST_SHOWN]]
        for place, index in enumerate(order):
            corner = (MARGIN_PX + place * (CELL_PX + 8), top + 2 * LINE_PX)
            sheet.paste(_cell(sample.images.image(int(sample.rows[index]))), corner)
            name = _cut(made.classes[said[index]], small, CELL_PX + 6)
            colour = SOFT if said[index] == label else WRONG
            below = (corner[0] + CELL_PX // 2, corner[1] + CELL_PX + 2)
            draw.text(below, name, fill=colour, font=small, anchor="ma")
    _save(path, sheet)


def _title(entry: Mapping[str, Any], numbers: Numbers) -> tuple[str, str]:
    """The line above a class's images, and its first prompt."""
    agreement = numbers["agreement"]
    share = "no images" if agreement is None else f"{100 * agreement:.0f} % judged as such"
    others = ", ".join(f"{name} ({100 * part:.0f} %)" for name, part in numbers["taken_for"])
    title = f"{entry['class']}: {share}{f'; taken for {others}' if others else ''}"
    prompts = entry["prompts"]
    text = f'"{prompts[0]}"' if prompts else "no prompt"
    return title, text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _cut(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: int) -> str:
    """As much of a text as fits."""
    while len(text) > 1 and font.getlength(text) > width_px:
        text = text[:-1]
    return text


def _cell(image: Image.Image) -> Image.Image:
    """One cell; images smaller than it are shown as pixels, not blurred."""
    side = min(image.size)
    if side >= CELL_PX:
        return square(image, CELL_PX)
    return square(image, side).resize((CELL_PX, CELL_PX), Image.Resampling.NEAREST)


def _save(path: Path, sheet: Image.Image) -> None:
    with whole_file(path) as partial:
        sheet.save(partial, format="PNG")
