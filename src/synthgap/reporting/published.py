"""The papers' numbers beside ours: other data and networks, so as shares of their own baseline."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import TYPE_CHECKING, Any

from synthgap.params.set_names import SetName
from synthgap.reporting.drawing import (
    INK,
    REAL,
    SOFT,
    SYNTHETIC,
    TO_REAL,
    TO_SYNTHETIC,
    Drawing,
    Look,
    draw,
)
from synthgap.reporting.figures import arm_look
from synthgap.reporting.labels import arrow
from synthgap.reporting.lookup import Record
from synthgap.reporting.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOVES = {
    "synthetic->real": Look(arrow("synthetic->real"), TO_REAL, "o"),
    "real->synthetic": Look(arrow("real->synthetic"), TO_SYNTHETIC, "s"),
}
SHARE = "% of own real baseline"
PROMPTS = {  # schemes as FITYMI writes them; a sentence around the class name is none of its own
    "template": "c", "name": "c", "hypernym": "c, h_c", "definition": "c, d_c",
    "background": "c, h_c inside b",
}  # fmt: skip
GUIDED = {"ImageNet-100": (INK, "s"), "ImageNet-1K": (SOFT, "D")}


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
    wanted = (row["guidance_scale"], PROMPTS.get(row["scheme"]))
    for scale, prompt, top1 in table["top1_by_scale_and_prompt"]:
        if (scale, prompt) == wanted:
            return float(top1)
    return None


def published_figure(summary: Summary) -> Drawing | None:
    """Draw ours and the papers' as shares of their own real baseline, a dataset a panel."""
    if summary.real is None:
        return None
    real = float(summary.real["mean"])

    def paint(figure: Figure) -> None:
        grid = figure.subplots(2, 3)
        for row in grid:
            for axes in row[1:]:
                axes.sharey(row[0])
        _our_transfer(grid[0][0], summary, real)
        tables = published()["transfer"]
        for axes, dataset in zip(
            grid[0][1:], dict.fromkeys(t["dataset"] for t in tables), strict=True
        ):
            _their_transfer(axes, [table for table in tables if table["dataset"] == dataset])
        _our_arms(grid[1][0], summary, real)
        _their_arms(grid[1][1], published()["reduce"])
        _guidance(grid[1][2], summary, real)
        for row in grid:
            row[0].set_ylabel(SHARE)
        legends = [
            axes.get_legend_handles_labels() for axes in (grid[0][1], grid[1][1], grid[1][2])
        ]
        handles, names = (list(chain.from_iterable(parts)) for parts in zip(*legends, strict=True))
        figure.legend(handles, names, loc="outside upper left", ncols=4)

    alt = f"{summary.recipe} beside published results, each as a share of its own real baseline"
    return draw((summary.recipe, "published"), alt, (10.4, 6.6), paint)


def _our_transfer(axes: Axes, summary: Summary, real: float) -> None:
    for direction, look in MOVES.items():
        rows = summary.moved(direction)
        shares = [int(row["depth"]) / len(summary.units) for row in rows]
        _curve(axes, shares, [100 * row["mean"] / real for row in rows], look)
    _name_transfer(axes, f"ours: {summary.recipe}, {summary.about['student']}")


def _their_transfer(axes: Axes, tables: Sequence[Mapping[str, Any]]) -> None:
    for table in tables:
        depths, means, _ = zip(*table["top1_by_depth"], strict=True)
        shares = [depth / table["num_units"] for depth in depths]
        heights = [100 * mean / table["real"][0] for mean in means]
        _curve(axes, shares, heights, MOVES[table["direction"]])
    numbers = " and ".join(table["table"] for table in tables)
    first = tables[0]
    name = f"published: {first['dataset']}, {first['student']}"
    _name_transfer(axes, f"{name}\n{first['paper']}, Tables {numbers}")


def _name_transfer(axes: Axes, title: str) -> None:
    _title(axes, title)
    axes.axhline(100, color=REAL, linestyle=(0, (1.5, 2.0)), linewidth=1.0)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("share of the units frozen")


def _our_arms(axes: Axes, summary: Summary, real: float) -> None:
    arms = {key: rows for key, rows in summary.arms.items() if key[0] != "finetune"}
    for (arm, depth), rows in arms.items():
        halved = [1 / float(row["fraction"]) for row in rows]
        look = _arm_look(arm, depth, [key[1] for key in arms if key[0] == arm])
        _curve(axes, halved, [100 * row["mean"] / real for row in rows], look)
    _name_arms(axes, f"ours: {summary.recipe}, {summary.about['student']}", empty=not arms)


def _their_arms(axes: Axes, tables: Sequence[Mapping[str, Any]]) -> None:
    for table in tables:
        denominators, means, _ = zip(*table["top1_by_denominator"], strict=True)
        heights = [100 * mean / table["real"][0] for mean in means]
        look = _arm_look(table["arm"], table["depth"], [table["depth"]])
        _curve(axes, denominators, heights, look)
    first = tables[0]
    numbers = " and ".join(table["table"] for table in tables)
    name = f"published: {first['dataset']}, {first['student']}"
    _name_arms(axes, f"{name}\n{first['paper']}, Tables {numbers}", empty=False)


def _arm_look(arm: str, depth: int, depths: Sequence[int]) -> Look:
    """Like in the recipe's own figure, but named for every network: depths differ between them."""
    look = arm_look(arm, depth, depths)
    return look if arm == "scratch" else replace(look, label="prefix frozen from synthetic")


def _name_arms(axes: Axes, title: str, *, empty: bool) -> None:
    _title(axes, title)
    axes.set_xlabel("real training set divided by")
    if empty:
        axes.text(0.5, 0.5, "not run", transform=axes.transAxes, ha="center")
        axes.set_xticks([])
        return
    axes.set_xscale("log", base=2)
    ticks = [2**power for power in range(8) if 2**power <= axes.get_xlim()[1]]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])


def _guidance(axes: Axes, summary: Summary, real: float) -> None:
    rows: list[Record] = summary.synthetic
    scales = [float(row["guidance_scale"]) for row in rows]
    ours = Look(f"ours: {summary.recipe}", SYNTHETIC, "v")
    _curve(axes, scales, [100 * row["mean"] / real for row in rows], ours)
    for table in published()["guidance"]:
        color, marker = GUIDED[table["dataset"]]
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


def _curve(axes: Axes, x: Sequence[float], y: Sequence[float], look: Look) -> None:
    axes.plot(
        x, y, color=look.color, marker=look.marker, linestyle=look.line, label=look.label,
        markerfacecolor="none" if look.hollow else look.color,
    )  # fmt: skip


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text if "\n" in text else f"{text}\n", fontsize=9)
