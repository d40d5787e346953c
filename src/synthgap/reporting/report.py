"""Stage `report`: every table and figure of every recipe; reads summaries and runs no model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from synthgap.artifacts import Artifacts, discard, hold, whole_file, write_json
from synthgap.reporting.blocks import Block, Folded, Photo, Picture, Section
from synthgap.reporting.page import html_page, markdown_page
from synthgap.reporting.sections import sections
from synthgap.reporting.summary import read_summaries


@dataclass(frozen=True)
class ReportParams:
    """The stage reads no params: what it shows is what the summaries hold."""


def report(artifacts: Artifacts) -> None:
    """Write index.html, report.md, summary.json and figures/<recipe>/*.png.

    Raises:
        DataError: no recipe has a summary.
    """
    summaries = read_summaries(artifacts.root)
    with hold(artifacts.work, {"stage": "report"}, artifacts.report, stage="report") as work:
        discard(work)
        parts = {summary.recipe: sections(summary) for summary in summaries}
        for recipe_parts in parts.values():
            _write_figures(work.folder, recipe_parts)
        rows = list(chain.from_iterable(summary.records for summary in summaries))
        write_json(work.folder / "summary.json", rows)
        for name, text in {
            "index.html": html_page(parts),
            "report.md": markdown_page(parts),
        }.items():
            with whole_file(work.folder / name) as partial:
                partial.write_text(text, encoding="utf-8")
        work.publish()


def _write_figures(folder: Path, parts: list[Section]) -> None:
    for block in chain.from_iterable(_shown(section.blocks) for section in parts):
        content: bytes | None = None
        if isinstance(block, Picture) and block.drawing is not None:
            content = block.drawing.png
        elif isinstance(block, Photo):
            content = block.png
        if content is not None and isinstance(block, Picture | Photo):
            with whole_file(folder / block.path) as partial:
                partial.write_bytes(content)


def _shown(blocks: Sequence[Block]) -> Iterator[Block]:
    """Every block, those behind a click too."""
    for block in blocks:
        yield block
        if isinstance(block, Folded):
            yield from _shown(block.blocks)
