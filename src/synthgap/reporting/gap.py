"""What stage `gap` measured between sources: its numbers, sentences and figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgap.jobs import Artifacts, read_json, whole_file, write_json
from synthgap.reporting.drawing import (
    CORPUS,
    REAL,
    SOFT,
    SYNTHETIC,
    TO_REAL,
    TO_SYNTHETIC,
    ReportFigure,
    legend_above,
    render_figure,
)
from synthgap.reporting.formats import number
from synthgap.reporting.record_names import Record, select, set_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


GAP_FILE, GAP_SHEET = "gap.json", "gap-"
REAL_SET = "train"
LOSS_ENDS = ("low", "high")


@dataclass(frozen=True)
class GapNumbers:
    """The stage's numbers by set, the real one first."""

    content: Mapping[str, Any]

    @property
    def sets(self) -> list[str]:
        """Names of the sets."""
        return list(self.content["sets"])

    @property
    def synthetic(self) -> list[str]:
        """Names of the synthetic ones."""
        return [name for name in self.sets if name != REAL_SET]

    def top1(self, learned: str, scored: str) -> Record | None:
        """Percent of one set's training images that students of another set get right."""
        found = self.content["cross"].get(learned, {}).get(scored)
        return None if found is None else dict(found)

    def split(self, part: str, name: str, key: str) -> float | None:
        """A number of `appearance`, `content` or `quality`, where the set has it."""
        value = self.content[part].get(name, {}).get(key)
        return None if value is None else float(value)

    def pairs(self, classifier: str) -> list[Mapping[str, Any]]:
        """Cross-entropies of every set under one classifier."""
        every = self.content["cross_entropy"]["pairs"]
        return [pair for pair in every if pair["classifier"] == classifier]

    def pair(self, classifier: str, images: str) -> Mapping[str, Any] | None:
        """One set's under one classifier."""
        return next((each for each in self.pairs(classifier) if each["images"] == images), None)


def copy_gap(summary: Path, artifacts: Artifacts) -> None:
    """Copy what the report shows of stage `gap`, as far as it is there."""
    folder = artifacts.stage("gap")
    if not (folder / GAP_FILE).is_file():
        return
    content = read_json(folder / GAP_FILE)
    write_json(summary / GAP_FILE, content)
    for name in sorted(sheets_of(content)):
        with whole_file(summary / f"{GAP_SHEET}{name}") as partial:
            partial.write_bytes((folder / name).read_bytes())


def sheets_of(content: Mapping[str, Any]) -> set[str]:
    """File names of the sheets of low- and of high-loss images."""
    return {name for loss in LOSS_ENDS for name in content["sheets"].get(loss, {}).values()}


def gap_sentences(gap: GapNumbers, sampling: Sequence[Record]) -> list[str]:
    """What crossing sources, the split and the sampling experiment say, a sentence a set first."""
    parts_by_set = [[*_cross_parts(gap, name), *_split_parts(gap, name)] for name in gap.synthetic]
    named = zip(gap.synthetic, parts_by_set, strict=True)
    found = [
        f"{set_name(name).capitalize()}: {'; '.join(parts)}." for name, parts in named if parts
    ]
    return [*found, *_sampling_sentence(sampling)]


def _cross_parts(gap: GapNumbers, name: str) -> Iterator[str]:
    there, back, own = (
        gap.top1(REAL_SET, name),
        gap.top1(name, REAL_SET),
        gap.top1(REAL_SET, REAL_SET),
    )
    if there is not None and back is not None and own is not None:
        yield (
            f"students of real images are right on {there['mean']:.1f} % of these, students of "
            f"these on {back['mean']:.1f} % of the real ones ({own['mean']:.1f} % by their own)"
        )


def _split_parts(gap: GapNumbers, name: str) -> Iterator[str]:
    coverage = gap.split("content", name, "coverage")
    if coverage is not None:
        yield f"{_percent(1 - coverage)} of the real images have none of these near them (content)"
    off = gap.split("quality", name, "off_manifold")
    if off is not None:
        yield f"{_percent(off)} of these lie off the real manifold (quality)"
    real, own = (gap.split("appearance", each, "high_share") for each in (REAL_SET, name))
    if real and own is not None:
        times = number(own / real, 2)
        yield f"high frequencies have {times} times the share of power in real ones (appearance)"


def _sampling_sentence(sampling: Sequence[Record]) -> Iterator[str]:
    against_real = [
        row for row in sampling if row["verdict"] != "not run" and _is_against_real(row)
    ]
    if not against_real:
        return
    better, worse = (select(against_real, verdict=verdict) for verdict in ("holds", "reversed"))
    resolved = [
        f"{row['left'].removeprefix('trained on ')} {_points(row)}" for row in [*better, *worse]
    ]
    count = f"{len(resolved) or 'none'} of {len(against_real)}"
    listed = f": {'; '.join(resolved)} points" if resolved else ""
    yield f"Samples added to real images, resolved from these alone: {count}{listed}."


def _is_against_real(row: Record) -> bool:
    return "these synthetic images add" in row["statement"]


def _points(row: Record) -> str:
    return number(row["difference_pp"], 1, "+")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


COLORS = (REAL, SYNTHETIC, TO_SYNTHETIC, TO_REAL, CORPUS, SOFT)  # of sets, the real one first
LINE_STYLES = ("-", "--", "-.", ":", (0, (4, 1, 1, 1, 1, 1)), (0, (1, 1)))
LOG_AXIS_RATIO = 20.0  # last over first edge beyond which losses stand on a logarithmic axis
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
                    found["epochs"], found[key], color=color, linestyle=LINE_STYLES[index % 6],
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
    return render_figure((recipe, "saturation"), alt, (9.2, 3.4), paint)


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
    return render_figure((recipe, "losses"), alt, (9.6, 2.9 * rows + 0.5), paint)


def _histograms(axes: Axes, gap: GapNumbers, classifier: str) -> None:
    edges = [float(edge) for edge in gap.content["cross_entropy"]["edges"]]
    if len(edges) > 2 and edges[-1] / edges[1] > LOG_AXIS_RATIO:
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
            shares, edges, color=color, linewidth=1.4, linestyle=LINE_STYLES[index % 6],
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
                    linestyle=LINE_STYLES[index % 6], label=set_name(name),
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
    return render_figure((recipe, "split"), alt, (9.2, 3.3), paint)


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
