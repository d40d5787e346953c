"""All sections of one recipe's report, and its headline sentences."""

from __future__ import annotations

from collections.abc import Iterator

from synthgap.reporting.ablation_section import ablations_section
from synthgap.reporting.blocks import (
    Block,
    BulletList,
    FigureBlock,
    FoldedBlocks,
    ImageBlock,
    Section,
    TableBlock,
    Text,
)
from synthgap.reporting.clone_section import clone_section
from synthgap.reporting.fidelity_section import fidelity_section
from synthgap.reporting.figures import (
    guidance_figure,
    heatmap_figure,
    reduce_figure,
    transfer_figure,
)
from synthgap.reporting.formats import interval, label_equivalent, signed, spread, with_interval
from synthgap.reporting.gap_section import gap_section
from synthgap.reporting.guide_section import guide_section, guide_sentences
from synthgap.reporting.layer_section import layers_section
from synthgap.reporting.published import (
    published_figure,
    published_guidance,
    published_reduce,
    published_transfer,
)
from synthgap.reporting.record_names import (
    CONTROL_OF,
    DIRECTIONS,
    Record,
    companion,
    find_one,
    fraction_name,
    select,
)
from synthgap.reporting.studies import StudyFindings
from synthgap.reporting.studies_section import studies_section
from synthgap.reporting.studies_sentences import verdict_sentences
from synthgap.reporting.summary import Summary
from synthgap.reporting.tables import (
    comparison_table,
    ordering_table,
    other_metrics_table,
    results_table,
)


def headline(summary: Summary) -> list[str]:
    """Three to seven sentences, each with its numbers and intervals."""
    sentences = [*_headline_gap(summary), *_headline_transfer(summary), *_headline_reduce(summary)]
    tuned = verdict_sentences(StudyFindings(summary.tune)) if summary.tune else []
    return [*sentences, *guide_sentences(summary)[-1:], *tuned, *_headline_orderings(summary)]


def _headline_gap(summary: Summary) -> Iterator[str]:
    real, donor = summary.real, summary.donor or next(iter(summary.synthetic), None)
    if real is None:
        return
    yield (
        f"Trained on {real['real_labels']['student']:,} real images, {summary.about['student']} is "
        f"right on {real['mean']:.1f} % {interval(real)} of {summary.about['num_test_images']:,} "
        "real test images."
    )
    gap = companion(summary.records, donor, "gap_pp") if donor else None
    if donor is None or gap is None:
        return
    corpus = companion(summary.records, summary.corpus, "gap_pp") if summary.corpus else None
    sentence = (
        f"Trained on synthetic images at guidance {donor['guidance_scale']:g} it reaches "
        f"{donor['mean']:.1f} % {interval(donor)}: a gap of {with_interval(gap)} points"
    )
    if corpus is not None:
        sentence += (
            "; the real images that the generator learned from, used directly, leave "
            f"{with_interval(corpus)} points"
        )
    yield f"{sentence}."


def _headline_transfer(summary: Summary) -> Iterator[str]:
    rows = summary.moved("synthetic->real")
    if not rows:
        return
    wanted = len(summary.units) - 2  # the papers' 16 of 18
    row = min(rows, key=lambda row: abs(int(row["depth"]) - wanted))
    closed = companion(summary.records, row, "gap_closed")
    sentence = (
        f"With the first {row['depth']} of {len(summary.units)} units frozen from the synthetic "
        f"donor and the rest relearned on real images: {row['mean']:.1f} % {interval(row)}"
    )
    if closed is not None and closed["mean"] is not None:
        sentence += f", {with_interval(closed, 0, 100)} % of the gap closed"
    cost = find_one(
        [
            row
            for row in select(summary.comparisons, kind="control", depth=row["depth"])
            if row["right"].startswith("synthetic")
        ]
    )
    if cost is not None:
        sentence += f"; the {CONTROL_OF['synthetic->real']} control at this depth: {signed(cost)}"
    yield f"{sentence} points.".replace(" % of the gap closed points.", " % of the gap closed.")


def _headline_reduce(summary: Summary) -> Iterator[str]:
    prefixes = [rows for (arm, _), rows in summary.arms.items() if arm == "prefix"]
    scratch = summary.arms.get(("scratch", 0), [])
    if not prefixes or not scratch:
        return
    row = prefixes[-1][-1]
    same = find_one(scratch, fraction=row["fraction"])
    if same is None:
        return
    gain = find_one(
        summary.comparisons, kind="prefix", fraction=row["fraction"], depth=row["depth"]
    )
    worth = companion(summary.records, row, "label_equivalent")
    sentence = (
        f"With {fraction_name(row['fraction'])} of the real labels "
        f"({row['real_labels']['student']:,}), the first {row['depth']} units frozen "
        f"from synthetic give {spread(row)} %, training from scratch {spread(same)} %"
    )
    if gain is not None:
        sentence += f" (difference {signed(gain)} points)"
    if worth is not None:
        equal = label_equivalent(worth, summary.label_range)
        sentence += f"; from scratch the same takes {equal} real labels"
    yield f"{sentence}."


def _headline_orderings(summary: Summary) -> Iterator[str]:
    rows = select(summary.comparisons, kind="ordering")
    ran: list[Record] = [row for row in rows if row["verdict"] != "not run"]
    holding = select(ran, verdict="holds")
    if not ran:
        return
    sentence = f"Expected orderings that hold: {len(holding)} of {len(ran)}"
    others = [
        f"{row['statement']} is {row['verdict']} ({signed(row)} points)"
        for row in ran
        if row not in holding
    ]
    yield f"{sentence}; {'; '.join(others)}." if others else f"{sentence}."


def sections(summary: Summary) -> list[Section]:
    """Everything that the report says about one recipe."""
    return [
        Section("summary", "What the data say", [BulletList(headline(summary), "headline")]),
        Section("images", "The images", [_contact_block(summary)]),
        fidelity_section(summary),
        _guidance_section(summary),
        clone_section(summary),
        _orderings_section(summary),
        _transfer_section(summary),
        layers_section(summary),
        _reduce_section(summary),
        Section("heatmap", "Depth and share of the real labels together", [
            FigureBlock.of(summary.recipe, heatmap_figure(summary), HEATMAP_CAPTION),
        ]),
        ablations_section(summary),
        gap_section(summary),
        guide_section(summary),
        studies_section(summary),
        Section("published", "Beside the published results", [
            FigureBlock.of(summary.recipe, published_figure(summary), PUBLISHED_CAPTION),
        ]),
        Section("more", "Other metrics, and what made the numbers", [
            FoldedBlocks("Top-5, balanced accuracy, loss, validation", [
                other_metrics_table(summary, summary.top1),
            ]),
            FoldedBlocks("Environment and inputs", _environment_blocks(summary)),
        ]),
    ]  # fmt: skip


def _guidance_section(summary: Summary) -> Section:
    rows = select(summary.top1, experiment="train")
    blocks: list[Block] = [FigureBlock.of(summary.recipe, guidance_figure(summary), _bars(summary))]
    blocks += [results_table(summary, rows), published_guidance()]
    return Section("guidance", "Real, corpus and synthetic at each guidance scale", blocks)


def _orderings_section(summary: Summary) -> Section:
    note = (
        "Differences are paired over test images, their std runs over seeds. An ordering holds "
        "where the interval lies above 0 and every seed agrees; whatever came out is stated."
    )
    blocks: list[Block] = [Text(note, quiet=True), ordering_table(summary)]
    return Section("orderings", "Expected orderings", blocks)


def _transfer_section(summary: Summary) -> Section:
    rows = [row for name in DIRECTIONS for row in summary.moved(name)]
    figure, caption = transfer_figure(summary), _transfer_caption(summary)
    blocks: list[Block] = [FigureBlock.of(summary.recipe, figure, caption)]
    if rows:
        heading = (
            "What the donor's source does, freezing aside: a synthetic donor's cost is the control "
            "minus the transfer, a real donor's gain the transfer minus the control. Paired over "
            "test images."
        )
        blocks += [results_table(summary, rows), Text(heading, quiet=True)]
        blocks += [comparison_table(summary, "control")]
    return Section("transfer", "Which layers need real images", [*blocks, published_transfer()])


def _reduce_section(summary: Summary) -> Section:
    rows = [row for rows in summary.arms.values() for row in rows if row["arm"] is not None]
    figure, caption = reduce_figure(summary), _reduce_caption(summary)
    blocks: list[Block] = [FigureBlock.of(summary.recipe, figure, caption)]
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


def _contact_block(summary: Summary) -> Block:
    names = ", ".join(summary.about["classes_shown"])
    return ImageBlock(
        summary.photos.get("contact"),
        f"{summary.recipe}: real training images beside synthetic ones, a class a row",
        f"The first training images of each class by manifest order, not chosen. Classes: {names}.",
        f"figures/{summary.recipe}/contact.png",
    )


def _environment_blocks(summary: Summary) -> list[Block]:
    facts = {**summary.environment["environment"], "student": summary.about["student"]}
    facts |= {"units": ", ".join(summary.units), "resamples": summary.about["resamples"]}
    facts |= {name: digest[:16] for name, digest in summary.about["inputs"].items()}
    rows = [[str(name), str(value)] for name, value in facts.items()]
    blocks: list[Block] = [TableBlock(("what", "value"), rows, num_names=2)]
    for cell, differing in summary.environment["differences"].items():
        blocks.append(Text(f"{cell} was made elsewhere: {'; '.join(differing)}"))
    if summary.about["missing"]:
        blocks.append(Text(f"Not run: {', '.join(summary.about['missing'])}"))
    return blocks
