"""The sections of one recipe, in reading order."""

from __future__ import annotations

from synthgap.reporting.ablation_tables import ablations_section
from synthgap.reporting.blocks import Block, Folded, Photo, Picture, Points, Section, Table, Text
from synthgap.reporting.clone import clone_section
from synthgap.reporting.fidelity_section import fidelity_section
from synthgap.reporting.figures import guidance_figure, reduce_figure, transfer_figure
from synthgap.reporting.gap_section import gap_section
from synthgap.reporting.guide import guide_section
from synthgap.reporting.headline import headline
from synthgap.reporting.heatmap import heatmap_figure
from synthgap.reporting.labels import DIRECTIONS
from synthgap.reporting.layer_figures import layers_section
from synthgap.reporting.lookup import select
from synthgap.reporting.printed import published_guidance, published_reduce, published_transfer
from synthgap.reporting.published import published_figure
from synthgap.reporting.studies_section import studies_section
from synthgap.reporting.summary import Summary
from synthgap.reporting.tables import (
    comparison_table,
    ordering_table,
    other_metrics_table,
    results_table,
)


def sections(summary: Summary) -> list[Section]:
    """Everything that the report says about one recipe."""
    return [
        Section("summary", "What the data say", [Points(headline(summary), "headline")]),
        Section("images", "The images", [_contact(summary)]),
        fidelity_section(summary),
        _guidance(summary),
        clone_section(summary),
        _orderings(summary),
        _transfer(summary),
        layers_section(summary),
        _reduce(summary),
        Section("heatmap", "Depth and share of the real labels together", [
            Picture.of(summary.recipe, heatmap_figure(summary), HEATMAP_CAPTION),
        ]),
        ablations_section(summary),
        gap_section(summary),
        guide_section(summary),
        studies_section(summary),
        Section("published", "Beside the published results", [
            Picture.of(summary.recipe, published_figure(summary), PUBLISHED_CAPTION),
        ]),
        Section("more", "Other metrics, and what made the numbers", [
            Folded("Top-5, balanced accuracy, loss, validation", [
                other_metrics_table(summary, summary.top1),
            ]),
            Folded("Environment and inputs", _environment(summary)),
        ]),
    ]  # fmt: skip


def _guidance(summary: Summary) -> Section:
    rows = select(summary.top1, experiment="train")
    blocks: list[Block] = [Picture.of(summary.recipe, guidance_figure(summary), _bars(summary))]
    blocks += [results_table(summary, rows), published_guidance()]
    return Section("guidance", "Real, corpus and synthetic at each guidance scale", blocks)


def _orderings(summary: Summary) -> Section:
    note = (
        "Differences are paired over test images, their std runs over seeds. An ordering holds "
        "where the interval lies above 0 and every seed agrees; whatever came out is stated."
    )
    blocks: list[Block] = [Text(note, quiet=True), ordering_table(summary)]
    return Section("orderings", "Expected orderings", blocks)


def _transfer(summary: Summary) -> Section:
    rows = [row for name in DIRECTIONS for row in summary.moved(name)]
    figure, caption = transfer_figure(summary), _transfer_caption(summary)
    blocks: list[Block] = [Picture.of(summary.recipe, figure, caption)]
    if rows:
        heading = (
            "What the donor's source does, freezing aside: a synthetic donor's cost is the control "
            "minus the transfer, a real donor's gain the transfer minus the control. Paired over "
            "test images."
        )
        blocks += [results_table(summary, rows), Text(heading, quiet=True)]
        blocks += [comparison_table(summary, "control")]
    return Section("transfer", "Which layers need real images", [*blocks, published_transfer()])


def _reduce(summary: Summary) -> Section:
    rows = [row for rows in summary.arms.values() for row in rows if row["arm"] is not None]
    figure, caption = reduce_figure(summary), _reduce_caption(summary)
    blocks: list[Block] = [Picture.of(summary.recipe, figure, caption)]
    if rows:
        heading = (
            "What a synthetic donor gains over training from scratch on the same labels. Paired "
            "over test images."
        )
        blocks += [results_table(summary, rows), Text(heading, quiet=True)]
        blocks += [comparison_table(summary, "prefix")]
    title = "How many real labels a synthetic prefix saves"
    return Section("reduce", title, [*blocks, published_reduce()])


HEATMAP_CAPTION = (
    "Top-1 on real test images (%), synthetic \N{RIGHTWARDS ARROW} real. Row 0 is training from "
    "scratch; blank cells were not run."
)
PUBLISHED_CAPTION = (
    "Other images, classes and networks than ours: each panel is a share of its own real baseline, "
    "and only the shapes can be compared. MtG: Hennicke et al., Mind the Gap Between Synthetic and "
    "Real. FITYMI: Sariyildiz et al., Fake It Till You Make It."
)


def _bars(summary: Summary) -> str:
    return (
        f"Bars: {summary.confidence} interval, bootstrap over "
        f"{summary.about['num_test_images']:,} test images. Small dots: one seed each."
    )


def _transfer_caption(summary: Summary) -> str:
    return (
        f"{_bars(summary)} Open marks at 0 and {len(summary.units)} are the students from scratch "
        "and the donors themselves. Bars of two curves share test images: a difference is tighter "
        "than they look, see the paired table."
    )


def _reduce_caption(summary: Summary) -> str:
    return (
        f"{_bars(summary).replace(' Small dots: one seed each.', '')} Dotted green: least squares "
        "fit, x = 1 / share of the real labels (MtG, Fig. 3)."
    )


def _contact(summary: Summary) -> Block:
    shown = ", ".join(summary.about["classes_shown"])
    return Photo(
        summary.photos.get("contact"),
        f"{summary.recipe}: real training images beside synthetic ones, a class a row",
        f"The first training images of each class by manifest order, not chosen. Classes: {shown}.",
        f"figures/{summary.recipe}/contact.png",
    )


def _environment(summary: Summary) -> list[Block]:
    facts = {**summary.environment["environment"], "student": summary.about["student"]}
    facts |= {"units": ", ".join(summary.units), "resamples": summary.about["resamples"]}
    facts |= {name: digest[:16] for name, digest in summary.about["inputs"].items()}
    rows = [[str(name), str(value)] for name, value in facts.items()]
    blocks: list[Block] = [Table(("what", "value"), rows, num_names=2)]
    for cell, differing in summary.environment["differences"].items():
        blocks.append(Text(f"{cell} was made elsewhere: {'; '.join(differing)}"))
    if summary.about["missing"]:
        blocks.append(Text(f"Not run: {', '.join(summary.about['missing'])}"))
    return blocks
