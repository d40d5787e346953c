from dataclasses import replace

import numpy as np
import pytest

from synthgap.errors import CheckpointError, ParamsError
from synthgap.experiments.ablate import TABLES, AblateParams, ablate, plans_of
from synthgap.jobs import Artifacts, read_json, silent


@pytest.fixture
def plans(prepared):
    def of(ablation, world=prepared):
        return plans_of(world.sections(AblateParams), world.artifacts, ablation)

    return of


def changed(plan, base):
    """What a plan's training has that params.yaml's has not."""
    return {
        name: getattr(plan.training, name)
        for name in base.__dataclass_fields__
        if getattr(plan.training, name) != getattr(base, name)
    }


def test_every_table_of_the_grid_is_there(prepared):
    assert set(prepared.params.grid.ablations) == set(TABLES)
    with pytest.raises(ParamsError, match=r"grid.ablations: 'colour', expected some of"):
        plans_of(prepared.sections(AblateParams), prepared.artifacts, "colour")


@pytest.mark.parametrize("ablation", ["normalisation", "augmentation"])
def test_a_row_of_tables_1_and_2_changes_one_thing(plans, prepared, ablation):
    found = plans(ablation)
    for plan in found:
        values = changed(plan, prepared.params.training)
        assert len(values) == 1, plan.name
        assert plan.mode == "scratch"
        assert plan.ablation == ablation
    seen = {(plan.source.name, plan.variant) for plan in found}
    assert len(seen) == len(found)
    assert {name for name, _ in seen} == {"train", "g2.0"}


def test_augmentation_leaves_out_what_the_base_row_already_is(plans, prepared):
    policies = {"none", "autoaugment", "pytorch", "augmix", "pixmix", "dino"}
    assert {plan.variant for plan in plans("augmentation")} == policies - {"dino"}
    other = prepared.changed("training", augmentation="pytorch")
    assert {plan.variant for plan in plans("augmentation", other)} == policies - {"pytorch"}


def test_rows_are_those_that_params_ask_for(plans, prepared):
    few = prepared.changed("ablate", policies=("dino", "augmix"), subsets=("random", "coreset"))
    assert {plan.variant for plan in plans("augmentation", few)} == {"augmix"}
    chosen = {plan.variant for plan in plans("sources", few) if plan.arm == "prefix"}
    assert chosen == {"random", "coreset"}
    with pytest.raises(ParamsError, match=r"policies: \['dino'\], expected one other than"):
        plans("augmentation", prepared.changed("ablate", policies=("dino",)))


def test_a_guidance_scale_is_said_where_images_are_generated(plans):
    scales = {plan.source.name: plan.guidance_scale for plan in plans("stylised")}
    assert scales == {"train-stylised": None, "g2.0-stylised": 2.0}


def test_oracle_counts_the_labels_that_prompted_it(plans):
    (plan,) = plans("oracle")
    assert plan.coordinates()["real_labels"] == {"generator": 48, "donor": 0, "student": 0}


def test_mixed_sources_are_learned_from_scratch_and_as_a_tail(plans, prepared):
    whole, tail = [plan for plan in plans("sources") if plan.variant == "mixed 0.5"]
    assert (whole.mode, whole.direction) == ("scratch", None)
    assert (tail.mode, tail.direction, tail.depth) == ("freeze", "synthetic->mixed", 4)
    assert (tail.donor.set_name, tail.donor.seed) == ("g2.0", 1)
    assert whole.mixture == tail.mixture
    assert whole.mixture.num_images == 24
    assert whole.coordinates()["source"] == "mixed"
    assert whole.coordinates()["real_labels"]["student"] == 24  # drawn anew every epoch
    fixed = prepared.changed("ablate", mixing="fixed")
    assert plans("sources", fixed)[0].coordinates()["real_labels"]["student"] == 12


def test_labels_are_bought_alike_by_every_kind_of_subset(plans):
    found = {plan.variant: plan for plan in plans("sources") if plan.arm == "prefix"}
    assert set(found) == {"stratified", "random", "uncertainty", "coreset"}
    for plan in found.values():
        assert len(plan.indices) == 6
        assert plan.steps_per_epoch == 2  # as all 24 images would give
        assert plan.coordinates()["fraction"] == 0.25
        assert plan.coordinates()["real_labels"] == {"generator": 24, "donor": 0, "student": 6}
    assert not np.array_equal(found["uncertainty"].indices, found["coreset"].indices)


def test_a_missing_donor_is_named(plans, prepared, tmp_path):
    artifacts = Artifacts(tmp_path, "digits")
    artifacts.stage("sets").parent.mkdir(parents=True)
    for name in ("sets", "validate"):
        artifacts.stage(name).parent.mkdir(parents=True, exist_ok=True)
        artifacts.stage(name).symlink_to(prepared.artifacts.stage(name))
    with pytest.raises(CheckpointError, match=r"g2.0/student-s1.json: missing"):
        plans("sources", replace(prepared, artifacts=artifacts))


def test_a_table_is_written_as_an_ordinary_cell(prepared):
    ablate(prepared.sections(AblateParams), prepared.artifacts, silent, ablation="sources")
    record = read_json(prepared.artifacts.cell("ablate", "sources") / "run.json")
    assert len(record["runs"]) == 6
    assert {run["ablation"] for run in record["runs"]} == {"sources"}
    assert "artifacts/sets/digits/g2.0" in record["inputs"]
    assert "artifacts/sets/digits/train" in record["inputs"]
    digests = [run["digest"] for run in record["runs"]]
    assert len(set(digests)) == len(digests)
    for run in record["runs"]:
        assert np.isfinite(run["last"]["test/top1"]["mean"])
