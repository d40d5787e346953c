"""How figures look, and how they become the same bytes every time.

Colours are Okabe & Ito's, told apart with every common colour vision. An SVG inside the page
takes its colours from the page's variables, so that it reads on light and on dark.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from synthgap.reporting.record_names import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, GRID = "#1b1f24", "#5b6470", "#dde1e7"
REAL, SYNTHETIC, CORPUS = "#0072b2", "#d55e00", "#6f6a1f"
TO_REAL, TO_SYNTHETIC = "#009e73", "#a4478f"
VARIABLES = {
    INK: "ink", SOFT: "soft", GRID: "grid", REAL: "real", SYNTHETIC: "synthetic",
    CORPUS: "corpus", TO_REAL: "to-real", TO_SYNTHETIC: "to-synthetic",
}  # fmt: skip
PNG_DPI = 160
STYLE: dict[Any, Any] = {  # keys are a Literal type of a thousand words
    "svg.hashsalt": "synthgap", "text.parse_math": False,  # names may hold a dollar sign
    "svg.fonttype": "path", "font.family": "DejaVu Sans",
    "font.size": 9.5, "axes.spines.top": False, "axes.spines.right": False,
    "axes.edgecolor": SOFT, "axes.labelcolor": INK, "text.color": INK, "xtick.color": SOFT,
    "ytick.color": SOFT, "xtick.labelcolor": INK, "ytick.labelcolor": INK, "axes.grid": True,
    "axes.grid.axis": "y", "grid.color": GRID, "grid.linewidth": 0.8, "axes.axisbelow": True,
    "axes.titlesize": 10, "axes.titlelocation": "left", "legend.frameon": False,
    "lines.linewidth": 1.8, "lines.markersize": 5.5, "xtick.minor.size": 0,
}  # fmt: skip


@dataclass(frozen=True)
class ReportFigure:
    """One finished figure: a PNG for files, an SVG element for the page."""

    kind: str
    alt: str
    png: bytes
    svg: str


@dataclass(frozen=True)
class SeriesStyle:
    """How one series is drawn."""

    label: str
    color: str
    marker: str = "o"
    line: str = "-"
    hollow: bool = False


def render_figure(
    place: tuple[str, str], alt: str, size: tuple[float, float], paint: Callable[[Figure], None]
) -> ReportFigure:
    """Paint the figure of `place` (recipe, kind), `size` in inches, without dates in its bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        paint(figure)
        png, svg = io.BytesIO(), io.StringIO()
        figure.savefig(
            png, format="png", dpi=PNG_DPI, facecolor="white", metadata={"Software": None}
        )
        figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None})
    return ReportFigure(
        place[1], alt, png.getvalue(), _inline_svg(svg.getvalue(), "-".join(place), alt)
    )


def _inline_svg(svg: str, name: str, alt: str) -> str:
    """Make the SVG an element of a page: no prolog, no metadata, own ids, themed colours."""
    own = re.sub(r"[^A-Za-z0-9_-]", "-", name)
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL)  # matplotlib repeats every text there
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)
    svg = re.sub(r' id="([^"]+)"', rf' id="{own}-\1"', svg)
    svg = re.sub(r'xlink:href="#([^"]+)"', rf'href="#{own}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{own}-\1)", svg)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg)
    for color, variable in VARIABLES.items():
        svg = svg.replace(color, f"var(--{variable})")
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)


def draw_series(
    axes: Axes, x: Sequence[float], rows: Sequence[Record], style: SeriesStyle, *, band: bool = True
) -> None:
    """Draw means with their bootstrap intervals as bars, and as a band where curves are few."""
    means = [float(row["mean"]) for row in rows]
    lows, highs = ([float(row[side]) for row in rows] for side in ("low", "high"))
    if band:
        axes.fill_between(x, lows, highs, color=style.color, alpha=0.10, linewidth=0)
    axes.vlines(x, lows, highs, color=style.color, linewidth=1.0)
    axes.plot(
        x, means, color=style.color, marker=style.marker, linestyle=style.line, label=style.label,
        markerfacecolor="none" if style.hollow else style.color,
    )  # fmt: skip


def draw_seeds(axes: Axes, x: float, values: Sequence[float], color: str) -> None:
    """Show each seed's own number as a small dot beside the mean."""
    if len(values) > 1:
        axes.plot([x] * len(values), values, ".", color=color, markersize=3, alpha=0.55)


def draw_baselines(axes: Axes, rows: Sequence[tuple[str, Record | None, str]]) -> None:
    """Draw horizontal references, named with their numbers in the right margin."""
    baselines = [(name, float(row["mean"]), color) for name, row, color in rows if row is not None]
    low, high = axes.get_ylim()
    high += (high - low) * 0.05
    room = (high - low) * 0.062
    placed: list[float] = []
    for name, value, color in sorted(baselines, key=lambda item: item[1]):
        axes.axhline(value, color=color, linewidth=1.0, linestyle=(0, (1.5, 2.0)), zorder=1)
        height = max(value, placed[-1] + room) if placed else value
        placed.append(height)
        axes.annotate(
            f"{name} {value:.1f}", (1.0, height), xycoords=("axes fraction", "data"), color=color,
            xytext=(5, 0), textcoords="offset points", va="center", fontsize=8.5,
            annotation_clip=False,
        )  # fmt: skip
    axes.set_ylim(low, high)


def legend_above(figure: Figure, axes: Axes, columns: int) -> None:
    """Put the legend above the axes, where it covers no data."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=columns, handlelength=2.6)
