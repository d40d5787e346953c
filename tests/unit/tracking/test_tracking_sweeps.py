"""What an ablation's runs and charts are called."""

import re

import pytest
from fake_cells import record, write_cell
from seen import child_runs, history, parent_runs

from synthgap.tracking.mirror import mirror
from synthgap.tracking.runs import run_name_of
from synthgap.tracking.sweeps import sweep_points

TAKEN_BY_MLFLOW = re.compile(r"^[/\w.\- :]*$")


def ablated(ablation: str, variant: str, image_set: str, **given: object) -> dict:
    name = given.pop("name", f"{variant} {image_set}")
    place = {"ablation": ablation, "variant": variant, "set": image_set}
    return record("ablate", f"{name} s{given.get('seed', 0)}", **place, **given)


MIXED = {"source": "mixed", "real_labels": {"generator": 700, "donor": 0, "student": 300}}
RUNS = [
    ablated("augmentation", "none", "train"),
    ablated("augmentation", "none", "g2.0"),
    ablated("stylised", "stylised", "train-stylised"),
    ablated("oracle", "oracle", "oracle"),
    ablated("sources", "mixed 0.5", "train+g2.0", **MIXED),
    ablated("sources", "mixed 0.5", "train+g2.0", direction="synthetic->mixed", depth=4, **MIXED),
    ablated("sources", "coreset", "train", arm="prefix", depth=4, fraction=1 / 8),
]


def test_every_change_has_a_chart_of_its_own_that_mlflow_takes():
    places = [place for place in sweep_points(RUNS) if place[0].startswith("accuracy/")]
    assert places == [
        ("accuracy/augmentation/none_g2.0", 0),
        ("accuracy/augmentation/none_train", 0),
        ("accuracy/oracle/oracle_oracle", 0),
        ("accuracy/sources/coreset_prefix_n4", 8),
        ("accuracy/sources/mixed_0.5", 0),
        ("accuracy/sources/mixed_0.5_synthetic_to_mixed", 4),
        ("accuracy/stylised/stylised_train-stylised", 0),
    ]
    assert all(TAKEN_BY_MLFLOW.match(name) for name, _ in places)


def test_clones_are_lines_against_the_number_of_images_with_their_probes():
    runs = [
        record("clone", f"{name} s0", set=name, source="synthetic", num_images=count, accuracy=top1)
        for name, count, top1 in (
            *(("g2.0-definition", 150, 80.0), ("g2.0-definition", 600, 88.0)),
            ("g2.0-definition-x10", 6000, 92.0),
        )
    ]
    for run in runs:
        run["last"]["probe/top1"] = {"mean": 95.0, "std": 0.0, "n": 1, "over": "epochs"}
    found = sweep_points(runs)
    line = {
        step: top1 for (name, step), top1 in found.items() if name == "accuracy/g2.0-definition"
    }
    assert line == {150: 80.0, 600: 88.0, 6000: 92.0}
    assert found["probe/g2.0-definition", 600] == 95.0
    assert all(TAKEN_BY_MLFLOW.match(name) for name, _ in found)


@pytest.mark.parametrize(
    ("run", "name"),
    [
        (RUNS[0], "augmentation none train s0"),
        (RUNS[3], "oracle s0"),
        (record("train", "g2.0 s1"), "g2.0 s1"),
    ],
)
def test_a_runs_name_begins_with_what_is_changed(run, name):
    assert run_name_of(run) == name


@pytest.mark.filterwarnings("ignore:.*noload:DeprecationWarning")
def test_the_ablations_of_a_recipe_hang_under_one_parent(store):
    write_cell(store.root, RUNS[:2], "augmentation")
    write_cell(store.root, RUNS[4:5], "sources")
    mirror(store.root)
    (parent,) = parent_runs(store)
    assert history(store, parent, "accuracy/augmentation/none_train") == [(0, 90.0)]
    children = {run.info.run_name: run for run in child_runs(store)}
    assert len(children) == 3
    mixed = children["sources mixed 0.5 train+g2.0 s0"]
    assert (mixed.data.tags["ablation"], mixed.data.tags["variant"]) == ("sources", "mixed 0.5")
    learned = {
        one.dataset.name
        for one in mixed.inputs.dataset_inputs
        if {tag.key: tag.value for tag in one.tags}["mlflow.data.context"] == "training"
    }
    assert learned == {"digits/train", "digits/g2.0"}
