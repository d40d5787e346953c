"""The ablations section: a table a question, ours beside MtG's, with the pictures they need."""

from __future__ import annotations

from collections.abc import Iterator

from synthgap.reporting.ablations import QUESTIONS, Ablated, Question, ablated, said, sources
from synthgap.reporting.blocks import Block, Heading, Photo, Picture, Section, Table, Text
from synthgap.reporting.forest import forest_figure
from synthgap.reporting.formats import (
    NONE,
    interval,
    number,
    plus_minus,
    real_labels,
    signed,
    spread,
    with_interval,
)
from synthgap.reporting.labels import row_name, set_name
from synthgap.reporting.lookup import companion, one, select
from synthgap.reporting.printed import published_ablations
from synthgap.reporting.published import published
from synthgap.reporting.summary import Summary
from synthgap.reporting.tables import LABELS

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
STYLISED = (
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
    blocks: list[Block] = [Picture.of(summary.recipe, forest_figure(summary), caption)]
    if select(summary.top1, experiment="ablate"):
        blocks = [Text(INTRODUCTION, quiet=True), *blocks]
        for question in QUESTIONS:
            blocks += _question(summary, question)
    title = "What else changes the gap: ablations"
    return Section("ablations", title, [*blocks, published_ablations()])


def _question(summary: Summary, question: Question) -> Iterator[Block]:
    yield Heading(question.title)
    yield Text(question.changed)
    if question.key == "oracle":
        yield Text(f"Caveat: {summary.about.get('oracle_caveat') or CAVEAT}")
    yield _sources_table(summary) if question.key == "sources" else _table(summary, question.key)
    notes = one(published()["ablations"], ablation=question.key)
    for note in notes["notes"] if notes else ():
        yield Text(note, quiet=True)
    sentence = said(summary, question.key)
    if sentence is not None:
        yield Text(sentence)
    if question.key == "stylised":
        yield from _stylised(summary)
    if question.key == "oracle":
        yield from _oracle(summary)


def _table(summary: Summary, key: str) -> Table:
    headers = [
        "trained on", "changed", LABELS, "seeds", "top-1 (%) \N{PLUS-MINUS SIGN} seeds",
        f"{summary.confidence} interval", "difference (pp)", "gap_pp",
    ]  # fmt: skip
    headers += ["MtG (%)", "MtG: difference"]
    rows = [_row(summary, each) for each in ablated(summary, key)]
    return Table(headers, rows, num_names=2)


def _row(summary: Summary, each: Ablated) -> list[str]:
    row, theirs = each.row, each.published_difference
    return [
        each.side, each.label, real_labels(row), str(row["n"]), spread(row), interval(row),
        signed(each.difference) if each.difference else NONE,
        with_interval(companion(summary.records, row, "gap_pp")),
        plus_minus(each.published) if each.published else NONE,
        NONE if theirs is None else number(theirs, 1, "+"),
    ]  # fmt: skip


def _sources_table(summary: Summary) -> Table:
    """Mixed sources and subsets, each below the student that it is held against."""
    headers = (
        "student", LABELS, "seeds", "top-1 (%) \N{PLUS-MINUS SIGN} seeds",
        f"{summary.confidence} interval", "difference (pp)", "gap_pp",
    )  # fmt: skip
    body = [
        [
            row_name(row), real_labels(row), str(row["n"]), spread(row), interval(row),
            signed(difference) if difference else NONE,
            with_interval(companion(summary.records, row, "gap_pp")),
        ]
        for row, difference in sources(summary)
    ]  # fmt: skip
    return Table(headers, body)


def _stylised(summary: Summary) -> Iterator[Block]:
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
        yield Text(STYLISED, quiet=True)
        yield Table(STYLISED_HEADERS, rows)
    yield Photo(
        summary.photos.get("stylised"),
        f"{summary.recipe}: images, styles and what became of them",
        "Of each image set, from above: images as they are, the pictures whose style they take, "
        "and what becomes of them.",
        f"figures/{summary.recipe}/stylised.png",
    )


def _oracle(summary: Summary) -> Iterator[Block]:
    yield Photo(
        summary.photos.get("oracle"),
        f"{summary.recipe}: real training images beside the ones that they prompted",
        "Left the real training images that prompt, right the images they give, in the same order.",
        f"figures/{summary.recipe}/oracle.png",
    )
