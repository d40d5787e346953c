"""The section on fidelity and diseases: sets, classes and contact sheets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from synthgap.reporting.blocks import (
    Block,
    BulletList,
    FoldedBlocks,
    Heading,
    ImageBlock,
    Section,
    TableBlock,
    Text,
)
from synthgap.reporting.fidelity import (
    FIDELITY_SHEET,
    FidelityNumbers,
    FidelityRow,
    fidelity_sentences,
)
from synthgap.reporting.formats import DASH, number
from synthgap.reporting.record_names import set_name
from synthgap.reporting.summary import Summary

KEY, TITLE = "fidelity", "Fidelity and diseases of the synthetic images"
NUM_WORST, MAX_PROMPT = 10, 70  # worst classes listed, characters of a prompt
DOWN, UP = "\N{DOWNWARDS ARROW}", "\N{UPWARDS ARROW}"
SET_HEADERS = (
    "image set", "images", f"FID {DOWN}", f"KID \N{MULTIPLICATION SIGN} 1000 {DOWN}",
    f"precision {UP}", f"recall {UP}", f"density {UP}", f"coverage {UP}", f"Vendi {UP}",
)  # fmt: skip
DISEASE_HEADERS = (
    "image set", f"agreement % {UP}", f"separability % {DOWN}", f"diversity {UP}",
    f"authenticity % {UP}", f"CLIP score (real) {UP}",
)  # fmt: skip
CLASS_HEADERS = (
    "class", "taken for", "agreement % (real)", "separability % (real)", "diversity",
    "Vendi (real)", "accuracy gap, points", "prompt",
)  # fmt: skip
METRIC_HELP = (
    "FID, KID: distance between the distributions of features (Heusel et al. 2017, Binkowski et "
    "al. 2018). Precision, recall: shares of synthetic images near real ones, and the reverse "
    "(Kynkaanniemi et al. 2019); density, coverage: likewise, less moved by outliers (Naeem et al. "
    "2020). Vendi: effective number of different images (Friedman and Dieng 2023).",
    "Agreement: share of the images that the judge takes for their class; the rest has wrong "
    "semantics. Separability: share of a class's images that a logistic regression, "
    "cross-validated, rightly calls real or synthetic; 50 is chance, more is domain drift. "
    "Diversity: mean distance between images of a class over that of real ones.",
    "Authenticity: share of images that lie farther from corpus, which the generator has seen, "
    "than corpus from itself (Alaa et al. 2022); far below the real images' share is memory. CLIP "
    "score: mean cosine of images and their prompts; in brackets, of real images of the same "
    "classes and those prompts.",
)


def fidelity_section(summary: Summary) -> Section:
    """Tables of sets and of classes, worst first, with what was looked at."""
    found = summary.fidelity
    if found is None:
        return Section(KEY, TITLE, [TableBlock((), [])])
    blocks: list[Block] = [
        BulletList(fidelity_sentences(found)),
        set_table(found),
        disease_table(found),
        Text(_provenance(found), quiet=True),
        FoldedBlocks("What the numbers are", [BulletList(METRIC_HELP)]),
        Heading("The worst classes of all sets"),
        class_table(found.worst(NUM_WORST), with_set=True),
        Text(_class_note(summary), quiet=True),
        FoldedBlocks("Every class of every set, worst first", list(_class_tables(found))),
        Heading("Synthetic images beside their nearest real ones"),
        *_sheet_blocks(summary, found),
    ]
    return Section(KEY, TITLE, blocks)


def set_table(found: FidelityNumbers) -> TableBlock:
    """How close each whole set is, under what real images score."""
    rows = [_set_row(*one) for one in _all_metrics(found)]
    caption = f"Against the real training images, in the features of {found.network}."
    return TableBlock(SET_HEADERS, rows, caption=caption)


def disease_table(found: FidelityNumbers) -> TableBlock:
    """What is wrong with each set, over all classes."""
    rows = [_disease_row(name, metrics) for name, _, metrics in _all_metrics(found)]
    caption = (
        "Agreement of the judge over all images; separability and diversity are means over "
        "classes, in the same features."
    )
    return TableBlock(DISEASE_HEADERS, rows, caption=caption)


def class_table(rows: list[FidelityRow], *, with_set: bool) -> TableBlock:
    """Diseases of classes; a prompt is given where the class is among its set's worst."""
    table_rows = [[*([row.set] if with_set else []), *_class_row(row)] for row in rows]
    headers = (*(("set",) if with_set else ()), *CLASS_HEADERS)
    return TableBlock(headers, table_rows, num_names=3 if with_set else 2)


def _all_metrics(found: FidelityNumbers) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    """Name, images and metrics of the reference, then of every set."""
    real = found.real
    yield f"real: {real['what']}", real["num_images"], real["metrics"]
    for name, entry in found.sets.items():
        yield set_name(name), entry["num_seen"], entry["metrics"]


def _set_row(name: str, count: int, metrics: Mapping[str, Any]) -> list[str]:
    kid = _format_metric(metrics, "kid", 1, 1000)
    if metrics.get("kid") is not None:
        kid += f" \N{PLUS-MINUS SIGN} {number(1000 * metrics['kid_std'], 1)}"
    shares = ("precision", "recall", "density", "coverage")
    return [
        name,
        f"{count:,}",
        _format_metric(metrics, "fid", 2),
        kid,
        *(_format_metric(metrics, key, 2) for key in shares),
        _format_metric(metrics, "vendi", 1),
    ]


def _disease_row(name: str, metrics: Mapping[str, Any]) -> list[str]:
    clip, same = (
        _format_metric(metrics, "clip_score", 3),
        _format_metric(metrics, "clip_score_real", 3),
    )
    return [
        name,
        _format_metric(metrics, "agreement", 1, 100),
        _format_metric(metrics, "separability", 1),
        _format_metric(metrics, "diversity", 2),
        _format_metric(metrics, "authenticity", 1, 100),
        clip if clip == DASH else _with_real(clip, same),
    ]


def _class_row(row: FidelityRow) -> list[str]:
    numbers, real = row.numbers, row.real
    taken = ", ".join(f"{name} ({100 * share:.0f} %)" for name, share in numbers["taken_for"])
    prompt = row.prompts[0] if row.prompts else DASH
    return [
        row.class_name,
        taken or DASH,
        _with_real(
            _format_metric(numbers, "agreement", 0, 100), _format_metric(real, "agreement", 0, 100)
        ),
        _with_real(
            _format_metric(numbers, "separability", 0), _format_metric(real, "separability", 0)
        ),
        _format_metric(numbers, "diversity", 2),
        _with_real(_format_metric(numbers, "vendi", 1), _format_metric(numbers, "vendi_real", 1)),
        DASH if row.gap_pp is None else number(row.gap_pp, 1, "+"),
        prompt if len(prompt) <= MAX_PROMPT else f"{prompt[:MAX_PROMPT]}\N{HORIZONTAL ELLIPSIS}",
    ]


def _with_real(own: str, real: str) -> str:
    return f"{own} ({real})"


def _format_metric(numbers: Mapping[str, Any], key: str, digits: int, scale: float = 1.0) -> str:
    value = numbers.get(key)
    return DASH if value is None else number(scale * float(value), digits)


def _provenance(found: FidelityNumbers) -> str:
    real = found.real
    text = f"Features: {found.network}. The judge {_judge_origin(found)}. "
    if found.content["feature_network"]["kind"] == "judge":
        text += (
            "It is an in-domain network: numbers compare these sets with each other, and not with "
            "those of other papers, which use Inception's features. "
        )
    text += (
        f"The first row is what real images score: {real['what']}, {real['num_images']:,} against "
        f"{real['num_against']:,} images"
    )
    if real["agreement_of"] is not None:
        text += f"; agreement there is that of {real['agreement_of']}"
    return f"{text}. FID falls and Vendi rises with the number of images: compare equal numbers."


def _judge_origin(found: FidelityNumbers) -> str:
    judge = found.content["judge"]
    if judge["learned_from"] is None:
        return "was made elsewhere"
    count = "" if judge["real_labels"] is None else f" ({judge['real_labels']:,} real labels)"
    return f"learned from {judge['learned_from']}{count}"


def _class_note(summary: Summary) -> str:
    return (
        "In brackets: real images. Accuracy gap: points that students of the set lie below "
        "real-trained ones on this class's real test images "
        f"({summary.about['num_test_images']:,} of all classes), mean over seeds; students came "
        "after everything else here. A dash: no student was trained on the set."
    )


def _class_tables(found: FidelityNumbers) -> Iterator[Block]:
    for name in found.sets:
        yield Heading(set_name(name))
        yield class_table(found.rows(name), with_set=False)


def _sheet_blocks(summary: Summary, found: FidelityNumbers) -> Iterator[Block]:
    """The contact sheets of each set, all but the one that the experiments use folded."""
    used = summary.donor["set"] if summary.donor is not None else next(iter(found.sets), None)
    for name, entry in found.sets.items():
        photos: list[Block] = [
            _sheet_block(summary, entry["sheets"]["neighbours"], _neighbours_caption(name, found)),
            _sheet_block(summary, entry["sheets"]["worst"], _worst_caption(name, found)),
        ]
        yield from photos if name == used else [FoldedBlocks(set_name(name), photos)]


def _sheet_block(summary: Summary, sheet: str, caption: str) -> ImageBlock:
    key = f"{FIDELITY_SHEET}{sheet.removesuffix('.png')}"
    alt = f"{summary.recipe}: {caption.partition(':')[0]}"
    return ImageBlock(summary.photos.get(key), alt, caption, f"figures/{summary.recipe}/{key}.png")


def _neighbours_caption(name: str, found: FidelityNumbers) -> str:
    return (
        f"{_titled(name)}: each image left of its nearest real one of corpus and train, by the "
        f"features of {found.network}. First images of each class as they come, not chosen; right, "
        "the pairs of the class that are nearest of all."
    )


def _worst_caption(name: str, found: FidelityNumbers) -> str:
    return (
        f"{_titled(name)}, worst classes: under each image what the judge takes it for, least "
        "certain of the class first, with the class's first prompt. The judge "
        f"{_judge_origin(found)}."
    )


def _titled(name: str) -> str:
    return set_name(name).capitalize()
