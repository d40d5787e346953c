"""The section on the generator's settings: FITYMI's Table 1 and Fig. 4 for the current recipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from synthgap.reporting.blocks import Block, FigureBlock, Section, TableBlock, Text
from synthgap.reporting.clone_figure import settings_figure
from synthgap.reporting.formats import (
    DASH,
    number,
    real_labels,
    resolved_sentence,
    signed,
    spread,
    with_interval,
)
from synthgap.reporting.published import published_setting, published_settings
from synthgap.reporting.record_names import (
    Record,
    base_setting,
    companion,
    find_one,
    generator_name,
    row_name,
    scheme_name,
    select,
    set_name,
    setting_key,
    setting_records,
)
from synthgap.reporting.series import PROBE, TOP1
from synthgap.reporting.summary import Summary
from synthgap.reporting.tables import LABEL_COUNT

INTRODUCTION = (
    "A student a setting and seed, learned from scratch like all others. Linear probe: logistic "
    "regression on the frozen features before its classifier, learned from {labels} real training "
    "images, which come on top of the real labels in the tables; its penalty is chosen by other "
    "real images than those that score it."
)
CAPTION = (
    "Bars: {confidence} interval, bootstrap over test images. Above: guidance and prompts (FITYMI, "
    "Table 1). Below: growing parts of one set, all with as many optimiser steps (FITYMI, Fig. 4). "
    "Right: ours beside FITYMI's, each a share of its own real baseline."
)
DIFFERENCE_NOTE = (
    "Brackets: {confidence} interval, bootstrap over test images. Differences are paired over them "
    "and to the student that was {base}; FITYMI's, in parentheses, to its row of that guidance and "
    "those prompts. A sentence of ours around the class name stands beside FITYMI's bare name."
)
DIFFERENCE = "difference (pp)"
CELL_CAPTION = "top-1 / linear probe (%) \N{PLUS-MINUS SIGN} seeds (number of seeds)"


def clone_section(summary: Summary) -> Section:
    """Students by generator, prompts, guidance, steps and size, and what their features know."""
    rows = setting_records(summary.top1)
    caption = CAPTION.format(confidence=summary.confidence)
    blocks: list[Block] = [FigureBlock.of(summary.recipe, settings_figure(summary), caption)]
    if rows:
        blocks = [Text(_introduction(summary), quiet=True), *blocks, _table(summary, rows)]
        blocks += _differences(summary, rows)
    title = "Does the generator's setting matter?"
    return Section("settings", title, [*blocks, published_settings()])


def _introduction(summary: Summary) -> str:
    probe = find_one(summary.records, metric=PROBE, over="seeds")
    labels = probe["real_labels"]["probe"] if probe else 0
    return INTRODUCTION.format(labels=f"{labels:,}")


def _table(summary: Summary, rows: Sequence[Record]) -> TableBlock:
    """FITYMI's Table 1: a row a generator, prompts, steps and size, a column a guidance scale."""
    scales = {row["guidance_scale"] for row in rows}
    columns: list[float | None] = [None] if None in scales else []
    columns += sorted(scales - {None})
    headers = ["generator", "prompts", "steps", "images"]
    headers += ["no guidance" if scale is None else f"guidance {scale:g}" for scale in columns]
    lines: dict[tuple[str, str, int | None, int], dict[float | None, Record]] = {}
    for row in rows:
        lines.setdefault(setting_key(row), {})[row["guidance_scale"]] = row
    body = [
        [
            *_setting_cells(next(iter(found.values()))),
            *(_top1_and_probe(summary, found.get(at)) for at in columns),
        ]
        for found in lines.values()
    ]
    return TableBlock(headers, body, num_names=2, caption=CELL_CAPTION)


def _setting_cells(row: Record) -> list[str]:
    generator, scheme, steps, images = setting_key(row)
    return [
        generator_name(generator),
        scheme_name(scheme) if scheme else DASH,
        DASH if steps is None else str(steps),
        f"{images:,}",
    ]


def _top1_and_probe(summary: Summary, row: Record | None) -> str:
    if row is None:
        return DASH
    probe = companion(summary.records, row, PROBE)
    return f"{spread(row)} / {spread(probe) if probe else DASH} ({row['n']})"


def _differences(summary: Summary, rows: Sequence[Record]) -> Iterator[Block]:
    base = base_setting(summary.top1)
    headers = (
        "trained on", LABEL_COUNT, "seeds", "top-1 (%)", DIFFERENCE, "linear probe (%)", DIFFERENCE,
        "gap_pp", "FITYMI (%)",
    )  # fmt: skip
    first = [] if summary.real is None else [summary.real]
    if base is not None:
        yield Text(
            DIFFERENCE_NOTE.format(confidence=summary.confidence, base=row_name(base)), quiet=True
        )
    yield TableBlock(headers, [_row(summary, row, base) for row in [*first, *rows]])
    sentence = resolved_sentence(select(summary.comparisons, kind="setting", metric=TOP1))
    if sentence is not None:
        yield Text(sentence)


def _row(summary: Summary, row: Record, base: Record | None) -> list[str]:
    probe, gap = (companion(summary.records, row, metric) for metric in (PROBE, "gap_pp"))
    return [
        set_name(row["set"]), real_labels(row), str(row["n"]), with_interval(row),
        _difference(summary, row, TOP1), with_interval(probe), _difference(summary, row, PROBE),
        with_interval(gap), _published_cell(row, base),
    ]  # fmt: skip


def _published_cell(row: Record, base: Record | None) -> str:
    """FITYMI's number for a row, and its difference to that for the base."""
    there, held = published_setting(row), published_setting(base) if base else None
    if there is None:
        return DASH
    if held is None or row is base or row["source"] == "real":
        return f"{there:.1f}"
    return f"{there:.1f} ({number(there - held, 1, '+')})"


def _difference(summary: Summary, row: Record, metric: str) -> str:
    found = find_one(summary.comparisons, kind="setting", left=row_name(row), metric=metric)
    return signed(found) if found else DASH
