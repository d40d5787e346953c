"""A study's own page: what the report says of stage `tune`, for any study, at any time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

from synthgap.artifacts import whole_file
from synthgap.reporting.blocks import Block, Folded, Picture, Points, Table
from synthgap.reporting.studies import Findings
from synthgap.reporting.studies_section import study_blocks

PAGE, FIGURES = "index.html", "figures"
READING = Points(
    [
        "86.1 \N{PLUS-MINUS SIGN} 0.4 % (n=3) is the mean and population std over seeds; what has "
        "no spread is a single run.",
        "Trials are trained on train and chosen on val. Test is scored once, after the search, by "
        "the winner and the default alone.",
    ],
    "reading",
)


def write_study_page(run_json: Path, folder: Path) -> Path:
    """Write index.html and figures/*.png of one study into `folder`; return the page.

    Each file is written whole and the page last, so that a reader of a study that still runs never
    meets half of one. Other files of the folder are left alone, but for figures of before.

    Raises:
        DataError: there is no record, or it is not a study's.
    """
    found = Findings.read(run_json)
    blocks = study_blocks(found)
    drawn = {
        f"{block.drawing.kind}.png": block.drawing.png
        for block in blocks
        if isinstance(block, Picture) and block.drawing is not None
    }
    _write_figures(folder / FIGURES, drawn)
    page = folder / PAGE
    with whole_file(page) as partial:
        partial.write_text(_html(found, blocks), encoding="utf-8")
    return page


def _write_figures(folder: Path, drawn: Mapping[str, bytes]) -> None:
    for name, content in drawn.items():
        with whole_file(folder / name) as partial:
            partial.write_bytes(content)
    for path in folder.glob("*.png"):
        if path.name not in drawn:
            path.unlink()


def _html(found: Findings, blocks: Sequence[Block]) -> str:
    style = files("synthgap.reporting").joinpath("report.css").read_text(encoding="utf-8")
    title = f"synthgap: study {found.name} of recipe {found.recipe}"
    body = "".join(block.html() for block in [*blocks, _made_by(found)])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<header><h1>{escape(title)}</h1>"
        f"<details class=reading><summary>How to read the numbers</summary>{READING.html()}"
        f"</details></header>\n<main>\n<article>{body}</article>\n</main>\n</body>\n</html>\n"
    )


def _made_by(found: Findings) -> Folded:
    """Environment and inputs, as far as the record has them."""
    facts = {
        "student": found.content.get("params", {}).get("student"),
        **(found.content.get("environment") or {}),
        **{path: digest[:16] for path, digest in (found.content.get("inputs") or {}).items()},
    }
    rows = [[str(name), str(fact)] for name, fact in facts.items() if fact is not None]
    return Folded("Environment and inputs", [Table(("what", "value"), rows, num_names=2)])
