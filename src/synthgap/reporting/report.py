"""The report as one HTML file that needs nothing else, and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from itertools import chain
from pathlib import Path

from synthgap.jobs import Artifacts, discard, hold, whole_file, write_json
from synthgap.reporting.blocks import (
    Block,
    BulletList,
    FigureBlock,
    FoldedBlocks,
    ImageBlock,
    Section,
)
from synthgap.reporting.drawing import VARIABLES
from synthgap.reporting.recipe_sections import sections
from synthgap.reporting.summary import read_summaries

TITLE = "synthgap: synthetic against real training images"
READING_HELP = BulletList(
    [
        "Every accuracy is scored on real test images that neither generator nor student has seen. "
        "95.2 \N{PLUS-MINUS SIGN} 0.3 is the mean and population std over seeds of each run's mean "
        "over its last epochs; square brackets are a bootstrap interval over test images. The two "
        "spreads answer different questions and are never mixed.",
        "Differences, gap_pp = real \N{MINUS SIGN} x and gap_closed = (x \N{MINUS SIGN} S) / "
        "(R \N{MINUS SIGN} S), resample the same images on both sides; S is the synthetic-trained "
        "student at the same guidance scale. Intervals do not contain the seed spread.",
        "label_equivalent is the number of real labels that training from scratch needs for the "
        "same accuracy, interpolated over log2 of the labels; beyond the measured range it is a "
        "bound.",
        "synthetic \N{RIGHTWARDS ARROW} real: the first N units come from a student of synthetic "
        "images and are frozen, the rest is learned anew on real ones. The controls real "
        "\N{RIGHTWARDS ARROW} real and synthetic \N{RIGHTWARDS ARROW} synthetic show what freezing "
        "itself costs.",
        "Every row counts the real labels that the generator, the donor and the student each used; "
        "a synthetic student still owes its generator's. A question mark is a generator made "
        "elsewhere.",
    ],
    "reading",
)


def html_page(reports: Mapping[str, Sequence[Section]]) -> str:
    """One self-contained page over all recipes, with styles and figures inside."""
    style = files("synthgap.reporting").joinpath("report.css").read_text(encoding="utf-8")
    missing = [name for name in VARIABLES.values() if f"--{name}:" not in style]
    assert not missing, f"report.css lacks the colours {missing}"
    body = "".join(_recipe_html(recipe, parts) for recipe, parts in reports.items())
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(TITLE)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<header><h1>{escape(TITLE)}</h1>{_contents(reports)}"
        f"<details class=reading><summary>How to read the numbers</summary>{READING_HELP.html()}"
        f"</details></header>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


def markdown_page(reports: Mapping[str, Sequence[Section]]) -> str:
    """Write the same report as Markdown, figures linked as files beside it."""
    texts = [f"# {TITLE}", READING_HELP.markdown()]
    for recipe, parts in reports.items():
        texts.append(f"## Recipe {recipe}")
        for section in parts:
            texts.append(f"### {section.title}")
            texts += [block.markdown() for block in section.blocks]
    return "\n\n".join(texts) + "\n"


def _contents(reports: Mapping[str, Sequence[Section]]) -> str:
    rows = []
    for recipe, parts in reports.items():
        links = "".join(
            f'<a href="#{_anchor(recipe, section.key)}">{escape(section.key)}</a>'
            for section in parts
        )
        rows.append(f"<nav><b>{escape(recipe)}</b>{links}</nav>")
    return "".join(rows)


def _recipe_html(recipe: str, parts: Sequence[Section]) -> str:
    body = "".join(
        f'<section id="{_anchor(recipe, section.key)}"><h3>{escape(section.title)}</h3>'
        f"{''.join(block.html() for block in section.blocks)}</section>\n"
        for section in parts
    )
    return f"<article><h2>Recipe <em>{escape(recipe)}</em></h2>\n{body}</article>\n"


def _anchor(recipe: str, key: str) -> str:
    return f"{re.sub(r'[^A-Za-z0-9_-]', '-', recipe)}-{key}"


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
    for block in chain.from_iterable(_all_blocks(section.blocks) for section in parts):
        content: bytes | None = None
        if isinstance(block, FigureBlock) and block.drawing is not None:
            content = block.drawing.png
        elif isinstance(block, ImageBlock):
            content = block.png
        if content is not None and isinstance(block, FigureBlock | ImageBlock):
            with whole_file(folder / block.path) as partial:
                partial.write_bytes(content)


def _all_blocks(blocks: Sequence[Block]) -> Iterator[Block]:
    """Every block, those behind a click too."""
    for block in blocks:
        yield block
        if isinstance(block, FoldedBlocks):
            yield from _all_blocks(block.blocks)
