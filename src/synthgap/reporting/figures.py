"""The figures of one recipe; each returns nothing where its experiment was not run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from synthgap.evaluation import Log2Fit, fit_log2
from synthgap.reporting.drawing import (
    CORPUS,
    REAL,
    SYNTHETIC,
    TO_REAL,
    TO_SYNTHETIC,
    ReportFigure,
    SeriesStyle,
    draw_baselines,
    draw_seeds,
    draw_series,
    legend_above,
    render_figure,
)
from synthgap.reporting.record_names import Record, arrow, fraction_name, select
from synthgap.reporting.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


TRANSFER_STYLES = {
    "synthetic->real": SeriesStyle(arrow("synthetic->real"), TO_REAL, "o"),
    "real->synthetic": SeriesStyle(arrow("real->synthetic"), TO_SYNTHETIC, "s"),
    "real->real": SeriesStyle(f"{arrow('real->real')} (control)", REAL, "^", "--"),
    "synthetic->synthetic": SeriesStyle(
        f"{arrow('synthetic->synthetic')} (control)", SYNTHETIC, "v", "--"
    ),
}
DEPTH_OFFSETS = dict(
    zip(TRANSFER_STYLES, (-0.05, 0.05, -0.15, 0.15), strict=True)
)  # bars side by side
PREFIX_MARKERS = "oDPX*"
MAX_NAMED_UNITS = 9


def transfer_figure(summary: Summary) -> ReportFigure | None:
    """Draw accuracy against depth, all four directions."""
    curves = {name: rows for name in TRANSFER_STYLES if (rows := summary.moved(name))}
    if not curves:
        return None

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for name, rows in curves.items():
            depths = [int(row["depth"]) + DEPTH_OFFSETS[name] for row in rows]
            draw_series(axes, depths, rows, TRANSFER_STYLES[name], band=False)
            for depth, row in zip(depths, rows, strict=True):
                draw_seeds(axes, depth + 0.035, summary.seeds_of(row), TRANSFER_STYLES[name].color)
            _draw_ends(axes, summary, name, rows)
        unit_ticks(axes, summary.units)
        axes.set_ylabel("top-1 on real test images (%)")
        widen_axis(axes, (summary.real, summary.donor))
        draw_baselines(axes, baseline_rows(summary))
        legend_above(figure, axes, 4)

    alt = f"{summary.recipe}: accuracy against the number of frozen units for each direction"
    return render_figure((summary.recipe, "transfer"), alt, (9.2, 4.6), paint)


def _draw_ends(axes: Axes, summary: Summary, direction: str, rows: Sequence[Record]) -> None:
    """Join the curve to what its ends are: depth 0 from scratch, all units the donor itself."""
    donor, student = (
        summary.real if side == "real" else summary.donor for side in direction.split("->")
    )
    style = TRANSFER_STYLES[direction]
    for end, row, there in ((rows[0], student, 0), (rows[-1], donor, len(summary.units))):
        if row is not None:
            axes.plot(
                [there, end["depth"] + DEPTH_OFFSETS[direction]], [row["mean"], end["mean"]],
                color=style.color, linestyle=":", linewidth=1.1,
            )  # fmt: skip
            axes.plot(
                [there], [row["mean"]], color=style.color, marker=style.marker,
                markerfacecolor="none", linestyle="none",
            )  # fmt: skip


def unit_ticks(axes: Axes, units: Sequence[str]) -> None:
    """Name a depth N by the last of the first N units, from none to all."""
    ticks = list(range(len(units) + 1))
    names = ["none", *units[:-1], "all"] if len(units) <= MAX_NAMED_UNITS else [""] * len(ticks)
    axes.set_xticks(ticks, [f"{tick}\n{name}" for tick, name in zip(ticks, names, strict=True)])
    axes.set_xlim(-0.35, len(units) + 0.35)
    axes.set_xlabel("units frozen from the donor, with the last one's name (0: from scratch)")


def baseline_rows(summary: Summary) -> list[tuple[str, Record | None, str]]:
    """Name the two students that every curve runs between."""
    scale = summary.donor["guidance_scale"] if summary.donor else 0
    return [
        ("real", summary.real, REAL),
        (f"synthetic g{scale:g}", summary.donor, SYNTHETIC),
    ]


def widen_axis(axes: Axes, rows: Sequence[Record | None]) -> None:
    """Widen the axis to what baselines will show."""
    low, high = axes.get_ylim()
    means = [float(row["mean"]) for row in rows if row is not None]
    axes.set_ylim(min([low, *(mean - 0.5 for mean in means)]), max([high, *means]))


def guidance_figure(summary: Summary) -> ReportFigure | None:
    """Draw accuracy of synthetic-trained students against guidance scale."""
    rows = summary.synthetic
    if not rows:
        return None

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        scales = [float(row["guidance_scale"]) for row in rows]
        draw_series(axes, scales, rows, SeriesStyle("synthetic", SYNTHETIC, "v"))
        for row in rows:
            draw_seeds(axes, row["guidance_scale"] * 1.035, summary.seeds_of(row), SYNTHETIC)
        if scales[0] > 0:
            axes.set_xscale("log")
        axes.set_xticks(scales, [f"{scale:g}" for scale in scales])
        axes.set_xticks([], minor=True)
        axes.margins(x=0.12)
        if len(scales) == 1 and scales[0] > 0:
            axes.set_xlim(scales[0] / 2, scales[0] * 2)  # else a seed's dot lies as far as it can
        axes.set_xlabel("guidance scale of the training images")
        axes.set_ylabel("top-1 on real test images (%)")
        widen_axis(axes, (summary.real, summary.corpus))
        draw_baselines(axes, [("real", summary.real, REAL), ("corpus", summary.corpus, CORPUS)])

    alt = f"{summary.recipe}: accuracy against guidance scale, beside real and corpus"
    return render_figure((summary.recipe, "guidance"), alt, (6.2, 3.6), paint)


def reduce_figure(summary: Summary) -> ReportFigure | None:
    """Draw accuracy against real labels, every arm, with the log2 fit of the frozen prefixes."""
    arms = summary.arms
    if not arms:
        return None

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for (arm, depth), rows in arms.items():
            style = arm_style(arm, depth, [key[1] for key in arms if key[0] == arm])
            if arm == "prefix" and len(rows) > 1:
                style = replace(style, label=f"{style.label} (fit {_draw_fit(axes, rows)})")
            labels = [float(row["real_labels"]["student"]) for row in rows]
            draw_series(axes, labels, rows, style)
        axes.set_xscale("log", base=2)
        _label_ticks(axes, list(chain.from_iterable(arms.values())))
        axes.set_ylabel("top-1 on real test images (%)")
        widen_axis(axes, (summary.real, summary.donor))
        draw_baselines(axes, baseline_rows(summary))
        legend_above(figure, axes, 2)

    alt = f"{summary.recipe}: accuracy against the number of real labels for each arm"
    return render_figure((summary.recipe, "reduce"), alt, (9.2, 4.8), paint)


def arm_style(arm: str, depth: int, depths: Sequence[int]) -> SeriesStyle:
    """How one data-reduction arm is drawn and named."""
    if arm == "scratch":
        return SeriesStyle("from scratch", REAL, "^", "--")
    if arm == "finetune":
        return SeriesStyle("fine-tuned from synthetic, nothing frozen", TO_SYNTHETIC, "s")
    place = sorted(depths).index(depth)
    marker = PREFIX_MARKERS[place % len(PREFIX_MARKERS)]
    return SeriesStyle(
        f"first {depth} frozen from synthetic", TO_REAL, marker, hollow=place % 2 == 1
    )


def _draw_fit(axes: Axes, rows: Sequence[Record]) -> Log2Fit:
    fit = fit_log2([row["fraction"] for row in rows], [row["mean"] for row in rows])
    labels = [row["real_labels"]["student"] for row in rows]
    heights = [fit.at(row["fraction"]) for row in rows]
    axes.plot(labels, heights, color=TO_REAL, linestyle=":", linewidth=1.2)
    return fit


def _label_ticks(axes: Axes, rows: Sequence[Record]) -> None:
    ticks = {row["real_labels"]["student"]: fraction_name(row["fraction"]) for row in rows}
    names = [f"{labels}\n{fraction}" for labels, fraction in ticks.items()]
    axes.set_xticks([float(labels) for labels in ticks], names)
    axes.set_xlabel("real labels of the student (share of the real training set)")


DARK_TEXT, LIGHT_TEXT = "#000000", "#ffffff"
CELL_IN = (0.85, 0.42)  # inches of one cell


def top1_grid(summary: Summary) -> dict[tuple[int, float], float]:
    """Top-1 by (depth, fraction): from scratch is depth 0, transfer on all labels is fraction 1."""
    rows = [
        *select(summary.top1, experiment="reduce", arm="prefix"),
        *select(summary.top1, experiment="reduce", arm="scratch"),
    ]
    rows = [*select(summary.top1, experiment="transfer", direction="synthetic->real"), *rows]
    found = {(int(row["depth"] or 0), float(row["fraction"])): float(row["mean"]) for row in rows}
    if summary.real is not None:
        found.setdefault((0, 1.0), float(summary.real["mean"]))
    return found


def heatmap_figure(summary: Summary) -> ReportFigure | None:
    """Draw the heat map, with gaps where nothing was measured; nothing below two fractions."""
    values = top1_grid(summary)
    depths = sorted({depth for depth, _ in values})
    fractions = sorted({fraction for _, fraction in values}, reverse=True)
    if len(fractions) < 2:
        return None

    def paint(figure: Figure) -> None:
        from matplotlib import colormaps
        from matplotlib.patches import Rectangle

        axes = figure.subplots()
        axes.grid(visible=False)
        low, high = min(values.values()), max(values.values())
        for y, depth in enumerate(depths):
            for x, fraction in enumerate(fractions):
                value = values.get((depth, fraction))
                if value is None:
                    continue
                level = (value - low) / (high - low or 1.0)
                box = Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, color=colormaps["cividis"](level))
                axes.add_patch(box)
                ink = DARK_TEXT if level > 0.55 else LIGHT_TEXT
                axes.text(x, y, f"{value:.1f}", ha="center", va="center", color=ink)
        axes.set_xlim(-0.5, len(fractions) - 0.5)
        axes.set_ylim(len(depths) - 0.5, -0.5)
        axes.set_xticks(range(len(fractions)), [fraction_name(one) for one in fractions])
        axes.set_yticks(
            range(len(depths)), [str(depth) if depth else "0 (scratch)" for depth in depths]
        )
        axes.set_xlabel("share of the real labels")
        axes.set_ylabel("units frozen from synthetic")
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)

    size = (1.6 + CELL_IN[0] * len(fractions), 0.9 + CELL_IN[1] * len(depths))
    alt = f"{summary.recipe}: accuracy by units frozen and share of the real labels"
    return render_figure((summary.recipe, "heatmap"), alt, size, paint)
