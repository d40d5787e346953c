"""The grid of two keys: every pair, each tuned alone, their predicted sum, and both together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from synthgap.reporting.drawing import (
    CORPUS,
    INK,
    REAL,
    SOFT,
    SYNTHETIC,
    TO_REAL,
    ReportFigure,
    render_figure,
)
from synthgap.reporting.figures import DARK_TEXT, LIGHT_TEXT
from synthgap.reporting.studies import StudyFindings, value
from synthgap.reporting.studies_names import (
    key_name,
    metric_name,
    metric_word,
    score,
    value_name,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = tuple[str, float, float | None, str, str]  # name, score, std, colour, marker
ROW_IN, MAX_NUMBERED = 0.62, 8  # inches of a row of cells; columns whose cells are numbered


def grid_figure(found: StudyFindings) -> ReportFigure | None:
    """Draw the heat map beside each tuned alone, the sum and both; nothing without a grid."""
    grid = found.study.get("grid")
    if not grid or len(_scores(grid)) < 2:
        return None
    rows = len(grid["values"][0])

    def paint(figure: Figure) -> None:
        cells, steps = figure.subplots(1, 2, width_ratios=(1.25, 1))
        _cells(cells, grid, num_seeds=found.num_seeds)
        _steps(steps, compared(found), grid_metric(grid))

    first, second = map(key_name, grid["keys"])
    metric = grid_metric(grid)
    scores = ", ".join(
        f"{name} {score(metric, reached, unit=True)}" for name, reached, *_ in compared(found)
    )
    named = f"{metric_word(metric)} by {first} and {second}"
    alt = f"{found.recipe}, study {found.name}: {named}; {scores}"
    height = max(3.2, 1.0 + ROW_IN * rows)
    return render_figure((found.recipe, "tune-grid"), alt, (9.6, height), paint)


def grid_metric(grid: Mapping[str, Any]) -> str:
    """What the cells hold: accuracy on val where it was measured, else the first objective."""
    return str(grid.get("metric") or "val/top1")


def unscored(grid: Mapping[str, Any]) -> int:
    """Pairs without a value: not yet tried, or failed."""
    return sum(cell is None for row in grid["cells"] for cell in row)


def _scores(grid: Mapping[str, Any]) -> list[float]:
    return [float(cell) for row in grid["cells"] for cell in row if cell is not None]


def _cells(axes: Axes, grid: Mapping[str, Any], *, num_seeds: int) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    axes.grid(visible=False)
    low, high = min(_scores(grid)), max(_scores(grid))
    metric, best = grid_metric(grid), _best_score(grid)
    numbered = len(grid["values"][1]) <= MAX_NUMBERED
    for y, row in enumerate(grid["cells"]):
        for x, cell in enumerate(row):
            if cell is None:
                axes.text(x, y, "no value", ha="center", va="center", color=SOFT, fontsize=8)
                continue
            level = (cell - low) / (high - low or 1.0)
            axes.add_patch(
                Rectangle((x - 0.47, y - 0.46), 0.94, 0.92, color=colormaps["cividis"](level))
            )
            ink = DARK_TEXT if level > 0.55 else LIGHT_TEXT
            std = grid["stds"][y][x] if num_seeds > 1 else None
            spread = "" if std is None else f"\N{PLUS-MINUS SIGN}{score(metric, std)}"
            text = f"{score(metric, cell)}{spread}{_word(grid, (y, x), best=cell == best)}"
            if numbered:
                axes.text(x, y, text, ha="center", va="center", color=ink, fontsize=8.6)
    y, x = grid["default"]
    axes.add_patch(
        Rectangle((x - 0.47, y - 0.46), 0.94, 0.92, fill=False, edgecolor=SYNTHETIC, linewidth=2.4)
    )
    _named(axes, grid)


def _best_score(grid: Mapping[str, Any]) -> float | None:
    return None if grid["joint"] is None else float(grid["joint"]["score"])


def _word(grid: Mapping[str, Any], at: tuple[int, int], *, best: bool) -> str:
    words = ["default"] if list(at) == list(grid["default"]) else []
    words += ["best"] if best else []
    return f"\n{', '.join(words)}" if words else ""


def _named(axes: Axes, grid: Mapping[str, Any]) -> None:
    first, second = grid["values"]
    axes.set_xlim(-0.5, len(second) - 0.5)
    axes.set_ylim(len(first) - 0.5, -0.5)
    axes.set_xticks(range(len(second)), [wrapped(value_name(each), 12) for each in second])
    axes.set_yticks(range(len(first)), [wrapped(value_name(each), 16) for each in first])
    axes.set_ylabel(wrapped(key_name(grid["keys"][0]), 24))
    axes.set_xlabel(wrapped(key_name(grid["keys"][1]), 30))
    axes.set_title(metric_name(grid_metric(grid)))
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def compared(found: StudyFindings) -> list[Row]:
    """Default, each key alone, their predicted sum, both together, and the best of all trials."""
    grid = found.study["grid"]
    rows: list[Row] = []
    y, x = grid["default"]
    if grid["cells"][y][x] is not None:
        rows.append(("default", grid["cells"][y][x], _std(grid, (y, x)), SYNTHETIC, "D"))
    for place, key in enumerate(grid["keys"]):
        alone = grid["alone"].get(key)
        if alone is not None:
            at = grid["values"][place].index(alone["value"])
            std = _std(grid, (at, x) if place == 0 else (y, at))
            name = f"{key_name(key)} alone ({value_name(alone['value'])})"
            rows.append((name, alone["score"], std, CORPUS, "s"))
    if grid.get("predicted") is not None:
        rows.append(("predicted sum of both", grid["predicted"], None, SOFT, "+"))
    if grid.get("joint") is not None:
        chosen = zip(grid["values"], grid["joint"]["values"], strict=True)
        at = tuple(values.index(one) for values, one in chosen)
        name = f"joint ({', '.join(map(value_name, grid['joint']['values']))})"
        rows.append((name, grid["joint"]["score"], _std(grid, at), TO_REAL, "o"))
    best, metric = found.best, grid_metric(grid)
    reached = None if best is None else value(best, metric)
    if best is not None and reached is not None and found.objectives[0].metric == metric:
        last = (best.get("last") or {}).get(metric)
        std = last["std"] if last and last["n"] > 1 else None
        rows.append((f"best of all (trial {best['trial']})", reached, std, REAL, "o"))
    return rows


def joint_std(found: StudyFindings) -> float | None:
    """Std over seeds of the grid's best cell; nothing where cells are single runs."""
    return next((std for name, _, std, *_ in compared(found) if name.startswith("joint")), None)


def _std(grid: Mapping[str, Any], at: tuple[int, ...]) -> float | None:
    found = grid["stds"][at[0]][at[1]]
    return float(found) if found else None


def _steps(axes: Axes, rows: list[Row], metric: str) -> None:
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    spread = any(std is not None for _, _, std, *_ in rows)
    place: dict[str, Any] = {"xytext": (9, 0), "va": "center"}
    if spread:  # above, where no bar runs through it
        place = {"xytext": (0, 6), "ha": "center", "va": "bottom"}
    for height, (_, reached, std, color, marker) in enumerate(reversed(rows)):
        if std is not None:
            axes.hlines(height, reached - std, reached + std, color=color, linewidth=1.2)
        axes.plot([reached], [height], marker, color=color, markersize=7, markeredgewidth=1.8)
        axes.annotate(
            score(metric, reached), (reached, height), textcoords="offset points", fontsize=8.8,
            color=INK, **place,
        )  # fmt: skip
    if rows:
        axes.axvline(rows[0][1], color=SOFT, linewidth=1.0, linestyle=(0, (1.5, 2.0)), zorder=1)
    names = [wrapped(name, 24) for name, *_ in reversed(rows)]
    axes.set_yticks(range(len(rows)), names)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.6, len(rows) - 0.3)
    axes.margins(x=0.2)
    axes.set_xlabel(metric_name(metric))
