"""The section on layers: similarity and probes under the transfer curve, units against units."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from statistics import fmean
from typing import TYPE_CHECKING

from synthgap.reporting.blocks import Block, BulletList, FigureBlock, Section, Text
from synthgap.reporting.drawing import (
    INK,
    REAL,
    SYNTHETIC,
    ReportFigure,
    SeriesStyle,
    draw_baselines,
    draw_seeds,
    draw_series,
    render_figure,
)
from synthgap.reporting.figures import (
    DARK_TEXT,
    LIGHT_TEXT,
    MAX_NAMED_UNITS,
    TRANSFER_STYLES,
    baseline_rows,
    unit_ticks,
    widen_axis,
)
from synthgap.reporting.formats import number
from synthgap.reporting.layer_numbers import (
    ACROSS,
    OTHER,
    SAME,
    LayerNumbers,
    UnitValues,
    layer_sentences,
)
from synthgap.reporting.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure

PAIR_STYLES = {
    ACROSS: SeriesStyle("CKA real ~ synthetic", INK, "o"),
    SAME: SeriesStyle("CKA real ~ real, other seeds", REAL, "^", "--"),
    OTHER: SeriesStyle("CKA synthetic ~ synthetic, other seeds", SYNTHETIC, "v", "--"),
}
PROBE_STYLES = {
    "real": SeriesStyle("probe of the real-trained student", REAL, "^"),
    "synthetic": SeriesStyle("probe of the synthetic-trained student", SYNTHETIC, "v"),
}
DIRECTIONS = ("synthetic->real", "real->synthetic")
MAX_NUMBERED_UNITS = 12  # units; beyond, a cell is too small for its number
TITLE = "Why late layers fail"
INTRODUCTION = (
    "CKA says how alike two students place the same real images after a unit: 1 up to rotation and "
    "scale, 0 unrelated (linear CKA, Kornblith et al. 2019). A probe is a logistic regression from "
    "what stands after a unit to real labels: how much of the class can still be read there."
)


def layers_section(summary: Summary) -> Section:
    """CKA and probes of every unit, with what they say."""
    layers = summary.layers
    if layers is None:
        return Section("layers", TITLE, [FigureBlock(None, "", "")])
    blocks: list[Block] = [
        Text(INTRODUCTION, quiet=True),
        BulletList(layer_sentences(layers)),
        FigureBlock.of(summary.recipe, layers_figure(summary, layers), _caption(layers)),
        FigureBlock.of(summary.recipe, similarity_figure(summary, layers), _matrix_caption(layers)),
    ]
    return Section("layers", TITLE, blocks)


def layers_figure(summary: Summary, layers: LayerNumbers) -> ReportFigure:
    """Draw the transfer curve, CKA and probes over one axis of units."""

    def paint(figure: Figure) -> None:
        panels = figure.subplots(3, 1, sharex=True, height_ratios=(1.1, 1.0, 1.1))
        _draw_transfer(panels[0], summary)
        _draw_curves(panels[1], layers.cka, PAIR_STYLES)
        _draw_curves(panels[2], layers.probes, PROBE_STYLES)
        for axes in (panels[0], panels[2]):
            widen_axis(axes, (summary.real, summary.donor))
            draw_baselines(axes, baseline_rows(summary))
        panels[1].set_ylabel("CKA")
        for axes in (panels[0], panels[2]):
            axes.set_ylabel("top-1 (%)")
        unit_ticks(panels[2], layers.units)
        named = ", with the last one's name" if len(layers.units) <= MAX_NAMED_UNITS else ""
        panels[2].set_xlabel(f"after so many units{named}")
        for axes in panels:
            axes.legend(
                loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.1, fontsize=9
            )

    alt = f"{summary.recipe}: transfer, similarity and probe accuracy after every unit"
    return render_figure((summary.recipe, "layers"), alt, (9.2, 7.4), paint)


def similarity_figure(summary: Summary, layers: LayerNumbers) -> ReportFigure | None:
    """Draw CKA of every unit of one student with every unit of the other, a pair a panel."""
    pairs = [pair for pair in PAIR_STYLES if pair in layers.matrices]
    if not pairs:
        return None
    count = len(layers.units)

    def paint(figure: Figure) -> None:
        panels = figure.subplots(1, len(PAIR_STYLES))
        drawn = [
            _draw_matrix(axes, pair, layers) for axes, pair in zip(panels, pairs, strict=False)
        ]
        for axes in panels[len(pairs) :]:
            axes.set_axis_off()
        if count > MAX_NUMBERED_UNITS:
            figure.colorbar(drawn[0], ax=list(panels[: len(pairs)]), label="CKA", shrink=0.8)

    alt = f"{summary.recipe}: CKA between all units of two students"
    height = 1.3 + max(2.4, (0.37 if count <= MAX_NUMBERED_UNITS else 0.2) * count)
    return render_figure((summary.recipe, "similarity"), alt, (11.4, height), paint)


def _draw_transfer(axes: Axes, summary: Summary) -> None:
    for direction in DIRECTIONS:
        rows = summary.moved(direction)
        if rows:
            draw_series(
                axes,
                [int(row["depth"]) for row in rows],
                rows,
                TRANSFER_STYLES[direction],
                band=False,
            )


def _draw_curves(
    axes: Axes, found: Mapping[str, UnitValues], styles: Mapping[str, SeriesStyle]
) -> None:
    for kind, style in styles.items():
        rows = found.get(kind, [])
        after = [index + 1 for index, values in enumerate(rows) if values]
        axes.plot(
            after, [fmean(rows[place - 1]) for place in after], color=style.color,
            marker=style.marker, linestyle=style.line, label=style.label,
        )  # fmt: skip
        for place in after:
            draw_seeds(axes, place + 0.06, rows[place - 1], style.color)


def _draw_matrix(axes: Axes, pair: str, layers: LayerNumbers) -> QuadMesh:
    rows, columns = pair.split("~")
    units, matrix = layers.units, layers.matrices[pair]
    numbers = [str(index + 1) for index in range(len(units))]
    heights = [[nan if value is None else value for value in values] for values in matrix]
    drawn = axes.pcolormesh(heights, cmap="cividis", vmin=0, vmax=1)
    few = len(units) <= MAX_NUMBERED_UNITS
    for y, values in enumerate(matrix if few else []):
        for x, value in enumerate(values):
            if value is not None:
                ink = DARK_TEXT if value > 0.55 else LIGHT_TEXT
                text = number(value, 2)
                axes.text(x + 0.5, y + 0.5, text, ha="center", va="center", color=ink)
    middles = [index + 0.5 for index in range(len(units))]
    if few:
        axes.set_xticks(middles, units, rotation=45, ha="right", rotation_mode="anchor")
    else:
        axes.set_xticks(middles, numbers, fontsize=7)
    both = [f"{name}  {place}" for name, place in zip(units, numbers, strict=True)]
    axes.set_yticks(middles, units if few else both if pair == ACROSS else numbers)
    axes.set_xlabel(f"{columns}-trained{', another seed' if rows == columns else ''}")
    axes.set_ylabel(f"{rows}-trained")
    axes.grid(visible=False)
    axes.invert_yaxis()
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return drawn


def _caption(layers: LayerNumbers) -> str:
    counts = layers.images
    return (
        f"Students trained on real images and on synthetic ones at guidance "
        f"{layers.guidance_scale:g}. Small dots: one seed, or one pair of seeds, each. CKA over "
        f"{counts['cka']:,} held-out real images; probes learned from {counts['probe_train']:,} "
        f"real training images and scored on {counts['probe_test']:,} test images. Dotted lines: "
        "the students themselves, with their own classifiers."
    )


def _matrix_caption(layers: LayerNumbers) -> str:
    return (
        "CKA, mean over seeds, of what stands after each unit of one student with what stands "
        f"after each of the other, {layers.images['cka']:,} held-out real images."
    )
