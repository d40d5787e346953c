"""The gate's word: deterministic verdicts, and the line that a broken expectation prints."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synthgap.errors import GateError
from synthgap.validation.expectations import Outcome
from synthgap.validation.frames import GateFrame
from synthgap.validation.leakage import WITHIN

SCHEMA = 1
LEGIBLE = 40  # characters of an offending value, e.g. of a sha256
NAMED = 3  # offending files named for one expectation
LISTED = 4  # broken expectations named in the line


def verdict(
    gated: GateFrame,
    outcomes: Sequence[Outcome],
    *,
    threshold: float,
    against: Mapping[str, str | None],
) -> dict[str, Any]:
    """What is known of one set: a function of the set and of the real sets alone."""
    return {
        "schema": SCHEMA,
        "set": gated.name,
        "kind": gated.kind,
        "digest": gated.digest,
        "against": dict(against),
        "num_images": len(gated.frame),
        "near_threshold": threshold,
        "passed": all(outcome.passed for outcome in outcomes),
        "expectations": [_entry(gated, outcome) for outcome in outcomes],
    }


def summary(verdicts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The whole gate: counts, then every set's verdict."""
    entries = [entry for word in verdicts for entry in word["expectations"]]
    return {
        "schema": SCHEMA,
        "passed": all(word["passed"] for word in verdicts),
        "num_expectations": len(entries),
        "num_failed": sum(not entry["passed"] for entry in entries),
        "sets": {word["set"]: word for word in verdicts},
    }


def failure(whole: Mapping[str, Any], docs: Path) -> GateError:
    """One line: what broke, where, by how much, which files, what next."""
    broken = [
        f"{name}: {_sentence(entry)}"
        for name, word in whole["sets"].items()
        for entry in word["expectations"]
        if not entry["passed"]
    ]
    more = f"; and {len(broken) - LISTED} more" if len(broken) > LISTED else ""
    return GateError(
        f"validate: {len(broken)} of {whole['num_expectations']} expectations failed; "
        f"{'; '.join(broken[:LISTED])}{more}; see {docs}; mend the images or `validate` in "
        "params.yaml, then `dvc repro`"
    )


def _sentence(entry: Mapping[str, Any]) -> str:
    examples = f", e.g. {', '.join(entry['examples'])}" if entry["examples"] else ""
    return f"{entry['text']}: {_observed(entry['observed'])}{examples}"


def _observed(observed: Mapping[str, Any]) -> str:
    if "num_broken" in observed:
        counts = f"{observed['num_broken']} of {observed['num_images']}"
        return f"{counts} fail (max {observed['max_broken']})"
    if "missing" in observed:
        return f"missing {', '.join(observed['missing'])}"
    return "; ".join(f"{key} {value}" for key, value in observed.items()) or "it has not"


def _entry(gated: GateFrame, outcome: Outcome) -> dict[str, Any]:
    rule = outcome.rule
    observed = {"error": outcome.problem} if outcome.problem else _measured(gated, outcome)
    return {
        "text": rule.text,
        "expectation": outcome.expectation,
        "column": rule.column,
        "options": {key: _plain(value) for key, value in rule.options.items()},
        "max_broken_share": rule.share,
        "passed": outcome.passed,
        "observed": observed,
        "examples": [] if outcome.passed else _examples(gated, outcome),
    }


def _measured(gated: GateFrame, outcome: Outcome) -> dict[str, Any]:
    rule, result = outcome.rule, outcome.result
    if rule.kind == "exists":
        return {}
    if rule.kind == "holds":
        return {"missing": _labels(gated, result.get("partial_missing_list"))}
    if "unexpected_count" not in result:
        return {"observed": _plain(result.get("observed_value"))}
    num_images = int(result["element_count"])
    found: dict[str, Any] = {
        "num_broken": int(result["unexpected_count"]),
        "num_images": num_images,
        "max_broken": math.floor(rule.share * num_images + 1e-9),
    }
    if rule.kind == "between" and gated.frame[rule.column].notna().any():
        column = gated.frame[rule.column]
        found |= {"lowest": _plain(column.min()), "highest": _plain(column.max())}
    return found


def _labels(gated: GateFrame, labels: Sequence[Any] | None) -> list[str]:
    """Labels with the class they stand for, e.g. `7 (seven)`."""
    classes = dict(enumerate(gated.classes))
    return [f"{int(label)} ({classes.get(int(label), 'no class')})" for label in labels or ()]


def _examples(gated: GateFrame, outcome: Outcome) -> list[str]:
    rule = outcome.rule
    if rule.examples is not None:
        return list(rule.examples)
    if rule.kind == "mean":
        return _farthest(gated, outcome)
    rows = outcome.result.get("partial_unexpected_index_list") or []
    named = sorted({(str(row["path"]), _formatted(row.get(rule.column))) for row in rows})[:NAMED]
    return [_example(gated, outcome, path, value) for path, value in named]


def _example(gated: GateFrame, outcome: Outcome, path: str, value: str) -> str:
    rule = outcome.rule
    if rule.partner is not None:
        partner = gated.frame.loc[gated.frame["path"] == path, rule.partner].iloc[0]
        where = "" if rule.other == WITHIN else f"{rule.other} "
        distance = f" ({value})" if rule.kind == "between" else ""
        return f"{path} ~ {where}{partner}{distance}"
    path_only = rule.column in ("path", "exists", "unchanged", "readable", "label_is_folder")
    return path if path_only or rule.kind == "not_null" else f"{path} ({rule.column} {value})"


def _farthest(gated: GateFrame, outcome: Outcome) -> list[str]:
    """The images that pull a mean out of its limits the most."""
    rule, frame = outcome.rule, gated.frame
    value = outcome.result.get("observed_value")
    low = value is not None and value < rule.options["min_value"]
    rows = frame.sort_values([rule.column, "path"], ascending=[low, True]).head(NAMED)
    pairs = zip(rows["path"], rows[rule.column], strict=True)
    return [f"{path} ({rule.column} {_formatted(level)})" for path, level in pairs]


def _formatted(value: object) -> str:
    plain = _plain(value)
    text = f"{plain:g}" if isinstance(plain, float) else str(plain)
    return text if len(text) <= LEGIBLE else f"{text[:LEGIBLE]}..."


def _plain(value: object) -> object:
    """JSON's own types; floats to 3 decimals, so that a sum's order never shows."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return round(value, 3) if math.isfinite(value) else None
    return value
