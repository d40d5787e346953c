"""What every ablation changes, in points: ours with intervals, the published beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from synthgap.reporting.ablations import (
    QUESTIONS,
    SIDES,
    AblationQuestion,
    AblationRow,
    ablation_rows,
    ablation_sentences,
    source_rows,
)
from synthgap.reporting.blocks import (
    Block,
    FigureBlock,
    Heading,
    ImageBlock,
    Section,
    TableBlock,
    Text,
)
from synthgap.reporting.drawing import (
    INK,
    REAL,
    SOFT,
    SYNTHETIC,
    ReportFigure,
    legend_above,
    render_figure,
)
from synthgap.reporting.formats import (
    DASH,
    interval,
    number,
    plus_minus,
    real_labels,
    signed,
    spread,
    with_interval,
)
from synthgap.reporting.published import published, published_ablations
from synthgap.reporting.record_names import companion, find_one, row_name, select, set_name
from synthgap.reporting.summary import Summary
from synthgap.reporting.tables import LABEL_COUNT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COLORS = {"real": REAL, "synthetic": SYNTHETIC}
ROW_IN = 0.27  # inches of one row
PUBLISHED_MARKER: dict[str, Any] = {
    "color": INK, "marker": "D", "markersize": 4.5, "markerfacecolor": "none", "linestyle": "none",
}  # fmt: skip
OUR_OFFSET, THEIR_OFFSET = 0.13, -0.17  # rows above and below the middle of a row


def forest_figure(summary: Summary) -> ReportFigure | None:
    """Draw each change's difference to the student without it, real and synthetic side by side."""
    groups = {
        question.title: [each for each in ablation_rows(summary, question.key) if each.difference]
        for question in QUESTIONS
        if question.key != "sources"  # whose rows have bases of their own
    }
    rows = _rows(groups)
    if not rows:
        return None

    def paint(figure: Figure) -> None:
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        for axes, side in zip(panels, SIDES, strict=True):
            axes.grid(visible=False, axis="y")
            axes.grid(visible=True, axis="x")
            axes.axvline(0, color=SOFT, linewidth=1.0)
            axes.set_title(f"trained on {side} images")
            axes.tick_params(axis="y", length=0)
            axes.set_xlabel("difference in top-1 (points)")
            for height, name in enumerate(reversed(rows)):
                for each in groups.get(name[0], []):
                    if (each.side, each.label) == (side, name[1]):
                        _mark(axes, each, height)
        _label_rows(panels[0], rows)
        panels[0].plot([], [], "o", color=INK, label="ours")
        panels[0].plot([], [], **PUBLISHED_MARKER, label="MtG: ImageNet-100, ResNet-50")
        legend_above(figure, panels[0], 2)

    alt = f"{summary.recipe}: what each ablation changes, on real and on synthetic images"
    return render_figure((summary.recipe, "ablations"), alt, (9.2, 1.5 + ROW_IN * len(rows)), paint)


def _rows(groups: dict[str, list[AblationRow]]) -> list[tuple[str, str]]:
    """(question, change) from the top; a question's own line has no change."""
    rows: list[tuple[str, str]] = []
    for title, found in groups.items():
        if found:
            labels = dict.fromkeys(each.label for each in found)
            rows += [(title, ""), *((title, label) for label in labels)]
    return rows


def _mark(axes: Axes, each: AblationRow, height: float) -> None:
    difference, color = each.difference, COLORS[each.side]
    assert difference is not None
    if difference["difference_pp"] is not None:
        axes.hlines(height + OUR_OFFSET, difference["low"], difference["high"], color=color)
        axes.plot([difference["difference_pp"]], [height + OUR_OFFSET], "o", color=color, zorder=3)
    if each.published_difference is not None:
        axes.plot([each.published_difference], [height + THEIR_OFFSET], **PUBLISHED_MARKER)


def _label_rows(axes: Axes, rows: Sequence[tuple[str, str]]) -> None:
    axes.set_yticks(range(len(rows)), [change or title for title, change in reversed(rows)])
    for tick, (_, change) in zip(axes.get_yticklabels(), reversed(rows), strict=True):
        tick.set_fontweight("normal" if change else "bold")
    axes.set_ylim(-0.7, len(rows) - 0.3)


INTRODUCTION = (
    "Each row changes one thing; its difference is to the student without the change, paired over "
    "test images. MtG: ImageNet-100, ResNet-50, mean and std over the last "
    "epochs of one run; differences can be compared, levels cannot."
)
FOREST_CAPTION = (
    "Filled: ours with its {confidence} interval, paired bootstrap over test images. Hollow: MtG's "
    "difference between the same two rows, other images and another network."
)
CAVEAT = (
    "the prompts carry what an image encoder saw of the real training images, so that information "
    "leaks from those images into the synthetic ones. This is an oracle, a bound on what better "
    "prompts could give, and no way to save real images (MtG says so of its own)."
)
STYLISED_NOTE = (
    "Texture is what random filters answer to at any place (Gram matrices): distance 0 is equal, 1 "
    "nothing in common. Shape is the share of an image's light and dark that the colours of the "
    "result still tell; that of another image is what chance tells."
)
STYLISED_HEADERS = (
    "image set", "texture: from the style, before", "from the style, after",
    "from the original, after", "shape: of its own image", "of another image",
)  # fmt: skip


def ablations_section(summary: Summary) -> Section:
    """Every question with its change, its table and what is resolved from zero."""
    caption = FOREST_CAPTION.format(confidence=summary.confidence)
    blocks: list[Block] = [FigureBlock.of(summary.recipe, forest_figure(summary), caption)]
    if select(summary.top1, experiment="ablate"):
        blocks = [Text(INTRODUCTION, quiet=True), *blocks]
        for question in QUESTIONS:
            blocks += _question_blocks(summary, question)
    title = "What else changes the gap: ablations"
    return Section("ablations", title, [*blocks, published_ablations()])


def _question_blocks(summary: Summary, question: AblationQuestion) -> Iterator[Block]:
    yield Heading(question.title)
    yield Text(question.changed)
    if question.key == "oracle":
        yield Text(f"Caveat: {summary.about.get('oracle_caveat') or CAVEAT}")
    yield _sources_table(summary) if question.key == "sources" else _table(summary, question.key)
    notes = find_one(published()["ablations"], ablation=question.key)
    for note in notes["notes"] if notes else ():
        yield Text(note, quiet=True)
    sentence = ablation_sentences(summary, question.key)
    if sentence is not None:
        yield Text(sentence)
    if question.key == "stylised":
        yield from _stylised_blocks(summary)
    if question.key == "oracle":
        yield from _oracle_blocks(summary)


def _table(summary: Summary, key: str) -> TableBlock:
    headers = [
        "trained on", "changed", LABEL_COUNT, "seeds", "top-1 (%) \N{PLUS-MINUS SIGN} seeds",
        f"{summary.confidence} interval", "difference (pp)", "gap_pp",
    ]  # fmt: skip
    headers += ["MtG (%)", "MtG: difference"]
    rows = [_row(summary, each) for each in ablation_rows(summary, key)]
    return TableBlock(headers, rows, num_names=2)


def _row(summary: Summary, each: AblationRow) -> list[str]:
    row, theirs = each.row, each.published_difference
    return [
        each.side, each.label, real_labels(row), str(row["n"]), spread(row), interval(row),
        signed(each.difference) if each.difference else DASH,
        with_interval(companion(summary.records, row, "gap_pp")),
        plus_minus(each.published) if each.published else DASH,
        DASH if theirs is None else number(theirs, 1, "+"),
    ]  # fmt: skip


def _sources_table(summary: Summary) -> TableBlock:
    """Mixed sources and subsets, each below the student that it is held against."""
    headers = (
        "student", LABEL_COUNT, "seeds", "top-1 (%) \N{PLUS-MINUS SIGN} seeds",
        f"{summary.confidence} interval", "difference (pp)", "gap_pp",
    )  # fmt: skip
    body = [
        [
            row_name(row), real_labels(row), str(row["n"]), spread(row), interval(row),
            signed(difference) if difference else DASH,
            with_interval(companion(summary.records, row, "gap_pp")),
        ]
        for row, difference in source_rows(summary)
    ]  # fmt: skip
    return TableBlock(headers, body)


def _stylised_blocks(summary: Summary) -> Iterator[Block]:
    if summary.stylise is not None:
        texture, shape = summary.stylise["texture"], summary.stylise["shape"]
        rows = [
            [
                set_name(name),
                *(f"{texture[name][kind]:.2f}" for kind in ("before", "after", "from_original")),
                *(f"{shape[name][kind]:.2f}" for kind in ("own", "other")),
            ]
            for name in sorted(texture, key=lambda name: (name != "train", name))
        ]
        yield Text(STYLISED_NOTE, quiet=True)
        yield TableBlock(STYLISED_HEADERS, rows)
    yield ImageBlock(
        summary.photos.get("stylised"),
        f"{summary.recipe}: images, styles and what became of them",
        "Of each image set, from above: images as they are, the pictures whose style they take, "
        "and what becomes of them.",
        f"figures/{summary.recipe}/stylised.png",
    )


def _oracle_blocks(summary: Summary) -> Iterator[Block]:
    yield ImageBlock(
        summary.photos.get("oracle"),
        f"{summary.recipe}: real training images beside the ones that they prompted",
        "Left the real training images that prompt, right the images they give, in the same order.",
        f"figures/{summary.recipe}/oracle.png",
    )
