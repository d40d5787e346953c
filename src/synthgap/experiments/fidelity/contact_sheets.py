"""Contact sheets of a synthetic set: beside its nearest real images, and its worst classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from synthgap.data.contact_sheet import (
    CELL_PX,
    INK,
    SOFT,
    WRONG,
    ContactSheet,
    cell,
    label_width,
    sheet_labels,
)
from synthgap.experiments.fidelity.image_sample import ImageSample
from synthgap.experiments.fidelity.metrics import Numbers, SetEmbeddings
from synthgap.experiments.fidelity.real_reference import RealReference

FIRST, CLOSEST = 4, 2  # pairs of each class: as they come, and nearest of all
WORST_SHOWN = 12  # images of a bad class
GAP_PX, PAIR_GAP_PX, GROUP_GAP_PX = 2, 14, 34
HEADER_PX, LINE_PX, CAPTION_PX, MARGIN_PX = 26, 18, 15, 8
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
    row_labels = sheet_labels(len(classes))
    names_px = MARGIN_PX + 12 + label_width([classes[label] for label in row_labels])
    pair_px = 2 * CELL_PX + GAP_PX + PAIR_GAP_PX
    chosen_px = names_px + FIRST * pair_px - PAIR_GAP_PX + GROUP_GAP_PX
    row_px = CELL_PX + 8
    width = chosen_px + CLOSEST * pair_px - PAIR_GAP_PX + MARGIN_PX
    sheet = ContactSheet(width, HEADER_PX + len(row_labels) * row_px + MARGIN_PX)
    sheet.label(HEADERS[0], names_px, HEADER_PX // 2)
    sheet.label(HEADERS[1], chosen_px, HEADER_PX // 2)
    for row, label in enumerate(row_labels):
        top = HEADER_PX + row * row_px
        sheet.label(classes[label], MARGIN_PX, top + CELL_PX // 2)
        own = np.flatnonzero(made.labels == label)
        near = own[np.argsort(distances[own], kind="stable")[:CLOSEST]]
        for group_px, group in ((names_px, own[:FIRST]), (chosen_px, near)):
            for place, index in enumerate(group):
                left = group_px + place * pair_px
                real, real_row = reference.real_image(int(closest[index]))
                sheet.paste(cell(sample.images.image(int(sample.rows[index]))), left, top)
                sheet.paste(cell(real.images.image(real_row)), left + CELL_PX + GAP_PX, top)
    sheet.save(path)


def draw_worst(
    path: Path,
    sample: ImageSample,
    made: SetEmbeddings,
    classes: Mapping[str, Numbers],
    worst: Sequence[Mapping[str, Any]],
) -> None:
    """Write the worst classes, least agreed image first, each under what the judge takes it for."""
    block_px = 2 * LINE_PX + CELL_PX + CAPTION_PX + 12
    titles = [_title(entry, classes[entry["class"]]) for entry in worst]
    wide = [2 * MARGIN_PX + label_width(list(pair)) for pair in titles]
    width = max(2 * MARGIN_PX + WORST_SHOWN * (CELL_PX + 8), *wide)
    sheet = ContactSheet(width, MARGIN_PX + len(worst) * block_px)
    judged = made.judged.argmax(axis=1)
    for block, (entry, (title, prompt)) in enumerate(zip(worst, titles, strict=True)):
        top = MARGIN_PX + block * block_px
        sheet.draw.text((MARGIN_PX, top), title, fill=INK, font=sheet.font)
        sheet.draw.text((MARGIN_PX, top + LINE_PX), prompt, fill=SOFT, font=sheet.small)
        label = made.classes.index(entry["class"])
        own = np.flatnonzero(made.labels == label)
        order = own[np.argsort(made.judged[own, label], kind="stable")[:WORST_SHOWN]]
        for place, index in enumerate(order):
            left, below = MARGIN_PX + place * (CELL_PX + 8), top + 2 * LINE_PX
            sheet.paste(cell(sample.images.image(int(sample.rows[index]))), left, below)
            sheet.caption(
                made.classes[judged[index]],
                left + CELL_PX // 2,
                below + CELL_PX + 2,
                colour=SOFT if judged[index] == label else WRONG,
                width_px=CELL_PX + 6,
            )
    sheet.save(path)


def _title(entry: Mapping[str, Any], numbers: Numbers) -> tuple[str, str]:
    """The line above a class's images, and its first prompt."""
    agreement = numbers["agreement"]
    share = "no images" if agreement is None else f"{100 * agreement:.0f} % judged as such"
    others = ", ".join(f"{name} ({100 * part:.0f} %)" for name, part in numbers["taken_for"])
    title = f"{entry['class']}: {share}{f'; taken for {others}' if others else ''}"
    prompts = entry["prompts"]
    text = f'"{prompts[0]}"' if prompts else "no prompt"
    return title, text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
