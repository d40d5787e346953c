"""Contact sheets of the images of a set that a classifier finds easiest, and hardest."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from synthgap.data.contact_sheet import (
    CELL_PX,
    INK,
    SOFT,
    WRONG,
    Colour,
    ContactSheet,
    cell,
    label_width,
    sheet_labels,
)
from synthgap.experiments.gap.predictions import PredictedSet, SetPredictions

NUM_EXAMPLES = 12  # images a row
GAP_PX, CAPTION_PX, TITLE_PX, MARGIN_PX = 16, 14, 26, 10
ROW_PX = CELL_PX + 3 * CAPTION_PX + 8


def draw_losses(path: Path, predicted: PredictedSet, classifier: str, *, highest: bool) -> None:
    """Write the images of least or most loss under `classifier`: of all classes, then of each.

    Each stands above its loss (nats), its class and, in red, the class that it is taken for where
    that is another one. With more than ten classes, ten evenly spaced ones have rows.
    """
    answers = predicted.answers[classifier]
    ranked = np.argsort(-answers.losses if highest else answers.losses, kind="stable")
    names = predicted.source.images.classes
    rows = {"all classes": ranked[:NUM_EXAMPLES]}
    for label in sheet_labels(len(names)):
        rows[f"only {names[label]}"] = ranked[predicted.labels[ranked] == label][:NUM_EXAMPLES]
    left = MARGIN_PX + 12 + label_width(list(rows))
    width = left + NUM_EXAMPLES * (CELL_PX + GAP_PX) + MARGIN_PX
    sheet = ContactSheet(width, TITLE_PX + len(rows) * ROW_PX + MARGIN_PX)
    most = "highest" if highest else "lowest"
    title = (
        f"{predicted.source.name}: {most} cross-entropy (nats) under the students of {classifier}"
    )
    sheet.label(title, MARGIN_PX, TITLE_PX // 2)
    for row, (name, places) in enumerate(rows.items()):
        top = TITLE_PX + row * ROW_PX
        sheet.label(name, MARGIN_PX, top + CELL_PX // 2)
        for column, place in enumerate(places):
            across = left + column * (CELL_PX + GAP_PX)
            image = predicted.source.images.image(int(predicted.rows[place]))
            sheet.paste(cell(image), across, top)
            for line, (text, colour) in enumerate(_captions(predicted, answers, int(place))):
                below = top + CELL_PX + 2 + line * CAPTION_PX
                middle, width_px = across + CELL_PX // 2, CELL_PX + GAP_PX - 2
                sheet.caption(text, middle, below, colour=colour, width_px=width_px)
    sheet.save(path)


def _captions(
    predicted: PredictedSet, answers: SetPredictions, place: int
) -> list[tuple[str, Colour]]:
    """An image's loss, its class, and what it is taken for where that is another one."""
    own, taken_for = int(predicted.labels[place]), int(answers.predictions[place])
    names = predicted.source.images.classes
    lines = [(f"{answers.losses[place]:.3g}", INK), (names[own], SOFT), (names[taken_for], WRONG)]
    return lines[:2] if own == taken_for else lines
