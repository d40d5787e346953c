"""Numbers for `dvc metrics` and CSV rows for `dvc plots`."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synthgap.jobs import whole_file
from synthgap.reporting.record_names import (
    DIRECTIONS,
    companion,
    fraction_name,
    is_plain,
    select,
    setting_records,
    top1,
)
from synthgap.reporting.series import PROBE

NUMBER_COLUMNS = ("accuracy", "std", "n", "low", "high")
ARMS = ("scratch", "finetune", "prefix")


def metrics(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Nested numbers: experiment, place, then accuracy with its spread and interval."""
    tree: dict[str, Any] = {}
    for row in top1(records):
        branch = tree.setdefault(row["experiment"], {})
        for key in _metric_path(row):
            branch = branch.setdefault(key, {})
        branch.update(_numbers(row))
        probe = companion(records, row, PROBE)
        if probe is not None:
            branch["probe"] = _numbers(probe)
    real = select(top1(records), experiment="train", set="train")
    for row in select(records, experiment="train", metric="gap_pp"):
        if real and row["set"] != "train":
            branch = tree["train"][row["set"]].setdefault("gap_pp", {})
            branch.update({name: row[name] for name in ("mean", "low", "high")})
    return tree


def write_plot_rows(folder: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write transfer.csv, reduce.csv, guidance.csv and settings.csv into `folder`, a file a curve.

    `dvc plots` draws one line a file: transfer/<direction>.csv and reduce/<arm>.csv are there for
    every direction and arm, with a header alone where nothing was run.
    """
    rows = top1(records)
    moved = [
        {"depth": row["depth"], "direction": row["direction"], **_numbers(row)}
        for row in [*select(rows, experiment="transfer"), *select(rows, experiment="control")]
    ]
    reduced = [
        {
            "real_labels": row["real_labels"]["student"],
            "fraction": fraction_name(row["fraction"]),
            "arm": f"prefix n{row['depth']}" if row["arm"] == "prefix" else row["arm"],
            **_numbers(row),
        }
        for row in select(rows, experiment="reduce")
    ]
    guided = [
        {"guidance_scale": row["guidance_scale"], **_numbers(row)}
        for row in select(rows, experiment="train", source="synthetic")
        if is_plain(row["set"])
    ]
    parts = [row for row in select(rows, experiment="clone") if row["fraction"] != 1]
    settings = [
        {"set": row["set"], "num_images": row["num_images"], **_numbers(row)}
        for row in [*setting_records(rows), *parts]
    ]
    _write_csv(folder / "transfer.csv", ("depth", "direction"), moved)
    _write_csv(folder / "reduce.csv", ("real_labels", "fraction", "arm"), reduced)
    _write_csv(folder / "guidance.csv", ("guidance_scale",), guided)
    _write_csv(folder / "settings.csv", ("set", "num_images"), settings)
    for name in DIRECTIONS:
        path = folder / "transfer" / f"{name.replace('->', '_to_')}.csv"
        _write_csv(path, ("depth", "direction"), [row for row in moved if row["direction"] == name])
    for name in ARMS:
        own = [row for row in reduced if row["arm"].split()[0] == name]
        _write_csv(folder / "reduce" / f"{name}.csv", ("real_labels", "fraction", "arm"), own)


def _metric_path(row: Mapping[str, Any]) -> list[str]:
    if row["experiment"] == "train":
        return [row["set"]]
    if row["experiment"] == "clone":
        return [row["set"], f"images_{row['num_images']}"]
    if row["experiment"] in {"ablate", "gap"}:
        return [row["ablation"], row["variant"], *_ablation_path(row)]
    if row["experiment"] == "guide":
        return [row["protocol"], row["method"]]
    if row["direction"] is not None and row["arm"] is None:
        return [row["direction"].replace("->", "_to_"), f"n{row['depth']}"]
    arm = f"prefix_n{row['depth']}" if row["arm"] == "prefix" else row["arm"]
    return [arm, f"1_{round(1 / row['fraction'])}"]


def _ablation_path(row: Mapping[str, Any]) -> list[str]:
    if row["arm"] is not None:
        return [f"{row['arm']}_n{row['depth']}", f"1_{round(1 / row['fraction'])}"]
    if row["direction"] is not None:
        return [row["direction"].replace("->", "_to_"), f"n{row['depth']}"]
    return [row["set"]]


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "accuracy": row["mean"],
        "std": row["std"],
        "n": row["n"],
        "low": row["low"],
        "high": row["high"],
    }


def _write_csv(path: Path, place: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [*place, *NUMBER_COLUMNS], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
