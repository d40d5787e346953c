"""Depth x fraction: how few real labels a frozen synthetic prefix can do with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synthgap.reporting.drawing import Drawing, draw
from synthgap.reporting.labels import fraction_name
from synthgap.reporting.lookup import select
from synthgap.reporting.summary import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DARK, LIGHT = "#000000", "#ffffff"
CELL_IN = (0.85, 0.42)  # inches of one cell


def measured(summary: Summary) -> dict[tuple[int, float], float]:
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


def heatmap_figure(summary: Summary) -> Drawing | None:
    """Draw the heat map, with gaps where nothing was measured; nothing below two fractions."""
    values = measured(summary)
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
                ink = DARK if level > 0.55 else LIGHT
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
    return draw((summary.recipe, "heatmap"), alt, size, paint)
