"""Guidance methods by protocol: which ones there are, and which one the others are held against."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from synthgap.reporting.blocks import Block, BulletList, FoldedBlocks, TableBlock, Text
from synthgap.reporting.formats import DASH
from synthgap.reporting.published import published
from synthgap.reporting.record_names import METHOD_NAMES, Record, find_one

POOLED, SYNTHETIC = "pooled", "synthetic"
BASE_NAMES = {POOLED: "pooling", SYNTHETIC: "synthetic alone"}
BASELINE_METHODS = (
    "real",
    "bound",
    "synthetic",
    "pooled",
)  # they differ in images, not in how to learn


def by_protocol(rows: Iterable[Record]) -> dict[str, list[Record]]:
    """Rows of experiment `guide` by protocol, each in the order of the published tables.

    Any field that tells places apart may be asked of a row; numbers need not be in it.
    """
    found: dict[str, list[Record]] = {}
    for row in rows:
        if row["experiment"] == "guide":
            found.setdefault(str(row["protocol"]), []).append(row)
    return {name: sorted(methods, key=_method_rank) for name, methods in found.items()}


def is_low_shot(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether methods of a protocol see real images beside synthetic ones."""
    return any("+" in str(row["set"]) for row in rows)


def base_method(rows: Sequence[Mapping[str, Any]]) -> str:
    """The method that the others of a protocol are held against."""
    return POOLED if is_low_shot(rows) else SYNTHETIC


def _method_rank(row: Record) -> tuple[int, str]:
    order = list(METHOD_NAMES)
    method = str(row["method"])
    return (order.index(method) if method in order else len(order), method)


GuidanceTable = Mapping[str, Any]
COMPARED_DATASET = "CIFAR-10"  # the dataset whose columns stand beside ours
PUBLISHED_NOTES = (
    "Hyper-parameters and spreads are not printed; a number is a mean over five runs. A sampled "
    "generator (LSGM, SG-XL, Proj-GAN, DTGAN) and another dataset stand behind every column: "
    "differences can be compared, levels cannot.",
    "Real, CIFAR-10: 90.27, 91.80 and 84.53 are students of all 45,000 real images, a bound. Table "
    "4 repeats 91.80 beside rows that have 10 labels a class (450 synthetic images to a real one); "
    "a student of these 100 images alone was not published. It stands beside our bound.",
    "ASG without its second, reinforcement stage: so in these tables, and so here by default.",
    "CSG needs a reference of the student's own architecture: it has another reference than PG.",
    "ADDA and DADA look at real images, but are given no real label; the other rows of Table 4 "
    "that see real images have their labels.",
    "Adaptation, ADDA, DADA and LTDA: 150 epochs on synthetic images, then 50; DANN: one stage of "
    "200.",
)


def guidance_table(table: str) -> GuidanceTable:
    """One of PG/RG's tables by its printed number: `1`, `2 (A)`, `2 (B)`, `3` or `4`."""
    found = find_one(published()["guiding"], table=table)
    assert found is not None, f"published.json has no guiding table {table!r}"
    return found


def published_tables(*, low_shot: bool, init: str) -> list[GuidanceTable]:
    """The published tables of a protocol; zero-shot they differ by where students begin."""
    if low_shot:
        return [guidance_table("4")]
    return (
        [guidance_table("2 (A)"), guidance_table("3")]
        if init == "random"
        else [guidance_table("2 (B)")]
    )


def published_cell(table: GuidanceTable, method: str) -> str:
    """A method's numbers on CIFAR-10, a generator each; a dash where there are none."""
    values = _values(table).get(method)
    if values is None:
        return DASH
    pairs = zip(table["columns"], values, strict=True)
    return " / ".join(
        _percent(value) for (dataset, _), value in pairs if dataset == COMPARED_DATASET
    )


def published_header(table: GuidanceTable) -> str:
    """What `printed` shows."""
    generators = [name for dataset, name in table["columns"] if dataset == COMPARED_DATASET]
    return f"PG/RG {table['table']}, {COMPARED_DATASET}: {' / '.join(generators)} (%)"


def published_differences(tables: Sequence[GuidanceTable], method: str) -> list[float]:
    """Points between a method and what the others are held against, of every column.

    That is pooling in Table 4, synthetic images alone in the others.
    """
    found = []
    for table in tables:
        values = _values(table)
        base = values[POOLED if POOLED in values else SYNTHETIC]
        for own, other in zip(values.get(method, ()), base, strict=False):
            if own is not None and other is not None:
                found.append(own - other)
    return found


def published_methods() -> FoldedBlocks:
    """Tables 2 to 4 as printed, a row a method and a column a dataset and generator."""
    tables = [guidance_table(name) for name in ("2 (A)", "2 (B)", "3", "4")]
    blocks: list[Block] = [Text(published()["note"], quiet=True)]
    for table in tables:
        blocks += _full_table(table)
    title = "PG/RG, Tables 2, 3 and 4"
    return FoldedBlocks(f"Published, other datasets: {title}", blocks)


def published_cross() -> TableBlock:
    """Table 1: every source's student on every source's training images."""
    table = guidance_table("1")
    headers = ("classifier", *(f"on {name}" for _, name in table["columns"]))
    rows = [[label, *map(_percent, values)] for label, _, *values in table["rows"]]
    caption = f"PG/RG, Table {table['table']}: {table['dataset']}, {table['student']}; top-1 (%)."
    return TableBlock(headers, rows, caption=caption)


def _full_table(table: GuidanceTable) -> Iterator[Block]:
    headers = ["row", f"real labels, {COMPARED_DATASET}"]
    headers += [f"{dataset}, {generator}" for dataset, generator in table["columns"]]
    rows = [
        [label, f"{table['real_labels'][method]:,}", *map(_percent, values)]
        for label, method, *values in table["rows"]
    ]
    caption = f"Table {table['table']}: {table['title']}; {table['student']}, top-1 (%)."
    yield TableBlock(headers, rows, caption=caption)
    if table["slips"]:
        yield BulletList([f"Table {table['table']}: {slip}." for slip in table["slips"]])


def _values(table: GuidanceTable) -> dict[str, list[float | None]]:
    return {method: values for _, method, *values in table["rows"]}


def _percent(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f}"
