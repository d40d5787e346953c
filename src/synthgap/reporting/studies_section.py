"""What tuning found: the section of the report, and all that a study's own page holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

from synthgap.jobs import whole_file
from synthgap.reporting.blocks import (
    Block,
    BulletList,
    FigureBlock,
    FoldedBlocks,
    Heading,
    Section,
    TableBlock,
    Text,
)
from synthgap.reporting.drawing import ReportFigure
from synthgap.reporting.studies import StudyFindings
from synthgap.reporting.studies_figures import (
    history_figure,
    importance_figure,
    pareto_figure,
    verdict_figure,
)
from synthgap.reporting.studies_grid import grid_figure, grid_metric
from synthgap.reporting.studies_names import key_name, metric_word
from synthgap.reporting.studies_sentences import study_sentences
from synthgap.reporting.studies_slices import parallel_figure, slices_figure, watched_figure
from synthgap.reporting.studies_tables import (
    finals_table,
    labels_table,
    settings_table,
    trials_fold,
)
from synthgap.reporting.summary import Summary

KEY, TITLE = "tune", "What tuning found"
INTRODUCTION = (
    "Trials are trained on train and chosen on val; the winner and the default alone are scored on "
    "test, once. The best of many trials owes part of its lead to chance: fresh seeds say how "
    "much of it stays."
)
VERDICT = (
    "Winner and default on test at the same seeds, and the mean of the paired differences with its "
    "interval over seeds."
)
GRID = (
    "Left: {metric} of every pair, all else at its default; the frame marks the default. "
    "Right: the default, each tuned alone, the default plus both gains, and the best pair. Each "
    "is the best of several values, which favours the one chosen from most. {bars}"
)
HISTORY = (
    "Every trial's value, in order. Pruned ones are where they stopped, on less data; only "
    "complete ones within all bounds can become the best."
)
IMPORTANCE = (
    "fANOVA (Hutter et al., 2014): how much of the differences between complete trials each "
    "setting explains. It does not say in which direction, and it is rough where trials are few."
)
PARALLEL = (
    "A line a trial through its settings to its value at the right; the better the quarter, the "
    "stronger and thicker. Equal choices are drawn a little apart. Pruned trials are dashed."
)
SLICES = (
    "The same values against one setting at a time. The sampler visits promising settings more "
    "often, so that a dense column is its choice and no measurement."
)
WATCHED = (
    "Complete trials. Spearman's rank correlation says whether a metric orders settings as val "
    "accuracy does; those without real labels could stand in for it where it is high."
)
PARETO = (
    "Complete trials; along the line no trial is better at one objective without being worse at "
    "another. Hollow marks are beyond a bound."
)


def studies_section(summary: Summary) -> Section:
    """The study of stage `tune`, or that it was not run."""
    if summary.tune is None:
        return Section(KEY, TITLE, [FigureBlock(None, "", "")])
    return Section(KEY, TITLE, study_blocks(StudyFindings(summary.tune)))


def study_blocks(found: StudyFindings) -> list[Block]:
    """The blocks of one study, in reading order; what it has nothing of is left out."""
    blocks: list[Block] = [
        BulletList(study_sentences(found), "headline"),
        Text(INTRODUCTION, quiet=True),
    ]
    return [*blocks, *_ending(found), *_pairs(found), *_search(found), *_spent(found)]


def _ending(found: StudyFindings) -> Iterator[Block]:
    yield from _figure(found, "Winner and default", verdict_figure(found), VERDICT)
    if found.study.get("finals"):
        yield Heading("The best trials again, with fresh seeds")
        yield finals_table(found)
    yield Heading("Settings")
    yield settings_table(found)


def _pairs(found: StudyFindings) -> Iterator[Block]:
    grid = found.study.get("grid")
    if not grid:
        return
    title = f"{' and '.join(map(key_name, grid['keys']))}: each alone, and both together"
    bars = "" if found.num_seeds == 1 else f"Spreads are stds over {found.num_seeds} seeds."
    caption = GRID.format(
        metric=metric_word(grid_metric(grid)), bars=bars or "Every cell is a single run."
    )
    yield from _figure(found, title[:1].upper() + title[1:], grid_figure(found), caption)


def _search(found: StudyFindings) -> Iterator[Block]:
    yield from _figure(found, "Pareto front", pareto_figure(found), PARETO)
    yield from _figure(found, "The trials in order", history_figure(found), HISTORY)
    yield from _figure(found, "Which settings matter", importance_figure(found), IMPORTANCE)
    yield from _figure(found, "What good trials share", parallel_figure(found), PARALLEL)
    yield from _figure(found, "One setting at a time", slices_figure(found), SLICES)
    title = "Which metrics order settings as val accuracy does"
    yield from _figure(found, title, watched_figure(found), WATCHED)


def _spent(found: StudyFindings) -> Iterator[Block]:
    yield Heading("Real labels spent")
    yield labels_table(found)
    if found.trials:
        yield trials_fold(found)


def _figure(
    found: StudyFindings, title: str, drawing: ReportFigure | None, caption: str
) -> Iterator[Block]:
    if drawing is not None:
        yield Heading(title)
        yield FigureBlock.of(found.recipe, drawing, caption)


PAGE, FIGURES = "index.html", "figures"
READING = BulletList(
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
    found = StudyFindings.read(run_json)
    blocks = study_blocks(found)
    drawn = {
        f"{block.drawing.kind}.png": block.drawing.png
        for block in blocks
        if isinstance(block, FigureBlock) and block.drawing is not None
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


def _html(found: StudyFindings, blocks: Sequence[Block]) -> str:
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


def _made_by(found: StudyFindings) -> FoldedBlocks:
    """Environment and inputs, as far as the record has them."""
    facts = {
        "student": found.content.get("params", {}).get("student"),
        **(found.content.get("environment") or {}),
        **{path: digest[:16] for path, digest in (found.content.get("inputs") or {}).items()},
    }
    rows = [[str(name), str(fact)] for name, fact in facts.items() if fact is not None]
    return FoldedBlocks(
        "Environment and inputs", [TableBlock(("what", "value"), rows, num_names=2)]
    )
