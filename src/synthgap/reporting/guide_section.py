"""The section on guidance: methods by protocol against their base, beside PG/RG's Tables 2 to 4."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from synthgap.reporting.blocks import (
    Block,
    BulletList,
    FigureBlock,
    Heading,
    Section,
    TableBlock,
    Text,
)
from synthgap.reporting.formats import DASH, interval, number, spread
from synthgap.reporting.guide_figure import guide_figure
from synthgap.reporting.guide_published import (
    BASE_NAMES,
    BASELINE_METHODS,
    PUBLISHED_NOTES,
    GuidanceTable,
    base_method,
    by_protocol,
    is_low_shot,
    published_cell,
    published_header,
    published_methods,
    published_tables,
)
from synthgap.reporting.record_names import (
    Record,
    find_one,
    init_name,
    method_name,
    select,
    set_name,
)
from synthgap.reporting.summary import Summary

KEY, TITLE = "guide", "Which guidance pays?"
INTRODUCTION = (
    "Differences are made from the seeds that both sides have: a seed draws other labelled "
    "images, another start and another order. Over seeds: mean of the paired differences with its "
    "{sure} Student t interval. Over images: {sure} bootstrap of the same pairs over test images. "
    "A method beats another, or falls below it, where both intervals exclude zero. With one seed "
    "in common it is a single run and has no interval."
)
CAPTION = (
    "Points between each method and {base}. Upper bar: {sure} Student t interval over seeds; "
    "lower, thin bar: over test images. Open circle: a single run. Diamonds: PG/RG's differences "
    "between the same two rows, a dataset and generator each; at an edge, there are more beyond. "
    "Students of other images (real alone, all real labels) are in the tables only."
)
BALANCED_NOTE = (
    "A-GEM, PG and RG see both kinds in every step, where pooling meets a real image as often as "
    "any other; pooling with balanced steps learns plainly from what they see."
)
OUTCOMES = {"holds": "beats it", "reversed": "below it"}
GUIDE_LABELS = "real labels: generator / reference / student"


def guide_section(summary: Summary) -> Section:
    """Which methods beat pooling, in a sentence, a figure and a table a protocol."""
    protocols = by_protocol(summary.top1)
    theirs: list[Block] = [
        Heading("What the published comparison was"),
        BulletList(PUBLISHED_NOTES),
        published_methods(),
    ]
    if not protocols:
        return Section(KEY, TITLE, [FigureBlock(None, "", ""), *theirs])
    sure = summary.confidence
    bases = dict.fromkeys(BASE_NAMES[base_method(rows)] for rows in protocols.values())
    caption = CAPTION.format(sure=sure, base=" or ".join(bases))
    blocks: list[Block] = [
        BulletList(guide_sentences(summary), "headline"),
        Text(INTRODUCTION.format(sure=sure), quiet=True),
        FigureBlock.of(summary.recipe, guide_figure(summary), caption),
    ]
    for name, rows in protocols.items():
        blocks += _protocol_blocks(summary, name, rows)
    return Section(KEY, TITLE, [*blocks, *theirs])


def guide_sentences(summary: Summary) -> list[str]:
    """For each protocol, which methods beat what they are held against."""
    found = (_sentence(summary, *item) for item in by_protocol(summary.top1).items())
    return [text for text in found if text is not None]


def _sentence(summary: Summary, name: str, rows: Sequence[Record]) -> str | None:
    held = [
        row
        for row in select(summary.comparisons, kind="guidance", protocol=name)
        if row["method"] not in BASELINE_METHODS
    ]
    if not held:
        return None
    base = BASE_NAMES[base_method(rows)]
    tried = [row for row in held if row["verdict"] not in {"single run", "not run"}]
    if not tried:
        return f"{_heading(name, rows)}: no method has more than one seed in common with {base}."
    better, worse = (select(tried, verdict=verdict) for verdict in ("holds", "reversed"))
    seeds = sorted({int(row["n"]) for row in tried})
    over = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    sentence = (
        f"{_heading(name, rows)}: of {len(tried)} methods with {over} paired seeds, "
        f"{_list_methods(better, 'beat')} {base}"
    )
    if worse:
        sentence += f"; {_list_methods(worse, 'fall')} below it"
    singles = len(select(held, verdict="single run"))
    if singles:
        sentence += f"; {singles} more {'is a single run' if singles == 1 else 'are single runs'}"
    return f"{sentence}."


def _list_methods(rows: Sequence[Record], verb: str) -> str:
    """`RG +4.2 [3.8, 4.7] points beats`, or `none beats`."""
    named = ", ".join(f"{method_name(row['method'])} {over_seeds(row)}" for row in rows)
    return f"{named} points {verb if len(rows) > 1 else f'{verb}s'}" if rows else f"none {verb}s"


def over_seeds(row: Record) -> str:
    """`+1.2 [0.4, 2.0]` points over seeds; a single run's difference alone."""
    if row["difference_pp"] is None:
        return DASH
    difference = number(row["difference_pp"], 1, "+")
    if row["seed_low"] is None:
        return difference
    return f"{difference} [{number(row['seed_low'], 1)}, {number(row['seed_high'], 1)}]"


def over_images(row: Record) -> str:
    """`[0.2, 2.1]`: the interval of the same difference over test images."""
    return interval(row)


def outcome_text(row: Record) -> str:
    """What follows from a paired comparison."""
    return OUTCOMES.get(row["verdict"], str(row["verdict"]))


def _heading(name: str, rows: Sequence[Record]) -> str:
    """A protocol with what it costs in real labels."""
    labels = max(
        (row["real_labels"]["student"] for row in rows if row["method"] != "bound"), default=0
    )
    return f"{name.capitalize()}, {labels:,} real labels" if labels else name.capitalize()


def guide_table(summary: Summary, rows: Sequence[Record]) -> TableBlock:
    """One protocol's methods: what each was given, and what it gains."""
    tables = published_tables(low_shot=is_low_shot(rows), init=str(rows[0]["init"]))
    base = base_method(rows)
    headers = [
        "method", "real images", GUIDE_LABELS, "top-1 (%) \N{PLUS-MINUS SIGN} seeds (number)",
        f"{summary.confidence} interval over images",
        f"minus {BASE_NAMES[base]} (pp), over seeds", "over images", "outcome",
    ]  # fmt: skip
    headers += map(published_header, tables)
    return TableBlock(headers, [_row(summary, row, tables, base) for row in rows])


def _protocol_blocks(summary: Summary, name: str, rows: Sequence[Record]) -> Iterator[Block]:
    init = str(rows[0]["init"])
    yield Heading(f"{_heading(name, rows)}, from {init_name(init)}")
    generated = sorted({part for row in rows for part in row["set"].split("+")} - {"train"})
    text = f"Images: {', '.join(map(set_name, generated))}."
    if {"pooled", "balanced"} <= {row["method"] for row in rows}:
        text += f" {BALANCED_NOTE}"
    if init == "reference" and not is_low_shot(rows):
        text += " PG/RG's begin at ImageNet weights, ours at what was learned without labels."
    yield Text(text, quiet=True)
    yield guide_table(summary, rows)


def _row(summary: Summary, row: Record, tables: Sequence[GuidanceTable], base: str) -> list[str]:
    place = {name: row[name] for name in ("protocol", "method", "init")}
    comparison = find_one(summary.comparisons, kind="guidance", **place)
    if comparison is None:
        outcome = [DASH, DASH, "base" if row["method"] == base else DASH]
    else:
        outcome = [over_seeds(comparison), over_images(comparison), outcome_text(comparison)]
    return [
        method_name(row["method"]),
        DASH if row["num_real_images"] is None else f"{row['num_real_images']:,}",
        _label_counts(row), spread(row) if row["n"] == 1 else f"{spread(row)} ({row['n']})",
        interval(row), *outcome,
        *(published_cell(table, row["method"]) for table in tables),
    ]  # fmt: skip


def _label_counts(row: Record) -> str:
    """Real labels behind the generator, the references and the student itself."""
    counts = (row["real_labels"].get(key, 0) for key in ("generator", "reference", "student"))
    return " / ".join("?" if count is None else f"{count:,}" for count in counts)
