"""Figures of the gap between sources: learning, losses, and the three kinds of difference."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10, nan
from typing import TYPE_CHECKING

from synthgap.reporting.drawing import (
    CORPUS,
    REAL,
    SOFT,
    SYNTHETIC,
    TO_REAL,
    TO_SYNTHETIC,
    ReportFigure,
    draw,
    legend_above,
)
from synthgap.reporting.gap import GapNumbers
from synthgap.reporting.labels import set_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = (REAL, SYNTHETIC, TO_SYNTHETIC, TO_REAL, CORPUS, SOFT)  # of sets, the real one first
LINES = ("-", "--", "-.", ":", (0, (4, 1, 1, 1, 1, 1)), (0, (1, 1)))
WIDE = 20.0  # last over first edge beyond which losses stand on a logarithmic axis
MAX_PANELS = 4  # classifiers in a row


def curves_figure(recipe: str, gap: GapNumbers) -> ReportFigure | None:
    """Draw training accuracy and loss of each source's students against the epoch."""
    curves = gap.content["saturation"]
    if not curves:
        return None

    def paint(figure: Figure) -> None:
        panels = figure.subplots(1, 2)
        named = (("train/top1", "training top-1 (%)"), ("train/loss", "training loss (nats)"))
        for index, each in enumerate(gap.sets):
            found, color = curves[each], COLORS[index % 6]
            for axes, (key, name) in zip(panels, named, strict=True):
                axes.plot(
                    found["epochs"], found[key], color=color, linestyle=LINES[index % 6],
                    label=set_name(each),
                )  # fmt: skip
                axes.set_xlabel("epoch")
                axes.set_ylabel(name)
            if found["saturated"]["mean"] < found["epochs"][-1]:
                panels[0].axvline(
                    found["saturated"]["mean"], color=color, linestyle=":", linewidth=1.0
                )
        panels[1].set_ylim(bottom=0)
        legend_above(figure, panels[0], 4)

    alt = f"{recipe}: training accuracy and loss of each source against the epoch"
    return draw((recipe, "saturation"), alt, (9.2, 3.4), paint)


def losses_figure(recipe: str, gap: GapNumbers) -> ReportFigure | None:
    """Draw overlapping histograms of cross-entropy, a panel a classifier."""
    classifiers = [name for name in gap.sets if gap.pairs(name)]
    if not classifiers:
        return None
    columns = min(MAX_PANELS, len(classifiers))
    rows = -(-len(classifiers) // columns)

    def paint(figure: Figure) -> None:
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        panels = [axes for row in grid for axes in row]
        for axes, name in zip(panels, classifiers, strict=False):
            axes.set_title(f"classifier: {set_name(name)}")
            axes.set_xlabel("cross-entropy (nats)")
            _histograms(axes, gap, name)
        for axes in panels[len(classifiers) :]:
            axes.set_axis_off()
        for row in grid:
            row[0].set_ylabel("images (%)")
        handles, labels = panels[0].get_legend_handles_labels()
        named = [f"images: {label}" for label in labels]
        figure.legend(handles, named, loc="outside upper left", ncols=4)

    alt = f"{recipe}: per-image cross-entropy of every source under every source's classifier"
    return draw((recipe, "losses"), alt, (9.6, 2.9 * rows + 0.5), paint)


def _histograms(axes: Axes, gap: GapNumbers, classifier: str) -> None:
    edges = [float(edge) for edge in gap.content["cross_entropy"]["edges"]]
    if len(edges) > 2 and edges[-1] / edges[1] > WIDE:
        edges[0] = max(edges[0], edges[1] ** 2 / edges[2])  # from 0 has no place on a log axis
        axes.set_xscale("log")
        powers = range(ceil(log10(edges[0])), floor(log10(edges[-1])) + 1)
        ticks = [10.0**power for power in powers][:: max(1, len(powers) // 3)]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_xticks([], minor=True)
    for pair in gap.pairs(classifier):
        index = gap.sets.index(pair["images"])
        total = sum(pair["counts"])
        shares = [100 * count / total for count in pair["counts"]]
        color = COLORS[index % 6]
        axes.stairs(shares, edges, fill=True, color=color, alpha=0.22)
        axes.stairs(
            shares, edges, color=color, linewidth=1.4, linestyle=LINES[index % 6],
            label=set_name(pair["images"]),
        )  # fmt: skip
        axes.axvline(pair["median"], color=color, linewidth=1.0, linestyle=":")


def split_figure(recipe: str, gap: GapNumbers) -> ReportFigure | None:
    """Draw spectra, coverage and recall, and what lies off the real manifold."""
    if not gap.content["appearance"]:
        return None

    def paint(figure: Figure) -> None:
        spectra, content, quality = figure.subplots(1, 3, width_ratios=(1.4, 1, 1))
        for index, name in enumerate(gap.sets):
            found = gap.content["appearance"].get(name)
            if found is not None:
                heights = [nan if value is None else value for value in found["log_power"]]
                spectra.plot(
                    found["frequencies"], heights, color=COLORS[index % 6],
                    linestyle=LINES[index % 6], label=set_name(name),
                )  # fmt: skip
        edge = float(gap.content["params"]["high_frequency"])
        spectra.axvline(edge, color=SOFT, linewidth=1.0, linestyle=":")
        spectra.set_title("appearance")
        spectra.set_xlabel("cycles per pixel")
        spectra.set_ylabel("log10 of power")
        _bars(content, gap, "content", ("coverage", "recall"))
        _bars(quality, gap, "quality", ("off_manifold", "density"))
        legend_above(figure, spectra, 4)

    alt = f"{recipe}: spectra, coverage of the real images, and images off their manifold"
    return draw((recipe, "split"), alt, (9.2, 3.3), paint)


def _bars(axes: Axes, gap: GapNumbers, part: str, keys: Sequence[str]) -> None:
    names = [name for name in gap.sets if name in gap.content[part]]
    width = 0.8 / max(1, len(names))
    for place, name in enumerate(names):
        color = COLORS[gap.sets.index(name) % 6]
        for group, key in enumerate(keys):
            value = gap.split(part, name, key)
            if value is None:
                continue
            x = group + (place - (len(names) - 1) / 2) * width
            axes.bar(x, value, width * 0.9, color=color, alpha=0.75)
            axes.annotate(
                f"{value:.2f}", (x, value), xytext=(0, 2), textcoords="offset points", ha="center",
                fontsize=8,
            )  # fmt: skip
    axes.set_title(part)
    axes.set_xticks(range(len(keys)), [key.replace("_", " ") for key in keys])
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.6, len(keys) - 0.4)
