"""The papers' tables as they were printed, folded under the section that they belong to."""

from __future__ import annotations

from collections.abc import Sequence

from synthgap.reporting.blocks import Block, Folded, Points, Table, Text
from synthgap.reporting.formats import NONE, plus_minus
from synthgap.reporting.labels import arrow, fraction_name
from synthgap.reporting.lookup import Record
from synthgap.reporting.published import published


def published_transfer() -> Folded:
    """MtG, Tables 6 to 9: transfer in both directions."""
    tables = published()["transfer"]
    headers = ["units frozen of 18"]
    for table in tables:
        network = f"{table['dataset']}, {table['student']}"
        headers.append(f"{network}: {arrow(table['direction'])} (Table {table['table']})")
    depths = [depth for depth, _, _ in tables[0]["top1_by_depth"]]
    rows = [["none, real", *(plus_minus(table["real"]) for table in tables)]]
    rows += [["none, synthetic", *(plus_minus(table["synthetic"]) for table in tables)]]
    for index, depth in enumerate(depths):
        rows.append(
            [str(depth), *(plus_minus(table["top1_by_depth"][index][1:]) for table in tables)]
        )
    return _published("MtG, Tables 6 to 9", Table(headers, rows), tables)


def published_reduce() -> Folded:
    """MtG, Table 10: fewer real images."""
    tables = published()["reduce"]
    headers = ["share of real ImageNet-100", "first 16 of 18 frozen (Table 10a)"]
    headers += ["from scratch (Table 10b)"]
    rows = [
        [fraction_name(1 / ours[0]), plus_minus(ours[1:]), plus_minus(theirs[1:])]
        for ours, theirs in zip(*(table["top1_by_denominator"] for table in tables), strict=True)
    ]
    fit = published()["printed_fit"]
    note = Text(f"Printed fit: {fit['slope']} log(x) + {fit['intercept']}. {fit['slip']}.")
    return _published("MtG, Table 10", Table(headers, rows), tables, note)


def published_guidance() -> Folded:
    """FITYMI, Table 1: guidance scales and prompts."""
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


def published_settings() -> Folded:
    """FITYMI: top-1 against the size of the set, and linear probes of its students."""
    first = published()["guidance"][0]
    by_size = first["top1_by_size"]
    rows = [
        [f"{first['dataset']}, synthetic, {by_size['prompt']}",
         f"{by_size['guidance_scale']:g}", f"{times} times the real set", "top-1", f"{top1:.1f}"]
        for times, top1 in by_size["rows"]
    ]  # fmt: skip
    for table in published()["probes"]:
        rows += [
            [name, NONE if scale is None else f"{scale:g}", NONE,
             f"linear probe, {table['probed_on']}", f"{top1:.1f}"]
            for name, scale, top1 in table["rows"]
        ]  # fmt: skip
    headers = ("trained on", "guidance", "size", "what", "%")
    title = "FITYMI, Tables 1 and 2 (ResNet-50)"
    return _published(title, Table(headers, rows, num_names=4), [])


def published_ablations() -> Folded:
    """MtG, Tables 1 to 5, with the names that they print."""
    tables = published()["ablations"]
    rows = [
        [f"Table {table['table']}", side, label, plus_minus((mean, std))]
        for table in tables
        for side, _, label, mean, std in table["rows"]
    ]
    headers = ("table", "trained on", "row", "top-1 (%)")
    return _published("MtG, Tables 1 to 5", Table(headers, rows, num_names=3), tables)


def _published(title: str, table: Table, tables: Sequence[Record], *more: Block) -> Folded:
    slips = [f"Table {one['table']}: {slip}" for one in tables for slip in one["slips"]]
    blocks: list[Block] = [Text(published()["note"], quiet=True), table]
    if slips:
        blocks += [Text("Printing slips:", quiet=True), Points(slips)]
    return Folded(f"Published, another dataset: {title}", [*blocks, *more])
