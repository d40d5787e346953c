"""What the data say, in sentences made from records alone."""

from __future__ import annotations

from collections.abc import Iterator

from synthgap.reporting.formats import interval, label_equivalent, signed, spread, with_interval
from synthgap.reporting.guide import guide_sentences
from synthgap.reporting.labels import CONTROL_OF, fraction_name
from synthgap.reporting.lookup import Record, companion, one, select
from synthgap.reporting.studies import Findings
from synthgap.reporting.studies_sentences import verdict_sentences
from synthgap.reporting.summary import Summary


def headline(summary: Summary) -> list[str]:
    """Three to seven sentences, each with its numbers and intervals."""
    told = [*_gap(summary), *_transfer(summary), *_reduce(summary)]
    tuned = verdict_sentences(Findings(summary.tune)) if summary.tune else []
    return [*told, *guide_sentences(summary)[-1:], *tuned, *_orderings(summary)]


def _gap(summary: Summary) -> Iterator[str]:
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


def _transfer(summary: Summary) -> Iterator[str]:
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
    cost = one(
        [
            row
            for row in select(summary.comparisons, kind="control", depth=row["depth"])
            if row["right"].startswith("synthetic")
        ]
    )
    if cost is not None:
        sentence += f"; the {CONTROL_OF['synthetic->real']} control at this depth: {signed(cost)}"
    yield f"{sentence} points.".replace(" % of the gap closed points.", " % of the gap closed.")


def _reduce(summary: Summary) -> Iterator[str]:
    prefixes = [rows for (arm, _), rows in summary.arms.items() if arm == "prefix"]
    scratch = summary.arms.get(("scratch", 0), [])
    if not prefixes or not scratch:
        return
    row = prefixes[-1][-1]
    same = one(scratch, fraction=row["fraction"])
    if same is None:
        return
    gain = one(summary.comparisons, kind="prefix", fraction=row["fraction"], depth=row["depth"])
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


def _orderings(summary: Summary) -> Iterator[str]:
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
