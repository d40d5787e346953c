"""A study's tables: settings, trainings of the best again, labels, and every trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from synthgap.reporting.blocks import Block, BulletList, FoldedBlocks, TableBlock
from synthgap.reporting.formats import DASH
from synthgap.reporting.studies import StudyFindings, Trial, feasible, value
from synthgap.reporting.studies_axes import STYLES
from synthgap.reporting.studies_names import (
    key_names,
    metric_name,
    score,
    score_spread,
    tuned_names,
    value_name,
)

EACH = ("generator", "reference", "student")


def settings_table(found: StudyFindings) -> TableBlock:
    """Each key: what was tried, what stands without tuning, what was found, what it matters."""
    names, shares = key_names(found.keys), found.importances
    chosen = _chosen(found)
    rows = [
        [
            names[key], key, tried(found.study["space"][key]),
            value_name(found.default.get(key)),
            value_name(chosen[1][key]) if chosen and key in chosen[1] else DASH,
            f"{100 * shares[key]:.0f} %" if key in shares else DASH,
        ]
        for key in found.keys
    ]  # fmt: skip
    headers = ("setting", "key", "tried", "default", chosen[0] if chosen else "best", "importance")
    return TableBlock(headers, rows, num_names=3)


def _chosen(found: StudyFindings) -> tuple[str, Mapping[str, Any]] | None:
    winner = found.study.get("winner")
    if winner:
        return f"winner ({_trial_name(winner['trial'])})", winner["tuned"]
    return (f"best (trial {found.best['trial']})", found.best["tuned"]) if found.best else None


def tried(section: object) -> str:
    """`1, 2, 7.5`, `0.05 to 0.95 by 0.05` or `0.5 to 4 (log)`."""
    if not isinstance(section, dict):
        return value_name(section)
    text = f"{value_name(section['low'])} to {value_name(section['high'])}"
    if section["step"] is not None:
        return f"{text} by {value_name(section['step'])}"
    return f"{text} (log)" if section["log"] else text


def finals_table(found: StudyFindings) -> TableBlock:
    """The best trials and the default trained again with fresh seeds, the winner named."""
    winner = found.study.get("winner") or {}
    metrics = list(dict.fromkeys([found.objectives[0].metric, "val/top1"]))
    finals = found.study.get("finals") or ()
    if not any(row["val"] for row in finals):
        metrics = metrics[:1]
    rows = []
    for row in finals:
        name = _trial_name(row["trial"])
        if row["trial"] == winner.get("trial"):
            name += ", winner"
        changed = tuned_names(row["tuned"], found.default, found.keys) or "nothing"
        scores = [_final(row, metric) for metric in metrics]
        rows.append([name, changed, *scores])
    headers = [f"{metric_name(metric)}, fresh seeds" for metric in metrics]
    return TableBlock(["setting", "differs from the default in", *headers], rows, num_names=2)


def _final(row: Mapping[str, Any], metric: str) -> str:
    estimate = row["val"] if metric == "val/top1" else row.get("score")
    return "failed" if estimate is None else score_spread(metric, estimate, unit=False)


def _trial_name(trial: object) -> str:
    return "default" if trial == "default" else f"trial {trial}"


def labels_table(found: StudyFindings) -> TableBlock:
    """Real labels behind the study: what asked for them, and how many."""
    labels = found.study["labels"]
    uses = {
        "objective": "choosing and pruning trials: labels of val",
        "generator": "training the generator",
        "reference": "training the reference network that guides",
        "student": "training each student",
    }
    rows = [
        [use, "?" if labels[name] is None else f"{labels[name]:,}"] for name, use in uses.items()
    ]
    verdict = found.study.get("verdict")
    if verdict:
        rows.append(["scoring the winner and the default, once", f"{verdict['num_test_images']:,}"])
    return TableBlock(("what for", "real labels"), rows)


def trials_fold(found: StudyFindings) -> FoldedBlocks:
    """Every trial behind a click, with the reasons of those that failed."""
    blocks: list[Block] = [trials_table(found)]
    reasons = [f"Trial {row['trial']}: {row['reason']}" for row in found.having("failed")]
    if reasons:
        blocks.append(BulletList(reasons))
    return FoldedBlocks(f"All trials ({len(found.trials)})", blocks)


def trials_table(found: StudyFindings) -> TableBlock:
    """One row a trial: kind, state, what it gave, what it spent, what it was set to."""
    names = key_names(found.keys)
    headers = ["trial", "kind", "state", *map(metric_name, found.measured)]
    headers += ["share", "steps", *names.values()]
    caption = "Every trial is a single run." if found.num_seeds == 1 else ""
    rows = [_row(found, trial) for trial in found.trials]
    return TableBlock(headers, rows, num_names=3, caption=caption)


def _row(found: StudyFindings, trial: Trial) -> list[str]:
    share = trial.get("share")
    return [
        str(trial["trial"]), STYLES[trial["kind"]][2], _state(found, trial), *_scores(found, trial),
        DASH if share is None else f"{share:g}", f"{trial.get('num_steps') or 0:,}",
        *(value_name(trial["tuned"][key]) if key in trial["tuned"] else DASH for key in found.keys),
    ]  # fmt: skip


def _state(found: StudyFindings, trial: Trial) -> str:
    text, metric = str(trial["state"]), found.objectives[0].metric
    if trial["state"] == "pruned" and value(trial, metric) is not None:
        text += f" at {score(metric, value(trial, metric))}"
    if trial["state"] == "complete" and not feasible(trial):
        text += ", beyond a bound"
    if trial.get("retries"):
        text += f", begun {1 + trial['retries']} times"
    return text


def _scores(found: StudyFindings, trial: Trial) -> Iterator[str]:
    for metric in found.measured:
        last = (trial.get("last") or {}).get(metric)
        if trial["state"] != "complete":
            yield DASH  # what it had reached is no score
        elif last is not None and last["n"] > 1:
            yield score_spread(metric, last, unit=False)
        else:
            yield score(metric, (trial.get("values") or {}).get(metric))
