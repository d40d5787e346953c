"""Where does the gap come from? PG/RG's Table 1, curves, losses, the split, and sampling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from synthgap.reporting.blocks import (
    Block,
    BulletList,
    FigureBlock,
    FoldedBlocks,
    Heading,
    ImageBlock,
    Section,
    TableBlock,
    Text,
)
from synthgap.reporting.formats import DASH, number, real_labels, spread
from synthgap.reporting.gap import (
    GAP_SHEET,
    REAL_SET,
    GapNumbers,
    curves_figure,
    gap_sentences,
    losses_figure,
    split_figure,
)
from synthgap.reporting.guide_published import published_cross
from synthgap.reporting.guide_section import outcome_text, over_images, over_seeds
from synthgap.reporting.record_names import Record, row_name, select, set_name, variant_name
from synthgap.reporting.summary import Summary
from synthgap.reporting.tables import LABEL_COUNT

KEY, TITLE = "gap", "Where does the gap come from?"
NOT_RUN_NOTE = "not run: stage gap has left no gap.json for this recipe."
CROSS_NOTE = (
    "Top-1 (%) on training images, as PG/RG's Table 1 has it: the diagonal is what students have "
    "learned by heart, the rest is how far one source serves for another."
)
CURVES_CAPTION = (
    "Accuracy and loss while learning, means over seeds. Dotted: the epoch from which training "
    "accuracy stays within a point of its last value, as long as that is not the last epoch."
)
LOSSES_CAPTION = (
    "Cross-entropy of every training image, nats, a panel a classifier; each source's images sum "
    "to 100 %, the leftmost bin holds all that is smaller, vertical dots are medians. The more two "
    "sources overlap under one classifier, the less it tells them apart by how hard they are."
)
SPLIT_CAPTION = (
    "Left, appearance: power by spatial frequency, high from the dotted line on. Middle, content: "
    "share of real images with a synthetic one near them (coverage) and near which synthetic ones "
    "lie (recall). Right, quality: share of images that lie off the real manifold, and their "
    "density on it."
)
SPLIT_HEADERS = (
    "images", "number", "appearance: share of power in high frequencies", "content: coverage",
    "content: recall", "quality: off the manifold", "quality: density",
)  # fmt: skip
SAMPLING_NOTE = (
    "Real images with the half of a synthetic set that a real-trained student finds easiest "
    "(lowest loss), hardest (highest loss), or with as many at random; all with as many optimiser "
    "steps as the real images alone. Differences are paired over the seeds that both sides have, "
    "and decided where both intervals exclude zero."
)


def gap_section(summary: Summary) -> Section:
    """Everything that stage `gap` found, or one line where it was not run."""
    sampling = select(summary.comparisons, kind="sampling")
    gap = summary.gap
    if gap is None:
        return Section(KEY, TITLE, [Text(NOT_RUN_NOTE), published_cross()])
    blocks: list[Block] = [
        BulletList(gap_sentences(gap, sampling), "headline"),
        Heading("One source's students on another source's images"),
        Text(CROSS_NOTE, quiet=True), cross_table(gap), published_cross(),
        Heading("How fast they are learned, and how hard they are"),
        FigureBlock.of(summary.recipe, curves_figure(summary.recipe, gap), CURVES_CAPTION),
        FigureBlock.of(summary.recipe, losses_figure(summary.recipe, gap), LOSSES_CAPTION),
        loss_table(gap), *_sheet_blocks(summary, gap),
        Heading("Appearance, content, quality"),
        FigureBlock.of(summary.recipe, split_figure(summary.recipe, gap), SPLIT_CAPTION),
        split_table(gap),
        Heading("Which synthetic images to add to real ones"),
        *_sampling_blocks(summary, sampling, gap),
    ]  # fmt: skip
    return Section(KEY, TITLE, blocks)


def cross_table(gap: GapNumbers) -> TableBlock:
    """PG/RG's Table 1 for this recipe, with the epoch from which each student gains no more."""
    headers = ["trained on", *(f"on {set_name(name)}" for name in gap.sets), "seeds", "saturated"]
    rows = []
    for learned in gap.sets:
        found = [gap.top1(learned, scored) for scored in gap.sets]
        seeds = {str(one["n"]) for one in found if one}
        epoch = gap.content["saturation"].get(learned, {}).get("saturated")
        rows.append([
            set_name(learned), *(spread(one) if one else DASH for one in found),
            " ".join(sorted(seeds)) or DASH, f"epoch {_format_epoch(epoch)}" if epoch else DASH,
        ])  # fmt: skip
    caption = f"Ours; {_image_counts(gap)}. Mean \N{PLUS-MINUS SIGN} std over seeds."
    return TableBlock(headers, rows, caption=caption)


def loss_table(gap: GapNumbers) -> TableBlock:
    """Mean and quantiles of each source's cross-entropy under each classifier."""
    quantiles = dict.fromkeys(
        key for pair in gap.content["cross_entropy"]["pairs"] for key in pair["quantiles"]
    )
    rows = [
        [
            set_name(pair["classifier"]), set_name(pair["images"]), number(pair["mean"], 3),
            number(pair["median"], 3),
            *(number(pair["quantiles"][key], 3) if key in pair["quantiles"] else DASH
              for key in quantiles),
        ]
        for pair in gap.content["cross_entropy"]["pairs"]
    ]  # fmt: skip
    headers = (
        "classifier trained on",
        "images",
        "mean",
        "median",
        *map(_quantile_header, quantiles),
    )
    return TableBlock(headers, rows, num_names=2, caption="Cross-entropy, nats.")


def split_table(gap: GapNumbers) -> TableBlock:
    """Appearance, content and quality of every set."""
    rows = []
    for name in gap.sets:
        high = gap.split("appearance", name, "high_share")
        shares = (("content", "coverage"), ("content", "recall"), ("quality", "off_manifold"))
        density = gap.split("quality", name, "density")
        rows.append([
            set_name(name), f"{gap.content['num_images'][name]:,}",
            DASH if high is None else f"{100 * high:.2f} %",
            *(_share(gap.split(part, name, key)) for part, key in shares),
            DASH if density is None else number(density, 2),
        ])  # fmt: skip
    return TableBlock(SPLIT_HEADERS, rows)


def _sampling_blocks(summary: Summary, found: Sequence[Record], gap: GapNumbers) -> list[Block]:
    rows = select(summary.top1, experiment="gap")
    if not rows:
        return [TableBlock((), [])]
    selection = gap.content["selection"]
    share = f"{100 * selection['share']:.0f} % of every class of a synthetic set"
    alone = [] if summary.real is None else [summary.real]
    headers = (
        "trained on", LABEL_COUNT, "seeds", "top-1 (%) \N{PLUS-MINUS SIGN} seeds",
        "minus real alone (pp), over seeds", "over images", "outcome",
        "minus random (pp), over seeds", "over images",
    )  # fmt: skip
    body = [_sampling_row(summary, row, found) for row in [*alone, *rows]]
    text = f"{SAMPLING_NOTE.replace('the half of a synthetic set', share)}"
    return [Text(text, quiet=True), TableBlock(headers, body), _added_table(gap)]


def _sampling_row(summary: Summary, row: Record, found: Sequence[Record]) -> list[str]:
    name = row_name(row)
    own = [each for each in found if each["left"] == name]
    real = [each for each in own if summary.real and each["right"] == row_name(summary.real)]
    other = [each for each in own if each not in real and each["verdict"] != "not run"]
    return [
        name.removeprefix("trained on "), real_labels(row), str(row["n"]), spread(row),
        *_pair_cells(real), outcome_text(real[0]) if real else DASH, *_pair_cells(other),
    ]  # fmt: skip


def _added_table(gap: GapNumbers) -> TableBlock:
    """How many images each choice adds, and how hard they are, easiest first."""
    added = gap.content["selection"].get("added", {})
    rows = [
        [set_name(name), variant_name(variant), f"{of['num_images']:,}", number(of["loss"], 3)]
        for name in gap.synthetic
        for variant, of in sorted(added.get(name, {}).items(), key=lambda item: item[1]["loss"])
    ]
    judge = set_name(gap.content["selection"]["classifier"])
    loss = f"mean cross-entropy to students of {judge} images (nats)"
    return TableBlock(("added", "chosen by", "images", loss), rows, num_names=2)


def _pair_cells(rows: Sequence[Record]) -> list[str]:
    return [over_seeds(rows[0]), over_images(rows[0])] if rows else [DASH, DASH]


def _sheet_blocks(summary: Summary, gap: GapNumbers) -> Iterator[Block]:
    """Low- and high-loss images of every synthetic set, and folded of the real one."""
    sheets = gap.content["sheets"]
    for name in [*gap.synthetic, REAL_SET]:
        photos = [
            _sheet_block(summary, sheets[loss][name], name, loss)
            for loss in ("low", "high")
            if name in sheets.get(loss, {})
        ]
        if name == REAL_SET and photos:
            yield FoldedBlocks(f"The same of {set_name(name)} images", photos)
        else:
            yield from photos


def _sheet_block(summary: Summary, sheet: str, name: str, loss: str) -> ImageBlock:
    assert summary.gap is not None
    key = f"{GAP_SHEET}{sheet.removesuffix('.png')}"
    judge = set_name(summary.gap.content["selection"]["classifier"])
    caption = (
        f"{set_name(name).capitalize()}: the images of {loss}est loss, of all classes and of each, "
        f"to students trained on {judge} images."
    )
    alt = f"{summary.recipe}: {loss}-loss images of {set_name(name)}"
    return ImageBlock(summary.photos.get(key), alt, caption, f"figures/{summary.recipe}/{key}.png")


def _image_counts(gap: GapNumbers) -> str:
    counts = gap.content["num_images"]
    return ", ".join(f"{counts[name]:,} images of {set_name(name)}" for name in gap.sets)


def _format_epoch(epoch: Record) -> str:
    return number(epoch["mean"], 1) if epoch["n"] == 1 else spread(epoch)


def _quantile_header(key: str) -> str:
    return f"{100 * float(key):g} % quantile" if key.replace(".", "").isdigit() else key


def _share(value: float | None) -> str:
    return DASH if value is None else f"{100 * value:.1f} %"
