"""What MLflow shows of stages `guide`, `gap` and `references`."""

import re

import pytest
from fake_cells import record, write_cell
from seen import artifacts, child_runs, history, parent_runs

from synthgap.jobs import read_json, write_json
from synthgap.tracking.mirror import mirror
from synthgap.tracking.sweeps import SWEEP_NOTES, sweep_points

TAKEN_BY_MLFLOW = re.compile(r"^[/\w.\- :]*$")
quiet = pytest.mark.filterwarnings("ignore:.*noload:DeprecationWarning")


def guided(protocol: str, method: str, **given: object) -> dict:
    labels = {"generator": 700, "donor": 0, "student": 50, "reference": 0}
    place = {
        "protocol": protocol, "method": method, "init": "random", "set": "train+g2.0",
        "source": "mixed", "real_labels": labels, "num_real_images": 50,
    }  # fmt: skip
    return record("guide", f"{protocol} {method} s{given.get('seed', 0)}", **(place | given))


def sampled(variant: str, name: str, **given: object) -> dict:
    place = {"ablation": "sampling", "variant": variant, "set": f"train+{name}", "source": "mixed"}
    return record("gap", f"{variant} train+{name} s{given.get('seed', 0)}", **place, **given)


def test_methods_are_charts_by_protocol_that_mlflow_takes():
    runs = [
        *(guided("low-shot", "rg", seed=seed, accuracy=90.0 + seed) for seed in (0, 1)),
        guided("low-shot", "rg-pg-f"),
        guided("zero-shot", "pg-kl", set="g2.0"),
    ]
    found = sweep_points(runs)
    assert found["accuracy/low-shot/rg", 0] == 90.5
    assert {name for name, _ in found if name.startswith("accuracy/")} == {
        *("accuracy/low-shot/rg", "accuracy/low-shot/rg-pg-f", "accuracy/zero-shot/pg-kl")
    }
    assert all(TAKEN_BY_MLFLOW.match(name) for name, _ in found)


def test_samples_of_two_sets_are_two_charts():
    found = sweep_points([sampled("low_loss", "g2.0", accuracy=97.0), sampled("low_loss", "g7.5")])
    assert {key: value for key, value in found.items() if key[0].startswith("accuracy/")} == {
        ("accuracy/sampling/low_loss_g2.0", 0): 97.0,
        ("accuracy/sampling/low_loss_g7.5", 0): 90.0,
    }
    assert all(TAKEN_BY_MLFLOW.match(name) for name, _ in found)


def test_every_new_stage_says_what_to_look_at():
    assert {"guide", "gap", "references"} <= set(SWEEP_NOTES)
    assert "`accuracy/<protocol>/<method>`" in SWEEP_NOTES["guide"]


@quiet
def test_both_protocols_hang_under_one_parent_and_children_say_what_they_were_given(store):
    for protocol in ("zero-shot", "low-shot"):
        folder = write_cell(store.root, [guided(protocol, "pooled")], protocol)
        content = read_json(folder / "run.json")
        content["params"]["protocol"] = {"real_per_class": 5 * (protocol == "low-shot")}
        write_json(folder / "run.json", content)
    mirror(store.root)
    (parent,) = parent_runs(store)
    assert history(store, parent, "accuracy/zero-shot/pooled") == [(0, 90.0)]
    assert history(store, parent, "accuracy/low-shot/pooled") == [(0, 90.0)]
    child = next(run for run in child_runs(store) if run.data.tags["protocol"] == "low-shot")
    assert (child.data.tags["method"], child.data.tags["init"]) == ("pooled", "random")
    assert child.data.params["real_labels.student"] == "50"
    assert child.data.params["num_real_images"] == "50"
    learned = {
        one.dataset.name
        for one in child.inputs.dataset_inputs
        if {tag.key: tag.value for tag in one.tags}["mlflow.data.context"] == "training"
    }
    assert learned == {"digits/train", "digits/g2.0"}


@quiet
def test_what_the_gap_stage_found_hangs_under_its_parent_once(store):
    folder = write_cell(store.root, [sampled("low_loss", "g2.0")])
    (folder / "gap.json").write_text("{}")
    for name in ("low-g2.0.png", "high-g2.0.png"):
        (folder / name).write_bytes(b"a sheet")
    mirror(store.root)
    (parent,) = parent_runs(store)
    wanted = ["gap.json", "high-g2.0.png", "low-g2.0.png"]
    assert artifacts(store, parent) == wanted
    (folder / "gap.json").write_text('{"other": 1}')
    mirror(store.root)
    (again,) = parent_runs(store)
    assert again.info.run_id == parent.info.run_id
    assert artifacts(store, again) == wanted
    assert again.data.tags["synthgap.files"] != parent.data.tags["synthgap.files"]
    assert mirror(store.root).runs == {"left": 1}
