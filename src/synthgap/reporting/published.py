"""The papers' numbers beside ours: other data and networks, so as shares of their own baseline."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import TYPE_CHECKING, Any

from synthgap.params.synthesis import SetName
from synthgap.reporting.blocks import Block, BulletList, FoldedBlocks, TableBlock, Text
from synthgap.reporting.drawing import (
    INK,
    REAL,
    SOFT,
    SYNTHETIC,
    TO_REAL,
    TO_SYNTHETIC,
    ReportFigure,
    SeriesStyle,
    render_figure,
)
from synthgap.reporting.figures import arm_style
from synthgap.reporting.formats import DASH, plus_minus
from synthgap.reporting.record_names import Record, arrow, fraction_name
from synthgap.reporting.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


SHARE_STYLES = {
    "synthetic->real": SeriesStyle(arrow("synthetic->real"), TO_REAL, "o"),
    "real->synthetic": SeriesStyle(arrow("real->synthetic"), TO_SYNTHETIC, "s"),
}
SHARE_LABEL = "% of own real baseline"
NOTATION = {  # schemes as FITYMI writes them; a sentence around the class name is none of its own
    "template": "c", "name": "c", "hypernym": "c, h_c", "definition": "c, d_c",
    "background": "c, h_c inside b",
}  # fmt: skip
GUIDANCE_MARKS = {"ImageNet-100": (INK, "s"), "ImageNet-1K": (SOFT, "D")}


@cache
def published() -> dict[str, Any]:
    """Every published number that the report shows, with paper, table and known printing slips."""
    text = files("synthgap.reporting").joinpath("published.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def published_setting(row: Record) -> float | None:
    """FITYMI's top-1 on ImageNet-100 of a row's prompts and guidance, or of its real baseline."""
    table = published()["guidance"][0]
    if row["source"] == "real":
        return float(table["real"])
    if row["generator"] != "main" or (named := SetName.parse(row["set"])) is None:
        return None
    if named.steps is not None or named.factor is not None:
        return None
    wanted = (row["guidance_scale"], NOTATION.get(row["scheme"]))
    for scale, prompt, top1 in table["top1_by_scale_and_prompt"]:
        if (scale, prompt) == wanted:
            return float(top1)
    return None


def published_figure(summary: Summary) -> ReportFigure | None:
    """Draw ours and the papers' as shares of their own real baseline, a dataset a panel."""
    if summary.real is None:
        return None
    real = float(summary.real["mean"])

    def paint(figure: Figure) -> None:
        grid = figure.subplots(2, 3)
        for row in grid:
            for axes in row[1:]:
                axes.sharey(row[0])
        _draw_our_transfer(grid[0][0], summary, real)
        tables = published()["transfer"]
        for axes, dataset in zip(
            grid[0][1:], dict.fromkeys(t["dataset"] for t in tables), strict=True
        ):
            _draw_their_transfer(axes, [table for table in tables if table["dataset"] == dataset])
        _draw_our_arms(grid[1][0], summary, real)
        _draw_their_arms(grid[1][1], published()["reduce"])
        _draw_guidance(grid[1][2], summary, real)
        for row in grid:
            row[0].set_ylabel(SHARE_LABEL)
        legends = [
            axes.get_legend_handles_labels() for axes in (grid[0][1], grid[1][1], grid[1][2])
        ]
        handles, names = (list(chain.from_iterable(parts)) for parts in zip(*legends, strict=True))
        figure.legend(handles, names, loc="outside upper left", ncols=4)

    alt = f"{summary.recipe} beside published results, each as a share of its own real baseline"
    return render_figure((summary.recipe, "published"), alt, (10.4, 6.6), paint)


def _draw_our_transfer(axes: Axes, summary: Summary, real: float) -> None:
    for direction, style in SHARE_STYLES.items():
        rows = summary.moved(direction)
        shares = [int(row["depth"]) / len(summary.units) for row in rows]
        _draw_curve(axes, shares, [100 * row["mean"] / real for row in rows], style)
    _label_transfer(axes, f"ours: {summary.recipe}, {summary.about['student']}")


def _draw_their_transfer(axes: Axes, tables: Sequence[Mapping[str, Any]]) -> None:
    for table in tables:
        depths, means, _ = zip(*table["top1_by_depth"], strict=True)
        shares = [depth / table["num_units"] for depth in depths]
        heights = [100 * mean / table["real"][0] for mean in means]
        _draw_curve(axes, shares, heights, SHARE_STYLES[table["direction"]])
    numbers = " and ".join(table["table"] for table in tables)
    first = tables[0]
    name = f"published: {first['dataset']}, {first['student']}"
    _label_transfer(axes, f"{name}\n{first['paper']}, Tables {numbers}")


def _label_transfer(axes: Axes, title: str) -> None:
    _title(axes, title)
    axes.axhline(100, color=REAL, linestyle=(0, (1.5, 2.0)), linewidth=1.0)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("share of the units frozen")


def _draw_our_arms(axes: Axes, summary: Summary, real: float) -> None:
    arms = {key: rows for key, rows in summary.arms.items() if key[0] != "finetune"}
    for (arm, depth), rows in arms.items():
        halved = [1 / float(row["fraction"]) for row in rows]
        style = _shared_arm_style(arm, depth, [key[1] for key in arms if key[0] == arm])
        _draw_curve(axes, halved, [100 * row["mean"] / real for row in rows], style)
    _label_arms(axes, f"ours: {summary.recipe}, {summary.about['student']}", empty=not arms)


def _draw_their_arms(axes: Axes, tables: Sequence[Mapping[str, Any]]) -> None:
    for table in tables:
        denominators, means, _ = zip(*table["top1_by_denominator"], strict=True)
        heights = [100 * mean / table["real"][0] for mean in means]
        style = _shared_arm_style(table["arm"], table["depth"], [table["depth"]])
        _draw_curve(axes, denominators, heights, style)
    first = tables[0]
    numbers = " and ".join(table["table"] for table in tables)
    name = f"published: {first['dataset']}, {first['student']}"
    _label_arms(axes, f"{name}\n{first['paper']}, Tables {numbers}", empty=False)


def _shared_arm_style(arm: str, depth: int, depths: Sequence[int]) -> SeriesStyle:
    """Like in the recipe's own figure, but named for every network: depths differ between them."""
    style = arm_style(arm, depth, depths)
    return style if arm == "scratch" else replace(style, label="prefix frozen from synthetic")


def _label_arms(axes: Axes, title: str, *, empty: bool) -> None:
    _title(axes, title)
    axes.set_xlabel("real training set divided by")
    if empty:
        axes.text(0.5, 0.5, "not run", transform=axes.transAxes, ha="center")
        axes.set_xticks([])
        return
    axes.set_xscale("log", base=2)
    ticks = [2**power for power in range(8) if 2**power <= axes.get_xlim()[1]]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])


def _draw_guidance(axes: Axes, summary: Summary, real: float) -> None:
    rows: list[Record] = summary.synthetic
    scales = [float(row["guidance_scale"]) for row in rows]
    ours = SeriesStyle(f"ours: {summary.recipe}", SYNTHETIC, "v")
    _draw_curve(axes, scales, [100 * row["mean"] / real for row in rows], ours)
    for table in published()["guidance"]:
        color, marker = GUIDANCE_MARKS[table["dataset"]]
        numbers = table["top1_by_scale_and_prompt"]
        axes.plot(
            [scale for scale, _, _ in numbers],
            [100 * top1 / table["real"] for *_, top1 in numbers],
            marker, color=color, label=f"{table['dataset']} (a mark a prompt)", alpha=0.8,
        )  # fmt: skip
    axes.set_xscale("log")
    ticks = sorted({*scales, 2.0, 7.5} - {0.0})
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.margins(x=0.1)
    axes.set_xlabel("guidance scale")
    _title(axes, "trained on synthetic only\npublished: FITYMI, Table 1, ResNet-50")


def _draw_curve(axes: Axes, x: Sequence[float], y: Sequence[float], style: SeriesStyle) -> None:
    axes.plot(
        x, y, color=style.color, marker=style.marker, linestyle=style.line, label=style.label,
        markerfacecolor="none" if style.hollow else style.color,
    )  # fmt: skip


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text if "\n" in text else f"{text}\n", fontsize=9)


def published_transfer() -> FoldedBlocks:
    """MtG, Tables 6 to 9: transfer in both directions."""
    tables = published()["transfer"]
    headers = ["units frozen of 18"]
    for table in tables:
        network = f"{table['dataset']}, {table['student']}"
        headers.append(f"{network}: {arrow(table['direction'])} (Table {table['table']})")
    depths = [depth for depth, _, _ in tables[0]["top1_by_depth"]]
    rows = [["none, real", *(plus_minus(table["real"]) for table in tables)]]
    rows += [["none, synthetic", *(plus_minus(table["synthetic"]) for table in tables)]]
    for index, depth in enumerate(depths):
        rows.append(
            [str(depth), *(plus_minus(table["top1_by_depth"][index][1:]) for table in tables)]
        )
    return _published_block("MtG, Tables 6 to 9", TableBlock(headers, rows), tables)


def published_reduce() -> FoldedBlocks:
    """MtG, Table 10: fewer real images."""
    tables = published()["reduce"]
    headers = ["share of real ImageNet-100", "first 16 of 18 frozen (Table 10a)"]
    headers += ["from scratch (Table 10b)"]
    rows = [
        [fraction_name(1 / ours[0]), plus_minus(ours[1:]), plus_minus(theirs[1:])]
        for ours, theirs in zip(*(table["top1_by_denominator"] for table in tables), strict=True)
    ]
    fit = published()["printed_fit"]
    note = Text(f"Printed fit: {fit['slope']} log(x) + {fit['intercept']}. {fit['slip']}.")
    return _published_block("MtG, Table 10", TableBlock(headers, rows), tables, note)


def published_guidance() -> FoldedBlocks:
    """FITYMI, Table 1: guidance scales and prompts."""
    rows = []
    for table in published()["guidance"]:
        base = f"{table['dataset']}, real ({table['real_name']})"
        rows.append([base, DASH, DASH, f"{table['real']:.1f}", "100"])
        rows += [
            [f"{table['dataset']}, synthetic", prompt, f"{scale:g}", f"{value:.1f}",
             f"{100 * value / table['real']:.0f}"]
            for scale, prompt, value in table["top1_by_scale_and_prompt"]
        ]  # fmt: skip
    headers = ("trained on", "prompt", "guidance", "top-1 (%)", "% of own real baseline")
    return _published_block(
        "FITYMI, Table 1 (ResNet-50)", TableBlock(headers, rows, num_names=2), []
    )


def published_settings() -> FoldedBlocks:
    """FITYMI: top-1 against the size of the set, and linear probes of its students."""
    first = published()["guidance"][0]
    by_size = first["top1_by_size"]
    rows = [
        [f"{first['dataset']}, synthetic, {by_size['prompt']}",
         f"{by_size['guidance_scale']:g}", f"{times} times the real set", "top-1", f"{top1:.1f}"]
        for times, top1 in by_size["rows"]
    ]  # fmt: skip
    for table in published()["probes"]:
        rows += [
            [name, DASH if scale is None else f"{scale:g}", DASH,
             f"linear probe, {table['probed_on']}", f"{top1:.1f}"]
            for name, scale, top1 in table["rows"]
        ]  # fmt: skip
    headers = ("trained on", "guidance", "size", "what", "%")
    title = "FITYMI, Tables 1 and 2 (ResNet-50)"
    return _published_block(title, TableBlock(headers, rows, num_names=4), [])


def published_ablations() -> FoldedBlocks:
    """MtG, Tables 1 to 5, with the names that they print."""
    tables = published()["ablations"]
    rows = [
        [f"Table {table['table']}", side, label, plus_minus((mean, std))]
        for table in tables
        for side, _, label, mean, std in table["rows"]
    ]
    headers = ("table", "trained on", "row", "top-1 (%)")
    return _published_block("MtG, Tables 1 to 5", TableBlock(headers, rows, num_names=3), tables)


def _published_block(
    title: str, table: TableBlock, tables: Sequence[Record], *more: Block
) -> FoldedBlocks:
    slips = [f"Table {one['table']}: {slip}" for one in tables for slip in one["slips"]]
    blocks: list[Block] = [Text(published()["note"], quiet=True), table]
    if slips:
        blocks += [Text("Printing slips:", quiet=True), BulletList(slips)]
    return FoldedBlocks(f"Published, another dataset: {title}", [*blocks, *more])
