"""The sections of one recipe, in reading order."""

from __future__ import annotations

from collections.abc import Sequence

from synthgap.reporting.blocks import Block, Folded, Photo, Picture, Points, Section, Table, Text
from synthgap.reporting.drawing import Drawing
from synthgap.reporting.figures import guidance_figure, reduce_figure, transfer_figure
from synthgap.reporting.formats import NONE
from synthgap.reporting.headline import headline
from synthgap.reporting.heatmap import heatmap_figure
from synthgap.reporting.labels import DIRECTIONS, arrow, fraction_name
from synthgap.reporting.lookup import Record, select
from synthgap.reporting.published import published, published_figure
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
        _guidance(summary),
        _orderings(summary),
        _transfer(summary),
        _reduce(summary),
        Section("heatmap", "Depth and share of the real labels together", [
            _picture(summary, heatmap_figure(summary), HEATMAP_CAPTION),
        ]),
        Section("published", "Beside the published results", [
            _picture(summary, published_figure(summary), PUBLISHED_CAPTION),
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
    blocks: list[Block] = [_picture(summary, guidance_figure(summary), _bars(summary))]
    blocks += [results_table(summary, rows), _published_guidance()]
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
    blocks: list[Block] = [_picture(summary, transfer_figure(summary), _transfer_caption(summary))]
    if rows:
        heading = (
            "What the donor's source does, freezing aside: a synthetic donor's cost is the control "
            "minus the transfer, a real donor's gain the transfer minus the control. Paired over "
            "test images."
        )
        blocks += [results_table(summary, rows), Text(heading, quiet=True)]
        blocks += [comparison_table(summary, "control")]
    return Section("transfer", "Which layers need real images", [*blocks, _published_transfer()])


def _reduce(summary: Summary) -> Section:
    rows = [row for rows in summary.arms.values() for row in rows if row["arm"] is not None]
    blocks: list[Block] = [_picture(summary, reduce_figure(summary), _reduce_caption(summary))]
    if rows:
        heading = (
            "What a synthetic donor gains over training from scratch on the same labels. Paired "
            "over test images."
        )
        blocks += [results_table(summary, rows), Text(heading, quiet=True)]
        blocks += [comparison_table(summary, "prefix")]
    title = "How many real labels a synthetic prefix saves"
    return Section("reduce", title, [*blocks, _published_reduce()])


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


def _picture(summary: Summary, drawing: Drawing | None, caption: str) -> Picture:
    path = f"figures/{summary.recipe}/{drawing.kind}.png" if drawing else ""
    return Picture(drawing, caption, path)


def _contact(summary: Summary) -> Block:
    shown = ", ".join(summary.about["classes_shown"])
    return Photo(
        summary.contact_png,
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


def _published_transfer() -> Folded:
    tables = published()["transfer"]
    headers = ["units frozen of 18"]
    for table in tables:
        network = f"{table['dataset']}, {table['student']}"
        headers.append(f"{network}: {arrow(table['direction'])} (Table {table['table']})")
    depths = [depth for depth, _, _ in tables[0]["top1_by_depth"]]
    rows = [["none, real", *(_plus_minus(table["real"]) for table in tables)]]
    rows += [["none, synthetic", *(_plus_minus(table["synthetic"]) for table in tables)]]
    for index, depth in enumerate(depths):
        rows.append(
            [str(depth), *(_plus_minus(table["top1_by_depth"][index][1:]) for table in tables)]
        )
    return _published("MtG, Tables 6 to 9", Table(headers, rows), tables)


def _published_reduce() -> Folded:
    tables = published()["reduce"]
    headers = ["share of real ImageNet-100", "first 16 of 18 frozen (Table 10a)"]
    headers += ["from scratch (Table 10b)"]
    rows = [
        [fraction_name(1 / ours[0]), _plus_minus(ours[1:]), _plus_minus(theirs[1:])]
        for ours, theirs in zip(*(table["top1_by_denominator"] for table in tables), strict=True)
    ]
    fit = published()["printed_fit"]
    note = Text(f"Printed fit: {fit['slope']} log(x) + {fit['intercept']}. {fit['slip']}.")
    return _published("MtG, Table 10", Table(headers, rows), tables, note)


def _published_guidance() -> Folded:
    rows = []
    for table in published()["guidance"]:
        base = f"{table['dataset']}, real ({table['real_name']})"
        rows.append([base, NONE, NONE, f"{table['real']:.1f}", "100"])
        rows += [
            [f"{table['dataset']}, synthetic", prompt, f"{scale:g}", f"{value:.1f}",
             f"{100 * value / table['real']:.0f}"]
            for scale, prompt, value in table["top1_by_scale_and_prompt"]
        ]  # fmt: skip
    headers = ("trained on", "prompt", "guidance", "top-1 (%)", "% of own real baseline")
    return _published("FITYMI, Table 1 (ResNet-50)", Table(headers, rows, num_names=2), [])


def _published(title: str, table: Table, tables: Sequence[Record], *more: Block) -> Folded:
    slips = [f"Table {one['table']}: {slip}" for one in tables for slip in one["slips"]]
    blocks: list[Block] = [Text(published()["note"], quiet=True), table]
    if slips:
        blocks += [Text("Printing slips:", quiet=True), Points(slips)]
    return Folded(f"Published, another dataset: {title}", [*blocks, *more])


def _plus_minus(numbers: Sequence[float]) -> str:
    return f"{numbers[0]:.1f} \N{PLUS-MINUS SIGN} {numbers[1]:.1f}"
