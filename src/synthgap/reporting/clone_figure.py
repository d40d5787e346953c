"""The settings figure: against guidance and against size, top-1, linear probe, and FITYMI's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from synthgap.reporting.drawing import (
    CORPUS,
    INK,
    REAL,
    SOFT,
    SYNTHETIC,
    TO_REAL,
    TO_SYNTHETIC,
    ReportFigure,
    SeriesStyle,
    draw_series,
    render_figure,
)
from synthgap.reporting.published import SHARE_LABEL, published
from synthgap.reporting.record_names import (
    Record,
    base_setting,
    companion,
    generator_name,
    scheme_name,
    select,
    set_name,
    setting_key,
    setting_records,
    without_size,
)
from synthgap.reporting.series import PROBE
from synthgap.reporting.summary import Summary

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = (SYNTHETIC, TO_REAL, TO_SYNTHETIC, CORPUS, SOFT)
MARKERS = "vosDP"
PROMPT_MARKERS = {"c": "v", "c, h_c": "s", "c, d_c": "o", "c, h_c inside b": "P"}
Curves = list[tuple[SeriesStyle, list[Record]]]


def settings_figure(summary: Summary) -> ReportFigure | None:
    """Draw the students of every setting; nothing where stage `clone` was not run."""
    if not select(summary.top1, experiment="clone"):
        return None
    guided, sized = _by_guidance(summary), _by_size(summary)

    def paint(figure: Figure) -> None:
        grid = figure.subplots(2, 3)
        for column, metric in enumerate(("top-1", "linear probe")):
            _against_guidance(grid[0][column], summary, guided, probed=column == 1)
            _against_size(grid[1][column], summary, sized, probed=column == 1)
            for row in grid:
                row[column].set_ylabel(f"{metric} on real test images (%)")
        _shares_by_guidance(grid[0][2], summary, guided)
        _shares_by_size(grid[1][2], summary, sized)
        _legend(figure, [grid[0][0], grid[0][2], grid[1][0], grid[1][2]])

    alt = f"{summary.recipe}: accuracy and linear probes against guidance, prompts and size"
    return render_figure((summary.recipe, "settings"), alt, (10.4, 6.8), paint)


def _by_guidance(summary: Summary) -> Curves:
    """A curve a generator, prompts, steps and size; sets without guidance have no place on it."""
    groups: dict[tuple[str, str, int | None, int], list[Record]] = {}
    for row in setting_records(summary.top1):
        if row["guidance_scale"] is not None:
            groups.setdefault(setting_key(row), []).append(row)
    found = []
    for index, rows in enumerate(groups.values()):
        style = SeriesStyle(_curve_label(rows[0], groups), PALETTE[index % 5], MARKERS[index % 5])
        found.append((style, sorted(rows, key=lambda row: float(row["guidance_scale"]))))
    return found


def _curve_label(row: Record, groups: Mapping[tuple[str, str, int | None, int], object]) -> str:
    """Name a curve by what tells it from others: steps and size only where they differ."""
    generator, scheme, steps, images = setting_key(row)
    words = [f"{generator_name(generator)} generator"]
    words += [scheme_name(scheme)] if scheme else []
    words += [f"{steps} steps"] if len({key[2] for key in groups}) > 1 else []
    words += [f"{images:,} images"] if len({key[3] for key in groups}) > 1 else []
    return ", ".join(words)


def _by_size(summary: Summary) -> Curves:
    """Real images from scratch, and each synthetic set that was learned in parts."""
    real = list(summary.arms.get(("scratch", 0), []))
    if summary.real is not None and summary.real not in real:
        real.append(summary.real)
    groups: dict[str, list[Record]] = {}
    parts = [row for row in select(summary.top1, experiment="clone") if row["fraction"] != 1]
    for row in [*parts, *setting_records(summary.top1)]:
        if row["source"] == "synthetic":
            groups.setdefault(without_size(row["set"]), []).append(row)
        elif row["num_images"] not in {other["num_images"] for other in real}:
            real.append(row)
    base = base_setting(summary.top1)
    found = [(SeriesStyle("real", REAL, "^", "--"), real)]
    for name, rows in groups.items():
        sizes = {row["num_images"] for row in rows}
        if len(sizes) > 1 or (base is not None and name == base["set"]):
            index = len(found) - 1
            found.append(
                (SeriesStyle(set_name(name), PALETTE[index % 5], MARKERS[index % 5]), rows)
            )
    return [(style, sorted(rows, key=lambda row: int(row["num_images"]))) for style, rows in found]


def _against_guidance(axes: Axes, summary: Summary, curves: Curves, *, probed: bool) -> None:
    for style, rows in curves:
        there = _with_metric(summary, rows, probed=probed)
        draw_series(
            axes, [row["guidance_scale"] for row, _ in there], [found for _, found in there], style
        )
    for _, found in _with_metric(summary, [summary.real] if summary.real else [], probed=probed):
        axes.axhline(
            found["mean"], color=REAL, linestyle=(0, (1.5, 2.0)), linewidth=1.2,
            label="real, as many images",
        )  # fmt: skip
    _guidance_axis(axes, [row["guidance_scale"] for _, rows in curves for row in rows])


def _guidance_axis(axes: Axes, scales: Sequence[float]) -> None:
    ticks = sorted({float(scale) for scale in scales})
    if ticks and ticks[0] > 0:
        axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.margins(x=0.12)
    axes.set_xlabel("guidance scale")


def _against_size(axes: Axes, summary: Summary, curves: Curves, *, probed: bool) -> None:
    for style, rows in curves:
        there = _with_metric(summary, rows, probed=probed)
        draw_series(
            axes, [row["num_images"] for row, _ in there], [found for _, found in there], style
        )
    sizes = sorted({int(row["num_images"]) for _, rows in curves for row in rows})
    axes.set_xscale("log", base=2)
    kept = [size for size in sizes if all(abs(size - o) / o > 0.2 for o in sizes if o > size)]
    axes.set_xticks(kept, [f"{size:,}" for size in kept])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("number of training images")


def _shares_by_guidance(axes: Axes, summary: Summary, curves: Curves) -> None:
    for style, rows in curves:
        _share_curve(axes, summary, [row["guidance_scale"] for row in rows], rows, style)
    table = published()["guidance"][0]
    by_prompt: dict[str, list[tuple[float, float]]] = {}
    for scale, prompt, top1 in table["top1_by_scale_and_prompt"]:
        by_prompt.setdefault(prompt, []).append((scale, 100 * top1 / table["real"]))
    for prompt, points in by_prompt.items():
        _published_curve(axes, sorted(points), prompt, label=f"FITYMI: {prompt}")
    ours = [float(row["guidance_scale"]) for _, rows in curves for row in rows]
    _guidance_axis(axes, [*ours, *(row[0] for row in table["top1_by_scale_and_prompt"])])
    axes.set_ylabel(SHARE_LABEL)


def _shares_by_size(axes: Axes, summary: Summary, curves: Curves) -> None:
    whole_set = summary.real["num_images"] if summary.real else 1
    for style, rows in curves:
        _share_curve(axes, summary, [row["num_images"] / whole_set for row in rows], rows, style)
    table = published()["guidance"][0]
    grown = table["top1_by_size"]
    points = [(times, 100 * top1 / table["real"]) for times, top1 in grown["rows"]]
    _published_curve(axes, points, grown["prompt"])
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    ticks = [tick for tick in (0.001, 0.01, 0.1, 1, 10, 50) if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("training images, times the real set's")
    axes.set_ylabel(SHARE_LABEL)


def _share_curve(
    axes: Axes, summary: Summary, x: Sequence[float], rows: Sequence[Record], style: SeriesStyle
) -> None:
    """Draw ours as shares of the real baseline; nothing where that was not run."""
    if summary.real is None:
        return
    heights = [100 * row["mean"] / summary.real["mean"] for row in rows]
    axes.plot(x, heights, color=style.color, marker=style.marker, linestyle=style.line)


def _published_curve(
    axes: Axes, points: Sequence[tuple[float, float]], prompt: str, label: str | None = None
) -> None:
    axes.plot(
        [x for x, _ in points], [y for _, y in points], color=INK, linestyle=":", linewidth=1.0,
        marker=PROMPT_MARKERS[prompt], markerfacecolor="none", label=label,
    )  # fmt: skip


def _with_metric(
    summary: Summary, rows: Sequence[Record], *, probed: bool
) -> list[tuple[Record, Record]]:
    """Rows that have the wanted number, with its record."""
    pairs = [(row, companion(summary.records, row, PROBE) if probed else row) for row in rows]
    return [(row, found) for row, found in pairs if found is not None]


def _legend(figure: Figure, panels: Sequence[Axes]) -> None:
    named: dict[str, Artist] = {}
    for axes in panels:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(str(name), handle)
    figure.legend(list(named.values()), list(named), loc="outside upper left", ncols=4)
